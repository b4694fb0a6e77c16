package room

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/warning"
)

// Observed is an environment that the early warning watches more closely, for a
// step of the plan or after switch-back.
type Observed struct {
	Environment catalogue.EnvironmentID `json:"environment"`
	Kasse       catalogue.KasseID       `json:"kasse"`
	Step        string                  `json:"step,omitempty"`     // that observes it
	Services    []catalogue.ServiceID   `json:"services,omitempty"` // back in regular operation, observed after it
	Since       time.Time               `json:"since"`
	Until       time.Time               `json:"until"`   // at least
	Lasted      bool                    `json:"lasted"`  // as long as agreed; it ends on a person's word
	Open        []warning.Signal        `json:"open"`    // since then, undecided
	Decided     int                     `json:"decided"` // signals since then
}

// observedNow lists what is under observation, what has something open first.
func observedNow(ctx context.Context, r *Room, _ none) ([]Observed, error) {
	out, err := r.observedSteps(ctx)
	if err != nil {
		return nil, err
	}
	out = append(out, r.observedBack()...)
	signals, err := warning.List(ctx, r.Store)
	if err != nil {
		return nil, err
	}
	now := r.Now()
	for i := range out {
		o := &out[i]
		o.Kasse, _, _ = o.Environment.Split()
		o.Lasted, o.Open = !now.Before(o.Until), []warning.Signal{}
		for _, s := range signals {
			switch {
			case s.Environment != o.Environment || s.Last.Before(o.Since):
			case s.State == warning.Open || s.State == warning.Acknowledged:
				o.Open = append(o.Open, s)
			default:
				o.Decided++
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Observed) int {
		if n := len(b.Open) - len(a.Open); n != 0 {
			return n
		}
		if n := a.Until.Compare(b.Until); n != 0 {
			return n
		}
		return strings.Compare(string(a.Environment)+a.Step, string(b.Environment)+b.Step)
	})
	return out, nil
}

func (r *Room) observedSteps(ctx context.Context) ([]Observed, error) {
	steps, err := recovery.Steps(ctx, r.Store)
	if err != nil {
		return nil, err
	}
	out := []Observed{}
	for _, s := range steps {
		if s.State != recovery.StepStarted {
			continue
		}
		for _, e := range s.Watched {
			out = append(out, Observed{Environment: e, Step: s.ID, Since: s.StartedAt, Until: s.Until})
		}
	}
	return out, nil
}

// observedBack are the environments with services that came back, until a person
// ends their observation.
func (r *Room) observedBack() []Observed {
	state := r.Operation.Current()
	long := state.Settings().Observation
	by := map[catalogue.EnvironmentID]*Observed{}
	for _, row := range state.Placements() {
		p, ok := r.Catalogue.Placement(row.ID)
		if !ok || row.Emergency != operation.Closed {
			continue
		}
		o := by[p.Environment]
		if o == nil {
			o = &Observed{Environment: p.Environment, Since: row.ObserveUntil.Add(-long), Until: row.ObserveUntil}
			by[p.Environment] = o
		}
		o.Services = append(o.Services, p.Service)
		if since := row.ObserveUntil.Add(-long); since.Before(o.Since) {
			o.Since = since
		}
		if row.ObserveUntil.After(o.Until) {
			o.Until = row.ObserveUntil
		}
	}
	out := make([]Observed, 0, len(by))
	for _, e := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[e].Services)
		out = append(out, *by[e])
	}
	return out
}

// watched tells the early warning what is under observation, and for what.
func (r *Room) watched(ctx context.Context, q db.Querier) (warning.Watched, error) {
	out, err := recovery.Watched(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, o := range r.observedBack() {
		if _, ok := out[o.Environment]; !ok {
			out[o.Environment] = "nach Rückführung"
		}
	}
	return out, nil
}
