package recovery

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"time"
)

// DrawBacklog draws how many items of a service were open, and how many will be:
// the line of P50 and the band up to P90. Texts are German, names are escaped.
func DrawBacklog(name string, past []BacklogPast, ahead []Ahead, now time.Time, zone *time.Location) string {
	const left, wide, top, tall = 64.0, 886.0, 20.0, 220.0
	var w strings.Builder
	title := html.EscapeString("Rückstand " + name)
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" class="kurve" role="img" aria-label="%s" viewBox="0 0 970 290" font-family="sans-serif" font-size="11"><title>%s</title>`, title, title)
	from, end, most := backlogFrame(past, ahead, now)
	x := func(t time.Time) float64 { return left + wide*float64(t.Sub(from))/float64(end.Sub(from)) }
	y := func(n float64) float64 { return top + tall - tall*n/most }
	backlogGrid(&w, from, end, x, top, tall, zone)
	for k := range 5 {
		n := most * float64(k) / 4
		fmt.Fprintf(&w, `<path class="gitter" d="M%.0f %.1fH%.0f" stroke="#cbd5e1" stroke-width="0.5"/><text class="schrift" x="0" y="%.1f">%s</text>`, left, y(n), left+wide, y(n)+4, grouped(n))
	}
	if len(ahead) > 0 {
		var up, down []string
		for i := range ahead {
			up = append(up, fmt.Sprintf("%.1f,%.1f", x(ahead[i].At), y(ahead[i].P90)))
			back := ahead[len(ahead)-1-i]
			down = append(down, fmt.Sprintf("%.1f,%.1f", x(back.At), y(back.P50)))
		}
		fmt.Fprintf(&w, `<polygon fill="#b3261e" fill-opacity="0.18" points="%s"><title>zwischen P50 und P90</title></polygon>`, strings.Join(append(up, down...), " "))
		fmt.Fprintf(&w, `<polyline fill="none" stroke="#b3261e" stroke-width="1" stroke-dasharray="5 4" points="%s"/>`, strings.Join(up, " "))
		slices.Reverse(down)
		fmt.Fprintf(&w, `<polyline fill="none" stroke="#047857" stroke-width="2" points="%s"/>`, strings.Join(down, " "))
	}
	var line []string
	for _, p := range past {
		line = append(line, fmt.Sprintf("%.1f,%.1f", x(p.At), y(float64(p.Open))))
	}
	fmt.Fprintf(&w, `<polyline fill="none" stroke="#1d4ed8" stroke-width="2" points="%s"/>`, strings.Join(line, " "))
	fmt.Fprintf(&w, `<path d="M%.1f %.0fV%.0f" stroke="#6b7280" stroke-width="1" stroke-dasharray="2 3"/><text class="schrift" x="%.1f" y="%.0f">jetzt</text>`,
		x(now), top, top+tall, x(now)+3, top+tall-4)
	backlogLegend(&w, len(ahead) > 0)
	w.WriteString(`</svg>`)
	return w.String()
}

// backlogFrame is the span and the height of the picture.
func backlogFrame(past []BacklogPast, ahead []Ahead, now time.Time) (from, end time.Time, most float64) {
	from, end, most = now.Add(-time.Hour), now.Add(time.Hour), 4
	if len(past) > 0 {
		from = past[0].At
	}
	if len(ahead) > 0 {
		end = ahead[len(ahead)-1].At
	} else if n := now.Add(now.Sub(from) / 20); n.After(end) {
		end = n
	}
	for _, p := range past {
		most = math.Max(most, float64(p.Open))
	}
	for _, a := range ahead {
		most = math.Max(most, a.P90)
	}
	return from, end, math.Ceil(most/4) * 4
}

// backlogGrid draws days, or hours when there are few.
func backlogGrid(w *strings.Builder, from, end time.Time, x func(time.Time) float64, top, tall float64, zone *time.Location) {
	if end.Sub(from) > 3*24*time.Hour {
		grid(w, from, end, x, int(top), top+tall, zone)
		return
	}
	step := time.Hour
	for end.Sub(from)/step > 12 {
		step *= 2
	}
	for t := from.Truncate(step).Add(step); t.Before(end); t = t.Add(step) {
		fmt.Fprintf(w, `<path class="gitter" d="M%.1f %.0fV%.0f" stroke="#cbd5e1" stroke-width="0.5"/><text class="schrift" x="%.1f" y="%.0f">%s</text>`,
			x(t), top, top+tall, x(t)+2, top-4, t.In(zone).Format("02.01. 15:04"))
	}
}

func backlogLegend(w *strings.Builder, ahead bool) {
	for k, s := range []struct{ name, colour, dash string }{
		{"offen", "#1d4ed8", ""},
		{"P50 (in der Hälfte der Fälle höchstens)", "#047857", ""},
		{"P90 (in neun von zehn Fällen höchstens)", "#b3261e", "5 4"},
	} {
		if k > 0 && !ahead {
			return
		}
		at := 64 + []int{0, 110, 440}[k]
		fmt.Fprintf(w, `<path d="M%d 272h20" stroke="%s" stroke-width="2" stroke-dasharray="%s"/><text class="schrift" x="%d" y="276">%s</text>`, at, s.colour, s.dash, at+26, s.name)
	}
}

// grouped is a number with points between thousands, as German texts write it.
func grouped(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "." + s[i:]
	}
	return s
}
