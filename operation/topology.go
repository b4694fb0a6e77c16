package operation

import (
	"slices"

	"leitstand/catalogue"
)

// topology is the catalogue as rules walk it: nodes are placements, then
// components, by number. It never changes once built.
type topology struct {
	places  []catalogue.Placement
	parts   []catalogue.Component
	names   []string // of nodes
	subject []string // of nodes: environment of a placement, the component itself
	needs   []catalogue.Formula
	uses    [][]int32 // nodes that the formula names
	usedBy  [][]int32
	known   []bool // in the catalogue, not only in the store
	number  map[string]int
	inEnv   map[string][]int32
	choice  map[catalogue.ServiceID]catalogue.Behaviour
}

// newTopology takes the catalogue and what the store knows beyond it: what was
// dropped from the catalogue keeps its state, and the gate stays shut for it.
func newTopology(c *catalogue.Catalogue, places []*Placement, parts []*Component) *topology {
	t := &topology{
		number: map[string]int{}, inEnv: map[string][]int32{},
		choice: map[catalogue.ServiceID]catalogue.Behaviour{},
		places: slices.Clone(c.Placements), parts: slices.Clone(c.Components),
	}
	for _, s := range c.Services {
		t.choice[s.ID] = s.Behaviour
	}
	inPlaces, inParts := len(t.places), len(t.parts)
	for _, p := range places {
		if _, ok := c.Placement(p.ID); !ok {
			t.places = append(t.places, catalogue.Placement{
				ID: p.ID, Kasse: p.Kasse, Service: p.Service, Site: p.Site, Environment: p.Environment,
			})
		}
	}
	for _, p := range parts {
		if _, ok := c.Component(p.ID); !ok {
			t.parts = append(t.parts, catalogue.Component{ID: p.ID, Site: p.Site})
		}
	}
	for i, p := range t.places {
		t.add(string(p.ID), string(p.Environment), p.Needs, i < inPlaces)
		t.inEnv[string(p.Environment)] = append(t.inEnv[string(p.Environment)], int32(i))
	}
	for i, p := range t.parts {
		t.add(string(p.ID), string(p.ID), p.Needs, i < inParts)
	}
	t.link()
	return t
}

func (t *topology) add(name, subject string, needs catalogue.Formula, known bool) {
	t.number[name] = len(t.names)
	t.names = append(t.names, name)
	t.subject = append(t.subject, subject)
	t.needs = append(t.needs, needs)
	t.known = append(t.known, known)
}

func (t *topology) link() {
	t.uses, t.usedBy = make([][]int32, len(t.names)), make([][]int32, len(t.names))
	for n, f := range t.needs {
		for _, name := range f.Nodes() {
			m, ok := t.number[name]
			if !ok {
				continue // a formula that names nothing we know never holds there
			}
			t.uses[n] = append(t.uses[n], int32(m))
			t.usedBy[m] = append(t.usedBy[m], int32(n))
		}
	}
}

// reach lists the nodes from which edges lead on, themselves included, sorted.
func reach(from []int, edges [][]int32) []int {
	seen := make(map[int]bool, 4*len(from))
	stack := slices.Clone(from)
	var out []int
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		out = append(out, n)
		for _, m := range edges[n] {
			if !seen[int(m)] {
				stack = append(stack, int(m))
			}
		}
	}
	slices.Sort(out)
	return out
}

// about lists the nodes that a subject stands for: the placements of an
// environment, or a component.
func (t *topology) about(subject string) []int {
	if in, ok := t.inEnv[subject]; ok {
		out := make([]int, len(in))
		for i, n := range in {
			out[i] = int(n)
		}
		return out
	}
	if n, ok := t.number[subject]; ok && n >= len(t.places) {
		return []int{n}
	}
	return nil
}
