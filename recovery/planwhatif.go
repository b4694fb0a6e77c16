package recovery

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/pure/schedule"
)

// WhatIf is a question: what would the way back be if …
type WhatIf struct {
	People   map[string]int                  `json:"people,omitempty"`   // so many more (or fewer) of a team in each of its shifts
	Services map[catalogue.ServiceID]float64 `json:"services,omitempty"` // another weight
	First    []catalogue.KasseID             `json:"first,omitempty"`    // these before all others
	Lost     []catalogue.SiteID              `json:"lost,omitempty"`     // given up
	Revoked  []string                        `json:"revoked,omitempty"`  // environments and components whose clearance falls
}

// Answer compares the way back with and without what was asked: both planned
// anew from the same moment, with the same effort and without regard to
// appointments that would have to be moved.
type Answer struct {
	Kassen  []KasseHours     `json:"kassen"` // those that gain most first
	Before  Figures          `json:"before"`
	After   Figures          `json:"after"`
	NoWay   []catalogue.Cell `json:"no_way,omitempty"` // cells that would have no way back
	Plan    *Plan            `json:"-"`
	Seconds float64          `json:"seconds"`
}

// Figures are a plan in a line.
type Figures struct {
	Tasks     int       `json:"tasks"`
	Cells     int       `json:"cells"`
	LastBack  time.Time `json:"last_back"`
	CellHours float64   `json:"cell_hours"`
	Loss      float64   `json:"loss"` // weighted
}

// KasseHours is what a question means for one Kasse, in cell-hours.
type KasseHours struct {
	Kasse  catalogue.KasseID `json:"kasse"`
	Before float64           `json:"before"`
	After  float64           `json:"after"`
	Change float64           `json:"change"` // negative: less is lost
}

// Change is what the question means for all Kassen, in cell-hours; negative: less is lost.
func (a *Answer) Change() float64 { return a.After.CellHours - a.Before.CellHours }

// Moved are the Kassen for which the question makes a difference of at least half
// an hour, those that gain most first.
func (a *Answer) Moved() []KasseHours {
	return slices.DeleteFunc(slices.Clone(a.Kassen), KasseHours.same)
}

// Same are the others.
func (a *Answer) Same() []KasseHours {
	return slices.DeleteFunc(slices.Clone(a.Kassen), func(k KasseHours) bool { return !k.same() })
}

func (k KasseHours) same() bool { return math.Abs(k.Change) < 0.5 }

// Ask answers a question on the ground of the plan in force; a nil plan means
// that there is none yet.
func Ask(ctx context.Context, g Ground, inForce *Plan, w WhatIf, s Search) (*Answer, error) {
	changed, err := g.with(w)
	if err != nil {
		return nil, err
	}
	return compared(ctx, g, changed, inForce, s)
}

// AskTerms answers what other terms would mean.
func AskTerms(ctx context.Context, g Ground, inForce *Plan, t Terms, s Search) (*Answer, error) {
	changed := g
	changed.Terms = t
	return compared(ctx, g, changed, inForce, s)
}

func compared(ctx context.Context, g, changed Ground, inForce *Plan, s Search) (*Answer, error) {
	began := time.Now()
	a, err := again(ctx, g, inForce, nil, s)
	if err != nil {
		return nil, err
	}
	b, err := again(ctx, changed, inForce, a, s)
	if err != nil {
		return nil, fmt.Errorf("if that were so: %w", err)
	}
	out := &Answer{Before: a.Figures(), After: b.Figures(), Plan: b}
	before, after := a.Hours(&a.Schedule), b.Hours(&b.Schedule)
	end := max(a.Schedule.Makespan, b.Schedule.Makespan) - a.Slot(g.Now)
	had := a.noWay(g.Catalogue)
	for _, cell := range b.noWay(g.Catalogue) {
		if !slices.Contains(had, cell) {
			out.NoWay = append(out.NoWay, cell)
			after[cell.Kasse] += float64(end) // away for as long as the whole way takes
		}
	}
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, k := range slices.Sorted(maps.Keys(names)) {
		out.Kassen = append(out.Kassen, KasseHours{k, before[k], after[k], after[k] - before[k]})
	}
	out.After.CellHours = TotalHours(after)
	slices.SortStableFunc(out.Kassen, func(x, y KasseHours) int {
		switch {
		case x.Change < y.Change:
			return -1
		case x.Change > y.Change:
			return 1
		}
		return 0
	})
	out.Seconds = time.Since(began).Seconds()
	return out, nil
}

// again plans from now on: what is under way stays, all else is free to move. The
// search begins at the plan near, so that chance does not make the difference.
func again(ctx context.Context, g Ground, inForce, near *Plan, s Search) (*Plan, error) {
	g.Terms.Stability = 0
	if inForce == nil {
		if near == nil {
			return Make(ctx, g, s)
		}
		return remake(ctx, g, near, nil, false, s)
	}
	g.LostSites = append(slices.Clone(g.LostSites), inForce.LostSites...)
	return remake(ctx, g, inForce, near, false, s)
}

// Figures are the plan in a line.
func (p *Plan) Figures() Figures {
	return p.figures(&p.Schedule, func(c CellBack) time.Time { return c.Back })
}

// ReportedFigures are those of "as reported".
func (p *Plan) ReportedFigures() Figures {
	return p.figures(&p.AsReported, func(c CellBack) time.Time { return c.Reported })
}

func (p *Plan) figures(s *schedule.Plan, back func(CellBack) time.Time) Figures {
	f := Figures{Tasks: len(p.Tasks), Loss: s.Loss, CellHours: TotalHours(p.Hours(s))}
	for _, c := range p.Cells() {
		f.Cells++
		f.LastBack = latestOf(f.LastBack, back(c))
	}
	return f
}

// noWay lists the cells none of whose sites returns or runs on.
func (p *Plan) noWay(c *catalogue.Catalogue) []catalogue.Cell {
	lost := map[string]bool{}
	for _, l := range p.Lost {
		lost[l.Node] = true
	}
	var out []catalogue.Cell
	for _, cell := range c.Cells() {
		if !slices.ContainsFunc(c.PlacementsOf(cell.Kasse, cell.Service), func(pl catalogue.Placement) bool { return !lost[string(pl.ID)] }) {
			out = append(out, cell)
		}
	}
	return out
}

// with is the ground as it would be.
func (g Ground) with(w WhatIf) (Ground, error) {
	out := g
	out.Terms.Teams = slices.Clone(g.Terms.Teams)
	for _, id := range slices.Sorted(maps.Keys(w.People)) {
		if err := out.staff(id, w.People[id]); err != nil {
			return out, err
		}
	}
	p := &out.Terms.Priorities
	p.Services = maps.Clone(p.Services)
	if p.Services == nil {
		p.Services = map[catalogue.ServiceID]float64{}
	}
	maps.Copy(p.Services, w.Services)
	p.First = append(slices.Clone(p.First), w.First...)
	for _, s := range w.Lost {
		if _, ok := g.Catalogue.Site(s); !ok {
			return out, fmt.Errorf("site %q is not in the catalogue", s)
		}
	}
	out.LostSites = append(slices.Clone(g.LostSites), w.Lost...)
	if err := p.In(g.Catalogue); err != nil {
		return out, err
	}
	if err := p.Check(); err != nil {
		return out, err
	}
	return out, out.revoke(w.Revoked)
}

// staff changes the people of a team, or of the delegates of all Kassen ("kassen").
func (g *Ground) staff(id string, more int) error {
	if id == "kassen" {
		g.Terms.Delegates += more
		return g.Terms.Check()
	}
	for i, t := range g.Terms.Teams {
		if t.ID != id {
			continue
		}
		t.Shifts = slices.Clone(t.Shifts)
		for k := range t.Shifts {
			t.Shifts[k].People += more
		}
		g.Terms.Teams[i] = t
		return t.check()
	}
	names := make([]string, 0, len(g.Terms.Teams)+1)
	for _, t := range g.Terms.Teams {
		names = append(names, t.ID)
	}
	return fmt.Errorf("team %q: %w (there are %s, and kassen for the delegates)", id, ErrNoTeam, strings.Join(names, ", "))
}

// revoke takes clearances away: what rests on them must be examined, rebuilt and
// brought back again.
func (g *Ground) revoke(subjects []string) error {
	s := g.Situation
	s.Down, s.Uncleared, s.Unrotated = maps.Clone(s.Down), maps.Clone(s.Uncleared), maps.Clone(s.Unrotated)
	for _, id := range subjects {
		var nodes []string
		for _, p := range g.Catalogue.PlacementsIn(catalogue.EnvironmentID(id)) {
			nodes = append(nodes, string(p.ID))
		}
		if _, ok := g.Catalogue.Component(catalogue.ComponentID(id)); ok {
			nodes = append(nodes, id)
		}
		if len(nodes) == 0 {
			return fmt.Errorf("%q is neither an environment (IK@site) nor a component of the catalogue", id)
		}
		s.Uncleared[id], s.Unrotated[id] = g.Now, true
		for _, n := range nodes {
			s.Down[n] = Down{Since: g.Now}
		}
	}
	g.Situation = s
	return nil
}
