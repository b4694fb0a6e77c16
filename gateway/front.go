package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Limits protect a listener; zero values take the defaults.
type Limits struct {
	Header      time.Duration // for the whole header of a request, default 10 s
	Idle        time.Duration // of a connection between requests, default 2 min
	Stall       time.Duration // without a byte of a body read, or of an answer taken, default 30 s
	HeaderBytes int           // default 64 KiB
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&l.Header, 10*time.Second)
	set(&l.Idle, 2*time.Minute)
	set(&l.Stall, 30*time.Second)
	if l.HeaderBytes == 0 {
		l.HeaderBytes = 64 << 10
	}
	return l
}

// Front is what stands between clients and a gateway: an HTTP server that slow or
// greedy clients cannot exhaust. Everything that is not the plainest HTTP/1.1 is
// net/http's: TLS, HTTP/2, upgrades, chunked and long bodies, whatever is written in
// an unusual way. Plain requests are read here, because net/http starts a goroutine
// and makes contexts for each, which costs more than forwarding it.
type Front struct {
	next   http.Handler
	limits Limits
	http   *http.Server
}

// NewFront serves a handler. tlsConfig may be nil; with one, HTTP/2 is spoken as well.
func NewFront(h http.Handler, l Limits, tlsConfig *tls.Config) *Front {
	l = l.withDefaults()
	return &Front{next: h, limits: l, http: &http.Server{
		Handler: &guard{next: h, stall: l.Stall}, TLSConfig: tlsConfig,
		ReadHeaderTimeout: l.Header, IdleTimeout: l.Idle, MaxHeaderBytes: l.HeaderBytes,
		ErrorLog: log.New(discard{}, "", 0), // clients' faults; the gateway's own log has ours
	}}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// Serve serves a listener until ctx ends, then lets requests under way end for
// at most the given time. It closes the listener.
func (f *Front) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	rest := l
	var plain *plainServer
	var wg sync.WaitGroup
	ended := make(chan error, 1)
	if f.http.TLSConfig == nil {
		plain = newPlainServer(ctx, f, l)
		rest = plain.rest
		wg.Go(plain.accept)
		wg.Go(plain.watch)
	}
	stop := context.AfterFunc(ctx, func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		var slow sync.WaitGroup
		if plain != nil {
			slow.Go(func() { plain.shutdown(within) })
		}
		err := f.http.Shutdown(within)
		if err != nil {
			err = f.http.Close()
		}
		slow.Wait()
		ended <- err
	})
	var err error
	if f.http.TLSConfig != nil {
		err = f.http.ServeTLS(rest, "", "")
	} else {
		err = f.http.Serve(rest)
	}
	if !stop() && errors.Is(err, http.ErrServerClosed) {
		err = <-ended
		wg.Wait()
		return err
	}
	if plain != nil { // it ended by itself
		plain.shutdown(ctx)
		wg.Wait()
	}
	return fmt.Errorf("serving the gateway: %w", err)
}

// guard gives each body a deadline that moves on with every byte that comes, and
// each answer one that moves on with what the client takes.
type guard struct {
	next  http.Handler
	stall time.Duration
}

// ServeHTTP serves a request whose body may not stall.
func (s *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := &movingWriter{ResponseWriter: w, control: http.NewResponseController(w), stall: s.stall}
	if r.Body != http.NoBody && r.Body != nil {
		r.Body = &movingBody{ReadCloser: r.Body, control: m.control, stall: s.stall}
	}
	s.next.ServeHTTP(m, r)
	m.move() // what is left is written when this returns
}

// movingWriter moves the deadline on with each write: a client that takes nothing
// would hold its connection, and the one to the regular side, for ever.
type movingWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	until   time.Time
}

// Unwrap is for [http.ResponseController].
func (w *movingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the header.
func (w *movingWriter) WriteHeader(status int) {
	w.move()
	w.ResponseWriter.WriteHeader(status)
}

// Write writes, while the client takes something now and then.
func (w *movingWriter) Write(p []byte) (int, error) {
	w.move()
	return w.ResponseWriter.Write(p)
}

// FlushError sends what was written.
func (w *movingWriter) FlushError() error {
	w.move()
	return w.control.Flush()
}

func (w *movingWriter) move() {
	if now := time.Now(); w.until.Sub(now) < w.stall {
		w.until = now.Add(2 * w.stall)
		_ = w.control.SetWriteDeadline(w.until) // a writer without deadlines has no slow client either
	}
}

// movingBody moves the deadline on with each read, and takes it away at the end:
// a deadline that stayed would end the answer.
type movingBody struct {
	io.ReadCloser
	control *http.ResponseController
	stall   time.Duration
	ended   bool
}

// Read reads, for at most the time that a body may stall.
func (b *movingBody) Read(p []byte) (int, error) {
	if !b.ended {
		_ = b.control.SetReadDeadline(time.Now().Add(b.stall)) // a writer without deadlines has no slow client either
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && !b.ended {
		b.ended = true
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			_ = b.control.SetReadDeadline(time.Time{}) // as above
		}
	}
	return n, err
}
