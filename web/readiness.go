package web

import (
	"cmp"
	"net/http"
	"slices"

	"leitstand/access"
	"leitstand/room"
)

// keepingRoutes are the pages of keeping the room, and of people out of reach.
func (s *server) keepingRoutes(mux *http.ServeMux) {
	for pattern, h := range map[string]handler{
		"GET /bereitschaft":                 s.readiness,
		"POST /bereitschaft":                s.changeReadiness,
		"GET /schluessel":                   s.keys,
		"POST /schluessel":                  s.changeKeys,
		"GET /entscheidungen/{id}/telefon":  s.telephone,
		"POST /entscheidungen/{id}/telefon": s.telephoneStep,
	} {
		mux.Handle(pattern, s.inside(h))
	}
}

type readinessPage struct {
	room.Checkup
	Bad, Warn int
	Work      []room.Finding // to work off, the worst first
	Probed    bool
	Clock     room.ClockStatus
	Actor     actor
}

// readiness shows what the doctor finds: a score and a list to work off.
func (s *server) readiness(w http.ResponseWriter, r *http.Request) error {
	return s.showReadiness(w, r, false)
}

func (s *server) showReadiness(w http.ResponseWriter, r *http.Request, probe bool) error {
	up, err := room.Do[room.Checkup](r.Context(), s.room, "", "doctor", map[string]bool{"probe": probe})
	if err != nil {
		return err
	}
	page := readinessPage{Checkup: up, Probed: probe}
	for _, f := range up.Findings {
		switch f.Health {
		case room.Bad:
			page.Bad++
		case room.Warn:
			page.Warn++
		case room.Good:
			continue
		}
		page.Work = append(page.Work, f)
	}
	slices.SortStableFunc(page.Work, func(a, b room.Finding) int { return cmp.Compare(badness(b.Health), badness(a.Health)) })
	if page.Clock, err = room.Do[room.ClockStatus](r.Context(), s.room, "", "clock.status", nil); err != nil {
		return err
	}
	if page.Actor, err = s.actors(r, access.Operator, access.CrisisLead); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "bereitschaft", page)
}

func badness(h room.Health) int {
	switch h {
	case room.Bad:
		return 2
	case room.Warn:
		return 1
	case room.Good:
	}
	return 0
}

// healthWord says a grade with a sign, so that no colour is needed to see it.
func healthWord(h room.Health) string {
	switch h {
	case room.Good:
		return "✓ gut"
	case room.Warn:
		return "? bald"
	case room.Bad:
	}
	return "! schlecht"
}

// changeReadiness logs in to every mailbox, or confirms the clock.
func (s *server) changeReadiness(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	switch r.PostForm.Get("was") {
	case "probe":
		return s.showReadiness(w, r, true)
	case "uhr":
		person, err := as(w, r)
		if err != nil {
			return err
		}
		reason, err := needed(r, "grund", "Bitte angeben, womit die Uhr verglichen wurde.")
		if err != nil {
			return err
		}
		if _, err := s.act(r.Context(), person, "clock.confirm", map[string]string{"reason": reason}); err != nil {
			return err
		}
		return seeOther(w, r, "/bereitschaft#uhr")
	}
	return &failure{status: http.StatusBadRequest, text: "Bitte wählen Sie, was geschehen soll. Es wurde nichts geändert."}
}
