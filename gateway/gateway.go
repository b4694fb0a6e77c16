package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"leitstand/catalogue"
	"leitstand/operation"
)

// Keeper stores a request durably and returns its receipt number. It returns
// only when the request would survive a power cut.
type Keeper interface {
	Keep(ctx context.Context, d Door, r *http.Request, body []byte) (receipt string, err error)
}

// Gateway serves requests. Set its fields before the first one.
type Gateway struct {
	Keeper    Keeper                               // nil: buffering answers 503
	Emergency map[catalogue.ServiceID]http.Handler // emergency services; a missing one buffers
	Log       *slog.Logger                         // never sees bodies or addresses
	Banner    string                               // on every page of ours, "ÜBUNG" in an exercise

	live  atomic.Pointer[liveTable]
	mu    sync.Mutex // of Set and old
	old   []*passage // passages of doors that were replaced and still have requests
	proxy sync.Map   // upstream → *httputil.ReverseProxy
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

// passage counts the requests that started under one version of one door.
type passage struct {
	placement catalogue.PlacementID
	version   int64
	under     atomic.Int64
}

// Set makes a table the one that new requests obey. Requests under way end on
// the side they started on.
func (g *Gateway) Set(t *Table) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := &liveTable{Table: t, passages: make([]*passage, len(t.Doors))}
	before := map[string]*passage{}
	if was := g.live.Load(); was != nil {
		for i, d := range was.Doors {
			before[d.Host+d.Prefix] = was.passages[i]
		}
	}
	for i, d := range t.Doors {
		p, same := before[d.Host+d.Prefix]
		if !same || p.version != d.Row.Version || p.placement != d.Placement {
			p = &passage{placement: d.Placement, version: d.Row.Version}
		} else {
			delete(before, d.Host+d.Prefix)
		}
		next.passages[i] = p
	}
	for _, p := range before {
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
func (g *Gateway) enter(r *http.Request) (Door, *passage, bool) {
	for {
		live := g.live.Load()
		if live == nil {
			return Door{}, nil, false
		}
		i := live.find(r.Host, r.URL.Path)
		if i < 0 {
			return Door{}, nil, false
		}
		p := live.passages[i]
		p.under.Add(1)
		if g.live.Load() == live {
			return live.Doors[i], p, true
		}
		p.under.Add(-1)
	}
}

// ServeHTTP does what the door of the request asks for.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, p, ok := g.enter(r)
	if !ok {
		g.say(w, r, http.StatusNotFound, words{
			title: "Diese Adresse kennen wir nicht", text: "Bitte prüfen Sie die Adresse.",
			english: "We do not know this address. Please check it.",
		})
		return
	}
	defer p.under.Add(-1)
	w.Header().Set("X-Leitstand-Door", d.Row.Mode.String())
	switch d.Row.Mode {
	case operation.ModeRegular:
		g.forward(w, r, d)
	case operation.ModeLimited:
		if slices.ContainsFunc(d.Row.Paths, func(path string) bool { return under(r.URL.Path, path) }) {
			g.forward(w, r, d)
			return
		}
		g.notice(w, r, d)
	case operation.ModeReadOnly:
		if reads(r) {
			g.forward(w, r, d)
			return
		}
		g.notice(w, r, d)
	case operation.ModeEmergency:
		if h := g.Emergency[service(d.Placement)]; h != nil {
			h.ServeHTTP(w, r)
			return
		}
		g.keep(w, r, d)
	case operation.ModeBuffer:
		g.keep(w, r, d)
	case operation.ModeNotice, operation.ModeRefuse:
		g.notice(w, r, d)
	}
}

func service(p catalogue.PlacementID) catalogue.ServiceID {
	_, svc, _, _ := p.Split()
	return svc
}

func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// forward hands the request to the regular system.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, d Door) {
	if v, ok := g.proxy.Load(d.Upstream); ok {
		if rp, ok := v.(*httputil.ReverseProxy); ok {
			rp.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), doorKey{}, d)))
			return
		}
	}
	target, err := url.Parse(d.Upstream)
	if err != nil {
		g.notice(w, r, d) // check refused such a table; nobody guesses
		return
	}
	v, _ := g.proxy.LoadOrStore(d.Upstream, g.newProxy(target))
	if rp, ok := v.(*httputil.ReverseProxy); ok {
		rp.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), doorKey{}, d)))
	}
}

// doorKey carries the door of a request to the proxy's error handler.
type doorKey struct{}

func (g *Gateway) newProxy(target *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host
			pr.SetXForwarded() // what the client claimed is dropped by Rewrite
		},
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost:   1024,
			IdleConnTimeout:       90 * time.Second,
			ResponseHeaderTimeout: 60 * time.Second,
		},
		BufferPool: &bufferPool{},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) {
				return // the client is gone
			}
			d, _ := r.Context().Value(doorKey{}).(Door)
			if g.Log != nil {
				g.Log.Warn("regular system does not answer", slog.String("placement", string(d.Placement)), slog.Any("error", err))
			}
			g.notice(w, r, d)
		},
	}
}

// bufferPool spares the garbage collector the copy buffers.
type bufferPool struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get takes a buffer.
func (b *bufferPool) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, bufferSize)
}

// Put gives a buffer back.
func (b *bufferPool) Put(p []byte) { b.pool.Put(&p) }
