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
	aliases    []alias
	members    []*Rule // Rules resolved, in order
	cond       *expr   // temporal: condition over the rules
	text       string  // cond as written
	line       int
}

// limit is one comparison of a condition.
type limit struct {
	op  predOp
	num float64
	not bool // neq
}

// atEnd: an upper limit can only be judged when the window is over, and the
// share of a value when all values are known.
func (c *Correlation) atEnd() bool {
	for _, l := range c.limits {
		if l.op != opGreater && l.op != opGreaterEq {
			return true
		}
	}
	return c.share() || c.cond != nil && c.cond.hasNot()
}

func (c *Correlation) temporal() bool { return c.Type == Temporal || c.Type == TemporalOrdered }

// share: value_percentile asks how much of all values one value is.
func (c *Correlation) share() bool { return c.Type == ValuePercentile && c.percentile < 0 }

func (x *expr) hasNot() bool {
	return x.kind == exprNot || slices.ContainsFunc(x.kids, (*expr).hasNot)
}

// holds applies the limits.
func (c *Correlation) holds(v float64) bool {
	for _, l := range c.limits {
		if l.op.compare(v, l.num) == l.not {
			return false
		}
	}
	return true
}

// enough is the count at which a lower limit is reached, 0 when there is none.
func (c *Correlation) enough() int {
	n := 0
	for _, l := range c.limits {
		if l.not {
			continue
		}
		at := int(l.num)
		if l.op != opGreaterEq && l.op != opNumber {
			at++
		}
		n = max(n, at)
	}
	return n
}

// half is the count at which half of a lower limit is reached, rounded up. There is
// none for what counts nothing, is decided at the end of its window, or would be
// half reached by a single event.
func (c *Correlation) half() (float64, bool) {
	n := c.enough()
	if c.Type != EventCount && c.Type != ValueCount && c.Type != ValueSum || c.cond != nil || c.atEnd() || n < 3 {
		return 0, false
	}
	for _, l := range c.limits {
		if l.not || l.op != opGreaterEq && l.op != opGreater {
			return 0, false
		}
	}
	return float64((n + 1) / 2), true
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
	if cond := n.get("condition"); len(c.Rules) == 0 && c.temporal() && cond != nil && cond.kind == scalarNode {
		c.Rules = condNames(cond.text)
	}
	if len(c.Rules) == 0 {
		return nil, errAt(n.line, "correlation names no rules")
	}
	var err error
	if c.Timespan, err = timespan(n.str("timespan")); err != nil {
		return nil, errAt(n.line, "timespan %v", err)
	}
	for _, holder := range []*node{n, d} {
		if g := holder.get("generate"); g != nil {
			if c.Generate, ok = g.bool(); !ok {
				return nil, errAt(g.line, "generate is neither true nor false")
			}
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

// maxTimespan bounds timespans: no log is kept for longer.
const maxTimespan = 3660 * 24 * time.Hour

// timespan reads "number + letter".
func timespan(s string) (time.Duration, error) {
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if len(s) < 2 || units[s[len(s)-1]] == 0 {
		return 0, errAt(0, "%q is not a number with s, m, h or d", s)
	}
	unit := units[s[len(s)-1]]
	n, err := strconv.ParseInt(s[:len(s)-1], 10, 64)
	switch {
	case err != nil || n <= 0:
		return 0, errAt(0, "%q is not a number with s, m, h or d", s)
	case n > int64(maxTimespan/unit):
		return 0, errAt(0, "%q is longer than ten years", s)
	}
	return time.Duration(n) * unit, nil
}

func (c *Correlation) readCondition(n *node) error {
	cond := n.get("condition")
	temporal := c.temporal()
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
		c.limits = []limit{{op: opGreaterEq, num: 1}}
	}
	if temporal && len(c.limits) == 0 {
		c.limits = []limit{{op: opGreaterEq, num: float64(len(c.Rules))}}
	}
	needsField := !temporal && c.Type != EventCount
	switch {
	case needsField && len(c.Field) == 0:
		return errAt(n.line, "correlation type %s needs a field in its condition", c.Type)
	case len(c.limits) == 0:
		return errAt(n.line, "condition has no limit (gt, gte, lt, lte, eq, neq)")
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
	c.cond, c.text = x, cond.text
	return err
}

func (c *Correlation) readLimits(cond *node) error {
	ops := map[string]predOp{"gt": opGreater, "gte": opGreaterEq, "lt": opLess, "lte": opLessEq, "eq": opNumber, "neq": opNumber}
	for i, k := range cond.keys {
		v := cond.kids[i]
		switch op := ops[k.text]; {
		case op != 0:
			num, ok := parseNumber(v.text)
			if !ok {
				return errAt(v.line, "%q is no number", v.text)
			}
			c.limits = append(c.limits, limit{op, num, k.text == "neq"})
		case k.text == "field":
			c.Field = cond.strings("field")
		case k.text == "learn" && c.Type == NewValue:
			var err error
			if c.learn, err = timespan(v.text); err != nil {
				return errAt(v.line, "learn %v", err)
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

// describe says the whole condition: a correlation that says otherwise is another one.
func (c *Correlation) describe() string {
	var b strings.Builder
	b.WriteString(c.Type.String() + " of " + strings.Join(c.Rules, ", "))
	if len(c.Field) > 0 {
		b.WriteString(" in " + strings.Join(c.Field, ", "))
	}
	if c.percentile >= 0 {
		b.WriteString(" at " + formatNumber(c.percentile) + " %")
	}
	if len(c.GroupBy) > 0 {
		b.WriteString(" by " + strings.Join(c.GroupBy, ", "))
	}
	for _, a := range c.aliases {
		b.WriteString(", " + a.name + " being " + a.field + " of " + a.rule)
	}
	b.WriteString(" within " + c.Timespan.String())
	if c.learn > 0 {
		b.WriteString(" learned for " + c.learn.String())
	}
	for _, l := range c.limits {
		sign := l.op.sign()
		if l.not {
			sign = "!="
		}
		b.WriteString(" " + sign + " " + formatNumber(l.num))
	}
	if c.text != "" {
		b.WriteString(" if " + c.text)
	}
	return b.String()
}

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
