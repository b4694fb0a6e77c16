package containment

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func somewhere() Target {
	return Target{
		ID: "109034270@munich", Environment: "109034270@munich", Act: "a-1", Measure: "m-1", Params: map[string]string{"namespace": "kasse"},
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.1.5/32"), netip.MustParsePrefix("10.1.2.0/24"), netip.MustParsePrefix("2001:db8::/64")},
		Always:    []netip.Prefix{netip.MustParsePrefix("10.255.0.0/24")},
	}
}

// contract is what every driver promises: not held, executed twice is held, undone twice is not.
func contract(t *testing.T, d Driver, target Target) {
	t.Helper()
	held := func(want bool) {
		t.Helper()
		if seen, err := d.Probe(t.Context(), target); err != nil || seen.Held != want {
			t.Fatalf("held %t, want %t: %+v %v", seen.Held, want, seen, err)
		}
	}
	held(false)
	if dry, err := d.DryRun(t.Context(), target); err != nil || dry.Words == "" || len(dry.Exact) == 0 {
		t.Fatalf("dry run: %+v %v", dry, err)
	}
	held(false)
	for range 2 {
		if err := d.Execute(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		held(true)
	}
	for range 2 {
		if err := d.Undo(t.Context(), target); err != nil {
			t.Fatal(err)
		}
		held(false)
	}
}

func TestExecRunsArgumentsWithoutAShellAndEndsInTime(t *testing.T) {
	dir := t.TempDir()
	flag := filepath.Join(dir, "{environment};touch {act}")
	d, err := newExecDriver("router", ExecConfig{Execute: []string{"touch", flag}, Undo: []string{"rm", "-f", flag}, Probe: []string{"test", "-e", flag}})
	if err != nil {
		t.Fatal(err)
	}
	contract(t, d, somewhere())
	slow, err := newExecDriver("slow", ExecConfig{Execute: []string{"sh", "-c", "sleep 60 & sleep 60"}, Undo: []string{"true"}, Probe: []string{"true"}, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := slow.Execute(t.Context(), somewhere()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	loud, err := newExecDriver("loud", ExecConfig{Execute: []string{"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 3"}, Undo: []string{"true"}, Probe: []string{"true"}, MaxOutput: 100})
	if err != nil {
		t.Fatal(err)
	}
	if err := loud.Execute(t.Context(), somewhere()); err == nil || len(err.Error()) > 300 || !strings.Contains(err.Error(), "999900 bytes left out") {
		t.Errorf("%.300v", err)
	}
}

// sshServer runs commands with sh, as sshd does, for logins by a certificate of ca.
func sshServer(t *testing.T, host ssh.Signer, ca ssh.PublicKey) string {
	t.Helper()
	checker := &ssh.CertChecker{IsUserAuthority: func(k ssh.PublicKey) bool { return bytes.Equal(k.Marshal(), ca.Marshal()) }}
	config := &ssh.ServerConfig{PublicKeyCallback: checker.Authenticate}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed below
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { serveSSH(conn, config) })
		}
	})
	return l.Addr().String()
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, chans, reqs, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for nc := range chans {
		ch, requests, err := nc.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			if r.Type != "exec" {
				_ = r.Reply(false, nil)
				continue
			}
			_ = r.Reply(true, nil)
			cmd := exec.Command("sh", "-c", string(r.Payload[4:])) //nolint:noctx // a test's command
			cmd.Stdout = ch
			status := uint32(0)
			if cmd.Run() != nil {
				status = 1
			}
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			_ = ch.Close()
		}
	}
}

func newSigner(t *testing.T) (ssh.Signer, ed25519.PrivateKey) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s, private
}

func TestSSHLogsInByCertificatePinsTheHostAndQuotesEverything(t *testing.T) {
	host, _ := newSigner(t)
	ca, _ := newSigner(t)
	user, private := newSigner(t)
	cert := &ssh.Certificate{Key: user.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"leitstand"}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	keyFile, certFile := filepath.Join(dir, "key"), filepath.Join(dir, "key-cert.pub")
	if err := errors.Join(os.WriteFile(keyFile, pem.EncodeToMemory(block), 0o600), os.WriteFile(certFile, ssh.MarshalAuthorizedKey(cert), 0o600)); err != nil {
		t.Fatal(err)
	}
	flag := filepath.Join(dir, "it's $(touch owned1); {environment} {evil}")
	c := SSHConfig{
		Address: sshServer(t, host, ca.PublicKey()), User: "leitstand", HostKeys: []string{string(ssh.MarshalAuthorizedKey(host.PublicKey()))},
		KeyFile: keyFile, CertificateFile: certFile, Execute: []string{"touch", flag}, Undo: []string{"rm", "-f", flag}, Probe: []string{"test", "-e", flag},
	}
	same := func(name string) string { return name }
	d, err := newSSHDriver("router", c, same)
	if err != nil {
		t.Fatal(err)
	}
	target := somewhere()
	target.Params = map[string]string{"evil": "`touch owned2`; '; touch owned3; x"}
	contract(t, d, target)
	if found, _ := filepath.Glob("owned*"); len(found) > 0 {
		t.Error("a value became a command")
	}
	other, _ := newSigner(t)
	c.HostKeys = []string{string(ssh.MarshalAuthorizedKey(other.PublicKey()))}
	if d, err = newSSHDriver("router", c, same); err != nil {
		t.Fatal(err)
	}
	if err := d.Execute(t.Context(), target); err == nil || !strings.Contains(err.Error(), "not pinned") {
		t.Errorf("another host key: %v", err)
	}
	c.CertificateFile = ""
	c.HostKeys = []string{string(ssh.MarshalAuthorizedKey(host.PublicKey()))}
	if d, err = newSSHDriver("router", c, same); err != nil {
		t.Fatal(err)
	}
	if err := d.Execute(t.Context(), target); err == nil {
		t.Error("the bare key was taken although only certificates are")
	}
}

func TestWebhookSignsRepeatsUnderOneKeyAndGivesUpOnRefusal(t *testing.T) {
	secret := strings.Repeat("s", 32)
	var mu sync.Mutex
	held, calls, keys, fails := false, 0, map[string]int{}, 2
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Leitstand-Signature") != "sha256="+signHook([]byte(secret), r.Header.Get("Leitstand-Timestamp"), body) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		var o webhookOrder
		if json.Unmarshal(body, &o) != nil || len(o.Addresses) != 3 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if o.Do != "probe" && fails > 0 {
			fails--
			keys[r.Header.Get("Idempotency-Key")]++
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		switch o.Do {
		case "execute":
			held = true
		case "undo":
			held = false
		}
		fmt.Fprintf(w, `{"held":%t}`, held)
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	same := func(name string) string { return name }
	d, err := newWebhookDriver("soc", WebhookConfig{URL: srv.URL, SecretFile: file, Pause: time.Millisecond}, same)
	if err != nil {
		t.Fatal(err)
	}
	contract(t, d, somewhere())
	if keys["a-1-execute"] != 2 || len(keys) != 1 {
		t.Errorf("repeated under %v", keys)
	}
	d.secret = []byte("another secret of thirty-two byte")
	before := calls
	if err := d.Execute(t.Context(), somewhere()); !errors.Is(err, errFinal) || calls != before+1 {
		t.Errorf("refused: %v after %d calls", err, calls-before)
	}
	for _, bad := range []string{"http://10.0.0.1/x", "http://soc.example/x", "ftp://127.0.0.1/"} {
		if _, err := newWebhookDriver("soc", WebhookConfig{URL: bad, SecretFile: file}, same); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// kubeAPI behaves as the API does for network policies of one namespace.
func kubeAPI(t *testing.T, policies map[string]json.RawMessage) *httptest.Server {
	t.Helper()
	const base = "/apis/networking.k8s.io/v1/namespaces/kasse/networkpolicies"
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, base), "/")
		switch {
		case r.Header.Get("Authorization") != "Bearer token":
			w.WriteHeader(http.StatusUnauthorized)
		case !strings.HasPrefix(r.URL.Path, base):
			w.WriteHeader(http.StatusNotFound)
		case r.Method == http.MethodGet && name == "":
			var items []json.RawMessage
			for _, p := range policies {
				items = append(items, p)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"items": items})
		case r.Method == http.MethodPatch:
			if r.Header.Get("Content-Type") != "application/apply-patch+yaml" || r.URL.Query().Get("fieldManager") == "" {
				w.WriteHeader(http.StatusUnsupportedMediaType)
				return
			}
			body, _ := io.ReadAll(r.Body)
			_, had := policies[name]
			policies[name] = body
			if !had {
				w.WriteHeader(http.StatusCreated)
			}
			_, _ = w.Write(body)
		case policies[name] == nil:
			w.WriteHeader(http.StatusNotFound)
		case r.Method == http.MethodDelete:
			delete(policies, name)
		default:
			_, _ = w.Write(policies[name])
		}
	}))
}

func TestKubernetesAppliesOnePolicyAndSeesHolesOfOthers(t *testing.T) {
	policies := map[string]json.RawMessage{"deny": json.RawMessage(`{"metadata":{"name":"deny"},"spec":{"podSelector":{},"policyTypes":["Ingress"]}}`)}
	srv := kubeAPI(t, policies)
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := newKubernetesDriver("cluster", KubernetesConfig{Server: srv.URL, TokenFile: file}, func(name string) string { return name })
	if err != nil {
		t.Fatal(err)
	}
	contract(t, d, somewhere())
	policies["web"] = json.RawMessage(`{"metadata":{"name":"web"},"spec":{"podSelector":{},"policyTypes":["Ingress"],"ingress":[{}]}}`)
	if err := d.Execute(t.Context(), somewhere()); err == nil || !strings.Contains(err.Error(), "web") {
		t.Errorf("a policy with a hole: %v", err)
	}
	delete(policies, "web")
	if err := d.Execute(t.Context(), somewhere()); err != nil {
		t.Fatal(err)
	}
	policies["web"] = json.RawMessage(`{"metadata":{"name":"web"},"spec":{"podSelector":{},"policyTypes":["Ingress"],"ingress":[{}]}}`)
	if seen, err := d.Probe(t.Context(), somewhere()); err != nil || seen.Held {
		t.Errorf("a hole that came later: %+v %v", seen, err)
	}
}

func TestAPrintedOrderNamesEverythingAndHasAFieldToSign(t *testing.T) {
	dir := t.TempDir()
	d := newManualDriver("netz", ManualConfig{Directory: dir, Who: "Netzbetrieb"}, func(name string) string { return name }, Wiring{Exercise: true})
	if err := d.Execute(t.Context(), somewhere()); !errors.Is(err, ErrWaiting) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "a-1.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ÜBUNG", "109034270@munich", "10.1.2.0/24", "Unterschrift", "driver confirm a-1", "10.255.0.0/24", "Nichts ausschalten"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	pdf, err := os.ReadFile(filepath.Join(dir, "a-1.pdf"))
	if err != nil || !bytes.HasPrefix(pdf, []byte("%PDF-")) {
		t.Errorf("%v %.20q", err, pdf)
	}
	if err := d.Execute(t.Context(), somewhere()); !errors.Is(err, ErrWaiting) {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(filepath.Join(dir, "a-1.pdf")); !bytes.Equal(pdf, again) {
		t.Error("the same order has other bytes")
	}
}

func TestRulesForForeignFirewallsNameWhatStaysFirst(t *testing.T) {
	target := somewhere()
	for format, text := range map[string]string{
		FormatIPTables: iptablesRules(target, false), FormatCisco: ciscoRules(target), FormatCSV: csvRules(target),
		FormatNFT: nftRules("leitstand", []string{"forward"}, -150, target),
	} {
		keep, drop := strings.Index(text, "10.255.0"), strings.Index(text, "10.1.1.5")
		if keep < 0 || drop < 0 || keep > drop {
			t.Errorf("%s: what stays must come first:\n%s", format, text)
		}
	}
	want := "-A LS-" + setName(target.ID, false)[2:14] + " -d 10.1.2.0/24 -j DROP\n"
	if got := iptablesRules(target, false); !strings.Contains(got, want) || strings.Contains(got, "2001") || !strings.HasSuffix(got, "COMMIT\n") {
		t.Errorf("%s", got)
	}
	if got := ciscoRules(target); !strings.Contains(got, " deny ip 10.1.2.0 0.0.0.255 any\n") || !strings.Contains(got, " deny ip any host 10.1.1.5\n") {
		t.Errorf("%s", got)
	}
	if got := strings.Count(csvRules(target), "\n"); got != 9 {
		t.Errorf("%d lines", got)
	}
}

func TestRangesAreMergedBecauseTheKernelRefusesOverlaps(t *testing.T) {
	all, err := prefixes([]string{"10.0.0.0/8", "10.1.0.0/16", "9.255.255.255", "11.0.0.0", "255.255.255.255", "10.0.0.7", "::/0", "2001:db8::1"})
	if err != nil {
		t.Fatal(err)
	}
	text := nftElements(all, false) + " | " + nftElements(all, true)
	if want := "9.255.255.255-11.0.0.0, 255.255.255.255 | ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"; text != want {
		t.Errorf("%s, want %s", text, want)
	}
	if back := spans(elements(merge(all, false)), false); !slices.Equal(back, merge(all, false)) {
		t.Errorf("read back: %v", back)
	}
}
