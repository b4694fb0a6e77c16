package sigma

// Explanation says why a rule matches an event, or why not.
type Explanation struct {
	Rule    *Rule
	Matched bool
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
	x := Explanation{Rule: r}
	r.cond.walk("", func(search string, p *predicate) {
		c := Check{Search: search, Test: p.String(), Field: p.field, Holds: p.holds(e)}
		c.Value, c.Present = p.witness(e)
		for _, have := range x.Checks {
			if have == c {
				return
			}
		}
		x.Checks = append(x.Checks, c)
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

// Matches answers the rule by definition, without its log source. It is slow;
// the Engine is fast.
func (r *Rule) Matches(e *Event) bool {
	return r.cond.eval(func(p *predicate) bool { return p.holds(e) })
}
