package sigma

import (
	"fmt"
	"sync"
	"testing"
)

// Matchers share an engine; groups of sources are built when first seen.
func TestManyMatchersShareOneEngine(t *testing.T) {
	var rules []File
	for i := range 20 {
		rules = append(rules, File{Name: fmt.Sprint(i), Data: fmt.Appendf(nil, "title: t\nid: r%d\nlogsource: {product: linux, service: s%d}\ndetection: {s: {message|contains: [needle%d, other%d, third%d]}, condition: s}\n", i, i, i, i, i)})
	}
	set, problems := ParseRules(rules)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	eng, _ := Compile(set, Options{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			m, ev := eng.NewMatcher(), eng.NewEvent()
			for i := range 200 {
				n := (i + w) % 20
				ev.Reset()
				ev.DecodeText(fmt.Sprintf("2023-04-26T03:00:00Z h s%d[1]: a needle%d b", n, n), 0)
				if got := m.Match(ev); len(got) != 1 || got[0].ID != fmt.Sprint("r", n) {
					t.Errorf("event %d: %v", n, got)
				}
			}
		})
	}
	wg.Wait()
}

// A log may claim to be of any program; that must not make groups without end.
func TestUnknownProgramsMakeNoGroups(t *testing.T) {
	set, _ := ParseRules([]File{{Name: "r", Data: []byte("title: t\nlogsource: {product: linux, service: sshd}\ndetection: {s: {message: x}, condition: s}\n")}})
	eng, _ := Compile(set, Options{})
	m, ev := eng.NewMatcher(), eng.NewEvent()
	for i := range 1000 {
		ev.Reset()
		ev.DecodeText(fmt.Sprintf("2023-04-26T03:00:00Z h evil%d: x", i), 0)
		m.Match(ev)
	}
	if n := len(eng.groups); n > 5 {
		t.Errorf("%d groups", n)
	}
}
