package web

import (
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/room"
	"leitstand/warning"
)

// functions are what templates may call.
func functions() template.FuncMap {
	return template.FuncMap{
		"zeit": func(t time.Time) string {
			if t.IsZero() {
				return "–"
			}
			return t.Local().Format("02.01.2006 15:04 MST")
		},
		"uhr":   func(t time.Time) string { return t.Local().Format("15:04") },
		"datum": func(t time.Time) string { return t.Local().Format("Mon 02.01.2006") },
		"zahl":  number,
		"kurz":  func(s string) string { return strings.ToUpper(s) },
	}
}

// number groups thousands as German does.
func number(n int) string {
	digits := []byte(nil)
	if n < 0 {
		return "-" + number(-n)
	}
	for i := 0; ; i++ {
		if i > 0 && i%3 == 0 {
			digits = append(digits, '.')
		}
		digits = append(digits, byte('0'+n%10))
		if n /= 10; n == 0 {
			break
		}
	}
	for i, j := 0, len(digits)-1; i < j; i, j = i+1, j-1 {
		digits[i], digits[j] = digits[j], digits[i]
	}
	return string(digits)
}

// decisions shows what waits for a second person.
func (s *server) decisions(w http.ResponseWriter, r *http.Request) error {
	open, err := access.Open(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	people, err := access.List(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "entscheidungen", map[string]any{"Open": open, "People": people})
}

// decide gives or refuses consent. The room has no logins yet: who acts is
// chosen on the page, which only loopback and the token of the start can reach.
func (s *server) decide(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return &failure{status: http.StatusBadRequest, text: "Das Formular war nicht lesbar. Bitte noch einmal absenden."}
	}
	act := "approve"
	if r.PostForm.Get("nein") != "" {
		act = "decline"
		if strings.TrimSpace(r.PostForm.Get("grund")) == "" {
			return &failure{status: http.StatusBadRequest, text: "Wer ablehnt, nennt bitte einen Grund."}
		}
	}
	args, err := json.Marshal(map[string]string{"id": r.PathValue("id"), "reason": r.PostForm.Get("grund")})
	if err != nil {
		return err
	}
	_, err = s.room.Do(r.Context(), room.Act{Name: act, As: r.PostForm.Get("als"), Args: args})
	if err != nil {
		return s.explain(err)
	}
	http.Redirect(w, r, "/entscheidungen", http.StatusSeeOther)
	return nil
}

// cell shows one cell with its placements and what the ledger says about them.
func (s *server) cell(w http.ResponseWriter, r *http.Request) error {
	kasse, ok := s.room.Catalogue.KasseByIK(r.PathValue("kasse"))
	svc, ok2 := s.room.Catalogue.Service(catalogue.ServiceID(r.PathValue("service")))
	if !ok || !ok2 {
		return &failure{status: http.StatusNotFound, text: "Diese Zelle gibt es nicht."}
	}
	type placement struct {
		operation.CellPlacement
		Needs   string
		Entries []ledger.Record
	}
	page := struct {
		Kasse      catalogue.Kasse
		Service    catalogue.Service
		Cell       operation.Cell
		Look       cellView
		Placements []placement
	}{Kasse: kasse, Service: svc}
	for _, c := range s.room.Cells() {
		if c.Kasse == kasse.ID && c.Service == svc.ID {
			page.Cell = c
		}
	}
	page.Look.Key, page.Look.Sign, page.Look.Word = look(page.Cell)
	for _, p := range page.Cell.Placements {
		entries, err := ledger.About(r.Context(), s.room.Store, string(p.ID), 20)
		if err != nil {
			return err
		}
		known, _ := s.room.Catalogue.Placement(p.ID)
		page.Placements = append(page.Placements, placement{CellPlacement: p, Needs: known.Needs.String(), Entries: entries})
	}
	return s.render(w, r, http.StatusOK, "zelle", page)
}

// diary shows the newest entries of the ledger.
func (s *server) diary(w http.ResponseWriter, r *http.Request) error {
	head, ok, err := ledger.Newest(r.Context(), s.room.Store, s.room.Public())
	if err != nil {
		return err
	}
	var records []ledger.Record
	if ok {
		if records, err = ledger.Read(r.Context(), s.room.Store, max(0, head.Size-200), 200); err != nil {
			return err
		}
	}
	return s.render(w, r, http.StatusOK, "tagebuch", map[string]any{"Head": head, "Records": records})
}

func (s *server) signals(w http.ResponseWriter, r *http.Request) error {
	all, err := warning.List(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "signale", all)
}

// public is the page for insured people and partners. It shows only what two
// people released.
func (s *server) public(w http.ResponseWriter, r *http.Request) error {
	lists, err := notice.Lists(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	notices, err := notice.Notices(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	var told []notice.Notice
	for _, n := range notices {
		if n.Audience == notice.Public || n.Audience == notice.Partners {
			told = append(told, n)
		}
	}
	page := map[string]any{"Lists": lists, "Notices": told}
	if len(lists) > 0 {
		page["Newest"] = lists[0]
	}
	return s.render(w, r, http.StatusOK, "oeffentlich", page)
}

// publicJSON is the newest list for machines.
func (s *server) publicJSON(w http.ResponseWriter, r *http.Request) error {
	l, err := notice.Newest(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	l.PublishedBy, l.SecondBy = "", "" // names of the crisis team are nobody's business
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(append(b, '\n')) // the visitor is gone
	return nil
}
