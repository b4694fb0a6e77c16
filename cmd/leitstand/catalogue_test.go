package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// leitstand runs the program and gives its exit code and both outputs.
func runCatalogue(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"catalogue"}, args...), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestWhatIsExportedPassesTheCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "katalog")
	if code, _, stderr := runCatalogue(t, "export", "--case", "2023", "--to", dir); code != 0 {
		t.Fatal(stderr)
	}
	code, out, stderr := runCatalogue(t, "check", dir)
	if code != 0 || !strings.HasPrefix(out, "ok: 47 Kassen, 846 cells, ") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	if code, _, _ := runCatalogue(t, "export", "--case", "2023", "--to", dir); code == 0 {
		t.Error("existing files were overwritten")
	}
	shown, _, _ := strings.Cut(out[strings.Index(out, "sha256"):], "\n")
	if _, show, _ := runCatalogue(t, "show", dir); !strings.Contains(show, shown) {
		t.Errorf("show has another hash than %s", shown)
	}
}

func TestCheckNamesFileLineAndField(t *testing.T) {
	name := filepath.Join(t.TempDir(), "kassen.csv")
	if err := os.WriteFile(name, []byte("ik;name\n103170003;hkk\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := runCatalogue(t, "check", name)
	if want := name + `:2: ik: "103170003" is no IK: the check digit should be 2` + "\n"; code != 1 || out != want {
		t.Errorf("exit %d: %s", code, out)
	}
	code, out, _ = runCatalogue(t, "check", "--json", name)
	var got checked
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 1 || got.OK || len(got.Problems) != 1 || got.Problems[0].Line != 2 || got.Problems[0].Field != "ik" {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	if code, _, stderr := runCatalogue(t, "check", "nowhere.csv"); code != 1 || !strings.Contains(stderr, "nowhere.csv") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestImpactIsShownInWordsAndAsJSON(t *testing.T) {
	code, out, stderr := runCatalogue(t, "impact", "--case", "2023", "--gone", "munich")
	if code != 0 || !strings.Contains(out, "fallen aus") || !strings.Contains(out, "(zum Teil angenommene Zahlen)") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	code, out, _ = runCatalogue(t, "impact", "--case", "2023", "--gone", "munich", "--from", "2023-04-24T22:00:00+02:00")
	if code != 0 || !strings.Contains(out, "Fr 28.04.2023") || !strings.Contains(out, "Krankengeld und Pflegegeld zum Monatsende") {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out, _ = runCatalogue(t, "impact", "--example", "--gone", "dns@nord", "--graph", "dot"); code != 0 || !strings.HasPrefix(out, "digraph") {
		t.Errorf("exit %d: %s", code, out)
	}
	code, out, _ = runCatalogue(t, "impact", "--example", "--gone", "dns@nord", "--json")
	var got struct{ Stopped int }
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || got.Stopped == 0 {
		t.Errorf("exit %d, %v: %.300s", code, err, out)
	}
	code, out, stderr = runCatalogue(t, "cut", "--case", "2023", "--compromised", "SBK Siemens-Betriebskrankenkasse", "--protect", "directory@munich,directory@essen")
	if want := "1. geringster Schaden, nah am Angreifer"; code != 0 || !strings.HasPrefix(out, want) || !strings.Contains(out, "abtrennen: 108433248@") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	if code, _, stderr := runCatalogue(t, "show", "--case", "2023", "--example"); code != 1 || !strings.Contains(stderr, "exactly one") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestMergeShowsTheDifferenceBeforeItWrites(t *testing.T) {
	dir := t.TempDir()
	compose, to := filepath.Join(dir, "compose.yaml"), filepath.Join(dir, "neu")
	if err := os.WriteFile(compose, []byte("services:\n  web: {depends_on: [db]}\n  db: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "+ komponenten amt.db@nord\n+ komponenten amt.web@nord\n"
	code, out, stderr := runCatalogue(t, "merge", "--example", "--from", compose, "--site", "nord", "--prefix", "amt")
	if code != 0 || out != want || !strings.Contains(stderr, "nothing was written") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	if code, out, stderr = runCatalogue(t, "merge", "--example", "--from", compose, "--site", "nord", "--prefix", "amt", "--to", to); code != 0 || out != want {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	if code, out, stderr = runCatalogue(t, "impact", to, "--gone", "amt.db@nord"); code != 0 || !strings.Contains(out, "amt.db@nord → amt.web@nord") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
}
