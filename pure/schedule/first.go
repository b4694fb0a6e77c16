package schedule

import "slices"

// rule sets a bird's keys and says whether it has built the schedule already.
type rule func(*bird) (built bool)

// rules are the ways to a first plan that make sense for this problem, the most
// promising first.
func (f *flock) rules() []rule {
	var r []rule
	if f.hold != nil {
		r = append(r, f.patched,
			func(d *bird) bool { f.asKept(d, true); return false },
			func(d *bird) bool { f.asKept(d, false); return false })
	}
	if len(f.j.cells) > 0 && f.j.o.Goal == LeastLoss {
		price := f.prices()
		byLoad, byBottleneck := f.lossOrder(f.efforts(price)), f.lossOrder(f.efforts(nil))
		if byLoad != nil {
			r = append(r, func(d *bird) bool {
				copy(d.key, byLoad)
				f.build(d)
				f.price, f.priced = price, d.value
				return true
			},
				func(d *bird) bool { copy(d.key, byBottleneck); return false },
				func(d *bird) bool { return f.dispatched(d, byLoad) })
		}
	}
	if len(f.j.due) > 0 {
		key := f.dueOrder()
		r = append(r, func(d *bird) bool { copy(d.key, key); return false })
	}
	tail := make([]int32, f.m.n)
	longest := slices.Max(f.m.network.tail)
	for i, t := range f.m.network.tail {
		tail[i] = longest - t
	}
	return append(r,
		func(d *bird) bool { copy(d.key, tail); return false },
		func(d *bird) bool { return f.dispatched(d, tail) },
		func(d *bird) bool { return f.dispatched(d, nil) })
}

// first makes the k-th member of a new flock: what the rules say, one after the
// other, then rules with noise.
func (f *flock) first(d *bird, k int, rules []rule) {
	if k < len(rules) {
		if !rules[k](d) {
			f.build(d)
		}
		return
	}
	if f.price != nil && f.r.below(8) != 0 {
		f.byPrices(d)
		return
	}
	if built := rules[f.draw(len(rules))](d); built && f.over() {
		return
	}
	noise := slices.Max(d.key)/4 + 1
	for i := range d.key {
		d.key[i] += f.r.below(noise)
		if f.r.below(4) == 0 {
			f.choose(d, int32(i))
		}
	}
	f.build(d)
}

// asKept orders tasks as the plan to keep does; held, none comes earlier than there.
func (f *flock) asKept(d *bird, held bool) {
	d.held = held
	copy(d.key, f.hold)
	for i := range d.gene {
		d.gene[i] = f.j.keptMode(i)
	}
}

// patched leaves every task where the plan to keep has it if that is still
// possible, and then puts the others where there is room.
func (f *flock) patched(d *bird) bool {
	f.asKept(d, true)
	f.sorter.sort(f.sorted, f.m.order, d.key)
	d.value, d.hash = worstValue, 0
	if f.b.patch(f.b.listed(f.sorted), d.gene, f.hold) {
		f.take(d)
	}
	return true
}

// dispatched builds a bird by the parallel scheme.
func (f *flock) dispatched(d *bird, key []int32) bool {
	var rank []int64
	if key != nil {
		rank = make([]int64, len(key))
		for i, k := range key {
			rank[i] = int64(k)
		}
	}
	d.value, d.hash = worstValue, 0
	if f.b.dispatch(rank, d.gene, nil) {
		f.take(d)
	}
	return true
}

// dueOrder ranks tasks by the latest start that the deadlines of what follows leave.
func (f *flock) dueOrder() []int32 {
	key := make([]int32, f.m.n)
	for _, i := range slices.Backward(f.m.order) {
		latest := f.m.slots
		if d := f.m.p.Tasks[i].Deadline; d > 0 {
			latest = min(latest, int32(d))
		}
		for _, l := range f.m.out[i] {
			latest = min(latest, key[l.other]-l.min)
		}
		key[i] = max(0, latest-f.m.shortest(int(i)))
	}
	return key
}

// maxLossOrder bounds the work of lossOrder: levels times what they wait for.
const maxLossOrder = 20_000_000

// lossOrder ranks tasks cell by cell: again and again that level comes next which
// wins most weight for the effort still missing, with all it waits for. It returns
// nil when the problem is too large for that.
func (f *flock) lossOrder(effort []float64) []int32 {
	type goal struct {
		gain, effort float64
		tasks        []int32
	}
	var goals []goal
	neededBy := make([][]int32, f.m.n)
	size := 0
	for k := range f.j.cells {
		c := &f.j.cells[k]
		level := c.initial
		for _, l := range c.levels {
			g := goal{gain: float64(c.weight * max(1e-9, l.Reached-level))}
			level = max(level, l.Reached)
			f.spread(int32(l.Task), f.m.in, func(i int32) {
				g.tasks = append(g.tasks, i)
				g.effort += effort[i]
				neededBy[i] = append(neededBy[i], int32(len(goals)))
			})
			if size += len(g.tasks); size > maxLossOrder {
				return nil
			}
			goals = append(goals, g)
		}
	}
	key := make([]int32, f.m.n)
	for i := range key {
		key[i] = int32(len(goals))
	}
	done := make([]bool, f.m.n)
	for rank := range goals {
		next := -1
		for k := range goals {
			if g := &goals[k]; g.tasks != nil && (next < 0 || g.gain*goals[next].effort > goals[next].gain*g.effort) {
				next = k
			}
		}
		for _, i := range goals[next].tasks {
			if done[i] {
				continue
			}
			done[i] = true
			key[i] = int32(rank)
			for _, k := range neededBy[i] {
				goals[k].effort = max(0, goals[k].effort-effort[i])
			}
		}
		goals[next].tasks = nil
	}
	return key
}

// means are the capacities of the resources, averaged over time.
func (f *flock) means() []float64 {
	mean := make([]float64, f.m.rows)
	for k := range mean {
		sum := int64(0)
		for _, v := range f.m.row(f.m.capacity, int32(k)) {
			sum += int64(max(0, v))
		}
		mean[k] = max(1e-9, float64(sum)/float64(f.m.slots))
	}
	return mean
}

// byPrices orders by loss under new prices, drawn near the best ones so far, and
// keeps those if they are better.
func (f *flock) byPrices(d *bird) {
	price := slices.Clone(f.price)
	factor := []float64{0.125, 0.25, 0.5, 2, 4, 8}
	for range 1 + f.draw(max(2, len(price)/4)) {
		price[f.draw(len(price))] *= factor[f.draw(len(factor))]
	}
	copy(d.key, f.lossOrder(f.efforts(price)))
	f.build(d)
	if d.value.compare(f.priced) < 0 {
		f.price, f.priced = price, d.value
	}
}

// prices say how scarce each resource is: its share of the work of the busiest one.
func (f *flock) prices() []float64 {
	price, most := make([]float64, f.m.rows), 1e-9
	mean := f.means()
	for i := range f.m.work {
		w := &f.m.work[i][0]
		for _, c := range w.claims {
			price[c.row] += float64(int64(w.length)*int64(c.amount)) / mean[c.row]
			most = max(most, price[c.row])
		}
	}
	for k := range price {
		price[k] /= most
	}
	return price
}

// efforts says for each task how many slots of its scarcest resource it takes, or,
// given prices, of all its resources at their prices.
func (f *flock) efforts(price []float64) []float64 {
	mean := f.means()
	effort := make([]float64, f.m.n)
	for i := range effort {
		if f.m.p.Tasks[i].Fixed {
			continue
		}
		w := &f.m.work[i][0]
		effort[i] = 1e-3 * float64(w.length)
		for _, c := range w.claims {
			slots := float64(int64(w.length)*int64(c.amount)) / mean[c.row]
			if price == nil {
				effort[i] = max(effort[i], slots)
			} else {
				effort[i] += float64(slots * price[c.row])
			}
		}
	}
	return effort
}
