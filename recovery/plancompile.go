package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/pure/schedule"
)

// Slot is the unit of plans.
const Slot = time.Hour

// horizon is how far plans reach: a year, so that even a room with one person
// for each team has a plan.
const horizon = 365 * 24

// Task is one position of a plan.
type Task struct {
	ID      string              `json:"id"` // "<kind>:<subject>", the same in every plan of a room
	Kind    TaskKind            `json:"kind"`
	Subject string              `json:"subject"` // environment, component, placement, or cell as "<ik>/<service>"
	Kasse   catalogue.KasseID   `json:"kasse,omitempty"`
	Service catalogue.ServiceID `json:"service,omitempty"`
	Site    catalogue.SiteID    `json:"site,omitempty"`
	Label   string              `json:"label"`
}

// draft is a problem with the meaning of its tasks.
type draft struct {
	Problem schedule.Problem
	Tasks   []Task
	Lost    []Lost
	done    []Task // of this situation, because the state or a report says so
}

// compiler turns ground into a draft.
type compiler struct {
	g       *Ground
	d       *draft
	w       *ways
	index   map[string]int // tasks by id
	team    map[string]int // resources by id
	reports map[string]Report
	idle    map[string]bool // stands still only because of what it rests on
	group   map[string]int  // cycles: members of one wait for each other's building only
	built   map[string]bool
	nodes   []planNode
	since   map[string]time.Time // cells, environments and components: reports from before do not count
}

// planNode is something that is to return, with its tasks.
type planNode struct {
	id           string
	build, probe int
}

// compile makes the draft: for each thing that is to return its steps, for each
// cell the steps that lead back to regular operation. Cells that have been away
// longest come first, so that "first come, first served" means what it says.
func compile(g *Ground) (*draft, error) {
	c, err := compiled(g)
	if c == nil {
		return nil, err
	}
	return c.d, err
}

// compiled is compile with all that the compiler has learned on the way.
func compiled(g *Ground) (*compiler, error) {
	if err := g.Terms.Check(); err != nil {
		return nil, err
	}
	if g.Origin.IsZero() {
		g.Origin = g.Now
	}
	g.Origin = g.Origin.UTC().Truncate(Slot)
	c := &compiler{
		g: g, d: &draft{}, w: newWays(g), index: map[string]int{}, team: map[string]int{}, reports: newest(g.Reports),
		idle: map[string]bool{}, built: map[string]bool{}, since: map[string]time.Time{},
	}
	c.d.Problem.Horizon = horizon + c.slot(g.Now)
	c.d.Lost = c.w.lost
	c.teams()
	c.impact()
	c.cycles()
	for _, cell := range c.cells() {
		c.cell(cell)
	}
	for _, m := range c.machinery() {
		c.node(m)
	}
	for k := 0; k < len(c.nodes); k++ {
		c.rests(c.nodes[k])
	}
	if len(c.d.Tasks) == 0 {
		return c, ErrNothing
	}
	return c, nil
}

// slot is the slot in which a time lies; times before the origin are negative.
func (c *compiler) slot(t time.Time) int {
	d := t.Sub(c.g.Origin)
	n := int(d / Slot)
	if d < 0 && d%Slot != 0 {
		n--
	}
	return n
}

// impact finds what stands still only because of what it rests on.
func (c *compiler) impact() {
	var down catalogue.Selection
	for id := range c.g.Situation.Down {
		if _, ok := c.g.Catalogue.Placement(catalogue.PlacementID(id)); ok {
			down.Placements = append(down.Placements, catalogue.PlacementID(id))
		} else {
			down.Components = append(down.Components, catalogue.ComponentID(id))
		}
	}
	for _, n := range catalogue.ImpactFrom(c.g.Catalogue, catalogue.Situation{}, down).Nodes {
		if _, direct := c.g.Situation.Down[n.Node]; !direct && n.Outcome == catalogue.Stopped && c.w.possible[n.Node] {
			c.idle[n.Node] = true
		}
	}
}

// away says that something is to return and has a way.
func (c *compiler) away(id string) bool {
	_, down := c.g.Situation.Down[id]
	return (down || c.idle[id]) && c.w.possible[id]
}

// cycles groups what needs each other.
func (c *compiler) cycles() {
	nodes := map[string]*node{}
	for id := range c.w.needs {
		if c.away(id) {
			nodes[id] = &node{id: id}
		}
	}
	for id, n := range nodes {
		for _, m := range c.w.needs[id] {
			if nodes[m] != nil && m != id {
				n.needs = append(n.needs, m)
			}
		}
	}
	cycles(nodes)
	c.group = map[string]int{}
	for id, n := range nodes {
		c.group[id] = n.group
	}
}

// planCell is a cell with what of it is to return.
type planCell struct {
	kasse   catalogue.Kasse
	service catalogue.Service
	places  []catalogue.Placement // to return, the one that returns first in front
	others  bool                  // some other site of it runs
	since   time.Time
}

func (p *planCell) id() string { return string(p.kasse.ID) + "/" + string(p.service.ID) }

// cells lists the cells that are to return, longest away first.
func (c *compiler) cells() []planCell {
	var out []planCell
	for _, id := range c.g.Catalogue.Cells() {
		var p planCell
		p.kasse, _ = c.g.Catalogue.Kasse(id.Kasse)
		p.service, _ = c.g.Catalogue.Service(id.Service)
		for _, pl := range c.g.Catalogue.PlacementsOf(id.Kasse, id.Service) {
			d, down := c.g.Situation.Down[string(pl.ID)]
			switch {
			case !c.w.possible[string(pl.ID)]:
			case !down && !c.idle[string(pl.ID)]:
				p.others = true
			default:
				p.places = append(p.places, pl)
				if down && (p.since.IsZero() || d.Since.Before(p.since)) {
					p.since = d.Since
				}
			}
		}
		if len(p.places) == 0 {
			continue
		}
		if p.since.IsZero() {
			p.since = c.g.Now
		}
		c.since[p.id()] = p.since
		slices.SortStableFunc(p.places, func(a, b catalogue.Placement) int { return cmp.Compare(c.distance(a), c.distance(b)) })
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b planCell) int { return a.since.Compare(b.since) })
	for id, d := range c.g.Situation.Down {
		if subject, _, _ := c.subjectOf(id); c.since[subject].Before(d.Since) {
			c.since[subject] = d.Since
		}
	}
	return out
}

// distance ranks the sites of a cell: what is in trial already, then what stands
// still only, then where most of the Kasse is.
func (c *compiler) distance(p catalogue.Placement) int {
	switch d := c.g.Situation.Down[string(p.ID)]; {
	case d.Trial:
		return 0
	case c.idle[string(p.ID)]:
		return 1
	}
	return 1_000_000 - len(c.g.Catalogue.PlacementsIn(p.Environment))
}

// machinery lists components that are to return although no cell waits for them.
func (c *compiler) machinery() []string {
	var out []string
	for _, m := range c.g.Catalogue.Components {
		if c.away(string(m.ID)) {
			out = append(out, string(m.ID))
		}
	}
	return out
}

// add adds a task unless it is done; it returns its number, or -1.
func (c *compiler) add(t Task, modes []schedule.Mode) int {
	t.ID = string(t.Kind) + ":" + t.Subject
	if n, ok := c.index[t.ID]; ok {
		return n
	}
	t.Label = c.label(t)
	c.index[t.ID] = -1
	r, reported := c.reports[t.ID]
	reported = reported && r.Known.After(c.validFrom(t)) && r.What != Undone
	if reported && r.What == Done {
		c.d.done = append(c.d.done, t)
		return -1
	}
	n := len(c.d.Tasks)
	c.index[t.ID] = n
	st := schedule.Task{ID: t.ID, Label: t.Label, Group: string(t.Kasse), Modes: modes, Release: max(0, c.slot(c.g.Now))}
	if reported {
		st.Fixed = true
		st.FixedAt = max(0, c.slot(r.At))
		if r.What == Late {
			if st.FixedAt = max(0, c.slot(r.Known)); !r.Since.IsZero() {
				st.FixedAt = max(0, c.slot(r.Since))
			}
			st.FixedUntil = max(c.slot(r.At.Add(Slot-1)), c.slot(c.g.Now)+1, st.FixedAt+1)
		}
	}
	c.d.Tasks = append(c.d.Tasks, t)
	c.d.Problem.Tasks = append(c.d.Problem.Tasks, st)
	return n
}

// validFrom is since when reports on a task count: not those from before it went
// down again, or before its clearance was revoked.
func (c *compiler) validFrom(t Task) time.Time {
	switch t.Kind {
	case Secure, Examine:
		return c.g.Situation.Uncleared[t.Subject]
	case Build, Probe, Join:
		return c.g.Situation.Down[t.Subject].Since
	case Emergency, Rotate, Test, Observe, Switch, Backlog:
	}
	return c.since[t.Subject]
}

// link puts one task after another; done ones bind nothing.
func (c *compiler) link(from, to int) {
	if from < 0 || to < 0 || from == to {
		return
	}
	c.d.Problem.Links = append(c.d.Problem.Links, schedule.Link{From: from, To: to})
}

// fails sends a body back when its test fails.
func (c *compiler) fails(kind TaskKind, test int, body ...int) {
	r, ok := c.g.Terms.Fails[kind]
	if !ok || test < 0 || r.Probability == 0 || r.Most == 0 {
		return
	}
	c.d.Problem.Loops = append(c.d.Problem.Loops, schedule.Loop{
		Test: test, Body: slices.DeleteFunc(append(body, test), func(i int) bool { return i < 0 }), Probability: r.Probability, Most: r.Most,
	})
}

// mode is one way of doing work, by people of some teams, one of each.
func (c *compiler) mode(id string, e Effort, teams ...string) schedule.Mode {
	s := c.g.Terms.Work[e]
	m := schedule.Mode{ID: id, Duration: s.Likely, Low: s.Low, High: s.High, Pausable: true}
	for _, name := range teams {
		m.Needs = append(m.Needs, schedule.Need{Resource: c.team[name], Amount: 1})
	}
	return m
}

// ways of building.
func (c *compiler) building(prefix, team string) []schedule.Mode {
	if team == teamForensics {
		return []schedule.Mode{c.mode("rebuild", Effort(prefix+"build/rebuild"), team)}
	}
	return []schedule.Mode{
		c.mode("rebuild", Effort(prefix+"build/rebuild"), team),
		c.mode("clean", Effort(prefix+"build/clean"), team, teamForensics),
	}
}

// subject adds what a scope needs as a whole: evidence, examination, new credentials.
func (c *compiler) subject(id, prefix string, t Task) (examined, rotated int) {
	examined, rotated = -1, -1
	t.Subject = id
	if _, missing := c.g.Situation.Uncleared[id]; missing {
		t.Kind = Secure
		secured := c.add(t, []schedule.Mode{c.mode("", Effort(prefix+"secure"), teamForensics)})
		t.Kind = Examine
		_, known := c.index[string(Examine)+":"+id]
		examined = c.add(t, []schedule.Mode{c.mode("", Effort(prefix+"examine"), teamForensics, teamClean)})
		if !known {
			c.link(secured, examined)
			c.fails(Examine, examined)
		}
	}
	if c.g.Situation.Unrotated[id] {
		t.Kind = Rotate
		_, known := c.index[string(Rotate)+":"+id]
		if rotated = c.add(t, []schedule.Mode{c.mode("", Effort(prefix+"rotate"), teamDirectory)}); !known {
			c.link(examined, rotated)
		}
	}
	return examined, rotated
}

func (c *compiler) subjectOf(id string) (subject, prefix string, t Task) {
	if p, ok := c.g.Catalogue.Placement(catalogue.PlacementID(id)); ok {
		return string(p.Environment), "environment/", Task{Kasse: p.Kasse, Site: p.Site}
	}
	return id, "component/", Task{Site: siteOf(id)}
}

// teamOf is who restores something.
func (c *compiler) teamOf(id string) string {
	name := ""
	if p, ok := c.g.Catalogue.Placement(catalogue.PlacementID(id)); ok {
		name = strings.ToLower(p.Team)
		if name == "fachverfahren" {
			name = "fach"
		}
	} else {
		what, _, _ := strings.Cut(id, "@")
		name = c.g.Terms.Machinery[what]
	}
	if _, ok := c.team[name]; ok {
		return name
	}
	for _, t := range c.g.Terms.Teams {
		if strings.EqualFold(t.Name, name) {
			return t.ID
		}
	}
	return c.g.Terms.Otherwise
}

// node adds what leads to the technical test of something that is to return, and
// what it will rest on. It returns that test, or -1 when nothing is left to wait for.
func (c *compiler) node(id string) int {
	probe := string(Probe) + ":" + id
	if c.built[id] {
		if n, ok := c.index[probe]; ok {
			return n
		}
		return -1
	}
	c.built[id] = true
	for _, m := range c.w.needs[id] {
		c.ready(m)
	}
	if !c.away(id) || c.g.Situation.Down[id].Trial {
		return -1
	}
	subject, prefix, t := c.subjectOf(id)
	build := -1
	team := c.teamOf(id)
	own := ""
	if prefix == "component/" {
		own = prefix
	}
	examined, rotated := -1, -1
	if !c.idle[id] {
		examined, rotated = c.subject(subject, prefix, t)
	}
	t.Subject = id
	if p, ok := c.g.Catalogue.Placement(catalogue.PlacementID(id)); ok {
		t.Service = p.Service
	}
	if !c.idle[id] {
		t.Kind = Build
		build = c.add(t, c.building(own, team))
		c.link(examined, build)
	}
	t.Kind = Probe
	n := c.add(t, []schedule.Mode{c.mode("", Effort(own+"probe"), team)})
	c.link(build, n)
	c.link(rotated, n)
	c.link(examined, n)
	c.fails(Probe, n, build)
	c.nodes = append(c.nodes, planNode{id, build, n})
	return n
}

// rests ties a node to what it rests on: it is built on what stands, and tested
// when everything under it has been. Members of a cycle wait for each other's
// building only: they are tested together.
func (c *compiler) rests(n planNode) {
	for _, m := range c.w.needs[n.id] {
		if m == n.id {
			continue
		}
		if g, in := c.group[m]; in && g == c.group[n.id] {
			if b, ok := c.index[string(Build)+":"+m]; ok {
				c.link(b, n.probe)
			}
			continue
		}
		for _, r := range c.ready(m) {
			c.link(r, n.probe)
			if _, isPlace := c.g.Catalogue.Placement(catalogue.PlacementID(m)); !isPlace {
				c.link(r, n.build)
			}
		}
	}
}

// ready lists the tasks after which something can be rested on: its technical
// test; or, for what runs, the examinations that its clearance waits for.
func (c *compiler) ready(id string) []int {
	if c.away(id) {
		if n := c.node(id); n >= 0 {
			return []int{n}
		}
		return nil
	}
	var out []int
	for _, m := range c.under(id) {
		if c.away(m) {
			if n := c.node(m); n >= 0 {
				out = append(out, n)
			}
			continue
		}
		subject, prefix, t := c.subjectOf(m)
		if _, missing := c.g.Situation.Uncleared[subject]; missing {
			if n, _ := c.subject(subject, prefix, t); n >= 0 {
				out = append(out, n)
			}
		}
	}
	return out
}

// under lists something that runs and all that it rests on, as far as that runs too.
func (c *compiler) under(id string) []string {
	seen := map[string]bool{id: true}
	out := []string{id}
	for k := 0; k < len(out); k++ {
		if c.away(out[k]) {
			continue
		}
		for _, m := range c.w.needs[out[k]] {
			if !seen[m] {
				seen[m] = true
				out = append(out, m)
			}
		}
	}
	return out
}

// ErrNothing says that there is nothing to plan: everything runs.
var ErrNothing = fmt.Errorf("nothing is to return: there is no plan to make")
