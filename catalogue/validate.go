package catalogue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Validate reports everything that is wrong with the catalogue at once, joined
// with errors.Join; nil means that every identity is unique and well formed and
// every reference leads somewhere. Cycles are allowed: Cycles lists them.
func (c *Catalogue) Validate() error {
	v := validator{c: c}
	v.kassen()
	v.sites()
	v.services()
	v.components()
	v.environments()
	v.placements()
	return errors.Join(v.errs...)
}

type validator struct {
	c    *Catalogue
	errs []error
}

func (v *validator) say(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(format, args...))
}

func (v *validator) kassen() {
	owner := map[string]KasseID{} // who has the IK
	for _, k := range v.c.Kassen {
		if k.Name == "" {
			v.say("Kasse %q has no name", k.ID)
		}
		if k.Insured < 0 {
			v.say("Kasse %q has %d insured", k.ID, k.Insured)
		}
		for i, ik := range slices.Concat([]string{string(k.ID)}, k.OtherIK) {
			if !ValidIK(ik) {
				v.say("Kasse %q: IK %q is no IK: %s", k.ID, ik, whyNoIK(ik))
			}
			first, taken := owner[ik]
			switch {
			case taken && first == k.ID && i == 0:
				v.say("Kasse %q is listed twice", k.ID)
			case taken && first == k.ID:
				v.say("Kasse %q lists IK %q twice", k.ID, ik)
			case taken:
				v.say("Kasse %q: IK %q belongs to Kasse %q already", k.ID, ik, first)
			default:
				owner[ik] = k.ID
			}
		}
	}
}

func whyNoIK(s string) string {
	if len(s) != 9 || strings.Trim(s, "0123456789") != "" {
		return "it needs nine digits"
	}
	return fmt.Sprintf("the check digit should be %d", checkDigit(s))
}

// unique says when an id is empty, malformed or taken.
func unique[T ~string](v *validator, kind string, seen map[T]bool, id T, form func(string) bool) {
	switch {
	case !form(string(id)):
		v.say("%s %q: an id is letters, digits, - . _ and starts with a letter (components: what@site)", kind, id)
	case seen[id]:
		v.say("%s %q is listed twice", kind, id)
	}
	seen[id] = true
}

func plainID(s string) bool {
	return isName(s) && !strings.ContainsAny(s, "/@") && !strings.Contains("0123456789-._", s[:1])
}

func componentID(s string) bool {
	what, site, _ := strings.Cut(s, "@")
	return plainID(what) && plainID(site)
}

func (v *validator) sites() {
	seen := map[SiteID]bool{}
	for _, s := range v.c.Sites {
		unique(v, "site", seen, s.ID, plainID)
	}
}

func (v *validator) services() {
	seen := map[ServiceID]bool{}
	for _, s := range v.c.Services {
		unique(v, "service", seen, s.ID, plainID)
		if s.Criticality < 1 || s.Criticality > 4 {
			v.say("service %q: criticality %d is not 1 to 4", s.ID, s.Criticality)
		}
		if s.Weight < 0 || s.Weight != s.Weight {
			v.say("service %q: weight %v is negative", s.ID, s.Weight)
		}
		v.mtpd("service", string(s.ID), s.MTPD)
		for _, d := range s.Due {
			if err := d.Rule.check(); err != nil || d.Name == "" || strings.Contains(d.Name, "|") {
				v.say("service %q: dated duty %q: a rule, and a name without |", s.ID, d)
			}
		}
		if s.Behaviour < Buffer || s.Behaviour > Refuse {
			v.say("service %q: behaviour %d is unknown", s.ID, int(s.Behaviour))
		}
	}
}

func (v *validator) mtpd(kind, id string, d time.Duration) {
	if d < 0 || d%time.Minute != 0 {
		v.say("%s %q: MTPD %v is not a number of whole minutes", kind, id, d)
	}
}

func (v *validator) components() {
	seen := map[ComponentID]bool{}
	for _, m := range v.c.Components {
		unique(v, "component", seen, m.ID, componentID)
		v.site("component", string(m.ID), m.Site)
		if _, site, ok := strings.Cut(string(m.ID), "@"); ok && site != string(m.Site) {
			v.say("component %q is not at site %q", m.ID, m.Site)
		}
		v.formula("component", string(m.ID), m.Needs)
		v.formula("component", string(m.ID), m.Wants)
	}
}

func (v *validator) site(kind, id string, s SiteID) {
	if _, ok := v.c.Site(s); !ok {
		v.say("%s %q: site %q is not in the catalogue", kind, id, s)
	}
}

func (v *validator) formula(kind, id string, f Formula) {
	if err := f.check(0); err != nil {
		v.say("%s %q: %w", kind, id, err)
		return
	}
	for _, n := range f.Nodes() {
		if n == id {
			v.say("%s %q rests on itself", kind, id)
			continue
		}
		_, isComponent := v.c.Component(ComponentID(n))
		_, isPlacement := v.c.Placement(PlacementID(n))
		if !isComponent && !isPlacement {
			v.say("%s %q rests on %q, which is not in the catalogue", kind, id, n)
		}
	}
}

// check reports a formula that was put together wrongly.
func (f Formula) check(depth int) error {
	if depth > maxFormulaDepth {
		return fmt.Errorf("formula is deeper than %d", maxFormulaDepth)
	}
	switch f.Op {
	case OpNone, OpNode:
		if (f.Op == OpNode) != (f.Node != "") || len(f.Of) > 0 {
			return fmt.Errorf("formula of kind %d with node %q and %d parts", int(f.Op), f.Node, len(f.Of))
		}
		return nil
	case OpAll, OpAny:
		if f.Node != "" || len(f.Of) == 0 {
			return fmt.Errorf("formula of kind %d with node %q and %d parts", int(f.Op), f.Node, len(f.Of))
		}
		for _, g := range f.Of {
			if err := g.check(depth + 1); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("formula of unknown kind %d", int(f.Op))
}

func (v *validator) environments() {
	seen := map[EnvironmentID]bool{}
	for _, e := range v.c.Environments {
		if seen[e.ID] {
			v.say("environment %q is listed twice", e.ID)
		}
		seen[e.ID] = true
		if e.ID != EnvironmentOf(e.Kasse, e.Site) {
			v.say("environment %q is not Kasse %q at site %q", e.ID, e.Kasse, e.Site)
		}
		v.kasse("environment", string(e.ID), e.Kasse)
		v.site("environment", string(e.ID), e.Site)
	}
}

func (v *validator) kasse(kind, id string, k KasseID) {
	if _, ok := v.c.Kasse(k); !ok {
		v.say("%s %q: Kasse %q is not in the catalogue", kind, id, k)
	}
}

func (v *validator) placements() {
	seen := map[PlacementID]bool{}
	for _, p := range v.c.Placements {
		id := string(p.ID)
		if seen[p.ID] {
			v.say("placement %q is listed twice", id)
		}
		seen[p.ID] = true
		if p.ID != PlacementOf(p.Kasse, p.Service, p.Site) {
			v.say("placement %q is not service %q of Kasse %q at site %q", id, p.Service, p.Kasse, p.Site)
		}
		v.kasse("placement", id, p.Kasse)
		v.site("placement", id, p.Site)
		if _, ok := v.c.Service(p.Service); !ok {
			v.say("placement %q: service %q is not in the catalogue", id, p.Service)
		}
		if _, ok := v.c.Environment(p.Environment); !ok || p.Environment != EnvironmentOf(p.Kasse, p.Site) {
			v.say("placement %q: environment %q is not in the catalogue or not its own", id, p.Environment)
		}
		v.mtpd("placement", id, p.MTPD)
		v.formula("placement", id, p.Needs)
		v.formula("placement", id, p.Wants)
	}
}
