package recovery

import (
	"time"

	"leitstand/emergency"
)

// BacklogPast is how a backlog stood at the end of a span: an hour when it began
// less than a week ago, else a day in the zone of plans.
type BacklogPast struct {
	At   time.Time `json:"at"` // end of the span
	In   int64     `json:"in"`
	Out  int64     `json:"out"`
	Open int64     `json:"open"`
}

// PastOf adds flows up to a curve that begins empty and ends now. Spans in which
// nothing happened are left out after the first of them.
func PastOf(flows []emergency.Flow, now time.Time, zone *time.Location) []BacklogPast {
	if len(flows) == 0 {
		return nil
	}
	first := flows[0].Hour
	for _, f := range flows {
		if f.Hour.Before(first) {
			first = f.Hour
		}
	}
	ends := func(t time.Time) time.Time { return t.Truncate(time.Hour).Add(time.Hour) }
	if now.Sub(first) > 7*24*time.Hour {
		ends = func(t time.Time) time.Time {
			l := t.In(zone)
			return time.Date(l.Year(), l.Month(), l.Day()+1, 0, 0, 0, 0, zone).UTC()
		}
	}
	in, out := map[time.Time]int64{}, map[time.Time]int64{}
	last := now
	for _, f := range flows {
		in[ends(f.Hour)] += f.In
		out[ends(f.Hour)] += f.Out
		if f.Hour.After(last) {
			last = f.Hour
		}
	}
	curve := []BacklogPast{{At: first}}
	for at := ends(first); ; at = ends(at) {
		prev := curve[len(curve)-1]
		p := BacklogPast{At: at, In: in[at], Out: out[at], Open: prev.Open + in[at] - out[at]}
		if n := len(curve); p.In == 0 && p.Out == 0 && n > 1 && prev.In == 0 && prev.Out == 0 {
			curve[n-1].At = at // it stays as it is
		} else {
			curve = append(curve, p)
		}
		if at.After(last) {
			curve[len(curve)-1].At = last
			return curve
		}
	}
}
