package web

import (
	"html/template"
	"net/http"
	"strings"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/recovery"
	"leitstand/room"
)

// backlogPage is what piled up in emergency operation, in the order in which it
// is worked off.
type backlogPage struct {
	Terms    recovery.BacklogTerms
	Services []backlogService
	Choices  []groupChoice // of every service of the catalogue
	Groups   []string
	Actor    actor
}

type backlogService struct {
	room.ServiceBacklog

	Picture  template.HTML
	Measured int // cells whose speed was measured
}

// groupChoice is one service on the form of the order.
type groupChoice struct {
	ID    catalogue.ServiceID
	Name  string
	Group int // from 1; 0 is the rest
}

// backlog shows the curves and the order.
func (s *server) backlog(w http.ResponseWriter, r *http.Request) error {
	v, err := room.Do[room.BacklogView](r.Context(), s.room, "", "backlog.show", map[string]string{"kasse": r.URL.Query().Get("kasse")})
	if err != nil {
		return err
	}
	page := backlogPage{Terms: v.Terms}
	for _, b := range v.Services {
		row := backlogService{ServiceBacklog: b, Picture: template.HTML(b.Draw(v.At, s.zone))} //nolint:gosec // drawn by us, with the name escaped
		for _, c := range b.Cells {
			if c.Measured {
				row.Measured++
			}
		}
		page.Services = append(page.Services, row)
	}
	for _, g := range v.Terms.Groups {
		page.Groups = append(page.Groups, g.Name)
	}
	for _, d := range orderedServices(s.room.Catalogue) {
		c := groupChoice{ID: d.ID, Name: d.Name}
		if rank, _ := v.Terms.Rank(d.ID); rank < len(v.Terms.Groups) {
			c.Group = rank + 1
		}
		page.Choices = append(page.Choices, c)
	}
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator, access.KasseDelegate); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "rueckstand", page)
}

// orderBacklog asks a second person to change the order. The form names the group
// of each service; the groups themselves stay.
func (s *server) orderBacklog(w http.ResponseWriter, r *http.Request) error {
	person, reason, err := s.actedOn(w, r, "Die Reihenfolge zu ändern ist eine Entscheidung: Bitte begründen.")
	if err != nil {
		return err
	}
	t, err := room.Do[room.BacklogView](r.Context(), s.room, "", "backlog.show", struct{}{})
	if err != nil {
		return err
	}
	groups := make([]recovery.UrgencyGroup, len(t.Terms.Groups))
	for i, g := range t.Terms.Groups {
		groups[i].Name = g.Name
		for _, d := range orderedServices(s.room.Catalogue) {
			if r.PostForm.Get("dienst-"+string(d.ID)) == g.Name {
				groups[i].Services = append(groups[i].Services, d.ID)
			}
		}
		if len(groups[i].Services) == 0 {
			return &failure{http.StatusUnprocessableEntity, "In der Gruppe „" + g.Name + "“ ist kein Dienst: Bitte mindestens einen zuordnen."}
		}
	}
	c, err := room.Do[access.Consent](r.Context(), s.room, person, "backlog.order", map[string]any{"groups": groups, "reason": reason})
	if err != nil {
		return err
	}
	return seeOther(w, r, "/entscheidungen/"+c.ID)
}

// actedOn reads who acts and why.
func (s *server) actedOn(w http.ResponseWriter, r *http.Request, otherwise string) (person, reason string, err error) {
	if err := parse(r); err != nil {
		return "", "", err
	}
	if person, err = as(w, r); err != nil {
		return "", "", err
	}
	reason, err = needed(r, "grund", otherwise)
	return person, reason, err
}

// orderFields puts a change of the order into words.
func (s *server) orderFields(o room.ShownOrder) []field {
	words := func(groups []recovery.UrgencyGroup) []string {
		out := make([]string, 0, len(groups)+1)
		for _, g := range groups {
			names := make([]string, len(g.Services))
			for i, id := range g.Services {
				names[i] = s.serviceName(id)
			}
			out = append(out, g.Name+": "+strings.Join(names, ", "))
		}
		return append(out, "danach alles Übrige")
	}
	return []field{{"Grund", one(o.Reason)}, {"Bisher", words(o.Before)}, {"Künftig", words(o.After)}}
}
