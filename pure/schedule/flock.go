package schedule

import (
	"context"
	"math"
	"slices"
)

// flock is the search for the general problem: a population of task orders with
// modes, each built by the serial scheme and then named by the starts it led to.
// Children take a stretch of time from one parent and the rest from another, or
// move a cell, a chain or a few tasks in the order of one. Under ShortestPlan half
// of them are also pushed to the right and back (double justification).
type flock struct {
	m      *model
	b      *builder
	back   *builder // the mirrored model; nil unless wanted
	j      *judge
	r      *rng
	budget int64
	ctx    context.Context
	report func(*builder, value)

	birds  []bird
	child  bird
	best   bird
	bound  float64
	sorter keySorter
	sorted []int32
	key    []int32
	hold   []int32 // starts of the plan to keep
	modes  []int32
	price  []float64 // per resource, what lossOrder went best with
	priced value
	stack  []int32
	seen   []bool
	stop   bool
}

// bird is one member: keys and genes as they are to be inherited.
type bird struct {
	key   []int32 // lower comes first; after building: the starts
	gene  []int32 // mode or anyMode
	held  bool    // nothing earlier than in the plan to keep
	value value
	hash  uint64
}

func (f *flock) newBird() bird {
	d := bird{key: make([]int32, f.m.n), gene: make([]int32, f.m.n), value: worstValue}
	for i := range d.gene {
		d.gene[i] = anyMode
	}
	return d
}

var worstValue = value{broken: math.MaxInt64}

func newFlock(ctx context.Context, m, back *model, o Objective, seed uint64, report func(*builder, value)) *flock {
	f := &flock{m: m, b: newBuilder(m), j: newJudge(m, o), r: newRNG(seed), ctx: ctx, report: report, bound: math.Inf(-1)}
	if back != nil {
		f.back = newBuilder(back)
	}
	f.sorted, f.key, f.modes, f.seen = make([]int32, m.n), make([]int32, m.n), make([]int32, m.n), make([]bool, m.n)
	f.child, f.best = f.newBird(), f.newBird()
	if k := o.Keep; k != nil {
		f.hold = make([]int32, m.n)
		for i := range f.hold {
			f.hold[i] = int32(max(0, min(k.Start[i], int(m.slots))))
		}
	}
	return f
}

// passes is the number of schedules built so far.
func (f *flock) passes() int64 {
	if f.back == nil {
		return f.b.built
	}
	return f.b.built + f.back.built
}

func (f *flock) limit(schedules func() int64) { f.budget = schedules() }
func (f *flock) left() int64                  { return f.budget - f.passes() }

// hopeless is after how many schedules that run past the horizon the search for a
// first one ends.
const hopeless = 2_000

func (f *flock) done() bool {
	f.stop = f.stop || f.ctx.Err() != nil
	v := f.best.value
	if v == worstValue {
		return f.stop || f.passes() >= hopeless
	}
	return f.stop || v.broken == 0 && v.over == 0 && v.goal <= f.bound
}

// over says that the budget is used up or nothing is left to do.
func (f *flock) over() bool { return f.passes() >= f.budget || f.done() }

// build makes a bird's schedule, values it and takes its starts as keys.
func (f *flock) build(d *bird) {
	f.sorter.sort(f.sorted, f.m.order, d.key)
	var hold []int32
	if d.held {
		hold = f.hold
	}
	d.value = worstValue
	d.hash = 0
	if f.b.serial(f.b.listed(f.sorted), d.gene, hold) {
		f.take(d)
	}
}

// take values the builder's schedule for a bird and names it by that schedule. The
// modes that the pass chose become the bird's own: the same starts in the same
// modes lead to a schedule at least as good again, which other modes might not.
func (f *flock) take(d *bird) {
	d.value = f.j.value(f.b.start, f.b.finish, f.b.mode)
	copy(d.key, f.b.start)
	copy(d.gene, f.b.mode)
	d.hash = 14695981039346656037
	for i, t := range f.b.start {
		d.hash = (d.hash ^ uint64(t)) * 1099511628211
		d.hash = (d.hash ^ uint64(f.b.mode[i]+1)) * 1099511628211
	}
	if d.value.compare(f.best.value) < 0 {
		f.best.value, f.best.held, f.best.hash = d.value, d.held, d.hash
		copy(f.best.key, d.key)
		copy(f.best.gene, d.gene)
		f.report(f.b, d.value)
	}
}

// justify pushes a bird's schedule, which the builder must still hold, to the
// right and back to the left, and keeps what is better.
func (f *flock) justify(d *bird) {
	end := slices.Max(f.b.finish)
	for i, t := range f.b.finish {
		f.key[i] = end - t
	}
	copy(f.modes, f.b.mode)
	f.back.floor = max(0, f.m.slots-end)
	f.sorter.sort(f.sorted, f.back.m.order, f.key)
	if !f.back.serial(f.back.listed(f.sorted), f.modes, nil) || f.over() {
		return
	}
	for i, t := range f.back.finish {
		f.key[i] = max(0, f.m.slots-t)
	}
	f.sorter.sort(f.sorted, f.m.order, f.key)
	if f.b.serial(f.b.listed(f.sorted), f.modes, nil) {
		if f.j.value(f.b.start, f.b.finish, f.b.mode).compare(d.value) < 0 {
			d.held = false
			copy(d.gene, f.modes)
			f.take(d)
		}
	}
}

// populationWork bounds the tasks in a population, so that large problems get
// generations rather than breadth.
const populationWork = 40_000

// epoch breeds a flock until the budget is used up. The first plan is made even if
// the context has ended. Every second epoch starts from the best bird so far.
func (f *flock) epoch(size, number int) {
	size = min(size, max(40, populationWork/f.m.n))
	f.birds = f.birds[:0]
	if number%2 == 1 {
		d := f.newBird()
		d.value, d.held, d.hash = f.best.value, f.best.held, f.best.hash
		copy(d.key, f.best.key)
		copy(d.gene, f.best.gene)
		f.birds = append(f.birds, d)
	}
	rules := f.rules()
	noise := 0
	if number > 0 {
		noise = len(rules) // the rules have been heard
	}
	for k := noise; len(f.birds) < size && (f.passes() == 0 || !f.over()); k++ {
		d := f.newBird()
		f.first(&d, k, rules)
		if f.back != nil && d.hash != 0 && !f.over() {
			f.justify(&d)
		}
		f.birds = append(f.birds, d)
	}
	for !f.over() {
		f.breed()
	}
}

// breed makes one child and lets it take the place of the worse of two members
// unless it is a twin or worse than both.
func (f *flock) breed() {
	c := &f.child
	a, b := f.pick(), f.pick()
	if f.r.below(2) == 0 {
		a = &f.best
	}
	c.held = a.held
	switch {
	case len(f.birds) > 1 && a.hash != b.hash && f.r.below(2) == 0:
		f.cross(c, a, b)
	default:
		copy(c.key, a.key)
		copy(c.gene, a.gene)
		f.move(c)
	}
	f.build(c)
	if f.back != nil && c.hash != 0 && f.r.below(2) == 0 && !f.over() {
		f.justify(c)
	}
	out, other := f.draw(len(f.birds)), f.draw(len(f.birds))
	if f.birds[other].value.compare(f.birds[out].value) > 0 {
		out = other
	}
	for k := range f.birds {
		if f.birds[k].hash == c.hash {
			return
		}
	}
	if c.value.compare(f.birds[out].value) <= 0 {
		f.birds[out], f.child = f.child, f.birds[out]
	}
}

// pick is the better of two members.
func (f *flock) pick() *bird {
	a, b := &f.birds[f.draw(len(f.birds))], &f.birds[f.draw(len(f.birds))]
	if b.value.compare(a.value) < 0 {
		return b
	}
	return a
}

func (f *flock) draw(n int) int { return int(f.r.below(int32(n))) }
