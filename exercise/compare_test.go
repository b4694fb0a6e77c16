package exercise

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCompareBooks(t *testing.T) {
	sent := func(ids ...string) (list []Sent) {
		for _, id := range ids {
			list = append(list, Sent{ID: id[:1], SHA256: id, Kasse: "1"})
		}
		return list
	}
	received := func(ids ...string) (list []Received) {
		for _, id := range ids {
			r := Received{ID: id[:1], SHA256: id[:2], Kasse: "1", Status: StatusAccepted}
			switch id[2:] {
			case "=":
				r.Status = StatusDuplicate
			case "?":
				r.Status = StatusHeld
			case "!":
				r.Status = StatusRefused
			case "x":
				r.Kasse = "2"
			}
			list = append(list, r)
		}
		return list
	}
	for name, c := range map[string]struct {
		sent     []Sent
		received []Received
		want     Comparison
	}{
		"nothing":                         {want: Comparison{}},
		"all there once":                  {sent("a1", "b1", "a1"), received("b1", "a1", "a1="), Comparison{Sent: 3, Documents: 2, Accepted: 2, Duplicates: 1}},
		"one is lost":                     {sent("a1", "b1", "b1"), received("a1"), Comparison{Sent: 3, Documents: 2, Accepted: 1, Lost: 1, Examples: []string{"lost 1 b"}}},
		"a duplicate of nothing is lost":  {sent("a1"), received("a1="), Comparison{Sent: 1, Documents: 1, Duplicates: 1, Lost: 1, Examples: []string{"lost 1 a"}}},
		"taken as new twice":              {sent("a1", "a1"), received("a1", "a1"), Comparison{Sent: 2, Documents: 1, Accepted: 2, Doubled: 1, Examples: []string{"doubled 1 a"}}},
		"held and taken":                  {sent("a1"), received("a1?", "a1"), Comparison{Sent: 1, Documents: 1, Accepted: 1, Held: 1, Doubled: 1, Examples: []string{"doubled 1 a"}}},
		"held is not lost":                {sent("a1"), received("a1?"), Comparison{Sent: 1, Documents: 1, Held: 1}},
		"refused is not lost":             {sent("a1"), received("a1!"), Comparison{Sent: 1, Documents: 1, Refused: 1}},
		"same id, other content":          {sent("a1", "a2"), received("a1", "a2"), Comparison{Sent: 2, Documents: 2, Accepted: 2}},
		"changed on the way":              {sent("a1"), received("a2"), Comparison{Sent: 1, Documents: 1, Accepted: 1, Unknown: 1, Changed: 1, Lost: 1, Examples: []string{"unknown 1 a", "lost 1 a"}}},
		"at another Kasse is lost at one": {sent("a1"), received("a1x"), Comparison{Sent: 1, Documents: 1, Accepted: 1, Unknown: 1, Lost: 1, Examples: []string{"unknown 2 a", "lost 1 a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, CompareBooks(c.sent, c.received)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestABookSurvivesATornLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, SentBook)
	for round := range 3 {
		b, lines, err := openBook(dir, SentBook, sentColumns)
		if err != nil {
			t.Fatal(err)
		}
		if len(lines) != round {
			t.Fatalf("round %d: %d lines", round, len(lines))
		}
		s := Sent{ID: fmt.Sprint(round), Time: testFrom, Note: "two\nlines, \"quoted\""}
		b.add(s.fields()...)
		if err := b.close(); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(`9,"torn`); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, _, err := openBook(dir, SentBook, sentColumns)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.close(); err != nil {
		t.Fatal(err)
	}
	all, err := ReadSent(path)
	if err != nil || len(all) != 3 || all[2].ID != "2" || all[2].Note != `two lines, "quoted"` || !all[2].Time.Equal(testFrom) {
		t.Errorf("%+v, %v", all, err)
	}
	if err := os.WriteFile(path, []byte("a,b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openBook(dir, SentBook, sentColumns); err == nil {
		t.Error("a foreign file was taken for a book")
	}
}

func TestOfficeHoursShapeTheCurve(t *testing.T) {
	monday := time.Date(2023, 4, 24, 0, 0, 0, 0, time.FixedZone("CEST", 7200))
	c, err := newCurve(monday, monday.AddDate(0, 0, 7), []string{"2023-04-26"})
	if err != nil {
		t.Fatal(err)
	}
	var day [7]int
	office := 0
	r := testRand()
	const draws = 20_000
	for range draws {
		at := c.draw(r)
		if at.Before(monday) || !at.Before(monday.AddDate(0, 0, 7)) {
			t.Fatalf("drew %v", at)
		}
		day[at.Weekday()]++
		if h := at.Hour(); h >= 8 && h < 18 {
			office++
		}
	}
	if day[time.Monday] < day[time.Tuesday] || day[time.Sunday]*20 > day[time.Friday] || day[time.Wednesday]*20 > day[time.Friday] {
		t.Errorf("mails by weekday from Sunday: %v; Wednesday is a holiday", day)
	}
	if office < draws*3/4 {
		t.Errorf("%d of %d in office hours", office, draws)
	}
	if _, err := newCurve(monday, monday, nil); err == nil {
		t.Error("an empty span was taken")
	}
}

func TestInventedNumbersHaveTheirCheckDigits(t *testing.T) {
	if got := kvnr('A', 12345678); got != "A123456780" {
		t.Errorf("kvnr = %s, want A123456780", got)
	}
	if got := lanr(123456); got != "123456601" {
		t.Errorf("lanr = %s, want 123456601", got)
	}
}

func TestAPersonIsTheSameInEveryProcess(t *testing.T) {
	p, err := NewPopulation(7, testKassen)
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewPopulation(7, testKassen)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	r := testRand()
	for range 2000 {
		kasse, number := p.pick(r)
		person := p.Person(kasse, number)
		if diff := cmp.Diff(person, q.Person(kasse, number)); diff != "" {
			t.Fatal(diff)
		}
		if person.Kasse != testKassen[kasse].IK || number < 0 || number >= max(testKassen[kasse].Insured, assumedInsured) {
			t.Fatalf("person %d of Kasse %d: %+v", number, kasse, person)
		}
		seen[person.KVNR] = true
	}
	if len(seen) < 1990 {
		t.Errorf("%d different people in 2000 draws of 1.3 million", len(seen))
	}
	for _, bad := range [][]KasseSpec{nil, {{IK: ""}}, {{IK: "1"}, {IK: "1"}}, {{IK: "1", Insured: maxPeople + 1}}} {
		if _, err := NewPopulation(1, bad); err == nil {
			t.Errorf("a population of %v was invented", bad)
		}
	}
}
