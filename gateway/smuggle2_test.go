package gateway_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"leitstand/gateway"
	"leitstand/operation"
)

// TestNothingIsSmuggledByHTTP2: what HTTP/2 can say and HTTP/1.1 cannot must not become
// another request on the way to the regular side.
func TestNothingIsSmuggledByHTTP2(t *testing.T) {
	var seen sync.Map
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // as a regular system would
		seen.Store(r.URL.Path+r.Header.Get("X-Injected"), r.Method)
	}))
	defer up.Close()
	g := &gateway.Gateway{}
	tab, err := door(operation.DoorRow{Answer: operation.Answer{Mode: operation.ModeRegular}}, gateway.Route{Upstream: up.URL})
	if err != nil {
		t.Fatal(err)
	}
	g.Set(tab)
	files, _ := certificate(t, t.TempDir(), "server")
	c, err := gateway.LoadCertificate(files[0], files[1])
	if err != nil {
		t.Fatal(err)
	}
	addr := listening(t, g, gateway.Limits{}, c.Config())
	const inner = "GET /smuggled HTTP/1.1\r\nHost: bmw.test\r\nX: "
	type fields = [][2]string
	for name, tt := range map[string]struct {
		head fields
		body string
	}{
		"less announced than sent": {fields{{"content-length", "0"}}, inner},
		"more announced than sent": {fields{{"content-length", "99"}}, "a"},
		"two lengths":              {fields{{"content-length", "0"}, {"content-length", "44"}}, inner},
		"chunked":                  {fields{{"transfer-encoding", "chunked"}}, "0\r\n\r\n" + inner},
		"a line in a value":        {fields{{"x-a", "b\r\nX-Injected: yes"}}, ""},
		"a request in a value":     {fields{{"x-a", "b\r\n\r\n" + inner}}, ""},
		"a line in a name":         {fields{{"x-a: b\r\nx-injected", "yes"}}, ""},
		"a colon in a name":        {fields{{"transfer-encoding: chunked\r\nx", "a"}}, inner},
		"a request in the path":    {fields{{":path", "/ HTTP/1.1\r\nHost: bmw.test\r\n\r\n" + inner}}, ""},
		"a request in the method":  {fields{{":method", "GET /smuggled HTTP/1.1\r\nX-Injected: yes\r\nX:"}}, ""},
		"a line in the host":       {fields{{":authority", "bmw.test\r\nX-Injected: yes"}}, ""},
		"a line in the scheme":     {fields{{":scheme", "https\r\nX-Injected: yes"}}, ""},
		"an upgrade":               {fields{{"connection", "upgrade"}, {"upgrade", "h2c"}}, ""},
	} {
		seen.Clear()
		sendHTTP2(t, addr, tt.head, tt.body)
		seen.Range(func(what, method any) bool {
			if what != "/outer" && what != "/" || method != "POST" {
				t.Errorf("%s: %v %q arrived", name, method, what)
			}
			return true
		})
	}
	seen.Clear()
	sendHTTP2(t, addr, fields{{"content-length", "1"}}, "a")
	if _, ok := seen.Load("/outer"); !ok {
		t.Error("a plain request did not arrive: the test shows nothing")
	}
}

// sendHTTP2 sends a request frame by frame, whatever is in it, and waits for its end.
func sendHTTP2(t *testing.T, addr string, head [][2]string, body string) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // read to its end
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(conn, conn)
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	pseudo := [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "bmw.test"}, {":path", "/outer"}}
	var rest [][2]string
	for _, h := range head {
		if h[0][0] != ':' {
			rest = append(rest, h)
			continue
		}
		for i := range pseudo {
			if pseudo[i][0] == h[0] {
				pseudo[i] = h
			}
		}
	}
	_, err = io.WriteString(conn, http2.ClientPreface)
	err = errors.Join(err, f.WriteSettings())
	for _, h := range append(pseudo, rest...) {
		err = errors.Join(err, enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}))
	}
	err = errors.Join(err, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == ""}))
	if body != "" {
		err = errors.Join(err, f.WriteData(1, true, []byte(body)))
	}
	if err != nil {
		t.Fatal(err)
	}
	for {
		fr, err := f.ReadFrame()
		if err != nil {
			return // the gateway has ended it
		}
		switch fr := fr.(type) {
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return
		case *http2.DataFrame, *http2.HeadersFrame:
			if fr.Header().Flags.Has(http2.FlagDataEndStream) {
				return
			}
		}
	}
}
