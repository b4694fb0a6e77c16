package sigma

import (
	"testing"
)

func parseOne(t *testing.T, yaml string) *Rule {
	t.Helper()
	set, problems := ParseRules([]File{{Name: "rule.yml", Data: []byte(yaml)}})
	for _, p := range problems {
		t.Fatalf("unexpected problem: %v", p)
	}
	if len(set.Rules) != 1 {
		t.Fatalf("got %d rules, want 1", len(set.Rules))
	}
	return set.Rules[0]
}

const head = "title: t\nid: 1\nlogsource:\n    product: x\ndetection:\n"

func matches(t *testing.T, detection string, ev map[string]any) bool {
	t.Helper()
	e := NewEvent()
	e.AddMap(ev)
	return parseOne(t, head+detection).Matches(e)
}

func TestDetections(t *testing.T) {
	for _, c := range []struct {
		name, detection string
		event           map[string]any
		want            bool
	}{
		{"plain value is the whole value", "    s:\n        F: abc\n    condition: s\n", map[string]any{"F": "abcd"}, false},
		{"case does not count", "    s:\n        F: aBc\n    condition: s\n", map[string]any{"F": "AbC"}, true},
		{"cased counts case", "    s:\n        F|cased: aBc\n    condition: s\n", map[string]any{"F": "abc"}, false},
		{"list is or", "    s:\n        F: [a, b]\n    condition: s\n", map[string]any{"F": "b"}, true},
		{"all is and", "    s:\n        F|contains|all: [a, b]\n    condition: s\n", map[string]any{"F": "b"}, false},
		{"not of absent field holds", "    s:\n        F: a\n    f:\n        G: 1\n    condition: s and not f\n", map[string]any{"F": "a"}, true},
		{"null is absent", "    s:\n        G: null\n    condition: s\n", map[string]any{"F": "a"}, true},
		{"empty is not absent", "    s:\n        G: ''\n    condition: s\n", map[string]any{"F": "a"}, false},
		{"wildcard needs the field", "    s:\n        G|contains: '*'\n    condition: s\n", map[string]any{"F": "a"}, false},
		{"1 of", "    s_1:\n        F: a\n    s_2:\n        F: b\n    condition: 1 of s_*\n", map[string]any{"F": "b"}, true},
		{"keyword anywhere", "    k:\n        - evil\n    condition: k\n", map[string]any{"F": "so EVIL it is"}, true},
		{"windash", "    s:\n        F|contains|windash: ' -enc '\n    condition: s\n", map[string]any{"F": "ps /enc x"}, true},
		{"number equals text", "    s:\n        F: 4688\n    condition: s\n", map[string]any{"F": "4688"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := matches(t, c.detection, c.event); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestEngineRoutesByChannelAndNumber(t *testing.T) {
	set, _ := ParseRules([]File{{Name: "r.yml", Data: []byte("title: t\nid: abc\nlogsource:\n    product: windows\n    category: process_creation\ndetection:\n    s:\n        Image|endswith: '\\cmd.exe'\n    condition: s\n")}})
	eng, problems := Compile(set, Options{})
	if len(problems) != 0 {
		t.Fatal(problems)
	}
	m, ev := eng.NewMatcher(), eng.NewEvent()
	ev.AddMap(map[string]any{"Channel": "Security", "EventID": float64(4688), "NewProcessName": `C:\Windows\System32\CMD.exe`})
	if got := m.Match(ev); len(got) != 1 || got[0].ID != "abc" {
		t.Fatalf("got %v", got)
	}
	ev.Reset()
	ev.AddMap(map[string]any{"Channel": "Security", "EventID": float64(4689), "NewProcessName": `C:\Windows\System32\CMD.exe`})
	if got := m.Match(ev); len(got) != 0 {
		t.Fatalf("got %v", got)
	}
}
