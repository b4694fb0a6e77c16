package sigma

import (
	"bytes"
	"cmp"
	"encoding/binary"
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
		m.look(ev, g, &g.index[i])
	}
	if g.scan != nil {
		m.scan(ev, g)
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

// look finds candidates by the presence of a field, or by its whole value.
func (m *Matcher) look(ev *Event, g *group, x *fieldIndex) {
	h := ev.head(x.field)
	if h == 0 {
		return
	}
	m.add(g.lists[x.present])
	if x.exact == nil && x.high == 0 {
		return
	}
	for h != 0 {
		f := &ev.fields[h-1]
		h = f.next
		if f.null {
			continue
		}
		v := ev.folded(f)
		if f.high {
			m.add(g.lists[x.high])
		}
		if x.exact == nil {
			continue
		}
		m.add(g.lists[x.exact[string(v)]])
		if x.numbers && len(v) > 2 && v[1] == 'x' {
			if m.tmp = hexText(m.tmp[:0], v); m.tmp != nil {
				m.add(g.lists[x.exact[string(m.tmp)]])
			}
		}
	}
}

// scan finds candidates by literals: in one go over all values, which lie one
// after the other in the arena. What is found across two values is no harm:
// candidates are evaluated.
func (m *Matcher) scan(ev *Event, g *group) {
	s, v := g.scan, ev.arena
	if !isASCII(v) && foldsToASCII(v) {
		m.scanFolded(ev, g)
		return
	}
	for i := s.next(v, 0); i >= 0; i = s.next(v, i+1) {
		lits := s.find(binary.LittleEndian.Uint32(v[i:]) | lower4)
		for j := range lits {
			l := &lits[j]
			from := i - int(l.at)
			to := from + len(l.text)
			if from < 0 || to > len(v) || !foldEqual(v[from:to], l.text) {
				continue
			}
			if l.field == 0 || ev.stands(l, uint32(from), uint32(to)) {
				m.add(g.lists[l.pay])
			}
		}
	}
}

// stands says whether arena[from:to] lies in a value of the literal's field, at the right end.
func (e *Event) stands(l *scanLit, from, to uint32) bool {
	for h := e.head(l.field); h != 0; h = e.fields[h-1].next {
		f := &e.fields[h-1]
		if from >= f.off && to <= f.off+f.n &&
			(l.anch&anchorStart == 0 || from == f.off) && (l.anch&anchorEnd == 0 || to == f.off+f.n) {
			return true
		}
	}
	return false
}

// foldsToASCII: the Kelvin sign is a k when case does not count, and the dotted
// capital I an i. No other character beyond ASCII folds into it, and literals
// beyond ASCII are not scanned for.
func foldsToASCII(v []byte) bool {
	return bytes.Contains(v, []byte("\u212a")) || bytes.Contains(v, []byte("\u0130"))
}

// scanFolded is scan for events with such characters.
func (m *Matcher) scanFolded(ev *Event, g *group) {
	s := g.scan
	for k := range ev.fields {
		f := &ev.fields[k]
		if f.null {
			continue
		}
		v := ev.folded(f)
		for i := s.next(v, 0); i >= 0; i = s.next(v, i+1) {
			lits := s.find(binary.LittleEndian.Uint32(v[i:]) | lower4)
			for j := range lits {
				l := &lits[j]
				from := i - int(l.at)
				to := from + len(l.text)
				if from >= 0 && to <= len(v) && (l.field == 0 || l.field == f.id) && string(v[from:to]) == l.text &&
					(l.anch&anchorStart == 0 || from == 0) && (l.anch&anchorEnd == 0 || to == len(v)) {
					m.add(g.lists[l.pay])
				}
			}
		}
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
