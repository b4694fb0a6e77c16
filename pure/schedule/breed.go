package schedule

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// herd is the search for the textbook problem: two populations of schedules, one
// pushed to the left, one to the right, each bred from the other. Children of
// left-pushed parents are built backwards in time and join the right-pushed ones,
// and the other way round, so that every child is also a justification of its
// parents and costs one schedule, not three. After the bi-population idea of
// Debels and Vanhoucke (2007), double justification of Valls, Ballestín and
// Quintanilla (2005) and the peaks of Valls, Ballestín and Quintanilla (2008). New
// are that the stretch a child takes whole is the one in which that parent is
// furthest ahead of the other, and that the populations shrink as the budget does.
type herd struct {
	c       *classic
	d       *decoder
	r       *rng
	budget  int64 // schedules in total, by d's count
	allowed func() int64
	ctx     context.Context
	report  func(finish []int32, makespan int32)

	sides [2][]animal // 0 built forwards, 1 backwards
	key   []int32
	load  []int64    // of a task per slot: share of the capacities, in thousandths
	busy  [2][]int64 // prefix sums of load over time, of both parents
	child [2]animal
	best  int32
	stop  bool
}

// animal is one schedule: finishes in the time of its own side.
type animal struct {
	finish   []int32
	makespan int32
	late     uint64 // tie-break: work weighted by the square of its time
	hash     uint64
}

func (a *animal) betterThan(b *animal) bool {
	return a.makespan < b.makespan || a.makespan == b.makespan && a.late < b.late
}

// The figures of the search; found by trying, on counts of schedules only.
const (
	shortWindow, longWindow = 10, 40 // hundredths of the makespan that a child takes whole from one parent
	windowTries             = 8      // windows looked at for the best one
	firstHerd, lastHerd     = 20, 2  // tenths of the size asked for, at the start and at the end
	shakenShare             = 10     // one key in so many changes when there is nothing to cross
)

func newHerd(ctx context.Context, c *classic, seed uint64, report func([]int32, int32)) *herd {
	h := &herd{c: c, d: newDecoder(c), r: newRNG(seed), ctx: ctx, report: report, best: math.MaxInt32}
	h.key = make([]int32, c.n)
	h.load = make([]int64, c.n)
	for i := range h.load {
		for k := range lanes {
			if capacity := c.capacity >> (16 * k) & laneMax; capacity > 0 {
				h.load[i] += int64(1000 * (c.need[i] >> (16 * k) & laneMax) / capacity)
			}
		}
	}
	h.busy = [2][]int64{make([]int64, c.total+2), make([]int64, c.total+2)}
	for k := range h.child {
		h.child[k] = h.newAnimal()
	}
	return h
}

func (h *herd) newAnimal() animal { return animal{finish: make([]int32, h.c.n)} }

func (h *herd) side(k int) *network {
	if k == 0 {
		return &h.c.forward
	}
	return &h.c.backward
}

// over says that the budget is used up, the bound reached or the context ended.
func (h *herd) over() bool {
	if h.d.built >= h.budget || h.best <= h.c.bound {
		return true
	}
	if h.d.built&63 == 0 && h.ctx.Err() != nil {
		h.stop = true
	}
	return h.stop
}

// rule builds the first schedules: longest tail first, in parallel and in series.
func (h *herd) rule() {
	a := &h.child[0]
	for i, tail := range h.c.forward.tail {
		h.key[i] = h.c.critical - tail
	}
	a.makespan = h.d.parallel(&h.c.forward, h.key, a.finish)
	h.judge(0, a)
	if h.d.built < h.budget {
		h.build(0, a)
	}
}

func (h *herd) limit(schedules func() int64) {
	h.allowed = schedules
	h.budget = schedules()
}

func (h *herd) left() int64   { return h.budget - h.d.built }
func (h *herd) passes() int64 { return h.d.built }
func (h *herd) done() bool    { return h.best <= h.c.bound || h.ctx.Err() != nil }

// epoch breeds a fresh herd until the budget is used up. It begins with twice the
// given size and ends with a fifth of it.
func (h *herd) epoch(size, number int) {
	if number == 0 {
		h.rule()
	}
	first, began := max(2, size*firstHerd/10), h.d.built
	h.found(first)
	for from := 0; !h.over(); from = 1 - from {
		if h.budget = h.allowed(); h.over() {
			return
		}
		fewer := max(1, first-size*lastHerd/10)
		h.shrink(first - int(int64(fewer)*(h.d.built-began)/(h.budget-began)))
		for i := 0; i < len(h.sides[from]) && !h.over(); i++ {
			h.breed(from, i)
		}
	}
}

// found makes both sides of a new herd: sampled schedules, pushed to the right, and
// those pushed to the left again.
func (h *herd) found(size int) {
	for k := range h.sides {
		h.sides[k] = h.sides[k][:0]
		for range size {
			h.sides[k] = append(h.sides[k], h.newAnimal())
		}
	}
	for i := range size {
		if h.over() {
			return
		}
		left, right := &h.sides[0][i], &h.sides[1][i]
		left.makespan = h.d.serial(&h.c.forward, h.sample(&h.c.forward), left.finish)
		h.judge(0, left)
		if h.over() {
			return
		}
		h.turn(left)
		h.build(1, right)
		if h.over() {
			return
		}
		h.turn(right)
		h.build(0, left)
	}
}

// shrink lets the best of both sides live on.
func (h *herd) shrink(size int) {
	if size = max(size, 2); size >= len(h.sides[0]) {
		return
	}
	for k := range h.sides {
		slices.SortStableFunc(h.sides[k], func(a, b animal) int {
			return cmp.Or(cmp.Compare(a.makespan, b.makespan), cmp.Compare(a.late, b.late))
		})
		h.sides[k] = h.sides[k][:size]
	}
}

// breed gives animal i of one side two children and lets the better one take the
// place of its counterpart on the other side.
func (h *herd) breed(from, i int) {
	parents, heirs := h.sides[from], h.sides[1-from]
	a := &parents[i]
	for k := range h.child {
		j := h.draw(len(parents))
		if other := h.draw(len(parents)); parents[other].betterThan(&parents[j]) {
			j = other
		}
		switch b := &parents[j]; {
		case a.hash == b.hash:
			h.turn(a)
			h.shake()
		case k == 0:
			h.cross(a, b)
		default:
			h.cross(b, a)
		}
		h.build(1-from, &h.child[k])
		if h.over() {
			return
		}
	}
	if h.child[1].betterThan(&h.child[0]) {
		h.child[0], h.child[1] = h.child[1], h.child[0]
	}
	for k := range heirs {
		if k != i && heirs[k].hash == h.child[0].hash { // a twin teaches nothing
			h.turn(a)
			h.shake()
			h.build(1-from, &h.child[0])
			break
		}
	}
	if h.child[0].betterThan(&heirs[i]) || heirs[i].makespan > h.best {
		heirs[i], h.child[0] = h.child[0], heirs[i]
	}
}

func (h *herd) draw(n int) int { return int(h.r.below(int32(n))) }

// turn makes keys that build a's schedule from its other end.
func (h *herd) turn(a *animal) {
	for i, f := range a.finish {
		h.key[i] = a.makespan - f
	}
}

// shake gives some tasks the key of another one.
func (h *herd) shake() {
	for i := range h.key {
		if h.r.below(shakenShare) == 0 {
			h.key[i] = h.key[h.draw(len(h.key))]
		}
	}
}

// cross makes keys for a child: a stretch of a stays together as it is, the rest
// stands before and after it in the order of b.
func (h *herd) cross(a, b *animal) {
	from, to := h.window(a, b)
	first, last := a.makespan-to, a.makespan-from // the stretch, seen from the other end
	far := a.makespan + b.makespan
	for i, f := range a.finish {
		if middle := f - h.c.dur[i]/2; middle >= from && middle < to {
			h.key[i] = far + a.makespan - f
			continue
		}
		k := b.makespan - b.finish[i]
		if k >= last || k >= first && a.makespan-f >= first {
			k += 2 * far
		}
		h.key[i] = k
	}
}

// window draws stretches of time of one length and takes that in which a does most
// more work than b.
func (h *herd) window(a, b *animal) (from, to int32) {
	mine, other := h.work(0, a), h.work(1, b)
	m := a.makespan
	short, long := m*shortWindow/100, m*longWindow/100
	length := min(m, short+h.r.below(long-short+1))
	most := int64(math.MinInt64)
	for range windowTries {
		t := h.r.below(m - length + 1)
		u, v := min(t, b.makespan), min(t+length, b.makespan)
		if ahead := mine[t+length] - mine[t] - (other[v] - other[u]); ahead > most {
			most, from = ahead, t
		}
	}
	return from, from + length
}

// work sums up an animal's load from the start to each slot.
func (h *herd) work(k int, a *animal) []int64 {
	busy := h.busy[k][:a.makespan+1]
	clear(busy)
	for i, f := range a.finish {
		if h.load[i] != 0 {
			busy[f-h.c.dur[i]] += h.load[i]
			busy[f] -= h.load[i]
		}
	}
	var level, sum int64
	for t := range busy {
		level += busy[t]
		busy[t] = sum
		sum += level
	}
	return busy
}

// build turns the keys into a schedule on one side.
func (h *herd) build(side int, a *animal) {
	w := h.side(side)
	a.makespan = h.d.serial(w, h.d.byKey(w, h.key), a.finish)
	h.judge(side, a)
}

// judge computes what animals are compared by, and reports a new best schedule.
func (h *herd) judge(side int, a *animal) {
	a.late, a.hash = 0, 14695981039346656037
	for i, f := range a.finish {
		a.hash = (a.hash ^ uint64(f)) * 1099511628211
		t := uint64(2*f - h.c.dur[i])
		a.late += uint64(h.load[i]) * uint64(h.c.dur[i]) * t / 64 * t / 64
	}
	if a.makespan >= h.best {
		return
	}
	h.best = a.makespan
	out := make([]int32, h.c.n)
	for i, f := range a.finish {
		out[i] = f
		if side == 1 {
			out[i] = a.makespan - f + h.c.dur[i]
		}
	}
	h.report(out, a.makespan)
}

// sample draws an order with predecessors first, preferring long tails: the chance
// of a ready task grows with the square of its lead over the shortest tail.
func (h *herd) sample(w *network) []int32 {
	d := h.d
	d.ready, d.order = d.ready[:0], d.order[:0]
	for i := range d.open {
		if d.open[i] = w.at[i+1] - w.at[i]; d.open[i] == 0 {
			d.ready = append(d.ready, int32(i))
		}
	}
	for len(d.ready) > 0 {
		least := int32(math.MaxInt32)
		for _, i := range d.ready {
			least = min(least, w.tail[i]-h.c.dur[i])
		}
		sum := int64(0)
		weight := func(i int32) int64 { v := int64(w.tail[i]-h.c.dur[i]-least) + 1; return v * v }
		for _, i := range d.ready {
			sum += weight(i)
		}
		x := int64(h.r.unit() * float64(sum))
		k := 0
		for ; k < len(d.ready)-1; k++ {
			if x -= weight(d.ready[k]); x < 0 {
				break
			}
		}
		i := d.ready[k]
		d.ready[k] = d.ready[len(d.ready)-1]
		d.ready = d.ready[:len(d.ready)-1]
		d.order = append(d.order, i)
		for _, j := range w.after(i) {
			if d.open[j]--; d.open[j] == 0 {
				d.ready = append(d.ready, j)
			}
		}
	}
	return d.order
}
