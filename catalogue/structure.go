package catalogue

import (
	"cmp"
	"slices"
)

// SinglePoint is a component or placement whose loss alone stops cells of others.
type SinglePoint struct {
	Node    string `json:"node"`
	Stopped int    `json:"stopped"` // cells
	Kassen  int    `json:"kassen"`
	Insured int    `json:"insured"` // people of those Kassen
}

// SinglePoints lists what the loss of which alone stops at least one cell that
// is not its own, from the one that stops most. It tries every component and
// every placement that something rests on.
func SinglePoints(c *Catalogue) []SinglePoint {
	g, x := c.graph(), c.index()
	p := newPricer(g, g.spread(nil, nil))
	var out []SinglePoint
	for i := range int32(len(g.names)) {
		if len(g.hard[i]) == 0 {
			continue
		}
		own := int32(-1)
		if i >= g.components {
			own = p.cellOf[i-g.components]
		}
		s := SinglePoint{Node: g.names[i]}
		kassen := map[KasseID]bool{}
		p.gone(i)
		p.stopped(func(cell int32) {
			if cell == own {
				return
			}
			s.Stopped++
			id := p.cells[cell].kasse
			if kasse := x.kassen[string(id)]; kasse != nil && !kassen[id] {
				kassen[id] = true
				s.Kassen++
				s.Insured += kasse.Insured
			}
		})
		p.undo()
		if s.Stopped > 0 {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b SinglePoint) int {
		return cmp.Or(cmp.Compare(b.Stopped, a.Stopped), cmp.Compare(b.Insured, a.Insured), cmp.Compare(a.Node, b.Node))
	})
	return out
}

// Cycles lists groups of things that rest on each other (strongly connected by
// Needs), each sorted by name, the largest first. They cannot be restarted one
// after the other.
func Cycles(c *Catalogue) [][]string {
	g := c.graph()
	t := tarjan{g: g, index: make([]int32, len(g.names)), low: make([]int32, len(g.names)), on: make([]bool, len(g.names))}
	for i := range int32(len(g.names)) {
		if t.index[i] == 0 {
			t.visit(i)
		}
	}
	for _, s := range t.found {
		slices.Sort(s)
	}
	slices.SortFunc(t.found, func(a, b []string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a[0], b[0]))
	})
	return t.found
}

// tarjan finds strongly connected groups without recursion: chains of a real
// catalogue can be deeper than a stack should be.
type tarjan struct {
	g     *graph
	index []int32 // order of the first visit, from 1; 0 is not visited
	low   []int32
	on    []bool // on the stack
	stack []int32
	last  int32
	found [][]string
}

type step struct {
	node int32
	next int // of its dependants
}

func (t *tarjan) open(i int32) step {
	t.last++
	t.index[i], t.low[i], t.on[i] = t.last, t.last, true
	t.stack = append(t.stack, i)
	return step{node: i}
}

func (t *tarjan) visit(root int32) {
	path := []step{t.open(root)}
	for len(path) > 0 {
		s := &path[len(path)-1]
		if s.next < len(t.g.hard[s.node]) {
			j := t.g.hard[s.node][s.next]
			s.next++
			if t.index[j] == 0 {
				path = append(path, t.open(j))
			} else if t.on[j] {
				t.low[s.node] = min(t.low[s.node], t.index[j])
			}
			continue
		}
		if t.low[s.node] == t.index[s.node] {
			t.close(s.node)
		}
		done := s.node
		path = path[:len(path)-1]
		if len(path) > 0 {
			up := path[len(path)-1].node
			t.low[up] = min(t.low[up], t.low[done])
		}
	}
}

func (t *tarjan) close(root int32) {
	var group []string
	for {
		i := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		t.on[i] = false
		group = append(group, t.g.names[i])
		if i == root {
			break
		}
	}
	if len(group) > 1 {
		t.found = append(t.found, group)
	}
}
