package recovery

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
)

// TaskKind is a step on the way back. The zero value is refused.
type TaskKind string

// The kinds of tasks, in the order in which a cell meets them.
const (
	Secure    TaskKind = "secure"    // evidence is secured before anything is overwritten
	Examine   TaskKind = "examine"   // forensics examines a scope; may fail
	Emergency TaskKind = "emergency" // emergency operation of a cell begins
	Build     TaskKind = "build"     // rebuilt from known good sources, or cleaned
	Rotate    TaskKind = "rotate"    // credentials of a scope are changed
	Probe     TaskKind = "probe"     // technical test; may fail
	Test      TaskKind = "test"      // business test by the Kasse; may fail
	Observe   TaskKind = "observe"   // observation with tightened early warning
	Switch    TaskKind = "switch"    // switch-back (Rückführung)
	Join      TaskKind = "join"      // a further site of a cell takes part again
	Backlog   TaskKind = "backlog"   // what piled up is worked off
)

// TaskKinds lists every kind in order.
func TaskKinds() []TaskKind {
	return []TaskKind{Secure, Examine, Emergency, Build, Rotate, Probe, Test, Observe, Switch, Join, Backlog}
}

// Word is the German word for a kind, for screens and paper.
func (k TaskKind) Word() string {
	switch k {
	case Secure:
		return "Spuren sichern"
	case Examine:
		return "Untersuchen"
	case Emergency:
		return "Notbetrieb einrichten"
	case Build:
		return "Aufbauen"
	case Rotate:
		return "Zugangsdaten wechseln"
	case Probe:
		return "Technische Probe"
	case Test:
		return "Fachprobe"
	case Observe:
		return "Beobachten"
	case Switch:
		return "Rückführung"
	case Join:
		return "Zweitstandort anschließen"
	case Backlog:
		return "Rückstand abarbeiten"
	}
	return string(k)
}

// Terms is what a plan rests on and what people agree beforehand: teams, how
// long work takes, and how much a service or Kasse counts. What nobody has
// measured or agreed is marked assumed.
type Terms struct {
	Version    int64                           `json:"version"` // 0: the defaults, stored nowhere
	Teams      []Team                          `json:"teams"`
	Delegates  int                             `json:"delegates"`     // people of each Kasse who test, 1 to 100
	Machinery  map[string]string               `json:"machinery"`     // team by what a component is: "dns" of dns@munich
	Otherwise  string                          `json:"otherwise"`     // team of machinery and placements that name none
	Work       map[Effort]Span                 `json:"work"`          // how long work takes
	Fails      map[TaskKind]Risk               `json:"fails"`         // examine, probe, test
	Observe    int                             `json:"observe_hours"` // between business test and switch-back
	Emergency  map[catalogue.ServiceID]float64 `json:"emergency"`     // services with an emergency path, and how much of them it gives, 0 to 1
	OtherSite  float64                         `json:"other_site"`    // how much of a cell is there while another site of it runs, 0 to 1
	Priorities Priorities                      `json:"priorities"`
	Deadlines  []Deadline                      `json:"deadlines,omitempty"` // hard dates, such as a payment run
	Land       catalogue.Land                  `json:"land,omitempty"`      // its holidays are closed days; absent: those that all Länder share
	Closed     []string                        `json:"closed,omitempty"`    // further dates (2006-01-02) on which only teams that work on Sundays work
	Fairness   float64                         `json:"fairness"`            // 0: only the sum of losses counts; 1: the worst-off Kasse counts as much as all together
	Stability  float64                         `json:"stability"`           // what moving agreed work costs when a plan is made anew
	Assumed    bool                            `json:"assumed,omitempty"`   // nobody has agreed to these yet
}

// Team is people who work in shifts; their number is how much of them can be
// used at a time. A place that work occupies, such as a clean room, is a team too.
type Team struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Shifts []Shift `json:"shifts"`
}

// Shift is a span of the day on some days of the week, in the room's zone.
type Shift struct {
	Days   string `json:"days"` // 1 is Monday: "12345", "1234567"
	From   int    `json:"from"` // full hour, 0 to 23
	To     int    `json:"to"`   // full hour, 1 to 24
	People int    `json:"people"`
}

// Effort names a kind of work: the kind of task, and the way where there are
// several ("build/rebuild", "build/clean"), with "component/" or
// "environment/" before it where those differ from the work on a placement.
type Effort string

// Span is how long work takes in hours of the people who do it: at best, most
// likely, at worst.
type Span struct {
	Low    int `json:"low"`
	Likely int `json:"likely"`
	High   int `json:"high"`
}

// Risk is how often a test fails; the work before it is then done again.
type Risk struct {
	Probability float64 `json:"probability"` // below 1
	Most        int     `json:"most"`        // rounds that may fail
}

// Priorities say how much an hour without a service counts. Everything not named
// counts 1. They are agreed beforehand; in a crisis two people change them.
type Priorities struct {
	Services map[catalogue.ServiceID]float64 `json:"services,omitempty"` // weight per insured; absent: the catalogue's
	Kassen   map[catalogue.KasseID]float64   `json:"kassen,omitempty"`   // factor, 1 is everybody's
	First    []catalogue.KasseID             `json:"first,omitempty"`    // before all others, whatever it costs them
}

// Deadline is a hard date by which a service of a Kasse, or of all, must be
// there, if need be in emergency operation.
type Deadline struct {
	Service catalogue.ServiceID `json:"service"`
	Kasse   catalogue.KasseID   `json:"kasse,omitempty"` // absent: all
	At      time.Time           `json:"at"`
	Reason  string              `json:"reason"`
}

// firstFactor is how much more a Kasse counts that comes first: more than all
// others together in any catalogue.
const firstFactor = 1000

// Limits of terms.
const (
	maxTeams  = 200
	maxPeople = 1000
	maxHours  = 2000
)

// DefaultTerms are what a room plans with until somebody agrees on better ones:
// assumed figures, none of them measured.
func DefaultTerms() Terms {
	all, week := "1234567", "12345"
	days := func(people int) []Shift { return []Shift{{all, 6, 22, people}} }
	return Terms{
		Assumed: true,
		Teams: []Team{
			{"forensik", "Forensik", []Shift{{all, 6, 22, 6}, {all, 22, 24, 2}, {all, 0, 6, 2}}},
			{"verzeichnis", "Verzeichnis und Identitäten", days(4)},
			{"server", "Server und Speicher", days(8)},
			{"datenbank", "Datenbank", days(6)},
			{"netz", "Netz", days(6)},
			{"ti", "TI", days(6)},
			{"web", "Web", days(4)},
			{"windows", "Windows", days(4)},
			{"fach", "Fachverfahren", []Shift{{"123456", 7, 20, 8}}},
			{"notbetrieb", "Notbetrieb", []Shift{{all, 0, 24, 4}}},
			{"reinraum", "Reinraumplätze", []Shift{{all, 0, 24, 12}}},
			{"sachbearbeitung", "Sachbearbeitung", []Shift{{week, 8, 17, 60}}},
		},
		Delegates: 2,
		Machinery: map[string]string{
			"directory": "verzeichnis", "dns": "verzeichnis", "identity": "verzeichnis",
			"hypervisor": "server", "storage": "server", "backup": "server",
			"database": "datenbank", "archive": "datenbank",
			"network": "netz", "vpn": "netz", "telephony": "netz",
			"ti-access": "ti", "kim-server": "ti", "epa-server": "ti", "vsdm-server": "ti",
			"web-farm": "web", "mail-server": "windows",
			"core": "fach", "exchange": "fach", "payment": "fach",
		},
		Otherwise: "server",
		Work: map[Effort]Span{
			"environment/secure": {1, 2, 6}, "environment/examine": {4, 10, 24}, "environment/rotate": {1, 2, 6},
			"component/secure": {1, 3, 8}, "component/examine": {3, 8, 24}, "component/rotate": {1, 2, 4},
			"component/build/rebuild": {6, 14, 40}, "component/build/clean": {3, 8, 24}, "component/probe": {1, 2, 6},
			"build/rebuild": {3, 6, 12}, "build/clean": {2, 4, 9}, "probe": {1, 1, 3},
			"test": {1, 2, 4}, "switch": {1, 1, 2}, "join": {1, 1, 2}, "emergency": {2, 4, 12}, "backlog": {2, 8, 40},
		},
		Fails:     map[TaskKind]Risk{Examine: {0.15, 3}, Probe: {0.1, 3}, Test: {0.1, 3}},
		Observe:   24,
		Emergency: map[catalogue.ServiceID]float64{"eau": 0.8, "zahl": 0.7, "epa": 0.4, "web": 0.7},
		OtherSite: 0.7, Fairness: 0.2, Stability: 10,
	}
}

// Check says what is wrong with terms and what to do about it.
func (t *Terms) Check() error {
	if len(t.Teams) == 0 || len(t.Teams) > maxTeams {
		return fmt.Errorf("terms name %d teams: 1 to %d are needed", len(t.Teams), maxTeams)
	}
	known := map[string]bool{}
	for _, team := range t.Teams {
		if err := team.check(); err != nil {
			return err
		}
		if known[team.ID] {
			return fmt.Errorf("team %q is named twice: keep one", team.ID)
		}
		known[team.ID] = true
	}
	for _, name := range append(slices.Sorted(maps.Values(t.Machinery)), t.Otherwise, teamForensics, teamClean, teamDirectory, teamNet, teamEmergency, teamClerks) {
		if !known[name] {
			return fmt.Errorf("team %q is needed but not among the teams: add it, with its shifts", name)
		}
	}
	if t.Delegates < 1 || t.Delegates > 100 || t.Observe < 0 || t.Observe > maxHours {
		return fmt.Errorf("delegates %d, observe_hours %d: want 1 to 100, and 0 to %d", t.Delegates, t.Observe, maxHours)
	}
	if !share(t.OtherSite) || !(t.Fairness >= 0 && t.Fairness <= 100) || !(t.Stability >= 0 && t.Stability <= 1e6) {
		return fmt.Errorf("other_site %v, fairness %v, stability %v: want 0 to 1, 0 to 100, 0 to 1000000", t.OtherSite, t.Fairness, t.Stability)
	}
	for id, level := range t.Emergency {
		if !share(level) {
			return fmt.Errorf("emergency operation of %q gives %v: want a share from 0 to 1", id, level)
		}
	}
	return errors.Join(t.checkWork(), t.Priorities.Check(), t.checkDates(), t.Land.Check())
}

func share(v float64) bool { return v >= 0 && v <= 1 }

func (t *Team) check() error {
	if t.ID == "" || len(t.ID) > 60 || strings.ContainsAny(t.ID, "/ \n") || t.Name == "" || len(t.Name) > 100 {
		return fmt.Errorf("team %q (%q): an id without blanks and slashes and a name are needed", t.ID, t.Name)
	}
	if len(t.Shifts) == 0 || len(t.Shifts) > 50 {
		return fmt.Errorf("team %q has %d shifts: 1 to 50 are needed", t.ID, len(t.Shifts))
	}
	for _, s := range t.Shifts {
		if s.Days == "" || strings.Trim(s.Days, "1234567") != "" || s.From < 0 || s.To > 24 || s.From >= s.To || s.People < 1 || s.People > maxPeople {
			return fmt.Errorf("team %q, shift %+v: want days out of 1234567 (1 is Monday), hours from 0 to 24, and 1 to %d people; a night is two shifts", t.ID, s, maxPeople)
		}
	}
	return nil
}

func (t *Terms) checkWork() error {
	for _, name := range slices.Sorted(maps.Keys(DefaultTerms().Work)) {
		if _, ok := t.Work[name]; !ok {
			return fmt.Errorf("work %q is missing: say how long it takes", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Work)) {
		if s := t.Work[name]; s.Low < 0 || s.Low > s.Likely || s.Likely > s.High || s.High > maxHours || s.Likely == 0 {
			return fmt.Errorf("work %q: %+v: want hours low ≤ likely ≤ high ≤ %d, and likely above 0", name, s, maxHours)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(t.Fails)) {
		r := t.Fails[kind]
		if !slices.Contains([]TaskKind{Examine, Probe, Test}, kind) || !(r.Probability >= 0 && r.Probability < 1) || r.Most < 0 || r.Most > 100 {
			return fmt.Errorf("fails %q: %+v: only examine, probe and test fail, with a probability below 1 and at most 100 times", kind, r)
		}
	}
	return nil
}

func (t *Terms) checkDates() error {
	for _, d := range t.Closed {
		if _, err := time.Parse(time.DateOnly, d); err != nil {
			return fmt.Errorf("closed %q: want a date such as 2026-12-25", d)
		}
	}
	for _, d := range t.Deadlines {
		if d.Service == "" || d.At.IsZero() || d.Reason == "" {
			return fmt.Errorf("deadline %+v: service, time and reason are needed", d)
		}
	}
	return nil
}

// Check says what is wrong with priorities.
func (p *Priorities) Check() error {
	for _, id := range slices.Sorted(maps.Keys(p.Services)) {
		if w := p.Services[id]; !(w >= 0 && w <= 1000) {
			return fmt.Errorf("service %q has weight %v: want 0 to 1000", id, w)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.Kassen)) {
		if w := p.Kassen[id]; !(w >= 0 && w <= 1000) {
			return fmt.Errorf("Kasse %q has factor %v: want 0 to 1000", id, w)
		}
	}
	return nil
}

// In checks priorities against a catalogue: a name that is not in it is a
// mistake, not a wish.
func (p *Priorities) In(c *catalogue.Catalogue) error {
	for _, id := range slices.Sorted(maps.Keys(p.Services)) {
		if _, ok := c.Service(id); !ok {
			return fmt.Errorf("service %q is not in the catalogue", id)
		}
	}
	for _, id := range append(slices.Sorted(maps.Keys(p.Kassen)), p.First...) {
		if _, ok := c.Kasse(id); !ok {
			return fmt.Errorf("Kasse %q is not in the catalogue", id)
		}
	}
	return nil
}

// In checks terms against a catalogue. The assumed terms know services that not
// every catalogue has.
func (t *Terms) In(c *catalogue.Catalogue) error {
	assumed := DefaultTerms().Emergency
	for _, id := range slices.Sorted(maps.Keys(t.Emergency)) {
		if _, ok := c.Service(id); !ok && assumed[id] == 0 {
			return fmt.Errorf("emergency operation of %q: the service is not in the catalogue", id)
		}
	}
	for _, d := range t.Deadlines {
		if _, ok := c.Service(d.Service); !ok {
			return fmt.Errorf("deadline %q: service %q is not in the catalogue", d.Reason, d.Service)
		}
		if _, ok := c.Kasse(d.Kasse); !ok && d.Kasse != "" {
			return fmt.Errorf("deadline %q: Kasse %q is not in the catalogue", d.Reason, d.Kasse)
		}
	}
	return t.Priorities.In(c)
}

// weight is what an hour without the cell costs, and why, in German.
func (p *Priorities) weight(k catalogue.Kasse, s catalogue.Service) (w float64, why string) {
	w = s.Weight
	if agreed, ok := p.Services[s.ID]; ok {
		w = agreed
	}
	insured := max(1, k.Insured)
	why = fmt.Sprintf("Gewicht %g × %d Versicherte", w, insured)
	w *= float64(insured)
	if f, ok := p.Kassen[k.ID]; ok {
		w *= f
		why += fmt.Sprintf(" × %g (Vereinbarung für die Kasse)", f)
	}
	if slices.Contains(p.First, k.ID) {
		w *= firstFactor
		why += " (Kasse zuerst, so entschieden)"
	}
	return w, why
}
