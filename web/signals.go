package web

import (
	"net/http"

	"leitstand/access"
	"leitstand/incident"
	"leitstand/room"
	"leitstand/warning"
)

type signalsPage struct {
	Open, Decided []warning.Signal
	Incidents     []incident.Incident // not closed
	Suggestions   []warning.Suggestion
	Actor         actor
}

// signals shows what the early warning noticed, what needs a decision first.
func (s *server) signals(w http.ResponseWriter, r *http.Request) error {
	all, err := warning.List(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	page := signalsPage{}
	for _, v := range all {
		if v.State == warning.Open || v.State == warning.Acknowledged {
			page.Open = append(page.Open, v)
		} else {
			page.Decided = append(page.Decided, v)
		}
	}
	if page.Suggestions, err = room.Do[[]warning.Suggestion](r.Context(), s.room, "", "signal.suggest", nil); err != nil {
		return err
	}
	incidents, err := incident.List(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	for _, i := range incidents {
		if i.ClosedAt.IsZero() {
			page.Incidents = append(page.Incidents, i)
		}
	}
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator, access.Examiner); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "signale", page)
}

// decideSignal takes a signal on, dismisses it or puts it to an incident.
func (s *server) decideSignal(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	args := map[string]string{"id": r.PathValue("id"), "reason": r.PostForm.Get("grund")}
	switch {
	case r.PostForm.Get("uebernehmen") != "":
		args["to"] = string(warning.Acknowledged)
	case r.PostForm.Get("verwerfen") != "":
		args["to"] = string(warning.Dismissed)
		if _, err := needed(r, "grund", "Wer ein Signal verwirft, nennt bitte einen Grund."); err != nil {
			return err
		}
	case r.PostForm.Get("zuordnen") != "":
		args["to"] = string(warning.Attached)
		if args["incident"], err = needed(r, "vorfall", "Bitte den Vorfall wählen, zu dem das Signal gehört."); err != nil {
			return err
		}
	default:
		return &failure{status: http.StatusUnprocessableEntity, text: "Bitte wählen Sie, was mit dem Signal geschieht."}
	}
	if _, err := s.act(r.Context(), person, "signal.decide", args); err != nil {
		return err
	}
	return seeOther(w, r, "/signale")
}
