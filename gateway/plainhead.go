package gateway

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

// plainLines bounds the headers of a plain request.
const plainLines = 64

// mayBePlain says whether what was read so far can become the header of a plain
// request. Lines that end in a bare line feed cannot.
func mayBePlain(b []byte) bool {
	if len(b) > 0 && (b[0] < 'A' || b[0] > 'Z') {
		return false
	}
	for from := 0; ; {
		n := bytes.IndexByte(b[from:], '\n')
		if n < 0 {
			return true
		}
		if at := from + n; at == 0 || b[at-1] != '\r' {
			return false
		}
		from += n + 1
	}
}

// plainRequest reads a header that ends with an empty line. It returns nil for every
// request that somebody could read in another way, and for everything that is not
// needed often: net/http decides about those. What passes is a strict part of RFC
// 9112: one of seven methods, an absolute path, HTTP/1.1, names that are tokens,
// values without control characters, no folding, one Host, at most one
// Content-Length of digits alone, no Transfer-Encoding, Upgrade, Expect or Trailer.
func plainRequest(head []byte) *http.Request {
	line, rest, _ := strings.Cut(string(head), "\r\n")
	method, line, _ := strings.Cut(line, " ")
	target, proto, _ := strings.Cut(line, " ")
	if proto != "HTTP/1.1" || !plainMethod(method) || !plainTarget(target) {
		return nil
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil
	}
	r := &http.Request{
		Method: method, URL: u, Proto: proto, ProtoMajor: 1, ProtoMinor: 1, RequestURI: target,
		Header: make(http.Header, 8), Body: http.NoBody, ContentLength: -1,
	}
	values := make([]string, 0, 16) // of all headers in one piece
	for range plainLines {
		if line, rest, _ = strings.Cut(rest, "\r\n"); line == "" {
			r.ContentLength = max(r.ContentLength, 0)
			return takeHost(r)
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !plainName(name) || !plainValue(value) {
			return nil
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), strings.Trim(value, " \t")
		if !plainMeaning(r, name, value) {
			return nil
		}
		if old, twice := r.Header[name]; twice {
			r.Header[name] = append(old, value)
			continue
		}
		values = append(values, value)
		r.Header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return nil
}

// plainMeaning takes note of what a header says about the request itself; false is
// what is not plain.
func plainMeaning(r *http.Request, name, value string) bool {
	switch name {
	case "Transfer-Encoding", "Upgrade", "Expect", "Trailer", "Te", "Proxy-Connection", "Http2-Settings":
		return false
	case "Host":
		return r.Header["Host"] == nil
	case "Connection":
		r.Close = strings.EqualFold(value, "close")
		return r.Header["Connection"] == nil && (r.Close || strings.EqualFold(value, "keep-alive"))
	case "Content-Length":
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil || n > directBody || r.ContentLength >= 0 {
			return false
		}
		r.ContentLength = int64(n)
	}
	return true
}

// takeHost takes the host out of the headers, where net/http has it as well.
func takeHost(r *http.Request) *http.Request {
	host := r.Header["Host"]
	if len(host) != 1 || host[0] == "" {
		return nil
	}
	r.Host = host[0]
	for i := range len(r.Host) {
		c := r.Host[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != ':' && c != '[' && c != ']' {
			return nil
		}
	}
	delete(r.Header, "Host")
	return r
}

func plainMethod(m string) bool {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return true
	}
	return false
}

func plainTarget(s string) bool {
	if !strings.HasPrefix(s, "/") {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '#' {
			return false
		}
	}
	return true
}

// plainName says whether a header's name is a token of letters, digits, - and _:
// RFC 9110 knows more, which nobody uses.
func plainName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

func plainValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
