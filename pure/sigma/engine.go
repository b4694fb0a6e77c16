package sigma

import (
	"slices"
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
	names    *nameTable
	channels map[string]*channel // by folded name
	other    *channel            // every channel no rule names

	correlations []*Rule
	usedBy       map[*Rule][]int // correlations that refer to a rule
	carry        [][]string      // by correlation: fields that those above it need
	families     []family        // by correlation: what cannot be divided over workers
	corrByName   map[string]int  // CorrelationName -> number

	routed      []*routedRule
	byRule      map[*Rule]*routedRule
	mu          sync.RWMutex
	unknown     *group            // events that do not say what they are
	providers   map[string][]byte // folded provider -> folded channel
	sourceNames map[string]bool   // categories, products and services that rules name
	groups      map[string]*group // of events with declared sources
	comp        *compiler         // builds those; under mu
}

// channel holds the groups of one Windows channel.
type channel struct {
	byID map[int]*group
	rest *group // event numbers that no rule names
	odd  *group // EventID is absent, no number, or several
}

// routedRule is a rule and the routes it takes.
type routedRule struct {
	rule   *Rule
	routes []route
}

// compiler holds what is shared while groups are built.
type compiler struct {
	names *nameTable
	tests []test
	byKey map[string]int32
	byPtr map[*predicate]int32
	sets  map[setKey]int32
	code  []instr
	uses  map[string]*literalUse
	grams gramCounts

	regexes int32

	sights    []seen  // by test, what sightOf said
	group     []int32 // by number of the sight: rules of the group that ask for it
	stamp     []int32 // by number of the sight: the rule that was counted last
	numbers   map[sight]int32
	groupSize int
}

// seen is a remembered answer of sightOf.
type seen struct {
	sight
	num  int32   // of the sight, from 1
	odds float64 // without regard to the group; 0: not asked yet
	ok   bool
}

// test returns the number of a predicate; equal predicates have the same.
func (c *compiler) test(p *predicate) int32 {
	if id, ok := c.byPtr[p]; ok {
		return id
	}
	key := p.key()
	id, ok := c.byKey[key]
	if !ok {
		id = int32(len(c.tests))
		t := p.compile(c.names)
		if t.kind == testRegex {
			t.dfa = c.regexes
			c.regexes++
		}
		c.tests = append(c.tests, t)
		c.byKey[key] = id
	}
	c.byPtr[p] = id
	return id
}

// Compile makes the rules ready for matching. A rule whose log source no
// route knows comes back as a problem.
func Compile(set *RuleSet, opt Options) (*Engine, []Problem) {
	routes := opt.Routes
	if routes == nil {
		routes = DefaultRoutes()
	}
	c := &compiler{names: newNameTable(), byKey: map[string]int32{}, byPtr: map[*predicate]int32{}, sets: map[setKey]int32{}, uses: map[string]*literalUse{}, grams: gramCounts{}, numbers: map[sight]int32{}}
	e := &Engine{names: c.names, channels: map[string]*channel{}, groups: map[string]*group{}, comp: c, byRule: map[*Rule]*routedRule{}, providers: routes.providers, sourceNames: map[string]bool{}}
	var problems []Problem
	for _, r := range set.Rules {
		b := &routedRule{rule: r, routes: routes.of(r.Logsource)}
		if len(b.routes) == 0 && strings.EqualFold(r.Logsource.Product, "windows") {
			problems = append(problems, Problem{
				File: r.File, Line: r.Line, Rule: r.ID, Title: r.Title,
				Reason: "no route knows the log source " + r.Logsource.String(),
			})
			continue
		}
		c.count(r.cond, int32(r.seq+1))
		for i := range b.routes {
			c.nameRoute(&b.routes[i])
		}
		e.routed = append(e.routed, b)
		e.byRule[r] = b
		for _, n := range [...]string{r.Logsource.Category, r.Logsource.Product, r.Logsource.Service} {
			e.sourceNames[strings.ToLower(n)] = true
		}
	}
	e.buildWindows()
	e.unknown = e.build(nil, func(b *routedRule) binding { return b.declared(nil) })
	// A rule that only says what must not be there would match every event
	// whose source is not known. It applies where the source is.
	e.unknown.always = nil
	e.prepareCorrelations(set)
	sortProblems(problems)
	return e, problems
}

// count notes which literals and grams the rules use, and names the fields.
func (c *compiler) count(x *expr, rule int32) {
	x.each(func(p *predicate) {
		before := len(c.tests)
		c.test(p)
		first := len(c.tests) > before
		for i := range p.pat {
			if p.pat[i].kind != partText {
				continue
			}
			lit := p.pat[i].text
			if p.cased {
				lit = fold(lit)
			}
			if first {
				c.grams.add(lit)
			}
			u := c.uses[lit]
			if u == nil {
				u = &literalUse{}
				c.uses[lit] = u
			}
			if u.last != rule {
				u.last = rule
				u.rules++
			}
		}
	})
}

// literalUse counts the rules that use a literal.
type literalUse struct{ rules, last int32 }

// nameRoute gives the fields of a route their numbers: later the table is read only.
func (c *compiler) nameRoute(r *route) {
	if r.when != nil {
		r.when.each(func(p *predicate) { c.test(p) })
	}
	for _, f := range r.fields {
		c.names.add(f.name)
		c.names.add(f.from)
	}
}

// NewEvent makes an event for this engine's matchers.
func (e *Engine) NewEvent() *Event { return newEvent(e.names) }

// buildWindows builds a group for every channel and event number that rules
// or routes tell apart, and one for all other numbers of the channel.
func (e *Engine) buildWindows() {
	ids := map[string]map[int]bool{}
	for _, b := range e.routed {
		for i := range b.routes {
			for _, ch := range b.routes[i].channels {
				if ids[ch] == nil {
					ids[ch] = map[int]bool{}
				}
				for _, id := range b.routes[i].events {
					ids[ch][id] = true
				}
				if len(b.routes[i].events) == 0 {
					eventIDs(b.rule.cond, ids[ch])
				}
			}
		}
	}
	for name, numbers := range ids {
		ch := &channel{byID: map[int]*group{}}
		for id := range numbers {
			ch.byID[id] = e.windowsGroup(name, id)
		}
		ch.rest, ch.odd = e.windowsGroup(name, otherID), e.windowsGroup(name, oddID)
		e.channels[name] = ch
	}
	e.other = &channel{rest: e.windowsGroup("", otherID), odd: e.windowsGroup("", oddID)}
}

// eventIDs collects the numbers a condition compares EventID with.
func eventIDs(x *expr, into map[int]bool) {
	x.each(func(p *predicate) {
		if p.field != "EventID" {
			return
		}
		text := p.text
		if p.op == opPattern {
			text, _ = p.pat.plain()
		}
		if id, err := strconv.Atoi(text); err == nil && id >= 0 {
			into[id] = true
		}
	})
}

const (
	otherID = -1 // a number that no rule names
	oddID   = -2 // not one number
)

// windowsGroup builds the group of a channel and number.
func (e *Engine) windowsGroup(name string, id int) *group {
	known := func(p *predicate) int {
		switch {
		case p.field == "EventID" && id >= 0 && p.op != opFieldRef:
			return truth(p.onlyValue(strconv.Itoa(id)))
		case p.field == "EventID" && id == otherID && name != "" && p.namesNumber():
			return 0
		case p.field == "Channel" && name != "" && p.op != opFieldRef && !p.cased && p.op != opRegex:
			return truth(p.onlyValue(name))
		}
		return -1
	}
	return e.build(known, func(b *routedRule) binding { return b.windows(name, id) })
}

// namesNumber: the test can only hold for one number, which has a group of its own.
func (p *predicate) namesNumber() bool {
	text := p.text
	if p.op == opPattern {
		text, _ = p.pat.plain()
	}
	id, err := strconv.Atoi(text)
	return (p.op == opNumber || p.op == opPattern) && err == nil && id >= 0
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// onlyValue answers a predicate for a field that is there with one value.
func (p *predicate) onlyValue(v string) bool {
	switch p.op {
	case opExists:
		return p.want
	case opNull:
		return false
	case opPattern, opNumber, opRegex, opCIDR, opFieldRef, opLess, opLessEq, opGreater, opGreaterEq, opTime:
	}
	return p.test(v)
}

// binding says under which conditions a rule takes the events of a group, and
// which fields have another name there. No condition means never.
type binding struct {
	when   []*expr
	fields []rename
}

func always() binding { return binding{when: []*expr{andOf()}} }

// build makes a group of the rules that bind takes.
func (e *Engine) build(known func(*predicate) int, bind func(*routedRule) binding) *group {
	c := e.comp
	if known == nil {
		known = func(*predicate) int { return -1 }
	}
	g := &group{}
	c.code = nil
	var conds []*flat
	for _, b := range e.routed {
		how := bind(b)
		if len(how.when) == 0 {
			continue
		}
		f := c.flatten(andOf(orOf(how.when...), b.rule.cond), false, known)
		if f.kind == exprConst && !f.val {
			continue
		}
		for _, r := range how.fields {
			g.rename(renaming{c.names.add(r.name), c.names.add(r.from)})
		}
		g.rules = append(g.rules, bound{b.rule, c.generate(c.merge(f), endTrue, endFalse)})
		conds = append(conds, f)
	}
	c.index(g, conds)
	g.code, g.tests = c.code, c.tests
	return g
}

// index chooses the witness of every rule.
func (c *compiler) index(g *group, conds []*flat) {
	clear(c.group)
	clear(c.stamp)
	c.groupSize = len(conds)
	for n, f := range conds {
		c.countSights(f, int32(n+1))
	}
	idx := newIndexBuilder(c, g)
	for n, f := range conds {
		w, ok := c.witnessOf(f)
		if !ok {
			g.always = append(g.always, int32(n))
			continue
		}
		for _, s := range w.sights {
			idx.add(s, int32(n))
		}
	}
	g.scan = idx.scan.build()
}

// countSights notes which sights a rule asks for.
func (c *compiler) countSights(f *flat, rule int32) {
	if f.kind == exprPred && !f.neg {
		if s := c.sight(f.test); s.ok {
			for int(s.num) >= len(c.group) {
				c.group, c.stamp = append(c.group, 0), append(c.stamp, 0)
			}
			if c.stamp[s.num] != rule {
				c.stamp[s.num] = rule
				c.group[s.num]++
			}
		}
	}
	for _, k := range f.kids {
		c.countSights(k, rule)
	}
}

// sight is sightOf, remembered.
func (c *compiler) sight(test int32) *seen {
	for int(test) >= len(c.sights) {
		c.sights = append(c.sights, seen{})
	}
	s := &c.sights[test]
	if s.odds == 0 {
		s.sight, s.odds, s.ok = c.sightOf(test)
		if s.ok {
			if s.num = c.numbers[s.sight]; s.num == 0 {
				s.num = int32(len(c.numbers) + 1)
				c.numbers[s.sight] = s.num
			}
		}
	}
	return s
}

func (g *group) rename(r renaming) {
	if !slices.Contains(g.fields, r) {
		g.fields = append(g.fields, r)
	}
}

// windows binds a rule to a channel and event number.
func (b *routedRule) windows(channel string, id int) binding {
	if b.rule.Logsource == (Logsource{}) {
		return always()
	}
	var out binding
	unconditional := false
	for i := range b.routes {
		r := &b.routes[i]
		if !r.takes(channel, id) {
			continue
		}
		out.fields = append(out.fields, r.fields...)
		if r.when == nil {
			unconditional = true
			continue
		}
		out.when = append(out.when, r.when)
	}
	if unconditional || b.rule.Logsource.anyOf("windows") {
		out.when = always().when
	}
	return out
}

// declared binds a rule to events that say what they are; those that do not
// are offered to the rules for no Windows channel.
func (b *routedRule) declared(sources []Logsource) binding {
	if len(sources) == 0 {
		if len(b.routes) == 0 {
			return always()
		}
		return binding{}
	}
	if slices.ContainsFunc(sources, b.rule.Logsource.fits) {
		return always()
	}
	return binding{}
}
