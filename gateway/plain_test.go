package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/gateway"
	"leitstand/operation"
)

// dial opens a connection to a gateway that ends with the test; what stalls fails.
func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // read to its end
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// answerTo writes a request and reads its answer whole.
func answerTo(t *testing.T, c net.Conn, r *bufio.Reader, method, text string) (status int, header http.Header, body string, trailer http.Header) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return resp.StatusCode, resp.Header, string(b), resp.Trailer
}

// answering is a regular system with many kinds of answers, by path.
func answering(w http.ResponseWriter, r *http.Request) {
	switch h := w.Header(); r.URL.Path {
	case "/app/short":
		_, _ = io.WriteString(w, "kurz") // as below: a client that is gone is seen by the test
	case "/app/none":
		w.WriteHeader(http.StatusNoContent)
	case "/app/same":
		h.Set("Etag", `"1"`)
		w.WriteHeader(http.StatusNotModified)
	case "/app/long":
		h.Set("Content-Length", "100000")
		_, _ = io.WriteString(w, strings.Repeat("x", 100000))
	case "/app/stream":
		h.Set("Trailer", "X-Sum")
		for i := range 3 {
			_, _ = fmt.Fprintf(w, "%d %s\n", i, strings.Repeat("y", 20000*i))
			_ = http.NewResponseController(w).Flush()
		}
		h.Set("X-Sum", "3")
	case "/app/early":
		w.WriteHeader(http.StatusEarlyHints)
		h.Add("Set-Cookie", "a=1")
		h.Add("Set-Cookie", "b=2")
		h.Set("Connection", "X-Hop")
		h.Set("X-Hop", "only here")
		_, _ = io.WriteString(w, "spät")
	case "/app/echo":
		b, _ := io.ReadAll(r.Body)
		h.Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, "%s %s", r.Method, b)
	}
}

// TestPlainRequestsAreAnsweredAsNetHTTPDoes compares the answers to plain requests
// with those to the same in a form that net/http serves.
func TestPlainRequestsAreAnsweredAsNetHTTPDoes(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(answering))
	defer up.Close()
	g := &gateway.Gateway{}
	g.Set(table(t, up.URL, operation.ModeRegular, 1))
	addr := listening(t, g, gateway.Limits{}, nil)
	plain, pr := dial(t, addr) // stays plain: all on one connection
	for _, path := range []string{"short", "none", "same", "long", "stream", "early", "echo", "missing"} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			head := method + " /app/" + path + " HTTP/1.1\r\nHost: bmw.test\r\n"
			body := "\r\n"
			if method == "POST" {
				body = "Content-Length: 5\r\n\r\nhallo"
			}
			ps, ph, pb, pt := answerTo(t, plain, pr, method, head+body)
			c, r := dial(t, addr)
			ws, wh, wb, wt := answerTo(t, c, r, method, head+"Te: trailers\r\n"+body)
			for _, h := range []http.Header{ph, wh} {
				if h.Get("Date") == "" || h.Get("X-Hop") != "" {
					t.Errorf("%s %s: %v", method, path, h)
				}
				delete(h, "Date")
			}
			if wh.Get("Content-Type") != "" && ph.Get("Content-Type") == "" {
				delete(wh, "Content-Type") // net/http guesses one where the regular side named none
			}
			if ps != ws || pb != wb || !cmp.Equal(pt, wt) || !cmp.Equal(ph, wh) {
				t.Errorf("%s %s: %d %.40q %v, want %d %.40q %v\n%s", method, path, ps, pb, pt, ws, wb, wt, cmp.Diff(wh, ph))
			}
		}
	}
}

func TestRequestsSentAtOnceAreAnsweredInOrderAlsoWhenNetHTTPTakesOver(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(answering))
	defer up.Close()
	g := &gateway.Gateway{}
	g.Set(table(t, up.URL, operation.ModeRegular, 1))
	c, r := dial(t, listening(t, g, gateway.Limits{}, nil))
	const head = "POST /app/echo HTTP/1.1\r\nHost: bmw.test\r\n"
	text := head + "Content-Length: 4\r\n\r\neins" + head + "Content-Length: 4\r\n\r\nzwei" +
		head + "Transfer-Encoding: chunked\r\n\r\n4\r\ndrei\r\n0\r\n\r\n" + head + "Content-Length: 4\r\n\r\nvier"
	go func() {
		for i := range len(text) { // byte by byte
			if _, err := c.Write([]byte{text[i]}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for _, want := range []string{"POST eins", "POST zwei", "POST drei", "POST vier"} {
		if _, _, body, _ := answerTo(t, c, r, "POST", ""); body != want {
			t.Fatalf("%q, want %q", body, want)
		}
	}
	if _, err := io.WriteString(c, strings.Repeat(head+"Content-Length: 1\r\n\r\na", 50)); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, _, body, _ := answerTo(t, c, r, "POST", ""); body != "POST a" {
			t.Fatalf("%q", body)
		}
	}
}

// waiting is a regular system that tells when a request has come and when it was given up.
func waiting(t *testing.T) (url string, came, left chan struct{}) {
	came, left = make(chan struct{}, 8), make(chan struct{}, 8)
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	}))
	t.Cleanup(up.Close)
	return up.URL, came, left
}

func TestARequestWhoseClientIsGoneIsGivenUp(t *testing.T) {
	url, came, left := waiting(t)
	g := &gateway.Gateway{}
	g.Set(table(t, url, operation.ModeRegular, 1))
	addr := listening(t, g, gateway.Limits{}, nil)
	for _, more := range []string{"", "Te: trailers\r\n"} { // here and at net/http
		c, _ := dial(t, addr)
		if _, err := io.WriteString(c, "GET /app/x HTTP/1.1\r\nHost: bmw.test\r\n"+more+"\r\n"); err != nil {
			t.Fatal(err)
		}
		<-came
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		<-left
	}
}

func TestADrainEndsPlainRequestsToo(t *testing.T) {
	url, came, left := waiting(t)
	g := &gateway.Gateway{}
	g.Set(table(t, url, operation.ModeRegular, 1))
	c, r := dial(t, listening(t, g, gateway.Limits{}, nil))
	if _, err := io.WriteString(c, "POST /app/x HTTP/1.1\r\nHost: bmw.test\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-came
	g.Set(table(t, url, operation.ModeNotice, 2))
	if cut := g.Drain(0); len(cut) != 1 || cut[0].Method != "POST" {
		t.Errorf("cut %v", cut)
	}
	<-left
	if status, _, _, _ := answerTo(t, c, r, "POST", ""); status != 503 {
		t.Errorf("status %d, want 503", status)
	}
}

// TestTheEndOfServingLetsRequestsEnd: what is under way is answered, and told that
// the connection ends; who waits for nothing is let go.
func TestTheEndOfServingLetsRequestsEnd(t *testing.T) {
	came, release := make(chan struct{}), make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/app/slow" {
			came <- struct{}{}
			<-release
		}
		_, _ = io.WriteString(w, "ganz") // a client that is gone is seen by the test
	}))
	defer up.Close()
	g := &gateway.Gateway{}
	g.Set(table(t, up.URL, operation.ModeRegular, 1))
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- gateway.NewFront(g, gateway.Limits{}, nil).Serve(ctx, l, time.Minute) }()
	addr := l.Addr().String()
	idle, ir := dial(t, addr)
	answerTo(t, idle, ir, "GET", "GET /app/x HTTP/1.1\r\nHost: bmw.test\r\n\r\n")
	busy := map[net.Conn]*bufio.Reader{}
	for _, more := range []string{"", "Te: trailers\r\n"} {
		c, r := dial(t, addr)
		busy[c] = r
		if _, err := io.WriteString(c, "GET /app/slow HTTP/1.1\r\nHost: bmw.test\r\n"+more+"\r\n"); err != nil {
			t.Fatal(err)
		}
		<-came
	}
	stop()
	if _, err := ir.ReadByte(); err == nil {
		t.Error("an idle connection got something at the end")
	}
	close(release)
	for c, r := range busy {
		if status, _, body, _ := answerTo(t, c, r, "GET", ""); status != 200 || body != "ganz" {
			t.Errorf("%d %q", status, body)
		}
		if _, err := r.ReadByte(); err == nil {
			t.Error("the connection goes on after the end")
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestASurplusAnswerReachesNobody: a regular system that answers twice, or more than
// it announced, must not put words into the answer to somebody else's request.
func TestASurplusAnswerReachesNobody(t *testing.T) {
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // the test is over
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }() // read to its end
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					answer := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
					if strings.HasSuffix(req.URL.Path, "/evil") {
						answer += evil + evil
					}
					if _, err := io.WriteString(c, answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	g := &gateway.Gateway{}
	g.Set(table(t, "http://"+l.Addr().String(), operation.ModeRegular, 1))
	c, r := dial(t, listening(t, g, gateway.Limits{}, nil))
	for range 20 {
		for _, path := range []string{"evil", "x"} {
			if _, _, body, _ := answerTo(t, c, r, "GET", "GET /app/"+path+" HTTP/1.1\r\nHost: bmw.test\r\n\r\n"); body != "good" {
				t.Fatalf("%s: %q", path, body)
			}
		}
	}
}

// TestAClientThatTakesNothingIsCutOff: it would hold its connection and the one to
// the regular system for ever.
func TestAClientThatTakesNothingIsCutOff(t *testing.T) {
	left := make(chan struct{}, 2)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				left <- struct{}{}
				return
			}
		}
	}))
	defer up.Close()
	g := &gateway.Gateway{}
	g.Set(table(t, up.URL, operation.ModeRegular, 1))
	addr := listening(t, g, gateway.Limits{Stall: 100 * time.Millisecond}, nil)
	for _, more := range []string{"", "Te: trailers\r\n"} { // here and at net/http
		c, _ := dial(t, addr)
		if _, err := io.WriteString(c, "GET /app/x HTTP/1.1\r\nHost: bmw.test\r\n"+more+"\r\n"); err != nil {
			t.Fatal(err)
		}
		<-left // else the test never ends
	}
}
