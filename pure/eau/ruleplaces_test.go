package eau

import (
	"slices"
	"testing"
)

// places lists what the tables of a version ask, as "kind place": the names
// that structural mutants carry.
type places struct {
	set *ruleset
	out map[string]bool
}

func rulePlaces(set *ruleset) map[string]bool {
	p := &places{set: set, out: map[string]bool{}}
	for _, profile := range set.profiles {
		p.walk(profile.root, profile.name, nil)
	}
	return p.out
}

func (p *places) add(kind, place string) { p.out[kind+" "+place] = true }

func (p *places) walk(r *rule, place string, types []string) {
	for _, t := range types {
		if t == r.typ && len(r.typ) > 0 && r.prim == 0 && r.typ != "Extension" && r.typ != "Coding" && r.typ != "Backbone" {
			return // a data type inside itself (Identifier.assigner.identifier) says nothing new
		}
	}
	types = append(slices.Clip(types), r.typ)
	if r.resource || r.typ == "-" {
		return
	}
	if r.prim != 0 {
		p.primitive(r, place)
	} else if r.codes != nil && !r.advice {
		p.add("binding", place)
	}
	if r.pattern != (code{}) {
		p.add("pattern", place)
	}
	if r.targets != nil {
		p.add("reference", place)
		p.add("reference-type", place)
	}
	for _, d := range r.denied {
		p.add("excluded", place+"."+d)
	}
	for _, k := range r.kids {
		if k.typ == "-" || k.name == "modifierExtension" {
			continue
		}
		p.kid(k, place+"."+k.name, types)
	}
}

func (p *places) kid(k *rule, place string, types []string) {
	if k.min > 0 && !slices.ContainsFunc(k.slices, func(sl *slice) bool { return sl.rule.min > 0 }) {
		p.add("min", place)
	}
	if k.max >= 0 {
		p.add("max", place)
	}
	if k.has != "" {
		p.add("has", place)
	}
	for _, s := range k.slices {
		if s.rule.min > 0 {
			p.add("slice-min", place+":"+s.name)
		}
		if s.rule.max >= 0 {
			p.add("slice-max", place+":"+s.name)
		}
		p.walk(s.rule, place+":"+s.name, types)
	}
	if k.closed {
		p.add("closed", place)
	}
	if !k.sliced && k.name != "extension" {
		p.walk(k, place, types)
	}
}

func (p *places) primitive(r *rule, place string) {
	p.add("type", place)
	if r.isFixed {
		p.add("fixed", place)
	}
	if r.maxLen > 0 {
		p.add("length", place)
	}
	if r.codes != nil && !r.isFixed {
		p.add("binding", place)
	}
}

// noMutant are rules that no document can break, with the reason.
var noMutant = map[string]string{
	"reference KBV_PR_EAU_Storno.entry.item":      "the profile excludes item.reference: there is nothing to lead anywhere",
	"reference-type KBV_PR_EAU_Storno.entry.item": "as above",
	"type KBV_PR_EAU_Composition.text.div":        "XHTML has rules of its own, see TestNarrativesAreChecked",
}

func TestEveryRuleOfTheTablesHasAMutant(t *testing.T) {
	seen := map[string]bool{}
	docs := documents(t)
	for _, name := range documentNames() {
		structuralMutants(t, docs[name], seen)
	}
	for rule := range rulePlaces(rules121()) {
		switch reason := noMutant[rule]; {
		case !seen[rule] && reason == "":
			t.Errorf("no mutant breaks: %s", rule)
		case seen[rule] && reason != "":
			t.Errorf("%s has a mutant, yet is named as impossible", rule)
		}
	}
}
