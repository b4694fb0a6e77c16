package paper

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

// Manual is a page of Markdown as a printed manual: sections that are found by
// thumb, commands that are read at arm's length, a box to tick before each.
//
// Of Markdown it knows what our pages use: headings, paragraphs, lists, indented
// and fenced code, tables, `code` and **bold**.
type Manual struct {
	Text   string   // Markdown; the first heading is the title
	Foot   string   // on every page
	Fields []string // filled in by hand on the first page, such as telephone numbers
}

// ErrNoTitle says that a manual has no first heading.
var ErrNoTitle = errors.New("the manual has no title: a line that begins with #")

// block is one part of the text.
type block struct {
	kind  blockKind
	level int // of a heading
	lines []string
	rows  [][]string
}

type blockKind int

const (
	_ blockKind = iota
	heading
	paragraph
	item
	code
	table
)

// PDF writes the manual on A4. The same manual has the same bytes.
func (m Manual) PDF(w io.Writer) error {
	blocks := parseMarkdown(m.Text)
	if len(blocks) == 0 || blocks[0].kind != heading {
		return ErrNoTitle
	}
	b := newBook(blocks[0].lines[0], m.Foot)
	b.titlePage(blocks, m.Fields)
	for _, bl := range blocks[1:] {
		b.block(bl)
	}
	if err := b.p.Output(w); err != nil {
		return fmt.Errorf("writing the manual: %w", err)
	}
	return nil
}

// parseMarkdown splits a page into blocks.
func parseMarkdown(text string) []block {
	var out []block
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "#"):
			level := len(line) - len(strings.TrimLeft(line, "#"))
			out = append(out, block{kind: heading, level: level, lines: []string{strings.TrimSpace(line[level:])}})
		case strings.HasPrefix(line, "```"):
			bl := block{kind: code}
			for i++; i < len(lines) && !strings.HasPrefix(lines[i], "```"); i++ {
				bl.lines = append(bl.lines, lines[i])
			}
			out = append(out, bl)
		case strings.HasPrefix(line, "    "):
			bl := block{kind: code}
			for ; i < len(lines) && strings.HasPrefix(lines[i], "    "); i++ {
				bl.lines = append(bl.lines, lines[i][4:])
			}
			i--
			out = append(out, bl)
		case strings.HasPrefix(line, "|"):
			bl := block{kind: table}
			for ; i < len(lines) && strings.HasPrefix(lines[i], "|"); i++ {
				if row := cells(lines[i]); !strings.HasPrefix(row[0], "--") {
					bl.rows = append(bl.rows, row)
				}
			}
			i--
			out = append(out, bl)
		default:
			i = paragraphs(lines, i, &out)
		}
	}
	return out
}

// paragraphs takes a paragraph or one item of a list, and returns its last line.
func paragraphs(lines []string, i int, out *[]block) int {
	bl := block{kind: paragraph}
	if rest, ok := strings.CutPrefix(lines[i], "- "); ok {
		bl.kind, lines[i] = item, rest
	}
	var words []string
	for ; i < len(lines); i++ {
		if l := lines[i]; strings.TrimSpace(l) == "" || strings.HasPrefix(l, "#") || strings.HasPrefix(l, "|") || strings.HasPrefix(l, "```") || len(words) > 0 && strings.HasPrefix(l, "- ") {
			break
		}
		words = append(words, strings.TrimSpace(lines[i]))
	}
	bl.lines = []string{strings.Join(words, " ")}
	*out = append(*out, bl)
	return i - 1
}

// cells are the cells of a table's line; \| is a bar.
func cells(line string) []string {
	line = strings.ReplaceAll(strings.Trim(strings.TrimSpace(line), "|"), `\|`, "\x00")
	parts := strings.Split(line, "|")
	for i := range parts {
		parts[i] = strings.ReplaceAll(strings.TrimSpace(parts[i]), "\x00", "|")
	}
	return parts
}

// book is a manual being set.
type book struct {
	p    *fpdf.Fpdf
	text func(string) string // to Windows-1252
	w    float64             // of the text, in mm
}

func newBook(title, foot string) *book {
	p := fpdf.New("P", "mm", "A4", "")
	b := &book{p: p, text: p.UnicodeTranslatorFromDescriptor(""), w: 174}
	p.SetCatalogSort(true)
	p.SetCreationDate(time.Unix(0, 0).UTC())
	p.SetModificationDate(time.Unix(0, 0).UTC())
	p.SetTitle(title, true)
	p.SetMargins(20, 16, 16)
	p.SetAutoPageBreak(true, 18)
	p.AliasNbPages("{n}")
	p.SetFooterFunc(func() {
		p.SetY(-13)
		p.SetFont("Helvetica", "", 8)
		p.CellFormat(0, 5, b.text(fmt.Sprintf("%s · %d / {n}", foot, p.PageNo())), "", 0, "L", false, 0, "")
	})
	return b
}

// titlePage holds the contents and what is filled in by hand.
func (b *book) titlePage(blocks []block, fields []string) {
	p := b.p
	p.AddPage()
	p.SetFont("Helvetica", "B", 26)
	p.MultiCell(0, 12, b.text(blocks[0].lines[0]), "", "L", false)
	p.Ln(4)
	n := 0
	for _, bl := range blocks {
		if bl.kind == heading && bl.level == 2 {
			n++
			p.SetFont("Helvetica", "", 12)
			p.CellFormat(0, 6.5, b.text(fmt.Sprintf("%2d  %s", n, plain(bl.lines[0]))), "", 1, "L", false, 0, "")
		}
	}
	p.Ln(4)
	p.SetFont("Helvetica", "", 11)
	for _, name := range fields {
		p.CellFormat(62, 10, b.text(name), "", 0, "LB", false, 0, "")
		p.CellFormat(0, 10, "", "B", 1, "L", false, 0, "")
	}
	p.AddPage()
}

func (b *book) block(bl block) {
	switch bl.kind {
	case heading:
		b.heading(bl)
	case paragraph:
		b.prose(bl.lines[0], 0)
	case item:
		x := b.p.GetX()
		b.p.SetFont("Helvetica", "", 11)
		b.p.CellFormat(5, 5.5, b.text("·"), "", 0, "L", false, 0, "")
		b.prose(bl.lines[0], 5)
		b.p.SetX(x)
	case code:
		b.code(bl.lines)
	case table:
		b.table(bl.rows)
	}
}

// room begins a new page when less than mm are left, and says whether it did.
func (b *book) room(mm float64) bool {
	_, h := b.p.GetPageSize()
	if b.p.GetY()+mm <= h-18 {
		return false
	}
	b.p.AddPage()
	return true
}

// heading keeps a section's first lines with it.
func (b *book) heading(bl block) {
	size := map[int]float64{1: 20, 2: 16}[bl.level]
	if size == 0 {
		size = 13
	}
	b.room(70)
	b.p.Ln(4)
	b.p.Bookmark(b.text(plain(bl.lines[0])), max(0, bl.level-2), -1)
	b.p.SetFont("Helvetica", "B", size)
	b.p.MultiCell(0, size*0.5, b.text(plain(bl.lines[0])), map[bool]string{true: "T"}[bl.level == 2], "L", false)
	b.p.Ln(2)
}

// prose sets a paragraph with `code` and **bold**.
func (b *book) prose(text string, indent float64) {
	left, _, _, _ := b.p.GetMargins()
	b.p.SetLeftMargin(left + indent)
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 {
			b.p.SetFont("Courier", "B", 10.5)
			b.p.Write(5.5, b.text(part))
			continue
		}
		for j, s := range strings.Split(part, "**") {
			b.p.SetFont("Helvetica", map[bool]string{true: "B"}[j%2 == 1], 11)
			b.p.Write(5.5, b.text(s))
		}
	}
	b.p.SetLeftMargin(left)
	b.p.Ln(7.5)
}

// code sets commands, a box to tick before each.
func (b *book) code(lines []string) {
	b.p.SetFillColor(238, 238, 238)
	for _, l := range lines {
		command, comment, _ := strings.Cut(l, " #")
		command = strings.TrimRight(command, " ")
		b.p.SetFont("Courier", "B", 9.5)
		wrapped := b.split(command, b.w-9)
		b.room(float64(len(wrapped)+1)*5 + 1)
		x, y := b.p.GetXY()
		if strings.HasPrefix(l, "leitstand ") || strings.HasPrefix(l, "systemctl ") { // each is an act of its own
			b.p.Rect(x, y+1, 3.2, 3.2, "D")
		}
		for _, part := range wrapped {
			b.p.SetX(x + 6)
			b.p.CellFormat(b.w-6, 5, part, "", 1, "L", true, 0, "")
		}
		b.p.SetX(x)
		if comment != "" {
			b.p.SetFont("Helvetica", "I", 9.5)
			b.p.SetX(x + 12)
			b.p.MultiCell(b.w-12, 4.5, b.text(strings.TrimSpace(comment)), "", "L", false)
			b.p.SetX(x)
		}
	}
	b.p.Ln(3)
}

// split wraps a text in the present font, as bytes of Windows-1252.
func (b *book) split(s string, w float64) []string {
	var out []string
	for _, l := range b.p.SplitLines([]byte(b.text(s)), w) {
		out = append(out, string(l))
	}
	return out
}

// table sets rows whose cells wrap; the first row is the heading, which every
// page repeats.
func (b *book) table(rows [][]string) {
	if len(rows) == 0 {
		return
	}
	width := b.w / float64(len(rows[0]))
	for i, row := range rows {
		style := map[bool]string{true: "B"}[i == 0]
		set, height := b.wrapped(row, style, width)
		if b.room(height) && i > 0 {
			head, h := b.wrapped(rows[0], "B", width)
			b.row(head, h, width)
			b.p.SetFont("Helvetica", style, 10)
		}
		b.row(set, height, width)
	}
	b.p.Ln(4)
}

// wrapped are the lines of a row's cells, and how high the row is in mm. It sets the font.
func (b *book) wrapped(row []string, style string, width float64) (set [][]string, height float64) {
	b.p.SetFont("Helvetica", style, 10)
	most := 1
	for _, c := range row {
		l := b.split(plain(c), width-3)
		set, most = append(set, l), max(most, len(l))
	}
	return set, float64(most)*5 + 2
}

func (b *book) row(set [][]string, height, width float64) {
	x, y := b.p.GetXY()
	for j, cell := range set {
		for k, l := range cell {
			b.p.SetXY(x+float64(j)*width, y+1+float64(k)*5)
			b.p.CellFormat(width-2, 5, l, "", 0, "L", false, 0, "")
		}
	}
	b.p.SetXY(x, y+height)
	b.p.Line(x, b.p.GetY(), x+b.w, b.p.GetY())
}

// plain is text without marks.
func plain(s string) string {
	return strings.NewReplacer("`", "", "**", "").Replace(s)
}
