package schedule

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
)

// ForecastOptions say how a forecast is made. Zero Runs mean 2,000.
type ForecastOptions struct {
	Runs int
	Seed uint64
	// Now is the slot up to which the past is known: pinned tasks that have ended
	// by then are facts, those under way have lasted until now at least.
	Now int
	// Count, if not empty, are cells to be counted as they come back, every Every
	// slots (0: 24), for Forecast.Back.
	Count []int
	Every int
	// Workers is the number of goroutines; 0: GOMAXPROCS. It does not change the result.
	Workers int
}

// Span is when something ends: in half of the runs, and in nine of ten, by then.
type Span struct{ P50, P90 int }

// Forecast is what came out of many runs of a plan.
type Forecast struct {
	Runs     int
	Tasks    []Span // per task: its last end, rounds of loops included
	Groups   []GroupSpan
	Cells    []Span // per cell: when it reaches the highest of its levels
	Makespan Span
	// Of the cells in ForecastOptions.Count: how many are back when, when the last
	// one of each group is, and the last one of all.
	Back       []Back
	CellGroups []GroupSpan
	LastCell   Span
	// Unfinished is in how many runs something was not done before the horizon;
	// there it counts as ending at the horizon.
	Unfinished int
}

// Back is how many cells have their highest level by a slot: in half of the runs,
// and in nine of ten, at least so many.
type Back struct{ Slot, P50, P90 int }

// GroupSpan is when the last task of a group ends.
type GroupSpan struct {
	Group string
	Span  Span
}

const mostRuns = 100_000

// Simulate runs a plan many times with drawn durations and failing tests. In each
// run tasks start as soon as what they need is there; where they compete, the plan's
// order decides. Nothing is known before it happens: there is no waiting for a
// better moment, and maximal lags and deadlines move nothing.
func Simulate(p *Problem, plan *Plan, o ForecastOptions) (*Forecast, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if _, err := Check(p, plan.Start, plan.Mode); err != nil {
		return nil, err
	}
	if o.Runs == 0 {
		o.Runs = 2000
	}
	for _, k := range o.Count {
		if k < 0 || k >= len(p.Cells) {
			return nil, fmt.Errorf("%w: no cell %d to count", ErrProblem, k)
		}
	}
	if o.Runs < 1 || o.Runs > mostRuns || o.Runs > math.MaxInt32/len(p.Tasks) {
		return nil, fmt.Errorf("%w: %d runs of %d tasks", ErrProblem, o.Runs, len(p.Tasks))
	}
	open := underWay(p, o.Now)
	s := &simulation{m: newModel(open), o: o, plan: plan, key: ranks(p, plan)}
	s.least = make([]int32, len(p.Tasks))
	for i := range p.Tasks {
		if p.Tasks[i].Fixed && !open.Tasks[i].Fixed {
			s.key[i] = -1 // it is under way: nobody takes its place
			s.least[i] = s.m.work[i][p.Tasks[i].FixedMode].between(p.Tasks[i].FixedAt, o.Now) + 1
		}
	}
	s.run()
	return s.forecast(), nil
}

// underWay is the problem as the forecast sees it: tasks that are pinned but have
// not ended are open again at their end.
func underWay(p *Problem, now int) *Problem {
	q := *p
	q.Horizon = p.slots()
	if p.Horizon == 0 {
		q.Horizon = min(MaxHorizon, 3*q.Horizon)
	}
	q.Tasks = slices.Clone(p.Tasks)
	open := make([]bool, len(p.Tasks))
	for i := range q.Tasks {
		t := &q.Tasks[i]
		if !t.Fixed || t.FixedUntil > 0 && t.FixedUntil <= now {
			continue
		}
		open[i] = true
		m := t.Modes[t.FixedMode]
		if t.FixedUntil > 0 && m.Duration > 0 { // somebody knows better than the mode
			expected := t.FixedUntil - t.FixedAt
			m.Low, m.High = m.Low*expected/m.Duration, (m.High*expected+m.Duration-1)/m.Duration
			m.Duration = expected
		}
		t.Modes = slices.Clone(t.Modes)
		t.Modes[t.FixedMode] = m
		t.Fixed, t.Release = false, t.FixedAt
	}
	q.Links = nil
	for _, l := range p.Links {
		if !open[l.To] {
			l.Bounded = false
			q.Links = append(q.Links, l)
		}
	}
	return &q
}

// ranks orders tasks by their start in the plan, then as links want it.
func ranks(p *Problem, plan *Plan) []int64 {
	order, _ := topological(len(p.Tasks), p.Links)
	key := make([]int64, len(p.Tasks))
	for rank, i := range order {
		key[i] = int64(plan.Start[i])<<32 | int64(rank)
	}
	return key
}

type simulation struct {
	m      *model
	o      ForecastOptions
	plan   *Plan
	key    []int64
	least  []int32
	finish [][]int32 // per task, per run
	failed []bool    // per run
}

// run does all runs; each draws from a seed of its own, so that the number of
// workers changes nothing.
func (s *simulation) run() {
	s.finish = make([][]int32, s.m.n)
	all := make([]int32, s.m.n*s.o.Runs)
	for i := range s.finish {
		s.finish[i], all = all[:s.o.Runs:s.o.Runs], all[s.o.Runs:]
	}
	s.failed = make([]bool, s.o.Runs)
	n := s.o.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() { s.work(k, n) })
	}
	wg.Wait()
}

// work does every n-th run.
func (s *simulation) work(first, n int) {
	b := newBuilder(s.m)
	b.work = make([][]work, s.m.n)
	for i := range b.work {
		b.work[i] = slices.Clone(s.m.work[i])
	}
	gene := make([]int32, s.m.n)
	for i, mode := range s.plan.Mode {
		gene[i] = int32(mode)
	}
	luck := newLuck(s.m.p)
	luck.least = s.least
	for run := first; run < s.o.Runs; run += n {
		luck.begin(b, s.o.Seed+uint64(run)*workerSeed)
		s.failed[run] = !b.dispatch(s.key, gene, luck)
		for i := range s.finish {
			s.finish[i][run] = b.finish[i]
			if s.failed[run] && b.queue.todo[i] {
				s.finish[i][run] = s.m.slots
			}
		}
	}
}

func (s *simulation) forecast() *Forecast {
	f := &Forecast{Runs: s.o.Runs}
	for _, failed := range s.failed {
		if failed {
			f.Unfinished++
		}
	}
	groups := map[string][]int32{}
	last := make([]int32, s.o.Runs)
	for i := range s.finish {
		latest(last, s.finish[i])
		if g := s.m.p.Tasks[i].Group; g != "" {
			if groups[g] == nil {
				groups[g] = make([]int32, s.o.Runs)
			}
			latest(groups[g], s.finish[i])
		}
	}
	f.Makespan = span(last)
	f.Groups = spans(groups)
	counter := newCounter(&s.o, f.Makespan.P90)
	for k := range s.m.p.Cells {
		ends := s.cell(&s.m.p.Cells[k])
		counter.take(k, s.m.p.Cells[k].Group, ends)
		f.Cells = append(f.Cells, span(ends))
	}
	f.Back = counter.back()
	if len(counter.counts) > 0 {
		f.CellGroups, f.LastCell = spans(counter.groups), span(counter.last)
	}
	for i := range s.finish {
		f.Tasks = append(f.Tasks, span(s.finish[i]))
	}
	return f
}

// spans reads the percentiles of each group, by name.
func spans(groups map[string][]int32) []GroupSpan {
	var out []GroupSpan
	for g, ends := range groups {
		out = append(out, GroupSpan{g, span(ends)})
	}
	slices.SortFunc(out, func(a, b GroupSpan) int {
		if a.Group < b.Group {
			return -1
		}
		return 1
	})
	return out
}

// counter counts cells that are back, per run and bucket of slots.
type counter struct {
	o      *ForecastOptions
	every  int
	counts map[int]bool
	by     [][]int32 // per bucket, per run: cells that came back within it
	groups map[string][]int32
	last   []int32
}

func newCounter(o *ForecastOptions, last int) *counter {
	c := &counter{o: o, every: o.Every, counts: map[int]bool{}, groups: map[string][]int32{}, last: make([]int32, o.Runs)}
	if c.every <= 0 {
		c.every = 24
	}
	for _, k := range o.Count {
		c.counts[k] = true
	}
	if len(c.counts) == 0 {
		return c
	}
	c.by = make([][]int32, (last-o.Now)/c.every+2)
	for b := range c.by {
		c.by[b] = make([]int32, o.Runs)
	}
	return c
}

func (c *counter) take(cell int, group string, ends []int32) {
	if !c.counts[cell] {
		return
	}
	latest(c.last, ends)
	if c.groups[group] == nil {
		c.groups[group] = make([]int32, c.o.Runs)
	}
	latest(c.groups[group], ends)
	for run, end := range ends {
		b := max(0, (int(end)-c.o.Now+c.every-1)/c.every)
		if b < len(c.by) {
			c.by[b][run]++
		}
	}
}

// back adds up; "nine of ten runs have at least" is the tenth percentile of the counts.
func (c *counter) back() []Back {
	var out []Back
	sum := make([]int32, c.o.Runs)
	sorted := make([]int32, c.o.Runs)
	for b, came := range c.by {
		for run, n := range came {
			sum[run] += n
		}
		copy(sorted, sum)
		slices.Sort(sorted)
		out = append(out, Back{c.o.Now + b*c.every, int(sorted[(len(sorted)-1)/2]), int(sorted[(len(sorted)-1)/10])})
	}
	return out
}

// cell is when a cell reaches the highest of its levels, per run; 0 if it has it
// from the start.
func (s *simulation) cell(c *Cell) []int32 {
	ends := make([]int32, s.o.Runs)
	highest := c.Initial
	for _, l := range c.Levels {
		highest = max(highest, l.Reached)
	}
	if highest <= c.Initial {
		return ends
	}
	for run := range ends {
		ends[run] = math.MaxInt32
		for _, l := range c.Levels {
			if l.Reached >= highest {
				ends[run] = min(ends[run], s.finish[l.Task][run])
			}
		}
	}
	return ends
}

func latest(into, ends []int32) {
	for run, t := range ends {
		into[run] = max(into[run], t)
	}
}

// span reads the percentiles off ends, which it sorts.
func span(ends []int32) Span {
	slices.Sort(ends)
	at := func(percent int) int { return int(ends[(len(ends)*percent+99)/100-1]) }
	return Span{at(50), at(90)}
}
