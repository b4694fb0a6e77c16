package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// plainHeader bounds the header of a plain request, in bytes; a longer one is net/http's.
const plainHeader = 8 << 10

// plainConn is a client's connection on which only plain requests came so far. While
// it waits for the next one it holds no buffer.
type plainConn struct {
	*net.TCPConn
	server *plainServer
	raw    syscall.RawConn
	remote string
	ctx    context.Context //nolint:containedctx // of its requests: ends with the connection
	cancel context.CancelFunc
	answer plainAnswer

	in         *[]byte // what was read and is not served yet; nil: nothing
	came       error   // how the last read ended
	first      func(fd uintptr) bool
	reads      time.Time // deadlines as they are set; zero: none
	writesTill time.Time

	turn  atomic.Int64              // odd while a request is under way
	seen  int64                     // turn at the last look; of watch alone
	under atomic.Pointer[traveller] // the request at the regular side
}

func newPlainConn(s *plainServer, tcp *net.TCPConn) (*plainConn, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &plainConn{TCPConn: tcp, server: s, raw: raw, remote: tcp.RemoteAddr().String()}
	c.ctx, c.cancel = context.WithCancel(s.base)
	c.answer.conn = c
	c.first = c.readFirst
	return c, nil
}

// serve serves requests until the connection ends. What it returns is for net/http:
// the connection, with what was read of it.
func (c *plainConn) serve() net.Conn {
	defer c.drop()
	for !c.server.closing.Load() {
		size, err := c.head()
		if err != nil {
			return nil
		}
		var r *http.Request
		if size > 0 {
			r = plainRequest((*c.in)[:size])
		}
		if r == nil {
			if c.SetDeadline(time.Time{}) != nil {
				return nil
			}
			return &unread{Conn: c.TCPConn, head: bytes.Clone(*c.in)}
		}
		if err := c.body(r, size); err != nil {
			return nil
		}
		r.RemoteAddr = c.remote
		c.turn.Add(1)
		keep := c.pass(r.WithContext(c.ctx))
		c.turn.Add(1)
		if !keep {
			return nil
		}
	}
	return nil
}

// head reads until the header of a request is whole and says how long it is; 0 is a
// request that is not plain.
func (c *plainConn) head() (size int, err error) {
	limits := &c.server.front.limits
	if c.in == nil {
		if now := time.Now(); c.reads.Sub(now) < limits.Idle {
			if err := c.readBy(now.Add(limits.Idle + limits.Idle/4)); err != nil {
				return 0, err
			}
		}
		if c.server.closing.Load() { // the deadline may have replaced the one of shutdown
			return 0, net.ErrClosed
		}
		if err := errors.Join(c.raw.Read(c.first), c.came); err != nil {
			return 0, err
		}
	}
	for began := false; ; {
		b := *c.in
		if i := bytes.Index(b, []byte("\r\n\r\n")); i >= 0 {
			return i + 4, nil
		}
		if len(b) >= plainHeader || len(b) >= limits.HeaderBytes || !mayBePlain(b) {
			return 0, nil
		}
		if !began { // the usual request comes in one piece and needs no deadline of its own
			began = true
			if err := c.readBy(time.Now().Add(limits.Header)); err != nil {
				return 0, err
			}
		}
		n, err := c.Read(b[len(b):cap(b)])
		if err != nil {
			return 0, err
		}
		*c.in = b[:len(b)+n]
	}
}

// readFirst reads the first bytes of a request into a buffer that it takes for them.
func (c *plainConn) readFirst(fd uintptr) bool {
	p, ok := plainBuffers.Get().(*[]byte)
	if !ok {
		b := make([]byte, 0, plainHeader)
		p = &b
	}
	var n int
	for {
		n, c.came = syscall.Read(int(fd), (*p)[:plainHeader])
		if !errors.Is(c.came, syscall.EINTR) {
			break
		}
	}
	if c.came == nil && n == 0 {
		c.came = io.EOF
	}
	if c.came != nil {
		plainBuffers.Put(p)
		return !errors.Is(c.came, syscall.EAGAIN)
	}
	*p = (*p)[:n]
	c.in = p
	return true
}

// body reads the body of a request whole and takes the request out of what was read.
func (c *plainConn) body(r *http.Request, head int) error {
	rest := (*c.in)[head:]
	n := int(r.ContentLength)
	if n > 0 {
		b := make([]byte, n)
		have := copy(b, rest)
		rest = rest[have:]
		for have < n {
			if err := c.readBy(time.Now().Add(c.server.front.limits.Stall)); err != nil {
				return err
			}
			more, err := c.Read(b[have:])
			if have += more; err != nil {
				return err
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	if *c.in = append((*c.in)[:0], rest...); len(rest) == 0 {
		c.drop()
	}
	return nil
}

// drop gives the buffer back.
func (c *plainConn) drop() {
	if c.in != nil {
		*c.in = (*c.in)[:0]
		plainBuffers.Put(c.in)
		c.in = nil
	}
}

func (c *plainConn) readBy(t time.Time) error {
	c.reads = t
	return c.SetReadDeadline(t)
}

// send writes, as long as the client takes something now and then.
func (c *plainConn) send(b []byte) error {
	if now, stall := time.Now(), c.server.front.limits.Stall; c.writesTill.Sub(now) < stall {
		c.writesTill = now.Add(2 * stall)
		if err := c.SetWriteDeadline(c.writesTill); err != nil {
			return err
		}
	}
	_, err := c.Write(b)
	return err
}

// pass hands a request to the handler; keep says that another may follow.
func (c *plainConn) pass(r *http.Request) (keep bool) {
	defer func() {
		if e := recover(); e != nil { // as net/http does
			keep = false
			if err, ok := e.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				c.server.front.http.ErrorLog.Printf("panic serving a request: %v\n%s", e, debug.Stack())
			}
		}
		c.answer.release()
	}()
	c.answer.begin(r)
	c.server.front.next.ServeHTTP(&c.answer, r)
	return c.answer.finish()
}

// travels makes look interrupt a request whose client is gone.
func (c *plainConn) travels(t *traveller) (ended func()) {
	c.under.Store(t)
	if c.ctx.Err() != nil {
		t.interrupt(context.Canceled) // who ended it may not have seen this request
	}
	return c.arrived
}

func (c *plainConn) arrived() { c.under.Store(nil) }

// look ends a request that has been under way since the last look, if its client is gone.
func (c *plainConn) look() {
	turn := c.turn.Load()
	if turn%2 == 0 || turn != c.seen {
		c.seen = turn
		return
	}
	gone := false
	err := c.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	if err != nil || gone {
		c.leave()
	}
}

// leave ends what is under way.
func (c *plainConn) leave() {
	c.cancel()
	if t := c.under.Load(); t != nil {
		t.interrupt(context.Canceled)
	}
	_ = c.SetDeadline(time.Unix(1, 0)) // wakes up who reads or writes
}

// wake ends the wait for a request.
func (c *plainConn) wake() {
	if c.turn.Load()%2 == 0 {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // a closed one waits for nothing
	}
}

// unread is a connection of which something was read already.
type unread struct {
	net.Conn
	head []byte
}

// Read reads that first.
func (c *unread) Read(p []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.head)
	c.head = c.head[n:]
	return n, nil
}

var plainBuffers sync.Pool //nolint:gochecknoglobals // a pool of buffers has no state that anybody sees
