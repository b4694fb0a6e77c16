package sigma

import (
	"regexp/syntax"
	"strconv"
	"strings"
)

// A witness of a rule is a set of conditions of which at least one holds
// whenever the rule matches. Only events that show a witness are candidates.

// sight is one such condition: a literal that the index of a field can see.
type sight struct {
	field int32
	kind  testKind // testExact, testContains (with anchor), testHigh, or testAny: the field is there
	lit   string
	anch  anchor
}

// witness is a set of sights and how often one is expected to hold.
type witness struct {
	sights []sight
	odds   float64
}

// never holds: a rule without witness is asked for every event.
const noWitness = 1.0

// witnessOf chooses: for and the best child, for or all children.
func (c *compiler) witnessOf(f *flat) (witness, bool) {
	switch f.kind {
	case exprConst:
		return witness{}, !f.val
	case exprPred:
		if f.neg {
			return witness{}, false
		}
		s := c.sight(f.test)
		if !s.ok {
			return witness{}, false
		}
		return witness{[]sight{s.sight}, c.oddsHere(s)}, true
	case exprAnd:
		best, found := witness{odds: noWitness + 1}, false
		for _, k := range f.kids {
			if w, ok := c.witnessOf(k); ok && w.odds < best.odds {
				best, found = w, true
			}
		}
		return best, found
	case exprOr:
		var sum witness
		for _, k := range f.kids {
			w, ok := c.witnessOf(k)
			if !ok {
				return witness{}, false
			}
			sum.sights = append(sum.sights, w.sights...)
			sum.odds += w.odds
		}
		return sum, true
	case exprNot:
	}
	return witness{}, false
}

// sightOf says what can be seen when a test holds, and how often it is guessed to be.
func (c *compiler) sightOf(id int32) (sight, float64, bool) {
	t := &c.tests[id]
	one := func(kind testKind, lit string, anch anchor) (sight, float64, bool) {
		switch {
		case kind == testContains && hasHigh(lit):
			return sight{field: t.field, kind: testHigh}, 0.01, t.field != 0
		case t.field == 0 && kind == testExact:
			kind = testContains
			if hasHigh(lit) {
				return sight{}, 1, false
			}
		}
		if len(lit) < gramLen && kind != testExact {
			return c.presence(t)
		}
		s := sight{t.field, kind, lit, anch}
		return s, c.odds(s), true
	}
	switch t.kind {
	case testExact:
		return one(testExact, fold(string(t.lit)), 0)
	case testPrefix:
		return one(testContains, fold(string(t.lit)), anchorStart)
	case testSuffix:
		return one(testContains, fold(string(t.lit)), anchorEnd)
	case testContains:
		return one(testContains, fold(string(t.lit)), anchorNone)
	case testWild:
		lit, anch := c.rarestPart(t.p.pat)
		return one(testContains, lit, anch)
	case testSlow:
		if t.p.op == opNumber {
			return one(testExact, t.p.text, 0)
		}
		return c.presence(t)
	case testRegex:
		if len(t.prog.need) > 0 {
			return one(testContains, string(t.prog.need[0]), anchorNone)
		}
		return c.presence(t)
	case testAny, testRef:
		return c.presence(t)
	case testExists:
		if t.p.want {
			return c.presence(t)
		}
	case testNull, testAnyOf, testHigh:
	}
	return sight{}, 1, false
}

func hasHigh(lit string) bool {
	for i := range len(lit) {
		if lit[i] >= 0x80 {
			return true
		}
	}
	return false
}

// presence: the test can only hold where the field is.
func (c *compiler) presence(t *test) (sight, float64, bool) {
	return sight{field: t.field, kind: testAny}, 0.9, t.field != 0
}

// odds guesses how often a literal is seen: the longer and the less used by
// other rules, the rarer.
func (c *compiler) odds(s sight) float64 {
	n := len(s.lit)
	p := 0.0005
	switch {
	case n < 5:
		p = 0.02
	case n < 6:
		p = 0.01
	case n < 8:
		p = 0.005
	case n < 12:
		p = 0.002
	}
	if s.kind == testExact {
		p /= 4
	}
	if s.field == 0 {
		p *= 3
	}
	if u := c.uses[s.lit]; u != nil {
		p *= 1 + 0.5*float64(u.rules)
	}
	return p
}

// oddsHere adds what the group knows: what many of its rules ask for is most
// likely what all its events have.
func (c *compiler) oddsHere(s *seen) float64 {
	p := s.odds
	if n := c.group[s.num]; n >= 4 {
		p = max(p, float64(n)/float64(max(c.groupSize, 10)))
	}
	return p
}

// rarestPart takes the longest literal of a wildcard pattern.
func (c *compiler) rarestPart(p pattern) (string, anchor) {
	best, anch := "", anchorNone
	for i, x := range p {
		if x.kind != partText || len(x.text) <= len(best) {
			continue
		}
		best, anch = x.text, anchorNone
		if i == 0 {
			anch |= anchorStart
		}
		if i == len(p)-1 {
			anch |= anchorEnd
		}
	}
	return fold(best), anch
}

// required collects literals that every match must contain. Only ASCII: other
// characters fold differently in regular expressions.
func required(re *syntax.Regexp, depth int) []string {
	if depth > maxDepth {
		return nil
	}
	//exhaustive:ignore
	switch re.Op { // only these contain text for certain
	case syntax.OpLiteral:
		var b strings.Builder
		var out []string
		for _, r := range re.Rune {
			if r < 0x80 && r != 'k' && r != 'K' && r != 's' && r != 'S' || r < 0x80 && re.Flags&syntax.FoldCase == 0 {
				b.WriteRune(r)
				continue
			}
			out = append(out, fold(b.String()))
			b.Reset()
		}
		return append(out, fold(b.String()))
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0], depth+1)
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0], depth+1)
		}
	case syntax.OpConcat:
		var out []string
		for _, s := range re.Sub {
			out = append(out, required(s, depth+1)...)
		}
		return out
	default:
	}
	return nil
}

// hexText returns the decimal text of a value like 0x1f0, since a number in a
// rule equals it too.
func hexText(dst, v []byte) []byte {
	if len(v) < 3 || len(v) > 18 || v[0] != '0' || v[1]|0x20 != 'x' {
		return nil
	}
	u, err := strconv.ParseUint(view(v[2:]), 16, 64)
	if err != nil {
		return nil
	}
	return strconv.AppendUint(dst, u, 10)
}
