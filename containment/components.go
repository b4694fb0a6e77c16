package containment

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"leitstand/catalogue"
	"leitstand/operation"
)

// KassePreview is what a cut of shared components does to one Kasse.
type KassePreview struct {
	Kasse   catalogue.KasseID `json:"kasse"`
	Name    string            `json:"name"`
	Insured int               `json:"insured"`
	// Cells of the Kasse by what happens to them, those cut themselves included.
	Beyond
}

// takeComponents sorts components into those that go off and those that are off already.
func (pre *Preview) takeComponents(s *operation.State, parts []catalogue.Component) {
	for _, m := range parts {
		if row, ok := s.Component(m.ID); ok && row.Regular.Connected() {
			pre.Components = append(pre.Components, m.ID)
		} else {
			pre.AlreadyComponents = append(pre.AlreadyComponents, m.ID)
		}
	}
}

// withDependents adds the placements that stop for certain without the components, in the
// catalogue's order. What is only uncertain or limited goes on: nobody cuts it by surmise.
func (pre Preview) withDependents(c *catalogue.Catalogue, s *operation.State, chosen []catalogue.Placement) []catalogue.Placement {
	in := map[string]bool{}
	for _, p := range chosen {
		in[string(p.ID)] = true
	}
	for _, n := range pre.Impact(c, s).Nodes {
		in[n.Node] = in[n.Node] || n.Outcome == catalogue.Stopped
	}
	var out []catalogue.Placement
	for _, p := range c.Placements {
		if in[string(p.ID)] && !pre.Plan.Selection.excepted(p) {
			out = append(out, p)
		}
	}
	return out
}

// perKasse counts cells by Kasse, the most people without a service first.
func perKasse(c *catalogue.Catalogue, cells []catalogue.CellImpact) []KassePreview {
	by := map[catalogue.KasseID]*KassePreview{}
	for _, cell := range cells {
		v := by[cell.Kasse]
		if v == nil {
			v = &KassePreview{Kasse: cell.Kasse, Name: string(cell.Kasse)}
			if k, ok := c.Kasse(cell.Kasse); ok {
				v.Name = k.Name
			}
			v.Insured, _ = c.Insured(cell.Kasse)
			by[cell.Kasse] = v
		}
		v.add(cell.Outcome)
	}
	out := make([]KassePreview, 0, len(by))
	for _, v := range by {
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b KassePreview) int {
		return cmp.Or(-cmp.Compare(a.Stopped*max(1, a.Insured), b.Stopped*max(1, b.Insured)), cmp.Compare(a.Kasse, b.Kasse))
	})
	return out
}

// fewNames is how many components a sentence names before it only counts them.
const fewNames = 4

// componentSentence says which components go off and whom that hits.
func (pre Preview) componentSentence() string {
	names := make([]string, len(pre.Components))
	for i, m := range pre.Components {
		names[i] = string(m)
	}
	n := len(names)
	what := number(n, "Eine gemeinsame Komponente", "%s gemeinsame Komponenten")
	if n <= fewNames {
		what += " (" + strings.Join(names, ", ") + ")"
	}
	out := fmt.Sprintf("%s %s vom Netz.", what, number(n, "geht", "gehen"))
	hit, insured := 0, 0
	for _, k := range pre.ByKasse {
		if k.Stopped+k.Uncertain+k.Limited > 0 {
			hit, insured = hit+1, insured+k.Insured
		}
	}
	switch {
	case len(pre.ByKasse) == 0:
		out += " Kein Dienst beruht auf dem, was geht."
	case hit == 0:
		out += " Jeder Dienst, der darauf beruht, läuft über Ersatzwege weiter."
	default:
		out += fmt.Sprintf(" Das trifft %s mit %s Versicherten.", number(hit, "eine Kasse", "%s Kassen"), catalogue.Thousands(insured))
	}
	if len(pre.Placements) > 0 {
		out += " "
	}
	return out
}
