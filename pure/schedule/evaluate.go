package schedule

import (
	"cmp"
	"slices"
)

// Goal is what a plan is made for. The zero value is refused.
type Goal uint8

// The goals.
const (
	// ShortestPlan wants the smallest makespan.
	ShortestPlan Goal = iota + 1
	// LeastLoss wants the smallest weighted loss over all cells.
	LeastLoss
)

// Objective says what makes one plan better than another. Deadlines, maximal lags
// and WorstLimit come first: a plan that keeps more of them is always better.
type Objective struct {
	Goal Goal
	// Fairness adds, under LeastLoss, the largest normalised loss of a group times
	// the weight of all cells, this many times. At 0 only the sum counts; at 1 the
	// worst-off group counts as much as everybody together.
	Fairness float64
	// WorstLimit, if positive, is the largest normalised loss any group may bear.
	WorstLimit float64
	// Keep is a plan in force. Tasks that are new have a negative start in it.
	Keep *Plan
	// Stability weighs the mean distance by which tasks leave Keep: at 1, moving
	// every task by one slot costs as much as one slot of makespan, or as one slot
	// in which all cells are away.
	Stability float64
	// Touch is what a task costs that moves at all, in slots of distance, since
	// each is an appointment to be changed; another mode costs it once more.
	Touch int
}

// value orders plans: what is broken first, then the goal.
type value struct {
	broken int64 // slots too late, over all promises
	over   float64
	goal   float64
}

func (a value) compare(b value) int {
	if c := cmp.Compare(a.broken, b.broken); c != 0 {
		return c
	}
	if c := cmp.Compare(a.over, b.over); c != 0 {
		return c
	}
	return cmp.Compare(a.goal, b.goal)
}

// judge values schedules of one model; it serves one goroutine.
type judge struct {
	m      *model
	o      Objective
	cells  []loss
	groups []string
	weight []float64 // per group
	lost   []float64 // per group, of the schedule last valued
	total  float64   // weight of all cells
	due    []int32   // tasks with a deadline
	shapes [][]Rate  // the different curves
}

// loss is a cell made ready for valuing.
type loss struct {
	weight  float64
	initial float64
	group   int
	levels  []Level
	curve   []Rate
	shape   int       // cells with equal curves have equal shapes
	sum     []float64 // of the curve, up to each step
	reached []step
}

type step struct {
	at    int32
	level float64
}

func newJudge(m *model, o Objective) *judge {
	j := &judge{m: m, o: o}
	group := map[string]int{}
	for i := range m.p.Cells {
		c := &m.p.Cells[i]
		g, ok := group[c.Group]
		if !ok {
			g = len(j.groups)
			group[c.Group] = g
			j.groups = append(j.groups, c.Group)
			j.weight = append(j.weight, 0)
		}
		j.weight[g] += c.Weight
		j.total += c.Weight
		l := loss{weight: c.Weight, initial: c.Initial, group: g, levels: c.Levels, curve: c.Curve}
		l.shape = slices.IndexFunc(j.shapes, func(r []Rate) bool { return slices.Equal(r, c.Curve) })
		if l.shape < 0 {
			l.shape = len(j.shapes)
			j.shapes = append(j.shapes, c.Curve)
		}
		for k, r := range c.Curve {
			s := 0.0
			if k > 0 {
				s = l.sum[k-1] + float64(c.Curve[k-1].Rate*float64(r.From-c.Curve[k-1].From))
			}
			l.sum = append(l.sum, s)
		}
		j.cells = append(j.cells, l)
	}
	j.lost = make([]float64, len(j.groups))
	for i := range m.p.Tasks {
		if m.p.Tasks[i].Deadline > 0 {
			j.due = append(j.due, int32(i))
		}
	}
	return j
}

// value values a schedule.
func (j *judge) value(start, finish, mode []int32) value {
	v := value{broken: j.late(start, finish)}
	if j.o.Goal == ShortestPlan {
		v.goal = float64(slices.Max(finish))
	} else {
		v.goal = j.loss(finish)
	}
	if j.o.Fairness > 0 || j.o.WorstLimit > 0 {
		if j.o.Goal == ShortestPlan {
			j.loss(finish)
		}
		worst, _ := j.worst()
		if j.o.WorstLimit > 0 {
			v.over = max(0, worst-j.o.WorstLimit)
		}
		if j.o.Goal == LeastLoss {
			v.goal += float64(j.o.Fairness * worst * j.total)
		}
	}
	if j.o.Keep != nil {
		unit := 1.0
		if j.o.Goal == LeastLoss {
			unit = j.total
		}
		v.goal += float64(j.o.Stability * unit * j.distance(start, mode))
	}
	return v
}

// late sums up by how much deadlines and maximal lags are exceeded.
func (j *judge) late(start, finish []int32) int64 {
	var sum int64
	for _, i := range j.due {
		sum += int64(max(0, finish[i]-int32(j.m.p.Tasks[i].Deadline)))
	}
	if !j.m.bounded {
		return sum
	}
	for i := range j.m.in {
		for _, l := range j.m.in[i] {
			sum += int64(l.excess(start, finish, i))
		}
	}
	return sum
}

// from is the moment that a link is measured from.
func (l *tie) from(start, finish []int32) int32 {
	if l.kind == StartStart || l.kind == StartFinish {
		return start[l.other]
	}
	return finish[l.other]
}

// excess is by how much a maximal lag to task i is exceeded.
func (l *tie) excess(start, finish []int32, i int) int32 {
	if !l.bounded {
		return 0
	}
	to := start[i]
	if l.kind == FinishFinish || l.kind == StartFinish {
		to = finish[i]
	}
	return max(0, to-l.from(start, finish)-l.max)
}

// loss is the weighted loss of all cells; afterwards lost holds it by group.
func (j *judge) loss(finish []int32) float64 {
	clear(j.lost)
	total := 0.0
	for k := range j.cells {
		c := &j.cells[k]
		v := c.value(finish, j.m.slots)
		j.lost[c.group] += v
		total += v
	}
	return total
}

// value is what one cell loses until the horizon.
func (c *loss) value(finish []int32, horizon int32) float64 {
	c.reached = c.reached[:0]
	for _, l := range c.levels {
		s := step{finish[l.Task], l.Reached}
		k := len(c.reached)
		c.reached = append(c.reached, s)
		for ; k > 0 && c.reached[k-1].at > s.at; k-- {
			c.reached[k] = c.reached[k-1]
		}
		c.reached[k] = s
	}
	level, since, sum := c.initial, 0.0, 0.0
	for _, s := range c.reached {
		if s.level <= level {
			continue
		}
		now := c.until(s.at)
		sum += float64((now - since) * (1 - level))
		level, since = s.level, now
	}
	if level < 1 {
		sum += float64((c.until(horizon) - since) * (1 - level))
	}
	return float64(c.weight * sum)
}

// until is the curve summed up to a slot.
func (c *loss) until(t int32) float64 {
	if len(c.curve) == 0 {
		return float64(t)
	}
	k, found := slices.BinarySearchFunc(c.curve, int(t), func(r Rate, t int) int { return r.From - t })
	if !found {
		k--
	}
	if k < 0 {
		return 0
	}
	return c.sum[k] + float64(c.curve[k].Rate*float64(int(t)-c.curve[k].From))
}

// worst is the largest loss of a group by its weight, from lost.
func (j *judge) worst() (most float64, group string) {
	for g, lost := range j.lost {
		if j.weight[g] > 0 && lost/j.weight[g] > most {
			most, group = lost/j.weight[g], j.groups[g]
		}
	}
	return most, group
}

// distance is by how many slots tasks leave the plan to keep, on average.
func (j *judge) distance(start, mode []int32) float64 {
	var sum, n int64
	for i := range j.m.p.Tasks {
		if j.m.p.Tasks[i].Fixed || j.o.Keep.Start[i] < 0 {
			continue
		}
		n++
		d := int64(start[i]) - int64(j.o.Keep.Start[i])
		if d = max(d, -d); d != 0 {
			sum += d + int64(j.o.Touch)
		}
		if int(mode[i]) != j.o.Keep.Mode[i] {
			sum += int64(j.o.Touch)
		}
	}
	return float64(sum) / float64(max(n, 1))
}

// keptMode is the mode of a task in the plan to keep, or anyMode.
func (j *judge) keptMode(i int) int32 {
	k := j.o.Keep
	if k == nil || k.Start[i] < 0 || k.Mode[i] < 0 || k.Mode[i] >= len(j.m.work[i]) {
		return anyMode
	}
	return int32(k.Mode[i])
}

// plan makes a plan of a schedule.
func (j *judge) plan(start, finish, mode []int32) *Plan {
	p := &Plan{Start: widen(start), Finish: widen(finish), Mode: widen(mode), Makespan: int(slices.Max(finish))}
	if len(j.cells) > 0 {
		p.Loss = j.loss(finish)
		p.Worst, p.WorstGroup = j.worst()
	}
	return p
}

func widen(a []int32) []int {
	out := make([]int, len(a))
	for i, v := range a {
		out[i] = int(v)
	}
	return out
}
