package sigma

import (
	"slices"
	"strings"
)

// parseCondition turns the condition of a rule into an expression. The
// searches are looked up by name; patterns skip names beginning with "_" only
// for "them", as the specification says.
func parseCondition(text string, line int, searches map[string]*expr, order []string) (*expr, error) {
	p := &condParser{toks: condTokens(text), line: line, searches: searches, order: order}
	x, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.toks) {
		if p.peek() == "|" {
			return nil, errAt(line, "condition %q uses the old aggregation after |: write it as a correlation", text)
		}
		return nil, errAt(line, "condition %q: unexpected %q", text, p.peek())
	}
	return x, nil
}

type condParser struct {
	toks     []string
	pos      int
	line     int
	searches map[string]*expr
	order    []string
}

func condTokens(s string) []string {
	s = strings.NewReplacer("(", " ( ", ")", " ) ", "|", " | ").Replace(s)
	return strings.Fields(s)
}

// condNames are the names in a condition, in their order.
func condNames(s string) []string {
	var out []string
	for _, t := range condTokens(s) {
		switch strings.ToLower(t) {
		case "and", "or", "not", "(", ")", "|":
		default:
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

func (p *condParser) peek() string {
	if p.pos < len(p.toks) {
		return p.toks[p.pos]
	}
	return ""
}

// word reports whether the next token is the given keyword, and takes it.
func (p *condParser) word(w string) bool {
	if strings.EqualFold(p.peek(), w) {
		p.pos++
		return true
	}
	return false
}

func (p *condParser) or(depth int) (*expr, error) {
	return p.chain(depth, "or", orOf, func() (*expr, error) {
		return p.chain(depth, "and", andOf, func() (*expr, error) { return p.not(depth) })
	})
}

func (p *condParser) chain(depth int, word string, join func(...*expr) *expr, next func() (*expr, error)) (*expr, error) {
	if depth > maxDepth {
		return nil, errAt(p.line, "condition is nested too deeply")
	}
	var kids []*expr
	for {
		k, err := next()
		if err != nil {
			return nil, err
		}
		kids = append(kids, k)
		if !p.word(word) {
			return join(kids...), nil
		}
	}
}

func (p *condParser) not(depth int) (*expr, error) {
	negated := false
	for p.word("not") {
		negated = !negated
	}
	x, err := p.atom(depth)
	if err == nil && negated {
		x = notOf(x)
	}
	return x, err
}

func (p *condParser) atom(depth int) (*expr, error) {
	tok := p.peek()
	switch {
	case tok == "":
		return nil, errAt(p.line, "condition ends where a search is expected")
	case tok == "(":
		p.pos++
		x, err := p.or(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.word(")") {
			return nil, errAt(p.line, "condition: a bracket is not closed")
		}
		return x, nil
	case p.pos+1 < len(p.toks) && strings.EqualFold(p.toks[p.pos+1], "of"):
		return p.quantor()
	}
	p.pos++
	x, ok := p.searches[tok]
	if !ok {
		return nil, errAt(p.line, "condition names %q, which is no search of this rule", tok)
	}
	return x, nil
}

// quantor reads "1 of x*", "all of them" and their like.
func (p *condParser) quantor() (*expr, error) {
	count := p.peek()
	p.pos += 2
	target := p.peek()
	if target == "" || target == ")" {
		return nil, errAt(p.line, "condition ends after %q of", count)
	}
	p.pos++
	var kids []*expr
	for _, name := range p.order {
		if strings.EqualFold(target, "them") {
			if !strings.HasPrefix(name, "_") {
				kids = append(kids, p.searches[name])
			}
		} else if globMatch(target, name) {
			kids = append(kids, p.searches[name])
		}
	}
	if len(kids) == 0 {
		return nil, errAt(p.line, "condition: no search is named like %q", target)
	}
	switch strings.ToLower(count) {
	case "1", "any":
		return orOf(kids...), nil
	case "all":
		return andOf(kids...), nil
	}
	return nil, errAt(p.line, "condition: %q of is not defined, only 1, any and all", count)
}

// globMatch knows * alone.
func globMatch(glob, name string) bool {
	var p pattern
	for i, lit := range strings.Split(glob, "*") {
		if i > 0 {
			p = append(p, part{kind: partMany})
		}
		p = append(p, literal(lit)...)
	}
	return p.match(name)
}
