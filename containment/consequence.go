package containment

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/operation"
)

// Beyond counts cells that the plan does not name and that it hits all the same,
// because they rest on what goes.
type Beyond struct {
	Stopped       int `json:"stopped"`
	Uncertain     int `json:"unknown"`
	Limited       int `json:"limited"`
	OnAlternative int `json:"on_alternative"`
}

// Situation is what does not run in a state of the room and, where now is not
// zero, what nobody knows because its last confirmation is too old.
func Situation(s *operation.State, now time.Time) (sit catalogue.Situation) {
	for _, p := range s.Placements() {
		switch {
		case !p.Regular.Connected():
			sit.Down.Placements = append(sit.Down.Placements, p.ID)
		case !now.IsZero() && s.Unknown(&p.Track, now):
			sit.Unknown.Placements = append(sit.Unknown.Placements, p.ID)
		}
	}
	for _, m := range s.Components() {
		switch {
		case !m.Regular.Connected():
			sit.Down.Components = append(sit.Down.Components, m.ID)
		case !now.IsZero() && s.Unknown(&m.Track, now):
			sit.Unknown.Components = append(sit.Unknown.Components, m.ID)
		}
	}
	return sit
}

// Impact is what a previewed cut would change in the given state, with everything that
// rests on it.
func (pre Preview) Impact(c *catalogue.Catalogue, s *operation.State) catalogue.Result {
	return catalogue.ImpactFrom(c, Situation(s, time.Time{}), catalogue.Selection{Placements: pre.Placements, Components: pre.Components})
}

// consequences fills what follows beyond the cut itself, and what is hit when.
// What people get from emergency operation is not counted as stopped.
func (pre *Preview) consequences(c *catalogue.Catalogue, s *operation.State) {
	named := map[catalogue.Cell]bool{}
	for _, id := range pre.Placements {
		k, v, _, _ := id.Split()
		named[catalogue.Cell{Kasse: k, Service: v}] = true
	}
	var away []catalogue.CellImpact
	impact := pre.Impact(c, s)
	for _, cell := range impact.Cells {
		in := named[catalogue.Cell{Kasse: cell.Kasse, Service: cell.Service}]
		if !in {
			pre.Beyond.add(cell.Outcome)
		}
		if !in || !slices.Contains(pre.Plan.Emergency, cell.Service) {
			away = append(away, cell)
		}
	}
	if len(pre.Components) > 0 {
		pre.ByKasse = perKasse(c, impact.Cells)
	}
	if !pre.Plan.From.IsZero() {
		pre.Deadlines = catalogue.Deadlines(c, away, pre.Plan.From.In(Zone()))
	}
}

func (b *Beyond) add(o catalogue.Outcome) {
	switch o {
	case catalogue.Stopped:
		b.Stopped++
	case catalogue.Uncertain:
		b.Uncertain++
	case catalogue.Limited:
		b.Limited++
	case catalogue.OnAlternative:
		b.OnAlternative++
	case catalogue.Unaffected:
	}
}

// Zone is where the Kassen and their people are; UTC where the machine does not know it.
func Zone() *time.Location {
	l, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		return time.UTC
	}
	return l
}

func (pre Preview) sentence() string {
	n := len(pre.Placements)
	if n+len(pre.Components) == 0 {
		return "Alles davon ist schon abgetrennt; die Maßnahme ändert nichts."
	}
	var b strings.Builder
	if len(pre.Components) > 0 {
		b.WriteString(pre.componentSentence())
	}
	if n == 0 {
		return b.String() + pre.afterwards()
	}
	fmt.Fprintf(&b, "%s von %s %s %s vom Netz: %s.",
		number(n, "Eine Stelle", "%s Stellen"), number(pre.Kassen, "einer Kasse", "%s Kassen"), pre.people(), number(n, "geht", "gehen"),
		enumerate(pre.Lost, "ein Dienst fällt aus", "%s Dienste fallen aus",
			pre.Emergency, "einer geht in den Notbetrieb", "%s gehen in den Notbetrieb",
			pre.Elsewhere, "einer läuft an einem anderen Standort weiter", "%s laufen an einem anderen Standort weiter"))
	return b.String() + pre.afterwards()
}

// afterwards is what follows beyond what goes off itself, and when it hurts.
func (pre Preview) afterwards() string {
	var b strings.Builder
	if x := pre.Beyond; x != (Beyond{}) {
		fmt.Fprintf(&b, " Außerdem trifft es Dienste, die darauf beruhen: %s.", enumerate(
			x.Stopped, "einer fällt aus", "%s fallen aus",
			x.Uncertain, "bei einem ist es ungewiss", "bei %s ist es ungewiss",
			x.Limited, "einer ist eingeschränkt", "%s sind eingeschränkt",
			x.OnAlternative, "einer läuft über einen Ersatzweg", "%s laufen über Ersatzwege"))
	}
	if s := catalogue.DeadlineSentence(pre.Deadlines); s != "" {
		b.WriteString(" " + s)
	}
	return b.String()
}

// people says how many insured it concerns. Nobody's figure is not none.
func (pre Preview) people() string {
	if pre.Insured == 0 {
		return "(Zahl der Versicherten unbekannt)"
	}
	s := "mit " + number(pre.Insured, "einem Versicherten", "%s Versicherten")
	if pre.InsuredAssumed {
		s += " (zum Teil angenommene Zahl)"
	}
	return s
}

func number(n int, one, many string) string {
	if n == 1 {
		return one
	}
	if !strings.Contains(many, "%s") {
		return many
	}
	return fmt.Sprintf(many, catalogue.Thousands(n))
}

// enumerate puts counts into words, three arguments each; what is none is left out.
func enumerate(of ...any) string {
	var out []string
	for ; len(of) >= 3; of = of[3:] {
		n, _ := of[0].(int)
		one, _ := of[1].(string)
		many, _ := of[2].(string)
		if n > 0 {
			out = append(out, number(n, one, many))
		}
	}
	return strings.Join(out, ", ")
}
