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
		out[i] = roleWord(r)
	}
	return strings.Join(out, " oder ")
}

func roleWord(r access.Role) string {
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
