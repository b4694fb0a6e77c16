package recovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"leitstand/catalogue"
	"leitstand/pure/schedule"
)

// Plan is the way back as planned at one time. It is replaced, never changed.
type Plan struct {
	ID       string    `json:"id"`
	Version  int64     `json:"version"` // counts the plans of a room
	Replaces string    `json:"replaces,omitempty"`
	Origin   time.Time `json:"origin"` // slot 0
	MadeAt   time.Time `json:"made_at"`
	MadeBy   string    `json:"made_by"`
	Reason   string    `json:"reason"`
	Terms    int64     `json:"terms"` // version of the terms; 0: assumed ones
	Assumed  bool      `json:"terms_assumed,omitempty"`

	Tasks    []Task           `json:"tasks"`
	Past     []PastTask       `json:"past,omitempty"` // done before this plan, as far as an earlier plan knew them
	Problem  schedule.Problem `json:"problem"`
	Schedule schedule.Plan    `json:"schedule"`
	// AsReported is the rule of today's crises on the same ground: first come, first served.
	AsReported schedule.Plan      `json:"as_reported"`
	Bound      float64            `json:"bound"` // of the loss: no plan can be below
	Value      float64            `json:"value"` // what the search made small: loss with fairness and stability
	Schedules  int64              `json:"schedules"`
	Change     *Change            `json:"change,omitempty"` // against the plan it replaces
	Lost       []Lost             `json:"lost,omitempty"`
	LostSites  []catalogue.SiteID `json:"lost_sites,omitempty"`
}

// PastTask is a task that is done.
type PastTask struct {
	Task
	From int `json:"from"` // slots
	To   int `json:"to"`
}

// Change is what a new plan changes.
type Change struct {
	Compared  int      `json:"compared"`
	Moved     []Moved  `json:"moved"`
	New       []string `json:"new,omitempty"`  // tasks that the plan before did not have
	Gone      []string `json:"gone,omitempty"` // tasks that are done or not needed any more
	Must      int      `json:"unavoidable"`    // of those moved: no plan could have left them, whatever the teams
	Stability float64  `json:"stability"`      // share of compared tasks that stay, 0 to 1
	Shift     float64  `json:"shift"`          // mean distance in hours
}

// Moved is a task that starts at another time than before.
type Moved struct {
	Task string    `json:"task"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Search limits how long a plan is improved.
type Search struct {
	Schedules int64         // the result then depends on ground and seed alone
	For       time.Duration // or: as long as this, on all processors
	Seed      uint64
	Improved  func(schedule.Plan)
}

// How far a plan is improved unless somebody asks for more: half a second's work of a core,
// and half of that for one made anew, which has a good plan to start from.
const (
	placings       = 1_000_000 // tasks placed, over all schedules
	leastSchedules = 100
	mostSchedules  = 5_000
)

// effort is how many schedules of so many tasks make up so many placings.
func effort(tasks int, placings int64) int64 {
	return max(leastSchedules, min(mostSchedules, placings/int64(max(1, tasks))))
}

// At is when a slot begins.
func (p *Plan) At(slot int) time.Time { return p.Origin.Add(time.Duration(slot) * Slot) }

// Slot is the slot in which a time lies.
func (p *Plan) Slot(t time.Time) int {
	return (&compiler{g: &Ground{Origin: p.Origin}}).slot(t)
}

// Make makes a plan from nothing but the ground.
func Make(ctx context.Context, g Ground, s Search) (*Plan, error) {
	d, err := compile(&g)
	if err != nil {
		return nil, err
	}
	p := newPlan(&g, d)
	o := schedule.Options{Objective: objective(&g, d), Seed: s.Seed}
	r, err := search(ctx, s, len(p.Tasks), func(ctx context.Context, n int64) (*schedule.Result, error) {
		o.Schedules, o.Improved = n, s.Improved
		return schedule.Solve(ctx, &p.Problem, o)
	})
	if err != nil {
		return nil, fmt.Errorf("planning: %w", err)
	}
	return p, p.take(r)
}

func newPlan(g *Ground, d *draft) *Plan {
	return &Plan{
		ID: "plan-" + rand.Text()[:8], Origin: g.Origin, MadeAt: g.Now.UTC(), Terms: g.Terms.Version, Assumed: g.Terms.Assumed,
		Tasks: d.Tasks, Problem: d.Problem, Lost: d.Lost, LostSites: g.LostSites,
	}
}

func objective(g *Ground, d *draft) schedule.Objective {
	if len(d.Problem.Cells) == 0 {
		return schedule.Objective{Goal: schedule.ShortestPlan}
	}
	return schedule.Objective{Goal: schedule.LeastLoss, Fairness: g.Terms.Fairness}
}

// search solves within what the caller allows.
func search(ctx context.Context, s Search, tasks int, solve func(context.Context, int64) (*schedule.Result, error)) (*schedule.Result, error) {
	if s.For <= 0 {
		if s.Schedules <= 0 {
			s.Schedules = effort(tasks, placings)
		}
		return solve(ctx, s.Schedules)
	}
	ctx, stop := context.WithTimeout(ctx, s.For)
	defer stop()
	return solve(ctx, 0)
}

// take takes a result over and puts "as reported" beside it.
func (p *Plan) take(r *schedule.Result) error {
	fifo, err := schedule.FirstCome(&p.Problem)
	if err != nil {
		return fmt.Errorf("planning as reported: %w", err)
	}
	p.Schedule, p.AsReported, p.Bound, p.Value, p.Schedules = r.Plan, *fifo, r.Bound, r.Value, r.Schedules
	return nil
}

// Remake makes a new plan after news. It keeps what is under way and moves as
// little else as the terms' stability asks for. A task that the plan before has
// begun is taken to be under way if all before it has ended. Unless trusted, one
// that should have ended without anybody saying so is taken to last until the
// next hour: what nobody has confirmed is not counted on.
func Remake(ctx context.Context, g Ground, before *Plan, trusted bool, s Search) (*Plan, error) {
	if s.Schedules <= 0 && s.For <= 0 {
		s.Schedules = effort(len(before.Tasks), placings/2)
	}
	return remake(ctx, g, before, nil, trusted, s)
}

// remake is Remake; if near is given, it moves as little as possible from that
// plan instead of the one before.
func remake(ctx context.Context, g Ground, before, near *Plan, trusted bool, s Search) (*Plan, error) {
	g.Origin = before.Origin
	d, err := compile(&g)
	if err != nil {
		return nil, err
	}
	p := newPlan(&g, d)
	p.Replaces = before.ID
	keep := p.keep(before)
	p.pin(&g, keep, trusted)
	o := schedule.Options{Objective: objective(&g, d), Seed: s.Seed}
	o.Objective.Keep, o.Objective.Stability, o.Objective.Touch = keep, g.Terms.Stability, touch
	if near != nil {
		o.Objective.Keep = p.keep(near)
	}
	r, err := search(ctx, s, len(p.Tasks), func(ctx context.Context, n int64) (*schedule.Result, error) {
		o.Schedules, o.Improved = n, s.Improved
		return schedule.Solve(ctx, &p.Problem, o)
	})
	if err != nil {
		return nil, fmt.Errorf("planning anew: %w", err)
	}
	if err := p.take(r); err != nil {
		return nil, err
	}
	p.past(before, p.Slot(g.Now))
	return p, p.compare(before, keep)
}

// touch is what changing an appointment costs, in hours of distance: people have
// been told, so that few far moves are better than many near ones.
const touch = 120

// keep is the plan before in the terms of the new problem.
func (p *Plan) keep(before *Plan) *schedule.Plan {
	at := before.index()
	k := &schedule.Plan{Start: make([]int, len(p.Tasks)), Finish: make([]int, len(p.Tasks)), Mode: make([]int, len(p.Tasks))}
	for i, t := range p.Tasks {
		k.Start[i] = -1
		if n, ok := at[t.ID]; ok && before.Schedule.Mode[n] < len(p.Problem.Tasks[i].Modes) {
			k.Start[i], k.Finish[i], k.Mode[i] = before.Schedule.Start[n], before.Schedule.Finish[n], before.Schedule.Mode[n]
		}
	}
	return k
}

// pin pins what is under way: what somebody reported, and what by the plan before
// has begun.
func (p *Plan) pin(g *Ground, keep *schedule.Plan, trusted bool) {
	now := p.Slot(g.Now)
	reports := newest(g.Reports)
	before := make([][]int, len(p.Tasks))
	for _, l := range p.Problem.Links {
		before[l.To] = append(before[l.To], l.From)
	}
	order := make([]int, 0, len(p.Tasks))
	for i := range p.Tasks {
		if keep.Start[i] >= 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return keep.Start[a] - keep.Start[b] })
	ended := make([]bool, len(p.Tasks))
	for _, i := range order {
		t := &p.Problem.Tasks[i]
		if t.Fixed { // reported
			t.FixedMode = keep.Mode[i]
			if r := reports[t.ID]; r.What == Late && r.Since.IsZero() {
				t.FixedAt = min(t.FixedAt, keep.Start[i])
			}
			if t.FixedUntil == 0 {
				t.FixedUntil = max(t.FixedAt+keep.Finish[i]-keep.Start[i], now+1)
			}
			continue
		}
		waits := slices.ContainsFunc(before[i], func(b int) bool { return !ended[b] })
		if keep.Start[i] >= now || waits || reports[t.ID].What == Undone {
			continue
		}
		t.Fixed, t.FixedAt, t.FixedUntil, t.FixedMode = true, keep.Start[i], keep.Finish[i], keep.Mode[i]
		if keep.Finish[i] <= now {
			if ended[i] = trusted; !trusted {
				t.FixedUntil = now + 1
			}
		}
	}
}

func (p *Plan) index() map[string]int {
	out := make(map[string]int, len(p.Tasks))
	for i, t := range p.Tasks {
		out[t.ID] = i
	}
	return out
}

// past carries over what is done, for the picture of the whole way.
func (p *Plan) past(before *Plan, now int) {
	p.Past = slices.Clone(before.Past)
	left := p.index()
	for i, t := range before.Tasks {
		if _, still := left[t.ID]; still {
			continue
		}
		from := min(before.Schedule.Start[i], now)
		p.Past = append(p.Past, PastTask{t, from, max(from, min(before.Schedule.Finish[i], now))})
	}
	redone := func(t PastTask) bool { _, again := left[t.ID]; return again }
	p.Past = slices.DeleteFunc(p.Past, redone)
}

// compare notes what changed.
func (p *Plan) compare(before *Plan, keep *schedule.Plan) error {
	diff, err := schedule.Compare(&p.Problem, keep, &p.Schedule)
	if err != nil {
		return fmt.Errorf("comparing plans: %w", err)
	}
	c := &Change{Moved: []Moved{}}
	for _, m := range diff.Moved {
		if m.From < 0 {
			c.New = append(c.New, p.Tasks[m.Task].ID)
			continue
		}
		c.Moved = append(c.Moved, Moved{p.Tasks[m.Task].ID, p.At(m.From), p.At(m.To)})
	}
	c.Compared, c.Must = diff.Compared-len(c.New), schedule.Unavoidable(&p.Problem, keep)
	c.Stability = 1
	if c.Compared > 0 {
		c.Stability = float64(c.Compared-len(c.Moved)) / float64(c.Compared)
		c.Shift = diff.Shift * float64(diff.Compared) / float64(c.Compared)
	}
	left := p.index()
	for _, t := range before.Tasks {
		if _, ok := left[t.ID]; !ok {
			c.Gone = append(c.Gone, t.ID)
		}
	}
	p.Change = c
	return nil
}

// CellBack is when a cell returns by plan.
type CellBack struct {
	Kasse     catalogue.KasseID   `json:"kasse"`
	Service   catalogue.ServiceID `json:"service"`
	Weight    float64             `json:"weight"`
	Emergency time.Time           `json:"emergency,omitzero"` // emergency operation begins
	Back      time.Time           `json:"back"`               // regular operation
	Reported  time.Time           `json:"as_reported"`        // the same, first come, first served
	cell      int
}

// Cells lists when each cell is back, soonest first.
func (p *Plan) Cells() []CellBack {
	var out []CellBack
	for k := range p.Problem.Cells {
		c := &p.Problem.Cells[k]
		kasse, service, ok := splitCell(c.ID)
		if !ok {
			continue
		}
		b := CellBack{Kasse: kasse, Service: service, Weight: c.Weight, cell: k}
		for _, l := range c.Levels {
			if l.Reached >= 1 {
				b.Back, b.Reported = p.At(p.Schedule.Finish[l.Task]), p.At(p.AsReported.Finish[l.Task])
			} else {
				b.Emergency = p.At(p.Schedule.Finish[l.Task])
			}
		}
		out = append(out, b)
	}
	slices.SortStableFunc(out, func(a, b CellBack) int { return a.Back.Compare(b.Back) })
	return out
}

// Hours are cell-hours of loss by Kasse: one hour of one service that is away
// counts one, in emergency operation what is missing of it. Weights do not count.
func (p *Plan) Hours(s *schedule.Plan) map[catalogue.KasseID]float64 {
	out := map[catalogue.KasseID]float64{}
	from := p.Slot(p.MadeAt)
	for k := range p.Problem.Cells {
		c := &p.Problem.Cells[k]
		kasse, _, ok := splitCell(c.ID)
		if !ok {
			continue
		}
		out[kasse] += away(c, s, from)
	}
	return out
}

// away is how long a cell is away after a slot, by level.
func away(c *schedule.Cell, s *schedule.Plan, from int) float64 {
	levels := slices.Clone(c.Levels)
	slices.SortFunc(levels, func(a, b schedule.Level) int { return s.Finish[a.Task] - s.Finish[b.Task] })
	at, have, sum := from, c.Initial, 0.0
	for _, l := range levels {
		if t := s.Finish[l.Task]; t > at {
			sum += float64(t-at) * (1 - have)
			at = t
		}
		have = max(have, l.Reached)
	}
	return sum
}

// TotalHours adds cell-hours up.
func TotalHours(by map[catalogue.KasseID]float64) float64 {
	sum := 0.0
	for _, k := range slices.Sorted(maps.Keys(by)) {
		sum += by[k]
	}
	return sum
}

func splitCell(id string) (catalogue.KasseID, catalogue.ServiceID, bool) {
	for i := range len(id) {
		if id[i] != '/' {
			continue
		}
		for j := i + 1; j < len(id); j++ {
			if id[j] == '/' {
				return "", "", false // a further site
			}
		}
		return catalogue.KasseID(id[:i]), catalogue.ServiceID(id[i+1:]), true
	}
	return "", "", false
}

// ErrNoTeam says that a plan has no such team.
var ErrNoTeam = errors.New("the plan has no such team")

// ErrNoTask says that a plan has no such task.
var ErrNoTask = errors.New("the plan has no such task")
