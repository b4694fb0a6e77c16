package operation

import (
	"slices"
	"strings"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// permission says who may do an act. With a second list two different people are
// needed: one of the first list and another one of the second.
type permission struct {
	first, second []access.Role
	system        bool // the room itself may note it: it observes, it never decides
}

// permissions is rule 4 as one table. A Kasse's delegate counts only for
// placements of that Kasse.
func permissions() map[string]permission {
	const (
		lead     = access.CrisisLead
		operator = access.Operator
		examiner = access.Examiner
		delegate = access.KasseDelegate
	)
	type roles = []access.Role
	return map[string]permission{
		// Off the network, and into emergency operation.
		"measure.ordered":           {roles{lead}, roles{lead, operator}, false},
		"measure.ordered immediate": {roles{lead, operator}, nil, false},
		"measure.confirmed":         {roles{lead, operator}, nil, false}, // with the first person as measure.ordered, see ConfirmCut
		"failure.observed":          {roles{lead, operator, examiner, delegate}, nil, true},
		"emergency.prepared":        {roles{lead, operator}, nil, false},
		"emergency.started":         {roles{lead}, roles{lead, operator, delegate}, false},
		"regular.limited":           {roles{lead, operator}, nil, false},
		"behaviour.set":             {roles{lead, operator}, nil, false},

		// The way back.
		"measure.undone":              {roles{lead}, roles{lead, operator, examiner}, false},
		"attack.ruled_out":            {roles{examiner}, roles{lead}, false},
		"rebuild.begun":               {roles{lead, operator}, nil, false},
		"trial.entered":               {roles{lead}, roles{lead, operator, examiner}, false},
		"handover.begun":              {roles{lead, operator, delegate}, nil, false},
		"handover.withdrawn":          {roles{lead, operator, delegate}, nil, false},
		"regular.accepted":            {roles{delegate}, roles{lead, operator}, false},
		"regular.accepted components": {roles{lead}, roles{lead, operator}, false},
		"observation.ended":           {roles{lead, operator}, nil, false},
		"regular.unlimited":           {roles{lead, operator}, nil, false},

		// What is known.
		"clearance.granted":  {roles{examiner}, roles{examiner, lead}, false},
		"clearance.revoked":  {roles{examiner, lead}, nil, false},
		"rotation.proven":    {roles{examiner, operator}, nil, false},
		"indicator.recorded": {roles{examiner, operator}, nil, false},
		"subject.named":      {roles{examiner, operator, lead}, nil, true},
		"flag.lifted":        {roles{lead}, roles{examiner}, false},
		"side.closed":        {roles{lead, operator}, nil, true},
		"journal.reported":   {roles{lead, operator}, nil, true},

		// Upkeep.
		"owner.set":          {roles{lead, operator}, nil, false},
		"state.confirmed":    {roles{lead, operator, delegate}, nil, true},
		"gateway.registered": {roles{lead, operator}, nil, true},
		"gateway.retired":    {roles{lead, operator}, nil, false},
		"state.adopted":      {roles{lead, operator}, nil, true},
		"deadline.passed":    {roles{lead, operator, examiner}, nil, true},
	}
}

// checkPeople refuses an act that the wrong people do. It is asked once for each
// Kasse that the act concerns, as a delegate speaks for one only.
func checkPeople(what string, by []access.Person, kassen []catalogue.KasseID) *Refused {
	p, ok := permissions()[what]
	if !ok {
		return refuse(RuleTwoPeople, "Für %q ist nicht festgelegt, wer es darf.", what)
	}
	if p.system && len(by) == 1 && by[0].ID == ledger.System {
		return nil
	}
	if len(kassen) == 0 {
		kassen = []catalogue.KasseID{""}
	}
	for _, k := range kassen {
		if !p.met(by, k) {
			return refuse(RuleTwoPeople, "%s", p.explain(k))
		}
	}
	return nil
}

func (p permission) met(by []access.Person, k catalogue.KasseID) bool {
	for i, a := range by {
		if !holds(a, p.first, k) {
			continue
		}
		if p.second == nil {
			return true
		}
		for j, b := range by {
			if i != j && a.ID != b.ID && holds(b, p.second, k) {
				return true
			}
		}
	}
	return false
}

func holds(p access.Person, roles []access.Role, k catalogue.KasseID) bool {
	return p.ID != "" && slices.ContainsFunc(roles, func(r access.Role) bool {
		return p.Has(r) && (r != access.KasseDelegate || k != "" && p.Kasse == k)
	})
}

// Try judges a command as if, beside the people who have signed it, everybody
// else it needs had signed too: what it refuses would be refused whoever
// consents. Those who have signed must be among those who may. Nothing changes.
func Try(s *State, c Command) error {
	a := c.act()
	signed := a.By
	defer func() { a.By = signed }()
	if s.on(RuleTwoPeople) {
		kassen, components := s.concerned(c)
		if !permissions()[permissionOf(c, components && len(kassen) == 0)].open(signed) {
			return refuse(RuleTwoPeople, "Wer hier unterschrieben hat, darf das nicht: %s", permissions()[permissionOf(c, false)].explain(""))
		}
	}
	free := *s
	free.off |= 1 << RuleTwoPeople
	a.By = append(slices.Clip(signed), access.Person{ID: "zweite-person", Active: true})
	_, err := Apply(&free, c)
	return err
}

// open reports whether everybody who signed may be one of the signers.
func (p permission) open(by []access.Person) bool {
	return len(by) > 0 && !slices.ContainsFunc(by, func(x access.Person) bool {
		return !(p.system && x.ID == ledger.System) && !holds(x, p.first, x.Kasse) && !holds(x, p.second, x.Kasse)
	})
}

// permissionOf is the line of the table for a command.
func permissionOf(c Command, onlyComponents bool) string {
	if o, ok := c.(*OrderCut); ok && o.Immediate {
		return c.Kind() + " immediate"
	}
	if _, ok := c.(*Accept); ok && onlyComponents {
		return c.Kind() + " components"
	}
	return c.Kind()
}

func (p permission) explain(k catalogue.KasseID) string {
	text := "Dafür braucht es eine Person mit der Rolle " + inWords(p.first)
	if p.second != nil {
		text = "Dafür braucht es zwei verschiedene Personen: eine mit der Rolle " + inWords(p.first) +
			", eine zweite mit der Rolle " + inWords(p.second)
	}
	if k != "" && (slices.Contains(p.first, access.KasseDelegate) || slices.Contains(p.second, access.KasseDelegate)) {
		text += " (Vertretung der Kasse " + string(k) + ")"
	}
	return text + "."
}

func inWords(roles []access.Role) string {
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = RoleWord(r)
	}
	return strings.Join(out, " oder ")
}

// RoleWord gives the German word of a role for screens.
func RoleWord(r access.Role) string {
	switch r {
	case access.CrisisLead:
		return "Krisenleitung"
	case access.Operator:
		return "Betrieb"
	case access.Examiner:
		return "Forensik"
	case access.KasseDelegate:
		return "Kassenvertretung"
	case access.PaymentReleaser:
		return "Zahlungsfreigabe"
	case access.Press:
		return "Öffentlichkeitsarbeit"
	case access.Auditor:
		return "Revision"
	}
	return string(r)
}

// checkActors is rule 4 for a command, with the Kassen that it concerns.
func checkActors(s *State, c Command) error {
	by := c.act().By
	kassen, components := s.concerned(c)
	if _, ok := c.(*Accept); ok && components {
		if err := checkPeople(permissionOf(c, true), by, nil); err != nil {
			return err
		}
		if len(kassen) == 0 {
			return nil
		}
	}
	if err := checkPeople(permissionOf(c, false), by, kassen); err != nil {
		return err
	}
	return nil
}

// concerned lists the Kassen of the placements that a command names, sorted, and
// whether it names components.
func (s *State) concerned(c Command) (kassen []catalogue.KasseID, components bool) {
	names, relevant := namedBy(c)
	if !relevant {
		return nil, false
	}
	for _, name := range names {
		n, ok := s.top.number[name]
		switch {
		case !ok:
		case n < len(s.top.places):
			kassen = append(kassen, s.top.places[n].Kasse)
		default:
			components = true
		}
	}
	slices.Sort(kassen)
	return slices.Compact(kassen), components
}

// namedBy lists the nodes of those commands that a Kasse's delegate may sign.
func namedBy(c Command) (names []string, relevant bool) {
	switch c := c.(type) {
	case *ObserveFailure:
		return c.Nodes, true
	case *StartEmergency:
		return texts(c.Placements), true
	case *BeginHandover:
		return texts(c.Placements), true
	case *ReturnToEmergency:
		return texts(c.Placements), true
	case *Accept:
		return c.Nodes, true
	case *ConfirmState:
		return c.Nodes, true
	}
	return nil, false
}
