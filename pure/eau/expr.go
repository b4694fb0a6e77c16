package eau

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The expressions of the invariants: the subset of FHIRPath that the profiles
// use, parsed into trees in which equal parts are one node, so that a part is
// evaluated once however many invariants share it.

type exprOp int

const (
	opThis exprOp = iota + 1
	opContext
	opResource
	opString
	opNumber
	opTrue
	opChild // args[0].text
	opIndex // args[0][num]
	opAnd
	opOr
	opImplies
	opEqual
	opUnequal
	opLessEqual
	opGreaterEqual
	opPlus
	opMinus
	opContains // args[0] contains args[1]
	opOneOf    // args[0] is one of list
	opAs       // args[0] as text
	opWhere
	opSelect
	opExists
	opAll
	opEmpty
	opNot
	opCount
	opLength
	opMatches
	opSubstring
	opIndexOf
	opToString
	opHasValue
	opResolve
	opDistinct
	opIsDistinct
	opAllTrue
	opExtension
)

// functions are those of FHIRPath that the profiles use, with the least and
// greatest number of arguments. Arguments of where, select, exists and all are
// evaluated on each item.
var functions = map[string]struct {
	op       exprOp
	min, max int
	each     bool
}{
	"where": {opWhere, 1, 1, true}, "select": {opSelect, 1, 1, true},
	"exists": {opExists, 0, 1, true}, "all": {opAll, 1, 1, true},
	"empty": {opEmpty, 0, 0, false}, "not": {opNot, 0, 0, false}, "count": {opCount, 0, 0, false},
	"length": {opLength, 0, 0, false}, "matches": {opMatches, 1, 1, false},
	"substring": {opSubstring, 1, 2, false}, "indexOf": {opIndexOf, 1, 1, false},
	"toString": {opToString, 0, 0, false}, "hasValue": {opHasValue, 0, 0, false},
	"resolve": {opResolve, 0, 0, false}, "distinct": {opDistinct, 0, 0, false},
	"isDistinct": {opIsDistinct, 0, 0, false}, "allTrue": {opAllTrue, 0, 0, false},
	"extension": {opExtension, 1, 1, false},
}

type expr struct {
	op   exprOp
	args []*expr
	text string
	num  int
	list []string
	re   *regexp.Regexp // of a literal pattern
	memo int            // 1 + place of the shared result; 0: depends on $this
}

// exprTable keeps one node for equal expressions.
type exprTable struct {
	known map[string]*expr
	lets  map[string]*expr
	memos int
}

// parser reads one expression.
type parser struct {
	table *exprTable
	toks  []string
	pos   int
	this  exprOp // what a name without focus starts from
}

// parse reads an expression; definitions (%name) must be known.
func (t *exprTable) parse(text string) (*expr, error) {
	toks, err := tokens(text)
	if err != nil {
		return nil, err
	}
	p := &parser{table: t, toks: toks, this: opContext}
	e, err := p.binary(0)
	if err == nil && p.pos < len(p.toks) {
		err = fmt.Errorf("unexpected %q", p.toks[p.pos])
	}
	return e, err
}

// tokens splits an expression. Strings keep their opening quote as a mark.
func tokens(s string) ([]string, error) {
	var out []string
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ':
			i++
		case c == '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 {
				return nil, fmt.Errorf("a string is not closed")
			}
			out = append(out, s[i:i+1+end])
			i += end + 2
		case isWordByte(c), c == '%', c == '$':
			n := i + 1
			for n < len(s) && isWordByte(s[n]) {
				n++
			}
			out = append(out, s[i:n])
			i = n
		case strings.HasPrefix(s[i:], "!="), strings.HasPrefix(s[i:], "<="), strings.HasPrefix(s[i:], ">="):
			out = append(out, s[i:i+2])
			i += 2
		case strings.IndexByte("().,[]=+-", c) >= 0:
			out = append(out, s[i:i+1])
			i++
		default:
			return nil, fmt.Errorf("unexpected %q", c)
		}
	}
	return out, nil
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}

// binaryOps by precedence (FHIRPath §6, weakest first).
var binaryOps = map[string]struct {
	prec int
	op   exprOp
}{
	"implies": {1, opImplies}, "or": {2, opOr}, "and": {3, opAnd},
	"in": {4, opOneOf}, "contains": {4, opContains},
	"=": {5, opEqual}, "!=": {5, opUnequal}, "<=": {6, opLessEqual}, ">=": {6, opGreaterEqual},
	"as": {7, opAs}, "+": {8, opPlus}, "-": {8, opMinus},
}

func (p *parser) peek() string {
	if p.pos < len(p.toks) {
		return p.toks[p.pos]
	}
	return ""
}

func (p *parser) take(want string) error {
	if p.peek() != want {
		return fmt.Errorf("%q where %q is expected", p.peek(), want)
	}
	p.pos++
	return nil
}

func (p *parser) binary(least int) (*expr, error) {
	left, err := p.postfix()
	for err == nil {
		b, ok := binaryOps[p.peek()]
		if !ok || b.prec <= least {
			return left, nil
		}
		p.pos++
		switch b.op { //nolint:exhaustive // all others take two operands
		case opAs:
			left = p.table.node(&expr{op: opAs, args: []*expr{left}, text: p.peek()})
			p.pos++
		case opOneOf:
			left, err = p.oneOf(left)
		default:
			var right *expr
			if right, err = p.binary(b.prec); err == nil {
				left = p.table.node(&expr{op: b.op, args: []*expr{left, right}})
			}
		}
	}
	return nil, err
}

func (p *parser) oneOf(left *expr) (*expr, error) {
	if err := p.take("("); err != nil {
		return nil, err
	}
	e := &expr{op: opOneOf, args: []*expr{left}}
	for {
		s, ok := strings.CutPrefix(p.peek(), "'")
		if !ok {
			return nil, fmt.Errorf("%q where a string is expected", p.peek())
		}
		e.list = append(e.list, s)
		p.pos++
		if p.peek() != "," {
			return p.table.node(e), p.take(")")
		}
		p.pos++
	}
}

func (p *parser) postfix() (*expr, error) {
	e, err := p.primary()
	for err == nil {
		switch p.peek() {
		case ".":
			p.pos++
			e, err = p.member(e)
		case "[":
			p.pos++
			var n int
			if n, err = strconv.Atoi(p.peek()); err == nil {
				p.pos++
				e, err = p.table.node(&expr{op: opIndex, args: []*expr{e}, num: n}), p.take("]")
			}
		default:
			return e, nil
		}
	}
	return nil, err
}

func (p *parser) primary() (*expr, error) {
	tok := p.peek()
	p.pos++
	switch {
	case tok == "(":
		e, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		return e, p.take(")")
	case strings.HasPrefix(tok, "'"):
		return p.table.node(&expr{op: opString, text: expandURL(tok[1:])}), nil
	case tok == "true":
		return p.table.node(&expr{op: opTrue}), nil
	case tok == "$this":
		return p.table.node(&expr{op: p.this}), nil
	case tok == "%context":
		return p.table.node(&expr{op: opContext}), nil
	case tok == "%resource":
		return p.table.node(&expr{op: opResource}), nil
	case strings.HasPrefix(tok, "%"):
		if e := p.table.lets[tok[1:]]; e != nil {
			return e, nil
		}
		return nil, fmt.Errorf("%s is not defined", tok)
	case tok == "" || !isWordByte(tok[0]):
		return nil, fmt.Errorf("unexpected %q", tok)
	case tok[0] >= '0' && tok[0] <= '9':
		n, err := strconv.Atoi(tok)
		return p.table.node(&expr{op: opNumber, num: n}), err
	}
	p.pos--
	return p.member(p.table.node(&expr{op: p.this}))
}

// member reads a name or a function call on a focus.
func (p *parser) member(focus *expr) (*expr, error) {
	name := p.peek()
	if name == "" || !isWordByte(name[0]) {
		return nil, fmt.Errorf("%q where a name is expected", name)
	}
	p.pos++
	if p.peek() != "(" {
		return p.table.node(&expr{op: opChild, args: []*expr{focus}, text: name}), nil
	}
	p.pos++
	if name == "ofType" {
		e := p.table.node(&expr{op: opAs, args: []*expr{focus}, text: p.peek()})
		p.pos++
		return e, p.take(")")
	}
	f, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("function %q is unknown", name)
	}
	e := &expr{op: f.op, args: []*expr{focus}}
	outer := p.this
	if f.each {
		p.this = opThis
	}
	for p.peek() != ")" {
		arg, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		e.args = append(e.args, arg)
		if p.peek() == "," {
			p.pos++
		}
	}
	p.pos++
	p.this = outer
	if n := len(e.args) - 1; n < f.min || n > f.max {
		return nil, fmt.Errorf("function %q has %d arguments", name, n)
	}
	if e.op == opMatches && e.args[1].op == opString {
		re, err := regexp.Compile("(?s)" + e.args[1].text)
		if err != nil {
			return nil, err
		}
		e.re = re
	}
	return p.table.node(e), nil
}

// node returns the one node for an expression and decides whether its result can be shared.
func (t *exprTable) node(e *expr) *expr {
	var key strings.Builder
	fmt.Fprintf(&key, "%d %q %d %q", e.op, e.text, e.num, e.list)
	for _, a := range e.args {
		fmt.Fprintf(&key, " %p", a)
	}
	if known := t.known[key.String()]; known != nil {
		return known
	}
	t.known[key.String()] = e
	if len(e.args) > 0 && rooted(e) {
		t.memos++
		e.memo = t.memos
	}
	return e
}

// rooted reports whether the expression is the same on every item of a
// collection, that is, $this occurs only where a function binds it again.
func rooted(e *expr) bool {
	if e.op == opThis {
		return false
	}
	for i, a := range e.args {
		if i > 0 && (e.op == opWhere || e.op == opSelect || e.op == opExists || e.op == opAll) {
			continue
		}
		if !rooted(a) {
			return false
		}
	}
	return true
}
