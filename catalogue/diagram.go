package catalogue

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// Diagram is a preview as a picture: what was taken away on the left, and what
// falls because of it to the right. Placements of one service that fare alike are one
// box, so that the loss of a whole site still fits on a page.
type Diagram struct {
	Boxes  []Box   `json:"boxes"`
	Arrows []Arrow `json:"arrows"`
}

// Box is one component, or the placements of one service with one outcome.
type Box struct {
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	Direct  bool    `json:"direct,omitempty"` // part of the act itself
	Count   int     `json:"count"`            // placements or components in it
	Column  int     `json:"column"`           // how many steps from what was taken away
}

// Arrow leads from a box to one that rests on it, numbers as in Boxes.
type Arrow struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// maxBoxes is how many single components a diagram names; more of one outcome
// and column become one box.
const maxBoxes = 40

// Diagram draws the result. Its arrows are the chains: one reason for each node.
func (r Result) Diagram(c *Catalogue) Diagram {
	d := drawing{c: c, box: map[boxKey]int{}, of: map[string]int{}, arrows: map[Arrow]bool{}}
	components := 0
	for _, n := range r.Nodes {
		if _, ok := c.Component(ComponentID(n.Node)); ok {
			components++
		}
	}
	d.fold = components > maxBoxes
	for _, n := range r.Nodes {
		d.add(n)
	}
	for _, n := range r.Nodes {
		d.link(n)
	}
	return d.done()
}

type boxKey struct {
	name    string
	outcome Outcome
	direct  bool
	column  int
}

type drawing struct {
	c      *Catalogue
	fold   bool // components too
	boxes  []Box
	box    map[boxKey]int
	of     map[string]int // box of a node
	arrows map[Arrow]bool
}

func (d *drawing) add(n NodeImpact) {
	k := boxKey{outcome: n.Outcome, direct: n.Direct, column: max(0, len(n.Chain)-1), name: n.Node}
	if p, ok := d.c.Placement(PlacementID(n.Node)); ok {
		k.name = nameOfService(d.c, p.Service)
	} else if d.fold {
		k.name = "Komponenten"
	}
	if n.Outcome == OnAlternative {
		k.column = 1 // it has no chain: it did not fall
	}
	i, known := d.box[k]
	if !known {
		i = len(d.boxes)
		d.box[k] = i
		d.boxes = append(d.boxes, Box{Name: k.name, Outcome: k.outcome, Direct: k.direct, Column: k.column})
	}
	d.boxes[i].Count++
	d.of[n.Node] = i
}

func (d *drawing) link(n NodeImpact) {
	if len(n.Chain) < 2 {
		return
	}
	from, ok := d.of[n.Chain[len(n.Chain)-2]]
	if to := d.of[n.Node]; ok && from != to {
		d.arrows[Arrow{from, to}] = true
	}
}

// done orders the boxes by column, the worst first, and numbers the arrows anew.
func (d *drawing) done() Diagram {
	order := make([]int, len(d.boxes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := d.boxes[i], d.boxes[j]
		return cmp.Or(cmp.Compare(a.Column, b.Column), cmp.Compare(b.Outcome, a.Outcome), cmp.Compare(a.Name, b.Name), cmp.Compare(i, j))
	})
	out := Diagram{Boxes: []Box{}, Arrows: []Arrow{}}
	number := make([]int, len(order))
	for n, i := range order {
		number[i] = n
		out.Boxes = append(out.Boxes, d.boxes[i])
	}
	for a := range d.arrows {
		out.Arrows = append(out.Arrows, Arrow{number[a.From], number[a.To]})
	}
	slices.SortFunc(out.Arrows, func(a, b Arrow) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return out
}

// Word is the outcome in German.
func (o Outcome) Word() string {
	switch o {
	case Unaffected:
		return "läuft"
	case OnAlternative:
		return "läuft über Ersatzweg"
	case Limited:
		return "eingeschränkt"
	case Uncertain:
		return "ungewiss"
	case Stopped:
		return "fällt aus"
	}
	return o.String()
}

// label is what stands in a box: never the colour alone.
func (b Box) label() (name, state string) {
	name = b.Name
	if b.Count > 1 {
		name += " ×" + Thousands(b.Count)
	}
	state = b.Outcome.Word()
	if b.Direct && b.Outcome == Stopped {
		state = "abgetrennt"
	}
	return name, state
}

// DOT writes the picture for Graphviz.
func (d Diagram) DOT() string {
	var b strings.Builder
	b.WriteString("digraph Auswirkung {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n")
	for i, x := range d.Boxes {
		name, state := x.label()
		style := "solid"
		if x.Outcome == Uncertain {
			style = "dashed"
		}
		fmt.Fprintf(&b, "  n%d [label=%s, style=%q];\n", i, quoteDOT(name, state), style)
	}
	for _, a := range d.Arrows {
		fmt.Fprintf(&b, "  n%d -> n%d;\n", a.From, a.To)
	}
	b.WriteString("}\n")
	return b.String()
}

func quoteDOT(lines ...string) string {
	clean := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", " ")
	for i := range lines {
		lines[i] = clean.Replace(lines[i])
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}

// Mermaid writes the picture as a Mermaid flowchart.
func (d Diagram) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	clean := strings.NewReplacer(`"`, "#quot;", "#", "#35;", "<", "#lt;", ">", "#gt;", "\n", " ")
	for i, x := range d.Boxes {
		name, state := x.label()
		fmt.Fprintf(&b, "  n%d[\"%s<br/>%s\"]\n", i, clean.Replace(name), clean.Replace(state))
	}
	for _, a := range d.Arrows {
		fmt.Fprintf(&b, "  n%d --> n%d\n", a.From, a.To)
	}
	return b.String()
}

// Measures of the SVG in its own units.
const (
	boxWidth, boxHeight = 230, 44
	gapX, gapY, margin  = 60, 12, 8
)

// SVG draws the picture without scripts, style sheets or fonts from elsewhere.
// Every box says its state in words.
func (d Diagram) SVG() string {
	at, width, height := d.layout()
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="%s" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="13">`,
		escape(d.summary()), width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`, width, height)
	for _, a := range d.Arrows {
		from, to := at[a.From], at[a.To]
		x1, y1, x2, y2 := from[0]+boxWidth, from[1]+boxHeight/2, to[0], to[1]+boxHeight/2
		fmt.Fprintf(&b, `<path d="M%d %dC%d %d %d %d %d %d" fill="none" stroke="#5a6472"/><path d="M%d %dl-7 -4v8z" fill="#5a6472"/>`,
			x1, y1, x1+gapX/2, y1, x2-gapX/2, y2, x2, y2, x2, y2)
	}
	for i, x := range d.Boxes {
		name, state := x.label()
		paint, dash := colours(x.Outcome)
		fmt.Fprintf(&b, `<g><title>%s: %s</title><rect x="%d" y="%d" width="%d" height="%d" rx="4" fill="%s" stroke="#1d2430"%s/>`,
			escape(name), escape(state), at[i][0], at[i][1], boxWidth, boxHeight, paint, dash)
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-weight="bold" fill="#101418">%s</text><text x="%d" y="%d" fill="#101418">%s</text></g>`,
			at[i][0]+8, at[i][1]+18, escape(cut(name, 30)), at[i][0]+8, at[i][1]+35, escape(state))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// layout places the boxes: columns from left to right, each from the top.
func (d Diagram) layout() (at [][2]int, width, height int) {
	at = make([][2]int, len(d.Boxes))
	columns := map[int]int{} // a column without boxes takes no room
	rows := map[int]int{}
	for i, x := range d.Boxes {
		if _, ok := columns[x.Column]; !ok {
			columns[x.Column] = len(columns)
		}
		at[i] = [2]int{margin + columns[x.Column]*(boxWidth+gapX), margin + rows[x.Column]*(boxHeight+gapY)}
		rows[x.Column]++
		width, height = max(width, at[i][0]+boxWidth+margin), max(height, at[i][1]+boxHeight+margin)
	}
	return at, max(width, 1), max(height, 1)
}

func (d Diagram) summary() string {
	return fmt.Sprintf("Auswirkung als Bild: %d Kästen, %d Pfeile. Alle Angaben stehen auch als Text in der Tabelle.", len(d.Boxes), len(d.Arrows))
}

func colours(o Outcome) (paint, dash string) {
	switch o {
	case Stopped:
		return "#f6c9c4", ""
	case Uncertain:
		return "#e6e0f3", ` stroke-dasharray="5 3"`
	case Limited:
		return "#fbe7b2", ""
	case OnAlternative:
		return "#cfe8d5", ""
	case Unaffected:
	}
	return "#fff", ""
}

func cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}
