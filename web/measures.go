package web

import (
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/incident"
	"leitstand/operation"
	"leitstand/room"
)

type measuresPage struct {
	Measures []measureView
	Acts     []containment.Act // outside, that need a person: without outcome, or contradicted by what was seen
	Actor    actor
}

type measureView struct {
	containment.Measure
	UndoUntil string // how long taking back may be asked for, in words; empty: no more
	Affected  []string
	Parts     []string // names of shared components that went off
	Off       string   // what is still off the network by it, in words; empty: everything is back or off by another measure
}

// measures lists what was ordered, with the ways to confirm and to take back.
func (s *server) measures(w http.ResponseWriter, r *http.Request) error {
	all, err := containment.List(r.Context(), s.room.Store)
	if err != nil {
		return err
	}
	page := measuresPage{}
	if page.Actor, err = s.actors(r, access.CrisisLead, access.Operator); err != nil {
		return err
	}
	if page.Acts, err = s.unsettledActs(r); err != nil {
		return err
	}
	state, now := s.room.Operation.Current(), s.room.Now()
	for _, m := range all {
		v := measureView{Measure: m}
		kassen := map[string]bool{}
		off, parts := 0, 0
		for _, id := range m.Placements {
			k, _, _, _ := id.Split()
			kassen[s.kasseName(k)] = true
			if row, ok := state.Placement(id); ok {
				off += s.stillOff(&row.Track, &v, now)
			}
		}
		for _, id := range m.Components {
			v.Parts = append(v.Parts, s.nodeName(string(id)))
			if row, ok := state.Component(id); ok {
				parts += s.stillOff(&row.Track, &v, now)
			}
		}
		v.Off = offWords(off, parts)
		v.Affected = slices.Sorted(maps.Keys(kassen))
		page.Measures = append(page.Measures, v)
	}
	return s.render(w, r, http.StatusOK, "massnahmen", page)
}

// stillOff is 1 for what is off the network by a measure, and notes how long
// taking it back may be asked for.
func (s *server) stillOff(t *operation.Track, v *measureView, now time.Time) int {
	if t.Cut == nil || t.Cut.Measure != v.ID || t.Regular != operation.Cut {
		return 0
	}
	if now.Before(t.Cut.UndoUntil) {
		v.UndoUntil = s.moment(t.Cut.UndoUntil, now).Abs
	}
	return 1
}

func offWords(placements, components int) string {
	var out []string
	if placements > 0 {
		out = append(out, catalogue.Counted(placements, "eine Stelle", "%s Stellen"))
	}
	if components > 0 {
		out = append(out, catalogue.Counted(components, "eine Komponente", "%s Komponenten"))
	}
	return strings.Join(out, " und ")
}

// unsettledActs are the acts outside that a person must look at, oldest first. One
// that is only just being carried out is among them until its outcome is on record.
func (s *server) unsettledActs(r *http.Request) ([]containment.Act, error) {
	acts, err := containment.Acts(r.Context(), s.room.Store)
	return slices.DeleteFunc(acts, func(a containment.Act) bool {
		return a.State != containment.Intended && a.State != containment.Unclear
	}), err
}

// resolveAct is a person's word on an act without outcome. Nothing is repeated
// without it.
func (s *server) resolveAct(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	reason, err := needed(r, "grund", "Bitte sagen, was gesehen wurde; es kommt ins Buch.")
	if err != nil {
		return err
	}
	d := containment.Decision(r.PostForm.Get("entscheidung"))
	if !slices.Contains([]containment.Decision{containment.Repeat, containment.IsDone, containment.IsNotDone}, d) {
		return &failure{status: http.StatusUnprocessableEntity, text: "Bitte wählen: wiederholen, ist geschehen oder ist nicht geschehen."}
	}
	if _, err := s.act(r.Context(), person, "driver.resolve", map[string]string{"id": r.PathValue("id"), "decision": string(d), "reason": reason}); err != nil {
		return err
	}
	return seeOther(w, r, "/massnahmen")
}

// measureFormPage is the form, also when it comes back with a preview.
type measureFormPage struct {
	Kassen    []catalogue.Kasse
	Services  []catalogue.Service
	Sites     []catalogue.Site
	Parts     []catalogue.Component // shared components
	Incidents []incident.Incident
	Plan      containment.Plan
	Preview   *containment.Preview
	Picture   template.HTML
	Names     []string // of what goes off
	Already   []string // of what is off already
	Fields    []formField
	Actor     actor
	Problem   string
}

// formField is one value of the form, for the hidden fields behind a preview.
type formField struct{ Name, Value string }

func (s *server) measureForm(w http.ResponseWriter, r *http.Request) error {
	page, err := s.newMeasureForm(r)
	if err != nil {
		return err
	}
	page.Plan.Stage = 1
	return s.render(w, r, http.StatusOK, "massnahme", page)
}

func (s *server) newMeasureForm(r *http.Request) (measureFormPage, error) {
	page := measureFormPage{Services: orderedServices(s.room.Catalogue), Sites: s.room.Catalogue.Sites, Parts: s.room.Catalogue.Components}
	page.Kassen = slices.SortedFunc(slices.Values(s.room.Catalogue.Kassen), func(a, b catalogue.Kasse) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	all, err := incident.List(r.Context(), s.room.Store)
	if err != nil {
		return page, err
	}
	for _, i := range all {
		if i.ClosedAt.IsZero() {
			page.Incidents = append(page.Incidents, i)
		}
	}
	page.Actor, err = s.actors(r, access.CrisisLead, access.Operator)
	return page, err
}

// plan reads the form. What it does not say it does not choose.
func (s *server) plan(r *http.Request) (containment.Plan, error) {
	f := r.PostForm
	p := containment.Plan{
		Incident: f.Get("vorfall"), Title: strings.TrimSpace(f.Get("titel")), Reason: strings.TrimSpace(f.Get("grund")),
		Immediate: f.Get("gefahr") == "ja", Behaviour: map[catalogue.ServiceID]catalogue.Behaviour{},
	}
	var err error
	if p.Stage, err = strconv.Atoi(f.Get("stufe")); err != nil || p.Stage < 1 || p.Stage > 3 {
		return p, &failure{status: http.StatusUnprocessableEntity, text: "Bitte die Stufe wählen: 1, 2 oder 3."}
	}
	if p.Title == "" || p.Reason == "" {
		return p, &failure{status: http.StatusUnprocessableEntity, text: "Bitte einen Namen und einen Grund für die Maßnahme angeben."}
	}
	p.Selection.Kassen = typed[catalogue.KasseID](f["kasse"])
	p.Selection.Services = typed[catalogue.ServiceID](f["dienst"])
	p.Selection.Sites = typed[catalogue.SiteID](f["standort"])
	p.Selection.Placements = typed[catalogue.PlacementID](f["stelle"])
	p.Selection.Components = typed[catalogue.ComponentID](f["komponente"])
	p.Selection.Shared, p.Selection.Dependents = f.Get("gemeinsame") == "ja", f.Get("abhaengige") == "ja"
	switch {
	case p.Selection.Shared && len(p.Selection.Sites) == 0:
		return p, &failure{status: http.StatusUnprocessableEntity, text: "Gemeinsame Komponenten welcher Standorte? Bitte mindestens einen Standort ankreuzen."}
	case p.Selection.Dependents && !p.Selection.Shared && len(p.Selection.Components) == 0:
		return p, &failure{status: http.StatusUnprocessableEntity, text: "Was ohne welche Komponenten ausfällt? Bitte mindestens eine Komponente ankreuzen."}
	}
	for _, list := range f["ausser"] {
		for e := range strings.SplitSeq(list, ",") {
			p.Selection.Except = append(p.Selection.Except, typed[string]([]string{strings.TrimSpace(e)})...)
		}
	}
	p.Emergency = typed[catalogue.ServiceID](f["notbetrieb"])
	for _, svc := range s.room.Catalogue.Services {
		if v := f.Get("tuer-" + string(svc.ID)); v != "" {
			b, err := catalogue.ParseBehaviour(v)
			if err != nil {
				return p, &failure{status: http.StatusUnprocessableEntity, text: "Das Verhalten einer Schnittstelle ist nicht lesbar."}
			}
			p.Behaviour[svc.ID] = b
		}
	}
	if len(p.Behaviour) == 0 {
		p.Behaviour = nil
	}
	return p, nil
}

func typed[T ~string](in []string) []T {
	var out []T
	for _, v := range in {
		if v != "" {
			out = append(out, T(v))
		}
	}
	return out
}

// measurePreview shows what a measure would cost. It changes nothing.
func (s *server) measurePreview(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	page, err := s.newMeasureForm(r)
	if err != nil {
		return err
	}
	status := http.StatusOK
	page.Plan, err = s.plan(r)
	if err == nil {
		var pre containment.Preview
		page.Plan.From = s.room.Now().Truncate(time.Minute).UTC()
		if pre, err = containment.MakePreview(s.room.Catalogue, s.room.Operation.Current(), page.Plan); err == nil {
			page.Preview, page.Picture = &pre, s.picture(pre)
			page.Names, page.Already = s.placementNames(pre.Placements), s.placementNames(pre.Already)
		}
	}
	if err != nil {
		f := s.explain(err)
		page.Problem, status = f.text, f.status
	}
	for _, name := range slices.Sorted(maps.Keys(r.PostForm)) {
		for _, v := range r.PostForm[name] {
			if v != "" && name != "als" {
				page.Fields = append(page.Fields, formField{name, v})
			}
		}
	}
	return s.render(w, r, status, "massnahme", page)
}

// picture draws what a cut takes with it. The drawing escapes every name itself.
func (s *server) picture(pre containment.Preview) template.HTML {
	r := pre.Impact(s.room.Catalogue, s.room.Operation.Current())
	return template.HTML(r.Diagram(s.room.Catalogue).SVG()) //nolint:gosec // made by us, names escaped: a test has hostile ones
}

// measureOrder asks a second person, or cuts at once in immediate danger.
func (s *server) measureOrder(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	p, err := s.plan(r)
	if err != nil {
		return err
	}
	out, err := room.Do[room.Ordered](r.Context(), s.room, person, "measure.order", p)
	if err != nil {
		return err
	}
	to := "/massnahmen"
	if out.Consent != nil {
		to = "/entscheidungen/" + out.Consent.ID
	}
	return seeOther(w, r, to)
}

// measureFollow confirms a measure as second person or asks to take it back.
func (s *server) measureFollow(w http.ResponseWriter, r *http.Request) error {
	if err := parse(r); err != nil {
		return err
	}
	person, err := as(w, r)
	if err != nil {
		return err
	}
	name, to := "measure.confirm", "/massnahmen"
	if r.PostForm.Get("zuruecknehmen") != "" {
		name, to = "measure.undo", "/entscheidungen"
	}
	reason, err := needed(r, "grund", "Bitte einen Grund angeben.")
	if err != nil {
		return err
	}
	if _, err := s.act(r.Context(), person, name, map[string]string{"id": r.PathValue("id"), "reason": reason}); err != nil {
		return err
	}
	return seeOther(w, r, to)
}

// Has says whether a value was chosen, so that a form comes back as it was sent.
func (p measureFormPage) Has(name, value string) bool {
	return slices.ContainsFunc(p.Fields, func(f formField) bool { return f.Name == name && f.Value == value })
}
