// Package recovery brings services back in the right order.
//
// Promises: the order follows from dependencies first and priority second, the
// same for the same input; every position says why it stands where it stands.
// Nothing here opens a gate: entering trial is operation's to refuse.
package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"leitstand/catalogue"
)

// Position is one place in the order of return.
type Position struct {
	Rank  int      `json:"rank"`            // from 1; members of one cycle share a rank
	Node  string   `json:"node"`            // component or placement
	After []string `json:"after,omitempty"` // what it waits for, of what is to return
	With  []string `json:"with,omitempty"`  // members of the same cycle: they enter together
	Why   string   `json:"why"`
}

// node is a component or placement that is to return.
type node struct {
	id       string
	needs    []string // within what is to return
	urgency  [3]int   // criticality, MTPD in hours, minus insured
	priority string
	group    int
}

// Order works out in which order components and placements return. What is not
// in the list is taken as being there.
func Order(c *catalogue.Catalogue, ids []string) ([]Position, error) {
	nodes, err := collect(c, ids)
	if err != nil {
		return nil, err
	}
	groups := cycles(nodes)
	inherit(nodes)
	return rank(nodes, groups), nil
}

func collect(c *catalogue.Catalogue, ids []string) (map[string]*node, error) {
	nodes := map[string]*node{}
	for _, id := range ids {
		n := &node{id: id}
		if p, ok := c.Placement(catalogue.PlacementID(id)); ok {
			svc, _ := c.Service(p.Service)
			kasse, _ := c.Kasse(p.Kasse)
			mtpd := cmp.Or(p.MTPD, svc.MTPD)
			n.needs = p.Needs.Nodes()
			n.urgency = [3]int{svc.Criticality, int(mtpd.Hours()), -kasse.Insured}
			n.priority = fmt.Sprintf("Kritikalität %d, MTPD %d h, %d Versicherte", svc.Criticality, int(mtpd.Hours()), kasse.Insured)
		} else if m, ok := c.Component(catalogue.ComponentID(id)); ok {
			n.needs = m.Needs.Nodes()
			n.urgency = [3]int{99, 0, 0} // as urgent as what rests on it, see inherit
		} else {
			return nil, fmt.Errorf("%q is neither a placement nor a component of the catalogue", id)
		}
		nodes[id] = n
	}
	for _, n := range nodes {
		n.needs = slices.DeleteFunc(n.needs, func(id string) bool { return nodes[id] == nil || id == n.id })
	}
	return nodes, nil
}

// inherit makes everything at least as urgent as what rests on it.
func inherit(nodes map[string]*node) {
	ids := sortedIDs(nodes)
	for changed := true; changed; {
		changed = false
		for _, id := range ids {
			n := nodes[id]
			for _, need := range n.needs {
				if slices.Compare(n.urgency[:], nodes[need].urgency[:]) < 0 {
					nodes[need].urgency, changed = n.urgency, true
					nodes[need].priority = "darauf ruht " + strings.TrimPrefix(n.id, "darauf ruht ")
				}
			}
		}
	}
}

// cycles numbers the strongly connected groups (Tarjan 1972) and returns their members.
func cycles(nodes map[string]*node) map[int][]string {
	t := tarjan{nodes: nodes, index: map[string]int{}, low: map[string]int{}, on: map[string]bool{}, groups: map[int][]string{}}
	for _, id := range sortedIDs(nodes) {
		if _, seen := t.index[id]; !seen {
			t.visit(id)
		}
	}
	return t.groups
}

type tarjan struct {
	nodes  map[string]*node
	index  map[string]int
	low    map[string]int
	on     map[string]bool
	stack  []string
	groups map[int][]string
}

func (t *tarjan) visit(id string) {
	t.index[id], t.low[id] = len(t.index), len(t.index)
	t.stack, t.on[id] = append(t.stack, id), true
	for _, need := range t.nodes[id].needs {
		if _, seen := t.index[need]; !seen {
			t.visit(need)
			t.low[id] = min(t.low[id], t.low[need])
		} else if t.on[need] {
			t.low[id] = min(t.low[id], t.index[need])
		}
	}
	if t.low[id] != t.index[id] {
		return
	}
	at := slices.Index(t.stack, id)
	members := slices.Sorted(slices.Values(t.stack[at:]))
	t.stack = t.stack[:at]
	for _, m := range members {
		t.on[m], t.nodes[m].group = false, len(t.groups)
	}
	t.groups[len(t.groups)] = members
}

// rank takes, again and again, the most urgent group whose needs have returned.
func rank(nodes map[string]*node, groups map[int][]string) []Position {
	done := map[int]bool{}
	var out []Position
	for r := 1; len(done) < len(groups); r++ {
		best := -1
		for g := range groups {
			if !done[g] && ready(nodes, groups[g], done, g) && (best < 0 || before(nodes, groups[g], groups[best])) {
				best = g
			}
		}
		for _, id := range groups[best] {
			out = append(out, position(nodes, groups[best], id, r))
		}
		done[best] = true
	}
	return out
}

func ready(nodes map[string]*node, members []string, done map[int]bool, self int) bool {
	for _, id := range members {
		for _, need := range nodes[id].needs {
			if g := nodes[need].group; g != self && !done[g] {
				return false
			}
		}
	}
	return true
}

func before(nodes map[string]*node, a, b []string) bool {
	ua, ub := urgency(nodes, a), urgency(nodes, b)
	if c := slices.Compare(ua[:], ub[:]); c != 0 {
		return c < 0
	}
	return a[0] < b[0]
}

func urgency(nodes map[string]*node, members []string) [3]int {
	best := nodes[members[0]].urgency
	for _, id := range members[1:] {
		if slices.Compare(nodes[id].urgency[:], best[:]) < 0 {
			best = nodes[id].urgency
		}
	}
	return best
}

func position(nodes map[string]*node, members []string, id string, r int) Position {
	n := nodes[id]
	p := Position{Rank: r, Node: id}
	for _, need := range n.needs {
		if nodes[need].group == n.group {
			continue
		}
		p.After = append(p.After, need)
	}
	if len(members) > 1 {
		p.With = slices.DeleteFunc(slices.Clone(members), func(m string) bool { return m == id })
	}
	var why []string
	if len(p.After) > 0 {
		why = append(why, "nach "+strings.Join(p.After, ", "))
	}
	if len(p.With) > 0 {
		why = append(why, "gemeinsam mit "+strings.Join(p.With, ", ")+" (gegenseitige Abhängigkeit)")
	}
	if n.priority != "" {
		why = append(why, n.priority)
	}
	if len(why) == 0 {
		why = append(why, "hängt von nichts ab, nichts hängt davon ab")
	}
	p.Why = strings.Join(why, "; ")
	return p
}

func sortedIDs(nodes map[string]*node) []string {
	out := make([]string, 0, len(nodes))
	for id := range nodes {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
