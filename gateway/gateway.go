package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/operation"
)

// Keeper stores a request durably and returns its receipt number. It returns
// only when the request would survive a power cut.
type Keeper interface {
	Keep(ctx context.Context, d Door, r *http.Request, body []byte) (receipt string, err error)
}

// Chooser is an emergency service that answers some requests only. The others are
// treated as at doors of services without a handler.
type Chooser interface{ Serves(r *http.Request) bool }

func serves(h http.Handler, r *http.Request) bool {
	c, chooses := h.(Chooser)
	return !chooses || c.Serves(r)
}

// Gateway serves requests. Set its fields before the first one.
type Gateway struct {
	Keeper    Keeper                               // nil: buffering answers 503
	Emergency map[catalogue.ServiceID]http.Handler // emergency services; see [Chooser]
	// Desk takes in what is written at a door in emergency operation whose service has
	// no handler of its own: it is the emergency path, and refuses with
	// emergency.ErrEpoch or ErrNotOpen what comes under a right to write that is not
	// the present one. nil: such a door buffers.
	Desk   Keeper
	Relay  *Relay       // nil: nobody else answers at doors in emergency operation
	Log    *slog.Logger // never sees bodies or addresses
	Banner string       // on every page of ours, "ÜBUNG" in an exercise

	live  atomic.Pointer[liveTable]
	lease atomic.Pointer[time.Time] // nil: none is needed
	mu    sync.Mutex                // of Set, Hold and old
	old   []*passage                // passages of doors that were replaced and still have requests
	table *Table                    // as it was set, before held
	held  map[catalogue.PlacementID]operation.Mode
	proxy sync.Map // upstream → *way
}

// maxBody bounds a buffered request.
const maxBody = 25 << 20

// retryAfter is what people are told when nobody knows better, in seconds.
const retryAfter = "3600"

// liveTable is a table with a count of the requests under way through each door.
type liveTable struct {
	*Table
	passages []*passage // as Doors
}

// Set makes a table the one that new requests obey. Requests under way end on
// the side they started on.
func (g *Gateway) Set(t *Table) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.set(t)
}

func (g *Gateway) set(t *Table) {
	g.table = t
	t = t.holding(g.held)
	next := &liveTable{Table: t, passages: make([]*passage, len(t.Doors))}
	before := map[routeKey]*passage{}
	if was := g.live.Load(); was != nil {
		for i := range was.Doors {
			before[was.Doors[i].key()] = was.passages[i]
		}
	}
	for i := range t.Doors {
		d := &t.Doors[i]
		p, same := before[d.key()]
		if !same || p.version != d.Row.Version || p.placement != d.Placement || p.answer != d.Row.Answer {
			p = &passage{placement: d.Placement, version: d.Row.Version, answer: d.Row.Answer}
		} else {
			delete(before, d.key())
		}
		next.passages[i] = p
	}
	for _, p := range before {
		p.since = time.Now()
		g.old = append(g.old, p)
	}
	g.live.Store(next)
}

// Obeyed is the newest door version of each placement that this gateway obeys
// entirely: nothing that started under an older one is under way any more.
func (g *Gateway) Obeyed() map[catalogue.PlacementID]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.old = slices.DeleteFunc(g.old, func(p *passage) bool { return p.under.Load() == 0 })
	busy := map[catalogue.PlacementID]bool{}
	for _, p := range g.old {
		busy[p.placement] = true
	}
	out := map[catalogue.PlacementID]int64{}
	live := g.live.Load()
	if live == nil {
		return out
	}
	for _, d := range live.Doors {
		if !busy[d.Placement] {
			out[d.Placement] = d.Row.Version
		}
	}
	return out
}

// enter counts a request in under the door that it belongs to. A request that
// was counted under a table that is no longer live goes back and looks again:
// otherwise Obeyed could miss it.
func (g *Gateway) enter(r *http.Request) (*Door, *passage, bool) {
	for {
		live := g.live.Load()
		if live == nil {
			return nil, nil, false
		}
		i := live.find(r)
		if i < 0 {
			return nil, nil, false
		}
		p := live.passages[i]
		p.under.Add(1)
		if g.live.Load() == live {
			return &live.Doors[i], p, true
		}
		p.under.Add(-1)
	}
}

// enterFor is enter for a request that was kept: it passes where a new one like
// it would be forwarded. ok is false, and nothing counted, where it would not.
func (g *Gateway) enterFor(id catalogue.PlacementID, head keptHead, path string) (d *Door, p *passage, ok bool) {
	for {
		live := g.live.Load()
		if live == nil {
			return nil, nil, false
		}
		i := slices.IndexFunc(live.Doors, func(d Door) bool { return d.Placement == id })
		if i < 0 {
			return nil, nil, false
		}
		d, p = &live.Doors[i], live.passages[i]
		p.under.Add(1)
		if g.live.Load() != live {
			p.under.Add(-1)
			continue
		}
		if d.Row.Mode == operation.ModeRegular || d.Row.Mode == operation.ModeLimited && d.allows(path, "") ||
			d.Row.Mode == operation.ModeReadOnly && head.Method == http.MethodGet {
			return d, p, true
		}
		p.under.Add(-1)
		return nil, nil, false
	}
}

// ServeHTTP does what the door of the request asks for.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if twisted(r.URL.Path) {
		g.say(w, r, http.StatusBadRequest, words{
			title: "Diese Adresse ist nicht eindeutig", text: "Bitte verwenden Sie die Adresse ohne Punkte als Wegstücke.",
			english: "The address contains dot segments.",
		})
		return
	}
	d, p, ok := g.enter(r)
	if !ok && g.live.Load() == nil {
		g.notice(w, r, &Door{}) // there is no table yet: that is not the client's fault
		return
	}
	if !ok {
		g.say(w, r, http.StatusNotFound, words{
			title: "Diese Adresse kennen wir nicht", text: "Bitte prüfen Sie die Adresse.",
			english: "We do not know this address. Please check it.",
		})
		return
	}
	defer p.under.Add(-1)
	w.Header()["X-Leitstand-Door"] = modeHeader(d.Row.Mode)
	if g.lease.Load() != nil && d.Row.Mode != operation.ModeEmergency && writes(r) && g.Lapsed() {
		g.keepOrSay(w, r, d)
		return
	}
	if (d.Row.Testers || d.Row.Marked && r.Header.Get("X-Leitstand-Test") != "") && g.live.Load().tester(r, &d.Row) {
		g.forward(w, r, d, p)
		return
	}
	switch d.Row.Mode {
	case operation.ModeRegular:
		g.forward(w, r, d, p)
	case operation.ModeLimited:
		if !d.allows(r.URL.Path, r.URL.RawPath) {
			g.notice(w, r, d)
			return
		}
		if !p.pass(d.Rate) {
			g.busy(w, r)
			return
		}
		g.forward(w, r, d, p)
	case operation.ModeReadOnly:
		if reads(r) {
			g.forward(w, r, d, p)
			return
		}
		g.notice(w, r, d)
	case operation.ModeEmergency:
		g.substitute(w, r, d)
	case operation.ModeBuffer:
		g.keep(w, r, d)
	case operation.ModeNotice, operation.ModeRefuse:
		g.notice(w, r, d)
	}
}

// substitute answers at a door in emergency operation: by a handler of its own, by the
// room's gateway, or by taking the request in.
func (g *Gateway) substitute(w http.ResponseWriter, r *http.Request, d *Door) {
	if h := g.Emergency[service(d.Placement)]; h != nil && serves(h, r) {
		g.emergency(w, r, d, h)
		return
	}
	if g.Relay != nil && !relayed(r) {
		g.relay(w, r, d)
		return
	}
	g.atDesk(w, r, d)
}

// emergency hands a request to the emergency path, which must refuse it when the
// epoch is no longer the current one.
func (g *Gateway) emergency(w http.ResponseWriter, r *http.Request, d *Door, h http.Handler) {
	dropOurs(r.Header)
	r.Header.Set(EpochHeader, strconv.FormatInt(d.Row.Epoch, 10))
	r.Header.Set(PlacementHeader, string(d.Placement))
	h.ServeHTTP(w, r)
}

// RightOf is the right to write of the door through which a gateway handed a
// request to an emergency service.
func RightOf(r *http.Request) (emergency.Right, error) {
	epoch, err := strconv.ParseInt(r.Header.Get(EpochHeader), 10, 64)
	p := catalogue.PlacementID(r.Header.Get(PlacementHeader))
	if _, _, _, ok := p.Split(); err != nil || !ok {
		return emergency.Right{}, errors.New("the request came through no door")
	}
	return emergency.Right{Placement: p, Epoch: epoch}, nil
}

// The headers that gateways set on requests, and take away from clients.
const (
	EpochHeader     = "X-Leitstand-Epoch"     // of the right to write that the door stands for
	PlacementHeader = "X-Leitstand-Placement" // whose door it is
)

// dropOurs takes away what only a gateway may say.
func dropOurs(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, "X-Leitstand-") {
			delete(h, name)
		}
	}
}

// modeHeader avoids making the header value for each request.
func modeHeader(m operation.Mode) []string {
	switch m {
	case operation.ModeRegular:
		return []string{"regular"}
	case operation.ModeLimited, operation.ModeReadOnly, operation.ModeBuffer, operation.ModeNotice, operation.ModeRefuse, operation.ModeEmergency:
	}
	return []string{m.String()}
}

func service(p catalogue.PlacementID) catalogue.ServiceID {
	_, svc, _, _ := p.Split()
	return svc
}

// twisted reports whether a path means another one than it says: behind us,
// somebody may resolve it to a path that the door does not let through.
func twisted(path string) bool {
	if !strings.Contains(path, "/.") && !strings.Contains(path, "\\") {
		return false
	}
	return strings.Contains(path, "\\") || strings.Contains(path, "/../") || strings.Contains(path, "/./") ||
		strings.HasSuffix(path, "/..") || strings.HasSuffix(path, "/.")
}

// allows reports whether a limited door lets a path through. A path that was
// written in an unusual way is not one of the named ones.
func (d *Door) allows(path, raw string) bool {
	if raw != "" || strings.Contains(path, "//") {
		return false
	}
	return slices.ContainsFunc(d.Row.Paths, func(p string) bool { return under(path, p) })
}

func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
