package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/gateway"
	"leitstand/pure/seal"
)

// Parts of the tests run as processes of their own, so that they can be killed
// and their CPU time counted. They are this test binary, started again.
const partEnv = "LEITSTAND_GATEWAY_PART"

type partConfig struct {
	Part   string `json:"part"` // gateway, httputil or upstream
	Listen string `json:"listen"`
	Dir    string `json:"dir"`    // of the gateway's table, spool and key, or of the upstream's book
	Target string `json:"target"` // of httputil
	// Calm: the table's file is looked at as often as by `leitstand gateway serve`,
	// not as often as tests of fast changes need.
	Calm bool `json:"calm"`
}

func TestMain(m *testing.M) {
	if raw := os.Getenv(partEnv); raw != "" {
		var c partConfig
		if err := json.Unmarshal([]byte(raw), &c); err != nil {
			panic(err)
		}
		if err := runPart(c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func runPart(c partConfig) error {
	var h http.Handler
	switch c.Part {
	case "gateway":
		gateway.Tune()
		g, err := partGateway(c.Dir, c.Calm)
		if err != nil {
			return err
		}
		h = g
	case "httputil":
		u, err := url.Parse(c.Target)
		if err != nil {
			return err
		}
		h = &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(u); pr.SetXForwarded() }}
	case "upstream":
		b, err := openReceiver(c.Dir)
		if err != nil {
			return err
		}
		h = b
	}
	l, err := net.Listen("tcp", c.Listen) //nolint:noctx // ends with the process
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	if c.Part == "gateway" {
		return gateway.NewFront(h, gateway.Limits{}, nil).Serve(context.Background(), l, 0)
	}
	return (&http.Server{Handler: h, ReadHeaderTimeout: time.Minute}).Serve(l)
}

// partGateway is a gateway that obeys DIR/doors and delivers from DIR/spool.
func partGateway(dir string, calm bool) (*gateway.Gateway, error) {
	raw, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		return nil, err
	}
	private, err := seal.ParsePrivateKey(raw)
	if err != nil {
		return nil, err
	}
	g := &gateway.Gateway{}
	t, err := gateway.Load(filepath.Join(dir, "doors"))
	if err != nil {
		return nil, err
	}
	g.Set(t)
	s, err := gateway.OpenSpool(filepath.Join(dir, "spool"), "part", g.KeysOf, nil)
	if err != nil {
		return nil, err
	}
	g.Keeper = s
	p := &gateway.Replayer{Gateway: g, Spool: s, Opener: func(context.Context, catalogue.KasseID) (emergency.Opener, error) { return private, nil }}
	ctx := context.Background()
	look, replay := 2*time.Millisecond, 20*time.Millisecond
	if calm {
		look, replay = 50*time.Millisecond, time.Second
	}
	go func() { _ = g.FollowFile(ctx, filepath.Join(dir, "doors"), look) }()
	go func() {
		for {
			if _, err := p.Due(ctx, time.Now()); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			time.Sleep(replay)
		}
	}()
	return g, nil
}

// receiver is a regular system with a book that survives SIGKILL. It books what
// comes with an idempotency key once.
type receiver struct {
	mu    sync.Mutex
	book  *os.File
	known map[string]bool
}

func openReceiver(dir string) (*receiver, error) {
	b := &receiver{known: map[string]bool{}}
	if dir == "" {
		return b, nil
	}
	name := filepath.Join(dir, "book")
	old, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for line := range strings.Lines(string(old)) {
		b.known[strings.Fields(line)[0]] = true
	}
	b.book, err = os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return b, err
}

func (b *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(kilobyte())
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	if !b.known[key] {
		b.known[key] = true
		if _, err := fmt.Fprintf(b.book, "%s %s %s\n", key, body, r.Header.Get("X-Leitstand-Receipt")); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("X-Side", "regular")
}

var kilobyte = sync.OnceValue(func() []byte { return []byte(`{"x":"` + strings.Repeat("a", 1016) + `"}`) })

// part is a running process.
type part struct {
	cmd  *exec.Cmd
	addr string
}

func startPart(t testing.TB, c partConfig) *part {
	t.Helper()
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
		if raw, err = json.Marshal(c); err != nil {
			t.Fatal(err)
		}
	}
	p := &part{cmd: exec.Command(exe)} //nolint:noctx // killed at the end of the test
	p.cmd.Env = append(os.Environ(), partEnv+"="+string(raw))
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("part %s did not start: %v", c.Part, err)
	}
	p.addr = strings.TrimSpace(line)
	t.Cleanup(p.kill)
	return p
}

// kill ends the process at once.
func (p *part) kill() {
	_ = p.cmd.Process.Kill() // it may be gone
	_ = p.cmd.Wait()         // killed
}
