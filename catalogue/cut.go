package catalogue

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// CutRequest asks how to separate what is compromised from what must be protected.
type CutRequest struct {
	Compromised Selection
	Protect     Selection
	Keep        Selection // never to be cut, such as communication and evidence
	Now         Situation
}

// CutOption is one way to separate them: isolate these components and environments.
type CutOption struct {
	Name         string          `json:"name"` // how it was found
	Components   []ComponentID   `json:"components,omitempty"`
	Environments []EnvironmentID `json:"environments,omitempty"`
	Impact       Result          `json:"impact"` // what it costs, computed for all of it together
}

// Selection is the option as something to act on.
func (o CutOption) Selection() Selection {
	return Selection{Components: o.Components, Environments: o.Environments}
}

// ErrInseparable says that nothing that may be cut separates the two.
var ErrInseparable = errors.New("nothing that may be cut separates them")

// SuggestCut looks for the cheapest way to keep an attacker who holds the
// compromised systems from reaching the protected ones, and prices the
// alternatives. The first option is the cheapest; every option separates.
//
// Whatever rests on something is connected with it, and an attacker goes both
// ways along a connection. What can be cut off is a component or an environment;
// never a protected one, as it is to go on running.
// Each has a price: weight × insured of the cells that stop when it is gone.
// The suggestion is the minimum cut for these prices, improved by the prices
// that remain once it is made: losses of two cuts may overlap or, with
// alternatives, add up to more than both, so a cheaper set may exist; the price
// shown is always the exact one.
func SuggestCut(c *Catalogue, req CutRequest) ([]CutOption, error) {
	g := c.graph()
	u := newUnits(g)
	bad, err := u.pick(req.Compromised)
	if err != nil {
		return nil, fmt.Errorf("compromised: %w", err)
	}
	good, err := u.pick(req.Protect)
	if err != nil {
		return nil, fmt.Errorf("to protect: %w", err)
	}
	keep, err := u.pick(req.Keep)
	if err != nil {
		return nil, fmt.Errorf("to keep: %w", err)
	}
	if len(bad) == 0 || len(good) == 0 {
		return nil, errors.New("name what is compromised and what to protect")
	}
	for _, i := range bad {
		if slices.Contains(good, i) {
			return nil, fmt.Errorf("%q is compromised and to be protected: %w", u.names[i], ErrInseparable)
		}
	}
	s := separator{units: u, bad: bad, good: good, fixed: make([]bool, len(u.names)), now: req.Now}
	for _, i := range slices.Concat(good, keep) {
		s.fixed[i] = true
	}
	r := resolver{g: g, own: map[int32]truth{}}
	r.take(req.Now.Unknown, perhaps)
	r.take(req.Now.Down, no)
	s.pricer = newPricer(g, g.spread(r.own, r.order))
	s.prices = s.priceAll(nil)
	return s.options()
}

// units are what can be cut off: components and environments, and how they are connected.
type units struct {
	g      *graph
	names  []string
	number map[string]int32
	nodes  [][]int32 // of the graph, by unit
	of     []int32   // unit by node
	links  [][]int32 // neighbours by unit, sorted, each once
}

func newUnits(g *graph) *units {
	u := &units{g: g, number: map[string]int32{}, of: make([]int32, len(g.names))}
	unit := func(name string, node int32) {
		i, known := u.number[name]
		if !known {
			i = int32(len(u.names))
			u.number[name] = i
			u.names = append(u.names, name)
			u.nodes = append(u.nodes, nil)
		}
		u.nodes[i] = append(u.nodes[i], node)
		u.of[node] = i
	}
	for i := range g.c.Components {
		unit(string(g.c.Components[i].ID), int32(i))
	}
	for i := range g.c.Placements {
		unit(string(g.c.Placements[i].Environment), g.components+int32(i))
	}
	u.links = make([][]int32, len(u.names))
	for n := range int32(len(g.names)) {
		link := func(m int32) {
			if a, b := u.of[n], u.of[m]; a != b {
				u.links[a], u.links[b] = append(u.links[a], b), append(u.links[b], a)
			}
		}
		g.needs[n].nodes(link)
		g.wants[n].nodes(link)
	}
	for i := range u.links {
		slices.Sort(u.links[i])
		u.links[i] = slices.Compact(u.links[i])
	}
	return u
}

// pick lists the units of a selection. A placement stands for its environment.
func (u *units) pick(s Selection) ([]int32, error) {
	r := resolver{g: u.g, own: map[int32]truth{}}
	r.take(s, no)
	if len(r.unresolved) > 0 {
		return nil, fmt.Errorf("not in the catalogue: %v", r.unresolved)
	}
	out := make([]int32, 0, len(r.order))
	for _, n := range r.order {
		out = append(out, u.of[n])
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// separator looks for sets of units that separate bad from good.
type separator struct {
	*units
	bad, good []int32
	fixed     []bool // may not be cut
	now       Situation
	pricer    *pricer
	prices    []int64 // by unit, alone
}

// priceAll prices each unit on top of those that are gone already. At least 1,
// so that of two free cuts the smaller one is better.
func (s *separator) priceAll(gone []int32) []int64 {
	defer s.pricer.undo()
	for _, i := range gone {
		s.pricer.gone(s.nodes[i]...)
	}
	base := *s.pricer // a run within the run: keep what has fallen so far
	s.pricer.fallen, s.pricer.former = nil, nil
	out := make([]int64, len(s.names))
	most := float64(unlimited / (len(s.names) + 2)) // so that the sum of all stays below unlimited
	for i := range out {
		s.pricer.gone(s.nodes[i]...)
		out[i] = 1 + int64(min(math.Round(s.pricer.cost()), most))
		s.pricer.undo()
	}
	s.pricer.fallen, s.pricer.former = base.fallen, base.former
	return out
}

// minimum gives the minimum cuts for the prices nearest to either side.
func (s *separator) minimum(prices []int64) (near, far []int32, ok bool) {
	n := int32(len(s.names))
	arcs := len(s.names) + len(s.bad) + len(s.good)
	for _, l := range s.links {
		arcs += len(l)
	}
	net := newNetwork(int(2*n)+2, arcs)
	from, to := 2*n, 2*n+1
	for i := range n {
		price := prices[i]
		if s.fixed[i] {
			price = unlimited
		}
		net.arc(2*i, 2*i+1, price, 0)
		for _, j := range s.links[i] {
			net.arc(2*i+1, 2*j, unlimited, 0)
		}
	}
	for _, i := range s.bad {
		net.arc(from, 2*i, unlimited, 0)
	}
	for _, i := range s.good {
		net.arc(2*i+1, to, unlimited, 0)
	}
	if net.flow(from, to) >= unlimited {
		return nil, nil, false
	}
	behind, before := net.from(from), net.reaching(to)
	for i := range n {
		if behind[2*i] && !behind[2*i+1] {
			near = append(near, i)
		}
		if !before[2*i] && before[2*i+1] {
			far = append(far, i)
		}
	}
	return near, far, true
}

// try is a set of units that may separate.
type try struct {
	name  string
	cut   []int32
	prune bool // take out what is not needed; whole sites stay whole, as the comparison
}

func (s *separator) options() ([]CutOption, error) {
	near, far, ok := s.minimum(s.prices)
	if !ok {
		return nil, ErrInseparable
	}
	tries := []try{
		{"geringster Schaden, nah am Angreifer", near, true},
		{"geringster Schaden, nah am Schützenswerten", far, true},
		{"nur das Befallene abtrennen", s.bad, true},
		{"alles Übrige an den Standorten des Befallenen", s.sitesOfBad(), false},
	}
	for range 3 { // prices that remain once the best cut is made may favour another
		again, _, ok := s.minimum(s.priceAll(near))
		if !ok || slices.Equal(again, near) {
			break
		}
		near = again
		tries = append(tries, try{"geringster Schaden, nachgebessert", near, true})
	}
	var out []CutOption
	seen := map[string]bool{}
	for _, t := range tries {
		if !s.separates(t.cut) || slices.ContainsFunc(t.cut, func(i int32) bool { return s.fixed[i] }) {
			continue
		}
		if t.prune {
			t.cut = s.prune(t.cut)
		}
		key := fmt.Sprint(t.cut)
		if seen[key] {
			continue
		}
		seen[key] = true
		out = append(out, s.option(t.name, t.cut))
	}
	slices.SortStableFunc(out, func(a, b CutOption) int {
		return cmp.Or(cmp.Compare(a.Impact.Weight, b.Impact.Weight),
			cmp.Compare(len(a.Components)+len(a.Environments), len(b.Components)+len(b.Environments)))
	})
	return out, nil
}

// sitesOfBad is everything that may be cut at the sites of what is compromised.
func (s *separator) sitesOfBad() []int32 {
	sites := map[SiteID]bool{}
	for _, i := range s.bad {
		sites[s.siteOf(i)] = true
	}
	var out []int32
	for i := range int32(len(s.names)) {
		if sites[s.siteOf(i)] && !s.fixed[i] {
			out = append(out, i)
		}
	}
	return out
}

func (s *separator) siteOf(unit int32) SiteID {
	n := s.nodes[unit][0]
	if n < s.g.components {
		return s.g.c.Components[n].Site
	}
	return s.g.c.Placements[n-s.g.components].Site
}

// separates reports whether no way leads from bad to good around the cut.
func (s *separator) separates(cut []int32) bool {
	seen := make([]bool, len(s.names))
	for _, i := range cut {
		seen[i] = true
	}
	var todo []int32
	for _, i := range s.bad {
		if !seen[i] {
			seen[i] = true
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, j := range s.links[i] {
			if !seen[j] {
				seen[j] = true
				todo = append(todo, j)
			}
		}
	}
	for _, i := range s.good {
		if seen[i] && !slices.Contains(cut, i) {
			return false
		}
	}
	return true
}

// maxPruned is how many units are tried one by one: each try walks the graph.
const maxPruned = 200

// prune takes out what is not needed, the dearest first.
func (s *separator) prune(cut []int32) []int32 {
	out := slices.Clone(cut)
	if len(out) > maxPruned {
		return out
	}
	order := slices.Clone(cut)
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(s.prices[b], s.prices[a]) })
	for _, i := range order {
		less := slices.DeleteFunc(slices.Clone(out), func(j int32) bool { return j == i })
		if s.separates(less) {
			out = less
		}
	}
	return out
}

func (s *separator) option(name string, cut []int32) CutOption {
	o := CutOption{Name: name}
	for _, i := range cut {
		if s.nodes[i][0] < s.g.components {
			o.Components = append(o.Components, ComponentID(s.names[i]))
		} else {
			o.Environments = append(o.Environments, EnvironmentID(s.names[i]))
		}
	}
	slices.Sort(o.Components)
	slices.Sort(o.Environments)
	o.Impact = ImpactFrom(s.g.c, s.now, o.Selection())
	return o
}
