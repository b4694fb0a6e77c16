package catalogue

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a formula as text, so that a foreign file cannot exhaust us.
const (
	maxFormulaText  = 16 << 10 // bytes
	maxFormulaDepth = 32       // parentheses within parentheses
)

// ParseFormula reads "a & (b | c)". Instead of & and | it takes und, oder,
// and, or, + and comma (both mean and). Names are letters, digits and . _ - / @.
// The result is normal.
func ParseFormula(s string) (Formula, error) {
	if len(s) > maxFormulaText {
		return Formula{}, fmt.Errorf("formula of %d bytes, at most %d", len(s), maxFormulaText)
	}
	p := formulaParser{s: s}
	p.next()
	if p.tok == "" && p.err == nil {
		return Formula{}, nil
	}
	f := p.alternatives(0)
	if p.err == nil && p.tok != "" {
		p.fail("%q where the formula should end", p.tok)
	}
	if p.err != nil {
		return Formula{}, p.err
	}
	return f, nil
}

type formulaParser struct {
	s   string
	pos int    // behind tok
	tok string // "" at the end
	err error
}

func (p *formulaParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("formula at character %d: %s", utf8.RuneCountInString(p.s[:p.pos-len(p.tok)])+1, fmt.Sprintf(format, args...))
	}
	p.tok = ""
}

// next reads one token: an operator, a parenthesis or a name.
func (p *formulaParser) next() {
	for p.pos < len(p.s) && (p.s[p.pos] == ' ' || p.s[p.pos] == '\t') {
		p.pos++
	}
	start := p.pos
	if start == len(p.s) {
		p.tok = ""
		return
	}
	r, n := utf8.DecodeRuneInString(p.s[p.pos:])
	p.pos += n
	for nameRune(r) && p.pos < len(p.s) {
		r, n = utf8.DecodeRuneInString(p.s[p.pos:])
		if !nameRune(r) {
			break
		}
		p.pos += n
	}
	p.tok = p.s[start:p.pos]
}

// nameRune reports whether an id may contain the character.
func nameRune(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._-/@", r))
}

func isName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !nameRune(r) }) < 0
}

func (p *formulaParser) isAnd() bool {
	switch strings.ToLower(p.tok) {
	case "&", "+", ",", "und", "and":
		return true
	}
	return false
}

func (p *formulaParser) isOr() bool {
	switch strings.ToLower(p.tok) {
	case "|", "oder", "or":
		return true
	}
	return false
}

func (p *formulaParser) alternatives(depth int) Formula {
	of := []Formula{p.conjunction(depth)}
	for p.err == nil && p.isOr() {
		p.next()
		of = append(of, p.conjunction(depth))
	}
	return Any(of...)
}

func (p *formulaParser) conjunction(depth int) Formula {
	of := []Formula{p.operand(depth)}
	for p.err == nil && p.isAnd() {
		p.next()
		of = append(of, p.operand(depth))
	}
	return All(of...)
}

func (p *formulaParser) operand(depth int) Formula {
	switch {
	case p.tok == "":
		p.fail("a name is missing at the end")
	case p.tok == "(":
		if depth == maxFormulaDepth {
			p.fail("more than %d parentheses within each other", maxFormulaDepth)
			return Formula{}
		}
		p.next()
		f := p.alternatives(depth + 1)
		if p.err == nil && p.tok != ")" {
			p.fail("a closing parenthesis is missing")
			return Formula{}
		}
		p.next()
		return f
	case !isName(p.tok) || p.isAnd() || p.isOr():
		p.fail("%q where a name should stand", p.tok)
	default:
		f := Node(p.tok)
		p.next()
		return f
	}
	return Formula{}
}
