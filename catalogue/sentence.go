package catalogue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sentence says in German what a preview comes to, for a person who decides.
func (r Result) Sentence(c *Catalogue) string {
	var b strings.Builder
	if len(r.Cells) == 0 {
		b.WriteString("Kein Dienst einer Kasse ist betroffen.")
	} else {
		fmt.Fprintf(&b, "%s: %s.", Counted(len(r.Cells), "Ein Dienst einer Kasse ist betroffen", "%s Dienste von Kassen sind betroffen"), strings.Join(r.parts(), ", "))
	}
	if r.Kassen > 0 {
		assumed := ""
		if r.InsuredAssumed {
			assumed = " (zum Teil angenommene Zahlen)"
		}
		fmt.Fprintf(&b, " Es trifft %s mit %s Versicherten%s.", Counted(r.Kassen, "eine Kasse", "%s Kassen"), Thousands(r.Insured), assumed)
	}
	if first, ok := r.first(); ok {
		fmt.Fprintf(&b, " Zuerst untragbar: %s der %s nach %s.", nameOfService(c, first.Service), nameOfKasse(c, first.Kasse), Hours(first.MTPD))
	}
	if len(r.LastWays) > 0 {
		fmt.Fprintf(&b, " Danach ist %s der letzte Weg für %s.", r.LastWays[0].Node, Counted(r.LastWays[0].Placements, "einen Dienst", "%s Dienste"))
	}
	if len(r.Unresolved) > 0 {
		fmt.Fprintf(&b, " Nicht im Katalog und nicht berechnet: %s.", strings.Join(r.Unresolved, ", "))
	}
	return b.String()
}

func (r Result) parts() []string {
	var out []string
	for _, x := range []struct {
		n         int
		one, many string
	}{
		{r.Stopped, "einer fällt aus", "%s fallen aus"},
		{r.Uncertain, "bei einem ist es ungewiss", "bei %s ist es ungewiss"},
		{r.Limited, "einer ist eingeschränkt", "%s sind eingeschränkt"},
		{r.OnAlternative, "einer läuft über einen Ersatzweg", "%s laufen über Ersatzwege"},
	} {
		if x.n > 0 {
			out = append(out, Counted(x.n, x.one, x.many))
		}
	}
	return out
}

// first is the stopped cell with the shortest MTPD, the one with most insured among equals.
func (r Result) first() (CellImpact, bool) {
	var best CellImpact
	for _, cell := range r.Cells {
		if cell.Outcome != Stopped || cell.MTPD == 0 {
			continue
		}
		if best.MTPD == 0 || cell.MTPD < best.MTPD || cell.MTPD == best.MTPD && cell.Insured > best.Insured {
			best = cell
		}
	}
	return best, best.MTPD > 0
}

// Counted is a number with its noun: one when it is one, else many with the
// number in place of %s.
func Counted(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, Thousands(n))
}

func nameOfKasse(c *Catalogue, id KasseID) string {
	if k, ok := c.Kasse(id); ok {
		return k.Name
	}
	return string(id)
}

func nameOfService(c *Catalogue, id ServiceID) string {
	if s, ok := c.Service(id); ok {
		return s.Name
	}
	return string(id)
}

// Thousands writes a number with points between thousands, as German does.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	var groups []string
	for len(s) > 3 {
		groups = append(groups, s[len(s)-3:])
		s = s[:len(s)-3]
	}
	groups = append(groups, s)
	slices.Reverse(groups)
	return sign + strings.Join(groups, ".")
}

// Span is Hours in the accusative.
func Span(d time.Duration) string { return strings.Replace(Hours(d), "Tagen", "Tage", 1) }

// Hours writes a period in hours, from three days on in days, in the dative.
func Hours(d time.Duration) string {
	switch {
	case d >= 72*time.Hour && d%(24*time.Hour) == 0:
		return fmt.Sprintf("%d Tagen", d/(24*time.Hour))
	case d == time.Hour:
		return "1 Stunde"
	case d%time.Hour == 0:
		return fmt.Sprintf("%d Stunden", d/time.Hour)
	}
	return fmt.Sprintf("%d:%02d Stunden", d/time.Hour, d%time.Hour/time.Minute)
}
