package sigma

import (
	"regexp"
	"slices"
	"strings"
)

// pipeline is a Sigma processing pipeline as pySigma defines it. What changes
// rules so that they meet another log is carried out; what is there to write
// queries in a query language is refused by name.
type pipeline struct {
	steps []*step
}

// step is one transformation with the conditions under which it applies.
type step struct {
	kind   string
	line   int
	n      *node
	rules  []ruleTest
	ruleOr bool
	ruleNo bool
	fields []fieldTest
	fldOr  bool
	fldNo  bool

	mapping map[string][]string
	add     *expr
	regex   *regexp.Regexp
}

type ruleTest func(*Rule) bool

type fieldTest func(string) bool

func (m *Mapping) readPipeline(d *node) error {
	if v := d.get("vars"); v != nil {
		m.readVars(v)
	}
	p := &pipeline{}
	m.pipelines = append(m.pipelines, p)
	list := d.get("transformations")
	if list == nil {
		return nil
	}
	return m.readSteps(p, list, 0)
}

func (m *Mapping) readSteps(p *pipeline, list *node, depth int) error {
	if depth > maxDepth {
		return errAt(list.line, "pipeline is nested too deeply")
	}
	for _, n := range list.kids {
		s, err := m.readStep(n)
		if err != nil {
			return err
		}
		if s.kind == "nest" {
			if items := n.get("items"); items != nil {
				if err := m.readSteps(p, items, depth+1); err != nil {
					return err
				}
			}
			continue
		}
		p.steps = append(p.steps, s)
	}
	return nil
}

func (m *Mapping) readStep(n *node) (*step, error) {
	if n.kind != mapNode {
		return nil, errAt(n.line, "a transformation is a map with a type")
	}
	s := &step{kind: n.str("type"), line: n.line, n: n}
	for _, k := range n.keys {
		if !slices.Contains(stepKeys(), k.text) {
			return nil, errAt(k.line, "key %q of transformation %q is not supported", k.text, s.kind)
		}
	}
	var err error
	switch s.kind {
	case "field_name_mapping", "field_name_prefix_mapping":
		s.mapping, err = readFieldMapping(n)
	case "field_name_prefix", "field_name_suffix", "drop_detection_item", "change_logsource", "rule_failure", "detection_item_failure", "nest", "set_state":
	case "add_condition":
		err = s.readAdded(n)
	case "replace_string":
		s.regex, err = regexp.Compile(n.str("regex"))
		if err != nil {
			err = errAt(n.line, "regular expression: %v", err)
		}
	case "map_string":
		s.mapping, err = readFieldMapping(n)
	case "value_placeholders":
	case "wildcard_placeholders":
		m.wildcard = true
	default:
		return nil, errAt(n.line, "transformation %q is not supported", s.kind)
	}
	if err != nil {
		return nil, err
	}
	return s, s.readConditions(n)
}

// stepKeys are the keys of a transformation that are understood. Another one
// may change what it means, so it is refused.
func stepKeys() []string {
	return []string{
		"id", "type", "rule_conditions", "rule_cond_op", "rule_cond_not", "field_name_conditions", "field_name_cond_op", "field_name_cond_not",
		"detection_item_conditions", "mapping", "prefix", "suffix", "category", "product", "service", "message", "conditions", "negated",
		"regex", "replacement", "items", "key", "val",
	}
}

func readFieldMapping(n *node) (map[string][]string, error) {
	m := n.get("mapping")
	if m == nil || m.kind != mapNode {
		return nil, errAt(n.line, "transformation has no mapping")
	}
	out := map[string][]string{}
	for _, k := range m.keys {
		out[k.text] = m.strings(k.text)
		if len(out[k.text]) == 0 {
			return nil, errAt(k.line, "%q is mapped to nothing", k.text)
		}
	}
	return out, nil
}

func (s *step) readAdded(n *node) error {
	c := n.get("conditions")
	if c == nil {
		return errAt(n.line, "add_condition has no conditions")
	}
	x, err := parseSearch(c, nil, 0)
	if err != nil {
		return err
	}
	if neg, _ := n.get("negated").bool(); neg {
		x = notOf(x)
	}
	s.add = &expr{kind: exprAnd, kids: []*expr{x}, name: "pipeline"}
	return nil
}

func (s *step) readConditions(n *node) error {
	s.ruleOr, s.fldOr = n.str("rule_cond_op") == "or", n.str("field_name_cond_op") == "or"
	s.ruleNo, _ = n.get("rule_cond_not").bool()
	s.fldNo, _ = n.get("field_name_cond_not").bool()
	if c := n.get("detection_item_conditions"); c != nil {
		return errAt(c.line, "detection_item_conditions are not supported")
	}
	if c := n.get("rule_conditions"); c != nil {
		for _, k := range c.kids {
			t, err := readRuleTest(k)
			if err != nil {
				return err
			}
			s.rules = append(s.rules, t)
		}
	}
	if c := n.get("field_name_conditions"); c != nil {
		for _, k := range c.kids {
			t, err := readFieldTest(k)
			if err != nil {
				return err
			}
			s.fields = append(s.fields, t)
		}
	}
	return nil
}

func readRuleTest(n *node) (ruleTest, error) {
	switch typ := n.str("type"); typ {
	case "logsource":
		want := Logsource{Category: n.str("category"), Product: n.str("product"), Service: n.str("service")}
		return func(r *Rule) bool { return want.fits(r.Logsource) }, nil
	case "is_sigma_rule":
		return func(r *Rule) bool { return r.Correlation == nil }, nil
	case "is_sigma_correlation_rule":
		return func(r *Rule) bool { return r.Correlation != nil }, nil
	case "tag":
		return func(r *Rule) bool { return slices.Contains(r.Tags, n.str("tag")) }, nil
	case "contains_field":
		return func(r *Rule) bool { return r.uses(n.str("field")) }, nil
	default:
		return nil, errAt(n.line, "rule condition %q is not supported", typ)
	}
}

func (r *Rule) uses(field string) bool {
	found := false
	if r.cond != nil {
		r.cond.each(func(p *predicate) { found = found || p.field == field })
	}
	return found
}

func readFieldTest(n *node) (fieldTest, error) {
	fields := n.strings("fields")
	match := func(f string) bool { return slices.Contains(fields, f) }
	switch n.str("mode") {
	case "re":
		var res []*regexp.Regexp
		for _, f := range fields {
			re, err := regexp.Compile(f)
			if err != nil {
				return nil, errAt(n.line, "regular expression: %v", err)
			}
			res = append(res, re)
		}
		match = func(f string) bool {
			return slices.ContainsFunc(res, func(re *regexp.Regexp) bool {
				at := re.FindStringIndex(f)
				return at != nil && at[0] == 0
			})
		}
	case "", "plain":
	default:
		return nil, errAt(n.line, "mode %q is not supported", n.str("mode"))
	}
	switch typ := n.str("type"); typ {
	case "include_fields":
		return match, nil
	case "exclude_fields":
		return func(f string) bool { return !match(f) }, nil
	default:
		return nil, errAt(n.line, "field name condition %q is not supported", typ)
	}
}

// combine joins conditions: all, or any; none means yes.
func combine[T any](tests []func(T) bool, or, not bool, v T) bool {
	if len(tests) == 0 {
		return true
	}
	for _, t := range tests {
		if t(v) == or {
			return or != not
		}
	}
	return or == not
}

func (s *step) wantsRule(r *Rule) bool {
	tests := make([]func(*Rule) bool, len(s.rules))
	for i, t := range s.rules {
		tests[i] = t
	}
	return combine(tests, s.ruleOr, s.ruleNo, r)
}

func (s *step) wantsField(f string) bool {
	tests := make([]func(string) bool, len(s.fields))
	for i, t := range s.fields {
		tests[i] = t
	}
	return combine(tests, s.fldOr, s.fldNo, f)
}

// apply changes the rules. A rule that the pipeline refuses is taken out and named.
func (p *pipeline) apply(set *RuleSet) []Problem {
	var problems []Problem
	for _, list := range []*[]*Rule{&set.Rules, &set.Correlations} {
		*list = slices.DeleteFunc(*list, func(r *Rule) bool {
			for _, s := range p.steps {
				if !s.wantsRule(r) {
					continue
				}
				if reason := s.change(r); reason != "" {
					problems = append(problems, r.problem(r.Line, "pipeline: "+reason))
					return true
				}
			}
			return false
		})
	}
	if len(problems) > 0 { // correlations may have lost members
		problems = append(problems, set.resolve()...)
	}
	return problems
}

// change carries out one step; a reason means the rule cannot be used.
func (s *step) change(r *Rule) string {
	switch s.kind {
	case "field_name_mapping", "field_name_prefix_mapping", "field_name_prefix", "field_name_suffix":
		r.renameFields(s.newNames)
	case "change_logsource":
		r.Logsource = Logsource{Category: s.n.str("category"), Product: s.n.str("product"), Service: s.n.str("service")}
	case "rule_failure":
		return s.n.str("message")
	case "detection_item_failure":
		hit := false
		if r.cond != nil {
			r.cond.each(func(p *predicate) { hit = hit || s.wantsField(p.field) })
		}
		if hit {
			return s.n.str("message")
		}
	case "add_condition":
		if r.cond != nil {
			r.cond = andOf(r.cond, s.add)
		}
	case "drop_detection_item":
		if r.cond != nil {
			r.cond = r.cond.without(s.wantsField)
		}
	case "replace_string", "map_string":
		if r.cond != nil {
			r.cond = r.cond.replaceAll(s.changeValue)
		}
	}
	return ""
}

func (s *step) newNames(f string) []string {
	if !s.wantsField(f) {
		return []string{f}
	}
	switch s.kind {
	case "field_name_prefix":
		return []string{s.n.str("prefix") + f}
	case "field_name_suffix":
		return []string{f + s.n.str("suffix")}
	case "field_name_prefix_mapping":
		for prefix, to := range s.mapping {
			if rest, ok := strings.CutPrefix(f, prefix); ok {
				var out []string
				for _, t := range to {
					out = append(out, t+rest)
				}
				return out
			}
		}
		return []string{f}
	}
	if to, ok := s.mapping[f]; ok {
		return to
	}
	return []string{f}
}

// changeValue rewrites the text values of a test.
func (s *step) changeValue(p *predicate) *expr {
	if p.op != opPattern || !s.wantsField(p.field) {
		return isTrue(p)
	}
	if s.kind == "map_string" {
		text, ok := p.pat.plain()
		for from, to := range s.mapping {
			if ok && (text == from || (!p.cased && text == fold(from))) {
				var alts []*expr
				for _, t := range to {
					q := *p
					q.setText(t)
					alts = append(alts, isTrue(&q))
				}
				return orOf(alts...)
			}
		}
		return isTrue(p)
	}
	q := *p
	q.pat = slices.Clone(p.pat)
	for i, x := range q.pat {
		if x.kind == partText {
			q.pat[i].text = s.regex.ReplaceAllString(x.text, pythonGroups(s.n.str("replacement")))
			if !q.cased {
				q.pat[i].text = fold(q.pat[i].text)
			}
		}
	}
	return isTrue(&q)
}

func (p *predicate) setText(t string) {
	p.pat = parsePattern(t)
	if !p.cased {
		p.pat = p.pat.folded()
	}
}

// pythonGroups turns \1 and \g<name> into ${1} and ${name}.
func pythonGroups(s string) string {
	s = strings.ReplaceAll(s, "$", "$$")
	s = regexp.MustCompile(`\\g<(\w+)>`).ReplaceAllString(s, "$${$1}")
	return regexp.MustCompile(`\\(\d)`).ReplaceAllString(s, "$${$1}")
}

// without drops the tests of some fields; what becomes empty is dropped with them.
func (x *expr) without(drop func(string) bool) *expr {
	if out := x.pruned(drop); out != nil {
		return out
	}
	return andOf()
}

func (x *expr) pruned(drop func(string) bool) *expr {
	switch x.kind {
	case exprPred:
		if drop(x.pred.field) {
			return nil
		}
		return x
	case exprConst:
		return x
	case exprAnd, exprOr, exprNot:
	}
	out := *x
	out.kids = nil
	for _, k := range x.kids {
		if k = k.pruned(drop); k != nil {
			out.kids = append(out.kids, k)
		}
	}
	if len(out.kids) == 0 && len(x.kids) > 0 {
		return nil
	}
	return &out
}
