package warning

import (
	"fmt"
	"strings"

	"leitstand/pure/sigma"
)

// Rules is a compiled set of rules with what belongs to them.
type Rules struct {
	Engine *sigma.Engine
	// Problems name every rule that cannot be used, with file, line and reason.
	Problems []sigma.Problem

	set      *sigma.RuleSet
	licenses Licenses
	byID     map[string]*sigma.Rule
}

// CompileRules compiles the built-in rules and more. A rule of ours that cannot
// be used is an error, never skipped; of the others, Problems tells.
func CompileRules(more RuleFiles, mapping *sigma.Mapping) (*Rules, error) {
	own, err := BuiltinRules()
	if err != nil {
		return nil, err
	}
	if mapping == nil {
		mapping = &sigma.Mapping{}
	}
	if _, problems := sigma.ParseRules(own); len(problems) > 0 {
		return nil, fmt.Errorf("built-in rule cannot be used: %w", problems[0])
	}
	set, problems := mapping.Parse(append(own, more.Files...))
	eng, unrouted := sigma.Compile(set, mapping.Options())
	r := &Rules{Engine: eng, Problems: append(problems, unrouted...), set: set, licenses: more.Licenses, byID: map[string]*sigma.Rule{}}
	for _, list := range [][]*sigma.Rule{set.Rules, set.Correlations} {
		for _, rule := range list {
			if old := r.byID[rule.ID]; old != nil && rule.ID != "" {
				return nil, fmt.Errorf("%s:%d: rule %s is in %s too: give one of them another id", rule.File, rule.Line, rule.ID, old.File)
			}
			r.byID[rule.ID] = rule
		}
	}
	return r, nil
}

// Find returns a rule by id or title.
func (r *Rules) Find(name string) (*sigma.Rule, bool) {
	if rule := r.byID[name]; rule != nil && name != "" {
		return rule, true
	}
	for _, list := range [][]*sigma.Rule{r.set.Correlations, r.set.Rules} {
		for _, rule := range list {
			if strings.EqualFold(rule.Title, name) {
				return rule, true
			}
		}
	}
	return nil, false
}

// All returns every rule that may raise a signal: not those that are only
// parts of correlations.
func (r *Rules) All() []*sigma.Rule {
	var out []*sigma.Rule
	for _, list := range [][]*sigma.Rule{r.set.Rules, r.set.Correlations} {
		for _, rule := range list {
			if !rule.Quiet {
				out = append(out, rule)
			}
		}
	}
	return out
}

// License is what the rule says itself, else what the licence file nearest above it says.
func (r *Rules) License(rule *sigma.Rule) string { return r.licenses.Of(rule) }
