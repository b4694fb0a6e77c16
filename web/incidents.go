package web

import (
	"net/http"
	"slices"
	"strings"

	"leitstand/access"
	"leitstand/incident"
	"leitstand/room"
	"leitstand/warning"
)

type incidentsPage struct {
	Incidents []incident.Incident
	Signals   []warning.Signal // that may have started one
	Actor     actor
}

// incidents lists incidents and lets somebody declare one.
func (s *server) incidents(w http.ResponseWriter, r *http.Request) error {
	page := incidentsPage{}
	var err error
	if page.Incidents, err = incident.List(r.Context(), s.room.Store); err != nil {
		return err
	}
	all, err := warning.List(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.State == warning.Open || v.State == warning.Acknowledged {
			page.Signals = append(page.Signals, v)
		}
	}
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "vorfaelle", page)
}

func (s *server) declareIncident(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	title, err := needed(r, "titel", "Bitte den Vorfall benennen.")
	if err != nil {
		return err
	}
	i, err := room.Do[incident.Incident](r.Context(), s.room, person, "incident.declare", map[string]string{
		"title": title, "grade": r.PostForm.Get("grad"), "signal": r.PostForm.Get("signal"),
	})
	if err != nil {
		return err
	}
	return seeOther(w, r, "/vorfall/"+i.ID)
}

type incidentPage struct {
	Incident incident.Incident
	Facts    []factView // newest knowledge first
	Current  []factView // those that may be corrected
	Signals  []warning.Signal
	Actor    actor
	Lead     actor
}

// factView is a fact with what corrected it.
type factView struct {
	incident.Fact
	CorrectedBy string         // id of the correction; empty: it stands
	Earlier     *incident.Fact // what it corrects
}

// incident shows one incident with everything known, corrections included:
// nothing that was said is overwritten.
func (s *server) incident(w http.ResponseWriter, r *http.Request) error {
	i, err := incident.Get(r.Context(), s.room.Store, r.PathValue("id"))
	if err != nil {
		return err
	}
	page := incidentPage{Incident: i}
	facts, err := incident.Facts(r.Context(), s.room.Store, i.ID)
	if err != nil {
		return err
	}
	page.Facts = factViews(facts)
	for _, f := range page.Facts {
		if f.CorrectedBy == "" {
			page.Current = append(page.Current, f)
		}
	}
	all, err := warning.List(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.Incident == i.ID {
			page.Signals = append(page.Signals, v)
		}
	}
	if page.Actor, err = s.actors(r); err != nil {
		return err
	}
	if page.Lead, err = s.actors(r, access.CrisisLead); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "vorfall", page)
}

// factViews joins facts with their corrections, newest knowledge first.
func factViews(facts []incident.Fact) []factView {
	byID, corrected := map[string]incident.Fact{}, map[string]string{}
	for _, f := range facts {
		byID[f.ID] = f
		if f.Corrects != "" {
			corrected[f.Corrects] = f.ID
		}
	}
	out := make([]factView, 0, len(facts))
	for _, f := range slices.Backward(facts) {
		v := factView{Fact: f, CorrectedBy: corrected[f.ID]}
		if earlier, ok := byID[v.Corrects]; ok {
			v.Earlier = &earlier
		}
		out = append(out, v)
	}
	return out
}

// noteFact records a fact or a correction.
func (s *server) noteFact(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	f := incident.Fact{
		Incident: r.PathValue("id"), Source: strings.TrimSpace(r.PostForm.Get("quelle")),
		Certainty: incident.Certainty(r.PostForm.Get("gewissheit")), Corrects: r.PostForm.Get("korrigiert"),
	}
	if f.Text, err = needed(r, "text", "Bitte den Fakt aufschreiben."); err != nil {
		return err
	}
	if f.Source == "" {
		return &failure{status: http.StatusUnprocessableEntity, text: "Bitte die Quelle nennen: Ein Fakt ohne Quelle ist ein Gerücht."}
	}
	if f.Happened, err = s.localTime(r.PostForm.Get("zeit")); err != nil {
		return err
	}
	if _, err := s.act(r.Context(), person, "fact.note", f); err != nil {
		return err
	}
	return seeOther(w, r, "/vorfall/"+f.Incident)
}

func (s *server) closeIncident(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	if _, err := s.act(r.Context(), person, "incident.close", map[string]string{"id": id}); err != nil {
		return err
	}
	return seeOther(w, r, "/vorfall/"+id)
}
