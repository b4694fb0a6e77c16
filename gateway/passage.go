package gateway

import (
	"context"
	"errors"
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
	passage    *passage
	prev, next *traveller
	cancel     context.CancelCauseFunc
	writes     bool
	gone       bool // cut off already; guarded by passage.mu
	cut        Cut
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
func (p *passage) travel(ctx context.Context, r *http.Request, d *Door) (context.Context, *traveller) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := &traveller{passage: p, cancel: cancel, writes: writes(r), cut: Cut{Placement: d.Placement, Method: r.Method, Began: time.Now()}}
	p.mu.Lock()
	if t.next = p.first; p.first != nil {
		p.first.prev = t
	}
	p.first = t
	p.mu.Unlock()
	return ctx, t
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
	t.cancel(nil)
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
			t.cancel(ErrCut)
		}
		p.mu.Unlock()
	}
	return out
}
