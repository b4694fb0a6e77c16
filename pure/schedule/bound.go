package schedule

import "fmt"

// relaxed is what would be if no task stood in another one's way: the earliest
// start and finish of each, over its modes, by links, releases, calendars and
// pinned tasks alone.
type relaxed struct {
	start, finish []int32
	makespan      int32
}

// relax computes it. A task that does not fit even alone is an error.
func relax(m *model) (*relaxed, error) {
	b := newBuilder(m)
	b.clear()
	r := &relaxed{start: b.start, finish: b.finish}
	for _, i := range m.order {
		if !m.p.Tasks[i].Fixed {
			start, finish := int32(-1), int32(-1)
			for k := range m.work[i] {
				s, f := b.try(i, m.release[i], &m.work[i][k])
				if s >= 0 && (start < 0 || s < start) {
					start = s
				}
				if s >= 0 && (finish < 0 || f < finish) {
					finish = f
				}
			}
			if start < 0 {
				return nil, fmt.Errorf("task %d %q: %w (slot %d)", i, m.p.Tasks[i].ID, ErrNoRoom, m.slots)
			}
			b.start[i], b.finish[i] = start, finish
		}
		r.makespan = max(r.makespan, b.finish[i])
	}
	return r, nil
}

// bound is a value of the goal that no plan can be below.
func (r *relaxed) bound(m *model, o Objective) float64 {
	if o.Goal == ShortestPlan {
		return float64(max(r.makespan, energyBound(m)))
	}
	j := newJudge(m, o)
	v := r.lossBound(m, j)
	j.loss(r.finish)
	worst, _ := j.worst()
	return v + float64(o.Fairness*worst*j.total)
}

// energyBound is the slot before which no resource can have done all its work.
func energyBound(m *model) int32 {
	todo := make([]int64, m.rows)
	for i := range m.work {
		if m.p.Tasks[i].Fixed {
			continue
		}
		for row, least := range leastWork(m.work[i]) {
			todo[row] += least
		}
	}
	var bound int32
	for k := range todo {
		left := todo[k]
		row := m.row(m.capacity, int32(k))
		for t := int32(0); left > 0 && t < m.slots; t++ {
			left -= int64(max(0, row[t]))
			bound = max(bound, t+1)
		}
	}
	return bound
}

// leastWork is what a task takes from each resource in its thriftiest mode.
func leastWork(modes []work) map[int32]int64 {
	least := map[int32]int64{}
	for k := range modes {
		here := map[int32]int64{}
		for _, c := range modes[k].claims {
			here[c.row] = int64(c.amount) * int64(modes[k].length)
		}
		if k == 0 {
			least = here
			continue
		}
		for row, v := range least {
			least[row] = min(v, here[row])
		}
	}
	return least
}
