package recovery_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/recovery"
)

// fixed are terms whose speeds do not vary.
func fixed() recovery.BacklogTerms {
	t := recovery.DefaultBacklogTerms()
	t.Clerks, t.Transfer = recovery.Throughput{Low: 90, Likely: 90, High: 90}, recovery.Throughput{Low: 1000, Likely: 1000, High: 1000}
	return t
}

func cellAt(t recovery.BacklogTerms, s catalogue.ServiceID, people, transfer int64, b recovery.Begins) recovery.BacklogCell {
	c := recovery.BacklogCell{Kasse: "1", Service: s, Open: people + transfer, People: people, Transfer: transfer, Begins: b}
	c.Rank, c.Group = t.Rank(s)
	return c
}

func begun() recovery.Begins { return recovery.Begins{Known: true, P50: monday, P90: monday} }

func TestPeopleDecideTheMoreUrgentCasesFirst(t *testing.T) {
	terms := fixed()
	cells := []recovery.BacklogCell{
		cellAt(terms, "app", 90, 0, begun()), cellAt(terms, "zahl", 90, 0, begun()), cellAt(terms, "epa", 45, 0, begun()),
	}
	recovery.BacklogForecast(terms, cells, monday, berlin, 1)
	// Half a day, one day, one day of nine hours each.
	for i, want := range []time.Time{
		monday.AddDate(0, 0, 2).Add(270 * time.Minute), monday.AddDate(0, 0, 1).Add(270 * time.Minute), monday.Add(270 * time.Minute),
	} {
		if got := cells[i].Done; got == nil || !got.P50.Equal(want) || !got.P90.Equal(want) {
			t.Errorf("%s: %+v, want %s", cells[i].Service, got, want)
		}
	}
	other := fixed()
	other.Groups = []recovery.UrgencyGroup{{Name: "zuerst", Services: []catalogue.ServiceID{"app"}}}
	first := []recovery.BacklogCell{cellAt(other, "app", 90, 0, begun())}
	again := []recovery.BacklogCell{cellAt(other, "epa", 45, 0, begun()), first[0]}
	recovery.BacklogForecast(other, again, monday, berlin, 1)
	if again[1].Done.P50.After(again[0].Done.P50) {
		t.Errorf("another order changes nothing: %+v", again)
	}
}

func TestNobodyDecidesCasesOnDaysOff(t *testing.T) {
	terms := fixed()
	friday := monday.AddDate(0, 0, 4)
	b := recovery.Begins{Known: true, P50: friday, P90: friday}
	cells := []recovery.BacklogCell{cellAt(terms, "eau", 180, 0, b)}
	recovery.BacklogForecast(terms, cells, friday, berlin, 1)
	if want := friday.AddDate(0, 0, 3).Add(9 * time.Hour); !cells[0].Done.P50.Equal(want) {
		t.Errorf("done %s, want Monday evening %s", cells[0].Done.P50, want)
	}
}

func TestNobodyDecidesCasesOnHolidaysOfTheirLand(t *testing.T) {
	terms := fixed() // 90 cases a day
	eve := time.Date(2026, 6, 3, 8, 0, 0, 0, berlin)
	b := recovery.Begins{Known: true, P50: eve, P90: eve}
	for land, want := range map[catalogue.Land]time.Time{
		"":   time.Date(2026, 6, 4, 17, 0, 0, 0, berlin),
		"NW": time.Date(2026, 6, 5, 17, 0, 0, 0, berlin), // Corpus Christi
	} {
		for elsewhere, want := range map[catalogue.Land]time.Time{land: want, "SH": time.Date(2026, 6, 4, 17, 0, 0, 0, berlin)} {
			terms.Land = land
			cells := []recovery.BacklogCell{cellAt(terms, "eau", 180, 0, b)}
			terms.Lands = map[catalogue.KasseID]catalogue.Land{cells[0].Kasse: elsewhere}
			recovery.BacklogForecast(terms, cells, eve, berlin, 1)
			if got := cells[0].Done.P50; !got.Equal(want) {
				t.Errorf("%q, here %q: done %s, want %s", land, elsewhere, got, want)
			}
		}
	}
}

func TestABacklogWithoutABeginningHasNoDate(t *testing.T) {
	terms := recovery.DefaultBacklogTerms()
	cells := []recovery.BacklogCell{cellAt(terms, "eau", 200, 5000, recovery.Begins{})}
	cells[0].Inflow = 100
	runs := recovery.BacklogForecast(terms, cells, monday, berlin, 1)
	if done, work, known := runs.Of("eau"); done != nil || known || work == nil || work.P90 < work.P50 || work.P50 <= 0 {
		t.Errorf("done %v, work %v, known %v", done, work, known)
	}
	in2, in9 := monday.AddDate(0, 0, 2), monday.AddDate(0, 0, 9)
	cells[0].Begins = recovery.Begins{Known: true, P50: in2, P90: in9}
	runs = recovery.BacklogForecast(terms, cells, monday, berlin, 1)
	done, _, known := runs.Of("eau")
	if done == nil || !known || !done.P50.After(in2) || !done.P90.After(in9.Add(-12*time.Hour)) || !done.P90.After(done.P50) {
		t.Fatalf("done %+v, known %v", done, known)
	}
	curve := runs.Curve("eau", done.P90.AddDate(0, 0, 30))
	if first, last := curve[0], curve[len(curve)-1]; first.P50 != 5200 || last.P50 != 0 || last.P90 < last.P50 {
		t.Errorf("curve from %+v to %+v", first, last)
	}
	for _, p := range curve {
		if p.P90 < p.P50 {
			t.Errorf("at %s P90 %v is below P50 %v", p.At, p.P90, p.P50)
		}
	}
	again := recovery.BacklogForecast(terms, cells, monday, berlin, 1)
	if !reflect.DeepEqual(runs, again) {
		t.Error("the same seed gave another forecast")
	}
}

func TestAMeasuredSpeedCountsAndTheMoreUrgentServiceIsTakenFirst(t *testing.T) {
	terms := fixed()
	slow := cellAt(terms, "app", 0, 1000, begun())
	urgent := cellAt(terms, "genehm", 0, 500, begun())
	urgent.Speeds = []float64{100}
	cells := []recovery.BacklogCell{slow, urgent}
	recovery.BacklogForecast(terms, cells, monday, berlin, 1)
	if got := cells[1].Done.P50.Sub(monday); got != 5*time.Hour {
		t.Errorf("500 items at a measured 100 an hour took %s", got)
	}
	if got := cells[0].Done.P50.Sub(monday); got != 6*time.Hour {
		t.Errorf("what comes second is done after %s, want 6 h", got)
	}
}

func TestThePastAddsUp(t *testing.T) {
	h := func(n int, in, out int64) emergency.Flow {
		return emergency.Flow{Hour: monday.Add(time.Duration(n) * time.Hour), In: in, Out: out}
	}
	curve := recovery.PastOf([]emergency.Flow{h(0, 5, 0), h(1, 2, 3), h(30, 0, 4)}, monday.Add(40*time.Hour), berlin)
	if n := len(curve); curve[0].Open != 0 || curve[1].Open != 5 || curve[2].Open != 4 || curve[n-1].Open != 0 || !curve[n-1].At.Equal(monday.Add(40*time.Hour)) {
		t.Errorf("%+v", curve)
	}
	days := recovery.PastOf([]emergency.Flow{h(0, 5, 0), h(24*9, 0, 5)}, monday.AddDate(0, 0, 10), berlin)
	if len(days) > 6 || days[1].At.In(berlin).Hour() != 0 {
		t.Errorf("by days: %+v", days)
	}
}

func TestBacklogTermsThatMakeNoSenseAreRefused(t *testing.T) {
	for word, spoil := range map[string]func(b *recovery.BacklogTerms){
		"groups":     func(b *recovery.BacklogTerms) { b.Groups = nil },
		"two":        func(b *recovery.BacklogTerms) { b.Groups[1].Services[0] = b.Groups[0].Services[0] },
		"no service": func(b *recovery.BacklogTerms) { b.Groups[0].Services = nil },
		"name":       func(b *recovery.BacklogTerms) { b.Groups[0].Name = "" },
		"clerks":     func(b *recovery.BacklogTerms) { b.Clerks = recovery.Throughput{Low: 3, Likely: 2, High: 1} },
		"days":       func(b *recovery.BacklogTerms) { b.Days = "8" },
		"land":       func(b *recovery.BacklogTerms) { b.Land = "Bayern" },
		"holidays":   func(b *recovery.BacklogTerms) { b.Lands = map[catalogue.KasseID]catalogue.Land{"9": "xx"} },
	} {
		b := recovery.DefaultBacklogTerms()
		spoil(&b)
		err := b.Check()
		if word == "two" {
			word = "is in the groups"
		}
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
	if err := recovery.DefaultBacklogTerms().Check(); err != nil {
		t.Error(err)
	}
}

func TestTheBacklogIsDrawnWithItsNamesEscaped(t *testing.T) {
	svg := recovery.DrawBacklog(`<b>"`, []recovery.BacklogPast{{At: monday}, {At: monday.Add(time.Hour), In: 3, Open: 3}},
		[]recovery.Ahead{{At: monday.Add(time.Hour), P50: 3, P90: 3}, {At: monday.Add(2 * time.Hour), P90: 1}}, monday.Add(time.Hour), berlin)
	if strings.Contains(svg, "<b>") || strings.Contains(svg, "NaN") || !strings.Contains(svg, "P90") {
		t.Error(svg)
	}
}
