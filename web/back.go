package web

import "net/http"

// backRoutes are the pages of handing over and switching back (Rückführung).
func (s *server) backRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"GET /rueckstand":  s.backlog,
		"POST /rueckstand": s.orderBacklog,
	} {
		mux.Handle(pattern, s.inside(h))
	}
}
