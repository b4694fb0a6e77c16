package sigma

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBrokenCorrelationsAreNamed(t *testing.T) {
	for yaml, want := range map[string]string{
		"title: X\ncorrelation: {type: event_count, rules: [nobody], timespan: 1s, condition: {gte: 1}}":                                                                                       "nobody",
		"title: X\ncorrelation: {type: temporal, rules: [a, b], group-by: [user], timespan: 10s, condition: a and c}":                                                                          "\"c\"",
		"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 1s, condition: 5}":                                                                                                   "map",
		"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 1s, condition: {gte: many}}":                                                                                         "number",
		"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 4000d, condition: {gte: 1}}":                                                                                         "ten years",
		"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 1s, condition: {gte: 1}, generate: perhaps}":                                                                         "generate",
		"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 1s, condition: {gte: 1}, group-by: [z], aliases: {z: user}}":                                                         "alias",
		"title: A2\nname: a\nlogsource: {product: x}\ndetection: {s: {kind: z}, condition: s}\n---\ntitle: X\ncorrelation: {type: event_count, rules: [a], timespan: 1s, condition: {gte: 1}}": "stands for 2",
		"title: X\ncorrelation: {type: what, rules: [a], timespan: 1s, condition: {gte: 1}}":                                                                                                   "type",
		"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 1y, condition: {gte: 1}}":                                                                                            "timespan",
		"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 1s}":                                                                                                                 "condition",
		"title: X\ncorrelation: {type: value_count, rules: [a], timespan: 1s, condition: {gte: 1}}":                                                                                            "field",
		"title: X\nname: x\ncorrelation: {type: event_count, rules: [x], timespan: 1s, condition: {gte: 1}}":                                                                                   "itself",
		"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 1s, condition: {gte: 1}, window: 3}":                                                                                 "window",
		"title: X\ncorrelation: {type: event_count, rules: [a], timespan: 1s, condition: {gte: 1}, group-by: [z], aliases: {z: {nobody: user}}}":                                               "nobody",
	} {
		_, problems := ParseRules([]File{{Name: "c.yml", Data: []byte(baseRules + yaml)}})
		if len(problems) != 1 || !strings.Contains(problems[0].Reason, want) || problems[0].Line == 0 {
			t.Errorf("%s: got %v, want a problem about %q", yaml, problems, want)
		}
	}
}

func TestFiltersAreFurtherConditions(t *testing.T) {
	filter := "---\ntitle: F\nlogsource: {product: x}\nfilter:\n    rules: [%s]\n    selection: {user: admin}\n    condition: not selection\n"
	for _, c := range []struct {
		target   string
		problems int
		matches  int
	}{{"r1", 0, 1}, {"r1, r2", 0, 0}, {"any", 0, 0}, {"r1, nobody", 1, 1}, {"r2, c1", 1, 1}} {
		rules := "title: R1\nid: r1\nlogsource: {product: x}\ndetection: {s: {kind: a}, condition: s}\n---\ntitle: R2\nname: r2\nlogsource: {product: x, service: y}\ndetection: {s: {kind: a}, condition: s}\n" +
			"---\ntitle: C1\nname: c1\ngenerate: true\ncorrelation: {type: event_count, rules: [r1], timespan: 1s, condition: {gte: 9}}\n"
		set, problems := ParseRules([]File{{Name: "f.yml", Data: []byte(rules + fmt.Sprintf(filter, c.target))}})
		if len(problems) != c.problems {
			t.Errorf("%s: problems %v", c.target, problems)
		}
		eng, _ := Compile(set, Options{})
		ev := eng.NewEvent()
		ev.Add("kind", "a")
		ev.Add("user", "Admin")
		if got := len(eng.NewMatcher().Match(ev)); got != c.matches {
			t.Errorf("%s: %d matches, want %d", c.target, got, c.matches)
		}
	}
}

func TestAFilterIsAddedToTheConditionAsItIsWritten(t *testing.T) {
	const rule = "title: R\nid: r1\nlogsource: {product: x}\ndetection: {s: {kind: a}, condition: s}\n"
	const head = "---\ntitle: F\nlogsource: {product: x}\nfilter:\n    rules: [r1]\n"
	for _, c := range []struct {
		filters string
		matches []string // users of events of kind a that are found
	}{
		{head + "    selection: {user: adm}\n    condition: selection\n", []string{"adm"}}, // not turned round: what is written counts
		{head + "    selection: {user: adm}\n    condition: not selection\n", []string{"eve", "bob"}},
		{head + "    sel_1: {user: adm}\n    sel_2: {user: eve}\n    condition: not 1 of sel_*\n", []string{"bob"}},
		{head + "    sel: {user: adm}\n    condition: not sel\n" + head + "    sel: {user: bob}\n    condition: not sel\n", []string{"eve"}},
		{head + "    words: [ad, ev]\n    condition: not words\n", []string{"bob"}},
	} {
		set, problems := ParseRules([]File{{Name: "f.yml", Data: []byte(rule + c.filters)}})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		eng, _ := Compile(set, Options{})
		m, ev := eng.NewMatcher(), eng.NewEvent()
		var got []string
		for _, user := range []string{"adm", "eve", "bob"} {
			ev.Reset()
			ev.Sources = append(ev.Sources, Logsource{Product: "x"})
			ev.Add("kind", "a")
			ev.Add("user", user)
			if len(m.Match(ev)) == 1 {
				got = append(got, user)
			}
		}
		if d := cmp.Diff(c.matches, got); d != "" {
			t.Errorf("%s(-want +got):\n%s", c.filters, d)
		}
	}
}

func TestACorrelationThatSaysOtherwiseIsAnotherOne(t *testing.T) {
	seen := map[string]string{}
	for _, rule := range []string{
		"{type: value_count, rules: [a], group-by: [user], timespan: 1m, condition: {field: v, gte: 3}}",
		"{type: value_count, rules: [a], group-by: [user], timespan: 1m, condition: {field: w, gte: 3}}",
		"{type: event_count, rules: [a], group-by: [user], timespan: 1m, condition: {eq: 3}}",
		"{type: event_count, rules: [a], group-by: [user], timespan: 1m, condition: {neq: 3}}",
		"{type: event_count, rules: [a], group-by: [user], timespan: 1m, aliases: {user: {a: v}}, condition: {eq: 3}}",
		"{type: value_percentile, rules: [a], group-by: [user], timespan: 1m, condition: {field: v, gte: 3}}",
		"{type: value_percentile, rules: [a], group-by: [user], timespan: 1m, condition: {field: v, percentile: 3, gte: 3}}",
		"{type: temporal, rules: [a, b], group-by: [user], timespan: 1m, condition: a or b}",
		"{type: temporal, rules: [a, b], group-by: [user], timespan: 1m, condition: a and b}",
		"{type: new_value, rules: [a], group-by: [user], timespan: 1d, condition: {field: v}}",
		"{type: new_value, rules: [a], group-by: [user], timespan: 1d, condition: {field: v, learn: 1h}}",
	} {
		name := corrEngine(t, "title: X\nid: x\ncorrelation: "+rule).CorrelationName(0)
		if seen[name] != "" {
			t.Errorf("%s and %s are called the same", rule, seen[name])
		}
		seen[name] = rule
	}
}
