package exercise

import (
	"errors"
	"math/rand/v2"
	"sort"
	"time"
)

// Weights of sick notes over a week and a day. Assumed: Monday carries most
// (facts: Monday of a peak month about 1.6 times an average day, the busiest
// hour a fifth of a day), evenings carry what practices sign in stacks.
var (
	dayWeight  = [7]float64{time.Sunday: 0.03, time.Monday: 1.6, time.Tuesday: 1.1, time.Wednesday: 0.85, time.Thursday: 0.95, time.Friday: 0.7, time.Saturday: 0.06}
	hourWeight = [24]float64{6: 0.5, 7: 3, 8: 14, 9: 20, 10: 17, 11: 12, 12: 6, 13: 3, 14: 5, 15: 7, 16: 6, 17: 4, 18: 5, 19: 4, 20: 2, 21: 0.5}
)

// curve spreads moments over a span of time as practices work.
type curve struct {
	starts []time.Time // of each hour
	cum    []float64   // weight up to the end of each hour
	until  time.Time
}

// newCurve reads days and hours in the zone of from. Holidays (YYYY-MM-DD) are like Sundays.
func newCurve(from, until time.Time, holidays []string) (*curve, error) {
	if !from.Before(until) {
		return nil, errors.New("the exercise ends before it begins")
	}
	free := make(map[string]bool, len(holidays))
	for _, h := range holidays {
		free[h] = true
	}
	c := &curve{until: until}
	sum := 0.0
	for at := from; at.Before(until); {
		next := at.Truncate(time.Hour).Add(time.Hour) // zones here are whole hours
		if next.After(until) {
			next = until
		}
		day := at.Weekday()
		if free[at.Format(time.DateOnly)] {
			day = time.Sunday
		}
		// A trickle at all hours: emergency services work at night, too.
		sum += dayWeight[day] * (hourWeight[at.Hour()] + 0.1) * next.Sub(at).Hours()
		c.starts, c.cum = append(c.starts, at), append(c.cum, sum)
		at = next
	}
	return c, nil
}

// draw picks a moment, to the second.
func (c *curve) draw(r *rand.Rand) time.Time {
	i := sort.SearchFloat64s(c.cum, r.Float64()*c.cum[len(c.cum)-1])
	i = min(i, len(c.starts)-1)
	end := c.until
	if i+1 < len(c.starts) {
		end = c.starts[i+1]
	}
	return c.starts[i].Add(time.Duration(r.Int64N(int64(end.Sub(c.starts[i])))).Truncate(time.Second))
}
