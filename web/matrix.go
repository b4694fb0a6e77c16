package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"leitstand/catalogue"
	"leitstand/operation"
)

// look is how a cell appears: class of the colour, sign, word, and the word in
// at most six letters for narrow cells.
type look struct {
	Key, Sign, Word, Short string
}

// looks in the order of the legend, from best to worst.
func looks() []look {
	return []look{
		{"running", "✓", "läuft", "läuft"},
		{"limited", "◐", "eingeschränkt", "teils"},
		{"emergency", "✚", "Notbetrieb", "Not"},
		{"handover", "⇄", "Übergabe", "Überg."},
		{"trial", "◇", "Probebetrieb", "Probe"},
		{"rebuilding", "↻", "im Aufbau", "Aufbau"},
		{"cut", "⊘", "abgetrennt", "ab"},
		{"failed", "✕", "ausgefallen", "aus"},
		{"flagged", "▼", "muss vom Netz", "runter"},
		{"unknown", "?", "unbekannt", "unbek."},
	}
}

// lookOf is how a state appears. What is too old to be true comes first: unknown
// is red, whatever the stored state says.
func lookOf(c operation.Cell) look {
	key := "unknown"
	switch {
	case c.Unknown:
	case c.Flagged:
		key = "flagged"
	case c.Emergency == operation.Active:
		key = "emergency"
	case c.Emergency == operation.HandingOver:
		key = "handover"
	default:
		key = map[operation.Regular]string{
			operation.Running: "running", operation.Limited: "limited", operation.Cut: "cut",
			operation.Failed: "failed", operation.Rebuilding: "rebuilding", operation.Trial: "trial",
		}[c.Regular]
	}
	l, _ := lookNamed(key)
	return l
}

func lookNamed(key string) (look, int) {
	all := looks()
	for i, l := range all {
		if l.Key == key {
			return l, i
		}
	}
	return all[len(all)-1], len(all) - 1
}

// cellView is one cell of the matrix: colour, sign and word.
type cellView struct {
	look
	Exists  bool
	Service catalogue.ServiceID
	Name    string // of the service
	Count   string // "1 von 2" when not all placements are alike
	// Run is how many cells with this look follow each other from here; 0 in the
	// middle of a run. The wall writes the word once over the whole run.
	Run int
}

// rowView is one Kasse in the matrix.
type rowView struct {
	Kasse  catalogue.Kasse
	Cells  []cellView
	Groups []groupView // the same by state, worst first, for small screens
	weight int         // of what is wrong, to sort by
}

// groupView is all services of a Kasse in one state.
type groupView struct {
	look
	Services []serviceView
}

type serviceView struct {
	ID          catalogue.ServiceID
	Short, Name string
}

// columnView is one service over all Kassen.
type columnView struct {
	serviceView
	Down int // Kassen in which it does not run
}

// matrixView is the picture of the situation.
type matrixView struct {
	Columns []columnView
	Blocks  [][]rowView // side by side on a wall
	Dense   bool        // more rows than fit in large type
	Totals  []totalView
	Cells   int
	ByState bool
}

// totalView counts the cells of one look.
type totalView struct {
	look
	Count int
}

// perBlock is how many Kassen one block shows on a wall at most before a second one begins.
const perBlock = 24

// matrix lays the cells out. Kassen stand in the order of their names, so that
// each has its place; byState puts those first that are worst off.
func (s *server) matrix(cells []operation.Cell, byState bool) matrixView {
	type key struct {
		k catalogue.KasseID
		d catalogue.ServiceID
	}
	by := make(map[key]*operation.Cell, len(cells))
	for i := range cells {
		by[key{cells[i].Kasse, cells[i].Service}] = &cells[i]
	}
	services := orderedServices(s.room.Catalogue)
	m := matrixView{ByState: byState, Cells: len(cells)}
	for _, svc := range services {
		m.Columns = append(m.Columns, columnView{serviceView: serviceView{svc.ID, shortService(svc.ID), svc.Name}})
	}
	counts := map[string]int{}
	rows := make([]rowView, 0, len(s.room.Catalogue.Kassen))
	for _, k := range s.room.Catalogue.Kassen {
		row := rowView{Kasse: k, Cells: make([]cellView, 0, len(services))}
		for i, svc := range services {
			cell := by[key{k.ID, svc.ID}]
			if cell == nil {
				row.Cells = append(row.Cells, cellView{Service: svc.ID, Name: svc.Name})
				continue
			}
			v := viewOf(cell, svc)
			row.Cells = append(row.Cells, v)
			counts[v.Key]++
			if v.Key != "running" {
				m.Columns[i].Down++
			}
		}
		row.finish(m.Columns)
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b rowView) int {
		if c := b.weight - a.weight; byState && c != 0 {
			return c
		}
		return strings.Compare(strings.ToLower(a.Kasse.Name), strings.ToLower(b.Kasse.Name))
	})
	m.split(rows)
	for _, l := range looks() {
		if n := counts[l.Key]; n > 0 {
			m.Totals = append(m.Totals, totalView{l, n})
		}
	}
	return m
}

func viewOf(c *operation.Cell, svc catalogue.Service) cellView {
	v := cellView{look: lookOf(*c), Exists: true, Service: svc.ID, Name: svc.Name}
	if c.Worst < len(c.Placements) {
		v.Count = fmt.Sprintf("%d von %d", c.Worst, len(c.Placements))
	}
	return v
}

// finish works out runs, groups and weight of a row.
func (r *rowView) finish(columns []columnView) {
	for i := 0; i < len(r.Cells); {
		n := 1
		for i+n < len(r.Cells) && r.Cells[i].Exists && r.Cells[i+n].Exists && r.Cells[i+n].Key == r.Cells[i].Key {
			n++
		}
		r.Cells[i].Run = n
		i += n
	}
	all := looks()
	for i, l := range slices.Backward(all) {
		g := groupView{look: l}
		for n, c := range r.Cells {
			if c.Exists && c.Key == l.Key {
				g.Services = append(g.Services, columns[n].serviceView)
			}
		}
		if len(g.Services) > 0 {
			r.Groups = append(r.Groups, g)
			r.weight += i * len(g.Services)
		}
	}
}

// split makes two blocks of more rows than one holds.
func (m *matrixView) split(rows []rowView) {
	if len(rows) <= perBlock {
		m.Blocks = [][]rowView{rows}
		return
	}
	half := (len(rows) + 1) / 2
	m.Blocks = [][]rowView{rows[:half], rows[half:]}
	m.Dense = half > perBlock+8
}

// orderedServices are the services with the vital ones first.
func orderedServices(c *catalogue.Catalogue) []catalogue.Service {
	out := slices.Clone(c.Services)
	slices.SortStableFunc(out, func(a, b catalogue.Service) int {
		return cmp.Or(cmp.Compare(a.Criticality, b.Criticality), cmp.Compare(a.MTPD, b.MTPD))
	})
	return out
}

// shortService is a service in a narrow column. Field terms that everybody here
// uses stay; the others are words, not codes.
func shortService(id catalogue.ServiceID) string {
	short := map[catalogue.ServiceID]string{
		"eau": "eAU", "kim": "KIM", "epa": "ePA", "zahl": "Zahlung", "genehm": "Zusagen", "tel": "Telefon", "mail": "E-Mail", "web": "Website", "app": "App",
		"vsdm": "VSDM", "zuz": "Zuzahl.", "diga": "DiGA", "dta": "Austausch", "stat": "Statistik", "dms": "Akten", "ehkp": "Zahnpläne", "egk": "eGK", "ctrl": "Control.",
	}
	if v, ok := short[id]; ok {
		return v
	}
	return strings.ToUpper(string(id))
}
