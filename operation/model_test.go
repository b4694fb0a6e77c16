package operation_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/forensics"
	"leitstand/operation"
)

// model is the rules once more, written from the design and not from the code:
// words instead of types, plain loops, no sharing. What it says and what the
// package does must agree after every command.
type model struct {
	order      []string
	number     map[string]int             // by name, never changed
	leads      map[string]map[string]bool // what each node leads to, itself included; never changed
	list       []*mnode                   // replaced, never changed, so that a copy shares them
	version    int
	clearances []mclear
	rotations  []mrotation
	named      map[string]int // by subject
	back       map[string]int // reconnected, by subject
	gateways   map[string]mgateway
	indicators int
}

// mnode is a placement or, without a Kasse, a component.
type mnode struct {
	kasse, env, service    string
	reg, em                string
	writer, starting, undo string
	epoch                  int
	closing                bool
	behaviour              string
	paths, testers         string
	owner                  string
	confirmed              time.Time
	down                   int
	downAt                 time.Time
	gateOnly, passed       bool
	cut                    mcut
	flagged, flagTold      bool
	flagBy                 time.Time
	flagOf                 string
	book                   operation.Counts
	observe                time.Time
	door                   string
	doorEpoch, doorVersion int
}

type mcut struct {
	set, lead, told  bool
	by               string
	measure          string
	version          int
	former           string
	until, confirmBy time.Time
	barred           string
}

type mclear struct {
	id, subject     string // subject: what it clears, empty for backup and realm
	about           []string
	from, until     time.Time
	granted         int
	revoked, warned bool
	touched         int
}

type mrotation struct {
	about   []string
	at      time.Time
	version int
}

type mgateway struct {
	services string
	retired  bool
}

// needs restates the test catalogue: alternatives of what must be there.
var needs = map[string][][]string{
	"dir@munich": {{"hyp@munich"}}, "hyp@munich": {{"dir@munich"}}, "kim": {{"dir@essen"}},
	"eau/munich": {{"kim", "dir@munich"}, {"kim", "dir@essen"}}, "app/munich": {{"hyp@munich", "eau/munich"}},
	"eau/essen": {{"kim"}}, "app/essen": {{"dir@essen"}, {"dir@munich"}},
}

func needsOf(node string) [][]string {
	kasse, rest, ok := strings.Cut(node, "/")
	if !ok {
		return needs[node]
	}
	var out [][]string
	for _, alternative := range needs[rest] {
		var with []string
		for _, n := range alternative {
			if n == "eau/munich" {
				n = kasse + "/eau/munich"
			}
			with = append(with, n)
		}
		out = append(out, with)
	}
	return out
}

// who restates rule 4: L lead, O operator, E examiner, K the Kasse's delegate,
// S the room itself.
var who = map[string]string{
	"measure.ordered": "L+LO", "measure.ordered immediate": "LO", "measure.confirmed": "LO", "measure.undone": "L+LOE",
	"failure.observed": "LOEK S", "attack.ruled_out": "E+L", "rebuild.begun": "LO", "trial.entered": "L+LOE",
	"regular.accepted": "K+LO", "regular.accepted components": "L+LO", "regular.limited": "LO", "regular.unlimited": "LO",
	"emergency.prepared": "LO", "emergency.started": "L+LOK", "side.closed": "LO S", "journal.reported": "LO S",
	"handover.begun": "LOK", "handover.withdrawn": "LOK", "observation.ended": "LO", "clearance.granted": "E+EL",
	"clearance.revoked": "EL", "rotation.proven": "EO", "indicator.recorded": "EO", "subject.named": "EOL S", "flag.lifted": "L+E",
	"owner.set": "LO", "state.confirmed": "LOK S", "behaviour.set": "LO", "gateway.registered": "LO S", "gateway.retired": "LO",
	"state.adopted": "LO S", "deadline.passed": "LOE S",
}

func newModel() *model {
	m := &model{number: map[string]int{}, named: map[string]int{}, back: map[string]int{}, gateways: map[string]mgateway{}}
	add := func(name string, n mnode) {
		m.number[name] = len(m.order)
		m.order, m.list = append(m.order, name), append(m.list, &n)
	}
	c := testCatalogue()
	for _, p := range c.Placements {
		add(string(p.ID), mnode{kasse: string(p.Kasse), env: string(p.Environment), service: string(p.Service)})
	}
	for _, p := range c.Components {
		add(string(p.ID), mnode{env: string(p.ID)})
	}
	m.leads = map[string]map[string]bool{}
	for _, n := range m.order {
		m.leads[n] = map[string]bool{}
		below(n, m.leads[n])
	}
	return m
}

func (m *model) find(name string) (mnode, bool) {
	i, ok := m.number[name]
	if !ok {
		return mnode{}, false
	}
	return *m.list[i], true
}

func (m *model) node(name string) mnode {
	n, _ := m.find(name)
	return n
}

func (m *model) set(name string, n mnode) {
	if i, ok := m.number[name]; ok && *m.list[i] != n {
		m.list[i] = &n
	}
}

// verdict collects every rule that a command breaks; 0 stands for nonsense.
type verdict map[operation.Rule]bool

func (v verdict) unless(ok bool, r operation.Rule) bool {
	if !ok {
		v[r] = true
	}
	return ok
}

func attached(reg string) bool { return reg == "running" || reg == "limited" || reg == "trial" }

// people judges rule 4.
func (m *model) people(v verdict, kind string, by []access.Person, nodes []string) {
	rule, room, _ := strings.Cut(who[kind], " ")
	if room == "S" && len(by) == 1 && by[0].ID == "system" {
		return
	}
	kassen := map[string]bool{}
	for _, n := range nodes {
		if node, ok := m.find(n); ok && node.kasse != "" {
			kassen[node.kasse] = true
		}
	}
	if len(kassen) == 0 {
		kassen[""] = true
	}
	first, second, two := strings.Cut(rule, "+")
	for k := range kassen {
		found := false
		for i, a := range by {
			for j, b := range by {
				if two && i != j && a.ID != b.ID && may(a, first, k) && may(b, second, k) || !two && may(a, first, k) {
					found = true
				}
			}
		}
		v.unless(found, 4)
	}
}

func may(p access.Person, letters, kasse string) bool {
	for _, r := range p.Roles {
		letter := map[access.Role]string{
			access.CrisisLead: "L", access.Operator: "O", access.Examiner: "E", access.KasseDelegate: "K",
		}[r]
		if p.Active && letter != "" && strings.Contains(letters, letter) && (letter != "K" || string(p.Kasse) == kasse) {
			return true
		}
	}
	return false
}

// clear tells whether a node's environment or the component has a clearance that
// counts: valid, and younger than any revocation about it.
func (m *model) clear(node string, now time.Time) bool {
	subject := m.node(node).env
	best, worst := 0, 0
	for _, c := range m.clearances {
		if c.revoked && slices.Contains(c.about, subject) {
			worst = max(worst, c.touched)
		}
		if !c.revoked && !c.warned && c.subject == subject && !now.Before(c.from) && now.Before(c.until) {
			best = max(best, c.granted)
		}
	}
	return best > worst
}

// below lists everything a node leads to, itself included.
func below(node string, seen map[string]bool) {
	if seen[node] {
		return
	}
	seen[node] = true
	for _, alternative := range needsOf(node) {
		for _, n := range alternative {
			below(n, seen)
		}
	}
}

// gate judges rule 1 for nodes that enter together.
func (m *model) gate(v verdict, entering []string, now time.Time) {
	up := func(n string) bool { return attached(m.node(n).reg) || slices.Contains(entering, n) }
	var holds func(n string, on []string) bool
	holds = func(n string, on []string) bool {
		if slices.Contains(on, n) {
			return true // a cycle holds itself up
		}
		if !up(n) || !m.clear(n, now) {
			return false
		}
		if len(needsOf(n)) == 0 {
			return true
		}
		for _, alternative := range needsOf(n) {
			all := true
			for _, x := range alternative {
				all = all && holds(x, append(slices.Clip(on), n))
			}
			if all {
				return true
			}
		}
		return false
	}
	for _, n := range entering {
		v.unless(m.rotatedSince(n), 1)
		v.unless(holds(n, nil), 1)
		for x := range m.leads[n] {
			if up(x) {
				v.unless(m.clear(x, now), 1)
				v.unless(!m.node(x).flagged || slices.Contains(entering, x), 7)
			}
		}
	}
}

func (m *model) rotatedSince(node string) bool {
	n := m.node(node)
	if n.down == 0 {
		return true
	}
	for _, r := range m.rotations {
		if slices.Contains(r.about, n.env) && r.version > n.down && !r.at.Before(n.downAt) {
			return true
		}
	}
	return false
}

// restsOn lists everything that rests on a node through any chain.
func (m *model) restsOn(subject string) map[string]bool {
	out := map[string]bool{}
	for _, n := range m.order {
		for x := range m.leads[n] {
			if m.node(x).env == subject {
				out[n] = true
			}
		}
	}
	return out
}

// do judges a command; when nothing is broken it makes the change. changed is
// false for a Tick that finds nothing.
func (m *model) do(c operation.Command, a operation.Act) (v verdict, changed bool) {
	next := m.clone()
	next.version++
	v = verdict{}
	kind := c.Kind()
	if o, ok := c.(*operation.OrderCut); ok && o.Immediate {
		kind += " immediate"
	}
	nodes := mentioned(c)
	if _, ok := c.(*operation.Accept); ok {
		var places, parts []string
		for _, n := range nodes {
			if strings.Contains(n, "/") {
				places = append(places, n)
			} else {
				parts = append(parts, n)
			}
		}
		if len(parts) > 0 {
			next.people(v, kind+" components", a.By, parts)
		}
		if len(places) > 0 || len(parts) == 0 {
			next.people(v, kind, a.By, places)
		}
	} else {
		next.people(v, kind, a.By, nodes)
	}
	next.effect(v, c, a)
	if len(v) > 0 {
		return v, false
	}
	if !next.doors(m) && next.equal(m) {
		if _, ok := c.(*operation.Tick); !ok {
			v[5] = true
		}
		return v, false
	}
	*m = *next
	return v, true
}

// mentioned lists the nodes that decide which Kassen an act concerns.
func mentioned(c operation.Command) []string {
	switch c := c.(type) {
	case *operation.ObserveFailure:
		return c.Nodes
	case *operation.Accept:
		return c.Nodes
	case *operation.ConfirmState:
		return c.Nodes
	case *operation.StartEmergency:
		return names(c.Placements...)
	case *operation.BeginHandover:
		return names(c.Placements...)
	case *operation.ReturnToEmergency:
		return names(c.Placements...)
	}
	return nil
}

// clone shares the lists of clearances and rotations: they are appended to, and
// copied before one in them changes.
func (m *model) clone() *model {
	c := *m
	c.list, c.named, c.back, c.gateways = slices.Clone(m.list), maps.Clone(m.named), maps.Clone(m.back), maps.Clone(m.gateways)
	return &c
}

func (m *model) equal(o *model) bool {
	if !slices.EqualFunc(m.list, o.list, func(a, b *mnode) bool { return a == b || *a == *b }) || !maps.Equal(m.named, o.named) || !maps.Equal(m.back, o.back) || !maps.Equal(m.gateways, o.gateways) {
		return false
	}
	same := slices.EqualFunc(m.clearances, o.clearances, func(a, b mclear) bool {
		return a.revoked == b.revoked && a.warned == b.warned
	})
	return same && len(m.rotations) == len(o.rotations) && m.indicators == o.indicators
}

// doors derives every door from the table of the design and reports whether one
// changed.
func (m *model) doors(before *model) bool {
	changed := false
	for _, name := range m.order {
		n := m.node(name)
		if n.kasse == "" || n.reg == "" {
			continue
		}
		entry := doorTable[n.reg+" "+n.em]
		door := entry.plain
		if n.flagged || n.starting != "" {
			door = entry.flagged
		}
		n.door, n.doorEpoch = strings.ReplaceAll(door, "chosen", n.behaviour), n.epoch
		if n.door == "limited" {
			n.door += " " + n.paths
		}
		if strings.Contains(n.door, "test") {
			n.door += " " + n.testers
		}
		if old := before.node(name); old.door != n.door || old.doorEpoch != n.doorEpoch {
			n.doorVersion = m.version
			changed = true
		}
		m.set(name, n)
	}
	return changed
}

func clearanceAbout(s forensics.Scope, covers []string) []string {
	if s.Kind == forensics.Environment || s.Kind == forensics.Component {
		return []string{s.ID}
	}
	return covers
}
