package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"leitstand/catalogue"
	"leitstand/pure/seal"
)

// KeysOf reads public keys from the table that a gateway obeys.
func (g *Gateway) KeysOf(k catalogue.KasseID) (*seal.PublicKey, error) {
	live := g.live.Load()
	if live == nil || live.Keys[k] == nil {
		return nil, fmt.Errorf("the table of doors has no key of Kasse %s", k)
	}
	return seal.ParsePublicKey(live.Keys[k])
}

// Tune lets the garbage collector of a process that only forwards run less often:
// its heap is small, and collecting it after every 4 MiB costs a third of its
// CPU time. It may need some 40 MiB more.
func Tune() { debug.SetGCPercent(800) }

// Limits protect a listener; zero values take the defaults.
type Limits struct {
	Header      time.Duration // for the whole header of a request, default 10 s
	Idle        time.Duration // of a connection between requests, default 2 min
	Stall       time.Duration // without a byte of a body, default 30 s
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

// Server is an HTTP server for a gateway that slow or greedy clients cannot
// exhaust. tlsConfig may be nil; with one, HTTP/2 is spoken as well.
func Server(h http.Handler, l Limits, tlsConfig *tls.Config) *http.Server {
	l = l.withDefaults()
	return &http.Server{
		Handler: &guard{next: h, stall: l.Stall}, TLSConfig: tlsConfig,
		ReadHeaderTimeout: l.Header, IdleTimeout: l.Idle, MaxHeaderBytes: l.HeaderBytes,
		ErrorLog: log.New(discard{}, "", 0), // clients' faults; the gateway's own log has ours
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// guard gives each body a deadline that moves on with every byte that comes.
type guard struct {
	next  http.Handler
	stall time.Duration
}

// ServeHTTP serves a request whose body may not stall.
func (s *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body != http.NoBody && r.Body != nil {
		r.Body = &movingBody{ReadCloser: r.Body, control: http.NewResponseController(w), stall: s.stall}
	}
	s.next.ServeHTTP(w, r)
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

// Certificate serves a TLS certificate from files and takes new ones without
// losing a connection.
type Certificate struct {
	cert, key string
	now       atomic.Pointer[tls.Certificate]
}

// LoadCertificate reads the files.
func LoadCertificate(cert, key string) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key}
	return c, c.Reload()
}

// Reload reads the files again; what cannot be read leaves the old one in use.
func (c *Certificate) Reload() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	c.now.Store(&pair)
	return nil
}

// Config is TLS 1.2 and newer with this certificate. Clients may show one of
// their own; routes and testers are told apart by its fingerprint, whoever signed it.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil },
	}
}

// Serve serves a listener until ctx ends, then lets requests under way end for
// at most the given time.
func Serve(ctx context.Context, srv *http.Server, l net.Listener, grace time.Duration) error {
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		err := srv.Shutdown(within)
		if err != nil {
			err = srv.Close()
		}
		ended <- err
	})
	var err error
	if srv.TLSConfig != nil {
		err = srv.ServeTLS(l, "", "")
	} else {
		err = srv.Serve(l)
	}
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the gateway: %w", err)
	}
	return <-ended
}

// FollowFile makes a gateway obey a file that somebody else writes, within 50 ms
// of its change, until ctx ends. A damaged file is reported and the table before
// stays in force.
func (g *Gateway) FollowFile(ctx context.Context, file string, every time.Duration) error {
	var last os.FileInfo
	for {
		info, err := os.Stat(file)
		if err == nil && (last == nil || !info.ModTime().Equal(last.ModTime()) || !os.SameFile(info, last)) {
			last = info
			t, lerr := Load(file)
			if err = lerr; err == nil && (g.live.Load() == nil || t.Version >= g.live.Load().Version) {
				g.Set(t)
			}
		}
		if err != nil && g.Log != nil {
			g.Log.Error("the table of doors could not be read; the one before stays in force", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}
