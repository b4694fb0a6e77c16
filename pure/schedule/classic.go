package schedule

import "math"

// classic is the textbook problem in the form its fast path needs: one mode a
// task, constant capacities, finish-start links without lag, makespan. Up to four
// resources of one slot share a word, 16 bits each, the top bit of every lane
// being a guard: one subtraction tells whether a task fits.
type classic struct {
	n        int
	dur      []int32
	need     []uint64
	capacity uint64 // with guards
	forward  network
	backward network // the same project, time running backwards
	total    int32   // of all durations: no active schedule is longer
	bound    int32   // no schedule is shorter
	critical int32   // length of the longest chain
}

// network lists for each task who must be finished before it, and is one of the
// two directions of a project.
type network struct {
	at     []int32 // pred[at[i]:at[i+1]] are i's
	pred   []int32
	succAt []int32
	succ   []int32
	order  []int32 // topological
	tail   []int32 // longest chain from a task's start to the end
}

const (
	lanes   = 4
	laneMax = 1<<15 - 1
	guards  = 0x8000_8000_8000_8000
)

func (w *network) before(i int32) []int32 { return w.pred[w.at[i]:w.at[i+1]] }
func (w *network) after(i int32) []int32  { return w.succ[w.succAt[i]:w.succAt[i+1]] }

// newClassic says false when the problem is not of the textbook form.
func newClassic(p *Problem) (*classic, bool) {
	n := len(p.Tasks)
	if len(p.Resources) > lanes || len(p.Links) > math.MaxInt32/2 {
		return nil, false
	}
	c := &classic{n: n, dur: make([]int32, n), need: make([]uint64, n), capacity: guards}
	for k := range p.Resources {
		cal := p.Resources[k].Capacity
		if len(cal) != 1 || cal[0].From != 0 || cal[0].Capacity > laneMax {
			return nil, false
		}
		c.capacity |= uint64(cal[0].Capacity) << (16 * k)
	}
	for i := range p.Tasks {
		t := &p.Tasks[i]
		if len(t.Modes) != 1 || t.Release > 0 || t.Deadline > 0 || t.Fixed {
			return nil, false
		}
		c.dur[i] = int32(t.Modes[0].Duration)
		c.total += c.dur[i]
		for _, need := range t.Modes[0].Needs {
			if need.Amount > p.Resources[need.Resource].Capacity[0].Capacity {
				return nil, false // nothing to schedule; the general path says so
			}
			if c.dur[i] > 0 {
				c.need[i] |= uint64(need.Amount) << (16 * need.Resource)
			}
		}
	}
	for _, l := range p.Links {
		if l.Kind != FinishStart || l.Min != 0 || l.Bounded {
			return nil, false
		}
	}
	if int(c.total) > p.slots() || p.Horizon > 0 {
		return nil, false
	}
	c.forward = newNetwork(n, p.Links, c.dur, false)
	c.backward = newNetwork(n, p.Links, c.dur, true)
	for _, t := range c.forward.tail {
		c.critical = max(c.critical, t)
	}
	c.bound = max(c.critical, c.energyBound())
	return c, true
}

func newNetwork(n int, links []Link, dur []int32, reversed bool) network {
	turned := make([]Link, len(links))
	for k, l := range links {
		if reversed {
			l.From, l.To = l.To, l.From
		}
		turned[k] = l
	}
	w := network{at: make([]int32, n+1), succAt: make([]int32, n+1), pred: make([]int32, len(links)), succ: make([]int32, len(links)), tail: make([]int32, n)}
	w.order, _ = topological(n, turned)
	for _, l := range turned {
		w.at[l.To+1]++
		w.succAt[l.From+1]++
	}
	for i := range n {
		w.at[i+1] += w.at[i]
		w.succAt[i+1] += w.succAt[i]
	}
	in, out := append([]int32(nil), w.at...), append([]int32(nil), w.succAt...)
	for _, l := range turned {
		w.pred[in[l.To]] = int32(l.From)
		in[l.To]++
		w.succ[out[l.From]] = int32(l.To)
		out[l.From]++
	}
	for k := n - 1; k >= 0; k-- {
		i := w.order[k]
		for _, j := range w.after(i) {
			w.tail[i] = max(w.tail[i], w.tail[j])
		}
		w.tail[i] += dur[i]
	}
	return w
}

// energyBound divides each resource's work by its capacity.
func (c *classic) energyBound() int32 {
	var bound int64
	for k := range lanes {
		capacity := int64(c.capacity >> (16 * k) & laneMax)
		var work int64
		for i, d := range c.dur {
			work += int64(d) * int64(c.need[i]>>(16*k)&laneMax)
		}
		if capacity > 0 {
			bound = max(bound, (work+capacity-1)/capacity)
		}
	}
	return int32(min(bound, math.MaxInt32))
}
