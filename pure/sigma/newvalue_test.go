package sigma

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const firstSeen = `
title: First
correlation: {type: new_value, rules: [a], group-by: [user], timespan: 1h, condition: {field: v, learn: 1m}}
`

func TestNewValueTellsWhatAGroupHasNotShownBefore(t *testing.T) {
	got := play(t, corrEngine(t, firstSeen), CorrelatorOptions{}, `
		0 a anna home
		10 a anna office
		70 a anna home
		80 a anna abroad
		81 a anna elsewhere
		82 a anna abroad
		90 a berta abroad
		3640 a anna office
		3691 a anna abroad
		7400 a anna home
	`, false)
	want := []string{
		"80 First anna 1", "81 First anna 1", // each for itself; office was learned in the first minute
		"3640 First anna 1", "3691 First anna 1", // not seen for more than an hour; at 7400 nothing is known any more
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestNewValueNamesOnlyTheNewEventAndOutlivesARestart(t *testing.T) {
	eng := corrEngine(t, firstSeen)
	c := eng.NewCorrelator(CorrelatorOptions{})
	m, ev := eng.NewMatcher(), eng.NewEvent()
	see := func(sec int, value, ref string) []Fired {
		ev.Reset()
		ev.Sources = append(ev.Sources, Logsource{Product: "x"})
		ev.Time = time.Date(2023, 4, 26, 8, 0, sec, 0, time.UTC)
		ev.Add("kind", "a")
		ev.Add("user", "anna")
		ev.Add("v", value)
		m.Match(ev)
		return c.Observe(ev, m.All(), ref)
	}
	see(0, "home", "one")
	see(100, "home", "two")
	data, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c = eng.NewCorrelator(CorrelatorOptions{})
	if left, err := c.Restore(data); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	if f := see(200, "home", "three"); len(f) != 0 {
		t.Errorf("what was known is new after a restart: %+v", f)
	}
	f := see(300, "abroad", "four")
	if len(f) != 1 || len(f[0].Refs) != 1 || f[0].Refs[0] != "four" {
		t.Errorf("got %+v, want one with the new event alone", f)
	}
}

func TestNewValueDoesNotDependOnHowOftenTheTimeIsTold(t *testing.T) {
	run := func(told bool) (fired []string) {
		eng := corrEngine(t, firstSeen)
		c, m, ev := eng.NewCorrelator(CorrelatorOptions{}), eng.NewMatcher(), eng.NewEvent()
		for i, sec := range []int{0, 90, 9000, 9010, 9100} {
			ev.Reset()
			ev.Time = time.Unix(int64(1e9+sec), 0)
			ev.Add("kind", "a")
			ev.Add("user", "anna")
			ev.Add("v", string(rune('a'+i)))
			if told {
				c.Advance(ev.Time)
			}
			m.Match(ev)
			for _, f := range c.Observe(ev, m.All(), ev.Time.String()) {
				fired = append(fired, f.Last.Sub(time.Unix(1e9, 0)).String())
			}
		}
		return fired
	}
	want := []string{"1m30s", "2h31m40s"} // at 9010 the group, forgotten long ago, learns again
	for _, told := range []bool{false, true} {
		if d := cmp.Diff(want, run(told)); d != "" {
			t.Errorf("told %v (-want +got)\n%s", told, d)
		}
	}
}
