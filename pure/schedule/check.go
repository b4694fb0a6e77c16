package schedule

import (
	"errors"
	"fmt"
)

// ErrPlan is wrapped by every error that says a plan is not a plan of its problem.
var ErrPlan = errors.New("plan refused")

// Breach is a wish of the problem that a plan does not keep.
type Breach struct {
	Task int    // the task that is late, or the later end of the link
	What string // in words
	By   int    // slots too late
}

func (b Breach) String() string { return b.What }

// Check judges a plan from its starts and modes alone, by the text of the problem:
// it works every task slot by slot, adds up what is used and compares. It shares
// no code with the solvers and trusts no figure of theirs.
//
// What must never be broken (a task outside the horizon, a start before its
// release, a minimal lag, a capacity, a pinned task moved) is the error. What may
// be impossible to keep (deadlines, maximal lags) is listed.
func Check(p *Problem, start, mode []int) ([]Breach, error) {
	if len(start) != len(p.Tasks) || len(mode) != len(p.Tasks) {
		return nil, fmt.Errorf("%w: %d starts and %d modes for %d tasks", ErrPlan, len(start), len(mode), len(p.Tasks))
	}
	type claim struct{ resource, slot int }
	used := map[claim]int{}     // by all
	unpinned := map[claim]int{} // a task that is not pinned and uses it
	finish := make([]int, len(start))
	for i := range p.Tasks {
		worked, end, err := checkTask(p, i, start[i], mode[i])
		if err != nil {
			return nil, err
		}
		finish[i] = end
		for _, t := range worked {
			for _, need := range p.Tasks[i].Modes[mode[i]].Needs {
				c := claim{need.Resource, t}
				used[c] += need.Amount
				if !p.Tasks[i].Fixed && need.Amount > 0 {
					unpinned[c] = i + 1
				}
			}
		}
	}
	first := claim{0, -1}
	for c, amount := range used {
		if unpinned[c] > 0 && amount > p.Resources[c.resource].Capacity.At(c.slot) &&
			(first.slot < 0 || c.slot < first.slot || c.slot == first.slot && c.resource < first.resource) {
			first = c
		}
	}
	if r := first.resource; first.slot >= 0 {
		return nil, fmt.Errorf("%w: slot %d: %d of resource %d %q used, %d there (task %d takes part)", ErrPlan,
			first.slot, used[first], r, p.Resources[r].ID, p.Resources[r].Capacity.At(first.slot), unpinned[first]-1)
	}
	return checkTimes(p, start, finish)
}

// checkTask lists the slots in which a task works, and when it ends.
func checkTask(p *Problem, i, start, mode int) (worked []int, end int, err error) {
	t := &p.Tasks[i]
	if mode < 0 || mode >= len(t.Modes) {
		return nil, 0, fmt.Errorf("%w: task %d has no mode %d", ErrPlan, i, mode)
	}
	if t.Fixed && (start != t.FixedAt || mode != t.FixedMode) {
		return nil, 0, fmt.Errorf("%w: task %d is fixed at %d in mode %d, not at %d in mode %d", ErrPlan, i, t.FixedAt, t.FixedMode, start, mode)
	}
	if start < 0 || !t.Fixed && start < t.Release {
		return nil, 0, fmt.Errorf("%w: task %d starts at %d, released at %d", ErrPlan, i, start, t.Release)
	}
	m := t.Modes[mode]
	open := func(slot int) bool {
		if !m.Pausable {
			return true
		}
		for _, need := range m.Needs {
			if p.Resources[need.Resource].Capacity.At(slot) < need.Amount {
				return false
			}
		}
		return true
	}
	limit := p.slots()
	if t.Fixed && t.FixedUntil > 0 {
		for slot := start; slot < t.FixedUntil; slot++ {
			if open(slot) {
				worked = append(worked, slot)
			}
		}
		return worked, t.FixedUntil, nil
	}
	end = start
	for left := m.Duration; left > 0; end++ {
		switch {
		case end >= limit:
			return nil, 0, fmt.Errorf("%w: task %d does not end before slot %d", ErrPlan, i, limit)
		case open(end):
			worked = append(worked, end)
			left--
		case end == start && !t.Fixed:
			return nil, 0, fmt.Errorf("%w: task %d starts at %d, when its resources are closed", ErrPlan, i, start)
		}
	}
	if end > limit && !t.Fixed {
		return nil, 0, fmt.Errorf("%w: task %d ends at %d, after slot %d", ErrPlan, i, end, limit)
	}
	return worked, end, nil
}

func checkTimes(p *Problem, start, finish []int) ([]Breach, error) {
	var broken []Breach
	for i := range p.Tasks {
		if d := p.Tasks[i].Deadline; d > 0 && finish[i] > d {
			broken = append(broken, Breach{i, fmt.Sprintf("task %d %q ends at %d, its deadline is %d", i, p.Tasks[i].ID, finish[i], d), finish[i] - d})
		}
	}
	for _, l := range p.Links {
		from, to := finish[l.From], start[l.To]
		if l.Kind == StartStart || l.Kind == StartFinish {
			from = start[l.From]
		}
		if l.Kind == FinishFinish || l.Kind == StartFinish {
			to = finish[l.To]
		}
		if to < from+l.Min && !p.Tasks[l.To].Fixed {
			return nil, fmt.Errorf("%w: task %d to task %d (%s): %d slots between %d and %d, at least %d wanted", ErrPlan,
				l.From, l.To, l.Kind, to-from, from, to, l.Min)
		}
		if l.Bounded && to > from+l.Max {
			broken = append(broken, Breach{l.To, fmt.Sprintf("task %d %q to task %d %q (%s): %d slots between, at most %d wanted",
				l.From, p.Tasks[l.From].ID, l.To, p.Tasks[l.To].ID, l.Kind, to-from, l.Max), to - from - l.Max})
		}
	}
	return broken, nil
}
