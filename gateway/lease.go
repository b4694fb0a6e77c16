package gateway

import (
	"net/http"
	"slices"
	"time"

	"leitstand/operation"
)

// LeaseUntil makes the gateway serve writes on the regular side only until the
// given instant of the monotonic clock; each call replaces it. Afterwards it keeps
// them, as at a door that buffers, until a new lease. A gateway for which it was never called needs none.
func (g *Gateway) LeaseUntil(t time.Time) { g.lease.Store(&t) }

// Lapsed says that there was a lease and it has ended.
func (g *Gateway) Lapsed() bool {
	until := g.lease.Load()
	return until != nil && !time.Now().Before(*until)
}

// writes says whether a request may change something behind the door. What
// switches protocols may, whatever its method.
func writes(r *http.Request) bool { return !reads(r) || r.Header.Get("Upgrade") != "" }

// CutLapsed cuts off writes that are under way at the regular side although the
// lease has ended, and lists them. Call it often: a write may have begun in the last moment.
func (g *Gateway) CutLapsed() []Cut {
	if !g.Lapsed() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []Cut
	passages := g.old
	if live := g.live.Load(); live != nil {
		passages = append(slices.Clip(passages), live.passages...)
	}
	for _, p := range passages {
		p.mu.Lock()
		for t := p.first; t != nil; t = t.next {
			if t.writes && !t.gone {
				t.gone = true
				out = append(out, t.cut)
				t.interrupt(ErrCut)
			}
		}
		p.mu.Unlock()
	}
	return out
}

// keepOrSay does without the regular side what the door would let through to it:
// doors that refuse go on refusing.
func (g *Gateway) keepOrSay(w http.ResponseWriter, r *http.Request, d *Door) {
	if d.Row.Mode == operation.ModeNotice || d.Row.Mode == operation.ModeRefuse {
		g.notice(w, r, d)
		return
	}
	g.keep(w, r, d) // what reads and switches protocols gets the notice there
}
