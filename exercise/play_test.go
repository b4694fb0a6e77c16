package exercise

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"leitstand/pure/eau"
)

// playShort plays the short scenario of testdata under both policies.
func playShort(t *testing.T, change func(o *Options)) (*Result, error) {
	t.Helper()
	sc, err := LoadScenario(filepath.Join("testdata", "kurz.yml"))
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Scenario: sc, Seed: 2, Notes: 120, Exe: exe, Data: t.TempDir()}
	change(&o)
	return Run(t.Context(), o, nil)
}

// figures are a result without what may differ from run to run.
func figures(t *testing.T, r *Result) map[string]any {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "run")
	if l, ok := m["ledger"].(map[string]any); ok {
		delete(l, "root")
	}
	return m
}

func TestTheSameSeedGivesTheSameFigures(t *testing.T) {
	var all []map[string]any
	for range 2 {
		res, err := playShort(t, func(*Options) {})
		if err != nil {
			t.Fatal(err)
		}
		if n := res.SickNotes; n.Sent < 120 || n.Emergency == 0 || n.HandedOver == 0 || n.Held == 0 || n.Duplicates == 0 {
			t.Errorf("too little happened: %+v", n)
		}
		if res.Conflicts.Found == 0 {
			t.Error("nobody had changed anything in the regular systems before the cut")
		}
		if res.Case.EAURejected == 0 || res.Leitstand.EAURejected != 0 {
			t.Errorf("rejected: %d as in 2023, %d with Leitstand", res.Case.EAURejected, res.Leitstand.EAURejected)
		}
		all = append(all, figures(t, res))
	}
	if diff := cmp.Diff(all[0], all[1]); diff != "" {
		t.Errorf("two runs with one seed differ (-first +second):\n%s", diff)
	}
}

func TestGivenFilesPassThroughTheJournalUnchanged(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole exercise; left out with -short")
	}
	dir := t.TempDir()
	people, err := NewPopulation(9, testKassen)
	if err != nil {
		t.Fatal(err)
	}
	p, err := makePlan(people, 9, 4, testFrom, testUntil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"eins.xml", "zwei.xml", "drei.xml"} {
		doc, err := eau.Write(p.certificate(i, false))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, name, doc)
		if i == 0 {
			writeFile(t, dir, "noch-einmal.xml", doc)
			writeFile(t, dir, "kaputt.xml", doc[:len(doc)/2])
		}
	}
	res, err := playShort(t, func(o *Options) { o.EAUDir = dir })
	if err != nil {
		t.Fatal(err)
	}
	if n := res.SickNotes; n.Sent != 5 || n.Accepted != 3 || n.Duplicates != 1 || n.Held != 1 || n.Lost+n.Doubled+n.Open != 0 {
		t.Errorf("%+v", n)
	}
	if len(res.Held) != 1 || res.Held[0].Name() != "kaputt.xml" || res.Held[0].Reason == "" {
		t.Errorf("the broken file is not named: %+v", res.Held)
	}
}

func writeFile(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSharedFilesPassAs36With21Contents(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole exercise; left out with -short")
	}
	dir := filepath.Join("..", "..", "shared", "data", "eau", "1.2.1", "bundles", "valid")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("../shared/data/eau is absent: suite left out: real eAU files through a whole exercise")
	}
	res, err := playShort(t, func(o *Options) { o.EAUDir = dir })
	if err != nil {
		t.Fatal(err)
	}
	if n := res.SickNotes; n.Sent != 36 || n.Accepted != 21 || n.Duplicates != 15 || n.Held+n.Refused+n.Lost+n.Doubled+n.Open != 0 {
		t.Errorf("%+v", n)
	}
}

// TestAResultThatIsWrongIsReported gives every check of a result something to find.
func TestAResultThatIsWrongIsReported(t *testing.T) {
	sound := func() *Result {
		return &Result{
			Kassen: 36, SickNotes: SickNotes{Sent: 10, Accepted: 7, Duplicates: 2, Held: 1},
			Ledger: LedgerSum{Entries: 9, Verified: true},
		}
	}
	if err := sound().Check(); err != nil {
		t.Fatalf("a sound result is reported: %v", err)
	}
	for word, spoil := range map[string]func(r *Result){
		"add up":     func(r *Result) { r.SickNotes.Accepted-- },
		"lost":       func(r *Result) { r.SickNotes.Lost = 1 },
		"doubled":    func(r *Result) { r.SickNotes.Doubled = 1 },
		"open":       func(r *Result) { r.SickNotes.Open = 1 },
		"refused":    func(r *Result) { r.SickNotes.Refused, r.SickNotes.Accepted = 1, 6 },
		"violated":   func(r *Result) { r.Violations = 1 },
		"twice":      func(r *Result) { r.PublicList.Duplicates = 1 },
		"not verify": func(r *Result) { r.Ledger.Verified = false },
		"wait for":   func(r *Result) { r.Conflicts = Conflicts{Found: 2, Named: 2, Ours: 1, Undecided: 1} },
		"named by":   func(r *Result) { r.Conflicts = Conflicts{Found: 1, Theirs: 1} },
	} {
		r := sound()
		spoil(r)
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %v", word, err)
		}
	}
}
