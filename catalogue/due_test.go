package catalogue_test

import (
	"strings"
	"testing"
	"time"

	"leitstand/catalogue"
)

func TestDatedDutiesFallOnTheirDays(t *testing.T) {
	for _, x := range []struct{ rule, from, want string }{
		{"monatsende", "2023-04-24", "2023-04-30"},
		{"monatsende", "2023-04-30", "2023-04-30"}, // not over on the day itself
		{"monatsende", "2024-02-01", "2024-02-29"},
		{"monatsende-bank", "2023-04-24", "2023-04-28"}, // the 30th was a Sunday
		{"monatsende-bank", "2023-04-29", "2023-05-31"},
		{"monatsende-bank", "2024-03-01", "2024-03-28"}, // the 31st was Easter Sunday, the 29th Good Friday
		{"monatsende-bank", "2018-04-01", "2018-04-30"},
		{"monatsende-bank", "2025-05-02", "2025-05-30"},
		{"quartalsende", "2023-04-01", "2023-06-30"},
		{"quartalsende", "2023-12-31", "2023-12-31"},
		{"tag-15", "2023-04-16", "2023-05-15"},
		{"tag-31", "2023-04-01", "2023-04-30"},
		{"2026-04-30", "2026-04-01", "2026-04-30"},
		{"2026-04-30", "2026-05-01", ""},
	} {
		d, err := catalogue.ParseDue(x.rule + ": x")
		if err != nil {
			t.Fatal(err)
		}
		from, err := time.Parse(time.DateOnly, x.from)
		if err != nil {
			t.Fatal(err)
		}
		day, ok := d.Next(from.Add(23 * time.Hour))
		got := ""
		if ok {
			got = day.Format(time.DateOnly)
		}
		if got != x.want {
			t.Errorf("%s from %s is %q, want %q", x.rule, x.from, got, x.want)
		}
	}
}

func TestBadDutiesAreRefused(t *testing.T) {
	for _, s := range []string{"", "monatsende", "monatsende:", "immer: x", "tag-0: x", "tag-32: x", "tag-: x", "2026-02-30: x", ": x"} {
		if d, err := catalogue.ParseDue(s); err == nil {
			t.Errorf("%q was read as %v", s, d)
		}
	}
	_, err := catalogue.Import(catalogue.File{Name: "dienste.csv", Data: []byte("dienst;name;termine\neau;eAU;monatsende: a|irgendwann: b\n")})
	if err == nil || !strings.Contains(err.Error(), `dienste.csv:2: termine: rule "irgendwann" is none of monatsende`) {
		t.Error(err)
	}
}

func TestDeadlinesOfWhatStops(t *testing.T) {
	c := catalogue.Case2023(1)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2023, 4, 24, 22, 0, 0, 0, berlin)
	pays, web := catalogue.CellImpact{}, catalogue.CellImpact{}
	for _, cell := range catalogue.Impact(c, catalogue.Selection{Kassen: []catalogue.KasseID{"108433248"}}).Cells {
		switch cell.Service {
		case "zahl":
			pays = cell
		case "web":
			web = cell
		}
	}
	twin := pays
	twin.Kasse, twin.Outcome = "x", catalogue.Uncertain
	web.Outcome = catalogue.Limited
	got := catalogue.Deadlines(c, []catalogue.CellImpact{pays, twin, web}, from)
	if len(got) != 2 {
		t.Fatalf("%d deadlines, want the duty and the MTPD of payments: %+v", len(got), got)
	}
	if d := got[0]; d.When() != "Fr 28.04.2023" || d.What() != "Krankengeld und Pflegegeld zum Monatsende" || d.Kassen != 2 || d.Insured != 2*pays.Insured || d.Uncertain {
		t.Errorf("the duty: %+v", d)
	}
	if d := got[1]; d.When() != "Sa 29.04.2023, 22:00 Uhr" || d.After != 120*time.Hour || d.What() != "Zahlungsverkehr Krankengeld/Pflegegeld länger als 5 Tage aus" {
		t.Errorf("the MTPD: %+v, %s", d, d.What())
	}
	want := "Zuerst untragbar: Zahlungsverkehr Krankengeld/Pflegegeld nach 5 Tagen, am Sa 29.04.2023, 22:00 Uhr. " +
		"Am Fr 28.04.2023 fällig: Krankengeld und Pflegegeld zum Monatsende (Zahlungsverkehr Krankengeld/Pflegegeld, 2 Kassen)."
	if s := catalogue.DeadlineSentence(got); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
	if only := catalogue.Deadlines(c, []catalogue.CellImpact{twin}, from); len(only) != 2 || !only[0].Uncertain {
		t.Errorf("unknown must stay unknown: %+v", only)
	}
}
