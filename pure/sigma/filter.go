package sigma

import (
	"slices"
	"strings"
)

// filterRule is a Sigma filter: a further condition for other rules.
type filterRule struct {
	meta   *Rule
	line   int
	rules  []string // ids or names; nil means any
	source Logsource
	cond   *expr
}

func parseFilter(file string, d *node, ph Placeholders) (*filterRule, error) {
	f := &filterRule{meta: metaOf(file, d)}
	n := d.get("filter")
	if n.kind != mapNode {
		return nil, errAt(n.line, "filter is no map")
	}
	f.line = n.line
	ls := d.get("logsource")
	if ls == nil || ls.kind != mapNode {
		return nil, errAt(d.line, "filter has no logsource")
	}
	f.source = Logsource{Category: ls.str("category"), Product: ls.str("product"), Service: ls.str("service")}
	if f.rules = n.strings("rules"); len(f.rules) == 0 {
		return nil, errAt(n.line, "filter names no rules")
	}
	if len(f.rules) == 1 && strings.EqualFold(f.rules[0], "any") {
		f.rules = nil
	}
	s, err := parseSearches(n, ph, "condition", "rules")
	if err != nil {
		return nil, err
	}
	cond := n.get("condition")
	if cond == nil || cond.kind != scalarNode {
		return nil, errAt(n.line, "filter has no condition")
	}
	f.cond, err = parseCondition(cond.text, cond.line, s.searches, s.order)
	if f.cond != nil {
		f.cond = &expr{kind: exprAnd, kids: []*expr{f.cond}, name: "filter " + f.meta.Title}
	}
	return f, err
}

// apply adds the filter to its rules. A rule it names but cannot be put on is a problem:
// someone relies on the filter.
func (f *filterRule) apply(rules, correlations []*Rule) []Problem {
	var problems []Problem
	found := map[string]bool{}
	for _, r := range rules {
		named := f.rules == nil
		for _, ref := range r.refs() {
			if slices.Contains(f.rules, ref) {
				named, found[ref] = true, true
			}
		}
		if !named {
			continue
		}
		if !f.source.fits(r.Logsource) {
			if f.rules != nil {
				problems = append(problems, f.meta.problem(f.line, "filter is for "+f.source.String()+" and is not put on rule "+r.ID+", which is for "+r.Logsource.String()))
			}
			continue
		}
		r.cond = andOf(r.cond, f.cond)
		r.Filters = append(r.Filters, f.meta.Title)
	}
	for _, ref := range f.rules {
		switch {
		case found[ref]:
		case slices.ContainsFunc(correlations, func(r *Rule) bool { return slices.Contains(r.refs(), ref) }):
			problems = append(problems, f.meta.problem(f.line, "filter names "+ref+", a correlation: put it on the rules that it counts"))
		default:
			problems = append(problems, f.meta.problem(f.line, "filter names rule "+ref+", which is not there"))
		}
	}
	return problems
}
