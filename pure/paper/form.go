// Package paper makes prints: forms that a person carries out and signs. The
// same content makes the same bytes; nothing is fetched, the fonts are those that
// every PDF reader has.
package paper

import (
	"fmt"
	"io"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

// Form is one order on paper: facts, steps with boxes to tick, fields to fill in.
type Form struct {
	Title    string
	Exercise bool        // marked ÜBUNG
	Facts    [][2]string // name and value
	Steps    []string
	Notes    []string
	Fields   []string // left empty, with a line
	Foot     string
}

// Text is the form as lines of text, for printers that know nothing else.
func (f Form) Text() []string {
	var out []string
	if f.Exercise {
		out = append(out, "*** ÜBUNG ***")
	}
	out = append(out, f.Title, strings.Repeat("=", len([]rune(f.Title))), "")
	for _, fact := range f.Facts {
		out = append(out, fmt.Sprintf("%-12s %s", fact[0]+":", fact[1]))
	}
	out = append(out, "")
	for i, s := range f.Steps {
		out = append(out, fmt.Sprintf("[ ] %d. %s", i+1, s))
	}
	if len(f.Notes) > 0 {
		out = append(out, "")
		out = append(out, f.Notes...)
	}
	out = append(out, "")
	for _, name := range f.Fields {
		out = append(out, name+": "+strings.Repeat("_", 40))
	}
	return append(out, "", f.Foot)
}

// PDF writes the form on A4. Characters outside of Windows-1252 become dots.
func (f Form) PDF(w io.Writer) error {
	p := fpdf.New("P", "mm", "A4", "")
	text := p.UnicodeTranslatorFromDescriptor("") // Windows-1252
	p.SetCatalogSort(true)                        // the same form has the same bytes
	p.SetCreationDate(time.Unix(0, 0).UTC())
	p.SetModificationDate(time.Unix(0, 0).UTC())
	p.SetTitle(f.Title, true)
	p.SetLang("de")
	p.SetMargins(20, 18, 20)
	p.SetAutoPageBreak(true, 20)
	p.SetFooterFunc(func() {
		p.SetY(-15)
		p.SetFont("Helvetica", "", 8)
		p.CellFormat(0, 5, text(fmt.Sprintf("%s · Seite %d", f.Foot, p.PageNo())), "", 0, "L", false, 0, "")
	})
	p.AddPage()
	if f.Exercise {
		p.SetFont("Helvetica", "B", 20)
		p.CellFormat(0, 12, text("ÜBUNG"), "1", 1, "C", false, 0, "")
		p.Ln(3)
	}
	p.SetFont("Helvetica", "B", 16)
	p.CellFormat(0, 10, text(f.Title), "", 1, "L", false, 0, "")
	for _, fact := range f.Facts {
		p.SetFont("Helvetica", "B", 10)
		p.CellFormat(32, 6, text(fact[0]), "", 0, "L", false, 0, "")
		p.SetFont("Helvetica", "", 10)
		p.MultiCell(0, 6, text(fact[1]), "", "L", false)
	}
	p.Ln(4)
	for i, s := range f.Steps {
		x, y := p.GetXY()
		p.Rect(x, y+1.2, 4, 4, "D")
		p.SetX(x + 7)
		p.MultiCell(0, 6.5, text(fmt.Sprintf("%d. %s", i+1, s)), "", "L", false)
	}
	p.Ln(2)
	for _, n := range f.Notes {
		p.MultiCell(0, 6, text(n), "", "L", false)
	}
	p.Ln(4)
	for _, name := range f.Fields {
		p.CellFormat(45, 13, text(name), "", 0, "LB", false, 0, "")
		p.CellFormat(0, 13, "", "B", 1, "L", false, 0, "")
	}
	if err := p.Output(w); err != nil {
		return fmt.Errorf("writing the form %q: %w", f.Title, err)
	}
	return nil
}
