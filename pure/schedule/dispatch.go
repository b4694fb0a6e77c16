package schedule

import "math"

// The parallel scheme for the general model: time goes forward, and whoever can
// start now does, best key first. It knows nothing of what happens later, which
// makes it the rule for "as reported" and for the forecast.

// event is something to look at in a slot: a task that may be able to start, the
// line of a resource that has something left again, or a test that ends.
type event struct {
	at   int32
	kind eventKind
	i    int32 // task, row or loop
	key  int64
}

type eventKind uint8

const (
	askTask eventKind = iota
	askLine
	endTest
)

// dispatchQueue holds the tasks whose predecessors are placed: those to be asked
// at a known slot, and those that stand in line for a resource with nothing left.
// Only the head of a line is asked when the resource has something again, the next
// one if that leaves something over.
type dispatchQueue struct {
	soon  eventHeap
	line  []eventHeap // per row, by key
	armed []event     // per row: the askLine event that counts, or none (kind askTask)
	open  []int32     // per task: predecessors still to be placed
	todo  []bool      // per task: still to be placed (again)
	now   int32
	key   []int64 // nil: first come, first served
	luck  *luck
}

func (q *dispatchQueue) reset(m *model, key []int64, luck *luck) {
	if q.open == nil {
		q.line, q.armed = make([]eventHeap, m.rows), make([]event, m.rows)
		q.open, q.todo = make([]int32, m.n), make([]bool, m.n)
	}
	q.soon, q.now, q.key, q.luck = q.soon[:0], 0, key, luck
	for k := range q.line {
		q.line[k], q.armed[k] = q.line[k][:0], event{}
	}
	for i := range q.open {
		q.open[i] = int32(len(m.in[i]))
		q.todo[i] = !m.p.Tasks[i].Fixed
	}
}

// dispatch runs the parallel scheme. key ranks tasks, lowest first; a nil key is
// "first come, first served": who has waited longest, then who stands first in the
// project. luck, if not nil, decides the loops. It says false when a task finds no
// room before the horizon.
func (b *builder) dispatch(key []int64, gene []int32, luck *luck) bool {
	b.clear()
	clear(b.delay)
	q := &b.queue
	q.reset(b.m, key, luck)
	for _, i := range b.m.order {
		if q.open[i] == 0 && q.todo[i] {
			b.enqueue(i)
		}
	}
	for _, i := range b.m.pinned {
		b.ended(i)
	}
	for len(q.soon) > 0 {
		e := q.soon.pop()
		q.now = max(q.now, e.at)
		if e.at = q.now; e.at >= b.m.slots {
			break
		}
		switch e.kind {
		case askTask:
			b.ask(e, gene)
		case askLine:
			b.askHead(e, gene)
		case endTest:
			b.tested(e.i, e.at)
		}
	}
	for i := range q.todo {
		if q.todo[i] {
			b.stuck = int32(i)
			return false
		}
	}
	return true
}

// ask starts a task now if it can, and otherwise notes when to ask it again.
func (b *builder) ask(e event, gene []int32) {
	q := &b.queue
	if !q.todo[e.i] || q.open[e.i] > 0 {
		return // a failed test has sent it back; it comes again
	}
	later, row := b.startNow(e.i, e.at, gene[e.i])
	switch {
	case later == e.at:
		q.todo[e.i] = false
		b.ended(e.i)
	case row >= 0:
		q.line[row].push(event{0, askTask, e.i, e.key})
		b.arm(row, e.at)
	default:
		q.soon.push(event{later, askTask, e.i, e.key})
	}
}

// arm sees to it that the head of a line is asked, in its turn, as soon as the
// resource has something left. An event armed for an earlier head counts no more.
func (b *builder) arm(row, now int32) {
	q := &b.queue
	if len(q.line[row]) == 0 {
		return
	}
	e := event{skipFull(b.m.row(b.free, row), now), askLine, row, q.line[row][0].key}
	if e != q.armed[row] {
		q.armed[row] = e
		q.soon.push(e)
	}
}

func (b *builder) askHead(e event, gene []int32) {
	q := &b.queue
	if e != q.armed[e.i] {
		return
	}
	q.armed[e.i] = event{}
	if b.m.row(b.free, e.i)[e.at] > 0 {
		head := q.line[e.i].pop()
		head.at = e.at
		b.ask(head, gene)
	}
	b.arm(e.i, e.at)
}

// startNow starts a task in a slot, in the mode that ends first among those that
// fit, and returns that slot; or it says when to ask again, and which row is short
// in this very slot (or -1).
func (b *builder) startNow(i, now, gene int32) (later, row int32) {
	later, row = b.m.slots, -1
	var mode, finish int32 = -1, 0
	for k := range b.work[i] {
		w := &b.work[i][k]
		if gene != anyMode && int(gene) != k {
			continue
		}
		at, lacking := b.after(i, now, w), int32(-1)
		if at == now {
			if at, lacking = w.fits(b.m, b.free, now); at == now {
				if end := w.end(now); mode < 0 || end < finish {
					mode, finish = int32(k), end
				}
				continue
			}
		}
		if at < later {
			later, row = at, lacking
		}
	}
	if mode < 0 {
		return later, row
	}
	b.put(i, mode, now, finish)
	return now, -1
}

// enqueue lets a task be asked from the first slot that its links allow.
func (b *builder) enqueue(i int32) {
	at := b.m.slots
	for k := range b.work[i] {
		at = min(at, b.after(i, max(b.m.release[i], b.floor, b.delay[i], b.queue.now), &b.work[i][k]))
	}
	key := int64(at)<<32 | int64(i)
	switch {
	case b.timeless(i):
		key = math.MinInt64 // nobody loses by letting it pass
	case b.queue.key != nil:
		key = b.queue.key[i]
	}
	b.queue.soon.push(event{at, askTask, i, key})
}

// timeless says that a task takes no time in any mode.
func (b *builder) timeless(i int32) bool {
	for k := range b.work[i] {
		if b.work[i][k].length > 0 {
			return false
		}
	}
	return true
}

// ended releases the successors of a task that has been placed; those of a test
// wait for its outcome.
func (b *builder) ended(i int32) {
	q := &b.queue
	if q.luck != nil && q.luck.testOf[i] >= 0 && !b.m.p.Tasks[i].Fixed {
		q.soon.push(event{b.finish[i], endTest, q.luck.testOf[i], math.MinInt64})
		return
	}
	b.succeed(i)
}

func (b *builder) succeed(i int32) {
	q := &b.queue
	for _, l := range b.m.out[i] {
		if !q.todo[l.other] {
			continue
		}
		if q.open[l.other]--; q.open[l.other] == 0 {
			b.enqueue(l.other)
		}
	}
}

// tested decides a test that has just ended: it passes, or the body of its loop is
// to be done again from now on, with new durations. Tasks outside the body that
// have not begun wait for the outcome, those that have begun go on.
func (b *builder) tested(loop, now int32) {
	q := &b.queue
	l := &b.m.p.Loops[loop]
	test := int32(l.Test)
	if !q.luck.fails(loop) {
		b.succeed(test)
		return
	}
	again := q.luck.again[:0]
	for _, i := range q.luck.body[loop] {
		if q.todo[i] {
			continue
		}
		if i != test { // whom it had released waits again; the test released nobody
			for _, s := range b.m.out[i] {
				if q.todo[s.other] {
					q.open[s.other]++
				}
			}
		}
		again = append(again, i)
	}
	for _, i := range again {
		q.todo[i], q.open[i] = true, 0
		b.delay[i] = max(now, b.finish[i])
		q.luck.draw(b, i)
	}
	for _, i := range again {
		for _, l := range b.m.in[i] {
			if q.todo[l.other] {
				q.open[i]++
			}
		}
		if q.open[i] == 0 {
			b.enqueue(i)
		}
	}
	q.luck.again = again
}
