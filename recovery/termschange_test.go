package recovery_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
	"leitstand/recovery"
)

// TestEveryTermThatChangesIsShown changes each field of terms, so that a field that
// somebody adds is shown as well.
func TestEveryTermThatChangesIsShown(t *testing.T) {
	cat, day := catalogue.Example(1), time.Date(2026, 5, 29, 12, 0, 0, 0, time.UTC)
	kasse := cat.Kassen[0].ID
	agreed := func() recovery.Terms {
		terms := recovery.DefaultTerms()
		terms.Assumed = false
		return terms
	}
	change := map[string]func(*recovery.Terms){
		"Teams":      func(x *recovery.Terms) { x.Teams[0].Shifts[0].People++ },
		"Delegates":  func(x *recovery.Terms) { x.Delegates++ },
		"Machinery":  func(x *recovery.Terms) { x.Machinery["dns"] = "netz" },
		"Otherwise":  func(x *recovery.Terms) { x.Otherwise = "netz" },
		"Work":       func(x *recovery.Terms) { x.Work["test"] = recovery.Span{Low: 1, Likely: 2, High: 3} },
		"Fails":      func(x *recovery.Terms) { x.Fails[recovery.Test] = recovery.Risk{Probability: 0.5, Most: 3} },
		"Observe":    func(x *recovery.Terms) { x.Observe = 99 },
		"Emergency":  func(x *recovery.Terms) { delete(x.Emergency, "eau") },
		"OtherSite":  func(x *recovery.Terms) { x.OtherSite = 0.5 },
		"Priorities": func(x *recovery.Terms) { x.Priorities.First = []catalogue.KasseID{kasse} },
		"Deadlines": func(x *recovery.Terms) {
			x.Deadlines = []recovery.Deadline{{Service: "zahl", At: day, Reason: "Zahllauf"}}
		},
		"Land":      func(x *recovery.Terms) { x.Land = "BY" },
		"Closed":    func(x *recovery.Terms) { x.Closed = []string{"2026-12-25"} },
		"Fairness":  func(x *recovery.Terms) { x.Fairness = 0.25 },
		"Stability": func(x *recovery.Terms) { x.Stability = 11 },
		"Assumed":   func(x *recovery.Terms) { x.Assumed = false },
	}
	for f := range reflect.TypeFor[recovery.Terms]().Fields() {
		edit, ok := change[f.Name]
		if f.Name == "Version" {
			continue // counted by the room
		}
		if !ok {
			t.Errorf("nobody knows whether a change of %s is shown", f.Name)
			continue
		}
		before, after := agreed(), agreed()
		before.Assumed = f.Name == "Assumed"
		edit(&after)
		if got := before.Changes(after, cat, time.UTC); len(got) != 1 || got[0].Before == got[0].After || got[0].What == "" {
			t.Errorf("%s: one change is shown as %+v", f.Name, got)
		}
	}
	if got := agreed().Changes(agreed(), cat, time.UTC); len(got) > 0 {
		t.Errorf("the same terms differ: %+v", got)
	}
	gone := agreed()
	gone.Teams = gone.Teams[1:]
	if got := agreed().Changes(gone, cat, time.UTC); len(got) != 1 || got[0].After != "–" {
		t.Errorf("a team that is gone is shown as %+v", got)
	}
}

func TestShiftsAndSpansAreReadAsTheyAreWritten(t *testing.T) {
	for _, team := range recovery.DefaultTerms().Teams {
		got, err := recovery.ParseShifts(recovery.ShiftText(team.Shifts))
		if diff := cmp.Diff(team.Shifts, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got)\n%s %v", team.ID, diff, err)
		}
	}
	for name, want := range map[string][]recovery.Shift{
		"Mo-Fr 8-17 x2; sa,So 10-14 x1": {{Days: "12345", From: 8, To: 17, People: 2}, {Days: "67", From: 10, To: 14, People: 1}},
		"Mo,Mi,Fr-So 0-24 x12":          {{Days: "13567", To: 24, People: 12}},
		"":                              nil,
	} {
		got, err := recovery.ParseShifts(name)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q (-want +got)\n%s %v", name, diff, err)
		}
	}
	for _, bad := range []string{"Mo bis Fr", "Mo-Fr 8-17", "Fr-Mo 8-17 x2", "Xx 8-17 x2", "Mo 8-17 x2 x3", "Mo 8-17 x2 und mehr", "8-17 x2", "Mo 17-8 x2", "Mo 8-25 x1", "Mo 8-17 x0"} {
		if got, err := recovery.ParseShifts(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
	for e, want := range recovery.DefaultTerms().Work {
		if got, err := recovery.ParseSpan(want.String()); got != want || err != nil {
			t.Errorf("%s: %v, %v", e, got, err)
		}
	}
	for _, bad := range []string{"", "1/2", "1/2/3/4", "a/b/c", "1-2-3"} {
		if _, err := recovery.ParseSpan(bad); err == nil {
			t.Errorf("%q was read as a span", bad)
		}
	}
	words := map[string]bool{}
	for e := range recovery.DefaultTerms().Work {
		words[e.Word()] = true
	}
	if len(words) != len(recovery.DefaultTerms().Work) || !words["Komponente: Aufbauen (neu)"] || slices.Contains([]bool{words["Fachprobe"], words["Umgebung: Untersuchen"]}, false) {
		t.Errorf("kinds of work in words: %v", words)
	}
}
