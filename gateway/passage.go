package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"leitstand/catalogue"
	"leitstand/operation"
)

// passage counts the requests that started under one version of one door, and
// knows those that are at the regular side, so that they can be cut off.
type passage struct {
	placement catalogue.PlacementID
	version   int64
	answer    operation.Answer
	under     atomic.Int64
	tat       atomic.Int64 // of the rate limit: when the next request is due, Unix nanoseconds
	since     time.Time    // when the door was replaced; guarded by Gateway.mu

	mu    sync.Mutex
	first *traveller // doubly linked
}

// traveller is a request at the regular side.
type traveller struct {
	gateway    *Gateway
	passage    *passage
	prev, next *traveller
	writes     bool
	gone       bool // cut off already; guarded by passage.mu
	cut        Cut

	mu     sync.Mutex
	why    error                   // of being interrupted
	conn   net.Conn                // on which it waits; nil: on none
	cancel context.CancelCauseFunc // of what it waits for besides; nil: for nothing
}

// Cut is a request that was cut off because its door had closed and the limit
// for ending was over.
type Cut struct {
	Placement catalogue.PlacementID `json:"placement"`
	Method    string                `json:"method"`
	Began     time.Time             `json:"began"`
}

// ErrCut is why a request ends that was cut off.
var ErrCut = errors.New("the door has closed and the limit for requests under way is over")

// travel enters a request in the list of those at the regular side.
func (p *passage) travel(g *Gateway, r *http.Request, d *Door) *traveller {
	t := &traveller{gateway: g, passage: p, writes: writes(r), cut: Cut{Placement: d.Placement, Method: r.Method, Began: time.Now()}}
	p.mu.Lock()
	if t.next = p.first; p.first != nil {
		p.first.prev = t
	}
	p.first = t
	p.mu.Unlock()
	return t
}

// end takes a request out of the list.
func (t *traveller) end() {
	p := t.passage
	p.mu.Lock()
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		p.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	p.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancel != nil {
		t.cancel(nil)
	}
}

// interrupt ends what the request waits for, now and from now on. Without a context
// for each request this costs nothing as long as nobody interrupts.
func (t *traveller) interrupt(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why == nil {
		t.why = why
	}
	if t.conn != nil {
		_ = t.conn.SetDeadline(time.Unix(1, 0)) // wakes up who reads or writes; a closed one needs no waking
	}
	if t.cancel != nil {
		t.cancel(why)
	}
}

// context ends with parent or when the request is interrupted, or has ended.
func (t *traveller) context(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancel = cancel; t.why != nil {
		cancel(t.why)
	}
	return ctx
}

// waits says that the request waits on a connection until a deadline; zero is none. It
// is refused when the request was interrupted: the deadline would replace the one that wakes it up.
func (t *traveller) waits(c net.Conn, until time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why != nil {
		return t.why
	}
	t.conn = c
	return c.SetDeadline(until)
}

// on is waits with the deadline that the connection has.
func (t *traveller) on(c net.Conn) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn = c
	return t.why
}

// off says that the request does not use the connection any more; false: it was
// interrupted, and the connection has a deadline in the past.
func (t *traveller) off() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conn = nil
	return t.why == nil
}

// cause prefers why the request was interrupted to what the socket said of it.
func (t *traveller) cause(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why != nil {
		return t.why
	}
	return err
}

// pass lets through rate requests a second, with a burst of one second; 0 is no limit.
func (p *passage) pass(rate float64) bool {
	if rate <= 0 {
		return true
	}
	now, step := time.Now().UnixNano(), int64(float64(time.Second)/rate)
	for {
		tat := p.tat.Load()
		due := max(tat, now) + step
		if due > now+int64(time.Second)+step {
			return false
		}
		if p.tat.CompareAndSwap(tat, due) {
			return true
		}
	}
}

// Drain cuts off what is still under way through doors that were replaced longer
// than limit ago, and lists it. It does not wait for the requests to end: see Obeyed.
func (g *Gateway) Drain(limit time.Duration) []Cut {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Cut
	for _, p := range g.old {
		if time.Since(p.since) < limit {
			continue
		}
		p.mu.Lock()
		for t := p.first; t != nil; t = t.next {
			out = append(out, t.cut)
			t.interrupt(ErrCut)
		}
		p.mu.Unlock()
	}
	return out
}
