package gateway

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// plainServer serves plain requests of connections without TLS, and hands every
// connection on which something else comes to net/http, for good.
type plainServer struct {
	front    *Front
	listener net.Listener
	rest     *handed
	base     context.Context //nolint:containedctx // of all requests, as http.Server.BaseContext
	cancel   context.CancelFunc
	ended    chan struct{} // closed when nothing new is served any more
	closing  atomic.Bool
	wg       sync.WaitGroup // connections

	mu    sync.Mutex
	conns map[*plainConn]struct{}
}

func newPlainServer(ctx context.Context, f *Front, l net.Listener) *plainServer {
	s := &plainServer{front: f, listener: l, ended: make(chan struct{}), conns: map[*plainConn]struct{}{}}
	s.base, s.cancel = context.WithCancel(context.WithoutCancel(ctx)) // requests under way may end
	s.rest = &handed{addr: l.Addr(), conns: make(chan net.Conn), done: make(chan struct{})}
	return s
}

// accept takes connections until the listener is closed. Other errors, such as too
// many open files, pass.
func (s *plainServer) accept() {
	pause := 5 * time.Millisecond
	for {
		c, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			_ = s.rest.Close() // it only closes a channel
			return
		case err != nil:
			select {
			case <-s.ended:
			case <-time.After(pause):
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			s.hand(c)
			continue
		}
		s.wg.Go(func() { s.serve(tcp) })
	}
}

// hand gives a connection to net/http.
func (s *plainServer) hand(c net.Conn) {
	select {
	case s.rest.conns <- c:
	case <-s.rest.done:
		_ = c.Close() // nobody serves it any more
	}
}

func (s *plainServer) serve(tcp *net.TCPConn) {
	c, err := newPlainConn(s, tcp)
	if err != nil {
		_ = tcp.Close() // it is closed already
		return
	}
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	handed := c.serve()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	c.cancel()
	if handed != nil {
		s.hand(handed)
		return
	}
	_ = tcp.Close() // the client has what it gets
}

// goneAfter is how often connections are looked at whose request is under way:
// clients that left need not be waited for. net/http finds out sooner, by a
// goroutine for each request.
const goneAfter = time.Second

// watch ends requests whose clients are gone.
func (s *plainServer) watch() {
	for {
		select {
		case <-s.ended:
			return
		case <-time.After(goneAfter):
		}
		for _, c := range s.all() {
			c.look()
		}
	}
}

func (s *plainServer) all() []*plainConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*plainConn, 0, len(s.conns))
	for c := range s.conns {
		out = append(out, c)
	}
	return out
}

// shutdown accepts nothing more, ends connections without a request, and waits for
// the others until ctx ends; then it ends them too.
func (s *plainServer) shutdown(ctx context.Context) {
	s.closing.Store(true)
	_ = s.listener.Close() // it may be closed already
	for _, c := range s.all() {
		c.wake()
	}
	done := make(chan struct{})
	go func() { // ends below at the latest
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	close(s.ended)
	s.cancel()
	for _, c := range s.all() {
		c.leave()
	}
	<-done
}

// handed is a listener of connections that somebody else accepted.
type handed struct {
	addr  net.Addr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

// Accept waits for a connection.
func (l *handed) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close makes Accept return.
func (l *handed) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is where the connections came in.
func (l *handed) Addr() net.Addr { return l.addr }
