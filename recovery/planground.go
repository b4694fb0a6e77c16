package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/operation"
)

// The teams that steps of their own kind ask for; terms must name them.
const (
	teamForensics = "forensik"
	teamClean     = "reinraum"
	teamDirectory = "verzeichnis"
	teamNet       = "netz"
	teamEmergency = "notbetrieb"
	teamClerks    = "sachbearbeitung"
)

// Ground is what a plan is made of.
type Ground struct {
	Catalogue *catalogue.Catalogue
	Situation Situation
	Terms     Terms
	Zone      *time.Location // of shifts
	Origin    time.Time      // slot 0, a full hour; zero: the hour of Now
	Now       time.Time
	Reports   []Report
	// LostSites are given up: nothing there returns, and nothing rests on it.
	LostSites []catalogue.SiteID
}

// Situation is what is to return and what the gate still misses.
type Situation struct {
	Down      map[string]Down                // placements and components that are to return, by name
	Uncleared map[string]time.Time           // environments and components without a clearance that counts, and since when
	Unrotated map[string]bool                // environments and components whose credentials are still those of before
	Active    map[catalogue.PlacementID]bool // in emergency operation
}

// Down is one thing that is to return.
type Down struct {
	Since time.Time `json:"since"`
	Trial bool      `json:"trial,omitempty"` // through the gate already
}

// SituationOf reads a room's state: what does not run or must go down, and what
// the gate would ask for if all of it were to enter at once.
func SituationOf(s *operation.State, now time.Time) (Situation, error) {
	out := Situation{Down: map[string]Down{}, Uncleared: map[string]time.Time{}, Unrotated: map[string]bool{}, Active: map[catalogue.PlacementID]bool{}}
	var nodes []string
	add := func(id string, t *operation.Track) {
		d, down := downOf(t)
		if down {
			out.Down[id] = d
			nodes = append(nodes, id)
		}
	}
	for _, c := range s.Components() {
		add(string(c.ID), &c.Track)
	}
	for _, p := range s.Placements() {
		add(string(p.ID), &p.Track)
		if p.Emergency == operation.Active || p.Emergency == operation.HandingOver {
			out.Active[p.ID] = true
		}
	}
	gaps, err := s.Gaps(nodes, now)
	if err != nil {
		return out, fmt.Errorf("what the gate misses: %w", err)
	}
	for _, g := range gaps {
		switch g.Kind {
		case operation.GapClearance:
			out.Uncleared[g.Subject] = time.Time{}
		case operation.GapRotation:
			out.Unrotated[g.Subject] = true
		case operation.GapDependency, operation.GapFlag, operation.GapCatalogue: // follow from the others, or from the catalogue
		}
	}
	for _, c := range s.Clearances() {
		for _, subject := range c.Subjects() {
			if at, missing := out.Uncleared[subject]; missing && c.RevokedAt.After(at) {
				out.Uncleared[subject] = c.RevokedAt
			}
		}
	}
	return out, nil
}

func downOf(t *operation.Track) (Down, bool) {
	d := Down{Since: t.DownAt}
	if d.Since.IsZero() {
		d.Since = t.Since
	}
	if f := t.Flag; f != nil {
		d.Since = f.At
		return d, true
	}
	switch t.Regular {
	case operation.Cut, operation.Failed, operation.Rebuilding:
		return d, true
	case operation.Trial:
		d.Trial = true
		return d, true
	case operation.Running, operation.Limited:
	}
	return d, false
}

// Progress is a kind of report on a task. The zero value is refused.
type Progress string

// The kinds of reports.
const (
	Begun  Progress = "begun"  // under way since At
	Done   Progress = "done"   // ended at At
	Late   Progress = "late"   // under way, expected to end at At
	Undone Progress = "undone" // failed or void: to be done (again)
)

// Report is what somebody says about a task. The newest one counts.
type Report struct {
	Task   string    `json:"task"`
	What   Progress  `json:"what"`
	At     time.Time `json:"at"`
	Since  time.Time `json:"since,omitzero"` // of late work: when it began; zero: as planned
	Known  time.Time `json:"known"`          // when it was reported
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	key    string
}

// Check says what is wrong with a report.
func (r *Report) Check() error {
	if r.Task == "" || len(r.Task) > 200 || len(r.Reason) > 1000 {
		return fmt.Errorf("report on %q: a task of up to 200 bytes and a reason of up to 1000", r.Task)
	}
	switch r.What {
	case Begun, Done:
	case Late, Undone:
		if strings.TrimSpace(r.Reason) == "" {
			return fmt.Errorf("report on %q: %s needs a reason", r.Task, r.What)
		}
	default:
		return fmt.Errorf("report on %q: %q is none of begun, done, late, undone", r.Task, r.What)
	}
	if r.At.IsZero() {
		return fmt.Errorf("report on %q: when?", r.Task)
	}
	return nil
}

// newest keeps the newest report on each task.
func newest(reports []Report) map[string]Report {
	out := map[string]Report{}
	for _, r := range reports {
		if have, ok := out[r.Task]; !ok || !r.Known.Before(have.Known) {
			out[r.Task] = r
		}
	}
	return out
}

// Lost is something that has no way back as things stand.
type Lost struct {
	Node string `json:"node"`
	Why  string `json:"why"`
}

// ways says for everything that is to return what it will rest on. Where the
// catalogue has alternatives, it takes those that are there or need least.
type ways struct {
	g        *Ground
	possible map[string]bool
	needs    map[string][]string
	lost     []Lost
}

func newWays(g *Ground) *ways {
	w := &ways{g: g, possible: map[string]bool{}, needs: map[string][]string{}}
	gone := map[catalogue.SiteID]bool{}
	for _, s := range g.LostSites {
		gone[s] = true
	}
	formula := map[string]catalogue.Formula{}
	for _, c := range g.Catalogue.Components {
		formula[string(c.ID)], w.possible[string(c.ID)] = c.Needs, !gone[c.Site]
	}
	for _, p := range g.Catalogue.Placements {
		formula[string(p.ID)], w.possible[string(p.ID)] = p.Needs, !gone[p.Site]
	}
	up := func(id string) bool { return w.possible[id] }
	for changed := true; changed; {
		changed = false
		for id, f := range formula {
			if w.possible[id] && !f.Holds(up) {
				w.possible[id], changed = false, true
			}
		}
	}
	for id := range formula {
		if w.possible[id] {
			w.needs[id] = w.choose(id, formula[id])
		} else {
			w.lost = append(w.lost, Lost{id, w.whyLost(id, gone, formula[id])})
		}
	}
	slices.SortFunc(w.lost, func(a, b Lost) int { return cmp.Compare(a.Node, b.Node) })
	return w
}

func (w *ways) whyLost(id string, gone map[catalogue.SiteID]bool, f catalogue.Formula) string {
	if gone[siteOf(id)] {
		return "der Standort ist aufgegeben"
	}
	return "braucht " + f.String() + ", und das kommt nicht zurück"
}

// choose picks what a formula rests on, of what is possible.
func (w *ways) choose(id string, f catalogue.Formula) []string {
	switch f.Op {
	case catalogue.OpNone:
		return nil
	case catalogue.OpNode:
		return []string{f.Node}
	case catalogue.OpAll:
		var out []string
		for _, g := range f.Of {
			out = append(out, w.choose(id, g)...)
		}
		slices.Sort(out)
		return slices.Compact(out)
	case catalogue.OpAny:
		var best []string
		least := -1
		for _, g := range f.Of {
			if !g.Holds(func(n string) bool { return w.possible[n] }) {
				continue
			}
			way := w.choose(id, g)
			if c := w.cost(id, way); least < 0 || c < least {
				best, least = way, c
			}
		}
		return best
	}
	return nil
}

// cost ranks alternatives: what is to return first, then what lies elsewhere.
func (w *ways) cost(id string, way []string) int {
	n := 0
	for _, m := range way {
		if d, down := w.g.Situation.Down[m]; down && !d.Trial {
			n += 2
		}
		if siteOf(m) != siteOf(id) {
			n++
		}
	}
	return n
}

// siteOf is the site of a placement, component or environment by its name.
func siteOf(id string) catalogue.SiteID {
	if _, _, site, ok := catalogue.PlacementID(id).Split(); ok {
		return site
	}
	_, site, _ := strings.Cut(id, "@")
	return catalogue.SiteID(site)
}
