package sigma

import (
	"fmt"
	"testing"
	"time"
)

// TestHalfOfALimitIsReportedOnceAndOnlyWhenAskedFor counts to ten twice, with a
// correlation above it that must not see what came early.
func TestHalfOfALimitIsReportedOnceAndOnlyWhenAskedFor(t *testing.T) {
	eng := corrEngine(t, `
title: many
name: many
correlation: {type: event_count, rules: [a], group-by: [user], timespan: 60s, condition: {gte: 9}, generate: true}
---
title: different
correlation: {type: value_count, rules: [b], group-by: [user], timespan: 60s, condition: {field: v, gt: 3}}
---
title: two
correlation: {type: event_count, rules: [a], group-by: [user], timespan: 1h, condition: {gte: 2}}
---
title: few
correlation: {type: event_count, rules: [a], group-by: [user], timespan: 60s, condition: {lt: 9}}
---
title: above
correlation: {type: event_count, rules: [many], group-by: [user], timespan: 1h, condition: {gte: 1}}
`)
	c, m, ev := eng.NewCorrelator(CorrelatorOptions{Early: true}), eng.NewMatcher(), eng.NewEvent()
	start := time.Date(2023, 4, 26, 8, 0, 0, 0, time.UTC)
	var got []string
	feed := func(c *Correlator, second int, kind, value string) {
		ev.Reset()
		ev.Time = start.Add(time.Duration(second) * time.Second)
		ev.Add("kind", kind)
		ev.Add("user", "eva")
		ev.Add("v", value)
		m.Match(ev)
		for _, f := range c.Observe(ev, m.All(), fmt.Sprint(second)) {
			got = append(got, fmt.Sprintf("%d %s %g %v", second, f.Rule.Title, f.Count, f.Early))
		}
	}
	check := func(want ...string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		got = nil
	}
	for i := range 10 {
		feed(c, i, "a", "")
	}
	check("1 two 2 false", "4 many 5 true", "8 many 9 false", "8 above 1 false")
	for i := range 5 {
		feed(c, 20+i, "b", fmt.Sprint(i))
	}
	check("21 different 2 true", "23 different 4 false")
	if s := c.Stats(); s.Fired != 4 {
		t.Errorf("what came early counts as fired: %d", s.Fired)
	}
	// A restart in between repeats nothing; after the timespan it is news again.
	for i := range 5 {
		feed(c, 200+i, "a", "")
	}
	check("204 many 5 true")
	data, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c = eng.NewCorrelator(CorrelatorOptions{Early: true})
	if _, err := c.Restore(data); err != nil {
		t.Fatal(err)
	}
	feed(c, 206, "a", "")
	check()
	off := eng.NewCorrelator(CorrelatorOptions{})
	for i := range 6 {
		feed(off, 400+i, "a", "")
	}
	check("401 two 2 false")
}
