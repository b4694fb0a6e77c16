package schedule

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// best is the least lateness, and with it the least makespan and loss, over all
// plans of a problem, found by looking at all of them.
func best(p *Problem, o Objective) (value, bool) {
	least := worstValue
	everyPlan(p, func(start, finish, mode []int) {
		v := value{}
		for i, f := range finish {
			if d := p.Tasks[i].Deadline; d > 0 {
				v.broken += int64(max(0, f-d))
			}
			if o.Goal == ShortestPlan {
				v.goal = max(v.goal, float64(f))
			}
		}
		for _, l := range p.Links {
			if l.Bounded {
				from, to := [4]int{finish[l.From], start[l.From], finish[l.From], start[l.From]}[l.Kind], [4]int{start[l.To], start[l.To], finish[l.To], finish[l.To]}[l.Kind]
				v.broken += int64(max(0, to-from-l.Max))
			}
		}
		if o.Goal == LeastLoss {
			loss, worst := lossOf(p, finish)
			weight := 0.0
			for _, c := range p.Cells {
				weight += c.Weight
			}
			v.goal = loss + o.Fairness*worst*weight
			if o.WorstLimit > 0 {
				v.over = max(0, worst-o.WorstLimit)
			}
		}
		if v.compare(least) < 0 {
			least = v
		}
	})
	return least, least != worstValue
}

func same(a, b value) bool {
	return a.broken == b.broken && math.Abs(a.over-b.over) < 1e-9 && math.Abs(a.goal-b.goal) < 1e-6*max(1, math.Abs(a.goal))
}

// everyOrder builds the serial schedule of every order and choice of modes.
func everyOrder(m *model, visit func(b *builder)) {
	b := newBuilder(m)
	gene := make([]int32, m.n)
	var order []int32
	taken := make([]bool, m.n)
	var orders func()
	orders = func() {
		if len(order) == m.n {
			if b.serial(order, gene, nil) {
				visit(b)
			}
			return
		}
	next:
		for i := range int32(m.n) {
			if taken[i] {
				continue
			}
			for _, l := range m.in[i] {
				if !taken[l.other] {
					continue next
				}
			}
			taken[i], order = true, append(order, i)
			for gene[i] = 0; int(gene[i]) < len(m.work[i]); gene[i]++ {
				orders()
			}
			taken[i], order = false, order[:len(order)-1]
		}
	}
	orders()
}

// The serial scheme reaches a best plan from some order: what Solve searches is
// worth searching, calendars, pauses, modes and deadlines included.
func TestSomeOrderLeadsToABestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := small{tasks: 4, horizon: 10, calendars: true, modes: true, pausing: true, deadlines: true}
		p := kind.draw(func(n int) int { return rapid.IntRange(0, max(0, n-1)).Draw(t, "n") })
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, goal := range []Goal{ShortestPlan, LeastLoss} {
			if goal == LeastLoss && len(p.Cells) == 0 {
				continue
			}
			o := Objective{Goal: goal}
			want, any := best(p, o)
			m := newModel(p)
			j, got := newJudge(m, o), worstValue
			everyOrder(m, func(b *builder) {
				if v := j.value(b.start, b.finish, b.mode); v.compare(got) < 0 {
					got = v
				}
			})
			if any && !same(got, want) {
				t.Fatalf("goal %d: orders lead to %+v, all plans to %+v\n%+v", goal, got, want, p)
			}
			if !any && got != worstValue {
				t.Fatalf("goal %d: an order leads to %+v where no plan exists", goal, got)
			}
		}
	})
}

// Solve against all plans, on fixed problems so that the outcome cannot flicker.
func TestSolveFindsTheBestPlanOfSmallProblems(t *testing.T) {
	kinds := map[string]small{
		"links and releases":  {tasks: 4, horizon: 12},
		"calendars":           {tasks: 4, horizon: 13, calendars: true},
		"pauses":              {tasks: 4, horizon: 13, calendars: true, pausing: true},
		"modes":               {tasks: 4, horizon: 10, modes: true},
		"deadlines":           {tasks: 4, horizon: 12, deadlines: true, calendars: true},
		"everything but lags": {tasks: 4, horizon: 10, calendars: true, modes: true, pausing: true, deadlines: true},
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(24) {
				r := newRNG(seed)
				p := kind.draw(func(n int) int { return int(r.below(int32(max(1, n)))) })
				for _, o := range []Objective{{Goal: ShortestPlan}, {Goal: LeastLoss}, {Goal: LeastLoss, Fairness: 0.5}, {Goal: LeastLoss, WorstLimit: 6}} {
					if o.Goal == LeastLoss && len(p.Cells) == 0 {
						continue
					}
					againstAllPlans(t, p, o, seed)
				}
			}
		})
	}
}

func againstAllPlans(t *testing.T, p *Problem, o Objective, seed uint64) {
	t.Helper()
	want, any := best(p, o)
	r, err := Solve(t.Context(), p, Options{Objective: o, Schedules: 2000, Seed: seed})
	if !any {
		if err == nil {
			t.Errorf("seed %d: a plan where none exists: %+v", seed, r.Plan)
		}
		return
	}
	if err != nil {
		t.Errorf("seed %d: %v", seed, err)
		return
	}
	m := newModel(p)
	got := newJudge(m, o).value(narrow(r.Plan.Start), narrow(r.Plan.Finish), narrow(r.Plan.Mode))
	if !same(got, want) {
		t.Errorf("seed %d, %+v: got %+v, best is %+v", seed, o, got, want)
	}
	if r.Bound > want.goal+1e-6 && want.broken == 0 && want.over == 0 {
		t.Errorf("seed %d, %+v: bound %v is above the best plan's %v", seed, o, r.Bound, want.goal)
	}
	if r.Proven && got.compare(want) > 0 {
		t.Errorf("seed %d: called proven but %+v is worse than %+v", seed, got, want)
	}
	if loss, worst := lossOf(p, r.Plan.Finish); math.Abs(loss-r.Plan.Loss) > 1e-6 || math.Abs(worst-r.Plan.Worst) > 1e-6 {
		t.Errorf("seed %d: loss %v, worst %v; slot by slot %v, %v", seed, r.Plan.Loss, r.Plan.Worst, loss, worst)
	}
	if wants := len(r.Plan.Broken) == 0; wants != (got.broken == 0 && got.over == 0) {
		t.Errorf("seed %d: broken %v, but valued %+v", seed, r.Plan.Broken, got)
	}
}

func narrow(a []int) []int32 {
	out := make([]int32, len(a))
	for i, v := range a {
		out[i] = int32(v)
	}
	return out
}

// Whatever the problem, every schedule of either scheme passes the independent
// check, and is valued as the check sees it.
func TestEverySchedulePassesTheCheck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(n int) int { return rapid.IntRange(0, max(0, n-1)).Draw(t, "n") }
		kind := small{tasks: 3 + number(10), horizon: 60, calendars: true, modes: true, pausing: true, deadlines: true, kinds: true, maxLags: true, pinned: true}
		p := kind.draw(number)
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		m := newModel(p)
		b, j := newBuilder(m), newJudge(m, Objective{Goal: ShortestPlan})
		key, gene := make([]int32, m.n), make([]int32, m.n)
		rank := make([]int64, m.n)
		for i := range key {
			key[i], gene[i] = int32(number(50)), int32(number(len(m.work[i])+1)-1)
			rank[i] = int64(key[i])
		}
		sorted := make([]int32, m.n)
		new(keySorter).sort(sorted, m.order, key)
		for scheme, built := range []func() bool{
			func() bool { return b.serial(b.listed(sorted), gene, nil) },
			func() bool { return b.serial(b.listed(sorted), gene, key) },
			func() bool { return b.dispatch(rank, gene, nil) },
			func() bool { return b.dispatch(nil, gene, nil) },
		} {
			if !built() {
				continue
			}
			plan := j.plan(b.start, b.finish, b.mode)
			broken, err := Check(p, plan.Start, plan.Mode)
			if err != nil {
				t.Fatalf("scheme %d: %v\n%+v", scheme, err, p)
			}
			late := int64(0)
			for _, x := range broken {
				late += int64(x.By)
			}
			if got := j.late(b.start, b.finish); got != late {
				t.Fatalf("scheme %d: late by %d, the check says %d", scheme, got, late)
			}
		}
	})
}

// No plan is below the bound that Solve gives with it.
func TestNoPlanIsBelowItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(n int) int { return rapid.IntRange(0, max(0, n-1)).Draw(t, "n") }
		kind := small{tasks: 3 + number(10), horizon: 60, calendars: true, modes: true, pausing: true, kinds: true, pinned: true}
		p := kind.draw(number)
		for _, o := range []Objective{{Goal: ShortestPlan}, {Goal: LeastLoss}, {Goal: LeastLoss, Fairness: 2}} {
			if o.Goal == LeastLoss && len(p.Cells) == 0 {
				continue
			}
			r, err := Solve(t.Context(), p, Options{Objective: o, Schedules: 60})
			if errors.Is(err, ErrNoRoom) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Value < r.Bound-1e-6*max(1, r.Bound) {
				t.Fatalf("%+v: value %v, bound %v\n%+v", o, r.Value, r.Bound, p)
			}
		}
	})
}

// With one team and nothing else in the way the bound is near the best plan, which
// then is by gain per work.
func TestTheBoundOnLossIsNearWhereOneTeamDoesItAll(t *testing.T) {
	p := &Problem{Resources: []Resource{{ID: "team", Capacity: Always(1)}}}
	number := seeded(5)
	for i := range 60 {
		p.Tasks = append(p.Tasks, Task{ID: "t", Modes: []Mode{{Duration: 1 + number(9), Needs: []Need{{0, 1}}}}})
		p.Cells = append(p.Cells, Cell{ID: "c", Group: "g", Weight: float64(1 + number(50)), Levels: []Level{{i, 1}}, Curve: []Rate{{0, 1}, {40, 3}}})
	}
	r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: LeastLoss}, Schedules: 400})
	if err != nil {
		t.Fatal(err)
	}
	if gap := r.Value / r.Bound; gap < 1 || gap > 1.1 {
		t.Errorf("value %v, bound %v", r.Value, r.Bound)
	}
}

func TestMaximalLagsAreKeptWhereTheyCanBe(t *testing.T) {
	kept, possible := 0, 0
	for seed := range uint64(150) {
		r := newRNG(seed)
		kind := small{tasks: 4, horizon: 14, maxLags: true, kinds: seed%2 == 0, calendars: seed%3 == 0}
		p := kind.draw(func(n int) int { return int(r.below(int32(max(1, n)))) })
		want, any := best(p, Objective{Goal: ShortestPlan})
		if !any || want.broken > 0 {
			continue
		}
		possible++
		got, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 1500, Seed: seed})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if got.Plan.Feasible() {
			kept++
			if float64(got.Plan.Makespan) < want.goal {
				t.Errorf("seed %d: makespan %d below the least possible %v", seed, got.Plan.Makespan, want.goal)
			}
		}
	}
	t.Logf("%d of %d kept", kept, possible)
	if possible < 50 || kept*100 < possible*97 {
		t.Errorf("maximal lags kept in %d of %d problems that allow it", kept, possible)
	}
}
