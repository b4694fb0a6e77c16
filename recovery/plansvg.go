package recovery

import (
	"cmp"
	"fmt"
	"html"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
)

// Pictures of a plan as SVG: no script, no style sheet, no foreign font. Colours
// are attributes, so that a page's style sheet may replace them by class; what a
// colour says stands in the legend and in the title of each bar.

const (
	ganttLabel = 250
	ganttWide  = 900
	ganttRow   = 20
	ganttHead  = 46
)

// tints are the colours by kind of task.
func tint(k TaskKind) string {
	switch k {
	case Secure:
		return "#6b7280"
	case Examine:
		return "#9a5b00"
	case Emergency:
		return "#b3261e"
	case Build:
		return "#1d4ed8"
	case Rotate:
		return "#7c3aed"
	case Probe:
		return "#0891b2"
	case Test:
		return "#047857"
	case Observe:
		return "#94a3b8"
	case Switch:
		return "#111827"
	case Join:
		return "#4b5563"
	case Backlog:
		return "#d4b483"
	}
	return "#000000"
}

// ganttLine is one line of a Gantt chart.
type ganttLine struct {
	label string
	bars  []ganttBar
	span  Range // of the forecast; zero: none
}

type ganttBar struct {
	from, to time.Time
	kind     TaskKind
	title    string
}

// Gantt draws the way back: of one Kasse cell by cell, or of all, a line for each.
// The forecast may be nil.
func (p *Plan) Gantt(c *catalogue.Catalogue, kasse catalogue.KasseID, f *Forecast, zone *time.Location) string {
	var lines []ganttLine
	title := "Wiederherstellung aller Kassen"
	if kasse == "" {
		lines = p.kassenLines(c, f, zone)
	} else {
		k, _ := c.Kasse(kasse)
		title = "Wiederherstellung " + k.Name
		lines = p.cellLines(c, kasse, f, zone)
	}
	return drawGantt(title, lines, p.At(p.Slot(p.MadeAt)), zone)
}

func (p *Plan) cellLines(c *catalogue.Catalogue, kasse catalogue.KasseID, f *Forecast, zone *time.Location) []ganttLine {
	by := map[string]*ganttLine{}
	var order []string
	for i, t := range p.Tasks {
		if t.Kasse != kasse {
			continue
		}
		key, label := "", "Umgebung"
		if t.Service != "" {
			s, _ := c.Service(t.Service)
			key, label = string(t.Service), s.Name
		}
		if by[key] == nil {
			by[key] = &ganttLine{label: label}
			order = append(order, key)
		}
		by[key].bars = append(by[key].bars, p.bar(i, zone))
	}
	if f != nil {
		for _, r := range f.Cells {
			if l := by[string(r.Service)]; l != nil && r.Kasse == kasse {
				l.span = r.Range
			}
		}
	}
	out := make([]ganttLine, 0, len(order))
	for _, key := range order {
		out = append(out, *by[key])
	}
	slices.SortStableFunc(out, func(a, b ganttLine) int { return cmp.Compare(b2i(a.label != "Umgebung"), b2i(b.label != "Umgebung")) })
	return out
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (p *Plan) bar(i int, zone *time.Location) ganttBar {
	t := p.Tasks[i]
	b := ganttBar{from: p.At(p.Schedule.Start[i]), to: p.At(p.Schedule.Finish[i]), kind: t.Kind}
	b.title = fmt.Sprintf("%s: %s bis %s", t.Label, Clock(b.from.In(zone)), Clock(b.to.In(zone)))
	return b
}

// kassenLines draws for each Kasse from when to when each kind of work goes on.
func (p *Plan) kassenLines(c *catalogue.Catalogue, f *Forecast, zone *time.Location) []ganttLine {
	type key struct {
		kasse catalogue.KasseID
		kind  TaskKind
	}
	extent := map[key]*ganttBar{}
	for i, t := range p.Tasks {
		k := key{t.Kasse, t.Kind}
		b := p.bar(i, zone)
		if have := extent[k]; have != nil {
			if b.from.Before(have.from) {
				have.from = b.from
			}
			if b.to.After(have.to) {
				have.to = b.to
			}
			continue
		}
		extent[k] = &b
	}
	span := map[catalogue.KasseID]Range{}
	if f != nil {
		for _, r := range f.Kassen {
			span[r.Kasse] = r.Range
		}
	}
	var out []ganttLine
	add := func(id catalogue.KasseID, name string) {
		l := ganttLine{label: name, span: span[id]}
		for _, kind := range TaskKinds() {
			if b := extent[key{id, kind}]; b != nil {
				b.title = fmt.Sprintf("%s, %s: %s bis %s", name, kind.Word(), Clock(b.from.In(zone)), Clock(b.to.In(zone)))
				l.bars = append(l.bars, *b)
			}
		}
		if len(l.bars) > 0 {
			out = append(out, l)
		}
	}
	add("", "Gemeinsame Technik")
	for _, k := range c.Kassen {
		add(k.ID, k.Name)
	}
	return out
}

func drawGantt(title string, lines []ganttLine, from time.Time, zone *time.Location) string {
	end := from.Add(24 * time.Hour)
	for _, l := range lines {
		for _, b := range l.bars {
			if b.from.Before(from) {
				from = b.from
			}
			end = latestOf(end, b.to)
		}
		end = latestOf(end, l.span.P90)
	}
	x := func(t time.Time) float64 {
		return ganttLabel + ganttWide*float64(t.Sub(from))/float64(end.Sub(from))
	}
	high := ganttHead + ganttRow*len(lines) + 46
	var w strings.Builder
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" class="gantt" role="img" aria-label="%s" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`,
		html.EscapeString(title), ganttLabel+ganttWide+10, high)
	fmt.Fprintf(&w, `<title>%s</title>`, html.EscapeString(title))
	grid(&w, from, end, x, ganttHead-4, float64(high-46), zone)
	for n, l := range lines {
		y := ganttHead + ganttRow*n
		fmt.Fprintf(&w, `<text class="schrift" x="0" y="%d">%s</text>`, y+13, html.EscapeString(cutText(l.label, 42)))
		for _, b := range l.bars {
			top, size := lane(b.kind)
			fmt.Fprintf(&w, `<rect class="g-%s" x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"><title>%s</title></rect>`,
				b.kind, x(b.from), y+top, max(1.5, x(b.to)-x(b.from)), size, tint(b.kind), html.EscapeString(b.title))
		}
		if !l.span.P90.IsZero() {
			fmt.Fprintf(&w, `<path class="g-spanne" d="M%.1f %dV%dM%.1f %dH%.1fM%.1f %dV%d" stroke="#b3261e" stroke-width="1.5" fill="none"><title>Prognose: P50 %s, P90 %s</title></path>`,
				x(l.span.P50), y+3, y+15, x(l.span.P50), y+9, x(l.span.P90), x(l.span.P90), y+3, y+15, Clock(l.span.P50.In(zone)), Clock(l.span.P90.In(zone)))
		}
	}
	legend(&w, high-26)
	w.WriteString(`</svg>`)
	return w.String()
}

func latestOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// lane puts long quiet work behind short steps.
func lane(k TaskKind) (top, size int) {
	switch k {
	case Observe, Backlog:
		return 6, 5
	case Secure, Examine, Emergency, Build, Rotate, Probe, Test, Switch, Join:
	}
	return 2, 13
}

func legend(w *strings.Builder, y int) {
	x := 0
	for _, k := range TaskKinds() {
		wide := 24 + 7*len([]rune(k.Word()))
		if x+wide > ganttLabel+ganttWide {
			x, y = 0, y+16
		}
		fmt.Fprintf(w, `<rect class="g-%s" x="%d" y="%d" width="9" height="9" fill="%s"/><text class="schrift" x="%d" y="%d">%s</text>`,
			k, x, y-8, tint(k), x+12, y, k.Word())
		x += wide
	}
	fmt.Fprintf(w, `<text class="schrift" x="%d" y="%d">├─┤ P50 bis P90 (Regelbetrieb)</text>`, x, y)
}

// grid draws lines by days, or by weeks when there are many.
func grid(w *strings.Builder, from, end time.Time, x func(time.Time) float64, y1 int, y2 float64, zone *time.Location) {
	step := 1
	for days := int(end.Sub(from).Hours() / 24); days/step > 18; {
		if step = step * 2; step > 4 && step < 14 {
			step = 7
		}
	}
	l := from.In(zone)
	for t := time.Date(l.Year(), l.Month(), l.Day()+1, 0, 0, 0, 0, zone); t.Before(end); t = t.AddDate(0, 0, step) {
		fmt.Fprintf(w, `<path class="gitter" d="M%.1f %dV%.0f" stroke="#cbd5e1" stroke-width="0.5"/><text class="schrift" x="%.1f" y="%d">%s</text>`,
			x(t), y1, y2, x(t)+2, y1-4, t.Format("02.01."))
	}
}

func cutText(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// Draw draws how many cells are back over time.
func (f *Forecast) Draw(zone *time.Location) string {
	const left, wide, top, tall = 50.0, 900.0, 20.0, 300.0
	var w strings.Builder
	title := "Zellen zurück im Regelbetrieb"
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" class="kurve" role="img" aria-label="%s" viewBox="0 0 970 370" font-family="sans-serif" font-size="11"><title>%s</title>`, title, title)
	if len(f.BurnUp) > 1 {
		from, end := f.BurnUp[0].At, f.BurnUp[len(f.BurnUp)-1].At
		most := max(1, len(f.Cells))
		x := func(t time.Time) float64 { return left + wide*float64(t.Sub(from))/float64(end.Sub(from)) }
		y := func(n int) float64 { return top + tall - tall*float64(n)/float64(most) }
		grid(&w, from, end, x, int(top), top+tall, zone)
		for k := range 5 {
			n := most * k / 4
			fmt.Fprintf(&w, `<path class="gitter" d="M%.0f %.1fH%.0f" stroke="#cbd5e1" stroke-width="0.5"/><text class="schrift" x="0" y="%.1f">%d</text>`, left, y(n), left+wide, y(n)+4, n)
		}
		for k, s := range []struct {
			name, colour, dash string
			of                 func(BurnUp) int
		}{
			{"nach Plan", "#1d4ed8", "", func(b BurnUp) int { return b.Planned }},
			{"P50 (in der Hälfte der Fälle mindestens)", "#047857", "", func(b BurnUp) int { return b.P50 }},
			{"P90 (in neun von zehn Fällen mindestens)", "#b3261e", "", func(b BurnUp) int { return b.P90 }},
			{"wie gemeldet (wer zuerst kommt)", "#6b7280", "5 4", func(b BurnUp) int { return b.AsReported }},
		} {
			var points []string
			for _, b := range f.BurnUp {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(b.At), y(s.of(b))))
			}
			fmt.Fprintf(&w, `<polyline fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s" points="%s"><title>%s</title></polyline>`, s.colour, s.dash, strings.Join(points, " "), s.name)
			fmt.Fprintf(&w, `<path d="M%d %dh20" stroke="%s" stroke-width="2" stroke-dasharray="%s"/><text class="schrift" x="%d" y="%d">%s</text>`,
				k%2*400+50, 345+k/2*16, s.colour, s.dash, k%2*400+76, 349+k/2*16, s.name)
		}
	}
	w.WriteString(`</svg>`)
	return w.String()
}
