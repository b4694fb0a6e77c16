package sigma

import (
	"bytes"
	"slices"
	"strings"
)

// testKind is how a compiled test is carried out.
type testKind uint8

const (
	testExact testKind = iota + 1
	testPrefix
	testSuffix
	testContains
	testAny // any value that is not null
	testAnyOf
	testHigh // only as a sight: not only ASCII
	testWild
	testSlow // number, network, comparison, time, odd regular expressions
	testRegex
	testExists
	testNull
	testRef
)

// test is a predicate made ready for one engine. Tests are shared by all rules
// that make them.
type test struct {
	kind  testKind
	cased bool
	field int32 // 0: all values of the event
	ref   int32 // testRef: the other field
	lit   []byte
	set   *litSet // testAnyOf
	p     *predicate
	prog  *regexProg // a regular expression that runs as an automaton
	dfa   int32      // its number among those
}

// shapeOf says which of the cheap tests a pattern is, and its literal.
func (p pattern) shapeOf() (testKind, string) {
	switch n := len(p); {
	case n == 0:
		return testExact, ""
	case n == 1 && p[0].kind == partText:
		return testExact, p[0].text
	case n == 1 && p[0].kind == partMany:
		return testAny, ""
	case n == 2 && p[0].kind == partMany && p[1].kind == partText:
		return testSuffix, p[1].text
	case n == 2 && p[0].kind == partText && p[1].kind == partMany:
		return testPrefix, p[0].text
	case n == 3 && p[0].kind == partMany && p[1].kind == partText && p[2].kind == partMany:
		return testContains, p[1].text
	}
	return testWild, ""
}

func (p *predicate) compile(names *nameTable) test {
	t := test{field: names.add(p.field), cased: p.cased, p: p, kind: testSlow}
	switch p.op {
	case opPattern:
		kind, lit := p.pat.shapeOf()
		t.kind, t.lit = kind, []byte(lit)
	case opExists:
		t.kind = testExists
	case opNull:
		t.kind = testNull
	case opFieldRef:
		t.kind, t.ref = testRef, names.add(p.text)
	case opRegex:
		if t.prog = compileRegex(p.re.String()); t.prog != nil {
			t.kind = testRegex
		}
	case opNumber, opCIDR, opLess, opLessEq, opGreater, opGreaterEq, opTime:
	}
	return t
}

// holds carries the test out.
func (t *test) holds(m *Matcher, e *Event) bool {
	switch t.kind {
	case testExists:
		return (e.head(t.field) != 0) == t.p.want
	case testNull:
		for i := e.head(t.field); i != 0; i = e.fields[i-1].next {
			if !e.fields[i-1].null {
				return false
			}
		}
		return true
	case testExact, testPrefix, testSuffix, testContains, testAny, testAnyOf, testHigh, testWild, testSlow, testRegex, testRef:
	}
	if t.field == 0 {
		for i := range e.fields {
			if f := &e.fields[i]; !f.null && t.one(m, e, f) {
				return true
			}
		}
		return false
	}
	for i := e.head(t.field); i != 0; {
		f := &e.fields[i-1]
		if !f.null && t.one(m, e, f) {
			return true
		}
		i = f.next
	}
	return false
}

// one tests a single value that is not null.
func (t *test) one(m *Matcher, e *Event, f *field) bool {
	var v []byte
	if t.cased || t.kind == testSlow {
		v = e.value(f)
	} else {
		v = e.folded(f)
	}
	switch t.kind {
	case testExact:
		return bytes.Equal(v, t.lit)
	case testPrefix:
		return bytes.HasPrefix(v, t.lit)
	case testSuffix:
		return bytes.HasSuffix(v, t.lit)
	case testContains:
		return bytes.Contains(v, t.lit)
	case testAny:
		return true
	case testAnyOf:
		return t.set.holds(v)
	case testWild:
		return t.p.pat.match(view(v))
	case testRegex:
		raw := e.value(f)
		return t.prog.couldMatch(raw, v) && m.automaton(t).match(raw)
	case testSlow:
		if t.p.op == opRegex {
			return t.p.re.Match(v)
		}
		return t.p.test(view(v))
	case testRef:
		for i := e.head(t.ref); i != 0; i = e.fields[i-1].next {
			g := &e.fields[i-1]
			if g.null {
				continue
			}
			other := e.value(g)
			if !t.cased {
				other = e.folded(g)
				v = e.folded(f) // folding the other may have moved it
			}
			if t.p.fitsFolded(view(v), view(other)) {
				return true
			}
		}
		return false
	case testExists, testNull, testHigh:
	}
	return false
}

// litSet answers many literals of one kind at once.
type litSet struct {
	kind  testKind
	exact map[string]struct{}
	lits  []string
	scan  *scanner // contains: when there are enough to be worth a table
}

func newLitSet(kind testKind, lits []string, counts gramCounts) *litSet {
	s := &litSet{kind: kind, lits: lits}
	switch {
	case kind == testExact && len(lits) > 4:
		s.exact = make(map[string]struct{}, len(lits))
		for _, l := range lits {
			s.exact[l] = struct{}{}
		}
	case kind == testContains && len(lits) > 5:
		var long, short []string
		for _, l := range lits {
			if len(l) >= gramLen {
				long = append(long, l)
			} else {
				short = append(short, l)
			}
		}
		b := newScanBuilder(counts)
		for _, l := range long {
			b.add(l, anchorNone, 0, 0)
		}
		s.scan, s.lits = b.build(), short
	}
	return s
}

func (s *litSet) holds(v []byte) bool {
	switch s.kind {
	case testExact:
		if s.exact != nil {
			_, ok := s.exact[string(v)]
			return ok
		}
		return slices.Contains(s.lits, view(v))
	case testPrefix:
		for _, l := range s.lits {
			if len(v) >= len(l) && string(v[:len(l)]) == l {
				return true
			}
		}
	case testSuffix:
		for _, l := range s.lits {
			if len(v) >= len(l) && string(v[len(v)-len(l):]) == l {
				return true
			}
		}
	case testContains:
		if s.scan != nil && s.scan.any(v) {
			return true
		}
		for _, l := range s.lits {
			if strings.Contains(view(v), l) {
				return true
			}
		}
	case testAny, testAnyOf, testHigh, testWild, testSlow, testRegex, testExists, testNull, testRef:
	}
	return false
}
