package eau_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"leitstand/pure/eau"
)

// word draws text as people write it, of at most n characters.
func word(t *rapid.T, name string, n int) string {
	s := rapid.StringMatching(`[A-ZÄÖÜ][a-zäöüß&'<"-]{0,18}( [A-Za-zäöüß.-]{1,12}){0,2}`).Draw(t, name)
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "x"
	}
	return s
}

func maybe(t *rapid.T, name string, f func() string) string {
	if rapid.Bool().Draw(t, name+"?") {
		return f()
	}
	return ""
}

func day(t *rapid.T, name string, from, to int) string {
	return fmt.Sprintf("%d-%02d-%02d", rapid.IntRange(from, to).Draw(t, name+" year"),
		rapid.IntRange(1, 12).Draw(t, name+" month"), rapid.IntRange(1, 28).Draw(t, name+" day"))
}

func digits(t *rapid.T, name string, n int) string {
	return rapid.StringMatching(fmt.Sprintf("[0-9]{%d}", n)).Draw(t, name)
}

func personName(t *rapid.T, name string) eau.Name {
	return eau.Name{
		Title:    maybe(t, name+" title", func() string { return word(t, name+" title", 20) }),
		Given:    word(t, name+" given", 45),
		Addition: maybe(t, name+" addition", func() string { return word(t, name+" addition", 20) }),
		Prefix:   maybe(t, name+" prefix", func() string { return word(t, name+" prefix", 20) }),
		Family:   word(t, name+" family", 45),
	}
}

// certificate draws a certificate that keeps to the rules for statutory and
// private insurance.
func certificate(t *rapid.T) eau.Certificate {
	private := rapid.Bool().Draw(t, "private")
	c := eau.Certificate{
		ID:         eau.NewID("rapid", rapid.String().Draw(t, "id")),
		Test:       rapid.Bool().Draw(t, "test"),
		Date:       day(t, "issued", 2027, 2035),
		Type:       rapid.SampledFrom([]eau.AUType{eau.Erst, eau.Folge, eau.ErstEnd, eau.FolgeEnd}).Draw(t, "type"),
		LegalBasis: rapid.SampledFrom([]string{"00", "04", "07", "10", "14", "17"}).Draw(t, "legal basis"),
		TestNumber: "Y/" + digits(t, "test number", 3),
		Patient: eau.Patient{
			Name: personName(t, "patient"), KVNR: "X" + digits(t, "kvnr", 9), BirthDate: day(t, "born", 1920, 2026),
			Address: eau.Address{
				Street: word(t, "street", 46), House: digits(t, "house", 2), Extra: maybe(t, "extra", func() string { return word(t, "extra", 40) }),
				ZIP: digits(t, "zip", 5), City: word(t, "city", 40), Country: rapid.SampledFrom([]string{"D", "A", "CH", ""}).Draw(t, "country"),
			},
		},
		Coverage: eau.Coverage{
			Type: "GKV", PayorIK: digits(t, "ik", 9), PayorName: word(t, "payor", 45), End: maybe(t, "end", func() string { return day(t, "end", 2027, 2040) }),
			Status: rapid.SampledFrom([]string{"1", "3", "5"}).Draw(t, "status"), Group: "00",
			DMP: rapid.SampledFrom([]string{"00", "12", "58"}).Draw(t, "dmp"), WOP: rapid.SampledFrom([]string{"", "72"}).Draw(t, "wop"),
		},
		Author: eau.Practitioner{Name: personName(t, "author"), Type: "00", Profession: word(t, "profession", 100), LANR: digits(t, "lanr", 9)},
		Organization: eau.Organization{
			Name: word(t, "practice", 60), BSNR: digits(t, "bsnr", 9), Phone: digits(t, "phone", 12),
			Fax:     maybe(t, "fax", func() string { return digits(t, "fax", 12) }),
			Address: eau.Address{Street: word(t, "practice street", 46), House: digits(t, "practice house", 2), ZIP: digits(t, "practice zip", 5), City: word(t, "practice city", 40)},
		},
		SevenWeeks:    rapid.Bool().Draw(t, "seven weeks"),
		Causes:        rapid.SampledFrom([][]string{nil, {"1"}, {"2", "3"}, {"1", "2", "3"}}).Draw(t, "causes"),
		DiagnosisText: maybe(t, "text", func() string { return word(t, "text", 70) }),
	}
	c.Determined, c.Until = c.Date, c.Date
	if c.Type.First() {
		c.Since = c.Date
	}
	for i := range rapid.IntRange(1, 6).Draw(t, "diagnoses") {
		c.Diagnoses = append(c.Diagnoses, eau.Diagnosis{
			Code: fmt.Sprintf("S%02d.%d", i, i), Version: "2027",
			Certainty: rapid.SampledFrom([]string{"G", "V", "Z", "A"}).Draw(t, "certainty"), Side: rapid.SampledFrom([]string{"", "L", "R", "B"}).Draw(t, "side"),
		})
	}
	if rapid.Bool().Draw(t, "steps") {
		c.Steps = []eau.Step{{Code: "reha"}, {Code: "sonstige", Text: word(t, "step", 100)}}
	}
	if private {
		c.Coverage.Type, c.PartlyFitFrom, c.Unemployable = "PKV", c.Date, true
		if len(c.Steps) > 0 {
			c.Steps[0].Admission, c.Steps[0].Discharge = c.Date, c.Date
		}
	}
	return c
}

func TestWhatTheWriterMakesPassesTheCheckAndIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := certificate(t)
		b, err := eau.Write(c)
		if err != nil {
			t.Fatal(err)
		}
		d, r := eau.ReadAndCheck(b, eau.Options{})
		if !r.Valid || len(r.Findings) > 0 {
			t.Fatalf("findings %+v", r.Findings)
		}
		c.Timestamp, c.Test = d.Timestamp, false
		if diff := cmp.Diff(&c, d.Certificate); diff != "" {
			t.Fatalf("read back (-want +got):\n%s", diff)
		}
	})
}

func TestTheWriterNamesWhatIsMissing(t *testing.T) {
	for name, change := range map[string]func(*eau.Certificate){
		"id": func(c *eau.Certificate) { c.ID = "1" }, "date": func(c *eau.Certificate) { c.Date = "" },
		"type": func(c *eau.Certificate) { c.Type = "" }, "until": func(c *eau.Certificate) { c.Until = "" },
		"diagnosis": func(c *eau.Certificate) { c.Diagnoses = nil }, "text": func(c *eau.Certificate) { c.DiagnosisText = "\x00" },
	} {
		c := eau.SampleCertificate()
		change(&c)
		if b, err := eau.Write(c); err == nil {
			t.Errorf("without %s: %d bytes are written", name, len(b))
		}
	}
	for name, n := range map[string]eau.ErrorNotice{
		"no id": {Code: "101", MessageID: "x"}, "no code": {ID: "x", MessageID: "x"}, "both": {ID: "x", Code: "101", MessageID: "x", BundleIdentifier: "y"},
		"neither": {ID: "x", Code: "101"}, "version": {ID: "x", Code: "101", MessageID: "x", Version: "0.9"},
	} {
		if _, err := eau.WriteError(n); err == nil {
			t.Errorf("error message with %s is written", name)
		}
	}
	for name, s := range map[string]eau.Storno{"no id": {Date: "2026-11-20", Cancels: "x"}, "nothing": {ID: eau.NewID("a", "b"), Date: "2026-11-20"}, "no date": {ID: eau.NewID("a", "b"), Cancels: "x"}} {
		if _, err := eau.WriteStorno(s); err == nil {
			t.Errorf("Storno with %s is written", name)
		}
	}
}

func TestEveryErrorCodeCanBeAnsweredInBothVersions(t *testing.T) {
	for _, code := range []string{
		"100", "101", "102", "103", "104", "105", "201", "202", "203", "204",
		"301", "303", "304", "305", "307", "309", "310", "311", "313", "314",
	} {
		for _, version := range []string{"1.2", "1.1.0"} {
			b, err := eau.WriteError(eau.ErrorNotice{ID: eau.NewID("error", code), Version: version, Code: code, MessageID: "1@kim.telematik"})
			if err != nil {
				t.Fatal(err)
			}
			if r := eau.Check(b, eau.Options{}); !r.Valid || r.Kind != eau.KindError || len(r.Findings) > 0 {
				t.Errorf("code %s in %s: %+v", code, version, r)
			}
		}
	}
}

func TestFileNamesSayRealOrTest(t *testing.T) {
	for want, got := range map[string]string{
		"EEAU0_1": eau.FileName(eau.KindEAU, false, "1"), "TEAU0_1": eau.FileName(eau.KindEAU, true, "1"),
		"TEAU0_Storno_1": eau.FileName(eau.KindStorno, true, "1"), "EEAU0_Fehler_1": eau.FileName(eau.KindError, false, "1"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
