package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/pure/eau"
)

// note is a valid sick note of a fictitious person.
func note() eau.Certificate {
	return eau.Certificate{
		ID: eau.NewID("cli", "1"), Test: true, Date: "2026-11-20", Type: eau.Erst, LegalBasis: "00",
		Patient: eau.Patient{
			Name: eau.Name{Given: "Erika", Family: "Beispiel"}, KVNR: "X123456788", BirthDate: "1980-02-29",
			Address: eau.Address{Street: "Am Prüfstand", House: "12", ZIP: "10115", City: "Berlin", Country: "D"},
		},
		Coverage: eau.Coverage{Type: "GKV", PayorIK: "109500969", PayorName: "Muster-Kasse", Status: "1", Group: "00", DMP: "00"},
		Author:   eau.Practitioner{Name: eau.Name{Given: "Max", Family: "Mustermann"}, Type: "00", Profession: "Hausarzt", LANR: "123456601"},
		Organization: eau.Organization{
			Name: "Praxis Mustermann", BSNR: "721111100", Phone: "030 1234567",
			Address: eau.Address{Street: "Hauptstraße", House: "1", ZIP: "10115", City: "Berlin"},
		},
		Since: "2026-11-19", Until: "2026-11-27", Determined: "2026-11-20", Causes: []string{eau.CauseWorkAccident},
		Diagnoses: []eau.Diagnosis{{Code: "S93.40", Version: "2026", Certainty: "G", Side: "L"}},
		Steps:     []eau.Step{{Code: "d_arzt"}},
	}
}

// notesDir has a valid note, one with a wrong BSNR, one that is no XML, one in
// the wrong character set, and a file that is none of our business.
func notesDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	good, err := eau.Write(note())
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"valid.xml": good, "wrong.xml": bytes.Replace(good, []byte("721111100"), []byte("0312 4567"), 1),
		"torn.xml": good[:len(good)/2], "bom.XML": append([]byte("\xef\xbb\xbf"), good...), "note.txt": []byte("x"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func runEAU(t *testing.T, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"eau"}, args...), strings.NewReader(stdin), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestEauCheckSaysWhatIsValidByExitCode(t *testing.T) {
	dir := notesDir(t)
	good := filepath.Join(dir, "valid.xml")
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		"a valid file":             {"", []string{"check", good}, 0, "1 checked: 1 valid, 0 invalid"},
		"a directory":              {"", []string{"check", dir}, 1, "4 checked: 1 valid, 3 invalid"},
		"an invalid file":          {"", []string{"check", filepath.Join(dir, "wrong.xml")}, 1, "-for-laengeBSNR"},
		"malformed XML":            {"", []string{"check", filepath.Join(dir, "torn.xml")}, 1, " xml: "},
		"the wrong character set":  {"", []string{"check", filepath.Join(dir, "bom.XML")}, 1, " charset: "},
		"standard input":           {string(b), []string{"check", "-"}, 0, "valid   eau 1.2.1 -"},
		"a file that is not there": {"", []string{"check", good, filepath.Join(dir, "none.xml")}, 2, "1 could not be read"},
		"both invalid and absent":  {"", []string{"check", filepath.Join(dir, "wrong.xml"), filepath.Join(dir, "none.xml")}, 2, "1 invalid; 1 could not be read"},
		"an empty directory":       {"", []string{"check", t.TempDir()}, 2, "1 could not be read"},
		"not yet accepted":         {"", []string{"check", "--at", "2025-01-01", good}, 1, "version-receipt"},
		"a date that is none":      {"", []string{"check", "--at", "gestern", good}, 2, ""},
		"all findings":             {"", []string{"check", "-a", filepath.Join(dir, "wrong.xml")}, 1, "  warning line "},
	} {
		code, out, _ := runEAU(t, c.stdin, c.args...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit %d, want %d with %q:\n%s", name, code, c.code, c.want, out)
		}
	}
}

func TestEauCheckWritesOneObjectALine(t *testing.T) {
	dir := notesDir(t)
	code, out, errOut := runEAU(t, "", "check", "--json", dir)
	if code != 1 || !strings.Contains(errOut, "4 checked") {
		t.Errorf("exit %d, standard error %q", code, errOut)
	}
	got := map[string]checkResult{}
	for line := range strings.Lines(out) {
		var r checkResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if r.Findings == nil {
			t.Errorf("%s: findings are null", r.File)
		}
		got[filepath.Base(r.File)] = r
	}
	if r := got["valid.xml"]; !r.Valid || r.Kind != "eau" || r.Version != "1.2.1" || len(r.Findings) != 0 {
		t.Errorf("valid.xml: %+v", r)
	}
	r := got["wrong.xml"]
	if r.Valid || len(r.Findings) != 2 {
		t.Fatalf("wrong.xml: %+v", r)
	}
	f := r.Findings[1]
	if f.Key != "-for-laengeBSNR" || f.Severity != "error" || f.Path != "Bundle.entry[3].resource.identifier[0].value" || f.Line < 100 || f.Code != "101" || f.Text == "" {
		t.Errorf("wrong.xml: %+v", f)
	}
	if r := got["bom.XML"]; r.Kind != "unknown" || r.Version != "" || r.Findings[0].Code != "103" {
		t.Errorf("bom.XML: %+v", r)
	}
}

func TestEauShowPrintsWhatAClerkNeeds(t *testing.T) {
	dir := notesDir(t)
	code, out, _ := runEAU(t, "", "show", filepath.Join(dir, "valid.xml"))
	for _, want := range []string{
		"Erstbescheinigung", "Erika Beispiel", "29.02.1980", "X123456788", "Muster-Kasse, GKV, IK 109500969", "Arbeitsunfall",
		"19.11.2026", "27.11.2026", "S93.40 GL", "Durchgangsarzt", "Max Mustermann, Hausarzt, LANR 123456601", "BSNR 721111100", "entspricht den Regeln",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	if code, out, _ := runEAU(t, "", "show", filepath.Join(dir, "wrong.xml")); code != 1 || !strings.Contains(out, "entspricht NICHT") || !strings.Contains(out, "Fehlercode 101") {
		t.Errorf("invalid: exit %d:\n%s", code, out)
	}
	if code, out, _ := runEAU(t, "", "show", filepath.Join(dir, "torn.xml")); code != 1 || !strings.Contains(out, "Kein lesbares Dokument") {
		t.Errorf("torn: exit %d:\n%s", code, out)
	}
	if code, _, _ := runEAU(t, "", "show", filepath.Join(dir, "none.xml")); code != 2 {
		t.Errorf("absent: exit %d", code)
	}
	storno, err := eau.WriteStorno(eau.Storno{ID: eau.NewID("cli", "2"), Date: "2026-11-21", Author: note().Author, Organization: note().Organization, Cancels: note().ID})
	if err != nil {
		t.Fatal(err)
	}
	if code, out, _ := runEAU(t, string(storno), "show", "-"); code != 0 || !strings.Contains(out, "urn:uuid:"+note().ID) {
		t.Errorf("Storno: exit %d:\n%s", code, out)
	}
	notice, err := eau.WriteError(eau.ErrorNotice{ID: "1", Code: "101", BundleIdentifier: "urn:uuid:" + note().ID})
	if err != nil {
		t.Fatal(err)
	}
	if code, out, _ := runEAU(t, string(notice), "show", "-"); code != 0 || !strings.Contains(out, "101") {
		t.Errorf("error message: exit %d:\n%s", code, out)
	}
}

func TestEauBenchMeasuresBesideTokenising(t *testing.T) {
	dir := notesDir(t)
	code, out, errOut := runEAU(t, "", "bench", "--json", "--for", "1ms", dir)
	var r benchResult
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
		t.Fatalf("exit %d, %v, %q", code, err, out)
	}
	if r.Bundles != 1 || r.PerCore <= 0 || r.Ratio <= 0 || r.Allocs <= 0 || r.Allocs > 300 || !strings.Contains(errOut, "3 files left out") {
		t.Errorf("%+v, %q", r, errOut)
	}
	if code, _, _ := runEAU(t, "", "bench", t.TempDir()); code != 2 {
		t.Errorf("nothing to measure: exit %d", code)
	}
}
