package gateway

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plainHeads are headers as clients and attackers write them, and whether they are plain.
func plainHeads() map[string]bool {
	const host = "Host: bmw.test\r\n"
	return map[string]bool{
		"GET / HTTP/1.1\r\n" + host + "\r\n": true,
		"GET /a%20b?x=%2f&y HTTP/1.1\r\nhost: bmw.test:8470\r\naccept: a\r\nAccept: b\r\nX_y:\t c \r\nConnection: Keep-Alive\r\n\r\n": true,
		"POST /a HTTP/1.1\r\n" + host + "Content-Length: 17\r\nConnection: close\r\n\r\n":                                             true,
		"PUT /ü HTTP/1.1\r\n" + host + "\r\n":                                               false,
		"GET /\xc3\xbc HTTP/1.1\r\n" + host + "\r\n":                                        false,
		"GET / HTTP/1.1\r\n\r\n":                                                            false, // no host
		"GET / HTTP/1.1\r\n" + host + host + "\r\n":                                         false,
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n":                                               false,
		"GET / HTTP/1.0\r\n" + host + "\r\n":                                                false,
		"GET  / HTTP/1.1\r\n" + host + "\r\n":                                               false,
		"GET http://bmw.test/ HTTP/1.1\r\n" + host + "\r\n":                                 false,
		"GET * HTTP/1.1\r\n" + host + "\r\n":                                                false,
		"GET /a#b HTTP/1.1\r\n" + host + "\r\n":                                             false,
		"GET /%zz HTTP/1.1\r\n" + host + "\r\n":                                             false,
		"BREW / HTTP/1.1\r\n" + host + "\r\n":                                               false,
		"GET / HTTP/1.1\n" + host + "\r\n\r\n":                                              false,
		"GET / HTTP/1.1\r\n" + host + "A: b\nContent-Length: 3\r\n\r\n":                     false,
		"GET / HTTP/1.1\r\n" + host + "A: b\r\n folded\r\n\r\n":                             false,
		"GET / HTTP/1.1\r\n" + host + "A : b\r\n\r\n":                                       false,
		"GET / HTTP/1.1\r\n" + host + "A: b\x00\r\n\r\n":                                    false,
		"GET / HTTP/1.1\r\n" + host + "A: b\rc\r\n\r\n":                                     false,
		"GET / HTTP/1.1\r\n" + host + "no colon\r\n\r\n":                                    false,
		"POST / HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n":     false,
		"POST / HTTP/1.1\r\n" + host + "Content-Length: 1, 1\r\n\r\n":                       false,
		"POST / HTTP/1.1\r\n" + host + "Content-Length: +1\r\n\r\n":                         false,
		"POST / HTTP/1.1\r\n" + host + "Content-Length: 0x1\r\n\r\n":                        false,
		"POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n":                            false,
		"POST / HTTP/1.1\r\n" + host + "Content-Length: 65537\r\n\r\n":                      false,
		"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n":                 false,
		"POST / HTTP/1.1\r\n" + host + "transfer-encoding: identity\r\n\r\n":                false,
		"POST / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\n\r\n":                       false,
		"GET / HTTP/1.1\r\n" + host + "Upgrade: h2c\r\n\r\n":                                false,
		"GET / HTTP/1.1\r\n" + host + "Connection: close, X-A\r\n\r\n":                      false,
		"GET / HTTP/1.1\r\n" + host + "Connection: keep-alive\r\nConnection: close\r\n\r\n": false,
		"GET / HTTP/1.1\r\n" + host + "TE: trailers\r\n\r\n":                                false,
		"PRI * HTTP/2.0\r\n\r\n":                                                            false,
	}
}

func TestOnlyWhatCannotBeMisreadIsPlain(t *testing.T) {
	for head, want := range plainHeads() {
		if got := plainRequest([]byte(head)); (got != nil) != want {
			t.Errorf("%q: plain %v, want %v", head, got != nil, want)
		}
	}
}

// FuzzPlainRequest: what is taken for plain is what net/http would have read.
func FuzzPlainRequest(f *testing.F) {
	for head := range plainHeads() {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			return
		}
		head := b[:end+4]
		got := plainRequest(head)
		if got == nil {
			return
		}
		if !mayBePlain(head) {
			t.Fatalf("%q is plain, but its beginnings are not", head)
		}
		r := bufio.NewReader(bytes.NewReader(head))
		want, err := http.ReadRequest(r)
		if err != nil {
			t.Fatalf("%q is plain, net/http refuses it: %v", head, err)
		}
		if r.Buffered() > 0 && want.ContentLength == 0 {
			t.Fatalf("%q: net/http reads another end", head)
		}
		if want.Header.Get("Pragma") == "no-cache" { // net/http adds what it means
			delete(want.Header, "Cache-Control")
			delete(got.Header, "Cache-Control")
		}
		delete(want.Header, "Connection") // net/http takes some of it away
		delete(got.Header, "Connection")
		type reading struct {
			Method, Host, URI, Path, RawPath, Query string
			Length                                  int64
			Close                                   bool
			Header                                  http.Header
		}
		of := func(r *http.Request) reading {
			return reading{r.Method, r.Host, r.RequestURI, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.ContentLength, r.Close, r.Header}
		}
		if diff := cmp.Diff(of(want), of(got)); diff != "" {
			t.Fatalf("%q is read in another way (-net/http +here):\n%s", head, diff)
		}
	})
}
