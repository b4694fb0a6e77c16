package gateway

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// way is how requests reach one regular system.
type way struct {
	direct *direct // nil: everything takes the transport
	proxy  *httputil.ReverseProxy
}

// forward hands the request to the regular system.
func (g *Gateway) forward(w http.ResponseWriter, r *http.Request, d *Door, p *passage) {
	t := p.travel(g, r, d)
	defer t.end()
	v, ok := g.proxy.Load(d.Upstream)
	if !ok {
		target, err := url.Parse(d.Upstream)
		if err != nil {
			g.notice(w, r, d) // check refused such a table; nobody guesses
			return
		}
		v, _ = g.proxy.LoadOrStore(d.Upstream, &way{direct: newDirect(target), proxy: g.newProxy(target)})
	}
	to, ok := v.(*way)
	if !ok {
		return // nothing else is stored
	}
	if to.direct == nil || !plain(r) {
		to.proxy.ServeHTTP(w, r.WithContext(context.WithValue(t.context(r.Context()), doorKey{}, d)))
		return
	}
	if a, ok := w.(*plainAnswer); ok {
		defer a.conn.travels(t)()
	} else {
		defer context.AfterFunc(r.Context(), func() { t.interrupt(context.Canceled) })() // the client is gone
	}
	begun, err := to.direct.serve(t, w, r, d)
	if again(err) && !begun && reads(r) && r.ContentLength == 0 && t.cause(nil) == nil {
		begun, err = to.direct.serve(t, w, r, d) // the connection was just being closed
	}
	switch {
	case err == nil:
	case begun || errors.Is(err, context.Canceled):
		panic(http.ErrAbortHandler) // the client is gone, or sees by it that the answer is not whole
	default:
		g.unreachable(w, r, d, err)
	}
}

// again reports whether a connection that was kept may just have been closed by
// the other side: reading may then be repeated.
func again(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// unreachable tells that the regular system does not answer, or was cut off.
func (g *Gateway) unreachable(w http.ResponseWriter, r *http.Request, d *Door, err error) {
	if g.Log != nil {
		g.Log.Warn("regular system does not answer", slog.String("placement", string(d.Placement)), slog.Any("error", err))
	}
	g.notice(w, r, d)
}

// doorKey carries the door of a request to the proxy's error handler.
type doorKey struct{}

func (g *Gateway) newProxy(target *url.URL) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			pr.Out.Host = pr.In.Host
			pr.SetXForwarded() // what the client claimed is dropped by Rewrite
			dropOurs(pr.Out.Header)
			if d, ok := pr.In.Context().Value(doorKey{}).(*Door); ok {
				pr.Out.Header.Set(EpochHeader, strconv.FormatInt(d.Row.Epoch, 10))
			}
		},
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			MaxIdleConnsPerHost:   1024,
			IdleConnTimeout:       90 * time.Second,
			ResponseHeaderTimeout: 60 * time.Second,
		},
		BufferPool: &bufferPool{},
		ErrorLog:   log.New(discard{}, "", 0), // answers that break off are seen by the client
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, context.Canceled) && !errors.Is(context.Cause(r.Context()), ErrCut) {
				panic(http.ErrAbortHandler) // the client is gone; silence would be a 200
			}
			d, ok := r.Context().Value(doorKey{}).(*Door)
			if !ok {
				d = &Door{}
			}
			g.unreachable(w, r, d, err)
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
