package eau

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// tri is the logic of FHIRPath: an empty operand makes an empty result. An
// invariant holds only if it is true.
type tri int8

const (
	unknown tri = iota
	no
	yes
)

func truth(b bool) tri {
	if b {
		return yes
	}
	return no
}

type itemKind uint8

const (
	itemNode itemKind = iota + 1
	itemString
	itemNumber
	itemBool
)

// item is one member of a collection.
type item struct {
	kind itemKind
	node int32
	num  int
	str  string
	flag bool
}

// evaluator evaluates expressions on one document. Collections are pieces of
// one growing list, so that a document costs few allocations.
type evaluator struct {
	t       *tree
	links   *links
	items   []item
	context int32
	gen     uint32
	memos   []memo
}

// memo is the result of a shared expression on the current context.
type memo struct {
	gen  uint32 // 0: none
	list []item
	tri  tri
	has  uint8 // 1 list, 2 tri
}

// reset prepares for a document; memos is the number of shared expressions.
func (ev *evaluator) reset(t *tree, l *links, memos int) {
	ev.t, ev.links, ev.items = t, l, ev.items[:0]
	if len(ev.memos) != memos {
		ev.memos = make([]memo, memos)
	}
	ev.gen++ // results of the last document do not count
	ev.context = -1
}

// holds evaluates an invariant on an element.
func (ev *evaluator) holds(e *expr, context int32) bool {
	if ev.context != context {
		ev.context = context
		ev.gen++
	}
	return ev.truth(e, context) == yes
}

// one returns a collection of one item.
func (ev *evaluator) one(it item) []item {
	ev.items = append(ev.items, it)
	n := len(ev.items)
	return ev.items[n-1 : n : n]
}

func (ev *evaluator) node(n int32) []item { return ev.one(item{kind: itemNode, node: n}) }

// list evaluates an expression to a collection; this is $this.
func (ev *evaluator) list(e *expr, this int32) []item {
	if e.memo == 0 {
		return ev.compute(e, this)
	}
	m := &ev.memos[e.memo-1]
	if m.gen == ev.gen && m.has&1 != 0 {
		return m.list
	}
	out := ev.compute(e, this)
	m = &ev.memos[e.memo-1]
	if m.gen != ev.gen {
		m.gen, m.has = ev.gen, 0
	}
	m.list, m.has = out, m.has|1
	return out
}

// truth evaluates an expression to a truth value.
func (ev *evaluator) truth(e *expr, this int32) tri {
	if e.memo == 0 {
		return ev.decide(e, this)
	}
	m := &ev.memos[e.memo-1]
	if m.gen == ev.gen && m.has&2 != 0 {
		return m.tri
	}
	out := ev.decide(e, this)
	m = &ev.memos[e.memo-1]
	if m.gen != ev.gen {
		m.gen, m.has = ev.gen, 0
	}
	m.tri, m.has = out, m.has|2
	return out
}

// compute evaluates what yields a collection.
func (ev *evaluator) compute(e *expr, this int32) []item {
	switch e.op {
	case opThis:
		return ev.node(this)
	case opContext:
		return ev.node(ev.context)
	case opResource:
		return ev.node(ev.t.resourceAround(ev.context))
	case opString:
		return ev.one(item{kind: itemString, str: e.text})
	case opNumber:
		return ev.one(item{kind: itemNumber, num: e.num})
	case opChild, opIndex, opAs, opWhere, opSelect, opResolve, opDistinct, opExtension:
		return ev.filter(e, this)
	case opCount, opLength, opPlus, opMinus, opSubstring, opIndexOf, opToString:
		return ev.scalar(e, this)
	case opTrue, opAnd, opOr, opImplies, opEqual, opUnequal, opLessEqual, opGreaterEqual, opContains, opOneOf, opExists,
		opAll, opEmpty, opNot, opMatches, opHasValue, opIsDistinct, opAllTrue:
		switch ev.truth(e, this) {
		case yes:
			return ev.one(item{kind: itemBool, flag: true})
		case no:
			return ev.one(item{kind: itemBool})
		case unknown:
		}
	}
	return nil
}

// filter evaluates what goes from items to items.
func (ev *evaluator) filter(e *expr, this int32) []item {
	in := ev.list(e.args[0], this)
	start := len(ev.items)
	switch e.op { //nolint:exhaustive // compute sends only these
	case opIndex:
		if e.num < len(in) {
			return in[e.num : e.num+1]
		}
		return nil
	case opSelect:
		var out []item
		for _, it := range in {
			out = append(out, ev.list(e.args[1], it.node)...)
		}
		return out
	case opWhere:
		// The criterion appends to the list as well, so the result is gathered behind it.
		keep := make([]bool, 0, 32)
		for _, it := range in {
			keep = append(keep, it.kind == itemNode && ev.truth(e.args[1], it.node) == yes)
		}
		start = len(ev.items)
		for i, it := range in {
			if keep[i] {
				ev.items = append(ev.items, it)
			}
		}
	case opDistinct:
		for _, it := range in {
			if !slices.ContainsFunc(ev.items[start:], func(o item) bool { return ev.same(o, it) }) {
				ev.items = append(ev.items, it)
			}
		}
	default:
		for _, it := range in {
			if it.kind == itemNode {
				ev.step(e, it.node)
			}
		}
	}
	return ev.items[start:len(ev.items):len(ev.items)]
}

// step appends what one element leads to.
func (ev *evaluator) step(e *expr, n int32) {
	t := ev.t
	switch e.op { //nolint:exhaustive // filter sends only these
	case opChild:
		for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
			name := t.nodes[c].name
			if name != e.text && !choiceOf(name, e.text) {
				continue
			}
			if name == "resource" { // the resource itself, not the element around it
				if res := t.nodes[c].first; res != 0 {
					ev.items = append(ev.items, item{kind: itemNode, node: res})
				}
				continue
			}
			ev.items = append(ev.items, item{kind: itemNode, node: c})
		}
	case opAs:
		if isType(t.nodes[n].name, e.text) {
			ev.items = append(ev.items, item{kind: itemNode, node: n})
		}
	case opResolve:
		if res := ev.links.resolve(t, n, t.nodes[n].value); res != 0 {
			ev.items = append(ev.items, item{kind: itemNode, node: res})
		}
	case opExtension:
		url := e.args[1].text
		for c := t.nodes[n].first; c != 0; c = t.nodes[c].next {
			if t.nodes[c].name == "extension" && t.nodes[c].url == url {
				ev.items = append(ev.items, item{kind: itemNode, node: c})
			}
		}
	}
}

// choiceOf reports whether an element is the written form of a choice: valueCoding of value.
func choiceOf(name, choice string) bool {
	return len(name) > len(choice) && (choice == "value" || choice == "onset") &&
		strings.HasPrefix(name, choice) && name[len(choice)] >= 'A' && name[len(choice)] <= 'Z'
}

// isType reports whether an element is a resource or a choice of that type.
func isType(name, typ string) bool {
	if name == typ {
		return true
	}
	if len(name) <= len(typ) || !strings.HasSuffix(name, typ[1:]) {
		return false
	}
	base := name[:len(name)-len(typ)]
	return (base == "value" || base == "onset") && name[len(base)]|0x20 == typ[0]|0x20
}

// scalar evaluates what yields a number or a string.
func (ev *evaluator) scalar(e *expr, this int32) []item {
	in := ev.list(e.args[0], this)
	if e.op == opCount {
		return ev.one(item{kind: itemNumber, num: len(in)})
	}
	if len(in) != 1 {
		return nil
	}
	if e.op == opPlus || e.op == opMinus {
		return ev.sum(e.op, in[0], ev.list(e.args[1], this))
	}
	s, ok := ev.text(in[0])
	if !ok {
		return nil
	}
	switch e.op { //nolint:exhaustive // compute sends only these
	case opLength:
		return ev.one(item{kind: itemNumber, num: utf8.RuneCountInString(s)})
	case opToString:
		return ev.one(item{kind: itemString, str: s})
	case opIndexOf:
		if part, ok := ev.single(e.args[1], this); ok {
			return ev.one(item{kind: itemNumber, num: strings.Index(s, part)})
		}
	case opSubstring:
		from, ok := ev.number(e.args[1], this)
		length := utf8.RuneCountInString(s)
		if ok && len(e.args) == 3 {
			length, ok = ev.number(e.args[2], this)
		}
		if ok {
			return ev.substring(s, from, length)
		}
	}
	return nil
}

func (ev *evaluator) sum(op exprOp, a item, right []item) []item {
	if len(right) != 1 {
		return nil
	}
	b := right[0]
	if a.kind == itemNumber && b.kind == itemNumber {
		if op == opMinus {
			b.num = -b.num
		}
		return ev.one(item{kind: itemNumber, num: a.num + b.num})
	}
	x, okX := ev.text(a)
	y, okY := ev.text(b)
	if op == opMinus || !okX || !okY {
		return nil
	}
	return ev.one(item{kind: itemString, str: x + y})
}

// substring counts in characters; a start outside the string gives nothing
// (FHIRPath §5.6.2), a length beyond its end the rest.
func (ev *evaluator) substring(s string, from, length int) []item {
	runes := []rune(s)
	if from < 0 || from >= len(runes) {
		return nil
	}
	end := min(from+max(length, 0), len(runes))
	return ev.one(item{kind: itemString, str: string(runes[from:end])})
}

// text returns an item as a string, if it has one.
func (ev *evaluator) text(it item) (string, bool) {
	switch it.kind {
	case itemNode:
		n := &ev.t.nodes[it.node]
		return n.value, n.flags&hasValue != 0
	case itemString:
		return it.str, true
	case itemNumber, itemBool:
	}
	return "", false
}

func (ev *evaluator) single(e *expr, this int32) (string, bool) {
	if in := ev.list(e, this); len(in) == 1 {
		return ev.text(in[0])
	}
	return "", false
}

func (ev *evaluator) number(e *expr, this int32) (int, bool) {
	if in := ev.list(e, this); len(in) == 1 && in[0].kind == itemNumber {
		return in[0].num, true
	}
	return 0, false
}

// matches reports whether a pattern occurs in a string (FHIRPath: a partial match).
func matches(e *expr, pattern func() (string, bool), s string) tri {
	re := e.re
	if re == nil {
		p, ok := pattern()
		if !ok || len(p) > 200 {
			return unknown
		}
		var err error
		if re, err = regexp.Compile("(?s)" + p); err != nil {
			return unknown
		}
	}
	return truth(re.MatchString(s))
}
