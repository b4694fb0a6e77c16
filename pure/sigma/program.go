package sigma

import (
	"slices"
	"sort"
	"strings"
)

// A rule's condition becomes code that jumps: each instruction carries out one
// test and says where to go. Tests are known by number and remembered for the
// event, so that rules that ask the same share the answer.

type instr struct {
	test   int32
	onTrue int32 // next instruction, or one of the ends
	onElse int32
}

const (
	endTrue  = -1
	endFalse = -2
)

// flat is a condition in negation normal form: not stands at tests only.
type flat struct {
	kind exprKind // exprAnd, exprOr, exprPred, exprConst
	kids []*flat
	test int32
	neg  bool // exprPred
	val  bool // exprConst
}

// flatten pushes not down and replaces what the group already knows.
// known returns 1 or 0 for a predicate whose answer is fixed, else -1.
func (c *compiler) flatten(x *expr, neg bool, known func(*predicate) int) *flat {
	switch x.kind {
	case exprConst:
		return &flat{kind: exprConst, val: x.value != neg}
	case exprNot:
		return c.flatten(x.kids[0], !neg, known)
	case exprPred:
		if k := known(x.pred); k >= 0 {
			return &flat{kind: exprConst, val: (k == 1) != neg}
		}
		return &flat{kind: exprPred, test: c.test(x.pred), neg: neg}
	case exprAnd, exprOr:
	}
	kind := x.kind
	if neg { // De Morgan
		kind = exprAnd + exprOr - kind
	}
	out := &flat{kind: kind}
	absorbing := kind == exprOr // the constant that decides
	for _, k := range x.kids {
		f := c.flatten(k, neg, known)
		switch {
		case f.kind == exprConst && f.val == absorbing:
			return f
		case f.kind == exprConst:
		case f.kind == kind:
			out.kids = append(out.kids, f.kids...)
		default:
			out.kids = append(out.kids, f)
		}
	}
	switch len(out.kids) {
	case 0:
		return &flat{kind: exprConst, val: !absorbing}
	case 1:
		return out.kids[0]
	}
	return out
}

// merge replaces literals of the same kind on the same field by one set. It
// works on a copy: the witness is chosen from the single literals.
func (c *compiler) merge(f *flat) *flat {
	if f.kind != exprAnd && f.kind != exprOr {
		return f
	}
	out := &flat{kind: f.kind}
	type key struct {
		field int32
		kind  testKind
	}
	groups := map[key][]int32{}
	for _, k := range f.kids {
		if kk, ok := c.mergeable(k, f.kind); ok {
			groups[key(kk)] = append(groups[key(kk)], k.test)
		}
	}
	done := map[key]bool{}
	for _, k := range f.kids {
		kk, ok := c.mergeable(k, f.kind)
		g := groups[key(kk)]
		switch {
		case !ok || len(g) < 3:
			out.kids = append(out.kids, c.merge(k))
		case !done[key(kk)]:
			done[key(kk)] = true
			out.kids = append(out.kids, &flat{kind: exprPred, test: c.setTest(kk.kind, kk.field, g), neg: f.kind == exprAnd})
		}
	}
	c.sortKids(out)
	if len(out.kids) == 1 {
		return out.kids[0]
	}
	return out
}

// mergeable: in an or, literals that must hold; in an and, literals that must not.
func (c *compiler) mergeable(k *flat, parent exprKind) (struct {
	field int32
	kind  testKind
}, bool,
) {
	var out struct {
		field int32
		kind  testKind
	}
	if k.kind != exprPred || k.neg != (parent == exprAnd) {
		return out, false
	}
	t := &c.tests[k.test]
	out.field, out.kind = t.field, t.kind
	ok := !t.cased && (t.kind == testExact || t.kind == testPrefix || t.kind == testSuffix || t.kind == testContains)
	return out, ok
}

// setTest returns the test for any of several literals.
func (c *compiler) setTest(kind testKind, field int32, tests []int32) int32 {
	lits := make([]string, len(tests))
	for i, t := range tests {
		lits[i] = string(c.tests[t].lit)
	}
	sort.Strings(lits)
	lits = slices.Compact(lits)
	key := setKey{kind, field, strings.Join(lits, "\x00")}
	if id, ok := c.sets[key]; ok {
		return id
	}
	id := int32(len(c.tests))
	c.tests = append(c.tests, test{kind: testAnyOf, field: field, set: newLitSet(kind, lits, c.grams)})
	c.sets[key] = id
	return id
}

type setKey struct {
	kind  testKind
	field int32
	lits  string
}

// sortKids puts the cheap tests first.
func (c *compiler) sortKids(f *flat) {
	slices.SortStableFunc(f.kids, func(a, b *flat) int { return c.price(a) - c.price(b) })
}

// price is a rough time in nanoseconds.
func (c *compiler) price(f *flat) int {
	if f.kind == exprPred {
		t := &c.tests[f.test]
		switch t.kind {
		case testExists, testNull, testAny, testHigh:
			return 2
		case testExact, testPrefix, testSuffix:
			return 5
		case testContains:
			return 30
		case testAnyOf:
			return 10 + 4*min(len(t.set.lits), 20)
		case testRef:
			return 50
		case testWild:
			return 60
		case testRegex:
			return 200
		case testSlow:
			return 40
		}
	}
	sum := 0
	for _, k := range f.kids {
		sum += c.price(k)
	}
	return sum
}

// generate appends the code of f and returns where it begins.
func (c *compiler) generate(f *flat, onTrue, onElse int32) int32 {
	switch f.kind {
	case exprConst:
		if f.val {
			return onTrue
		}
		return onElse
	case exprPred:
		if f.neg {
			onTrue, onElse = onElse, onTrue
		}
		c.code = append(c.code, instr{f.test, onTrue, onElse})
		return int32(len(c.code) - 1)
	case exprAnd:
		for _, k := range slices.Backward(f.kids) {
			onTrue = c.generate(k, onTrue, onElse)
		}
		return onTrue
	case exprOr:
		for _, k := range slices.Backward(f.kids) {
			onElse = c.generate(k, onTrue, onElse)
		}
		return onElse
	case exprNot:
	}
	return onElse
}
