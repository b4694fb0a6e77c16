package catalogue

import "math"

// unlimited is the capacity of what cannot be cut. Sums of real prices stay below it.
const unlimited = math.MaxInt64 / 4

// network is a directed graph with capacities, for a maximum flow (Dinic) and
// the minimum cut that equals it.
type network struct {
	head  []int32 // first arc by node, -1 is none
	next  []int32 // by arc
	to    []int32 // by arc
	left  []int64 // residual capacity by arc; arc a^1 is the way back
	level []int32
	now   []int32 // the arc to try next, by node
}

func newNetwork(nodes, arcs int) *network {
	n := &network{
		head: make([]int32, nodes), level: make([]int32, nodes), now: make([]int32, nodes),
		next: make([]int32, 0, 2*arcs), to: make([]int32, 0, 2*arcs), left: make([]int64, 0, 2*arcs),
	}
	for i := range n.head {
		n.head[i] = -1
	}
	return n
}

func (n *network) arc(from, to int32, there, back int64) {
	for _, a := range [2]struct {
		from, to int32
		c        int64
	}{{from, to, there}, {to, from, back}} {
		n.next = append(n.next, n.head[a.from])
		n.head[a.from] = int32(len(n.to))
		n.to = append(n.to, a.to)
		n.left = append(n.left, a.c)
	}
}

// flow pushes as much as possible from s to t and returns it; a flow of
// unlimited or more means that nothing separates them.
func (n *network) flow(s, t int32) int64 {
	var total int64
	for n.levels(s, t) {
		copy(n.now, n.head)
		for {
			f := n.push(s, t)
			if f == 0 {
				break
			}
			if total += f; total >= unlimited {
				return unlimited
			}
		}
	}
	return total
}

// levels counts arcs from s over what has capacity left.
func (n *network) levels(s, t int32) bool {
	for i := range n.level {
		n.level[i] = -1
	}
	n.level[s] = 0
	queue := []int32{s}
	for len(queue) > 0 {
		u := queue[0]
		queue = queue[1:]
		for a := n.head[u]; a >= 0; a = n.next[a] {
			if v := n.to[a]; n.left[a] > 0 && n.level[v] < 0 {
				n.level[v] = n.level[u] + 1
				queue = append(queue, v)
			}
		}
	}
	return n.level[t] >= 0
}

// push finds one way from s to t along rising levels, without recursion, and
// fills it.
func (n *network) push(s, t int32) int64 {
	var way []int32 // arcs
	u := s
	for u != t {
		a := n.now[u]
		for a >= 0 && (n.left[a] == 0 || n.level[n.to[a]] != n.level[u]+1) {
			a = n.next[a]
		}
		n.now[u] = a
		switch {
		case a >= 0:
			way = append(way, a)
			u = n.to[a]
		case len(way) == 0:
			return 0
		default: // a dead end: never come here again in this round
			n.level[u] = -1
			last := way[len(way)-1]
			way = way[:len(way)-1]
			u = n.to[last^1]
		}
	}
	f := int64(unlimited)
	for _, a := range way {
		f = min(f, n.left[a])
	}
	for _, a := range way {
		n.left[a] -= f
		n.left[a^1] += f
	}
	return f
}

// from marks what s reaches over capacity left.
func (n *network) from(s int32) []bool {
	seen := make([]bool, len(n.head))
	seen[s] = true
	todo := []int32{s}
	for len(todo) > 0 {
		u := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for a := n.head[u]; a >= 0; a = n.next[a] {
			if v := n.to[a]; n.left[a] > 0 && !seen[v] {
				seen[v] = true
				todo = append(todo, v)
			}
		}
	}
	return seen
}

// reaching marks what reaches t over capacity left.
func (n *network) reaching(t int32) []bool {
	seen := make([]bool, len(n.head))
	seen[t] = true
	todo := []int32{t}
	for len(todo) > 0 {
		u := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for a := n.head[u]; a >= 0; a = n.next[a] {
			if v := n.to[a]; n.left[a^1] > 0 && !seen[v] {
				seen[v] = true
				todo = append(todo, v)
			}
		}
	}
	return seen
}
