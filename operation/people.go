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

// permissionFor is rule 4 as one table. A Kasse's delegate counts only for
// placements of that Kasse.
func permissionFor(act string) (permission, bool) {
	const (
		lead     = access.CrisisLead
		operator = access.Operator
		examiner = access.Examiner
		delegate = access.KasseDelegate
	)
	one := func(roles ...access.Role) (permission, bool) { return permission{first: roles}, true }
	orRoom := func(roles ...access.Role) (permission, bool) { return permission{first: roles, system: true}, true }
	two := func(first, second []access.Role) (permission, bool) {
		return permission{first: first, second: second}, true
	}
	type roles = []access.Role
	switch act {
	// Off the network, and into emergency operation.
	case "measure.ordered":
		return two(roles{lead}, roles{lead, operator})
	case "measure.ordered immediate":
		return one(lead, operator)
	case "measure.confirmed": // with the first person as measure.ordered, see ConfirmCut
		return one(lead, operator)
	case "failure.observed":
		return orRoom(lead, operator, examiner, delegate)
	case "emergency.started":
		return two(roles{lead}, roles{lead, operator, delegate})
	case "emergency.prepared", "regular.limited", "behaviour.set":
		return one(lead, operator)

	// The way back.
	case "measure.undone", "trial.entered":
		return two(roles{lead}, roles{lead, operator, examiner})
	case "attack.ruled_out":
		return two(roles{examiner}, roles{lead})
	case "handover.begun", "handover.withdrawn":
		return one(lead, operator, delegate)
	case "regular.accepted":
		return two(roles{delegate}, roles{lead, operator})
	case "regular.accepted components":
		return two(roles{lead}, roles{lead, operator})
	case "rebuild.begun", "observation.ended", "regular.unlimited":
		return one(lead, operator)

	// What is known.
	case "clearance.granted":
		return two(roles{examiner}, roles{examiner, lead})
	case "clearance.revoked":
		return one(examiner, lead)
	case "rotation.proven", "indicator.recorded":
		return one(examiner, operator)
	case "subject.named":
		return orRoom(examiner, operator, lead)
	case "flag.lifted":
		return two(roles{lead}, roles{examiner})
	case "side.closed", "journal.reported":
		return orRoom(lead, operator)

	// Upkeep.
	case "owner.set", "gateway.retired":
		return one(lead, operator)
	case "state.confirmed":
		return orRoom(lead, operator, delegate)
	case "gateway.registered", "state.adopted":
		return orRoom(lead, operator)
	case "deadline.passed":
		return orRoom(lead, operator, examiner)
	}
	return permission{}, false
}

// checkPeople refuses an act that the wrong people do. It is asked once for each
// Kasse that the act concerns, as a delegate speaks for one only.
func checkPeople(what string, by []access.Person, kassen []catalogue.KasseID) *Refused {
	p, ok := permissionFor(what)
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
		if p, ok := permissionFor(permissionOf(c, components && len(kassen) == 0)); !ok || !p.open(signed) {
			return refuse(RuleTwoPeople, "Wer hier unterschrieben hat, darf das nicht. %s", p.explain(""))
		}
	}
	free := *s
	free.off |= 1 << RuleTwoPeople
	if x, ok := c.(*Accept); ok && x.Closed == nil {
		free.off |= 1 << RuleNothingLost // the journals are closed and asked only when it is carried out
	}
	a.By = append(slices.Clip(signed), access.Person{ID: "zweite-person", Active: true})
	_, err := Apply(&free, c)
	return err
}

// open reports whether everybody who signed may be one of the signers.
func (p permission) open(by []access.Person) bool {
	return len(by) > 0 && !slices.ContainsFunc(by, func(x access.Person) bool {
		room := p.system && x.ID == ledger.System
		return !room && !holds(x, p.first, x.Kasse) && !holds(x, p.second, x.Kasse)
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
