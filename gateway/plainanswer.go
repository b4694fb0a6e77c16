package gateway

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// plainAnswer is the answer to a plain request. It leaves in one piece where it is
// short; its length is announced, or it is chunked.
type plainAnswer struct {
	conn   *plainConn
	r      *http.Request
	header http.Header

	out     *[]byte // head, and what of the body waits behind it
	body    []byte  // what waits while nobody knows how long the answer is
	status  int     // 0: not begun
	length  int64   // announced; -1: not known
	written int64
	chunked bool
	none    bool // the answer has no body, whatever is written
	last    bool // the connection ends with it
	err     error
}

const (
	plainWait  = 4 << 10  // bytes of an answer of unknown length that wait for its end
	plainPiece = 16 << 10 // bytes that are copied together before they are written
)

func (a *plainAnswer) begin(r *http.Request) {
	*a = plainAnswer{conn: a.conn, r: r, header: a.header, body: a.body[:0], length: -1, last: r.Close}
	if a.header == nil {
		a.header = make(http.Header, 8)
	}
	p, ok := plainBuffers.Get().(*[]byte)
	if !ok {
		b := make([]byte, 0, plainHeader)
		p = &b
	}
	a.out = p
}

// release gives the buffer back.
func (a *plainAnswer) release() {
	clear(a.header)
	if cap(a.body) > plainWait {
		a.body = nil
	}
	if a.r = nil; cap(*a.out) <= 4*plainPiece {
		*a.out = (*a.out)[:0]
		plainBuffers.Put(a.out)
	}
	a.out = nil
}

// Header is as of [http.ResponseWriter].
func (a *plainAnswer) Header() http.Header { return a.header }

// WriteHeader begins the answer; what comes before it (1xx) is not sent.
func (a *plainAnswer) WriteHeader(status int) { a.start(status, nil, nil) }

// start begins the answer with more headers, except those that an answer of a
// regular system may not have or lists in its header Connection.
func (a *plainAnswer) start(status int, more http.Header, listed []string) {
	if a.status != 0 || status < 200 || status > 999 {
		return
	}
	a.status = status
	b := append(*a.out, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(append(b, ' '), http.StatusText(status)...), "\r\n"...)
	dated := false
	for name, values := range a.header {
		if more[name] != nil && answers(name, listed) {
			continue // theirs is newer
		}
		b = a.lines(b, name, values)
		dated = dated || name == "Date"
	}
	for name, values := range more {
		if answers(name, listed) {
			b = a.lines(b, name, values)
			dated = dated || name == "Date"
		}
	}
	if !dated {
		b = time.Now().UTC().AppendFormat(append(b, "Date: "...), http.TimeFormat)
		b = append(b, "\r\n"...)
	}
	if a.last = a.last || a.conn.server.closing.Load(); a.last {
		b = append(b, "Connection: close\r\n"...)
	}
	switch {
	case status == http.StatusNoContent || status == http.StatusNotModified:
		a.none = true
	case a.r.Method == http.MethodHead:
		a.none = true
		fallthrough
	default:
		if a.length >= 0 {
			b = strconv.AppendInt(append(b, "Content-Length: "...), a.length, 10)
			b = append(b, "\r\n"...)
		}
	}
	if a.none || a.length >= 0 {
		b = append(b, "\r\n"...)
	}
	*a.out = b
}

// lines appends a header, unless it is about this connection alone.
func (a *plainAnswer) lines(b []byte, name string, values []string) []byte {
	switch {
	case name == "Content-Length":
		if len(values) == 1 {
			if n, err := strconv.ParseUint(values[0], 10, 63); err == nil {
				a.length = int64(n)
			}
		}
		return b
	case name == "Connection":
		a.last = a.last || len(values) > 0 && strings.EqualFold(values[0], "close")
		return b
	case name == "Transfer-Encoding", strings.HasPrefix(name, http.TrailerPrefix):
		return b
	}
	for _, v := range values {
		b = append(append(b, name...), ": "...)
		at := len(b)
		b = append(b, v...)
		for i := at; i < len(b); i++ { // nobody begins a header of his own in the value of another
			if b[i] == '\r' || b[i] == '\n' || b[i] == 0 {
				b[i] = ' '
			}
		}
		b = append(b, "\r\n"...)
	}
	return b
}

// Write is as of [http.ResponseWriter].
func (a *plainAnswer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.err != nil || a.none {
		return len(p), a.err
	}
	if a.length >= 0 && a.written+int64(len(p)) > a.length {
		a.last = true
		return 0, http.ErrContentLength
	}
	a.written += int64(len(p))
	switch {
	case a.length < 0 && !a.chunked && len(a.body)+len(p) <= plainWait:
		a.body = append(a.body, p...)
	case a.length < 0:
		a.chunk()
		a.frame(p)
	default:
		a.push(p)
	}
	return len(p), a.err
}

// push writes, or lets short pieces wait for more.
func (a *plainAnswer) push(p []byte) {
	if len(*a.out)+len(p) <= plainPiece {
		*a.out = append(*a.out, p...)
		return
	}
	a.flush()
	if len(p) > plainPiece {
		if a.err == nil {
			a.err = a.conn.send(p)
		}
		return
	}
	*a.out = append(*a.out, p...)
}

// chunk ends the head of an answer whose length nobody knows.
func (a *plainAnswer) chunk() {
	if a.chunked || a.length >= 0 || a.none {
		return
	}
	a.chunked = true
	*a.out = append(*a.out, "Transfer-Encoding: chunked\r\n\r\n"...)
	a.frame(a.body)
	a.body = a.body[:0]
}

func (a *plainAnswer) frame(p []byte) {
	if len(p) == 0 {
		return // it would be the end
	}
	*a.out = append(strconv.AppendInt(*a.out, int64(len(p)), 16), "\r\n"...)
	a.push(p)
	*a.out = append(*a.out, "\r\n"...)
}

func (a *plainAnswer) flush() {
	if a.err == nil && len(*a.out) > 0 {
		a.err = a.conn.send(*a.out)
	}
	*a.out = (*a.out)[:0]
}

// FlushError sends what was written so far.
func (a *plainAnswer) FlushError() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	a.chunk()
	a.flush()
	return a.err
}

// finish ends the answer; keep says that another request may follow.
func (a *plainAnswer) finish() (keep bool) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	switch {
	case a.none:
	case a.chunked:
		*a.out = append(*a.out, "0\r\n"...)
		for name, values := range a.header {
			if trailer, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
				*a.out = a.lines(*a.out, trailer, values)
			}
		}
		*a.out = append(*a.out, "\r\n"...)
	case a.length < 0:
		*a.out = append(strconv.AppendInt(append(*a.out, "Content-Length: "...), int64(len(a.body)), 10), "\r\n\r\n"...)
		a.push(a.body)
	case a.written < a.length:
		a.err = errors.Join(a.err, http.ErrContentLength) // the client must see that it is not whole
		a.last = true
	}
	a.flush()
	return a.err == nil && !a.last
}
