package recovery

import (
	"math"
	"slices"
	"time"

	"leitstand/catalogue"
)

// BacklogRuns are the runs of a forecast.
type BacklogRuns struct {
	now   time.Time
	cells []BacklogCell
	runs  [][]worked
}

// foretell sums the runs of a cell up.
func (b BacklogRuns) foretell(c *BacklogCell, i int) {
	if c.Open == 0 && c.Inflow == 0 {
		return
	}
	work, done := make([]float64, backlogRuns), make([]float64, backlogRuns)
	for k, w := range b.runs[i] {
		work[k], done[k] = math.Max(0, w.done-w.begin), w.done
	}
	c.Work = &Hours{share50(work), share90(work)}
	c.Done = b.rangeOf(done, c.Begins.Known)
}

func (b BacklogRuns) rangeOf(done []float64, known bool) *BacklogRange {
	if !known {
		return nil
	}
	p50, p90 := share50(done), share90(done)
	if p90 >= farAhead {
		return nil // not within two years: that is no forecast
	}
	return &BacklogRange{b.after(p50), b.after(p90)}
}

func (b BacklogRuns) after(hours float64) time.Time {
	return b.now.Add(time.Duration(hours * float64(time.Hour))).Truncate(time.Minute).UTC()
}

func share50(v []float64) float64 { return quantile(v, 0.5) }

func share90(v []float64) float64 { return quantile(v, 0.9) }

// quantile sorts v.
func quantile(v []float64, q float64) float64 {
	slices.Sort(v)
	return v[min(len(v)-1, int(q*float64(len(v))))]
}

// Of is when everything of a service is worked off, how long that takes, and
// whether every beginning is known. A nil range has no date; nil hours: nothing waits.
func (b BacklogRuns) Of(s catalogue.ServiceID) (done *BacklogRange, work *Hours, known bool) {
	last, long := make([]float64, backlogRuns), make([]float64, backlogRuns)
	known, some := true, false
	for i, c := range b.cells {
		if c.Service != s || c.Work == nil {
			continue
		}
		some = true
		known = known && c.Begins.Known
		for k, w := range b.runs[i] {
			last[k], long[k] = math.Max(last[k], w.done), math.Max(long[k], w.done-w.begin)
		}
	}
	if !some {
		return nil, nil, true
	}
	return b.rangeOf(last, known), &Hours{share50(long), share90(long)}, known
}

// Curve is how many items of a service will be open from now until the time given.
func (b BacklogRuns) Curve(s catalogue.ServiceID, until time.Time) []Ahead {
	const points = 48
	out := make([]Ahead, points+1)
	open := make([]float64, backlogRuns)
	span := until.Sub(b.now).Hours()
	for p := range out {
		at := span * float64(p) / points
		clear(open)
		for i, c := range b.cells {
			if c.Service != s || c.Work == nil {
				continue
			}
			for k, w := range b.runs[i] {
				open[k] += c.openAt(w, at)
			}
		}
		out[p] = Ahead{b.after(at), share50(open), share90(open)}
	}
	return out
}

// openAt is what is open of a cell at a time of a run: it grows until the
// handover begins, and falls while people decide and systems take.
func (c *BacklogCell) openAt(w worked, at float64) float64 {
	people, transfer := float64(c.People), float64(c.Open-c.People)
	total := float64(c.Open) + c.Inflow/24*math.Min(at, w.begin)
	if c.Open > 0 {
		people, transfer = total*people/float64(c.Open), total*transfer/float64(c.Open)
	} else {
		people, transfer = 0, total
	}
	handed := passed(at, w.begin, w.end)
	decided := math.Min(passed(at, 0, w.people), 1)
	return transfer*(1-handed) + people*(1-math.Min(handed, decided))
}

// passed is how much of a span has passed.
func passed(at, from, until float64) float64 {
	if until <= from {
		if at >= until {
			return 1
		}
		return 0
	}
	return math.Max(0, math.Min(1, (at-from)/(until-from)))
}
