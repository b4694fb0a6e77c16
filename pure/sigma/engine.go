package sigma

import (
	"strconv"
	"strings"
	"sync"
)

// Options of Compile. The zero value uses the built-in routes.
type Options struct {
	Routes *Routes
}

// Engine is a compiled set of rules. It may be used by many goroutines, each
// with its own Matcher.
type Engine struct {
	names  *nameTable
	rules  []*boundRule
	mu     sync.Mutex
	groups map[string]*group
}

// boundRule is a rule and the events it applies to.
type boundRule struct {
	rule   *Rule
	routes []route
}

// group is what applies to one kind of event.
type group struct {
	rules  []groupRule
	fields []rename
}

type groupRule struct {
	rule *Rule
	cond *expr
}

// Compile makes the rules ready for matching. A rule whose log source no
// route knows comes back as a problem.
func Compile(set *RuleSet, opt Options) (*Engine, []Problem) {
	routes := opt.Routes
	if routes == nil {
		routes = DefaultRoutes()
	}
	e := &Engine{names: newNameTable(), groups: map[string]*group{}}
	var problems []Problem
	for _, r := range set.Rules {
		b := &boundRule{rule: r, routes: routes.of(r.Logsource)}
		if len(b.routes) == 0 && strings.EqualFold(r.Logsource.Product, "windows") {
			problems = append(problems, Problem{File: r.File, Line: r.Line, Rule: r.ID, Title: r.Title,
				Reason: "no route knows the log source " + r.Logsource.String()})
			continue
		}
		r.cond.each(func(p *predicate) { e.names.add(p.field) })
		e.rules = append(e.rules, b)
	}
	sortProblems(problems)
	return e, problems
}

// NewEvent makes an event for this engine's matchers.
func (e *Engine) NewEvent() *Event { return newEvent(e.names) }

// Matcher matches events one after the other. It belongs to one goroutine.
type Matcher struct {
	eng  *Engine
	hits []*Rule
}

// NewMatcher makes a matcher.
func (e *Engine) NewMatcher() *Matcher { return &Matcher{eng: e} }

// Match returns the rules that match, in the order in which they were read.
// The slice is valid until the next call.
//
// An event with a Channel is a Windows event and goes by channel and EventID.
// Otherwise Sources decide; without any, the event is offered to every rule
// that is for no Windows channel.
func (m *Matcher) Match(ev *Event) []*Rule {
	m.hits = m.hits[:0]
	g := m.eng.groupOf(ev)
	ev.rename(g.fields)
	for _, r := range g.rules {
		if r.cond.eval(func(p *predicate) bool { return p.holds(ev) }) {
			m.hits = append(m.hits, r.rule)
		}
	}
	return m.hits
}

// rename adds the other names of fields.
func (e *Event) rename(fields []rename) {
	for _, r := range fields {
		if e.has(r.name) {
			continue
		}
		for i := range e.fields {
			if f := e.fields[i]; nameIs(e.nameOf(&f), r.from) {
				f.id, f.copied, f.next = e.names.lookup([]byte(r.name)), true, 0
				f.nameLen = 0
				if f.id == 0 {
					continue
				}
				e.push(f)
			}
		}
	}
}

func (e *Engine) groupOf(ev *Event) *group {
	channel, windows := ev.Get("Channel")
	windows = windows && len(ev.Sources) == 0
	key, id := "", 0
	if windows {
		channel = fold(channel)
		text, _ := ev.Get("EventID")
		id, _ = strconv.Atoi(text) //nolint:errcheck // no number: event 0, which no route names
		key = "w" + channel + "\x00" + strconv.Itoa(id)
	} else {
		var b strings.Builder
		for _, s := range ev.Sources {
			b.WriteString(s.Category + "\x00" + s.Product + "\x00" + s.Service + "\x01")
		}
		key = b.String()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.groups[key]
	if g == nil {
		g = e.build(windows, channel, id, ev.Sources)
		e.groups[key] = g
	}
	return g
}

func (e *Engine) build(windows bool, channel string, id int, sources []Logsource) *group {
	g := &group{}
	for _, b := range e.rules {
		var when []*expr
		if windows {
			when = b.windows(channel, id, g)
		} else if b.declared(sources) {
			when = append(when, andOf())
		}
		if len(when) == 0 {
			continue
		}
		g.rules = append(g.rules, groupRule{b.rule, andOf(orOf(when...), b.rule.cond)})
	}
	return g
}

// windows returns under which conditions a rule takes the event: none means never.
func (b *boundRule) windows(channel string, id int, g *group) []*expr {
	var when []*expr
	if len(b.routes) == 0 && b.rule.Logsource == (Logsource{}) {
		return []*expr{andOf()}
	}
	for i := range b.routes {
		r := &b.routes[i]
		if !r.takes(channel, id) {
			continue
		}
		g.fields = append(g.fields, r.fields...)
		if r.when == nil {
			return []*expr{andOf()}
		}
		when = append(when, r.when)
	}
	return when
}

// declared: the event says what it is, or does not and the rule is for no Windows channel.
func (b *boundRule) declared(sources []Logsource) bool {
	if len(sources) == 0 {
		return len(b.routes) == 0
	}
	for _, s := range sources {
		if b.rule.Logsource.fits(s) {
			return true
		}
	}
	return false
}
