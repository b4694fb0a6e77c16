package sigma

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// CorrelationType says what a correlation rule counts.
type CorrelationType uint8

// The types of the correlation specification, with value_median, value_min and
// value_max as its schema and pySigma have them.
const (
	EventCount CorrelationType = iota + 1
	ValueCount
	Temporal
	TemporalOrdered
	ValueSum
	ValueAvg
	ValuePercentile
	ValueMedian
	ValueMin
	ValueMax
	// NewValue is ours, not the specification's: a value that its group has not
	// shown within the timespan.
	NewValue
)

func correlationTypes() map[string]CorrelationType {
	return map[string]CorrelationType{
		"event_count": EventCount, "value_count": ValueCount, "temporal": Temporal, "temporal_ordered": TemporalOrdered,
		"value_sum": ValueSum, "value_avg": ValueAvg, "value_percentile": ValuePercentile,
		"value_median": ValueMedian, "value_min": ValueMin, "value_max": ValueMax,
		"new_value": NewValue,
	}
}

// String names the type as rules do.
func (t CorrelationType) String() string {
	for name, x := range correlationTypes() {
		if x == t {
			return name
		}
	}
	return ""
}

// Correlation is the correlation part of a rule.
type Correlation struct {
	Type     CorrelationType
	Rules    []string // ids or names, as written
	GroupBy  []string
	Timespan time.Duration
	Field    []string // value_*: the field, or the fields that together are the value
	Generate bool     // the rules it refers to also stand for themselves

	learn      time.Duration // new_value: a group's values are learned silently for so long
	percentile float64       // value_percentile: of the distribution; below 0: share of the value
	limits     []limit
	aliases    map[string]map[string]string // alias -> rule as written -> field
	members    []*Rule                      // Rules resolved, in order
	cond       *expr                        // temporal: condition over the rules
	line       int
}

// limit is one comparison of a condition.
type limit struct {
	op  predOp
	num float64
}

// atEnd: an upper limit can only be judged when the window is over.
func (c *Correlation) atEnd() bool {
	for _, l := range c.limits {
		if l.op != opGreater && l.op != opGreaterEq {
			return true
		}
	}
	return c.cond != nil && c.cond.hasNot()
}

func (x *expr) hasNot() bool {
	return x.kind == exprNot || slices.ContainsFunc(x.kids, (*expr).hasNot)
}

// holds applies the limits.
func (c *Correlation) holds(v float64) bool {
	for _, l := range c.limits {
		if !l.op.compare(v, l.num) {
			return false
		}
	}
	return true
}

// enough is the count at which a lower limit is reached, 0 when there is none.
func (c *Correlation) enough() int {
	n := 0
	for _, l := range c.limits {
		at := int(l.num)
		if l.op != opGreaterEq && l.op != opNumber {
			at++
		}
		n = max(n, at)
	}
	return n
}

func parseCorrelation(file string, d *node) (*Rule, error) {
	r := metaOf(file, d)
	n := d.get("correlation")
	if n.kind != mapNode {
		return nil, errAt(n.line, "correlation is no map")
	}
	c := &Correlation{Rules: n.strings("rules"), GroupBy: n.strings("group-by"), line: n.line, percentile: -1}
	r.Correlation = c
	for i, k := range n.keys {
		switch k.text {
		case "type", "rules", "group-by", "timespan", "condition", "aliases", "generate", "field":
		default:
			return nil, errAt(n.keys[i].line, "key %q is not known in a correlation", k.text)
		}
	}
	var ok bool
	if c.Type, ok = correlationTypes()[n.str("type")]; !ok {
		return nil, errAt(n.line, "correlation type %q is not known", n.str("type"))
	}
	if len(c.Rules) == 0 {
		return nil, errAt(n.line, "correlation names no rules")
	}
	var err error
	if c.Timespan, err = timespan(n.str("timespan")); err != nil {
		return nil, errAt(n.line, "timespan %q is not a number with s, m, h or d", n.str("timespan"))
	}
	for _, holder := range []*node{n, d} {
		if g := holder.get("generate"); g != nil {
			c.Generate, _ = g.bool()
		}
	}
	if err := c.readAliases(n.get("aliases")); err != nil {
		return nil, err
	}
	if err := c.readCondition(n); err != nil {
		return nil, err
	}
	r.texts = []string{c.describe()}
	return r, nil
}

// timespan reads "number + letter".
func timespan(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if len(s) < 2 || units[s[len(s)-1]] == 0 {
		return 0, errAt(0, "timespan %q is not a number with s, m, h or d", s)
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n <= 0 || n > 100000 {
		return 0, errAt(0, "timespan %q is not a number with s, m, h or d", s)
	}
	return time.Duration(n) * units[s[len(s)-1]], nil
}

func (c *Correlation) readAliases(n *node) error {
	if n == nil {
		return nil
	}
	c.aliases = map[string]map[string]string{}
	for i, k := range n.keys {
		m := map[string]string{}
		for j, rule := range n.kids[i].keys {
			if !slices.Contains(c.Rules, rule.text) {
				return errAt(rule.line, "alias %q is for rule %q, which the correlation does not name", k.text, rule.text)
			}
			m[rule.text] = n.kids[i].kids[j].text
		}
		c.aliases[k.text] = m
	}
	return nil
}

func (c *Correlation) readCondition(n *node) error {
	cond := n.get("condition")
	temporal := c.Type == Temporal || c.Type == TemporalOrdered
	switch {
	case cond == nil && temporal:
	case cond == nil:
		return errAt(n.line, "correlation has no condition")
	case cond.kind == scalarNode && temporal:
		return c.readExpression(cond)
	case cond.kind != mapNode:
		return errAt(cond.line, "condition of a correlation is a map such as gte: 10")
	default:
		if err := c.readLimits(cond); err != nil {
			return err
		}
	}
	if f := n.strings("field"); len(c.Field) == 0 {
		c.Field = f
	}
	if c.Type == NewValue {
		if len(c.limits) > 0 {
			return errAt(n.line, "new_value has no limits: every new value counts")
		}
		c.limits = []limit{{opGreaterEq, 1}}
	}
	if temporal && len(c.limits) == 0 {
		c.limits = []limit{{opGreaterEq, float64(len(c.Rules))}}
	}
	needsField := !temporal && c.Type != EventCount
	switch {
	case needsField && len(c.Field) == 0:
		return errAt(n.line, "correlation type %s needs a field in its condition", c.Type)
	case len(c.limits) == 0:
		return errAt(n.line, "condition has no limit (gt, gte, lt, lte, eq)")
	}
	return nil
}

// readExpression reads the extended condition "a and b and not c" over rules.
func (c *Correlation) readExpression(cond *node) error {
	searches := map[string]*expr{}
	for i, name := range c.Rules {
		searches[name] = isTrue(&predicate{op: opNumber, num: float64(i)})
	}
	x, err := parseCondition(cond.text, cond.line, searches, c.Rules)
	c.cond = x
	return err
}

func (c *Correlation) readLimits(cond *node) error {
	ops := map[string]predOp{"gt": opGreater, "gte": opGreaterEq, "lt": opLess, "lte": opLessEq, "eq": opNumber}
	for i, k := range cond.keys {
		v := cond.kids[i]
		switch op := ops[k.text]; {
		case op != 0:
			num, ok := parseNumber(v.text)
			if !ok {
				return errAt(v.line, "%q is no number", v.text)
			}
			c.limits = append(c.limits, limit{op, num})
		case k.text == "field":
			c.Field = cond.strings("field")
		case k.text == "learn" && c.Type == NewValue:
			var err error
			if c.learn, err = timespan(v.text); err != nil {
				return errAt(v.line, "learn %q is not a number with s, m, h or d", v.text)
			}
		case k.text == "percentile" && c.Type == ValuePercentile:
			num, ok := parseNumber(v.text)
			if !ok || num < 0 || num > 100 {
				return errAt(v.line, "percentile %q is no number from 0 to 100", v.text)
			}
			c.percentile = num
		default:
			return errAt(k.line, "key %q is not known in the condition of a correlation", k.text)
		}
	}
	return nil
}

func (c *Correlation) describe() string {
	s := c.Type.String() + " of " + strings.Join(c.Rules, ", ")
	if len(c.GroupBy) > 0 {
		s += " by " + strings.Join(c.GroupBy, ", ")
	}
	s += " within " + c.Timespan.String()
	var limits strings.Builder
	for _, l := range c.limits {
		limits.WriteString(" " + l.op.sign() + " " + strconv.FormatFloat(l.num, 'g', -1, 64))
	}
	return s + limits.String()
}

// resolve finds the rules that correlations refer to. A correlation whose
// rules are not all there is taken out and reported.
func (s *RuleSet) resolve() []Problem {
	byRef := map[string]*Rule{}
	for _, list := range [][]*Rule{s.Rules, s.Correlations} {
		for _, r := range list {
			for _, ref := range []string{r.ID, r.Name} {
				if ref != "" {
					byRef[ref] = r
				}
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

func (r *Rule) findMembers(byRef map[string]*Rule, drop map[*Rule]bool) (Problem, bool) {
	c := r.Correlation
	c.members = c.members[:0]
	for _, ref := range c.Rules {
		m := byRef[ref]
		if m == nil || drop[m] {
			return r.problem(c.line, "correlation refers to rule "+ref+", which is not there or cannot be used"), false
		}
		c.members = append(c.members, m)
	}
	return Problem{}, true
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
