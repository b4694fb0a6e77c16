package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/room"
	"leitstand/web"
)

// front is the address of the control room. A node that only waits to lead does
// not listen, so that whatever stands before the nodes asks the right one. From
// then on requests wait here until the room is open, rather than fail.
type front struct {
	srv     *http.Server
	addr    string
	done    chan error // what Serve returned
	ready   chan struct{}
	once    sync.Once
	handler http.Handler // set before ready is closed
}

const (
	holdFor    = 30 * time.Second // how long a request waits for a leader
	drainSlow  = 2 * time.Second  // how long requests may stay under way when the room stops
	retryAfter = "2"
)

func openFront(ctx context.Context, listen string) (*front, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("listening for the control room: %w", err)
	}
	f := &front{addr: l.Addr().String(), done: make(chan error, 1), ready: make(chan struct{})}
	f.srv = &http.Server{Handler: f, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	go func() { f.done <- f.srv.Serve(l) }()
	return f, nil
}

// ServeHTTP holds a request until there is a room to answer it.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-f.ready:
		f.handler.ServeHTTP(w, r)
	case <-r.Context().Done():
	case <-time.After(holdFor):
		w.Header().Set("Retry-After", retryAfter)
		http.Error(w, "Der Raum wird gerade geöffnet.", http.StatusServiceUnavailable)
	}
}

// serve answers from the room until ctx ends. ready gets the link that admits the
// first device. Requests under way are finished; what takes long is cut off.
func (f *front) serve(ctx context.Context, r *room.Room, ready func(link string)) error {
	f.once.Do(func() {
		f.handler = web.New(r)
		close(f.ready)
	})
	ready(r.Links.First(f.addr))
	select {
	case err := <-f.done:
		return fmt.Errorf("serving the control room: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainSlow)
	defer cancel()
	if err := f.srv.Shutdown(drain); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("closing the control room: %w", err)
	}
	return nil
}

// close cuts off what is still open.
func (f *front) close() { _ = f.srv.Close() } // nothing waits for it any more

// leading is the right to serve a room; without nodes everybody has it.
type leading struct{ lease *db.Lease }

// waitToLead returns when this node leads its room, at once for rooms in files,
// or when the command is stopped. opt gets the guard of the lease.
func waitToLead(a *app, opt *room.Options) (leading, error) {
	if opt.Database == "" {
		return leading{}, nil
	}
	fmt.Fprintln(a.stderr, "Wartet, bis kein anderer Knoten diesen Raum führt.")
	lease, err := room.Lead(a.ctx, *opt)
	if a.ctx.Err() != nil && err != nil {
		return leading{}, nil //nolint:nilerr // stopped while waiting: nothing was begun
	}
	if err != nil {
		return leading{}, err
	}
	fmt.Fprintf(a.stderr, "Dieser Knoten führt den Raum (Nummer %d).\n", lease.Token)
	opt.Guard = lease.Guard
	return leading{lease}, nil
}

// wait ends with an error when the node leads no more.
func (l leading) wait(ctx context.Context) error {
	if l.lease == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-l.lease.Lost():
		return fmt.Errorf("the connection that holds the lead is gone: %w; start again to wait for it", db.ErrNotLeading)
	}
}

// Close gives the lead to the next node.
func (l leading) Close() error {
	if l.lease == nil {
		return nil
	}
	return l.lease.Close()
}

// serveScreens serves the control room until ctx ends. ready gets the link that
// admits the first device.
func serveScreens(ctx context.Context, r *room.Room, listen string, ready func(link string)) error {
	f, err := openFront(ctx, listen)
	if err != nil {
		return err
	}
	defer f.close()
	return f.serve(ctx, r, ready)
}
