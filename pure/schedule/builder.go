package schedule

// builder makes schedules of a model. It owns its memory and serves one goroutine.
// After a successful pass start, finish and mode hold the schedule.
type builder struct {
	m      *model
	work   [][]work // m's, or in the forecast a copy with drawn durations
	start  []int32
	finish []int32
	mode   []int32
	free   []int32 // profile
	dirty  int32   // slots from here on are untouched
	full   []int32 // per row: no slot before has anything left
	full0  []int32
	delay  []int32 // extra release, to keep maximal lags
	floor  int32   // nothing starts earlier
	stuck  int32   // the task that found no room in the last pass
	built  int64   // passes so far
	order  []int32
	placed []bool
	queue  dispatchQueue
}

// anyMode as a gene lets the pass take the mode that ends first.
const anyMode = -1

func newBuilder(m *model) *builder {
	b := &builder{
		m: m, work: m.work, start: make([]int32, m.n), finish: make([]int32, m.n), mode: make([]int32, m.n),
		free: make([]int32, len(m.capacity)), dirty: m.slots, full: make([]int32, m.rows), full0: make([]int32, m.rows),
		delay: make([]int32, m.n), order: make([]int32, 0, m.n), placed: make([]bool, m.n),
	}
	for k := range b.full0 {
		row := m.row(m.capacity, int32(k))
		b.full0[k] = skipFull(row, 0)
	}
	return b
}

func skipFull(row []int32, t int32) int32 {
	for int(t) < len(row) && row[t] <= 0 {
		t++
	}
	return t
}

// clear makes the profile ready for a pass, with the pinned tasks in place.
func (b *builder) clear() {
	b.built++
	for k := range b.full {
		copy(b.m.row(b.free, int32(k))[:b.dirty], b.m.row(b.m.capacity, int32(k)))
	}
	copy(b.full, b.full0)
	b.dirty = 0
	for _, i := range b.m.pinned {
		b.start[i], b.finish[i] = b.m.start[i], b.m.finish[i]
		b.mode[i] = int32(b.m.p.Tasks[i].FixedMode)
	}
}

// lagRepairs is how often a pass is repeated to keep maximal lags.
const lagRepairs = 12

// serial places the tasks in the given order, predecessors first, each at its
// earliest slot. hold, if not nil, holds tasks back to these slots. When a maximal
// lag is exceeded the earlier task is put off by the excess and the pass repeated.
// It says false when a task finds no room before the horizon.
func (b *builder) serial(order, gene, hold []int32) bool {
	if b.m.bounded {
		clear(b.delay)
	}
	for try := 0; ; try++ {
		b.clear()
		for _, i := range order {
			if b.m.p.Tasks[i].Fixed {
				continue
			}
			t := max(b.m.release[i], b.floor)
			if hold != nil {
				t = max(t, hold[i])
			}
			if b.m.bounded {
				t = max(t, b.delay[i])
			}
			if !b.place(i, t, gene[i]) {
				b.stuck = i
				return false
			}
		}
		if !b.m.bounded || try == lagRepairs || !b.putOff() {
			return true
		}
	}
}

// patchRounds is how often patch looks again for tasks that cannot stand.
const patchRounds = 40

// patch places the tasks in the given order, predecessors first: those that can
// stand exactly at hold keep their places, also before the others get theirs; the
// others come at their earliest slot from hold on, in what room is left. A task
// stands as long as that leaves what it waits for ended in time: whoever waits for
// one that moves need not move. It says false when a task finds no room.
func (b *builder) patch(order, gene, hold []int32) bool {
	moved := b.placed
	clear(moved)
	for range patchRounds {
		b.clear()
		for _, i := range order {
			if !b.m.p.Tasks[i].Fixed && !moved[i] {
				moved[i] = !b.stand(i, gene[i], hold[i])
			}
		}
		for _, i := range order {
			if moved[i] && !b.m.p.Tasks[i].Fixed && !b.place(i, max(b.m.release[i], hold[i]), gene[i]) {
				b.stuck = i
				return false
			}
		}
		again := false
		for _, i := range order {
			if !moved[i] && !b.m.p.Tasks[i].Fixed && b.after(i, hold[i], &b.work[i][b.mode[i]]) > hold[i] {
				moved[i], again = true, true
			}
		}
		if !again {
			return true
		}
	}
	b.stuck = 0
	return false
}

// stand puts a task exactly at a slot, if it has a mode of its own, may start there
// and finds room. What it waits for is looked at later.
func (b *builder) stand(i, mode, at int32) bool {
	if mode == anyMode || at < b.m.release[i] {
		return false
	}
	start, finish := b.work[i][mode].earliest(b.m, b.free, at)
	if start != at {
		return false
	}
	b.put(i, mode, start, finish)
	return true
}

// place puts a task at its earliest slot from t on.
func (b *builder) place(i, t, gene int32) bool {
	var start, finish int32 = -1, -1
	mode := max(0, gene)
	if gene != anyMode {
		start, finish = b.try(i, t, &b.work[i][mode])
	} else {
		for k := range b.work[i] {
			s, f := b.try(i, t, &b.work[i][k])
			if s >= 0 && (start < 0 || f < finish) {
				start, finish, mode = s, f, int32(k)
			}
		}
	}
	if start < 0 {
		return false
	}
	b.put(i, mode, start, finish)
	return true
}

func (b *builder) put(i, mode, start, finish int32) {
	b.start[i], b.finish[i], b.mode[i] = start, finish, mode
	w := &b.work[i][mode]
	w.take(b.m, b.free, start, finish)
	b.dirty = max(b.dirty, finish)
	for k := range w.claims {
		row := w.claims[k].row
		if b.full[row] >= start {
			b.full[row] = skipFull(b.m.row(b.free, row), b.full[row])
		}
	}
}

// try finds the first place from t on for one mode of a task.
func (b *builder) try(i, t int32, w *work) (start, finish int32) {
	t = b.after(i, t, w)
	if w.length > 0 {
		for k := range w.claims {
			t = max(t, b.full[w.claims[k].row])
		}
	}
	return w.earliest(b.m, b.free, t)
}

// after is the first slot from t on that the links to a task allow.
func (b *builder) after(i, t int32, w *work) int32 {
	for _, l := range b.m.in[i] {
		from := l.from(b.start, b.finish) + l.min
		if l.kind == FinishFinish || l.kind == StartFinish {
			from = w.startFor(from)
		}
		t = max(t, from)
	}
	return t
}

// putOff delays tasks whose successors came too late for a maximal lag; it says
// false when there is nothing to do.
func (b *builder) putOff() bool {
	again := false
	for i := range b.m.in {
		for _, l := range b.m.in[i] {
			if late := l.excess(b.start, b.finish, i); late > 0 && !b.m.p.Tasks[l.other].Fixed {
				b.delay[l.other] = max(b.delay[l.other], b.start[l.other]+late)
				again = true
			}
		}
	}
	return again
}

// listed brings tasks sorted by key into an order with predecessors first. The
// result is valid until the next call.
func (b *builder) listed(sorted []int32) []int32 {
	clear(b.placed)
	b.order = b.order[:0]
	for _, i := range sorted {
		if !b.placed[i] {
			b.settle(i)
		}
	}
	return b.order
}

func (b *builder) settle(i int32) {
	for _, j := range b.m.network.before(i) {
		if !b.placed[j] {
			b.settle(j)
		}
	}
	b.placed[i] = true
	b.order = append(b.order, i)
}
