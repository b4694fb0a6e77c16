package gateway_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"leitstand/gateway"
	"leitstand/operation"
)

// TestLongProxyBesideOthers measures this gateway, nginx, HAProxy and
// httputil.ReverseProxy with its default transport before the same upstream, in
// interleaved runs. LEITSTAND_LONG=1.
func TestLongProxyBesideOthers(t *testing.T) {
	if os.Getenv("LEITSTAND_LONG") == "" {
		t.Skip("suite left out: proxy benchmark (LEITSTAND_LONG=1)")
	}
	runs, span := benchRuns(), time.Second
	up := startPart(t, partConfig{Part: "upstream"})
	proxies := []*proxy{{name: "direct", addr: up.addr, pid: up.cmd.Process.Pid}}
	dir := t.TempDir()
	k := newKey(t)
	raw, err := k.private.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := manyDoors(t, "http://"+up.addr).Save(filepath.Join(dir, "doors")); err != nil {
		t.Fatal(err)
	}
	gw := startPart(t, partConfig{Part: "gateway", Dir: dir, Calm: true})
	proxies = append(proxies, &proxy{name: "leitstand", addr: gw.addr, pid: gw.cmd.Process.Pid})
	proxies = append(proxies, startNginx(t, up.addr), startHAProxy(t, up.addr))
	hu := startPart(t, partConfig{Part: "httputil", Target: "http://" + up.addr})
	proxies = append(proxies, &proxy{name: "httputil default", addr: hu.addr, pid: hu.cmd.Process.Pid})
	for range runs {
		for _, p := range proxies {
			if p == nil {
				continue
			}
			p.measure(t, span)
		}
	}
	var nginx, ours, direct *proxy
	for _, p := range proxies {
		if p == nil {
			continue
		}
		idle := p.idle(t, 9000)
		t.Logf("%-17s cpu %6.1f µs/request, %6.0f req/s at 64, p50 %6.2f ms, p99 %7.2f ms, alone p50 %.3f ms, idle %5.1f MiB per 10,000",
			p.name, median(p.cpu), median(p.rate), median(p.p50), median(p.p99), median(p.alone), idle)
		switch p.name {
		case "nginx":
			nginx = p
		case "leitstand":
			ours = p
		case "direct":
			direct = p
		}
	}
	if nginx == nil {
		t.Skip("suite left out: comparison with nginx (not installed)")
	}
	t.Logf("cpu %.2f × nginx (goal 1.7), added latency %.3f ms (goal 0.5), p99 at 64 %.2f × direct (goal 3), throughput %.2f × nginx",
		median(ours.cpu)/median(nginx.cpu), median(ours.alone)-median(direct.alone), median(ours.p99)/median(direct.p99), median(ours.rate)/median(nginx.rate))
}

// manyDoors is a table of a size as in the case, with the benchmark's door in it.
func manyDoors(t testing.TB, upstream string) *gateway.Table {
	t.Helper()
	var routes []gateway.Route
	for i := range 700 {
		routes = append(routes, gateway.Route{Host: fmt.Sprintf("dienst-%d.test", i), Prefix: "/", Placement: placement, Upstream: upstream})
	}
	routes = append(routes, gateway.Route{Host: "bmw.test", Prefix: "/app", Placement: placement, Upstream: upstream})
	tab, err := gateway.NewTable(routes, []*operation.DoorRow{{Placement: placement, Answer: operation.Answer{Mode: operation.ModeRegular}}})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

type proxy struct {
	name, addr                 string
	pid                        int
	cpu, rate, p50, p99, alone []float64
}

func startNginx(t *testing.T, upstream string) *proxy {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/nginx"); err != nil {
		return nil
	}
	dir, addr := t.TempDir(), freeAddr(t)
	conf := fmt.Sprintf(`worker_processes 1; daemon off; pid %[1]s/pid; error_log /dev/null;
events { worker_connections 16384; }
http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
keepalive_requests 100000000; upstream u { server %[2]s; keepalive 128; keepalive_requests 100000000; }
server { listen %[3]s backlog=4096; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection "";
proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-Proto http; } } }`, dir, upstream, addr)
	if os.Getuid() == 0 {
		conf = "user root;\n" + conf
	}
	return startForeign(t, "nginx", addr, conf, "/usr/sbin/nginx", "-e", "/dev/null", "-c")
}

func startHAProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/haproxy"); err != nil {
		return nil
	}
	addr := freeAddr(t)
	conf := fmt.Sprintf(`global
  nbthread 1
  maxconn 9500
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend f
  bind %s backlog 4096
  default_backend b
backend b
  server s %s pool-max-conn 128
`, addr, upstream)
	return startForeign(t, "haproxy", addr, conf, "/usr/sbin/haproxy", "-db", "-f")
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // only its number was wanted
	return l.Addr().String()
}

func startForeign(t *testing.T, name, addr, conf, exe string, args ...string) *proxy {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append(args, file)...) //nolint:noctx // killed at the end of the test
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // master and worker
		_ = cmd.Wait()                                      // killed
	})
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil { //nolint:noctx // closed at once
			_ = c.Close() // it listens
			return &proxy{name: name, addr: addr, pid: cmd.Process.Pid}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s does not listen", name)
	return nil
}

// cpuTime is what a process and its children have used.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, id := range family(t, pid) {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", id))
		for _, f := range tasks {
			b, err := os.ReadFile(f)
			if err != nil {
				continue // a thread that ended
			}
			n, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += time.Duration(n)
		}
	}
	return sum
}

func family(t *testing.T, pid int) []int {
	t.Helper()
	ids := []int{pid}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	for f := range strings.FieldsSeq(string(b)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, n)
	}
	return ids
}

// measure runs 64 connections, then one alone.
func (p *proxy) measure(t *testing.T, span time.Duration) {
	t.Helper()
	drive(t, p.addr, 64, span/8)
	before := cpuTime(t, p.pid)
	at64 := drive(t, p.addr, 64, span)
	used := cpuTime(t, p.pid) - before
	p.cpu = append(p.cpu, float64(used.Microseconds())/float64(len(at64)))
	p.rate = append(p.rate, float64(len(at64))/span.Seconds())
	p.p50, p.p99 = append(p.p50, at64[len(at64)/2]), append(p.p99, at64[len(at64)*99/100])
	alone := drive(t, p.addr, 1, span/4)
	p.alone = append(p.alone, alone[len(alone)/2])
}

// drive sends requests on n connections and returns all times in milliseconds, sorted.
func drive(t *testing.T, addr string, n int, span time.Duration) []float64 {
	t.Helper()
	until := time.Now().Add(span)
	times := make([][]float64, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			c, err := net.Dial("tcp", addr) //nolint:noctx // ends with the run
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = c.Close() }() // the run is over
			r := bufio.NewReaderSize(c, 8<<10)
			for time.Now().Before(until) {
				began := time.Now()
				if err := exchange(c, r); err != nil {
					t.Errorf("%s: %v", addr, err)
					return
				}
				times[i] = append(times[i], float64(time.Since(began).Nanoseconds())/1e6)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(times...)
	if len(all) == 0 {
		t.Fatalf("no answers from %s", addr)
	}
	slices.Sort(all)
	return all
}

var benchRequest = []byte("GET /app/daten?id=1 HTTP/1.1\r\nHost: bmw.test\r\nUser-Agent: Mozilla/5.0\r\nAccept: application/json\r\nAccept-Language: de\r\nCookie: session=0123456789abcdef\r\n\r\n")

// exchange sends a request and reads the answer without making garbage.
func exchange(c net.Conn, r *bufio.Reader) error {
	if _, err := c.Write(benchRequest); err != nil {
		return err
	}
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answer %q", line)
		}
		if len(line) == 2 {
			break
		}
		if len(line) > 16 && strings.EqualFold(string(line[:15]), "content-length:") {
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[15:]))); err != nil {
				return err
			}
		}
	}
	if length != 1024 {
		return fmt.Errorf("length %d", length)
	}
	_, err := r.Discard(length)
	return err
}

// idle is how many MiB n idle connections cost, after one request each.
func (p *proxy) idle(t *testing.T, n int) float64 {
	t.Helper()
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil || lim.Cur < uint64(n)+1000 {
		return -1
	}
	before := rss(t, p.pid)
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close() // idle
		}
	}()
	for range n {
		c, err := net.Dial("tcp", p.addr) //nolint:noctx // closed at the end
		if err != nil {
			t.Logf("%s: %d idle connections, then %v", p.name, len(conns), err)
			break
		}
		conns = append(conns, c)
		if err := exchange(c, bufio.NewReader(c)); err != nil {
			t.Logf("%s: %d idle connections, then %v", p.name, len(conns), err)
			break
		}
	}
	return float64(rss(t, p.pid)-before) / (1 << 20) * 10_000 / float64(len(conns))
}

func rss(t *testing.T, pid int) int64 {
	t.Helper()
	var sum int64
	for _, id := range family(t, pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", id))
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n * int64(os.Getpagesize())
	}
	return sum
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// benchRuns is 7, or what LEITSTAND_RUNS says for a quick look.
func benchRuns() int {
	if n, err := strconv.Atoi(os.Getenv("LEITSTAND_RUNS")); err == nil && n > 0 {
		return n
	}
	return 7
}
