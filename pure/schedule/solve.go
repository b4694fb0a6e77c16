package schedule

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"
)

// ErrNoRoom says that some task cannot be placed before the horizon at all: its
// resources never have what it needs for as long as it needs it.
var ErrNoRoom = errors.New("no room before the horizon")

// Options say what Solve is to do. Objective.Goal must be set.
type Options struct {
	Objective Objective
	// Schedules, if positive, ends the search after so many schedules; the result
	// then depends on the seed alone. Otherwise the search goes on until the
	// context ends or the plan is proven best.
	Schedules int64
	Seed      uint64
	// Workers is the number of goroutines when Schedules is zero; 0: GOMAXPROCS.
	Workers int
	// Improved, if set, hears of every better plan as soon as it is found, one at
	// a time, from the searching goroutines.
	Improved func(Plan)
}

// Result is what Solve found.
type Result struct {
	Plan      Plan
	Schedules int64 // built in total
	// Value is what the search made small: slots of makespan, or weighted loss with
	// what fairness and stability cost. Bound is what no plan can be below, and
	// Proven says that this one reaches it.
	Value, Bound float64
	Proven       bool
	// Critical is the length of the longest chain, resources left aside.
	Critical int
}

// Solve plans. A plan comes back also when the context has ended before the call,
// unless there is none: the first schedules are always built. Errors wrap
// ErrProblem or ErrNoRoom.
func Solve(ctx context.Context, p *Problem, o Options) (*Result, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if err := o.validate(p); err != nil {
		return nil, err
	}
	s := &search{p: p, o: o}
	if c, ok := newClassic(p); ok && o.plain() {
		s.classic(ctx, c)
	} else if err := s.general(ctx); err != nil {
		return nil, err
	}
	if s.err == nil {
		s.err = s.finish(s.plan)
	}
	if s.err != nil {
		return nil, s.err
	}
	s.result.Plan, s.result.Value = *s.plan, s.value.goal
	s.result.Proven = s.value.broken == 0 && s.value.over == 0 && s.value.goal <= s.bound
	return &s.result, nil
}

func (o *Options) validate(p *Problem) error {
	b := &o.Objective
	switch {
	case b.Goal != ShortestPlan && b.Goal != LeastLoss:
		return fmt.Errorf("%w: goal %d", ErrProblem, b.Goal)
	case b.Goal == LeastLoss && len(p.Cells) == 0:
		return fmt.Errorf("%w: least loss is wanted but no cells are given", ErrProblem)
	case !(b.Fairness >= 0 && b.Fairness < 1e9) || !(b.WorstLimit >= 0) || !(b.Stability >= 0 && b.Stability < 1e15):
		return fmt.Errorf("%w: fairness %v, limit %v, stability %v", ErrProblem, b.Fairness, b.WorstLimit, b.Stability)
	case b.Keep != nil && (len(b.Keep.Start) != len(p.Tasks) || len(b.Keep.Mode) != len(p.Tasks)):
		return fmt.Errorf("%w: the plan to keep has %d tasks, the problem %d", ErrProblem, len(b.Keep.Start), len(p.Tasks))
	}
	return nil
}

// plain says that nothing but the makespan counts.
func (o *Options) plain() bool {
	b := &o.Objective
	return b.Goal == ShortestPlan && b.Keep == nil && b.WorstLimit == 0
}

// FirstCome plans as today's crises do: who has waited longest is served first,
// and among those who stands first in the problem ("as reported"). It is what
// plans are compared with. Errors wrap ErrProblem or ErrNoRoom.
func FirstCome(p *Problem) (*Plan, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	m := newModel(p)
	b := newBuilder(m)
	genes := make([]int32, m.n)
	for i := range genes {
		genes[i] = anyMode
	}
	if !b.dispatch(nil, genes, nil) {
		return nil, fmt.Errorf("task %d %q: %w (slot %d)", b.stuck, p.Tasks[b.stuck].ID, ErrNoRoom, m.slots)
	}
	plan := newJudge(m, Objective{}).plan(b.start, b.finish, b.mode)
	broken, err := Check(p, plan.Start, plan.Mode)
	if err != nil {
		return nil, fmt.Errorf("first come, first served: %w", err)
	}
	plan.Broken = broken
	return plan, nil
}

// search is one call of Solve. Its workers share what stands under mu.
type search struct {
	p      *Problem
	o      Options
	result Result
	bound  float64 // what proves a plan best, in the terms of value.goal

	mu    sync.Mutex
	plan  *Plan
	value value
	err   error
}

// searcher is one worker's way to search.
type searcher interface {
	// epoch starts afresh with a population of about size and goes on until the
	// limit is reached, the context has ended or the bound is met.
	epoch(size, number int)
	// limit says, whenever asked, how many schedules there may be in total.
	limit(schedules func() int64)
	passes() int64
	left() int64
	done() bool // no further epoch makes sense
}

// Epochs: a search without budget starts afresh with ever larger populations.
const (
	firstEpoch  = 2_000
	epochGrowth = 4
	mostEpoch   = 4_000_000
	workerSeed  = 0x9e3779b97f4a7c15
)

// populationFor balances breadth and generations: the root of the budget.
func populationFor(budget int64) int {
	return max(4, min(int(math.Sqrt(float64(budget))), 1000))
}

// run lets one worker search when there is a budget of schedules, and as many as
// wanted otherwise.
func (s *search) run(ctx context.Context, worker func(seed uint64) searcher) {
	if s.o.Schedules > 0 {
		w := worker(s.o.Seed)
		w.limit(func() int64 { return s.o.Schedules })
		w.epoch(populationFor(s.o.Schedules), 0)
		s.result.Schedules = w.passes()
		return
	}
	n := s.o.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() {
			w := worker(s.o.Seed + uint64(k)*workerSeed)
			s.epochs(ctx, w)
			s.mu.Lock()
			s.result.Schedules += w.passes()
			s.mu.Unlock()
		})
	}
	wg.Wait()
}

// epochs lets a worker search until it is done: a short epoch to learn its pace,
// then, if the context has a deadline, epochs as long as the time left allows, and
// otherwise ever longer ones.
func (s *search) epochs(ctx context.Context, w searcher) {
	began, budget := time.Now(), int64(firstEpoch)
	for number := 0; number == 0 || !w.done(); number++ {
		last := w.passes() + budget
		w.limit(func() int64 { return last })
		if deadline, ok := ctx.Deadline(); ok && number > 0 {
			from := w.passes()
			w.limit(func() int64 {
				pace := float64(w.passes()) / float64(time.Since(began))
				return min(w.passes()+int64(pace*float64(time.Until(deadline))), from+mostEpoch)
			})
			budget = max(firstEpoch, w.left())
		}
		w.epoch(populationFor(budget), number)
		budget = min(budget*epochGrowth, mostEpoch)
	}
}

// offer takes a worker's better plan. Among equals the first one stays.
func (s *search) offer(v value, plan func() *Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.plan != nil && v.compare(s.value) >= 0 {
		return
	}
	s.plan, s.value = plan(), v
	if s.o.Improved != nil {
		if s.err = s.finish(s.plan); s.err == nil {
			s.o.Improved(*s.plan)
		}
	}
}

// finish has the plan checked and notes what is broken.
func (s *search) finish(plan *Plan) error {
	broken, err := Check(s.p, plan.Start, plan.Mode)
	if err != nil {
		return fmt.Errorf("the solver's own plan: %w", err)
	}
	if limit := s.o.Objective.WorstLimit; limit > 0 && plan.Worst > limit {
		broken = append(broken, Breach{Task: -1, What: fmt.Sprintf("group %q loses %.4g, the limit is %.4g", plan.WorstGroup, plan.Worst, limit)})
	}
	plan.Broken = broken
	return nil
}

func (s *search) classic(ctx context.Context, c *classic) {
	s.bound = float64(c.bound)
	s.result.Bound, s.result.Critical = s.bound, int(c.critical)
	m := newModel(s.p)
	modes := make([]int32, c.n)
	s.run(ctx, func(seed uint64) searcher {
		j := newJudge(m, s.o.Objective)
		return newHerd(ctx, c, seed, func(finish []int32, makespan int32) {
			s.offer(value{goal: float64(makespan)}, func() *Plan {
				start := make([]int32, c.n)
				for i, f := range finish {
					start[i] = f - c.dur[i]
				}
				return j.plan(start, finish, modes)
			})
		})
	})
}

func (s *search) general(ctx context.Context) error {
	m := newModel(s.p)
	for _, i := range m.pinned {
		if m.finish[i] > m.slots {
			return fmt.Errorf("pinned task %d %q: %w (slot %d)", i, s.p.Tasks[i].ID, ErrNoRoom, m.slots)
		}
	}
	free, err := relax(m)
	if err != nil {
		return err
	}
	s.result.Critical = int(free.makespan)
	s.bound = free.bound(m, s.o.Objective)
	s.result.Bound = s.bound
	var back *model
	if s.o.Objective.Goal == ShortestPlan {
		back = newModel(mirrored(s.p, m))
	}
	s.run(ctx, func(seed uint64) searcher {
		j := newJudge(m, s.o.Objective)
		f := newFlock(ctx, m, back, s.o.Objective, seed, func(b *builder, v value) {
			s.offer(v, func() *Plan { return j.plan(b.start, b.finish, b.mode) })
		})
		f.bound = s.bound
		return f
	})
	if s.plan == nil {
		return fmt.Errorf("%w (slot %d): no order of the tasks ends in time", ErrNoRoom, m.slots)
	}
	return nil
}
