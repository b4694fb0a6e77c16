package schedule

import (
	"errors"
	"strings"
	"testing"
)

// small draws problems small enough to look at every plan there is.
type small struct {
	tasks, horizon     int
	calendars, modes   bool
	kinds, maxLags     bool // all link kinds and negative lags; maximal lags
	deadlines, pausing bool
	pinned             bool
}

// draw makes a problem; number returns values from 0 to below its argument.
func (s small) draw(number func(n int) int) *Problem {
	p := &Problem{Horizon: s.horizon}
	for range 1 + number(2) {
		r := Resource{ID: "R", Capacity: Always(1 + number(3))}
		if s.calendars && number(2) == 0 {
			most := 1 + number(2)
			open, shut := 2+number(4), 1+number(3)
			r.Capacity = Sampled(s.horizon, func(t int) int {
				if t%(open+shut) < open {
					return most
				}
				return number(2) * most / 2
			})
		}
		p.Resources = append(p.Resources, r)
	}
	for i := range s.tasks {
		t := Task{ID: string(rune('a' + i))}
		for range 1 + number(2)*b2i(s.modes) {
			m := Mode{Duration: number(4), Pausable: s.pausing && number(2) == 0}
			for k := range p.Resources {
				if most := p.Resources[k].Capacity.highest(); number(3) > 0 {
					m.Needs = append(m.Needs, Need{k, number(most + 1)})
				}
			}
			t.Modes = append(t.Modes, m)
		}
		t.Release = number(4) / 3 * number(4)
		if s.deadlines && number(3) == 0 {
			t.Deadline = 2 + number(s.horizon)
		}
		if s.pinned && number(4) == 0 {
			t.Fixed, t.FixedAt, t.FixedMode = true, number(3), number(len(t.Modes))
		}
		p.Tasks = append(p.Tasks, t)
		for from := range i {
			if number(3) > 0 {
				continue
			}
			l := Link{From: from, To: i, Kind: LinkKind(number(2)), Min: number(3)}
			if s.kinds {
				l.Kind, l.Min = LinkKind(number(4)), number(5)-2
			}
			if s.maxLags && number(2) == 0 {
				l.Bounded, l.Max = true, l.Min+number(3)
			}
			p.Links = append(p.Links, l)
		}
	}
	for i := range p.Tasks {
		if number(2) == 0 {
			c := Cell{ID: "c", Group: string(rune('A' + number(2))), Weight: float64(1 + number(9)), Levels: []Level{{i, 1}}}
			if number(2) == 0 {
				c.Levels = append(c.Levels, Level{number(len(p.Tasks)), 0.5})
				c.Curve = []Rate{{number(2), 1}, {3 + number(5), 3}}
			}
			p.Cells = append(p.Cells, c)
		}
	}
	return p
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// everyPlan visits all plans of a small problem that keep everything that must be
// kept, by trying every start of every task.
func everyPlan(p *Problem, visit func(start, finish, mode []int)) {
	order, _ := topological(len(p.Tasks), p.Links)
	n := len(p.Tasks)
	start, finish, mode := make([]int, n), make([]int, n), make([]int, n)
	used := make([][]int, len(p.Resources))
	for k := range used {
		used[k] = make([]int, p.Horizon)
	}
	var try func(k int)
	try = func(k int) {
		if k == n {
			visit(start, finish, mode)
			return
		}
		i := int(order[k])
		for mode[i] = range p.Tasks[i].Modes {
			m := p.Tasks[i].Modes[mode[i]]
			for start[i] = 0; start[i] <= p.Horizon; start[i]++ {
				worked, end, err := checkTask(p, i, start[i], mode[i])
				if err != nil {
					continue
				}
				finish[i] = end
				if !lagsKept(p, i, start, finish) {
					continue
				}
				if claimed(p, used, worked, m.Needs, 1) {
					try(k + 1)
				}
				claimed(p, used, worked, m.Needs, -1)
			}
		}
	}
	try(0)
}

func lagsKept(p *Problem, i int, start, finish []int) bool {
	for _, l := range p.Links {
		if l.To != i {
			continue
		}
		from, to := [4]int{finish[l.From], start[l.From], finish[l.From], start[l.From]}[l.Kind], [4]int{start[i], start[i], finish[i], finish[i]}[l.Kind]
		if to-from < l.Min {
			return false
		}
	}
	return true
}

func claimed(p *Problem, used [][]int, slots []int, needs []Need, sign int) bool {
	ok := true
	for _, need := range needs {
		for _, t := range slots {
			used[need.Resource][t] += sign * need.Amount
			ok = ok && used[need.Resource][t] <= p.Resources[need.Resource].Capacity.At(t)
		}
	}
	return ok
}

// lossOf is the weighted loss, added up slot by slot.
func lossOf(p *Problem, finish []int) (total, worst float64) {
	lost, weight := map[string]float64{}, map[string]float64{}
	for _, c := range p.Cells {
		sum := 0.0
		for t := range p.slots() {
			level, rate := c.Initial, 1.0
			for _, l := range c.Levels {
				if finish[l.Task] <= t {
					level = max(level, l.Reached)
				}
			}
			if len(c.Curve) > 0 {
				rate = 0
			}
			for _, r := range c.Curve {
				if r.From <= t {
					rate = r.Rate
				}
			}
			sum += rate * (1 - level)
		}
		total += c.Weight * sum
		lost[c.Group] += c.Weight * sum
		weight[c.Group] += c.Weight
	}
	for g, w := range weight {
		if w > 0 {
			worst = max(worst, lost[g]/w)
		}
	}
	return total, worst
}

func TestValidateRefuses(t *testing.T) {
	fine := func() *Problem {
		return &Problem{
			Resources: []Resource{{ID: "team", Capacity: Always(2)}},
			Tasks: []Task{
				{ID: "a", Modes: []Mode{{Duration: 2, Needs: []Need{{0, 1}}}}},
				{ID: "b", Modes: []Mode{{Duration: 1}}},
			},
			Links: []Link{{From: 0, To: 1}},
			Cells: []Cell{{ID: "c", Weight: 1, Levels: []Level{{1, 1}}}},
			Loops: []Loop{{Test: 1, Body: []int{0, 1}, Probability: 0.5, Most: 3}},
		}
	}
	if err := fine().Validate(); err != nil {
		t.Fatalf("the unbroken problem: %v", err)
	}
	for name, spoil := range map[string]func(*Problem){
		"no tasks":              func(p *Problem) { p.Tasks = nil },
		"task without mode":     func(p *Problem) { p.Tasks[0].Modes = nil },
		"negative duration":     func(p *Problem) { p.Tasks[0].Modes[0].Duration = -1 },
		"duration below low":    func(p *Problem) { p.Tasks[0].Modes[0].Low, p.Tasks[0].Modes[0].High = 3, 5 },
		"unknown resource":      func(p *Problem) { p.Tasks[0].Modes[0].Needs[0].Resource = 1 },
		"resource twice":        func(p *Problem) { p.Tasks[0].Modes[0].Needs = []Need{{0, 1}, {0, 1}} },
		"negative amount":       func(p *Problem) { p.Tasks[0].Modes[0].Needs[0].Amount = -1 },
		"negative capacity":     func(p *Problem) { p.Resources[0].Capacity = Always(-1) },
		"calendar out of order": func(p *Problem) { p.Resources[0].Capacity = Calendar{{5, 1}, {5, 2}} },
		"link to itself":        func(p *Problem) { p.Links[0].To = 0 },
		"link to nobody":        func(p *Problem) { p.Links[0].To = 7 },
		"circle":                func(p *Problem) { p.Links = append(p.Links, Link{From: 1, To: 0}) },
		"lag upside down":       func(p *Problem) { p.Links[0] = Link{From: 0, To: 1, Min: 3, Bounded: true, Max: 2} },
		"unknown kind":          func(p *Problem) { p.Links[0].Kind = 9 },
		"horizon":               func(p *Problem) { p.Horizon = MaxHorizon + 1 },
		"pinned in no mode":     func(p *Problem) { p.Tasks[0].Fixed, p.Tasks[0].FixedMode = true, 3 },
		"cell level":            func(p *Problem) { p.Cells[0].Levels[0].Reached = 1.5 },
		"cell task":             func(p *Problem) { p.Cells[0].Levels[0].Task = -1 },
		"cell weight":           func(p *Problem) { p.Cells[0].Weight = -1 },
		"loop for ever":         func(p *Problem) { p.Loops[0].Probability = 1 },
		"loop without its test": func(p *Problem) { p.Loops[0].Body = []int{0} },
		"two loops, one test":   func(p *Problem) { p.Loops = append(p.Loops, p.Loops[0]) },
	} {
		p := fine()
		spoil(p)
		if err := p.Validate(); !errors.Is(err, ErrProblem) {
			t.Errorf("%s: got %v, want ErrProblem", name, err)
		}
	}
	p := fine()
	p.Links = append(p.Links, Link{From: 1, To: 0})
	if err := p.Validate(); !strings.Contains(err.Error(), "circle") {
		t.Errorf("a circle is called %v", err)
	}
}
