package catalogue

// graph is the catalogue as numbers, for speed: components first, then
// placements, both in the catalogue's order. It is never changed once built.
type graph struct {
	c          *Catalogue
	names      []string
	number     map[string]int32
	components int32     // how many of the nodes are components
	needs      []formula // by node
	wants      []formula
	hard       [][]int32 // who needs the node, in ascending order
	soft       [][]int32 // who wants it
}

// formula is Formula with numbers for names. A name that leads nowhere, which
// Validate refuses, is node -1 and unknown.
type formula struct {
	op   Op
	node int32
	of   []formula
}

// truth has three values, in the order of how much works.
type truth uint8

const (
	no truth = iota
	perhaps
	yes
)

func (c *Catalogue) graph() *graph {
	x := c.index()
	x.once.Do(func() { x.graph = c.buildGraph() })
	return x.graph
}

func (c *Catalogue) buildGraph() *graph {
	n := len(c.Components) + len(c.Placements)
	g := &graph{
		c: c, names: make([]string, 0, n), number: make(map[string]int32, n),
		components: int32(len(c.Components)),
		needs:      make([]formula, n), wants: make([]formula, n),
		hard: make([][]int32, n), soft: make([][]int32, n),
	}
	for i := range c.Components {
		g.add(string(c.Components[i].ID))
	}
	for i := range c.Placements {
		g.add(string(c.Placements[i].ID))
	}
	for i := range c.Components {
		g.rest(i, c.Components[i].Needs, c.Components[i].Wants)
	}
	for i := range c.Placements {
		g.rest(len(c.Components)+i, c.Placements[i].Needs, c.Placements[i].Wants)
	}
	return g
}

func (g *graph) add(name string) {
	g.number[name] = int32(len(g.names))
	g.names = append(g.names, name)
}

// rest compiles what node i rests on and notes it with those it rests on.
func (g *graph) rest(i int, needs, wants Formula) {
	g.needs[i], g.wants[i] = g.compile(needs), g.compile(wants)
	note(g.hard, &g.needs[i], int32(i))
	note(g.soft, &g.wants[i], int32(i))
}

func (g *graph) compile(f Formula) formula {
	out := formula{op: f.Op, node: -1}
	if f.Op == OpNode {
		if n, ok := g.number[f.Node]; ok {
			out.node = n
		}
	}
	if len(f.Of) > 0 {
		out.of = make([]formula, len(f.Of))
		for i, h := range f.Of {
			out.of[i] = g.compile(h)
		}
	}
	return out
}

func note(by [][]int32, f *formula, i int32) {
	if f.op == OpNode && f.node >= 0 {
		if l := by[f.node]; len(l) == 0 || l[len(l)-1] != i {
			by[f.node] = append(l, i)
		}
	}
	for j := range f.of {
		note(by, &f.of[j], i)
	}
}

// eval is the value of a formula: the least of all, the greatest of any.
func (f *formula) eval(v []truth) truth {
	switch f.op {
	case OpNone:
		return yes
	case OpNode:
		if f.node < 0 {
			return perhaps
		}
		return v[f.node]
	case OpAll:
		least := yes
		for i := range f.of {
			if least = min(least, f.of[i].eval(v)); least == no {
				break
			}
		}
		return least
	case OpAny:
		most := no
		for i := range f.of {
			if most = max(most, f.of[i].eval(v)); most == yes {
				break
			}
		}
		return most
	}
	return perhaps
}

// witness is a node that keeps the formula at its value, -1 when there is none.
func (f *formula) witness(v []truth) int32 {
	switch f.op {
	case OpNone:
	case OpNode:
		return f.node
	case OpAll, OpAny:
		value := f.eval(v)
		for i := range f.of {
			if f.of[i].eval(v) == value {
				return f.of[i].witness(v)
			}
		}
	}
	return -1
}

// nodes visits every node of the formula.
func (f *formula) nodes(visit func(int32)) {
	if f.op == OpNode && f.node >= 0 {
		visit(f.node)
	}
	for i := range f.of {
		f.of[i].nodes(visit)
	}
}

// fall is the greatest fixpoint: everything works that is not itself lost and
// whose formula can still be satisfied. Things that rest on each other and on
// nothing lost go on working.
type fall struct {
	works []truth // needs only
	full  []truth // needs and wants, of things that have theirs
	via   []int32 // what keeps works of a node down; -1 is itself
	limit []int32 // what keeps full of a node down; -1 is itself, or the same as works
}

// spread lets own values spread. own holds the nodes that are lost or unknown
// by themselves; all others work by themselves.
func (g *graph) spread(own map[int32]truth, order []int32) fall {
	n := len(g.names)
	f := fall{works: make([]truth, n), full: make([]truth, n), via: make([]int32, n), limit: make([]int32, n)}
	for i := range f.works {
		f.works[i], f.full[i], f.via[i], f.limit[i] = yes, yes, -1, -1
	}
	queue := make([]int32, 0, 64)
	for _, i := range order {
		f.works[i] = own[i]
		queue = append(queue, i)
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, j := range g.hard[i] {
			// The witness fell before j did, or further than j: so the chain of
			// witnesses from any node ends at one that is lost by itself.
			if v := min(f.works[j], g.needs[j].eval(f.works)); v < f.works[j] {
				f.works[j], f.via[j] = v, g.needs[j].witness(f.works)
				queue = append(queue, j)
			}
		}
	}
	// Wants spread in a second run: what is limited limits what rests on it.
	for i := range f.full {
		if f.full[i] = f.works[i]; f.full[i] < yes {
			queue = append(queue, int32(i))
		}
	}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		for _, dependants := range [2][]int32{g.hard[i], g.soft[i]} {
			for _, j := range dependants {
				g.lower(&f, j, &queue)
			}
		}
	}
	return f
}

// lower takes down full of one node when what it needs or wants went down.
func (g *graph) lower(f *fall, j int32, queue *[]int32) {
	needs, wants := g.needs[j].eval(f.full), g.wants[j].eval(f.full)
	v := min(f.full[j], needs, wants)
	if v == f.full[j] {
		return
	}
	f.full[j] = v
	if f.limit[j] = g.needs[j].witness(f.full); wants < needs {
		f.limit[j] = g.wants[j].witness(f.full)
	}
	*queue = append(*queue, j)
}
