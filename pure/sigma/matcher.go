package sigma

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Matcher matches events one after the other. It belongs to one goroutine.
type Matcher struct {
	eng   *Engine
	hits  []*Rule
	loud  []*Rule // without those that are only parts of correlations
	epoch uint32
	memo  []uint32 // by test: epoch<<1 | answer
	mark  []uint32 // by rule of the group: epoch in which it became a candidate
	cands []int32
	tmp   []byte
	dfas  []*dfa // by number of the regular expression
	cost  map[*Rule]*Cost
	now   func() time.Duration
	chanN []byte   // folded name of the last channel
	chanG *channel // and its groups
}

// NewMatcher makes a matcher.
func (e *Engine) NewMatcher() *Matcher { return &Matcher{eng: e} }

// Match returns the rules that match, in the order in which they were read.
// The slice is valid until the next call.
//
// An event with a Channel is a Windows event and goes by channel and EventID.
// Otherwise Sources decide; without any, the event is offered to every rule
// that is for no Windows channel.
//
// Rules that are only parts of correlations are not among them: see All.
func (m *Matcher) Match(ev *Event) []*Rule {
	m.hits = m.hits[:0]
	m.find(ev)
	m.loud = m.loud[:0]
	for _, r := range m.hits {
		if !r.Quiet {
			m.loud = append(m.loud, r)
		}
	}
	return m.loud
}

// All returns every rule that matched in the last Match, also those that are
// only parts of correlations. It is what a Correlator observes.
func (m *Matcher) All() []*Rule { return m.hits }

// find fills m.hits.
func (m *Matcher) find(ev *Event) {
	g := m.group(ev)
	if g == nil || len(g.rules) == 0 {
		return
	}
	m.begin(g)
	ev.rename(g.fields)
	m.cands = append(m.cands[:0], g.always...)
	for i := range g.index {
		m.look(ev, &g.index[i])
	}
	if m.cost != nil {
		m.profiled(ev, g)
	} else {
		for _, n := range m.cands {
			if m.run(ev, g, g.rules[n].code) {
				m.hits = append(m.hits, g.rules[n].rule)
			}
		}
	}
	if len(m.hits) > 1 {
		slices.SortFunc(m.hits, func(a, b *Rule) int { return a.seq - b.seq })
	}
}

// Cost is what one rule has cost a matcher.
type Cost struct {
	Rule    *Rule
	Asked   uint64 // events that showed a witness, so that the rule was evaluated
	Matched uint64
	Time    time.Duration // of evaluating it; tests shared with other rules count where they came first
}

// Profile makes the matcher keep what every rule costs. now is any clock that
// only goes forward; asking it is itself part of what is measured.
func (m *Matcher) Profile(now func() time.Duration) { m.cost, m.now = map[*Rule]*Cost{}, now }

// Costs returns the rules that cost most first.
func (m *Matcher) Costs() []Cost {
	var out []Cost
	for _, c := range m.cost {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Cost) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.Asked, a.Asked), a.Rule.seq-b.Rule.seq)
	})
	return out
}

func (m *Matcher) profiled(ev *Event, g *group) {
	for _, n := range m.cands {
		r := g.rules[n].rule
		c := m.cost[r]
		if c == nil {
			c = &Cost{Rule: r}
			m.cost[r] = c
		}
		start := m.now()
		hit := m.run(ev, g, g.rules[n].code)
		c.Time += m.now() - start
		c.Asked++
		if hit {
			c.Matched++
			m.hits = append(m.hits, r)
		}
	}
}

// begin forgets the answers for the last event.
func (m *Matcher) begin(g *group) {
	if n := len(g.tests); len(m.memo) < n {
		m.memo = make([]uint32, n)
	}
	if n := len(g.rules); len(m.mark) < n {
		m.mark = make([]uint32, n)
	}
	m.epoch++
	if m.epoch >= 1<<31 {
		clear(m.memo)
		clear(m.mark)
		m.epoch = 1
	}
}

// group finds what applies to the event.
func (m *Matcher) group(ev *Event) *group {
	if len(ev.Sources) > 0 {
		return m.sourceGroup(ev.Sources)
	}
	name := ev.channel(m.eng.providers)
	if name == nil {
		return m.eng.unknown
	}
	if m.chanG == nil || string(name) != string(m.chanN) {
		m.chanN = append(m.chanN[:0], name...)
		m.chanG = m.eng.channels[string(name)]
		if m.chanG == nil {
			m.chanG = m.eng.other
		}
	}
	id := ev.eventID()
	if id < 0 {
		return m.chanG.odd
	}
	if g := m.chanG.byID[id]; g != nil {
		return g
	}
	return m.chanG.rest
}

// channel returns the folded name of the Windows channel, nil when it is no
// Windows event. Without a channel the provider may tell.
func (e *Event) channel(providers map[string][]byte) []byte {
	if h := e.head(idChannel); h != 0 {
		return e.folded(&e.fields[h-1])
	}
	if h := e.head(idProvider); h != 0 {
		return providers[string(e.folded(&e.fields[h-1]))]
	}
	return nil
}

// eventID is the number of a Windows event, -1 when there is not exactly one.
func (e *Event) eventID() int {
	h := e.head(idEventID)
	if h == 0 || e.fields[h-1].next != 0 {
		return -1
	}
	v := e.value(&e.fields[h-1])
	if len(v) == 0 || len(v) > 9 || (v[0] == '0' && len(v) > 1) {
		return -1
	}
	n := 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// sourceGroup finds the group of an event that is no Windows event, and builds
// it when it is the first of its kind. Services that no rule names make no
// difference, so the number of groups stays small whatever logs claim to be.
func (m *Matcher) sourceGroup(sources []Logsource) *group {
	e, key := m.eng, m.tmp[:0]
	for _, s := range sources {
		for _, part := range [...]string{s.Category, s.Product, s.Service} {
			if part = strings.ToLower(part); e.sourceNames[part] {
				key = append(key, part...)
			}
			key = append(key, 0)
		}
	}
	m.tmp = key
	e.mu.RLock()
	g := e.groups[string(key)]
	e.mu.RUnlock()
	if g != nil {
		return g
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if g = e.groups[string(key)]; g == nil {
		sources = slices.Clone(sources)
		g = e.build(nil, func(b *routedRule) binding { return b.declared(sources) })
		e.groups[string(key)] = g
	}
	return g
}

// look finds candidates by one field.
func (m *Matcher) look(ev *Event, x *fieldIndex) {
	if x.field == 0 {
		for i := range ev.fields {
			if f := &ev.fields[i]; !f.null {
				m.see(ev, x, f)
			}
		}
		return
	}
	h := ev.head(x.field)
	if h != 0 && x.present != 0 {
		m.add(x.lists[x.present])
	}
	for h != 0 {
		f := &ev.fields[h-1]
		if !f.null {
			m.see(ev, x, f)
		}
		h = f.next
	}
}

// see looks at one value.
func (m *Matcher) see(ev *Event, x *fieldIndex, f *field) {
	v := ev.folded(f)
	if f.high && x.high != 0 {
		m.add(x.lists[x.high])
	}
	if x.exact != nil {
		if list := x.exact[string(v)]; list != 0 {
			m.add(x.lists[list])
		}
		if x.numbers && len(v) > 2 && v[1] == 'x' {
			if m.tmp = hexText(m.tmp[:0], v); m.tmp != nil {
				if list := x.exact[string(m.tmp)]; list != 0 {
					m.add(x.lists[list])
				}
			}
		}
	}
	if x.scan != nil {
		x.scan.scan(v, func(list int32) { m.add(x.lists[list]) })
	}
}

func (m *Matcher) add(rules []int32) {
	for _, n := range rules {
		if m.mark[n] != m.epoch {
			m.mark[n] = m.epoch
			m.cands = append(m.cands, n)
		}
	}
}

// run carries out the code of a rule.
func (m *Matcher) run(ev *Event, g *group, pc int32) bool {
	code, memo := g.code, m.memo
	for pc >= 0 {
		in := &code[pc]
		known := memo[in.test]
		if known>>1 != m.epoch {
			known = m.epoch << 1
			if g.tests[in.test].holds(m, ev) {
				known |= 1
			}
			memo[in.test] = known
		}
		if known&1 != 0 {
			pc = in.onTrue
		} else {
			pc = in.onElse
		}
	}
	return pc == endTrue
}

// automaton returns this goroutine's automaton for a regular expression.
func (m *Matcher) automaton(t *test) *dfa {
	for int(t.dfa) >= len(m.dfas) {
		m.dfas = append(m.dfas, nil)
	}
	if m.dfas[t.dfa] == nil {
		m.dfas[t.dfa] = newDFA(t.prog)
	}
	return m.dfas[t.dfa]
}

// rename adds the other names of fields.
func (e *Event) rename(fields []renaming) {
	for _, r := range fields {
		if e.head(r.name) != 0 {
			continue
		}
		for h := e.head(r.from); h != 0; {
			f := e.fields[h-1]
			h = f.next
			e.push(field{id: r.name, off: f.off, n: f.n, low: f.low, lowLen: f.lowLen, null: f.null, copied: true})
		}
	}
}
