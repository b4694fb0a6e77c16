package schedule

// decoder builds classic schedules. It owns its memory, allocates nothing while it
// works, and serves one goroutine.
type decoder struct {
	c      *classic
	free   []uint64 // what is left per slot, with guards
	dirty  int32    // free[dirty:] is untouched
	ready  []int32  // tasks whose predecessors are done
	open   []int32  // predecessors still missing
	sorter keySorter
	sorted []int32
	order  []int32
	placed []bool
	built  int64 // schedules so far
}

func newDecoder(c *classic) *decoder {
	return &decoder{
		c: c, free: make([]uint64, c.total+1), dirty: c.total + 1,
		ready: make([]int32, 0, c.n), open: make([]int32, c.n),
		sorted: make([]int32, c.n), order: make([]int32, 0, c.n), placed: make([]bool, c.n),
	}
}

// serial places each task, in the given order, at the earliest slot that its
// predecessors and the resources allow, and returns the makespan (the serial
// schedule generation scheme). The order must name predecessors first; finish
// holds the result.
func (d *decoder) serial(w *network, order, finish []int32) int32 {
	d.built++
	free := d.free
	for t := range free[:d.dirty] {
		free[t] = d.c.capacity
	}
	dur, needs := d.c.dur, d.c.need
	var makespan int32
	for _, i := range order {
		var t int32
		for _, j := range w.pred[w.at[i]:w.at[i+1]] {
			t = max(t, finish[j])
		}
		length := dur[i]
		if need := needs[i]; need != 0 {
			// Looking from the end backwards, a slot that is too full moves the start
			// behind it, and what has been looked at need not be looked at again.
			known := t
			for u := t + length - 1; u >= known; u-- {
				if (free[u]-need)&guards != guards {
					known = t + length
					t = u + 1
					u = t + length
				}
			}
			window := free[t : t+length]
			for k := range window {
				window[k] -= need
			}
		}
		t += length
		finish[i] = t
		makespan = max(makespan, t)
	}
	d.dirty = makespan
	return makespan
}

// parallel goes through time and starts, at every finish, whatever fits, lowest
// key first among those whose predecessors are done (the parallel schedule
// generation scheme).
func (d *decoder) parallel(w *network, key, finish []int32) int32 {
	d.built++
	d.ready = d.ready[:0]
	for i := range d.open {
		d.open[i] = w.at[i+1] - w.at[i]
		finish[i] = -1
		if d.open[i] == 0 {
			d.ready = append(d.ready, int32(i))
		}
	}
	running := d.sorted[:0]
	free, now, makespan := d.c.capacity, int32(0), int32(0)
	for len(d.ready) > 0 || len(running) > 0 {
		d.pass(w, finish, now)
		sortByKey(d.ready, key)
		waiting := d.ready[:0]
		for _, i := range d.ready {
			if (free-d.c.need[i])&guards != guards {
				waiting = append(waiting, i)
				continue
			}
			free -= d.c.need[i]
			finish[i] = now + d.c.dur[i]
			makespan = max(makespan, finish[i])
			running = append(running, i)
		}
		d.ready = waiting
		if len(running) == 0 {
			break // all that was left took no time
		}
		now = makespan
		for _, i := range running {
			now = min(now, finish[i])
		}
		running = d.release(w, running, finish, now, &free)
	}
	return makespan
}

// pass ends what takes no time as soon as it is ready, and lets the successors queue.
func (d *decoder) pass(w *network, finish []int32, now int32) {
	for k := 0; k < len(d.ready); k++ {
		i := d.ready[k]
		if d.c.dur[i] > 0 {
			continue
		}
		finish[i] = now
		d.ready[k] = d.ready[len(d.ready)-1]
		d.ready = d.ready[:len(d.ready)-1]
		d.queueAfter(w, i)
		k--
	}
}

// release ends the running tasks that finish now and lets their successors queue.
func (d *decoder) release(w *network, running, finish []int32, now int32, free *uint64) []int32 {
	still := running[:0]
	for _, i := range running {
		if finish[i] > now {
			still = append(still, i)
			continue
		}
		*free += d.c.need[i]
		d.queueAfter(w, i)
	}
	return still
}

// queueAfter lets the successors of a finished task queue that wait for nobody else.
func (d *decoder) queueAfter(w *network, i int32) {
	for _, j := range w.after(i) {
		if d.open[j]--; d.open[j] == 0 {
			d.ready = append(d.ready, j)
		}
	}
}

// sortByKey sorts a short list by key, lower number first among equals.
func sortByKey(list, key []int32) {
	for k := 1; k < len(list); k++ {
		for m := k; m > 0; m-- {
			a, b := list[m-1], list[m]
			if key[a] < key[b] || key[a] == key[b] && a < b {
				break
			}
			list[m-1], list[m] = b, a
		}
	}
}

// byKey lists the tasks by ascending key so that predecessors come first. The
// result is valid until the next call.
func (d *decoder) byKey(w *network, key []int32) []int32 {
	d.sorter.sort(d.sorted, w.order, key)
	clear(d.placed)
	d.order = d.order[:0]
	for _, i := range d.sorted {
		if !d.placed[i] {
			d.settle(w, i)
		}
	}
	return d.order
}

// settle lists a task, whoever must come before it first.
func (d *decoder) settle(w *network, i int32) {
	for _, j := range w.before(i) {
		if !d.placed[j] {
			d.settle(w, j)
		}
	}
	d.placed[i] = true
	d.order = append(d.order, i)
}
