package recovery

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
)

// BacklogCell is what waits for one Kasse and service.
type BacklogCell struct {
	Kasse    catalogue.KasseID   `json:"kasse"`
	Service  catalogue.ServiceID `json:"service"`
	Group    string              `json:"group"`
	Rank     int                 `json:"rank"`
	Open     int64               `json:"open"`
	People   int64               `json:"people"`   // of Open: somebody looks at each
	Transfer int64               `json:"transfer"` // of Open: only has to be handed over
	Rejected int64               `json:"rejected"` // settled, lies with its owner
	Accepted int64               `json:"accepted"`
	Inflow   float64             `json:"inflow"` // items a day that still come in
	Taking   bool                `json:"taking"` // emergency operation takes items
	Begins   Begins              `json:"begins"`
	Speeds   []float64           `json:"-"` // measured, items an hour; none: as the terms say
	Measured bool                `json:"measured"`
	Done     *BacklogRange       `json:"done,omitempty"` // nil while the beginning is unknown
	Work     *Hours              `json:"work,omitempty"` // from the beginning of the handover until all is worked off
}

// Begins is when handing over begins. Unknown is the zero value.
type Begins struct {
	Known bool      `json:"known"`
	Why   string    `json:"why,omitempty"` // German: where the time comes from, or why there is none
	P50   time.Time `json:"p50,omitzero"`
	P90   time.Time `json:"p90,omitzero"`
}

// BacklogRange is when something is worked off: by P50 in half of the runs, by
// P90 in nine of ten. Never a single date.
type BacklogRange struct {
	P50 time.Time `json:"p50"`
	P90 time.Time `json:"p90"`
}

// Hours is how long something takes.
type Hours struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
}

// Words says it in German, such as "2,5 h (P50) bis 3 Tage (P90)".
func (h Hours) Words() string { return hoursText(h.P50) + " (P50) bis " + hoursText(h.P90) + " (P90)" }

func hoursText(h float64) string {
	switch {
	case h < 1:
		return fmt.Sprintf("%.0f min", math.Max(1, math.Ceil(h*60)))
	case h < 72:
		return strings.Replace(fmt.Sprintf("%.1f h", h), ".", ",", 1)
	}
	return fmt.Sprintf("%.0f Tage", h/24)
}

// Ahead is how many items will be open at a time: at most so many in half of the
// runs, and in nine of ten.
type Ahead struct {
	At  time.Time `json:"at"`
	P50 float64   `json:"p50"`
	P90 float64   `json:"p90"`
}

// worked is one run of one cell, in hours from now.
type worked struct{ begin, end, people, done float64 }

// backlogRuns is how often a backlog is worked off for a forecast.
const backlogRuns = Runs

// farAhead bounds every forecast: what takes longer than two years is not foretold.
const farAhead = 2 * 365 * 24.0

// BacklogForecast works off what waits, many times, with drawn speeds and
// beginnings. The people of a Kasse decide its cases in the order of the terms;
// its systems take the more urgent service first. The same input and seed give
// the same. It fills Done and Work of the cells and returns the runs for curves.
func BacklogForecast(t BacklogTerms, cells []BacklogCell, now time.Time, zone *time.Location, seed uint64) BacklogRuns {
	rng := rand.New(rand.NewPCG(seed, 11)) //nolint:gosec // a simulation, not a secret
	out := BacklogRuns{now: now, cells: cells, runs: make([][]worked, len(cells))}
	for i := range out.runs {
		out.runs[i] = make([]worked, backlogRuns)
	}
	byKasse := map[catalogue.KasseID][]int{}
	var kassen []catalogue.KasseID
	for i, c := range cells {
		if byKasse[c.Kasse] == nil {
			kassen = append(kassen, c.Kasse)
		}
		byKasse[c.Kasse] = append(byKasse[c.Kasse], i)
	}
	daysOf := map[catalogue.Land][]float64{}
	for _, k := range kassen {
		of, land := byKasse[k], t.landOf(k)
		if daysOf[land] == nil {
			daysOf[land] = workingHours(t.Days, land, now, zone)
		}
		days := daysOf[land]
		slices.SortStableFunc(of, func(a, b int) int { return cmp.Compare(cells[a].Rank, cells[b].Rank) })
		for run := range backlogRuns {
			workOff(rng, t, cells, of, days, now, func(i int, w worked) { out.runs[i][run] = w })
		}
	}
	for i := range cells {
		out.foretell(&cells[i], i)
	}
	return out
}

// workOff plays one run of one Kasse.
func workOff(rng *rand.Rand, t BacklogTerms, cells []BacklogCell, of []int, days []float64, now time.Time, put func(i int, w worked)) {
	perDay := t.Clerks.draw(rng)
	type load struct{ start, people, transfer, rate float64 }
	loads := make(map[int]load, len(of))
	for _, i := range of {
		c := &cells[i]
		l := load{start: c.Begins.draw(rng, now), rate: t.Transfer.draw(rng)}
		if len(c.Speeds) > 0 {
			l.rate = c.Speeds[rng.IntN(len(c.Speeds))]
		}
		share := 0.0
		if c.Open > 0 {
			share = float64(c.People) / float64(c.Open)
		}
		coming := c.Inflow / 24 * l.start
		l.people, l.transfer = float64(c.People)+coming*share, float64(c.Open)+coming // what people decided is handed over, too
		loads[i] = l
	}
	decided := make(map[int]float64, len(of))
	cases := 0.0
	for _, i := range of { // people take the more urgent first
		cases += loads[i].people
		decided[i] = 0
		if loads[i].people > 0 {
			decided[i] = afterWork(days, cases/perDay)
		}
	}
	left := slices.Clone(of)
	for at := 0.0; len(left) > 0; {
		next := slices.IndexFunc(left, func(i int) bool { return loads[i].start <= at })
		if next < 0 {
			for _, i := range left {
				if next < 0 || loads[i].start < loads[left[next]].start {
					next = slices.Index(left, i)
				}
			}
			at = loads[left[next]].start
		}
		i := left[next]
		left = slices.Delete(left, next, next+1)
		w := worked{begin: at, end: math.Min(farAhead, at+loads[i].transfer/loads[i].rate), people: math.Min(farAhead, decided[i])}
		w.done = math.Max(w.end, w.people)
		at = w.end
		put(i, w)
	}
}

// draw is a drawing from the triangle of an estimate.
func (t Throughput) draw(rng *rand.Rand) float64 {
	u, span := rng.Float64(), t.High-t.Low
	if span <= 0 {
		return t.Likely
	}
	if f := (t.Likely - t.Low) / span; u < f {
		return t.Low + math.Sqrt(u*span*(t.Likely-t.Low))
	}
	return t.High - math.Sqrt((1-u)*span*(t.High-t.Likely))
}

// draw is when handing over begins in one run, in hours from now: evenly up to
// the median, and beyond it as the distance to P90 says. Unknown counts from now.
func (b Begins) draw(rng *rand.Rand, now time.Time) float64 {
	if !b.Known {
		return 0
	}
	p50, p90 := math.Max(0, b.P50.Sub(now).Hours()), math.Max(0, b.P90.Sub(now).Hours())
	if p90 <= p50 {
		return p50
	}
	u := rng.Float64()
	slope := (p90 - p50) / 0.4
	return math.Max(0, p50+(u-0.5)*slope)
}

// clerksFrom and clerksUntil are the hours in which people decide cases.
const clerksFrom, clerksUntil = 8.0, 17.0

// workingHours are the beginnings of working days, in hours from now, until the
// bound of forecasts; that of today may lie before now. Holidays are none.
func workingHours(days string, land catalogue.Land, now time.Time, zone *time.Location) []float64 {
	l := now.In(zone)
	var out []float64
	for d := 0; ; d++ {
		day := time.Date(l.Year(), l.Month(), l.Day()+d, int(clerksFrom), 0, 0, 0, zone)
		at := day.Sub(now).Hours()
		if at > farAhead {
			return out
		}
		_, off := catalogue.Holiday(day, land)
		if wd := (int(day.Weekday()) + 6) % 7; !off && at > -(clerksUntil-clerksFrom) && containsDigit(days, wd+1) {
			out = append(out, at)
		}
	}
}

func containsDigit(days string, n int) bool {
	for _, d := range days {
		if int(d-'0') == n {
			return true
		}
	}
	return false
}

// afterWork is when so many days' worth of work is done.
func afterWork(days []float64, n float64) float64 {
	for _, begin := range days {
		from := math.Max(0, begin)
		part := (begin + clerksUntil - clerksFrom - from) / (clerksUntil - clerksFrom)
		if n <= part {
			return from + n*(clerksUntil-clerksFrom)
		}
		n -= part
	}
	return farAhead
}
