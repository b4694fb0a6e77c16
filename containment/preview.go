package containment

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/operation"
)

// Plan is a measure before it is ordered: what, how, and with which doors.
type Plan struct {
	Incident  string    `json:"incident,omitempty"`
	Title     string    `json:"title"`
	Stage     int       `json:"stage"` // 1 single systems, 2 environments or clusters, 3 a site
	Selection Selection `json:"selection"`
	// Behaviour replaces what was chosen beforehand, per service.
	Behaviour map[catalogue.ServiceID]catalogue.Behaviour `json:"behaviour,omitempty"`
	// Emergency names the services whose emergency operation starts with the cut.
	Emergency []catalogue.ServiceID `json:"emergency,omitempty"`
	Immediate bool                  `json:"immediate,omitempty"` // immediate danger: the second person confirms later
	Reason    string                `json:"reason"`
	// From is when the outage is counted from, for what it hits when. A room sets
	// it once, when the measure is asked for: both people see the same dates.
	From time.Time `json:"from,omitzero"`
}

// Preview is what a plan would do, as both people see it. It holds nothing that
// changes with the clock, so that consent can be bound to its hash.
type Preview struct {
	Plan       Plan                    `json:"plan"`
	Placements []catalogue.PlacementID `json:"placements"`
	Already    []catalogue.PlacementID `json:"already"` // off already: nothing changes for them
	// Components go off themselves; what rests on them is counted in Beyond and ByKasse.
	Components        []catalogue.ComponentID `json:"components,omitempty"`
	AlreadyComponents []catalogue.ComponentID `json:"already_components,omitempty"`
	Kassen            int                     `json:"kassen"`
	Cells             int                     `json:"cells"`
	// Lost are cells that stop entirely; the others keep a placement elsewhere or run in emergency operation.
	Lost           int              `json:"lost"`
	Emergency      int              `json:"emergency"`
	Elsewhere      int              `json:"elsewhere"`
	Insured        int              `json:"insured"`
	InsuredAssumed bool             `json:"insured_assumed"`
	Services       []ServicePreview `json:"services"`
	// Beyond counts cells that are not cut and rest on what is.
	Beyond Beyond `json:"beyond"`
	// ByKasse says which Kassen a cut of components hits, those hit hardest first.
	ByKasse   []KassePreview       `json:"by_kasse,omitempty"`
	Deadlines []catalogue.Deadline `json:"deadlines"` // the soonest first
	Sentence  string               `json:"sentence"`
}

// ServicePreview is the part of a preview about one service.
type ServicePreview struct {
	Service    catalogue.ServiceID `json:"service"`
	Name       string              `json:"name"`
	Placements int                 `json:"placements"`
	Kassen     int                 `json:"kassen"`
	Insured    int                 `json:"insured"`
	Door       operation.Mode      `json:"door"`
	// MTPD is the shortest that was agreed for one of its cells; empty when none was.
	MTPD        string `json:"mtpd"`
	Alternative string `json:"alternative"`
}

// MakePreview says what a plan would do in the given state of the room.
func MakePreview(c *catalogue.Catalogue, s *operation.State, p Plan) (Preview, error) {
	if strings.TrimSpace(p.Title) == "" || strings.TrimSpace(p.Reason) == "" {
		return Preview{}, fmt.Errorf("a measure needs a title and a reason")
	}
	if p.Stage < 1 || p.Stage > 3 {
		return Preview{}, fmt.Errorf("stage %d: want 1 (single systems), 2 (environments) or 3 (a site)", p.Stage)
	}
	for _, v := range p.Emergency {
		if _, ok := c.Service(v); !ok {
			return Preview{}, fmt.Errorf("emergency operation of service %q: unknown in the catalogue", v)
		}
	}
	chosen, err := p.Selection.Resolve(c)
	if err != nil {
		return Preview{}, err
	}
	parts, err := p.Selection.components(c)
	if err != nil {
		return Preview{}, err
	}
	pre := Preview{Plan: p, Placements: []catalogue.PlacementID{}, Already: []catalogue.PlacementID{}, Deadlines: []catalogue.Deadline{}}
	pre.takeComponents(s, parts)
	if p.Selection.Dependents {
		chosen = pre.withDependents(c, s, chosen)
	}
	var going []catalogue.Placement
	for _, pl := range chosen {
		if row, ok := s.Placement(pl.ID); ok && row.Regular.Connected() {
			going = append(going, pl)
			pre.Placements = append(pre.Placements, pl.ID)
		} else {
			pre.Already = append(pre.Already, pl.ID)
		}
	}
	pre.count(c, s, going)
	pre.Services = perService(c, going, p)
	pre.consequences(c, s)
	pre.Sentence = pre.sentence()
	return pre, nil
}

// count fills what the cells lose.
func (pre *Preview) count(c *catalogue.Catalogue, s *operation.State, going []catalogue.Placement) {
	goes := map[catalogue.PlacementID]bool{}
	kassen := map[catalogue.KasseID]bool{}
	cells := map[catalogue.Cell]bool{}
	for _, p := range going {
		goes[p.ID], kassen[p.Kasse], cells[catalogue.Cell{Kasse: p.Kasse, Service: p.Service}] = true, true, true
	}
	for cell := range cells {
		elsewhere := slices.ContainsFunc(c.PlacementsOf(cell.Kasse, cell.Service), func(p catalogue.Placement) bool {
			row, ok := s.Placement(p.ID)
			return ok && !goes[p.ID] && row.Regular.Connected()
		})
		switch {
		case slices.Contains(pre.Plan.Emergency, cell.Service):
			pre.Emergency++
		case elsewhere:
			pre.Elsewhere++
		default:
			pre.Lost++
		}
	}
	pre.Kassen, pre.Cells = len(kassen), len(cells)
	ids := make([]catalogue.KasseID, 0, len(kassen))
	for k := range kassen {
		ids = append(ids, k)
	}
	pre.Insured, pre.InsuredAssumed = c.Insured(ids...)
}

func perService(c *catalogue.Catalogue, going []catalogue.Placement, p Plan) []ServicePreview {
	out := []ServicePreview{}
	for _, svc := range c.Services {
		v := ServicePreview{Service: svc.ID, Name: svc.Name, Alternative: svc.Alternative}
		var kassen []catalogue.KasseID
		var shortest time.Duration
		for _, pl := range going {
			if pl.Service == svc.ID {
				v.Placements++
				kassen = append(kassen, pl.Kasse)
				if d := c.MTPD(pl.Kasse, svc.ID); d > 0 && (shortest == 0 || d < shortest) {
					shortest = d
				}
			}
		}
		if v.Placements == 0 {
			continue
		}
		slices.Sort(kassen)
		v.Kassen = len(slices.Compact(kassen))
		v.Insured, _ = c.Insured(kassen...)
		if shortest > 0 {
			v.MTPD = catalogue.Span(shortest)
		}
		v.Door = p.door(svc)
		out = append(out, v)
	}
	return out
}

// door is what people get at a service once it is cut.
func (p Plan) door(svc catalogue.Service) operation.Mode {
	if slices.Contains(p.Emergency, svc.ID) {
		return operation.ModeEmergency
	}
	b := svc.Behaviour
	if chosen, ok := p.Behaviour[svc.ID]; ok {
		b = chosen
	}
	a, err := operation.Door(operation.Cut, operation.None, b, false)
	if err != nil {
		return operation.ModeNotice // an unknown behaviour is refused when the measure is applied
	}
	return a.Mode
}
