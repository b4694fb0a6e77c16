package schedule

import (
	"cmp"
	"slices"
)

// The bound for LeastLoss. Each resource in turn is taken for the only scarce one:
// what the cells need of it is then best done in the order of gain per work, which
// no order of whole tasks can beat (Smith's rule, on the mean busy times of the
// steps, so that calendars and curves that rise are covered). Work that several
// cells share is charged to them in equal parts.

// prize is one step of one cell: gain is lost, per unit of the cell's curve, until
// any of ends has ended, and all of needs must have ended by then. A task is named
// in the first step of a cell that needs it only.
type prize struct {
	gain  float64
	cell  int
	free  float64 // what is lost if no task stands in another's way
	needs []int32
	ends  []int32
}

// prizes makes the prizes of a problem.
type prizes struct {
	m    *model
	j    *judge
	r    *relaxed
	list []prize
	rest float64   // what is lost whatever is done, because no task ends it
	tail []int32   // per row: from the end of work on it to the next prize, at least
	work [][]claim // per task: what it takes of each row in its thriftiest mode
	rank []int32   // topological

	sums  [][]float64 // per shape of curve
	seen  []bool
	stack []int32
	far   []int32
	size  int // of all that was walked
}

// lossBound is a weighted loss that no plan can be below.
func (r *relaxed) lossBound(m *model, j *judge) float64 {
	bound := j.loss(r.finish)
	p := newPrizes(m, j, r)
	for k := range j.cells {
		if p.cell(k); p.size > maxLossOrder {
			return bound
		}
	}
	shared := make([]int32, m.n)
	for k := range p.list {
		for _, i := range p.list[k].needs {
			shared[i]++
		}
	}
	for row := range int32(m.rows) {
		bound = max(bound, p.rest+p.row(row, shared))
	}
	return bound
}

func newPrizes(m *model, j *judge, r *relaxed) *prizes {
	p := &prizes{m: m, j: j, r: r, seen: make([]bool, m.n), far: make([]int32, m.n), rank: make([]int32, m.n)}
	for at, i := range m.order {
		p.rank[i] = int32(at)
	}
	p.tail = slices.Repeat([]int32{m.slots}, m.rows)
	for i := range m.work {
		var w []claim
		if !m.p.Tasks[i].Fixed {
			for row, least := range leastWork(m.work[i]) {
				if least > 0 {
					w = append(w, claim{row, int32(min(least, 1<<30))})
				}
			}
		}
		slices.SortFunc(w, func(a, b claim) int { return cmp.Compare(a.row, b.row) })
		p.work = append(p.work, w)
	}
	return p
}

// cell adds the prizes of one cell.
func (p *prizes) cell(k int) {
	c := &p.j.cells[k]
	levels := slices.SortedStableFunc(slices.Values(c.levels), func(a, b Level) int { return cmp.Compare(a.Reached, b.Reached) })
	level, named := c.initial, map[int32]bool{}
	for at, l := range levels {
		if l.Reached <= level {
			continue
		}
		z := prize{gain: float64(c.weight * (l.Reached - level)), cell: k}
		level = l.Reached
		first := p.m.slots
		needed := map[int32]int{}
		distance := map[int32]int32{}
		for _, winner := range levels[at:] {
			end := int32(winner.Task)
			z.ends = append(z.ends, end)
			first = min(first, p.r.finish[end])
			for _, i := range p.walk(end) {
				if d, ok := distance[i]; !ok || p.far[i] < d {
					distance[i] = p.far[i]
				}
				needed[i]++
			}
		}
		for i, n := range needed {
			if n == len(z.ends) && !named[i] {
				named[i] = true
				z.needs = append(z.needs, i)
				for _, w := range p.work[i] {
					p.tail[w.row] = min(p.tail[w.row], distance[i])
				}
			}
		}
		slices.Sort(z.needs)
		z.free = float64(z.gain * c.until(first))
		p.list = append(p.list, z)
	}
	if level < 1 {
		p.rest += float64(float64(c.weight*(1-level)) * c.until(p.m.slots))
	}
}

// walk lists a task and all that must have ended when it ends; far says how long
// before, at least.
func (p *prizes) walk(end int32) []int32 {
	found := p.stack[:0]
	found = append(found, end)
	p.seen[end], p.far[end] = true, 0
	for at := 0; at < len(found); at++ {
		for _, l := range p.in(found[at]) {
			if !p.seen[l.other] {
				p.seen[l.other], p.far[l.other] = true, 0
				found = append(found, l.other)
			}
		}
	}
	slices.SortFunc(found, func(a, b int32) int { return int(p.rank[b] - p.rank[a]) })
	for _, i := range found {
		for _, l := range p.in(i) {
			p.far[l.other] = max(p.far[l.other], p.far[i]+p.gap(l, i))
		}
	}
	for _, i := range found {
		p.seen[i] = false
	}
	p.size += len(found)
	p.stack = found
	return found
}

// in lists the links that let a task end only after another one has ended.
func (p *prizes) in(i int32) []tie {
	if p.m.p.Tasks[i].Fixed {
		return nil // it ends when it ends
	}
	var out []tie
	for _, l := range p.m.in[i] {
		if p.gap(l, i) >= 0 {
			out = append(out, l)
		}
	}
	return out
}

// gap is the least time between the ends of two linked tasks, negative if there is
// no telling.
func (p *prizes) gap(l tie, i int32) int32 {
	switch l.kind {
	case FinishStart:
		return l.min + p.m.shortest(int(i))
	case FinishFinish:
		return l.min
	case StartStart, StartFinish:
	}
	return -1
}

// job is what one prize needs of one resource.
type job struct{ gain, work float64 }

// row is the least loss over all prizes if only one resource were scarce.
func (p *prizes) row(row int32, shared []int32) float64 {
	head, total := p.m.slots, 0.0
	var jobs []job
	cells := map[int]bool{}
	for k := range p.list {
		z := &p.list[k]
		work := 0.0
		for _, i := range z.needs {
			for _, w := range p.work[i] {
				if w.row == row {
					work += float64(w.amount) / float64(shared[i])
					head = min(head, p.r.start[i])
				}
			}
		}
		if work <= 0 {
			total += z.free
			continue
		}
		jobs = append(jobs, job{z.gain, work})
		cells[z.cell] = true
	}
	if len(jobs) == 0 {
		return total
	}
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(b.gain*a.work, a.gain*b.work) })
	return total + smith(p.m.row(p.m.capacity, row), int(head), jobs, p.lowestCurve(cells), int(p.tail[row]))
}

// smith adds up what jobs lose, done one after the other at the pace of capacity
// from head on, each won tail slots after its work.
func smith(capacity []int32, head int, jobs []job, curve []float64, tail int) float64 {
	last := len(curve) - 1
	at := func(t int) float64 { return curve[min(last, t+tail)] }
	total, k, left := 0.0, 0, jobs[0].work
	for t := head; t < len(capacity) && k < len(jobs); t++ {
		room := float64(max(0, capacity[t]))
		for done := 0.0; done < room && k < len(jobs); {
			part := min(left, room-done)
			middle := at(t) + float64((at(t+1)-at(t))*((done+part/2)/room))
			total += float64(jobs[k].gain * float64(part/jobs[k].work) * middle)
			done, left = done+part, left-part
			if left <= 1e-9*jobs[k].work {
				if k++; k < len(jobs) {
					left = jobs[k].work
				}
			}
		}
	}
	for ; k < len(jobs); k++ { // no plan ends these before the horizon
		total += float64(jobs[k].gain * float64(left/jobs[k].work) * curve[last])
		if k+1 < len(jobs) {
			left = jobs[k+1].work
		}
	}
	return total
}

// lowestCurve is, slot by slot, the lowest of the summed up curves of some cells.
func (p *prizes) lowestCurve(cells map[int]bool) []float64 {
	curve := make([]float64, p.m.slots+1)
	first := true
	seen := make([]bool, len(p.j.shapes))
	for k := range p.j.cells {
		c := &p.j.cells[k]
		if !cells[k] || seen[c.shape] {
			continue
		}
		seen[c.shape] = true
		for t, v := range p.summed(c) {
			if first || v < curve[t] {
				curve[t] = v
			}
		}
		first = false
	}
	return curve
}

// summed is a cell's curve summed up to every slot.
func (p *prizes) summed(c *loss) []float64 {
	if p.sums == nil {
		p.sums = make([][]float64, len(p.j.shapes))
	}
	if p.sums[c.shape] == nil {
		sum := make([]float64, p.m.slots+1)
		for t := range sum {
			sum[t] = c.until(int32(t))
		}
		p.sums[c.shape] = sum
	}
	return p.sums[c.shape]
}
