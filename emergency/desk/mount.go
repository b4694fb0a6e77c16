package desk

import (
	"net/http"
	"net/url"
	"strings"
)

// Segment is below what path a typed service answers, wherever its door stands. All
// other requests are the regular service's, and are taken in as they are.
const Segment = "/notbetrieb/"

// elsewhere is where a page is asked for that the regular service has.
const elsewhere = "/elsewhere"

// Mounted puts a service's handler below [Segment].
type Mounted struct {
	Handler http.Handler
	// Pages: people who ask for a page of the regular service get the one at /elsewhere.
	Pages bool
}

// Serves reports whether the service answers a request.
func (m Mounted) Serves(r *http.Request) bool {
	return strings.Contains(r.URL.Path, Segment) || m.page(r)
}

func (m Mounted) page(r *http.Request) bool {
	return m.Pages && (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// ServeHTTP answers what lies below the segment.
func (m Mounted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := elsewhere
	if i := strings.LastIndex(r.URL.Path, Segment); i >= 0 {
		path = r.URL.Path[i+len(Segment)-1:]
	}
	r2 := r.Clone(r.Context())
	r2.URL = &url.URL{Path: path, RawQuery: r.URL.RawQuery}
	m.Handler.ServeHTTP(w, r2)
}
