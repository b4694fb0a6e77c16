package containment

import (
	"strings"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/operation"
)

// previewCatalogue has one Kasse at one site and one at two; the app of the first rests on its
// payments.
func previewCatalogue(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Import(
		catalogue.File{Name: "k.csv", Data: []byte("ik;name;versicherte\n108433248;SBK;680800\n103170002;hkk;1\n")},
		catalogue.File{Name: "s.csv", Data: []byte("standort;name\nmunich;München\nessen;Essen\n")},
		catalogue.File{Name: "d.csv", Data: []byte("dienst;name;mtpd_h;termine\nzahl;Zahlungen;120;monatsende-bank: Krankengeld\napp;App;336;\n")},
		catalogue.File{Name: "p.csv", Data: []byte("kasse;standort;dienst;haengt_ab_von;mtpd_h\n108433248;munich;zahl;;72\n108433248;munich;app;zahl;\n" +
			"103170002;munich;zahl;;\n103170002;essen;zahl;;\n")},
	)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// adopted is a state in which everything runs, confirmed at the given instant.
func adopted(t *testing.T, c *catalogue.Catalogue, at time.Time) *operation.State {
	t.Helper()
	s := operation.NewState(c, operation.Settings{}).Clone()
	cmd := &operation.Adopt{Owner: "otto"}
	cmd.Reason = "Anfang"
	cmd.Sign(at, access.Person{ID: ledger.System})
	ch, err := operation.Apply(s, cmd)
	if err != nil {
		t.Fatal(err)
	}
	s.Commit(ch)
	return s
}

func TestThePreviewSpeaksGermanAndNamesDates(t *testing.T) {
	c := previewCatalogue(t)
	from := time.Date(2023, 4, 24, 20, 0, 0, 0, time.UTC)
	s := adopted(t, c, from)
	plan := Plan{Title: "t", Reason: "r", Stage: 1, From: from, Selection: Selection{Placements: []catalogue.PlacementID{"108433248/zahl/munich"}}}
	pre, err := MakePreview(c, s, plan)
	if err != nil {
		t.Fatal(err)
	}
	want := "Eine Stelle von einer Kasse mit 680.800 Versicherten geht vom Netz: ein Dienst fällt aus. " +
		"Außerdem trifft es Dienste, die darauf beruhen: einer fällt aus. " +
		"Zuerst untragbar: Zahlungen nach 3 Tagen, am Do 27.04.2023, 22:00 Uhr. " +
		"Am Fr 28.04.2023 fällig: Krankengeld (Zahlungen, eine Kasse)."
	if pre.Sentence != want {
		t.Errorf("got  %s\nwant %s", pre.Sentence, want)
	}
	if pre.Beyond != (Beyond{Stopped: 1}) || len(pre.Deadlines) != 3 || pre.Services[0].MTPD != "3 Tage" {
		t.Errorf("beyond %+v, deadlines %+v, %+v", pre.Beyond, pre.Deadlines, pre.Services)
	}

	plan.Selection = Selection{Services: []catalogue.ServiceID{"zahl"}, Sites: []catalogue.SiteID{"munich"}}
	plan.Emergency = []catalogue.ServiceID{"zahl"}
	if pre, err = MakePreview(c, s, plan); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(pre.Sentence, "2 Stellen von 2 Kassen mit 680.801 Versicherten gehen vom Netz: 2 gehen in den Notbetrieb. ") {
		t.Error(pre.Sentence)
	}
	for _, d := range pre.Deadlines {
		if d.Service == "zahl" {
			t.Errorf("emergency operation serves it: %+v", d)
		}
	}

	plan.From = time.Time{}
	plan.Emergency, plan.Selection = nil, Selection{Placements: []catalogue.PlacementID{"103170002/zahl/munich"}}
	if pre, err = MakePreview(c, s, plan); err != nil {
		t.Fatal(err)
	}
	if want := "Eine Stelle von einer Kasse mit einem Versicherten geht vom Netz: einer läuft an einem anderen Standort weiter."; pre.Sentence != want {
		t.Errorf("got  %s\nwant %s", pre.Sentence, want)
	}
}

func TestTheSituationKeepsUnknownApart(t *testing.T) {
	c := previewCatalogue(t)
	from := time.Date(2023, 4, 24, 20, 0, 0, 0, time.UTC)
	s := adopted(t, c, from)
	if sit := Situation(s, from); len(sit.Unknown.Placements)+len(sit.Down.Placements) != 0 {
		t.Errorf("fresh: %+v", sit)
	}
	later := Situation(s, from.Add(25*time.Hour))
	if len(later.Unknown.Placements) != 4 {
		t.Errorf("a day later: %+v", later)
	}
	r := catalogue.ImpactFrom(c, catalogue.Situation{Unknown: catalogue.Selection{Placements: []catalogue.PlacementID{"103170002/zahl/essen"}}},
		catalogue.Selection{Placements: []catalogue.PlacementID{"103170002/zahl/munich"}})
	if len(r.Cells) != 1 || r.Cells[0].Outcome != catalogue.Limited {
		t.Errorf("%+v", r.Cells)
	}
}
