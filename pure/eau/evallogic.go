package eau

import "slices"

// decide evaluates what yields a truth value.
func (ev *evaluator) decide(e *expr, this int32) tri {
	switch e.op {
	case opTrue:
		return yes
	case opAnd, opOr, opImplies:
		return ev.logic(e, this)
	case opEqual:
		return ev.equal(ev.list(e.args[0], this), ev.list(e.args[1], this))
	case opUnequal:
		return negate(ev.equal(ev.list(e.args[0], this), ev.list(e.args[1], this)))
	case opLessEqual:
		return ev.ordered(e.args[0], e.args[1], this)
	case opGreaterEqual:
		return ev.ordered(e.args[1], e.args[0], this)
	case opOneOf:
		return ev.oneOf(e, this)
	case opContains, opMatches, opHasValue:
		return ev.textTest(e, this)
	case opEmpty:
		return truth(len(ev.list(e.args[0], this)) == 0)
	case opNot:
		return negate(ev.truth(e.args[0], this))
	case opExists, opAll, opAllTrue, opIsDistinct:
		return ev.quantify(e, this)
	case opThis, opContext, opResource, opString, opNumber, opChild, opIndex, opPlus, opMinus, opAs, opWhere,
		opSelect, opCount, opLength, opSubstring, opIndexOf, opToString, opResolve, opDistinct, opExtension:
		in := ev.compute(e, this)
		if len(in) == 1 && in[0].kind == itemBool {
			return truth(in[0].flag)
		}
	}
	return unknown
}

// ordered is a <= b, for numbers and for dates.
func (ev *evaluator) ordered(a, b *expr, this int32) tri {
	if x, ok := ev.number(a, this); ok {
		y, ok := ev.number(b, this)
		if !ok {
			return unknown
		}
		return truth(x <= y)
	}
	x, okX := ev.single(a, this)
	y, okY := ev.single(b, this)
	if !okX || !okY {
		return unknown
	}
	return notAfter(x, y)
}

func negate(t tri) tri {
	switch t {
	case yes:
		return no
	case no:
		return yes
	case unknown:
	}
	return unknown
}

// logic is and, or, implies with three values (FHIRPath §6.5).
func (ev *evaluator) logic(e *expr, this int32) tri {
	a := ev.truth(e.args[0], this)
	switch e.op { //nolint:exhaustive // decide sends only these
	case opAnd:
		if a == no {
			return no
		}
		return min3(a, ev.truth(e.args[1], this))
	case opOr:
		if a == yes {
			return yes
		}
		return negate(min3(negate(a), negate(ev.truth(e.args[1], this))))
	}
	if a == no {
		return yes
	}
	b := ev.truth(e.args[1], this)
	if b == yes || a == yes {
		return b
	}
	return unknown
}

// min3 is "and": no wins, then unknown.
func min3(a, b tri) tri {
	switch {
	case a == no || b == no:
		return no
	case a == yes && b == yes:
		return yes
	}
	return unknown
}

// oneOf is a = 'x' or a = 'y' …, evaluated once.
func (ev *evaluator) oneOf(e *expr, this int32) tri {
	in := ev.list(e.args[0], this)
	if len(in) == 0 {
		return unknown
	}
	s, ok := ev.text(in[0])
	switch {
	case len(in) > 1:
		return no
	case !ok:
		return unknown
	}
	return truth(slices.Contains(e.list, s))
}

func (ev *evaluator) textTest(e *expr, this int32) tri {
	in := ev.list(e.args[0], this)
	if e.op == opContains {
		want := ev.list(e.args[1], this)
		if len(want) != 1 {
			return unknown
		}
		return truth(slices.ContainsFunc(in, func(it item) bool { return ev.same(it, want[0]) }))
	}
	if len(in) != 1 {
		if e.op == opHasValue {
			return no
		}
		return unknown
	}
	s, ok := ev.text(in[0])
	if e.op == opHasValue {
		return truth(ok)
	}
	if !ok {
		return unknown
	}
	return matches(e, func() (string, bool) { return ev.single(e.args[1], this) }, s)
}

// quantify is exists, all, allTrue and isDistinct.
func (ev *evaluator) quantify(e *expr, this int32) tri {
	in := ev.list(e.args[0], this)
	switch e.op { //nolint:exhaustive // decide sends only these
	case opExists:
		if len(e.args) == 1 {
			return truth(len(in) > 0)
		}
		for _, it := range in {
			if it.kind == itemNode && ev.truth(e.args[1], it.node) == yes {
				return yes
			}
		}
		return no
	case opAll:
		for _, it := range in {
			if it.kind != itemNode || ev.truth(e.args[1], it.node) != yes {
				return no
			}
		}
		return yes
	case opAllTrue:
		for _, it := range in {
			if it.kind != itemBool || !it.flag {
				return no
			}
		}
		return yes
	}
	for i := range in {
		for k := range i {
			if ev.same(in[i], in[k]) {
				return no
			}
		}
	}
	return yes
}

// equal compares collections (FHIRPath §6.1.1). A primitive without a value
// counts as empty.
func (ev *evaluator) equal(a, b []item) tri {
	if len(a) == 0 || len(b) == 0 {
		return unknown
	}
	if len(a) != len(b) {
		return no
	}
	out := yes
	for i := range a {
		out = min3(out, ev.equalItems(a[i], b[i]))
	}
	return out
}

func (ev *evaluator) equalItems(a, b item) tri {
	switch {
	case a.kind == itemNumber && b.kind == itemNumber:
		return truth(a.num == b.num)
	case a.kind == itemBool && b.kind == itemBool:
		return truth(a.flag == b.flag)
	case a.kind == itemNode && b.kind == itemNode:
		na, nb := &ev.t.nodes[a.node], &ev.t.nodes[b.node]
		if na.flags&hasValue == 0 && nb.flags&hasValue == 0 {
			return truth(ev.t.deepEqual(a.node, b.node))
		}
	}
	x, okX := ev.text(a)
	y, okY := ev.text(b)
	if !okX || !okY {
		return unknown
	}
	return truth(x == y)
}

// same is equality that knows no third value, for distinct and contains.
func (ev *evaluator) same(a, b item) bool { return ev.equalItems(a, b) == yes }

// deepEqual compares elements with their children.
func (t *tree) deepEqual(a, b int32) bool {
	na, nb := &t.nodes[a], &t.nodes[b]
	if na.value != nb.value || na.url != nb.url || na.flags&hasValue != nb.flags&hasValue {
		return false
	}
	ca, cb := na.first, nb.first
	for ca != 0 && cb != 0 {
		if t.nodes[ca].name != t.nodes[cb].name || !t.deepEqual(ca, cb) {
			return false
		}
		ca, cb = t.nodes[ca].next, t.nodes[cb].next
	}
	return ca == cb
}

// notAfter compares dates written with year, month, day or time: a <= b as far
// as both are precise, unknown where one is not precise enough to tell.
func notAfter(a, b string) tri {
	n := min(len(a), len(b))
	if n > 10 && len(a) != len(b) {
		n = 10
	}
	switch x, y := a[:n], b[:n]; {
	case x < y:
		return yes
	case x > y:
		return no
	case len(a) == len(b):
		return yes
	}
	return unknown
}
