package schedule

import (
	"context"
	"fmt"
	"slices"
)

// Progress is news about a task at the time of a new plan.
type Progress struct {
	Task int
	// Undone says that the task is to be planned anew although it had begun or
	// ended: its result does not count any more. The other fields are not read.
	Undone bool
	// Started is when it really started, in Mode.
	Started int
	Mode    int
	// Until is when it ended or, if that is after now, is expected to end; zero:
	// as long as its mode takes.
	Until int
}

// Continue is the problem as it stands at slot now: what has begun is pinned,
// nothing else may start in the past. Tasks that the plan in force has begun by
// now and of which there is no news are taken to have gone as planned.
func Continue(p *Problem, inForce *Plan, now int, news []Progress) (*Problem, error) {
	if len(inForce.Start) != len(p.Tasks) || len(inForce.Mode) != len(p.Tasks) || len(inForce.Finish) != len(p.Tasks) {
		return nil, fmt.Errorf("%w: the plan in force has %d tasks, the problem %d", ErrProblem, len(inForce.Start), len(p.Tasks))
	}
	q := *p
	q.Tasks = slices.Clone(p.Tasks)
	for i := range q.Tasks {
		t := &q.Tasks[i]
		if !t.Fixed && inForce.Start[i] >= 0 && inForce.Start[i] < now {
			t.Fixed, t.FixedAt, t.FixedMode = true, inForce.Start[i], inForce.Mode[i]
			if inForce.Finish[i] <= now {
				t.FixedUntil = inForce.Finish[i]
			}
		}
	}
	for _, n := range news {
		if n.Task < 0 || n.Task >= len(q.Tasks) {
			return nil, fmt.Errorf("%w: news of task %d, which is not in it", ErrProblem, n.Task)
		}
		t := &q.Tasks[n.Task]
		t.Fixed, t.FixedAt, t.FixedUntil, t.FixedMode = !n.Undone, n.Started, n.Until, n.Mode
		if n.Undone {
			t.FixedAt, t.FixedUntil, t.FixedMode = 0, 0, 0
		}
	}
	for i := range q.Tasks {
		if !q.Tasks[i].Fixed {
			q.Tasks[i].Release = max(q.Tasks[i].Release, now)
		}
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	return &q, nil
}

// Move is a task whose place differs between two plans. A negative slot: it was
// not in that plan.
type Move struct {
	Task             int
	From, To         int // starts
	FromMode, ToMode int
}

// Difference compares a new plan with the one it replaces. Pinned tasks are facts
// and are not compared.
type Difference struct {
	Compared int
	Moved    []Move // in the order of their new starts
	// Stability is the share of compared tasks that stay where they are, from 0 to 1.
	Stability float64
	// Shift is the mean distance, in slots, by which compared tasks move.
	Shift float64
}

// Compare says what a new plan changes. before and after are plans of the same
// tasks; p is the problem of the new one.
func Compare(p *Problem, before, after *Plan) (*Difference, error) {
	n := len(p.Tasks)
	if len(before.Start) != n || len(before.Mode) != n || len(after.Start) != n || len(after.Mode) != n {
		return nil, fmt.Errorf("%w: plans of %d and %d tasks, the problem has %d", ErrProblem, len(before.Start), len(after.Start), n)
	}
	d := &Difference{Stability: 1}
	shift := 0
	for i := range p.Tasks {
		if p.Tasks[i].Fixed {
			continue
		}
		d.Compared++
		if before.Start[i] == after.Start[i] && before.Mode[i] == after.Mode[i] {
			continue
		}
		d.Moved = append(d.Moved, Move{i, before.Start[i], after.Start[i], before.Mode[i], after.Mode[i]})
		if before.Start[i] >= 0 {
			shift += max(after.Start[i]-before.Start[i], before.Start[i]-after.Start[i])
		}
	}
	if d.Compared > 0 {
		d.Stability = float64(d.Compared-len(d.Moved)) / float64(d.Compared)
		d.Shift = float64(shift) / float64(d.Compared)
	}
	slices.SortStableFunc(d.Moved, func(a, b Move) int { return a.To - b.To })
	return d, nil
}

// Unavoidable counts the tasks that no plan can leave where before has them: what
// is pinned, what they wait for and the calendars alone do not allow it, even if
// each had its team to itself. p is a problem that is valid.
func Unavoidable(p *Problem, before *Plan) int {
	m := newModel(p)
	b := newBuilder(m)
	b.clear()
	n := 0
	for _, i := range m.order {
		if p.Tasks[i].Fixed {
			continue
		}
		hold, mode := int32(max(0, before.Start[i])), int32(0)
		if k := before.Mode[i]; before.Start[i] >= 0 && k >= 0 && k < len(m.work[i]) {
			mode = int32(k)
		}
		start, finish := b.try(i, max(m.release[i], hold), &b.work[i][mode])
		if start < 0 {
			start, finish = m.slots, m.slots
		}
		b.start[i], b.finish[i], b.mode[i] = start, finish, mode
		if before.Start[i] >= 0 && start > hold {
			n++
		}
	}
	return n
}

// Replan makes a new plan after news, staying near the plan in force as
// o.Objective.Stability says (Keep is set here). It returns the problem that the
// new plan is a plan of.
func Replan(ctx context.Context, p *Problem, inForce *Plan, now int, news []Progress, o Options) (*Problem, *Result, *Difference, error) {
	q, err := Continue(p, inForce, now, news)
	if err != nil {
		return nil, nil, nil, err
	}
	o.Objective.Keep = inForce
	r, err := Solve(ctx, q, o)
	if err != nil {
		return nil, nil, nil, err
	}
	d, err := Compare(q, inForce, &r.Plan)
	if err != nil {
		return nil, nil, nil, err
	}
	return q, r, d, nil
}
