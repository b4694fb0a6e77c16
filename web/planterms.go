package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/recovery"
	"leitstand/room"
)

// termsPage is the form of what plans rest on, and what a change of it would mean.
type termsPage struct {
	Terms    recovery.Terms
	Form     url.Values // what the form shows: the terms in force, or what was typed
	Services []catalogue.Service
	Kassen   []catalogue.Kasse
	Efforts  []recovery.Effort
	Risks    []recovery.TaskKind
	Machines []string // kinds of components that a team is named for
	Rows     []int    // of deadlines
	Lands    []catalogue.Land
	Actor    actor
	Problem  string
	Compared *room.TermsCompared
}

// V is what a field of the form shows.
func (p *termsPage) V(name string, of ...any) string { return p.Form.Get(fieldName(name, of...)) }

// fieldName is the name of a field that there is for each of many things.
func fieldName(name string, of ...any) string {
	for _, part := range of {
		name += "-" + fmt.Sprint(part)
	}
	return name
}

// emptyDeadlines is how many empty rows the form offers.
const emptyDeadlines = 2

func (s *server) newTermsPage(r *http.Request) (*termsPage, error) {
	p := &termsPage{Services: orderedServices(s.room.Catalogue), Kassen: s.room.Catalogue.Kassen, Lands: catalogue.Lands(), Risks: []recovery.TaskKind{recovery.Examine, recovery.Probe, recovery.Test}}
	var err error
	if p.Terms, err = room.Do[recovery.Terms](r.Context(), s.room, "", "plan.terms", struct{}{}); err != nil {
		return nil, err
	}
	p.Efforts, p.Machines = sortedKeys(p.Terms.Work), sortedKeys(p.Terms.Machinery)
	for i := range len(p.Terms.Deadlines) + emptyDeadlines {
		p.Rows = append(p.Rows, i)
	}
	p.Actor, err = s.actors(r, access.CrisisLead, access.Operator, access.KasseDelegate)
	return p, err
}

// terms shows the form.
func (s *server) terms(w http.ResponseWriter, r *http.Request) error {
	page, err := s.newTermsPage(r)
	if err != nil {
		return err
	}
	page.Form = s.formOfTerms(page.Terms)
	return s.render(w, r, http.StatusOK, "vereinbarungen", page)
}

// compareTerms shows what the typed terms would mean. Nothing changes.
func (s *server) compareTerms(w http.ResponseWriter, r *http.Request) error {
	page, next, err := s.typedTerms(r)
	if err != nil || page.Problem != "" {
		return s.termsProblem(w, r, page, err)
	}
	v, err := room.Do[room.TermsCompared](r.Context(), s.room, "", "plan.compare", map[string]any{"terms": next})
	if err != nil {
		return s.termsProblem(w, r, page, err)
	}
	page.Compared = &v
	return s.render(w, r, http.StatusOK, "vereinbarungen", page)
}

// askTerms asks the second person.
func (s *server) askTerms(w http.ResponseWriter, r *http.Request) error {
	page, next, err := s.typedTerms(r)
	if err != nil || page.Problem != "" {
		return s.termsProblem(w, r, page, err)
	}
	person, err := as(w, r)
	if err != nil {
		return s.termsProblem(w, r, page, err)
	}
	reason, err := needed(r, "grund", "Eine Änderung der Vereinbarungen ist eine Entscheidung: Bitte begründen.")
	if err != nil {
		return s.termsProblem(w, r, page, err)
	}
	out, err := room.Do[room.TermsAsked](r.Context(), s.room, person, "plan.agree", map[string]any{"terms": next, "reason": reason})
	if err != nil {
		return s.termsProblem(w, r, page, err)
	}
	return seeOther(w, r, "/entscheidungen/"+out.Consent.ID)
}

// termsProblem shows the form again with what was typed, and what is wrong with it.
func (s *server) termsProblem(w http.ResponseWriter, r *http.Request, page *termsPage, err error) error {
	status := http.StatusUnprocessableEntity
	refused, ours := errors.AsType[*room.Failure](err)
	typed, words := errors.AsType[*failure](err)
	switch {
	case page == nil:
		return err
	case err == nil: // the reader found it
	case errors.Is(err, recovery.ErrNoPlan), errors.Is(err, access.ErrUnknownPerson):
		return err
	case errors.Is(err, room.ErrTermsOvertaken):
		status, page.Problem = http.StatusConflict, "Inzwischen haben andere etwas vereinbart. Bitte die Seite neu öffnen und die Änderung noch einmal eintragen."
	case errors.Is(err, room.ErrSameTerms):
		page.Problem = "Nichts ist anders als bisher."
	case ours:
		status, page.Problem = http.StatusConflict, refusedText(refused.Rule, refused.Text)
	case words:
		status, page.Problem = typed.status, typed.text
	default:
		page.Problem = "Das lässt sich so nicht vereinbaren: " + err.Error()
	}
	return s.render(w, r, status, "vereinbarungen", page)
}

// typedTerms reads the form. What is wrong with it is the page's problem, in German.
func (s *server) typedTerms(r *http.Request) (*termsPage, recovery.Terms, error) {
	if err := parse(r); err != nil {
		return nil, recovery.Terms{}, err
	}
	page, err := s.newTermsPage(r)
	if err != nil {
		return nil, recovery.Terms{}, err
	}
	page.Form = r.PostForm
	read := termsReader{form: r.PostForm, zone: s.zone, server: s}
	next := read.terms(page)
	page.Problem = read.problem
	return page, next, nil
}

// formOfTerms are the fields of the form for terms.
func (s *server) formOfTerms(t recovery.Terms) url.Values {
	f := url.Values{}
	set := func(value, name string, of ...any) { f.Set(fieldName(name, of...), value) }
	set(fmt.Sprint(t.Version), "fassung")
	for _, team := range t.Teams {
		set(team.Name, "name", team.ID)
		set(recovery.ShiftText(team.Shifts), "schichten", team.ID)
	}
	set(strconv.Itoa(t.Delegates), "fachprobe")
	set(strconv.Itoa(t.Observe), "beobachtung")
	set(germanNumber(100*t.OtherSite), "zweitstandort")
	set(germanNumber(t.Fairness), "gerechtigkeit")
	set(germanNumber(t.Stability), "stabilitaet")
	for e, span := range t.Work {
		set(span.String(), "dauer", e)
	}
	for kind, risk := range t.Fails {
		set(germanNumber(100*risk.Probability), "scheitert", kind)
		set(strconv.Itoa(risk.Most), "hoechstens", kind)
	}
	for id, share := range t.Emergency {
		set(germanNumber(100*share), "notbetrieb", id)
	}
	for id, v := range t.Priorities.Services {
		set(germanNumber(v), "gewicht", id)
	}
	for id, v := range t.Priorities.Kassen {
		set(germanNumber(v), "faktor", id)
	}
	for _, id := range t.Priorities.First {
		set("ja", "zuerst", id)
	}
	for i, d := range t.Deadlines {
		set(string(d.Service), "termindienst", i)
		set(string(d.Kasse), "terminkasse", i)
		set(d.At.In(s.zone).Format("2006-01-02T15:04"), "terminzeit", i)
		set(d.Reason, "termingrund", i)
	}
	set(strings.Join(t.Closed, ", "), "geschlossen")
	set(string(t.Land), "land")
	for kind, team := range t.Machinery {
		set(team, "zustaendig", kind)
	}
	set(t.Otherwise, "uebrige")
	return f
}

// germanNumber writes a number as it is typed here, without the noise of binary fractions.
func germanNumber(v float64) string {
	return strings.Replace(strconv.FormatFloat(v, 'g', 10, 64), ".", ",", 1)
}

// termsReader reads the form of terms; the first thing that is wrong is its problem.
type termsReader struct {
	form    url.Values
	zone    *time.Location
	server  *server
	problem string
}

func (t *termsReader) wrong(text string, args ...any) {
	if t.problem == "" {
		t.problem = fmt.Sprintf(text, args...)
	}
}

func (t *termsReader) text(name string, of ...any) string {
	return strings.TrimSpace(t.form.Get(fieldName(name, of...)))
}

// number reads a number; label says what it is of when it cannot be read.
func (t *termsReader) number(label string, most float64, name string, of ...any) float64 {
	v, err := strconv.ParseFloat(strings.Replace(t.text(name, of...), ",", ".", 1), 64)
	if err != nil || !(v >= 0 && v <= most) {
		t.wrong("%s: Bitte eine Zahl von 0 bis %g angeben.", label, most)
	}
	return v
}

func (t *termsReader) whole(label string, most int, name string, of ...any) int {
	v, err := strconv.Atoi(t.text(name, of...))
	if err != nil || v < 0 || v > most {
		t.wrong("%s: Bitte eine ganze Zahl von 0 bis %d angeben.", label, most)
	}
	return v
}

// terms are what the form says; what it has no field for stays as it is in force.
func (t *termsReader) terms(page *termsPage) recovery.Terms {
	out := page.Terms
	out.Version = int64(t.whole("Fassung", 1<<30, "fassung"))
	out.Teams = t.teams(page.Terms.Teams)
	out.Delegates = t.whole("Personen je Kasse für die Fachprobe", 100, "fachprobe")
	out.Observe = t.whole("Beobachtung", 2000, "beobachtung")
	out.OtherSite = t.number("Ein weiterer Standort", 100, "zweitstandort") / 100
	out.Fairness = t.number("Gerechtigkeit", 100, "gerechtigkeit")
	out.Stability = t.number("Stabilität", 1e6, "stabilitaet")
	out.Work = map[recovery.Effort]recovery.Span{}
	for _, e := range page.Efforts {
		span, err := recovery.ParseSpan(t.text("dauer", e))
		if err != nil || span.Low < 0 || span.Low > span.Likely || span.Likely > span.High || span.Likely == 0 {
			t.wrong("Dauer, %s: Bitte drei ganze Stundenzahlen, bestenfalls/meist/schlimmstenfalls, zum Beispiel 1/2/6.", e.Word())
		}
		out.Work[e] = span
	}
	out.Fails = map[recovery.TaskKind]recovery.Risk{}
	for _, kind := range page.Risks {
		out.Fails[kind] = recovery.Risk{
			Probability: t.number("Scheitert, "+kind.Word()+" (Prozent)", 99, "scheitert", kind) / 100,
			Most:        t.whole("Scheitert höchstens, "+kind.Word(), 100, "hoechstens", kind),
		}
	}
	out.Machinery, out.Otherwise = map[string]string{}, t.text("uebrige")
	for _, kind := range page.Machines {
		out.Machinery[kind] = t.text("zustaendig", kind)
	}
	t.priorities(page, &out)
	out.Deadlines = t.deadlines(page)
	out.Land, out.Closed = catalogue.Land(t.text("land")), t.closed()
	if out.Land.Check() != nil {
		t.wrong("Feiertage: Dieses Land gibt es nicht.")
	}
	return out
}

func (t *termsReader) teams(inForce []recovery.Team) []recovery.Team {
	var out []recovery.Team
	add := func(id, name, shifts string) {
		if shifts == "" {
			return // the team is no more
		}
		parsed, err := recovery.ParseShifts(shifts)
		if err != nil {
			t.wrong("Team %s: Die Schichten „%s“ sind nicht lesbar. Bitte Tage, Stunden und Personen, zum Beispiel Mo-Fr 8-17 x2; Sa 10-14 x1.", name, shifts)
		}
		out = append(out, recovery.Team{ID: id, Name: name, Shifts: parsed})
	}
	for _, team := range inForce {
		add(team.ID, t.text("name", team.ID), t.text("schichten", team.ID))
	}
	if id := t.text("neu-kurz"); id != "" {
		if t.text("neu-schichten") == "" || t.text("neu-name") == "" || strings.ContainsAny(id, "/ ") {
			t.wrong("Das neue Team %s braucht ein Kürzel ohne Leerzeichen, einen Namen und Schichten.", id)
		}
		add(id, t.text("neu-name"), t.text("neu-schichten"))
	}
	return out
}

func (t *termsReader) priorities(page *termsPage, out *recovery.Terms) {
	p := recovery.Priorities{Services: map[catalogue.ServiceID]float64{}, Kassen: map[catalogue.KasseID]float64{}}
	emergency := map[catalogue.ServiceID]float64{}
	for id, v := range page.Terms.Emergency { // of services that this catalogue does not have
		if _, ok := t.server.room.Catalogue.Service(id); !ok {
			emergency[id] = v
		}
	}
	for _, d := range page.Services {
		if t.text("gewicht", d.ID) != "" {
			p.Services[d.ID] = t.number("Gewicht, "+d.Name, 1000, "gewicht", d.ID)
		}
		if t.text("notbetrieb", d.ID) != "" {
			emergency[d.ID] = t.number("Notbetrieb leistet, "+d.Name+" (Prozent)", 100, "notbetrieb", d.ID) / 100
		}
	}
	for _, k := range page.Kassen {
		if t.text("faktor", k.ID) != "" {
			p.Kassen[k.ID] = t.number("Faktor, "+k.Name, 1000, "faktor", k.ID)
		}
		if t.text("zuerst", k.ID) != "" {
			p.First = append(p.First, k.ID)
		}
	}
	if slices.Equal(slices.Sorted(slices.Values(p.First)), slices.Sorted(slices.Values(page.Terms.Priorities.First))) {
		p.First = page.Terms.Priorities.First // their order is no change
	}
	out.Priorities, out.Emergency = p, emergency
}

func (t *termsReader) deadlines(page *termsPage) []recovery.Deadline {
	var out []recovery.Deadline
	for _, i := range page.Rows {
		d := recovery.Deadline{
			Service: catalogue.ServiceID(t.text("termindienst", i)), Kasse: catalogue.KasseID(t.text("terminkasse", i)), Reason: t.text("termingrund", i),
		}
		if d.Service == "" {
			continue
		}
		at, err := t.server.localTime(t.text("terminzeit", i))
		if err != nil || at.IsZero() || d.Reason == "" {
			t.wrong("Fester Termin für %s: Bitte Zeit und Grund angeben.", t.server.serviceName(d.Service))
		}
		d.At = at
		out = append(out, d)
	}
	return out
}

func (t *termsReader) closed() []string {
	var out []string
	for day := range strings.SplitSeq(t.text("geschlossen"), ",") {
		if day = strings.TrimSpace(day); day == "" {
			continue
		}
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			t.wrong("Geschlossene Tage: „%s“ ist kein Datum wie 2026-12-25.", day)
		}
		out = append(out, day)
	}
	return out
}
