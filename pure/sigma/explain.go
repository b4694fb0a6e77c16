package sigma

import (
	"fmt"
	"slices"
)

// Explanation says why a rule matches an event, or why not.
type Explanation struct {
	Rule    *Rule
	Matched bool
	Applies bool   // the event is of the rule's log source
	Source  string // why it is not
	Checks  []Check
}

// Check is one test of a rule on one event.
type Check struct {
	Search  string // search identifier it belongs to
	Test    string // for people, as "Image is \"*\\cmd.exe\""
	Field   string // "" for keywords
	Value   string // the value that decided; empty when the field is absent
	Present bool   // the event has the field
	Holds   bool
}

// Explain evaluates every test of the rule, also those that no longer matter.
func (r *Rule) Explain(e *Event) Explanation {
	x := Explanation{Rule: r, Applies: true}
	r.cond.walk("", func(search string, p *predicate) {
		c := Check{Search: search, Test: p.String(), Field: p.field, Holds: p.holds(e)}
		c.Value, c.Present = p.witness(e)
		if !slices.Contains(x.Checks, c) {
			x.Checks = append(x.Checks, c)
		}
	})
	x.Matched = r.cond.eval(func(p *predicate) bool { return p.holds(e) })
	return x
}

func (x *expr) walk(search string, f func(string, *predicate)) {
	if x.name != "" {
		search = x.name
	}
	if x.kind == exprPred {
		f(search, x.pred)
	}
	for _, k := range x.kids {
		k.walk(search, f)
	}
}

// witness returns the value that satisfies the test, else the first value of the field.
func (p *predicate) witness(e *Event) (value string, present bool) {
	for i := range e.fields {
		f := &e.fields[i]
		if p.field != "" && !nameIs(e.nameOf(f), p.field) {
			continue
		}
		s := string(e.value(f))
		if !f.null && p.test(s) {
			return s, true
		}
		if p.field != "" && !present {
			value, present = s, true
		}
	}
	return value, present
}

// Applies says whether the event is of the rule's log source.
func (m *Matcher) Applies(r *Rule, ev *Event) bool { return m.eng.applies(r, ev) }

// Matches answers the rule by definition, without its log source. It is slow;
// the Engine is fast.
func (r *Rule) Matches(e *Event) bool {
	return r.cond.eval(func(p *predicate) bool { return p.holds(e) })
}

// Explain says why a rule of the engine matches an event or not, its log
// source included.
func (m *Matcher) Explain(r *Rule, ev *Event) Explanation {
	g := m.group(ev)
	ev.rename(g.fields)
	x := r.Explain(ev)
	if x.Applies = m.eng.applies(r, ev); !x.Applies {
		x.Matched = false
		channel, _ := ev.Get("Channel")
		x.Source = fmt.Sprintf("the rule is for %s; the event is of channel %q, number %d", r.Logsource, channel, ev.eventID())
	}
	return x
}

// applies answers by definition whether the event is of the rule's log source.
func (e *Engine) applies(r *Rule, ev *Event) bool {
	b := e.byRule[r]
	if b == nil {
		return false
	}
	var how binding
	if channel := ev.channel(e.providers); channel != nil && len(ev.Sources) == 0 {
		how = b.windows(string(channel), ev.eventID())
	} else {
		how = b.declared(ev.Sources)
	}
	return len(how.when) > 0 && orOf(how.when...).eval(func(p *predicate) bool { return p.holds(ev) })
}
