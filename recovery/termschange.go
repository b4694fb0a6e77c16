package recovery

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"leitstand/catalogue"
)

// TermsChange is one thing that other terms change, in German.
type TermsChange struct {
	What   string `json:"what"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Changes lists everything in which next differs, in a stable order: nothing that
// plans rest on changes without being shown. That nobody has agreed to the terms in
// force yet is a change too.
func (t Terms) Changes(next Terms, c *catalogue.Catalogue, zone *time.Location) []TermsChange {
	before, after := t.lines(c, zone), next.lines(c, zone)
	was := map[string]string{}
	for _, l := range before {
		was[l.what] = l.value
	}
	out := []TermsChange{}
	for _, l := range after {
		if old, ok := was[l.what]; !ok || old != l.value {
			out = append(out, TermsChange{l.what, orNone(old), l.value})
		}
		delete(was, l.what)
	}
	for _, l := range before {
		if _, gone := was[l.what]; gone {
			out = append(out, TermsChange{l.what, l.value, orNone("")})
		}
	}
	if t.Assumed && !next.Assumed {
		out = append(out, TermsChange{"Grundlage", "angenommen, von niemandem vereinbart", "vereinbart"})
	}
	return out
}

func orNone(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// termLine is one term as people read it.
type termLine struct{ what, value string }

// lines are all terms as people read them, in the order of the form.
func (t *Terms) lines(c *catalogue.Catalogue, zone *time.Location) []termLine {
	var out []termLine
	add := func(value, what string, args ...any) { out = append(out, termLine{fmt.Sprintf(what, args...), value}) }
	t.Priorities.lines(c, add)
	for _, id := range slices.Sorted(maps.Keys(t.Emergency)) {
		add(shareText(t.Emergency[id]), "Notbetrieb leistet, %s", serviceName(c, id))
	}
	add(number(t.Fairness), "Gerechtigkeit")
	for _, team := range t.Teams {
		add(team.Name+": "+ShiftText(team.Shifts), "Team %s", team.ID)
	}
	add(strconv.Itoa(t.Delegates), "Personen je Kasse für die Fachprobe")
	for _, kind := range slices.Sorted(maps.Keys(t.Machinery)) {
		add(t.Machinery[kind], "Zuständig für %s", kind)
	}
	add(t.Otherwise, "Zuständig für alles Übrige")
	for _, e := range slices.Sorted(maps.Keys(t.Work)) {
		add(t.Work[e].String()+" Stunden", "Dauer, %s", e.Word())
	}
	for _, kind := range slices.Sorted(maps.Keys(t.Fails)) {
		add(fmt.Sprintf("%s, höchstens %d-mal", shareText(t.Fails[kind].Probability), t.Fails[kind].Most), "Scheitert, %s", kind.Word())
	}
	add(fmt.Sprintf("%d Stunden", t.Observe), "Beobachtung vor der Rückführung")
	add(shareText(t.OtherSite), "Ein weiterer Standort leistet")
	for _, d := range t.Deadlines {
		kasse := "alle Kassen"
		if d.Kasse != "" {
			kasse = kasseName(c, d.Kasse)
		}
		add(d.Reason, "Fester Termin, %s, %s, %s", serviceName(c, d.Service), kasse, d.At.In(zone).Format("02.01.2006 15:04"))
	}
	add(landText(t.Land), "Feiertage")
	add(orNone(strings.Join(t.Closed, ", ")), "Weitere geschlossene Tage")
	add(number(t.Stability), "Stabilität")
	return out
}

func landText(l catalogue.Land) string {
	if l == "" {
		return "die aller Länder"
	}
	return string(l)
}

func (p *Priorities) lines(c *catalogue.Catalogue, add func(value, what string, args ...any)) {
	first := make([]string, len(p.First))
	for i, id := range p.First {
		first[i] = kasseName(c, id)
	}
	add(orNone(strings.Join(first, ", ")), "Kasse zuerst")
	for _, s := range c.Services {
		if w, ok := p.Services[s.ID]; ok {
			add(number(w), "Gewicht, %s", s.Name)
		} else {
			add(number(s.Weight)+" (Katalog)", "Gewicht, %s", s.Name)
		}
	}
	for _, k := range c.Kassen {
		if f, ok := p.Kassen[k.ID]; ok {
			add(number(f), "Faktor, %s", k.Name)
		} else {
			add("1 (wie alle)", "Faktor, %s", k.Name)
		}
	}
}

// number writes a number as Germans do.
func number(v float64) string {
	return strings.Replace(strconv.FormatFloat(v, 'f', -1, 64), ".", ",", 1)
}

func shareText(share float64) string {
	return strings.Replace(strconv.FormatFloat(100*share, 'g', 6, 64), ".", ",", 1) + " %"
}

func serviceName(c *catalogue.Catalogue, id catalogue.ServiceID) string {
	if s, ok := c.Service(id); ok {
		return s.Name
	}
	return string(id)
}

func kasseName(c *catalogue.Catalogue, id catalogue.KasseID) string {
	if k, ok := c.Kasse(id); ok {
		return k.Name
	}
	return string(id)
}

// Word is the German word for a kind of work.
func (e Effort) Word() string {
	scope, rest := "", string(e)
	for prefix, word := range map[string]string{"environment/": "Umgebung: ", "component/": "Komponente: "} {
		if after, ok := strings.CutPrefix(rest, prefix); ok {
			scope, rest = word, after
		}
	}
	kind, way, several := strings.Cut(rest, "/")
	word := scope + TaskKind(kind).Word()
	switch {
	case several && way == "rebuild":
		word += " (neu)"
	case several && way == "clean":
		word += " (bereinigen)"
	case several:
		word += " (" + way + ")"
	}
	return word
}

// String writes a span as [ParseSpan] reads it: at best, most likely, at worst.
func (s Span) String() string { return fmt.Sprintf("%d/%d/%d", s.Low, s.Likely, s.High) }

// ParseSpan reads hours at best, most likely and at worst, such as 1/2/6.
func ParseSpan(text string) (Span, error) {
	var v [3]int
	parts := strings.Split(text, "/")
	if len(parts) != len(v) {
		return Span{}, fmt.Errorf("span %q: want hours at best, most likely and at worst, such as 1/2/6", text)
	}
	for i, p := range parts {
		n, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil {
			return Span{}, fmt.Errorf("span %q: %q is no whole number of hours", text, strings.TrimSpace(p))
		}
		v[i] = n
	}
	return Span{v[0], v[1], v[2]}, nil
}

// weekDays are the days as shifts are written, Monday first.
const weekDays = "Mo Di Mi Do Fr Sa So"

// ShiftText writes shifts so that [ParseShifts] reads them: days, hours, people,
// such as "Mo-Fr 8-17 x2; Sa 10-14 x1".
func ShiftText(shifts []Shift) string {
	out := make([]string, len(shifts))
	for i, s := range shifts {
		out[i] = fmt.Sprintf("%s %d-%d x%d", daysText(s.Days), s.From, s.To, s.People)
	}
	return strings.Join(out, "; ")
}

// daysText writes days (1 is Monday) in words: runs of three or more as a span.
func daysText(days string) string {
	names := strings.Fields(weekDays)
	var out []string
	for i := 0; i < len(names); i++ {
		if !strings.ContainsRune(days, rune('1'+i)) {
			continue
		}
		end := i
		for end+1 < len(names) && strings.ContainsRune(days, rune('2'+end)) {
			end++
		}
		if end-i < 2 {
			out = append(out, names[i])
			continue
		}
		out, i = append(out, names[i]+"-"+names[end]), end
	}
	return strings.Join(out, ",")
}

// ErrShifts says that shifts could not be read.
var ErrShifts = errors.New("want days, hours and people, such as Mo-Fr 8-17 x2; Sa 10-14 x1")

// ParseShifts reads shifts such as "Mo-Fr 8-17 x2; Sa,So 10-14 x1". What it cannot
// read it names.
func ParseShifts(text string) ([]Shift, error) {
	var out []Shift
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		var s Shift
		var days, rest string
		n, err := fmt.Sscanf(strings.ToLower(part), "%s %d-%d x%d%s", &days, &s.From, &s.To, &s.People, &rest)
		if n != 4 || err == nil { // nothing may follow the people
			return nil, fmt.Errorf("shift %q: %w", part, ErrShifts)
		}
		if s.Days, err = parseDays(days); err != nil {
			return nil, fmt.Errorf("shift %q: %w", part, err)
		}
		if s.From >= s.To || s.To > 24 || s.People < 1 || s.People > maxPeople {
			return nil, fmt.Errorf("shift %q: hours from 0 to 24, and 1 to %d people: %w", part, maxPeople, ErrShifts)
		}
		out = append(out, s)
	}
	return out, nil
}

// parseDays reads days in words into digits, 1 is Monday.
func parseDays(text string) (string, error) {
	names := strings.Fields(strings.ToLower(weekDays))
	on := make([]bool, len(names))
	for part := range strings.SplitSeq(text, ",") {
		first, last, span := strings.Cut(part, "-")
		if !span {
			last = first
		}
		from, to := slices.Index(names, first), slices.Index(names, last)
		if from < 0 || to < from {
			return "", ErrShifts
		}
		for i := from; i <= to; i++ {
			on[i] = true
		}
	}
	var out strings.Builder
	for i, v := range on {
		if v {
			out.WriteByte(byte('1' + i))
		}
	}
	return out.String(), nil
}
