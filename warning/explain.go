package warning

import (
	"context"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/pure/sigma"
)

// Explanation says why a rule found an event, or why not.
type Explanation struct {
	Rule      string        `json:"rule"`
	Title     string        `json:"title"`
	Matched   bool          `json:"matched"`
	Source    string        `json:"source,omitempty"` // why the rule does not look at such events at all
	Condition string        `json:"condition"`
	Checks    []sigma.Check `json:"checks,omitempty"`
	Exception string        `json:"exception,omitempty"` // in force, and keeps the hit from raising a signal
	Quiet     bool          `json:"quiet,omitempty"`     // only a part of correlations
	// Parts are the rules that a correlation counts: one event alone never makes it true.
	Parts []Explanation `json:"parts,omitempty"`
}

// Explain answers for one event as a line of a log: JSON or text. exceptions
// are those of the room.
func (r *Rules) Explain(name, line string, now time.Time, zone *time.Location, exceptions []Exception) (Explanation, error) {
	rule, ok := r.Find(name)
	if !ok {
		return Explanation{}, fmt.Errorf("rule %q is not known", name)
	}
	if zone == nil {
		zone = time.UTC
	}
	set, err := compileExceptions(exceptions)
	if err != nil {
		return Explanation{}, err
	}
	m, ev := r.Engine.NewMatcher(), r.Engine.NewEvent()
	decode(ev, []byte(line), now)
	Enrich(ev, zone)
	_ = m.Match(ev) // gives the event the other names of its fields
	return explain(m, rule, ev, func(rule *sigma.Rule) string {
		id, _ := set.except(now, rule, ev)
		return id
	}, 0), nil
}

// Explain answers with the rules, the zone and the exceptions of the room.
func (in *Intake) Explain(ctx context.Context, q db.Querier, name, line string) (Explanation, error) {
	list, err := Exceptions(ctx, q)
	if err != nil {
		return Explanation{}, err
	}
	return in.opt.Rules.Explain(name, line, in.opt.Now(), in.opt.Zone, list)
}

const maxParts = 8 // deep: correlations of correlations

func explain(m *sigma.Matcher, rule *sigma.Rule, ev *sigma.Event, except func(*sigma.Rule) string, depth int) Explanation {
	out := Explanation{Rule: ruleID(rule), Title: rule.Title, Condition: rule.Condition(), Exception: except(rule), Quiet: rule.Quiet}
	if rule.Correlation == nil {
		x := m.Explain(rule, ev)
		out.Matched, out.Source, out.Checks = x.Matched, x.Source, x.Checks
		return out
	}
	for _, part := range rule.Correlation.Members() {
		if depth < maxParts {
			out.Parts = append(out.Parts, explain(m, part, ev, except, depth+1))
		}
	}
	return out
}
