package recovery

import (
	"fmt"
	"slices"
	"time"

	"leitstand/catalogue"
	"leitstand/pure/schedule"
)

// Runs is how often a plan is played for a forecast.
const Runs = 2000

// Forecast says when things will be, as a range: by P50 in half of the runs, by
// P90 in nine of ten. There is never a single date.
type Forecast struct {
	Plan   string       `json:"plan"`
	Runs   int          `json:"runs"`
	Now    time.Time    `json:"now"`
	Last   Range        `json:"last_cell"` // until the last cell is back
	Kassen []KasseRange `json:"kassen"`    // until the last cell of each is back
	Cells  []CellRange  `json:"cells"`
	BurnUp []BurnUp     `json:"burn_up"`
	// Unfinished is in how many runs something was not done within the year that plans reach.
	Unfinished int `json:"unfinished"`
}

// Range is when something happens.
type Range struct {
	Planned time.Time `json:"planned"` // if nothing fails and everything takes what is most likely
	P50     time.Time `json:"p50"`
	P90     time.Time `json:"p90"`
}

// KasseRange is when all of a Kasse is back.
type KasseRange struct {
	Kasse catalogue.KasseID `json:"kasse"`
	Range
}

// CellRange is when a cell is back.
type CellRange struct {
	Kasse   catalogue.KasseID   `json:"kasse"`
	Service catalogue.ServiceID `json:"service"`
	Range
}

// BurnUp is how many cells are back at a time: by plan, as reported, and at least
// so many in half of the runs and in nine of ten.
type BurnUp struct {
	At         time.Time `json:"at"`
	Planned    int       `json:"planned"`
	AsReported int       `json:"as_reported"`
	P50        int       `json:"p50"`
	P90        int       `json:"p90"`
}

// Foretell plays a plan so many times (0: Runs) from now on, with drawn durations
// and failing examinations and tests. The same plan, time and seed give the same.
func Foretell(p *Plan, now time.Time, runs int, seed uint64) (*Forecast, error) {
	if runs <= 0 {
		runs = Runs
	}
	slot := max(0, p.Slot(now))
	o := schedule.ForecastOptions{Runs: runs, Seed: seed, Now: slot}
	back := p.Cells()
	for _, c := range back {
		o.Count = append(o.Count, c.cell)
	}
	s, err := schedule.Simulate(&p.Problem, &p.Schedule, o)
	if err != nil {
		return nil, fmt.Errorf("forecast of plan %q: %w", p.ID, err)
	}
	f := &Forecast{Plan: p.ID, Runs: s.Runs, Now: p.At(slot), Unfinished: s.Unfinished, Kassen: []KasseRange{}, Cells: []CellRange{}, BurnUp: []BurnUp{}}
	kassen := map[catalogue.KasseID]*Range{}
	var order []catalogue.KasseID
	for _, c := range back {
		span := s.Cells[c.cell]
		r := Range{Planned: c.Back, P50: p.At(span.P50), P90: p.At(span.P90)}
		f.Cells = append(f.Cells, CellRange{c.Kasse, c.Service, r})
		if kassen[c.Kasse] == nil {
			kassen[c.Kasse] = &Range{}
			order = append(order, c.Kasse)
		}
		kassen[c.Kasse].last(r)
		f.Last.last(r)
	}
	slices.Sort(order)
	for _, k := range order {
		f.Kassen = append(f.Kassen, KasseRange{k, *kassen[k]})
	}
	for _, b := range s.Back {
		u := BurnUp{At: p.At(b.Slot), P50: b.P50, P90: b.P90}
		for _, c := range back {
			if !c.Back.After(u.At) {
				u.Planned++
			}
			if !c.Reported.After(u.At) {
				u.AsReported++
			}
		}
		f.BurnUp = append(f.BurnUp, u)
	}
	return f, nil
}

// last makes a range reach as far as another. The latest of several percentiles
// is no later than the percentile of the latest: what is told is the least that
// must be reckoned with.
func (r *Range) last(o Range) {
	if o.Planned.After(r.Planned) {
		r.Planned = o.Planned
	}
	if o.P50.After(r.P50) {
		r.P50 = o.P50
	}
	if o.P90.After(r.P90) {
		r.P90 = o.P90
	}
}
