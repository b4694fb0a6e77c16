// Package web shows a room: screens for the crisis team and pages for the public.
//
// Promises: no rules live here, every act goes through the room; every page
// works without JavaScript and asks no other host for anything; nothing is
// shown or done in the control room by a device that no link admitted, until
// there are logins; foreign sites cannot act through a visitor's browser, and names
// other than those of this machine are not answered (DNS rebinding); the public
// pages show what two people released and no name of the crisis team; every
// page, feed and file of an exercise says ÜBUNG.
package web

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	_ "time/tzdata" // an emergency laptop may have no zone data of its own

	"leitstand/room"
)

//go:embed assets templates
var files embed.FS

// server holds what every handler needs.
type server struct {
	room  *room.Room
	zone  *time.Location // of all times that people read
	pages map[string]*template.Template
	news  *newsroom
	names atomic.Pointer[map[string]string] // of people, by id

	images chan struct{} // taken while an image is read
}

// New returns the handler of a room's screens. Devices that a link of the room
// admitted see and act, nobody else. It answers only to names and addresses of
// this machine, as long as there are no logins.
func New(r *room.Room) http.Handler {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err) // embedded by time/tzdata
	}
	s := &server{room: r, zone: zone, news: &newsroom{}, images: make(chan struct{}, imagesAtATime)}
	s.pages = s.parsePages()
	assets, err := fs.Sub(files, "assets")
	if err != nil {
		panic(err) // embedded: there is always a folder
	}
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", cached(http.FileServerFS(assets))))
	s.insideRoutes(mux)
	s.outsideRoutes(mux)
	mux.Handle("/", s.outside(func(http.ResponseWriter, *http.Request) error {
		return &failure{status: http.StatusNotFound, text: "Diese Seite gibt es nicht."}
	}))
	return guard(onlyLoopback(http.NewCrossOriginProtection().Handler(mux)))
}

// insideRoutes are the pages of the control room.
func (s *server) insideRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"GET /{$}":                       s.situation,
		"GET /teil/lage":                 s.situationPart,
		"POST /ansicht":                  s.setView,
		"GET /zugang":                    s.entrance,
		"POST /zugang":                   s.changeEntrance,
		"GET /fristen":                   s.deadlinesPage,
		"GET /kasse/{kasse}":             s.kasse,
		"GET /zelle/{kasse}/{service}":   s.cell,
		"POST /zelle/{kasse}/{service}":  s.confirmCell,
		"GET /entscheidungen":            s.decisions,
		"GET /entscheidungen/{id}":       s.decision,
		"POST /entscheidungen/{id}":      s.decide,
		"GET /massnahmen":                s.measures,
		"GET /massnahmen/neu":            s.measureForm,
		"POST /massnahmen/vorschau":      s.measurePreview,
		"POST /massnahmen":               s.measureOrder,
		"POST /eingriffe/{id}":           s.resolveAct,
		"POST /massnahmen/{id}":          s.measureFollow,
		"GET /signale":                   s.signals,
		"POST /signale/{id}":             s.decideSignal,
		"GET /vorfall":                   s.incidents,
		"POST /vorfall":                  s.declareIncident,
		"GET /vorfall/{id}":              s.incident,
		"POST /vorfall/{id}":             s.noteFact,
		"POST /vorfall/{id}/ende":        s.closeIncident,
		"GET /freigaben":                 s.clearances,
		"POST /freigaben":                s.grantClearance,
		"POST /freigaben/{id}":           s.revokeClearance,
		"GET /freigaben/{id}/widerruf":   s.revocation,
		"GET /pruefungen":                s.checklists,
		"POST /pruefungen":               s.openChecklist,
		"GET /pruefungen/{id}":           s.checklist,
		evidencePattern:                  s.settlePoint,
		"POST /pruefungen/{id}/wechsel":  s.rotatedByList,
		"POST /pruefungen/{id}/freigabe": s.clearByList,
		"GET /notbetrieb":                s.emergency,
		"GET /wiederherstellung":         s.restoration, // and what belongs to it, see plan.go
		"GET /mitteilungen":              s.told,
		"POST /mitteilungen/liste":       s.publishList,
		"POST /mitteilungen/text":        s.releaseNotice,
		"GET /tagebuch":                  s.diary,
		"GET /tagebuch/{seq}":            s.diaryEntry,
		"POST /tagebuch/{seq}":           s.correctEntry,

		"GET /notbetrieb/eau/{kasse}":                   s.sickNotes,
		"POST /notbetrieb/eau/{kasse}/sendung/{nummer}": s.decideHeld,
		"POST /notbetrieb/eau/{kasse}/fehlermeldungen":  s.releaseAnswers,
		"POST /notbetrieb/eau/{kasse}/papier":           s.takePaper,
		imagePattern:                                    s.takePaperImage,
	} {
		mux.Handle(pattern, s.inside(h))
	}
	s.planRoutes(mux)
	s.keepingRoutes(mux)
	s.stepRoutes(mux)
	s.backRoutes(mux)
}

// outsideRoutes are the pages for everybody.
func (s *server) outsideRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"GET /oeffentlich":               s.public,
		"GET /oeffentlich/{view}":        s.public,
		"GET /oeffentlich/kasse/{kasse}": s.publicKasse,
		"GET /oeffentlich/aenderungen":   s.publicChanges,
		"GET /oeffentlich/liste.json":    s.publicJSON,
		"GET /oeffentlich/liste.atom":    s.publicAtom,
	} {
		mux.Handle(pattern, s.outside(h))
	}
}

// handler is a handler that returns what went wrong.
type handler func(w http.ResponseWriter, r *http.Request) error

// inside is for pages of the control room.
func (s *server) inside(h handler) http.Handler {
	return s.answer(false, func(w http.ResponseWriter, r *http.Request) error {
		moved, err := s.admit(w, r)
		if err != nil || moved {
			return err
		}
		return h(w, r)
	})
}

// outside is for pages that anybody may see.
func (s *server) outside(h handler) http.Handler { return s.answer(true, h) }

// answer runs a handler and shows what went wrong in words, inside the frame of
// the control room or of the public pages.
func (s *server) answer(public bool, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil || errors.Is(err, context.Canceled) {
			return
		}
		f := s.explain(err)
		if f.status == http.StatusInternalServerError {
			slog.ErrorContext(r.Context(), "a page failed", slog.String("path", r.URL.Path), slog.Any("error", err))
		}
		inside := !public && f.status != http.StatusForbidden
		page := failurePage{Text: f.text, Inside: inside, Back: "/oeffentlich"}
		if inside {
			page.Back = "/"
		}
		if err := s.show(w, r, f.status, "fehler", inside, page); err != nil {
			http.Error(w, f.text, f.status)
		}
	})
}

type failurePage struct {
	Text   string
	Back   string
	Inside bool
}

// parsePages reads every page together with the frame. A broken template is a
// broken program: tests render each page.
func (s *server) parsePages() map[string]*template.Template {
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		panic(err) // the pattern is constant
	}
	pages := map[string]*template.Template{}
	for _, n := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(n, "templates/"), ".html")
		if name != "rahmen" && name != "teile" {
			pages[name] = template.Must(template.New("").Funcs(s.functions()).ParseFS(files, "templates/rahmen.html", "templates/teile.html", n))
		}
	}
	return pages
}

// frame is what every page has around its content.
type frame struct {
	Room     string
	Exercise bool
	Inside   bool   // control room, not public
	Path     string // of this page
	Lang     string
	Theme    string // light or dark
	Paused   bool   // no live update
	Clock    string // how this machine's clock jumped, while nobody has dealt with it
	Page     any
}

// render shows a page of the control room.
func (s *server) render(w http.ResponseWriter, r *http.Request, status int, page string, data any) error {
	return s.show(w, r, status, page, true, data)
}

// show makes the whole page before it writes a byte of it.
func (s *server) show(w http.ResponseWriter, r *http.Request, status int, page string, inside bool, data any) error {
	if err := s.refreshNames(r.Context()); err != nil && inside && page != "fehler" {
		return err
	}
	f := frame{
		Room: s.room.Settings.Name, Exercise: s.room.Settings.Exercise, Inside: inside, Path: r.URL.RequestURI(),
		Lang: "de", Theme: theme(r), Paused: paused(r), Page: data,
	}
	if _, own := data.(situation); inside && !own { // the wall shows it in its part that is renewed
		f.Clock = s.clockWords(r.Context())
	}
	if l, ok := data.(interface{ lang() string }); ok {
		f.Lang = l.lang()
	}
	return s.execute(w, status, page, "rahmen", f)
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
