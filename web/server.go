// Package web shows a room: screens for the crisis team and pages for the public.
//
// Promises: no rules live here, every act goes through the room; every page
// works without JavaScript and asks no other host for anything; nothing is
// shown or done in the control room without the token of its start, until there
// are logins; foreign sites cannot act through a visitor's browser.
package web

import (
	"bytes"
	"context"
	"crypto/subtle"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"

	"leitstand/room"
)

//go:embed assets templates
var files embed.FS

// server holds what every handler needs.
type server struct {
	room  *room.Room
	token string
	pages map[string]*template.Template
}

// cookie holds the token after the first visit with ?token=.
const cookie = "leitstand"

// New returns the handler of a room's screens. Whoever has the token sees and
// acts; an empty token shuts the control room.
func New(r *room.Room, token string) http.Handler {
	s := &server{room: r, token: token, pages: parsePages()}
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		panic(err) // embedded: there is always a folder
	}
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", cached(http.FileServerFS(assets))))
	mux.Handle("GET /{$}", s.inside(s.situation))
	mux.Handle("GET /teil/lage", s.inside(s.situationPart))
	mux.Handle("GET /entscheidungen", s.inside(s.decisions))
	mux.Handle("POST /entscheidungen/{id}", s.inside(s.decide))
	mux.Handle("GET /zelle/{kasse}/{service}", s.inside(s.cell))
	mux.Handle("GET /tagebuch", s.inside(s.diary))
	mux.Handle("GET /signale", s.inside(s.signals))
	mux.Handle("GET /oeffentlich", s.outside(s.public))
	mux.Handle("GET /oeffentlich/liste.json", s.outside(s.publicJSON))
	return guard(http.NewCrossOriginProtection().Handler(mux))
}

// handler is a handler that returns what went wrong.
type handler func(w http.ResponseWriter, r *http.Request) error

// inside is for pages of the control room.
func (s *server) inside(h handler) http.Handler {
	return s.outside(func(w http.ResponseWriter, r *http.Request) error {
		if given := r.URL.Query().Get("token"); given != "" && s.knows(given) {
			http.SetCookie(w, &http.Cookie{ //nolint:gosec // loopback without TLS: Secure would keep the cookie from being sent
				Name: cookie, Value: given, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
			})
			http.Redirect(w, r, r.URL.Path, http.StatusSeeOther) // the token leaves the address bar
			return nil
		}
		c, err := r.Cookie(cookie)
		if err != nil || !s.knows(c.Value) {
			return &failure{status: http.StatusForbidden, text: "Bitte öffnen Sie die Adresse, die beim Start ausgegeben wurde; sie enthält den Zugang."}
		}
		return h(w, r)
	})
}

func (s *server) knows(token string) bool {
	return s.token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

// failure is an error with words for people.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

// outside is for pages that anybody may see.
func (s *server) outside(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil || errors.Is(err, context.Canceled) {
			return
		}
		f := &failure{status: http.StatusInternalServerError, text: "Das hat nicht geklappt. Bitte noch einmal versuchen; hilft das nicht, steht der Grund im Protokoll des Programms."}
		if known, ok := errors.AsType[*failure](err); ok {
			f = known
		} else if refused, ok := errors.AsType[*room.Failure](err); ok {
			f = &failure{status: http.StatusConflict, text: refused.Text}
		}
		if err := s.render(w, r, f.status, "fehler", map[string]any{"Text": f.text}); err != nil {
			http.Error(w, f.text, f.status)
		}
	})
}

// guard sets what every answer carries.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func cached(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		next.ServeHTTP(w, r)
	})
}

// parsePages reads every page together with the frame. A broken template is a
// broken program: tests render each page.
func parsePages() map[string]*template.Template {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is constant
	}
	pages := map[string]*template.Template{}
	for _, n := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(n, "templates/"), ".html")
		if name != "rahmen" {
			pages[name] = template.Must(template.New("").Funcs(functions()).ParseFS(files, "templates/rahmen.html", n))
		}
	}
	return pages
}

// frame is what every page has around its content.
type frame struct {
	Room     string
	Exercise bool
	Path     string
	Page     any
}

// render makes the whole page before it writes a byte of it.
func (s *server) render(w http.ResponseWriter, r *http.Request, status int, page string, data any) error {
	return s.execute(w, status, page, "rahmen", frame{
		Room: s.room.Settings.Name, Exercise: s.room.Settings.Exercise, Path: r.URL.Path, Page: data,
	})
}

// part renders one named block of a page, for updates in place.
func (s *server) part(w http.ResponseWriter, page, block string, data any) error {
	return s.execute(w, http.StatusOK, page, block, data)
}

func (s *server) execute(w http.ResponseWriter, status int, page, block string, data any) error {
	t, ok := s.pages[page]
	if !ok {
		return fmt.Errorf("page %q does not exist", page)
	}
	var buf bytes.Buffer
	if err := t.ExecuteTemplate(&buf, block, data); err != nil {
		return fmt.Errorf("rendering page %q: %w", page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = buf.WriteTo(w) // the visitor is gone
	return nil
}
