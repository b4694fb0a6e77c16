package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// direct forwards plain requests over plain HTTP/1.1 on the goroutine that serves
// them. net/http's transport keeps two goroutines for each connection and hands
// every request over twice, which costs more than everything else here. What is
// not plain (upgrades, long or chunked bodies, TLS) takes the transport.
type direct struct {
	addr, base string

	mu   sync.Mutex
	idle []*upConn // the newest last
}

const (
	directBody   = 64 << 10 // longest request body, in bytes: it fits into the socket while nobody reads
	directIdle   = 512      // connections kept
	directAge    = 30 * time.Second
	answerHeader = 1 << 20          // bytes
	answerWithin = 45 * time.Second // from the request to the header of the answer, at least
)

// upConn is a connection to a regular system.
type upConn struct {
	net.Conn
	raw    syscall.RawConn
	limit  io.LimitedReader // of what r may read: a header must end some time
	r      *bufio.Reader
	out    []byte
	parked time.Time // when the last request on it began
	until  time.Time // its deadline; zero: none
	look   func(fd uintptr)
	silent bool // what look saw
}

// newDirect is nil for what needs the transport.
func newDirect(target *url.URL) *direct {
	if target.Scheme != "http" || target.RawQuery != "" || target.User != nil {
		return nil
	}
	addr := target.Host
	if target.Port() == "" {
		addr = net.JoinHostPort(target.Hostname(), "80")
	}
	return &direct{addr: addr, base: strings.TrimSuffix(target.EscapedPath(), "/")}
}

// plain reports whether a request can go the direct way.
func plain(r *http.Request) bool {
	if r.ContentLength < 0 || r.ContentLength > directBody || len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 ||
		r.Method == http.MethodConnect || r.Header["Upgrade"] != nil || r.Header["Expect"] != nil || r.URL.Opaque != "" {
		return false
	}
	for i := range len(r.Method) { // HTTP/2 lets more through than a request line may hold
		if c := r.Method[i]; (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	for i := range len(r.URL.RawQuery) {
		if c := r.URL.RawQuery[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return strings.HasPrefix(r.URL.Path, "/")
}

// get takes a connection that is still open, or opens one.
func (u *direct) get(t *traveller, r *http.Request) (*upConn, error) {
	for {
		u.mu.Lock()
		n := len(u.idle)
		if n == 0 {
			u.mu.Unlock()
			break
		}
		c := u.idle[n-1]
		u.idle = u.idle[:n-1]
		u.mu.Unlock()
		if t.cut.Began.Sub(c.parked) < directAge && c.quiet() {
			return c, nil
		}
		_ = c.Close() // the other side has closed it, or soon will
	}
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.context(r.Context()), "tcp", u.addr)
	if err != nil {
		return nil, err
	}
	c := &upConn{Conn: conn, limit: io.LimitedReader{R: conn, N: math.MaxInt64}}
	c.r = bufio.NewReaderSize(&c.limit, 8<<10)
	c.look = c.peek
	if tcp, ok := conn.(*net.TCPConn); ok {
		if c.raw, err = tcp.SyscallConn(); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return c, nil
}

func (u *direct) put(c *upConn, t *traveller) {
	c.parked = t.cut.Began
	u.mu.Lock()
	keep := len(u.idle) < directIdle
	if keep {
		u.idle = append(u.idle, c)
	}
	u.mu.Unlock()
	if !keep {
		_ = c.Close() // enough are kept
	}
}

// quiet reports whether an idle connection is open and has nothing to say: an
// answer that nobody asked for must never become the answer to the next request.
func (c *upConn) quiet() bool {
	if c.r.Buffered() > 0 || c.raw == nil {
		return false
	}
	c.silent = false
	return c.raw.Control(c.look) == nil && c.silent
}

func (c *upConn) peek(fd uintptr) {
	var b [1]byte
	_, err := syscall.Read(int(fd), b[:]) // sockets of Go do not block; what has something to say is closed anyway
	c.silent = errors.Is(err, syscall.EAGAIN)
}

// within gives what is sent and the header of its answer a time limit, of once to
// twice answerWithin: a deadline for each request would cost more than it is worth.
func (c *upConn) within(t *traveller) error {
	if left := c.until.Sub(t.cut.Began); left >= answerWithin && left <= 2*answerWithin {
		return t.on(c)
	}
	c.until = time.Now().Add(2 * answerWithin)
	return t.waits(c, c.until)
}

// serve forwards one request. begun says that the client has been answered, so
// that an error can only be shown by breaking off.
func (u *direct) serve(t *traveller, w http.ResponseWriter, r *http.Request, d *Door) (begun bool, err error) {
	c, err := u.get(t, r)
	if err != nil {
		return false, t.cause(err)
	}
	reuse := false
	defer func() {
		if !t.off() || !reuse {
			_ = c.Close() // what is on it belongs to nobody
			return
		}
		u.put(c, t)
	}()
	if err := c.within(t); err != nil {
		return false, t.cause(err)
	}
	if err := u.send(t, c, r, d); err != nil {
		return false, t.cause(err)
	}
	c.limit.N = answerHeader
	resp, err := http.ReadResponse(c.r, r) //nolint:bodyclose // answerClient closes it at its end; elsewhere the connection is closed with it
	for err == nil && resp.StatusCode < 200 {
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return false, errors.New("the regular system changed the protocol unasked")
		}
		resp, err = http.ReadResponse(c.r, r) //nolint:bodyclose // as above
	}
	if err != nil {
		return false, t.cause(err)
	}
	c.limit.N = math.MaxInt64
	if resp.ContentLength < 0 || resp.ContentLength > int64(c.r.Buffered()) { // a long answer may take its time
		c.until = time.Time{}
		if err := t.waits(c, c.until); err != nil {
			return false, t.cause(err)
		}
	}
	whole, err := answerClient(w, resp)
	reuse = whole && !resp.Close && resp.ProtoAtLeast(1, 1)
	return true, t.cause(err)
}

// send writes a request, its body included.
func (u *direct) send(t *traveller, c *upConn, r *http.Request, d *Door) error {
	b := append(c.out[:0], r.Method...)
	b = append(b, ' ')
	b = append(append(b, u.base...), r.URL.EscapedPath()...)
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		b = append(append(b, '?'), r.URL.RawQuery...)
	}
	b = append(append(append(b, " HTTP/1.1\r\nHost: "...), r.Host...), "\r\n"...)
	listed := r.Header["Connection"]
	for name, values := range r.Header {
		if !travels(name) || len(listed) > 0 && names(listed, name) {
			continue
		}
		for _, v := range values {
			b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
		}
	}
	if ip, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		b = append(append(append(b, "X-Forwarded-For: "...), ip...), "\r\n"...)
	}
	b = append(append(append(b, "X-Forwarded-Host: "...), r.Host...), "\r\nX-Forwarded-Proto: http"...)
	if r.TLS != nil {
		b = append(b, 's')
	}
	b = strconv.AppendInt(append(b, "\r\n"+EpochHeader+": "...), d.Row.Epoch, 10)
	if r.ContentLength > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch {
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), r.ContentLength, 10)
	}
	b = append(b, "\r\n\r\n"...)
	if n := int(r.ContentLength); n > 0 {
		at := len(b)
		b = append(b, make([]byte, n)...)
		if _, err := io.ReadFull(r.Body, b[at:]); err != nil {
			return errors.Join(context.Canceled, err) // the client broke off
		}
	}
	if c.out = b; cap(c.out) > 16<<10 {
		c.out = nil // a rare long one is not kept
	}
	if t.writes && t.gateway.Lapsed() { // since it was asked at the door, a connection may have been opened
		return ErrCut
	}
	_, err := c.Write(b)
	return err
}

// travels reports whether a client's header goes on: not those of one hop, and
// not what only a proxy may say.
func travels(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Forwarded", "Content-Length", "Host", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		return false
	}
	return !strings.HasPrefix(name, "X-Leitstand-")
}

// names reports whether a Connection header lists a header.
func names(listed []string, name string) bool {
	for _, l := range listed {
		for n := range strings.SplitSeq(l, ",") {
			if strings.EqualFold(strings.TrimSpace(n), name) {
				return true
			}
		}
	}
	return false
}

// answers reports whether a header of an answer goes on to the client: not those of
// one hop, and not what the gateway says itself.
func answers(name string, listed []string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Leitstand-Door":
		return false
	}
	return len(listed) == 0 || !names(listed, name)
}

// answerClient hands an answer to the client; whole says that it was read to its end.
func answerClient(w http.ResponseWriter, resp *http.Response) (whole bool, err error) {
	h := w.Header()
	listed := resp.Header["Connection"]
	if a, ok := w.(*plainAnswer); ok {
		a.start(resp.StatusCode, resp.Header, listed)
	} else {
		for name, values := range resp.Header {
			if answers(name, listed) {
				h[name] = values
			}
		}
		w.WriteHeader(resp.StatusCode)
	}
	buf, _ := copyBuffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
		*buf = make([]byte, bufferSize)
	}
	defer copyBuffers.Put(buf)
	stream := resp.ContentLength < 0
	for {
		n, err := resp.Body.Read(*buf)
		if n > 0 {
			if _, err := w.Write((*buf)[:n]); err != nil {
				return false, errors.Join(context.Canceled, err) // the client is gone
			}
			if stream {
				_ = http.NewResponseController(w).Flush() // what cannot flush has no stream to wait for
			}
		}
		if errors.Is(err, io.EOF) {
			for name, values := range resp.Trailer {
				h[http.TrailerPrefix+name] = values
			}
			return true, resp.Body.Close()
		}
		if err != nil {
			return false, err
		}
	}
}

var copyBuffers sync.Pool //nolint:gochecknoglobals // a pool of buffers has no state that anybody sees
