package exercise

import (
	"testing"
	"time"

	"leitstand/pure/eau"
)

// TestSoundNotesPassTheFullCheckAndSpoiltOnesDoNot makes documents as practices
// do, today and in 2023. The case of 2023 is played with today's profiles: there
// the version's own dates are the only thing that may be wrong.
func TestSoundNotesPassTheFullCheckAndSpoiltOnesDoNot(t *testing.T) {
	people, err := NewPopulation(7, testKassen)
	if err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]time.Time{"2023": testFrom, "today": time.Date(2026, 11, 16, 7, 0, 0, 0, time.UTC)} {
		t.Run(name, func(t *testing.T) {
			p, err := makePlan(people, 7, 120, from, from.AddDate(0, 0, 5), nil)
			if err != nil {
				t.Fatal(err)
			}
			wrong := func(xml []byte) (keys []string) {
				for _, f := range eau.Check(xml, eau.Options{}).Findings {
					if f.Severity == eau.SeverityError && (f.Key != "version-date" || name != "2023") {
						keys = append(keys, f.Key+" "+f.Path+": "+f.Text)
					}
				}
				return keys
			}
			for i := range p.notes {
				xml, err := eau.Write(p.certificate(i, i%9 == 0))
				if err != nil {
					t.Fatal(err)
				}
				if keys := wrong(xml); len(keys) > 0 {
					t.Fatalf("note %d: %q", i, keys)
				}
				if f := fault(1 + i%faultKinds); i < 40 {
					bad, err := f.spoil(xml)
					if err != nil {
						t.Fatal(err)
					}
					if len(wrong(bad)) == 0 || faultOf(bad) == "" {
						t.Errorf("fault %q is none", f)
					}
				}
				storno, err := eau.WriteStorno(p.storno(i, from))
				if err != nil {
					t.Fatal(err)
				}
				if keys := wrong(storno); len(keys) > 0 {
					t.Fatalf("Storno %d: %q", i, keys)
				}
			}
		})
	}
}
