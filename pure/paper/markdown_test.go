package paper

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const page = "# Titel\n\nEin Absatz\nüber zwei Zeilen mit `code` und **fett**.\n\n## Erster Teil\n\n    leitstand doctor   # Kommentar\n    zweite\n\n- Punkt eins\n- Punkt zwei\n  geht weiter\n\n```sh\nfenced\n```\n\n| a | b |\n|---|---|\n| `x` | y \\| z |\n\n## Zweiter Teil\nText.\n"

func TestMarkdownIsSplitIntoItsBlocks(t *testing.T) {
	want := []block{
		{kind: heading, level: 1, lines: []string{"Titel"}},
		{kind: paragraph, lines: []string{"Ein Absatz über zwei Zeilen mit `code` und **fett**."}},
		{kind: heading, level: 2, lines: []string{"Erster Teil"}},
		{kind: code, lines: []string{"leitstand doctor   # Kommentar", "zweite"}},
		{kind: item, lines: []string{"Punkt eins"}},
		{kind: item, lines: []string{"Punkt zwei geht weiter"}},
		{kind: code, lines: []string{"fenced"}},
		{kind: table, rows: [][]string{{"a", "b"}, {"`x`", "y | z"}}},
		{kind: heading, level: 2, lines: []string{"Zweiter Teil"}},
		{kind: paragraph, lines: []string{"Text."}},
	}
	if diff := cmp.Diff(want, parseMarkdown(page), cmp.AllowUnexported(block{})); diff != "" {
		t.Error(diff)
	}
}

func TestAManualIsPrintedWithEverythingInIt(t *testing.T) {
	var a, b bytes.Buffer
	m := Manual{Text: page, Foot: "Fuß", Fields: []string{"Telefon:"}}
	if err := errors.Join(m.PDF(&a), m.PDF(&b)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the same manual has other bytes")
	}
	cmd := exec.Command("pdftotext", "-layout", "-", "-")
	cmd.Stdin = &a
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("pdftotext is not installed: suite left out")
	}
	for _, want := range []string{"Titel", "Telefon:", "1 Erster Teil", "2 Zweiter Teil", "leitstand doctor Kommentar zweite", "Punkt eins", "Punkt zwei geht weiter", "über zwei Zeilen mit code und fett.", "fenced", "Text.", "Fuß · 1 / 2"} {
		if err != nil || !strings.Contains(strings.Join(strings.Fields(string(out)), " "), want) {
			t.Errorf("the print lacks %q (%v)\n%s", want, err, out)
		}
	}
	if err := (Manual{Text: "kein Titel"}).PDF(&a); !errors.Is(err, ErrNoTitle) {
		t.Errorf("without a title: %v", err)
	}
}

func FuzzMarkdown(f *testing.F) {
	f.Add(page)
	f.Add("# \n|\n|--\n```\n    \n- \n#")
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		if err := (Manual{Text: "# T\n" + text}).PDF(&b); err != nil {
			t.Error(err)
		}
	})
}

// TestEveryPageOfATableHasItsHeading prints a table that needs more than one page.
func TestEveryPageOfATableHasItsHeading(t *testing.T) {
	var out bytes.Buffer
	text := "# Titel\n\n| was man sieht | was es heißt |\n|---|---|\n" + strings.Repeat("| etwas | etwas anderes |\n", 90)
	if err := (Manual{Text: text}).PDF(&out); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("pdftotext", "-layout", "-", "-")
	cmd.Stdin = &out
	got, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("pdftotext is not installed: suite left out")
	}
	pages := strings.Split(strings.TrimSuffix(string(got), "\f"), "\f")[1:] // the first is the title
	for i, p := range pages {
		if !strings.HasPrefix(strings.TrimSpace(p), "was man sieht") {
			t.Errorf("page %d of %d begins without the heading (%v):\n%.200s", i+1, len(pages), err, p)
		}
	}
	if len(pages) < 3 || strings.Count(string(got), "etwas anderes") != 90 {
		t.Errorf("%d pages, %d rows", len(pages), strings.Count(string(got), "etwas anderes"))
	}
}
