package sigma

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const baseRules = `
title: A
name: a
logsource: {product: x}
detection: {s: {kind: a}, condition: s}
---
title: B
name: b
logsource: {product: x}
detection: {s: {kind: b}, condition: s}
---
title: C
name: c
logsource: {product: x}
detection: {s: {kind: c}, condition: s}
---
`

func corrEngine(t *testing.T, yaml string) *Engine {
	t.Helper()
	set, problems := ParseRules([]File{{Name: "c.yml", Data: []byte(baseRules + yaml)}})
	for _, p := range problems {
		t.Fatal(p)
	}
	eng, _ := Compile(set, Options{})
	return eng
}

// play feeds events "second kind user value" and returns "second title key count".
func play(t *testing.T, eng *Engine, opt CorrelatorOptions, script string, flush bool) []string {
	t.Helper()
	c, m, ev := eng.NewCorrelator(opt), eng.NewMatcher(), eng.NewEvent()
	start := time.Date(2023, 4, 26, 8, 0, 0, 0, time.UTC)
	var out []string
	note := func(fired []Fired) {
		for _, f := range fired {
			key := ""
			for _, kv := range f.GroupBy {
				key += kv.Value + " "
			}
			out = append(out, fmt.Sprintf("%.0f %s %s%.4g", f.Last.Sub(start).Seconds(), f.Rule.Title, key, f.Count))
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(script), "\n") {
		var sec float64
		var kind, user, value string
		if _, err := fmt.Sscan(line, &sec, &kind, &user, &value); err != nil && kind == "" {
			t.Fatal(err)
		}
		ev.Reset()
		ev.Time = start.Add(time.Duration(sec * float64(time.Second)))
		ev.Add("kind", kind)
		if user != "" {
			ev.Add("user", user)
			ev.Add("owner", user)
		}
		if value != "" {
			ev.Add("v", value)
		}
		m.Match(ev)
		note(c.Observe(ev, m.All(), line))
	}
	if flush {
		note(c.Flush())
	}
	return out
}

func TestCorrelations(t *testing.T) {
	for _, tc := range []struct {
		name, rule, script string
		flush              bool
		want               []string
	}{
		{
			"event_count counts within a sliding timespan and by group",
			"title: X\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: 3}}",
			"0 a u\n5 a U\n11 a u\n12 a v\n12 a u\n13 a u\n", false,
			[]string{"12 X u 3"},
		},
		{
			"it fires again only after it was false, or a timespan later",
			"title: X\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			"0 a u\n1 a u\n2 a u\n3 a u\n12 a u\n50 a u\n51 a u", false,
			[]string{"1 X u 2", "12 X u 3", "51 X u 2"},
		},
		{
			"an upper limit is judged when the window is over",
			"title: X\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: 2, lt: 4}}",
			"0 a u\n1 a u\n2 a u\n20 a u\n21 a v\n22 a v\n23 a v\n24 a v", true,
			[]string{"2 X u 3"},
		},
		{
			"value_count counts distinct values",
			"title: X\ncorrelation: {type: value_count, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gt: 2}}",
			"0 a u 1\n1 a u 1\n2 a u 2\n3 a u 2\n4 a u 3\n15 a u 4", false,
			[]string{"4 X u 3"},
		},
		{
			"value_count forgets values not seen for a timespan",
			"title: X\ncorrelation: {type: value_count, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gte: 3}}",
			"0 a u 1\n8 a u 1\n9 a u 2\n17 a u 3", false,
			[]string{"17 X u 3"},
		},
		{
			"temporal wants all rules in any order",
			"title: X\ncorrelation: {type: temporal, rules: [a, b, c], group-by: [user], timespan: 10s}",
			"0 c u\n4 a u\n5 b v\n12 b u\n13 c u\n", false,
			[]string{"13 X u 3"},
		},
		{
			"temporal with a number wants that many of the rules",
			"title: X\ncorrelation: {type: temporal, rules: [a, b, c], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			"0 c u\n1 a u", false,
			[]string{"1 X u 2"},
		},
		{
			"temporal_ordered wants the order",
			"title: X\ncorrelation: {type: temporal_ordered, rules: [a, b], group-by: [user], timespan: 10s}",
			"0 b u\n1 a u\n5 b u\n40 a u\n55 b u", false,
			[]string{"5 X u 2"},
		},
		{
			"temporal_ordered takes the latest start",
			"title: X\ncorrelation: {type: temporal_ordered, rules: [a, b, c], group-by: [user], timespan: 10s}",
			"0 a u\n6 a u\n7 b u\n14 c u", false,
			[]string{"14 X u 3"},
		},
		{
			"extended condition with not is judged at the end",
			"title: X\ncorrelation: {type: temporal, rules: [a, b], group-by: [user], timespan: 10s, condition: a and not b}",
			"0 a u\n1 b u\n2 a v\n30 a u", true,
			[]string{"2 X v 1", "30 X u 1"},
		},
		{
			"value_sum", "title: X\ncorrelation: {type: value_sum, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gt: 100}}",
			"0 a u 60\n5 a u 40\n9 a u 1\n30 a u 90", false,
			[]string{"9 X u 101"},
		},
		{
			"value_avg", "title: X\ncorrelation: {type: value_avg, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gte: 50}}",
			"0 a u 20\n5 a u 60\n9 a u 70", false,
			[]string{"9 X u 50"},
		},
		{
			"value_percentile with percentile is that of the numbers",
			"title: X\ncorrelation: {type: value_percentile, rules: [a], group-by: [user], timespan: 1m, condition: {field: v, percentile: 50, gt: 10}}",
			"0 a u 1\n1 a u 12\n2 a u 14", false,
			[]string{"2 X u 12"},
		},
		{
			"value_percentile without is the share of the value, judged at the end for an upper limit",
			"title: X\ncorrelation: {type: value_percentile, rules: [a], group-by: [user], timespan: 1m, condition: {field: v, lte: 30}}",
			"0 a u x\n1 a u x\n2 a u x\n3 a u y", true,
			[]string{"3 X u 25"},
		},
		{
			"correlations chain",
			"title: Many\nname: many\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: 3}}\n---\ntitle: X\ncorrelation: {type: temporal_ordered, rules: [many, b], group-by: [user], timespan: 1m}",
			"0 a u\n1 a u\n2 b u\n3 a u\n20 b u\n21 b v", false,
			[]string{"3 Many u 3", "20 X u 2"},
		},
		{
			"aliases give a field another name for each rule",
			"title: X\ncorrelation: {type: temporal, rules: [a, b], group-by: [who], timespan: 10s, aliases: {who: {a: user, b: owner}}}",
			"0 a u\n1 b v\n2 b u", false,
			[]string{"2 X u 2"},
		},
		{
			"neq is judged when the window is over",
			"title: X\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {neq: 2}}",
			"0 a u\n1 a u\n2 a v\n3 a w\n4 a w\n5 a w", true,
			[]string{"2 X v 1", "5 X w 3"},
		},
		{
			"eq is judged when the window is over",
			"title: X\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {eq: 2}}",
			"0 a u\n1 a u\n2 a v\n3 a w\n4 a w\n5 a w", true,
			[]string{"1 X u 2"},
		},
		{
			"a range leaves out what is above it",
			"title: X\ncorrelation: {type: value_count, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gt: 1, lte: 2}}",
			"0 a u 1\n1 a u 2\n2 a v 1\n3 a w 1\n4 a w 2\n5 a w 3", true,
			[]string{"1 X u 2"},
		},
		{
			"without group-by all events are one group",
			"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 10s, condition: {gte: 3}}",
			"0 a u\n1 a v\n2 a", false,
			[]string{"2 X 3"},
		},
		{
			"several group-by fields are one key",
			"title: X\ncorrelation: {type: event_count, rules: [a], group-by: [user, v], timespan: 10s, condition: {gte: 2}}",
			"0 a u 1\n1 a u 2\n2 a v 1\n3 a u 2", false,
			[]string{"3 X u 2 2"},
		},
		{
			"several rules count together",
			"title: X\ncorrelation: {type: event_count, rules: [a, b], group-by: [user], timespan: 10s, condition: {gte: 3}}",
			"0 a u\n1 b u\n2 c u\n3 a u", false,
			[]string{"3 X u 3"},
		},
		{
			"several fields of value_count are one value",
			"title: X\ncorrelation: {type: value_count, rules: [a], group-by: [kind], timespan: 10s, condition: {field: [user, v], gte: 3}}",
			"0 a u 1\n1 a u 1\n2 a v 1\n3 a v\n4 a v 2", false,
			[]string{"4 X a 3"},
		},
		{
			"the timespan is inclusive",
			"title: X\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			"0 a u\n10 a u\n20.001 a u", false,
			[]string{"10 X u 2"},
		},
		{
			"temporal with an upper limit is judged at the end",
			"title: X\ncorrelation: {type: temporal, rules: [a, b], group-by: [user], timespan: 10s, condition: {lt: 2}}",
			"0 a u\n1 b u\n2 a v", true,
			[]string{"2 X v 1"},
		},
		{
			"temporal counts rules, not events",
			"title: X\ncorrelation: {type: temporal, rules: [a, b], group-by: [user], timespan: 10s}",
			"0 a u\n1 a u\n2 a u", true, nil,
		},
		{
			"temporal_ordered with a number wants that many from the first on",
			"title: X\ncorrelation: {type: temporal_ordered, rules: [a, b, c], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			"0 b u\n1 c u\n20 a v\n21 c v\n40 a w\n41 b w", false,
			[]string{"41 X w 2"},
		},
		{
			"extended condition with or",
			"title: X\ncorrelation: {type: temporal, rules: [a, b, c], group-by: [user], timespan: 10s, condition: a and (b or c)}",
			"0 b u\n1 c u\n2 a u\n3 a v", false,
			[]string{"2 X u 3"},
		},
		{
			"an extended condition names its rules itself",
			"title: X\ncorrelation: {type: temporal, group-by: [user], timespan: 10s, condition: a and (b or c)}",
			"0 a u\n1 b v\n2 c u", false,
			[]string{"2 X u 2"},
		},
		{
			"extended condition in order",
			"title: X\ncorrelation: {type: temporal_ordered, rules: [a, b], group-by: [user], timespan: 10s, condition: a and b}",
			"0 b u\n1 a u\n20 a v\n21 b v", false,
			[]string{"21 X v 2"},
		},
		{
			"value_percentile without is not judged before all values are known",
			"title: X\ncorrelation: {type: value_percentile, rules: [a], group-by: [user], timespan: 1m, condition: {field: v, gte: 60}}",
			"0 a u x\n1 a u y\n2 a v x\n3 a v x\n4 a v y", true,
			[]string{"4 X v 66.67"},
		},
		{
			"value_percentile finds the rare value wherever it stands",
			"title: X\ncorrelation: {type: value_percentile, rules: [a], group-by: [user], timespan: 1m, condition: {field: v, lte: 30}}",
			"0 a u x\n1 a u y\n2 a u x\n3 a u x", true,
			[]string{"3 X u 25"},
		},
		{
			"value_sum goes down when its timespan is over",
			"title: X\ncorrelation: {type: value_sum, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gt: 100}}",
			"0 a u 60\n11 a u 60\n12 a u x\n13 a u 0x40", false,
			[]string{"13 X u 124"},
		},
		{
			"value_sum with an upper limit", "title: X\ncorrelation: {type: value_sum, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, lt: 5}}",
			"0 a u 2\n1 a u 2\n2 a v 9", true,
			[]string{"1 X u 4"},
		},
		{
			"value_median", "title: X\ncorrelation: {type: value_median, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gte: 5}}",
			"0 a u 1\n1 a u 2\n2 a u 8\n3 a u 9", false,
			[]string{"3 X u 5"},
		},
		{
			"value_min and value_max", "title: Lo\ncorrelation: {type: value_min, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, lte: 1}}\n---\ntitle: Hi\ncorrelation: {type: value_max, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gte: 9}}",
			"0 a u 5\n1 a u 1\n2 a u 9", true,
			[]string{"2 Hi u 9", "2 Lo u 1"},
		},
		{
			"rules are named by id too, and aliases by either", "title: D\nid: 11111111-0000-4000-8000-000000000001\nname: d\nlogsource: {product: x}\ndetection: {s: {kind: d}, condition: s}\n---\ntitle: X\ncorrelation: {type: temporal, rules: [11111111-0000-4000-8000-000000000001, b], group-by: [who], timespan: 10s, aliases: {who: {d: user, b: owner}}}",
			"0 d u\n1 b u", false,
			[]string{"1 X u 2"},
		},
		{
			"an alias that says nothing about a rule leaves its events out",
			"title: X\ncorrelation: {type: event_count, rules: [a, b], group-by: [who], timespan: 10s, condition: {gte: 2}, aliases: {who: {a: user}}}",
			"0 b u\n1 b u\n2 a u\n3 a u", false,
			[]string{"3 X u 2"},
		},
		{
			"an alias may be the counted field",
			"title: X\ncorrelation: {type: value_count, rules: [a, b], group-by: [kind], timespan: 10s, condition: {field: who, gte: 2}, aliases: {who: {a: user, b: owner}}}",
			"0 a u\n1 a u\n2 a v\n3 b u", false,
			[]string{"2 X a 2"},
		},
		{
			"a week in seconds", "title: X\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 604800s, condition: {gte: 2}}",
			"0 a u\n604800 a u", false,
			[]string{"604800 X u 2"},
		},
		{
			"events without the group-by field do not count",
			"title: X\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: 2}}",
			"0 a\n1 a\n2 a", false, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rule := strings.ReplaceAll(tc.rule, "title: Many\n", "title: Many\ngenerate: true\n")
			got := play(t, corrEngine(t, rule), CorrelatorOptions{}, tc.script, tc.flush)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestLateEventsAreSortedWithinTheLateness(t *testing.T) {
	rule := "title: X\ncorrelation: {type: temporal_ordered, rules: [a, b], group-by: [user], timespan: 10s}"
	eng := corrEngine(t, rule)
	script := "5 b u\n1 a u\n"
	if got := play(t, eng, CorrelatorOptions{}, script, true); got != nil {
		t.Errorf("without lateness: %v", got)
	}
	want := []string{"5 X u 2"}
	if d := cmp.Diff(want, play(t, eng, CorrelatorOptions{Lateness: time.Minute}, script, true)); d != "" {
		t.Errorf("with lateness (-want +got):\n%s", d)
	}
}

func TestStateIsBoundedAndEvictionIsCounted(t *testing.T) {
	eng := corrEngine(t, "title: X\ncorrelation: {type: value_count, rules: [a], group-by: [user], timespan: 1h, condition: {field: v, gte: 50}}")
	c, m, ev := eng.NewCorrelator(CorrelatorOptions{MaxGroups: 10, MaxValues: 20, MaxTotal: 300}), eng.NewMatcher(), eng.NewEvent()
	start := time.Unix(1e9, 0)
	for i := range 2000 {
		ev.Reset()
		ev.Time = start.Add(time.Duration(i) * time.Millisecond)
		ev.Add("kind", "a")
		ev.Add("user", fmt.Sprint(i%40))
		ev.Add("v", fmt.Sprint(i))
		m.Match(ev)
		c.Observe(ev, m.All(), "")
	}
	s := c.Stats()
	if s.Groups > 10 || s.Evicted == 0 || c.size > 350 {
		t.Errorf("%+v with %d values, want at most 10 groups and counted evictions", s, c.size)
	}
}

func TestASnapshotContinuesWhereItStopped(t *testing.T) {
	for _, rule := range []string{
		"event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: 3}}",
		"value_count, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gte: 3}}",
		"value_sum, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gte: 6}}",
		"temporal, rules: [a, b], group-by: [user], timespan: 10s}",
		"temporal_ordered, rules: [a, b], group-by: [user], timespan: 10s}",
		"event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: 3, lt: 9}}",
		"event_count, rules: [a], group-by: [user], timespan: 10s, condition: {neq: 9}}",
		"value_percentile, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, lte: 90}}",
		"value_percentile, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, percentile: 50, gte: 2}}",
		"value_avg, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gte: 2}}",
		"value_median, rules: [a], group-by: [user], timespan: 10s, condition: {field: v, gte: 2}}",
		"temporal, rules: [a, b, c], group-by: [user], timespan: 10s, condition: a and b and not c}",
	} {
		eng := corrEngine(t, "title: X\nid: x\ncorrelation: {type: "+rule)
		m, ev := eng.NewMatcher(), eng.NewEvent()
		feed := func(c *Correlator, sec int, kind string) (out []string) {
			ev.Reset()
			ev.Time = time.Unix(int64(1e9+sec), 0)
			ev.Add("kind", kind)
			ev.Add("user", "u")
			ev.Add("v", fmt.Sprint(sec))
			m.Match(ev)
			for _, f := range append(c.Observe(ev, m.All(), fmt.Sprint("ref", sec)), c.Advance(ev.Time)...) {
				out = append(out, fmt.Sprint(f.Rule.Title, f.Count, f.First.Unix(), f.Last.Unix(), f.Refs, f.GroupBy))
			}
			return out
		}
		script := []string{"a", "a", "a", "b", "a", "a"}
		var want, got []string
		whole, cut := eng.NewCorrelator(CorrelatorOptions{}), eng.NewCorrelator(CorrelatorOptions{})
		for i, k := range script {
			want = append(want, feed(whole, 1+i, k)...)
			got = append(got, feed(cut, 1+i, k)...)
			data, err := cut.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			cut = eng.NewCorrelator(CorrelatorOptions{})
			if left, err := cut.Restore(data); err != nil || len(left) > 0 {
				t.Fatal(left, err)
			}
		}
		want, got = append(want, feed(whole, 100, "c")...), append(got, feed(cut, 100, "c")...)
		if d := cmp.Diff(want, got); d != "" || len(want) == 0 {
			t.Errorf("%s (-uninterrupted +with restarts):\n%s%v", rule, d, want)
		}
	}
}

func TestThreeWorkersByPartitionFindWhatOneFinds(t *testing.T) {
	eng := corrEngine(t, "title: Many\nname: many\ngenerate: true\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 1m, condition: {gte: 3}}\n---\ntitle: Spread\ncorrelation: {type: value_count, rules: [many], group-by: [site], timespan: 1h, condition: {field: user, gte: 4}}\n---\ntitle: Sites\ncorrelation: {type: value_count, rules: [a], group-by: [user], timespan: 1h, condition: {field: site, gte: 2}}")
	m, ev := eng.NewMatcher(), eng.NewEvent()
	var obs []Observation
	for i := range 600 {
		ev.Reset()
		ev.Time = time.Unix(int64(1e9+i), 0)
		ev.Add("kind", "a")
		ev.Add("user", fmt.Sprint("u", i*7%13))
		ev.Add("site", fmt.Sprint("s", i%2))
		m.Match(ev)
		o, _ := eng.Observations(ev, m.All(), fmt.Sprint(i))
		obs = append(obs, o...)
	}
	run := func(workers int) (map[string]int, map[int]bool) {
		cs := make([]*Correlator, workers)
		for i := range cs {
			cs[i] = eng.NewCorrelator(CorrelatorOptions{})
		}
		out, busy := map[string]int{}, map[int]bool{}
		for _, o := range obs {
			w := int(eng.Partition(&o) % uint64(workers))
			busy[w] = true
			for _, f := range cs[w].Process(o) {
				out[fmt.Sprint(f.Rule.Title, f.GroupBy, f.Last.Unix())]++
			}
		}
		return out, busy
	}
	one, _ := run(1)
	three, busy := run(3)
	if d := cmp.Diff(one, three); d != "" || len(one) < 10 {
		t.Errorf("%d found by one worker (-one +three):\n%s", len(one), d)
	}
	if len(busy) != 3 {
		t.Errorf("only %d of 3 workers had anything to do", len(busy))
	}
}

func TestACorrelationIsFoundByItsNameInAnotherProcess(t *testing.T) {
	const rule = "title: Many\nname: many\ncorrelation: {type: event_count, rules: [a], group-by: [user], timespan: 1m, condition: {gte: %d}}"
	here := corrEngine(t, fmt.Sprintf(rule, 3))
	there := corrEngine(t, "title: Other\ncorrelation: {type: event_count, rules: [a], group-by: [site], timespan: 1m, condition: {gte: 3}}\n---\n"+fmt.Sprintf(rule, 3))
	n, ok := there.CorrelationNumber(here.CorrelationName(0))
	if !ok || n != 1 {
		t.Fatalf("found %d %v, want 1", n, ok)
	}
	a, b := Observation{Key: []string{"Anna"}}, Observation{Correlation: n, Key: []string{"anna"}}
	if here.Partition(&a) != there.Partition(&b) {
		t.Error("the same group has another partition in another process")
	}
	if _, ok := corrEngine(t, fmt.Sprintf(rule, 4)).CorrelationNumber(here.CorrelationName(0)); ok {
		t.Error("a changed correlation is taken for the same")
	}
	if here.CorrelationName(7) != "" || here.Partition(&Observation{Correlation: -1}) != 0 {
		t.Error("a number that is none has a name or a partition")
	}
}

func TestPartsOfACorrelationAreQuietUnlessGenerated(t *testing.T) {
	for gen, want := range map[string]int{"": 0, "generate: true\n": 1} {
		eng := corrEngine(t, "title: X\n"+gen+"correlation: {type: event_count, rules: [a], group-by: [user], timespan: 10s, condition: {gte: 3}}")
		m, ev := eng.NewMatcher(), eng.NewEvent()
		ev.Add("kind", "a")
		if got := len(m.Match(ev)); got != want || len(m.All()) != 1 {
			t.Errorf("generate %q: %d matches, %d with quiet ones", gen, got, len(m.All()))
		}
	}
}
