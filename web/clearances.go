package web

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/room"
)

type clearancesPage struct {
	Clearances   []clearanceView
	Rotations    []forensics.Rotation
	Environments []catalogue.Environment
	Components   []catalogue.Component
	Examiners    actor
	Actor        actor
	Until        string // suggested end, for the form
}

type clearanceView struct {
	forensics.Clearance
	Rests int // placements and components that passed the gate with it
}

// clearances shows what is cleared, by whom, on which evidence, and what rests on it.
func (s *server) clearances(w http.ResponseWriter, r *http.Request) error {
	state := s.room.Operation.Current()
	rests := map[string]int{}
	for _, p := range state.Placements() {
		for _, id := range p.Rests {
			rests[id]++
		}
	}
	for _, c := range state.Components() {
		for _, id := range c.Rests {
			rests[id]++
		}
	}
	page := clearancesPage{
		Rotations: state.Rotations(), Environments: s.room.Catalogue.Environments, Components: s.room.Catalogue.Components,
		Until: s.room.Now().Add(30 * 24 * time.Hour).In(s.zone).Format("2006-01-02T15:04"),
	}
	for _, c := range state.Clearances() {
		page.Clearances = append(page.Clearances, clearanceView{c, rests[c.ID]})
	}
	slices.SortStableFunc(page.Clearances, func(a, b clearanceView) int { return b.GrantedAt.Compare(a.GrantedAt) })
	var err error
	if page.Examiners, err = s.actors(r, access.Examiner); err != nil {
		return err
	}
	if page.Actor, err = s.actors(r, access.Examiner, access.CrisisLead); err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, "freigaben", page)
}

func evidenceText(e forensics.Evidence) string {
	out := fmt.Sprintf("%s, SHA-256 %s", e.Name, e.SHA256)
	if e.Size > 0 {
		out += ", " + number(e.Size) + " Bytes"
	}
	return out
}

var sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)

// grantClearance asks a second signer to clear something.
func (s *server) grantClearance(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	f := r.PostForm
	reason, err := needed(r, "grund", "Bitte einen Grund angeben.")
	if err != nil {
		return err
	}
	scope, err := forensics.ParseScope(f.Get("umfang"))
	if err != nil {
		return &failure{status: http.StatusUnprocessableEntity, text: "Bitte wählen, was freigegeben werden soll."}
	}
	evidence, err := evidenceOf(r, "Ohne Beleg keine Freigabe")
	if err != nil {
		return err
	}
	until, err := s.localTime(f.Get("bis"))
	if err != nil {
		return err
	}
	app := forensics.Application{
		Scope: scope, Check: forensics.Check(f.Get("pruefung")), Until: until, Conditions: strings.TrimSpace(f.Get("auflagen")),
		Evidence: evidence,
	}
	c, err := room.Do[access.Consent](r.Context(), s.room, person, "clearance.grant", struct {
		forensics.Application
		Reason string `json:"reason"`
	}{app, reason})
	if err != nil {
		return err
	}
	return seeOther(w, r, "/entscheidungen/"+c.ID)
}

// revokeClearance needs one person: what rests on it must go down.
func (s *server) revokeClearance(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	reason, err := needed(r, "grund", "Bitte einen Grund für den Widerruf angeben.")
	if err != nil {
		return err
	}
	if _, err := s.act(r.Context(), person, "clearance.revoke", map[string]string{"id": r.PathValue("id"), "reason": reason}); err != nil {
		return err
	}
	return seeOther(w, r, "/freigaben/"+r.PathValue("id")+"/widerruf")
}
