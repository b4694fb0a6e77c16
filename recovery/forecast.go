package recovery

import (
	"fmt"
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
	planned := map[catalogue.KasseID]time.Time{}
	for _, c := range back {
		span := s.Cells[c.cell]
		f.Cells = append(f.Cells, CellRange{c.Kasse, c.Service, Range{c.Back, p.At(span.P50), p.At(span.P90)}})
		planned[c.Kasse] = latestOf(planned[c.Kasse], c.Back)
		f.Last.Planned = latestOf(f.Last.Planned, c.Back)
	}
	f.Last.P50, f.Last.P90 = p.At(s.LastCell.P50), p.At(s.LastCell.P90)
	for _, g := range s.CellGroups {
		k := catalogue.KasseID(g.Group)
		f.Kassen = append(f.Kassen, KasseRange{k, Range{planned[k], p.At(g.Span.P50), p.At(g.Span.P90)}})
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
		if u.P90 == len(back) && u.Planned == len(back) && u.AsReported == len(back) {
			break // all are back: the rest is backlog
		}
	}
	return f, nil
}
