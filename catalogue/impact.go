package catalogue

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Selection names things, each with everything in it: a Kasse all its
// placements, a site all its components and placements, and so on. Several
// lists mean all of them together.
type Selection struct {
	Kassen       []KasseID       `json:"kassen,omitempty"`
	Sites        []SiteID        `json:"sites,omitempty"`
	Services     []ServiceID     `json:"services,omitempty"`
	Components   []ComponentID   `json:"components,omitempty"`
	Environments []EnvironmentID `json:"environments,omitempty"`
	Placements   []PlacementID   `json:"placements,omitempty"`
}

// Situation is what holds before an act: what does not run, and of what nobody knows.
type Situation struct {
	Down    Selection
	Unknown Selection
}

// Outcome is what an act does to a placement, component or cell, from good to bad.
type Outcome int

// The outcomes.
const (
	Unaffected    Outcome = iota
	OnAlternative         // goes on, but on another way than before
	Limited               // goes on without something it wants, or at some sites only
	Uncertain             // nobody knows: it rests on something unknown
	Stopped
)

// String names the outcome for machines.
func (o Outcome) String() string {
	switch o {
	case Unaffected:
		return "unaffected"
	case OnAlternative:
		return "on_alternative"
	case Limited:
		return "limited"
	case Uncertain:
		return "unknown"
	case Stopped:
		return "stopped"
	}
	return "?"
}

// MarshalText writes String.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (o *Outcome) UnmarshalText(text []byte) error {
	for v := Unaffected; v <= Stopped; v++ {
		if v.String() == string(text) {
			*o = v
			return nil
		}
	}
	return fmt.Errorf("outcome %q is unknown", text)
}

// NodeImpact is what happens to one component or placement.
type NodeImpact struct {
	Node    string  `json:"node"` // ComponentID or PlacementID
	Outcome Outcome `json:"outcome"`
	Direct  bool    `json:"direct,omitempty"` // part of the act itself
	// Chain leads from what was taken away, or is unknown, to Node, both
	// included: one of the reasons. Empty for OnAlternative.
	Chain []string `json:"chain,omitempty"`
}

// CellImpact is what happens to a Kasse's service, over all its placements.
type CellImpact struct {
	Kasse   KasseID   `json:"kasse"`
	Service ServiceID `json:"service"`
	Outcome Outcome   `json:"outcome"` // Stopped when every placement stopped; Limited when some did
	Hit     int       `json:"hit"`     // placements that are not unaffected
	Of      int       `json:"of"`      // all placements of the cell
	Insured int       `json:"insured"`
	// MTPD is when it becomes intolerable, counted from the act; 0 is not agreed.
	MTPD time.Duration `json:"mtpd_ns,omitempty"`
}

// Support is a node that has become the last way for others.
type Support struct {
	Node       string `json:"node"`
	Placements int    `json:"placements"` // that now stand or fall with it
}

// Result is a preview: what an act would change, compared with the situation before it.
type Result struct {
	Nodes []NodeImpact `json:"nodes"` // those that are not unaffected, components first
	Cells []CellImpact `json:"cells"` // those that are not unaffected

	Stopped       int `json:"stopped"` // cells by outcome
	Uncertain     int `json:"unknown"`
	Limited       int `json:"limited"`
	OnAlternative int `json:"on_alternative"`

	Kassen         int     `json:"kassen"`          // with a cell stopped, unknown or limited
	Insured        int     `json:"insured"`         // people of those Kassen, each counted once
	InsuredAssumed bool    `json:"insured_assumed"` // some of the figures are assumed
	Weight         float64 `json:"weight"`          // weight × insured over stopped cells: what each hour of it costs

	LastWays   []Support `json:"last_ways,omitempty"`  // single points that the act creates
	Unresolved []string  `json:"unresolved,omitempty"` // names in the selections that are not in the catalogue
}

// Impact tells what would happen if all of down were gone and everything else
// ran. The catalogue must be one that Validate accepts.
func Impact(c *Catalogue, down Selection) Result { return ImpactFrom(c, Situation{}, down) }

// ImpactFrom tells what act would change in a situation. It only computes.
// What rests on something unknown is unknown; what works for certain but may be
// limited is Uncertain too.
func ImpactFrom(c *Catalogue, now Situation, act Selection) Result {
	g := c.graph()
	r := resolver{g: g, own: map[int32]truth{}}
	r.take(now.Unknown, perhaps)
	r.take(now.Down, no)
	before := g.spread(r.own, r.order)
	r.acted = make([]bool, len(g.names))
	r.take(act, no)
	after := g.spread(r.own, r.order)
	p := preview{g: g, before: before, after: after, acted: r.acted}
	p.nodes()
	p.cells()
	p.lastWays()
	slices.Sort(r.unresolved)
	p.result.Unresolved = slices.Compact(r.unresolved)
	return p.result
}

// resolver turns selections into nodes.
type resolver struct {
	g          *graph
	own        map[int32]truth
	order      []int32 // nodes in own, in the order taken: the order of the chains
	acted      []bool  // nodes of the act; nil while the situation is taken
	unresolved []string
}

func (r *resolver) take(s Selection, v truth) {
	c, x := r.g.c, r.g.c.index()
	for _, id := range s.Components {
		r.node(string(id), v)
	}
	for _, id := range s.Placements {
		r.node(string(id), v)
	}
	for _, id := range s.Environments {
		r.all(string(id), x.envs[id] != nil, x.ofEnv[id], v)
	}
	if len(s.Kassen)+len(s.Sites)+len(s.Services) == 0 {
		return
	}
	kassen, sites, services := set(s.Kassen), set(s.Sites), set(s.Services)
	for i := range c.Components {
		if sites[c.Components[i].Site] {
			r.node(string(c.Components[i].ID), v)
		}
	}
	for i := range c.Placements {
		if p := &c.Placements[i]; kassen[p.Kasse] || sites[p.Site] || services[p.Service] {
			r.node(string(p.ID), v)
		}
	}
	for _, id := range s.Kassen {
		_, ok := c.Kasse(id)
		r.all(string(id), ok, nil, v)
	}
	for _, id := range s.Sites {
		r.all(string(id), x.sites[id] != nil, nil, v)
	}
	for _, id := range s.Services {
		r.all(string(id), x.services[id] != nil, nil, v)
	}
}

func set[T comparable](in []T) map[T]bool {
	out := make(map[T]bool, len(in))
	for _, v := range in {
		out[v] = true
	}
	return out
}

func (r *resolver) all(name string, known bool, ps []*Placement, v truth) {
	if !known {
		r.unresolved = append(r.unresolved, name)
	}
	for _, p := range ps {
		r.node(string(p.ID), v)
	}
}

func (r *resolver) node(name string, v truth) {
	i, ok := r.g.number[name]
	if !ok {
		r.unresolved = append(r.unresolved, name)
		return
	}
	if r.acted != nil {
		r.acted[i] = true
	}
	if _, taken := r.own[i]; !taken {
		r.order = append(r.order, i)
		r.own[i] = v
	}
	r.own[i] = min(r.own[i], v)
}

// preview compares two falls.
type preview struct {
	g             *graph
	before, after fall
	acted         []bool
	outcome       []Outcome
	result        Result
}

func (p *preview) nodes() {
	n := len(p.g.names)
	p.outcome = make([]Outcome, n)
	for i := range int32(n) {
		o := p.of(i)
		p.outcome[i] = o
		if o == Unaffected {
			continue
		}
		p.result.Nodes = append(p.result.Nodes, NodeImpact{Node: p.g.names[i], Outcome: o, Direct: p.acted[i], Chain: p.chain(i, o)})
	}
}

// of is what happens to a node.
func (p *preview) of(i int32) Outcome {
	switch {
	case p.after.works[i] < p.before.works[i] && p.after.works[i] == no:
		return Stopped
	case p.after.works[i] < p.before.works[i]:
		return Uncertain
	case p.after.works[i] == no:
		return Unaffected // was down before
	case p.after.full[i] < p.before.full[i] && p.after.full[i] == no:
		return Limited
	case p.after.full[i] < p.before.full[i]:
		return Uncertain
	case p.lostWay(&p.g.needs[i]) || p.lostWay(&p.g.wants[i]):
		return OnAlternative
	}
	return Unaffected
}

// lostWay reports whether a formula has lost one of several ways and still holds.
func (p *preview) lostWay(f *formula) bool {
	for i := range f.of {
		h := &f.of[i]
		if f.op == OpAny && h.eval(p.after.works) < h.eval(p.before.works) {
			return true
		}
		if len(h.of) > 0 && p.lostWay(h) {
			return true
		}
	}
	return false
}

// chain follows who pulled whom, from the act to the node.
func (p *preview) chain(i int32, o Outcome) []string {
	if o == OnAlternative {
		return nil
	}
	var out []string
	via := p.after.via
	if o != Stopped && p.after.works[i] == p.before.works[i] {
		via = p.after.limit
	}
	for n := i; n >= 0 && len(out) <= len(p.g.names); n = via[n] {
		out = append(out, p.g.names[n])
		if p.after.works[n] < yes { // from here down it stopped: follow that
			via = p.after.via
		}
	}
	slices.Reverse(out)
	return out
}

func (p *preview) cells() {
	c, x, r := p.g.c, p.g.c.index(), &p.result
	hit := map[cellKey][]Outcome{}
	for i, o := range p.outcome[p.g.components:] {
		if o != Unaffected {
			k := cellKey{c.Placements[i].Kasse, c.Placements[i].Service}
			hit[k] = append(hit[k], o)
		}
	}
	kassen := map[KasseID]bool{}
	for k, outcomes := range hit {
		kasse := x.kassen[string(k.kasse)]
		if kasse == nil {
			continue // Validate refuses such a catalogue
		}
		cell := CellImpact{
			Kasse: k.kasse, Service: k.service, Outcome: p.ofCell(outcomes, x.ofCell[k]),
			Hit: len(outcomes), Of: len(x.ofCell[k]), Insured: kasse.Insured, MTPD: c.MTPD(k.kasse, k.service),
		}
		r.Cells = append(r.Cells, cell)
		switch cell.Outcome {
		case Stopped:
			r.Stopped++
		case Uncertain:
			r.Uncertain++
		case Limited:
			r.Limited++
		case OnAlternative:
			r.OnAlternative++
		case Unaffected:
		}
		if cell.Outcome > OnAlternative && !kassen[k.kasse] {
			kassen[k.kasse] = true
			r.Kassen++
			r.Insured += kasse.Insured
			r.InsuredAssumed = r.InsuredAssumed || kasse.InsuredAssumed || kasse.Insured == 0
		}
	}
	slices.SortFunc(r.Cells, func(a, b CellImpact) int {
		return cmp.Or(cmp.Compare(a.Kasse, b.Kasse), cmp.Compare(a.Service, b.Service))
	})
	for _, cell := range r.Cells { // in a fixed order: a sum of fractions depends on it
		if s := x.services[cell.Service]; s != nil && cell.Outcome == Stopped {
			r.Weight += s.Weight * float64(cell.Insured)
		}
	}
}

// ofCell is the outcome of a cell. Some of its placements stopping is Limited:
// whether the other sites can take over is not known to the catalogue.
func (p *preview) ofCell(hit []Outcome, placements []*Placement) Outcome {
	down := 0
	for _, q := range placements {
		if p.after.works[p.g.number[string(q.ID)]] == no {
			down++
		}
	}
	if down == len(placements) {
		return Stopped
	}
	worst := Unaffected
	for _, o := range hit {
		if o == Stopped {
			o = Limited
		}
		worst = max(worst, o)
	}
	return worst
}

// lastWays finds what carries alone now where there were several ways before.
func (p *preview) lastWays() {
	carried := map[int32]int{}
	for i := p.g.components; int(i) < len(p.g.names); i++ {
		if p.after.works[i] == no {
			continue
		}
		seen := map[int32]bool{}
		p.lastWay(&p.g.needs[i], seen)
		for n := range seen {
			carried[n]++
		}
	}
	for n, k := range carried {
		p.result.LastWays = append(p.result.LastWays, Support{Node: p.g.names[n], Placements: k})
	}
	slices.SortFunc(p.result.LastWays, func(a, b Support) int {
		return cmp.Or(cmp.Compare(b.Placements, a.Placements), cmp.Compare(a.Node, b.Node))
	})
}

func (p *preview) lastWay(f *formula, last map[int32]bool) {
	if f.op == OpAny {
		before, after, left := 0, 0, -1
		for i := range f.of {
			if f.of[i].eval(p.before.works) == yes {
				before++
			}
			if f.of[i].eval(p.after.works) > no {
				after, left = after+1, i
			}
		}
		if before > 1 && after == 1 {
			f.of[left].nodes(func(n int32) { last[n] = true })
		}
	}
	for i := range f.of {
		if len(f.of[i].of) > 0 {
			p.lastWay(&f.of[i], last)
		}
	}
}
