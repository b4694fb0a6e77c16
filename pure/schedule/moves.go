package schedule

import "slices"

// cross gives a child a stretch of time from a, and the order of b before and
// after it. Modes go with the tasks.
func (f *flock) cross(c, a, b *bird) {
	end := max(1, slices.Max(a.key)+1)
	length := 1 + end*(10+f.r.below(31))/100
	from := f.r.below(max(1, end-length+1))
	to := from + length
	for i, k := range a.key {
		switch other := b.key[i]; {
		case k >= from && k < to:
			c.key[i], c.gene[i] = f.m.slots+k, a.gene[i]
			continue
		case other >= to, other >= from && k >= to:
			c.key[i] = 2*f.m.slots + other
		default:
			c.key[i] = other
		}
		c.gene[i] = b.gene[i]
	}
}

// move changes the order of a bird in one of several ways.
func (f *flock) move(c *bird) {
	switch f.r.below(8) {
	case 0:
		f.shake(c)
	case 1:
		f.switchModes(c)
	case 2:
		if f.hold != nil {
			f.comeHome(c)
			return
		}
		f.shake(c)
	case 3, 4:
		f.putBack(c, f.target())
	default:
		f.pullAhead(c, f.target())
	}
}

// target is a task worth moving: one that lifts a cell, or any.
func (f *flock) target() int32 {
	if n := len(f.j.cells); n > 0 && f.j.o.Goal == LeastLoss && f.r.below(8) != 0 {
		if levels := f.j.cells[f.draw(n)].levels; len(levels) > 0 {
			return int32(levels[f.draw(len(levels))].Task)
		}
	}
	return f.r.below(int32(f.m.n))
}

// pullAhead moves a task and all that it waits for to an earlier place.
func (f *flock) pullAhead(c *bird, i int32) {
	to := c.key[i] - f.near(c.key[i]+1)
	f.spread(i, f.m.in, func(k int32) { c.key[k] = min(c.key[k], to) })
	if f.r.below(4) == 0 {
		f.choose(c, i)
	}
}

// putBack moves a task and all that waits for it to a later place.
func (f *flock) putBack(c *bird, i int32) {
	end := slices.Max(c.key)
	to := c.key[i] + f.near(end-c.key[i]+1)
	f.spread(i, f.m.out, func(k int32) { c.key[k] = max(c.key[k], to) })
}

// near draws from 0 to below n, small numbers far more often.
func (f *flock) near(n int32) int32 {
	u := f.r.below(1 << 10)
	return int32(int64(n) * int64(u*u) >> 20 * int64(u) >> 10)
}

// spread visits a task and everything that can be reached from it.
func (f *flock) spread(i int32, ties [][]tie, visit func(int32)) {
	clear(f.seen)
	f.stack = append(f.stack[:0], i)
	f.seen[i] = true
	for len(f.stack) > 0 {
		k := f.stack[len(f.stack)-1]
		f.stack = f.stack[:len(f.stack)-1]
		visit(k)
		for _, l := range ties[k] {
			if !f.seen[l.other] {
				f.seen[l.other] = true
				f.stack = append(f.stack, l.other)
			}
		}
	}
}

// shake gives a few tasks the place of another one.
func (f *flock) shake(c *bird) {
	n := int32(f.m.n)
	for range 1 + f.r.below(max(1, min(n/10, 20))) {
		i := f.r.below(n)
		c.key[i] = c.key[f.r.below(n)]
		f.choose(c, i)
	}
}

// switchModes draws new modes for a few tasks that have several.
func (f *flock) switchModes(c *bird) {
	n := int32(f.m.n)
	for left, tries := 1+f.r.below(4), 0; left > 0 && tries < 200; tries++ {
		if i := f.r.below(n); len(f.m.work[i]) > 1 {
			f.choose(c, i)
			left--
		}
	}
}

// choose draws a mode for a task, or leaves it to the pass.
func (f *flock) choose(c *bird, i int32) {
	if k := len(f.m.work[i]); k > 1 {
		c.gene[i] = f.r.below(int32(k)+1) - 1
	}
}

// comeHome brings part of the tasks back to where the plan to keep has them.
func (f *flock) comeHome(c *bird) {
	share := 1 + f.r.below(8)
	for i := range c.key {
		if f.r.below(8) < share && f.j.o.Keep.Start[i] >= 0 {
			c.key[i] = f.hold[i]
			c.gene[i] = f.j.keptMode(i)
		}
	}
}
