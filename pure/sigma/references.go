package sigma

import (
	"fmt"
	"slices"
)

// resolve finds the rules that correlations refer to. A correlation whose
// rules are not all there is taken out and reported.
func (s *RuleSet) resolve() []Problem {
	byRef := map[string][]*Rule{}
	for _, list := range [][]*Rule{s.Rules, s.Correlations} {
		for _, r := range list {
			for _, ref := range r.refs() {
				byRef[ref] = append(byRef[ref], r)
			}
		}
	}
	var problems []Problem
	drop := map[*Rule]bool{}
	for again := true; again; { // a correlation that falls may take others with it
		again = false
		for _, r := range s.Correlations {
			if drop[r] {
				continue
			}
			if p, ok := r.findMembers(byRef, drop); !ok {
				problems = append(problems, p)
				drop[r], again = true, true
			}
		}
	}
	for _, r := range s.Correlations {
		if !drop[r] && r.circular(r, 0) {
			drop[r] = true
			problems = append(problems, r.problem(r.Correlation.line, "correlation refers to itself"))
		}
	}
	s.Correlations = slices.DeleteFunc(s.Correlations, func(r *Rule) bool { return drop[r] })
	for _, r := range s.Correlations {
		for _, m := range r.Correlation.members {
			// Rules of the same file are building blocks; others stand for themselves anyhow.
			m.Quiet = m.Quiet || (m.File == r.File && !r.Correlation.Generate)
		}
	}
	return problems
}

// refs are what other rules may call this one.
func (r *Rule) refs() []string {
	var out []string
	for _, ref := range []string{r.ID, r.Name} {
		if ref != "" && !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out
}

// findMembers resolves the rules and aliases of a correlation.
func (r *Rule) findMembers(byRef map[string][]*Rule, drop map[*Rule]bool) (Problem, bool) {
	c := r.Correlation
	c.members = c.members[:0]
	for _, ref := range c.Rules {
		found := byRef[ref]
		switch {
		case len(found) > 1:
			return r.problem(c.line, fmt.Sprintf("correlation refers to rule %s, which stands for %d rules: in %s line %d and %s line %d", ref, len(found), found[0].File, found[0].Line, found[1].File, found[1].Line)), false
		case len(found) == 0 || drop[found[0]]:
			return r.problem(c.line, "correlation refers to rule "+ref+", which is not there or cannot be used"), false
		}
		c.members = append(c.members, found[0])
	}
	for i := range c.aliases {
		a := &c.aliases[i]
		if a.member = slices.IndexFunc(c.members, func(m *Rule) bool { return slices.Contains(m.refs(), a.rule) }); a.member < 0 {
			return r.problem(a.line, fmt.Sprintf("alias %q is for rule %q, which the correlation does not name", a.name, a.rule)), false
		}
	}
	return Problem{}, true
}

// alias is what a field of group-by is called in events of one rule.
type alias struct {
	name, rule, field string
	member            int // position of the rule, when it is resolved
	line              int
}

func (c *Correlation) readAliases(n *node) error {
	if n == nil {
		return nil
	}
	for i, k := range n.keys {
		if n.kids[i].kind != mapNode {
			return errAt(k.line, "alias %q is no map of rules and fields", k.text)
		}
		for j, rule := range n.kids[i].keys {
			c.aliases = append(c.aliases, alias{name: k.text, rule: rule.text, field: n.kids[i].kids[j].text, line: rule.line})
		}
	}
	return nil
}

// fieldOf is the name that a field of group-by has in events of a member;
// false when it is an alias and says nothing about them.
func (c *Correlation) fieldOf(m int, name string) (string, bool) {
	is := false
	for _, a := range c.aliases {
		if a.name == name && a.member == m {
			return a.field, true
		}
		is = is || a.name == name
	}
	return name, !is
}

func (r *Rule) problem(line int, reason string) Problem {
	return Problem{File: r.File, Line: line, Rule: r.ID, Title: r.Title, Reason: reason}
}

// circular says whether following the members leads back to start.
func (r *Rule) circular(start *Rule, depth int) bool {
	if r.Correlation == nil {
		return false
	}
	if depth > maxDepth {
		return true
	}
	for _, m := range r.Correlation.members {
		if m == start || m.circular(start, depth+1) {
			return true
		}
	}
	return false
}
