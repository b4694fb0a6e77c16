package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"leitstand/gateway"
	"leitstand/operation"
)

// listening serves a gateway on a real socket.
func listening(t *testing.T, g http.Handler, l gateway.Limits, conf *tls.Config) string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = gateway.NewFront(g, l, conf).Serve(ctx, ln, 0) // it does not wait for what is under way
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return ln.Addr().String()
}

func door(row operation.DoorRow, route gateway.Route) (*gateway.Table, error) {
	row.Placement, route.Placement = placement, placement
	if route.Host == "" {
		route.Host = "bmw.test"
	}
	if route.Prefix == "" {
		route.Prefix = "/"
	}
	return gateway.NewTable([]gateway.Route{route}, []*operation.DoorRow{&row})
}

// raw sends bytes on a connection of its own and reads until it is closed or quiet.
func raw(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // read to its end
	if _, err := io.WriteString(c, text); err != nil {
		return ""
	}
	if err := c.SetReadDeadline(time.Now().Add(150 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(c) // until it is closed, or quiet
	return string(b)
}

// TestNothingIsSmuggledPastTheGateway sends the known ambiguous requests. The
// regular side must never see the inner one, and each must be refused or read in
// the one way that the gateway itself reads it.
func TestNothingIsSmuggledPastTheGateway(t *testing.T) {
	var seen sync.Map
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // as a regular system would
		seen.Store(r.Method+" "+r.URL.Path, r.Header.Clone())
	}))
	defer up.Close()
	g := &gateway.Gateway{}
	tab, err := door(operation.DoorRow{Answer: operation.Answer{Mode: operation.ModeRegular}}, gateway.Route{Upstream: up.URL})
	if err != nil {
		t.Fatal(err)
	}
	g.Set(tab)
	addr := listening(t, g, gateway.Limits{}, nil)
	inner := "GET /smuggled HTTP/1.1\r\nHost: bmw.test\r\nX: "
	head := "POST /outer HTTP/1.1\r\nHost: bmw.test\r\n"
	for name, text := range map[string]string{
		"two lengths":              head + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + inner,
		"length list":              head + "Content-Length: 0, 44\r\n\r\n" + inner,
		"signed length":            head + "Content-Length: +0\r\n\r\n" + inner,
		"space before colon":       head + "Content-Length : 44\r\n\r\n" + inner,
		"length and chunked":       head + "Content-Length: 44\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + "0123456789",
		"chunked behind tab":       head + "Transfer-Encoding:\tx\r\nContent-Length: 3\r\n\r\n" + inner,
		"xchunked":                 head + "Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\n" + inner,
		"chunked twice":            head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + inner,
		"folded header":            head + "X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + inner,
		"bare line feed in a name": head + "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
		"bad chunk size":           head + "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n" + inner,
		"negative chunk":           head + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + inner,
		"chunk extension":          head + "Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n39\r\n0\r\n\r\n" + inner,
		"two hosts":                "GET /outer HTTP/1.1\r\nHost: bmw.test\r\nHost: other.test\r\n\r\n",
		"HTTP/1.0 chunked":         "POST /outer HTTP/1.0\r\nHost: bmw.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
		"NUL in a header":          head + "X-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
	} {
		seen.Clear()
		answer := raw(t, addr, text)
		if _, ok := seen.Load("GET /smuggled"); ok {
			t.Errorf("%s: the inner request arrived (%q)", name, answer)
		}
		if n := strings.Count(answer, "HTTP/1."); n > 2 {
			t.Errorf("%s: %d answers to one request: %q", name, n, answer)
		}
	}
	seen.Clear()
	c, r := dial(t, addr)
	answerTo(t, c, r, "GET", "GET /outer HTTP/1.1\r\nHost: bmw.test\r\nX-Forwarded-For: 6.6.6.6\r\nX-Leitstand-Epoch: 99\r\nX-Leitstand-Receipt: x\r\nConnection: close, X-Secret\r\nX-Secret: a\r\nTE: trailers\r\n\r\n")
	v, ok := seen.Load("GET /outer")
	if !ok {
		t.Fatal("a plain request did not arrive")
	}
	h, _ := v.(http.Header)
	if h.Get("X-Forwarded-For") != "127.0.0.1" || h.Get("X-Leitstand-Epoch") != "0" || h.Get("X-Leitstand-Receipt") != "" || h.Get("X-Secret") != "" || h.Get("X-Forwarded-Host") != "bmw.test" {
		t.Errorf("headers at the regular side: %v", h)
	}
}

func TestAPathThatMeansAnotherDoesNotPassALimitedDoor(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	g := &gateway.Gateway{}
	tab, err := door(operation.DoorRow{Answer: operation.Answer{Mode: operation.ModeLimited}, Paths: []string{"/open"}}, gateway.Route{Upstream: up.URL})
	if err != nil {
		t.Fatal(err)
	}
	g.Set(tab)
	addr := listening(t, g, gateway.Limits{}, nil)
	for path, want := range map[string]string{
		"/open": "200", "/open/a": "200", "/opened": "503", "/open/../secret": "400", "/open/..%2fsecret": "400", "/open/%2e%2e/secret": "400",
		"/open//secret": "503", "/open/a%2fb": "503", "/open\\..\\secret": "400", "/open/%5c..": "400", "http://bmw.test/secret": "503",
	} {
		answer := raw(t, addr, "GET "+path+" HTTP/1.1\r\nHost: bmw.test\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 "+want) {
			t.Errorf("%s: %.40q, want %s", path, answer, want)
		}
	}
}

func TestALimitedDoorKeepsItsRate(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	g := &gateway.Gateway{}
	tab, err := door(operation.DoorRow{Answer: operation.Answer{Mode: operation.ModeLimited}, Paths: []string{"/"}}, gateway.Route{Upstream: up.URL, Rate: 5})
	if err != nil {
		t.Fatal(err)
	}
	g.Set(tab)
	let := 0
	for range 50 {
		if resp, _ := ask(t, g, http.MethodGet, "/", ""); resp.StatusCode == 200 {
			let++
		} else if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "5" {
			t.Fatalf("%d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	}
	if let < 5 || let > 8 {
		t.Errorf("%d of 50 requests passed at once, want a burst of 5 to 6 and a little", let)
	}
}

func TestOnlyNamedTestersReachWhatIsInTrial(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "regular "+r.Header.Get("X-Leitstand-Tester"))
	}))
	defer up.Close()
	sum := sha256.Sum256([]byte("geheim"))
	for _, tt := range []struct {
		answer operation.Answer
		token  string
		marked bool
		want   int
	}{
		{operation.Answer{Mode: operation.ModeNotice, Testers: true}, "geheim", false, 200},
		{operation.Answer{Mode: operation.ModeNotice, Testers: true}, "falsch", false, 503},
		{operation.Answer{Mode: operation.ModeNotice, Testers: true}, "", false, 503},
		{operation.Answer{Mode: operation.ModeNotice}, "geheim", false, 503},
		{operation.Answer{Mode: operation.ModeEmergency, Marked: true}, "geheim", true, 200},
		{operation.Answer{Mode: operation.ModeEmergency, Marked: true}, "geheim", false, 503},
		{operation.Answer{Mode: operation.ModeEmergency, Marked: true}, "", true, 503},
	} {
		tab, err := door(operation.DoorRow{Answer: tt.answer, People: []string{"anna"}}, gateway.Route{Upstream: up.URL})
		if err != nil {
			t.Fatal(err)
		}
		tab.Testers = []gateway.Tester{{Person: "anna", Token: hex.EncodeToString(sum[:])}, {Person: "bert", Token: strings.Repeat("0", 64)}}
		g := &gateway.Gateway{}
		g.Set(tab)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://bmw.test/", http.NoBody)
		r.Header.Set("X-Leitstand-Tester", tt.token)
		if tt.marked {
			r.Header.Set("X-Leitstand-Test", "1")
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if w.Code != tt.want || w.Code == 200 && w.Body.String() != "regular " {
			t.Errorf("%v, token %q, marked %v: %d %q, want %d without the token", tt.answer, tt.token, tt.marked, w.Code, w.Body, tt.want)
		}
	}
}

func TestRoutesAreToldApartByHostPathKasseAndCertificate(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }))
	defer up.Close()
	_, cert := certificate(t, t.TempDir(), "client")
	sum := sha256.Sum256(cert.Certificate[0])
	routes := []gateway.Route{
		{Host: "bmw.test", Prefix: "/", Placement: placement, Upstream: up.URL + "/plain"},
		{Host: "bmw.test", Prefix: "/api", Placement: placement, Upstream: up.URL + "/api"},
		{Host: "bmw.test", Prefix: "/api", IK: "109034270", Placement: placement, Upstream: up.URL + "/ik"},
		{Host: "bmw.test", Prefix: "/api", Cert: hex.EncodeToString(sum[:]), Placement: placement, Upstream: up.URL + "/cert"},
	}
	tab, err := gateway.NewTable(routes, []*operation.DoorRow{{Placement: placement, Answer: operation.Answer{Mode: operation.ModeRegular}}})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway.Gateway{}
	g.Set(tab)
	dir := t.TempDir()
	files, _ := certificate(t, dir, "server")
	c, err := gateway.LoadCertificate(files[0], files[1])
	if err != nil {
		t.Fatal(err)
	}
	addr := listening(t, g, gateway.Limits{}, c.Config())
	get := func(path, ik string, certs ...tls.Certificate) (body, proto, serial string) {
		tr := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certs}}
		defer tr.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "bmw.test"
		if ik != "" {
			req.Header.Set("X-Kasse-IK", ik)
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }() // read to its end
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b), resp.Proto, resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	for _, tt := range []struct{ path, ik, want string }{
		{"/x", "", "/plain/x"}, {"/api/x", "", "/api/api/x"}, {"/api/x", "109034270", "/ik/api/x"}, {"/apix", "", "/plain/apix"},
	} {
		if body, proto, _ := get(tt.path, tt.ik); body != tt.want || proto != "HTTP/2.0" {
			t.Errorf("%s with IK %q: %q over %s, want %q over HTTP/2.0", tt.path, tt.ik, body, proto, tt.want)
		}
	}
	if body, _, _ := get("/api/x", "", cert); body != "/cert/api/x" {
		t.Errorf("with a certificate: %q", body)
	}
	_, _, before := get("/x", "")
	open, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close() }() // read to its end
	r := bufio.NewReader(open)
	answerTo(t, open, r, "GET", "GET /x HTTP/1.1\r\nHost: bmw.test\r\n\r\n")
	certificate(t, dir, "server")
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	if status, _, _, _ := answerTo(t, open, r, "GET", "GET /x HTTP/1.1\r\nHost: bmw.test\r\n\r\n"); status != 200 {
		t.Errorf("an open connection after the reload: %d", status)
	}
	if _, _, after := get("/x", ""); after == before {
		t.Error("the new certificate is not in use")
	}
	if err := os.WriteFile(files[0], []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Reload(); err == nil {
		t.Error("a broken certificate was taken")
	}
	get("/x", "")
}

var serial atomic.Int64 //nolint:gochecknoglobals // numbers certificates of tests

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T, dir, name string) (files [2]string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"bmw.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files = [2]string{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")}
	for i, b := range []*pem.Block{{Type: "CERTIFICATE", Bytes: der}, {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(files[i], pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestWebSocketsAndEventStreamsPassAndADrainCutsAndListsThem(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "websocket" {
			c, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }() // the test is over then
			_, _ = buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_ = buf.Flush() // seen by the client
			_, _ = io.Copy(c, buf)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ; i++ {
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush() // seen by the client
			select {
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}))
	defer up.Close()
	g := &gateway.Gateway{}
	tab := table(t, up.URL, operation.ModeRegular, 1)
	g.Set(tab)
	addr := listening(t, g, gateway.Limits{}, nil)
	ws, err := net.Dial("tcp", addr) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.Close() }() // read to its end
	_, _ = io.WriteString(ws, "GET /app/ws HTTP/1.1\r\nHost: bmw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	wr := bufio.NewReader(ws)
	resp, err := http.ReadResponse(wr, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	_, _ = io.WriteString(ws, "hallo")
	echo := make([]byte, 5)
	if _, err := io.ReadFull(wr, echo); err != nil || string(echo) != "hallo" {
		t.Fatalf("%q %v", echo, err)
	}
	sse, err := net.Dial("tcp", addr) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sse.Close() }() // read to its end
	_, _ = io.WriteString(sse, "GET /app/events HTTP/1.1\r\nHost: bmw.test\r\n\r\n")
	lines := bufio.NewReader(sse)
	for line := ""; !strings.Contains(line, "data: 3"); {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	g.Set(table(t, up.URL, operation.ModeNotice, 2))
	if v := g.Obeyed()[placement]; v != 0 {
		t.Fatalf("obeyed %d with two requests under way", v)
	}
	if cut := g.Drain(time.Hour); len(cut) != 0 {
		t.Errorf("cut before the limit: %v", cut)
	}
	if cut := g.Drain(0); len(cut) != 2 || cut[0].Placement != placement {
		t.Errorf("cut %v, want both", cut)
	}
	if _, err := io.Copy(io.Discard, sse); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("stream: %v", err)
	}
	_, _ = io.Copy(io.Discard, wr)
	for deadline := time.Now().Add(3 * time.Second); g.Obeyed()[placement] != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("obeyed %d after the drain", g.Obeyed()[placement])
		}
	}
}

func TestASlowClientIsCutOffAndOthersAreNot(t *testing.T) {
	g := &gateway.Gateway{Keeper: &shelf{}}
	g.Set(table(t, "http://127.0.0.1:1", operation.ModeBuffer, 1))
	addr := listening(t, g, gateway.Limits{Header: 200 * time.Millisecond, Stall: 200 * time.Millisecond, HeaderBytes: 8 << 10}, nil)
	began := time.Now()
	for _, text := range []string{
		"POST /app HTTP/1.1\r\nHost: bm",
		"POST /app HTTP/1.1\r\nHost: bmw.test\r\nContent-Length: 10\r\n\r\nabc",
	} {
		c, err := net.Dial("tcp", addr) //nolint:noctx // ends with the test
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, text)
		_ = c.SetReadDeadline(time.Now().Add(3 * time.Second)) // a socket has deadlines
		b, err := io.ReadAll(c)
		if err != nil || bytes.HasPrefix(b, []byte("HTTP/1.1 2")) {
			t.Errorf("a client that stalls got %q, %v", b, err)
		}
		_ = c.Close() // read to its end
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("cut off after %v", took)
	}
	if answer := raw(t, addr, "GET /app HTTP/1.1\r\nHost: bmw.test\r\nX: "+strings.Repeat("a", 16<<10)+"\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 431") {
		t.Errorf("a huge header: %.40q", answer)
	}
	c, err := net.Dial("tcp", addr) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // read to its end
	_, _ = io.WriteString(c, "POST /app HTTP/1.1\r\nHost: bmw.test\r\nContent-Length: 6\r\n\r\n")
	for range 6 { // slower than the limit in all, but never stalling
		time.Sleep(60 * time.Millisecond)
		_, _ = io.WriteString(c, "x")
	}
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 202 {
		t.Errorf("a slow client that goes on: %v %v", resp, err)
	}
}
