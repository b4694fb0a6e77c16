package sigma

import (
	"strings"
	"unicode/utf8"
)

// partKind is one element of a Sigma string.
type partKind uint8

const (
	partText partKind = iota + 1
	partMany          // *: any length, also none
	partOne           // ?: exactly one character
	partDash          // any of the five dashes that windash makes equal
	partHole          // %name%, to be filled by expand
)

type part struct {
	kind partKind
	text string
}

// pattern is a Sigma string: literal pieces and wildcards.
type pattern []part

// parsePattern reads wildcards and escapes as the specification says: a
// backslash escapes *, ? and itself; before anything else it is a backslash.
func parsePattern(s string) pattern {
	var p pattern
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			p = append(p, part{partText, lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == '*' || s[i+1] == '?' || s[i+1] == '\\'):
			i++
			lit.WriteByte(s[i])
		case c == '*':
			flush()
			if len(p) == 0 || p[len(p)-1].kind != partMany {
				p = append(p, part{kind: partMany})
			}
		case c == '?':
			flush()
			p = append(p, part{kind: partOne})
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return p
}

// literal is a pattern without wildcards.
func literal(s string) pattern {
	if s == "" {
		return nil
	}
	return pattern{{partText, s}}
}

// plain returns the text of a pattern that is one literal, or empty.
func (p pattern) plain() (string, bool) {
	switch {
	case len(p) == 0:
		return "", true
	case len(p) == 1 && p[0].kind == partText:
		return p[0].text, true
	}
	return "", false
}

func (p pattern) startsOpen() bool { return len(p) > 0 && p[0].kind == partMany }
func (p pattern) endsOpen() bool   { return len(p) > 0 && p[len(p)-1].kind == partMany }

// open puts * before and after, where there is none yet.
func (p pattern) open(before, after bool) pattern {
	var out pattern
	if before && !p.startsOpen() {
		out = append(out, part{kind: partMany})
	}
	out = append(out, p...)
	if after && !out.endsOpen() {
		out = append(out, part{kind: partMany})
	}
	return out
}

// String writes the pattern as a rule would.
func (p pattern) String() string {
	var b strings.Builder
	for _, x := range p {
		switch x.kind {
		case partText:
			for i := 0; i < len(x.text); i++ {
				c := x.text[i]
				if c == '*' || c == '?' || (c == '\\' && i+1 < len(x.text) && strings.IndexByte(`*?\`, x.text[i+1]) >= 0) {
					b.WriteByte('\\')
				}
				b.WriteByte(c)
			}
		case partMany:
			b.WriteByte('*')
		case partOne:
			b.WriteByte('?')
		case partDash:
			b.WriteString("[-/–—―]")
		case partHole:
			b.WriteString("%" + x.text + "%")
		}
	}
	return b.String()
}

// folded returns the pattern as it is compared when case does not count.
func (p pattern) folded() pattern {
	out := make(pattern, len(p))
	for i, x := range p {
		if x.kind == partText {
			x.text = fold(x.text)
		}
		out[i] = x
	}
	return out
}

// match compares the whole of s. Both sides must be folded alike before.
//
// The pieces between two * are looked for one after the other, each at the
// first place where it fits: later places cannot do better.
func (p pattern) match(s string) bool {
	head, rest := p.segment()
	at := head.matchAt(s, 0)
	if at < 0 {
		return false
	}
	if rest == nil {
		return at == len(s)
	}
	for {
		seg, next := rest.segment()
		if next == nil { // the last one ends with the text
			return seg.matchEnd(s, at)
		}
		if at = seg.find(s, at); at < 0 {
			return false
		}
		rest = next
	}
}

// segment splits off what stands before the first *. The rest is nil when there is none.
func (p pattern) segment() (seg, rest pattern) {
	for i, x := range p {
		if x.kind == partMany {
			return p[:i], p[i+1:]
		}
	}
	return p, nil
}

// matchAt matches a piece without * at one place and returns its end, or -1.
func (p pattern) matchAt(s string, at int) int {
	for i := range p {
		n, ok := p[i].step(s[at:])
		if !ok {
			return -1
		}
		at += n
	}
	return at
}

// find returns the end of the first match from a place on, or -1.
func (p pattern) find(s string, from int) int {
	for from <= len(s) {
		if len(p) > 0 && p[0].kind == partText {
			i := strings.Index(s[from:], p[0].text)
			if i < 0 {
				return -1
			}
			from += i
		}
		if end := p.matchAt(s, from); end >= 0 {
			return end
		}
		from++
	}
	return -1
}

// matchEnd says whether the piece matches somewhere from a place on up to the end.
func (p pattern) matchEnd(s string, from int) bool {
	if len(p) == 0 {
		return true
	}
	if len(p) == 1 && p[0].kind == partText {
		return len(s)-from >= len(p[0].text) && strings.HasSuffix(s, p[0].text)
	}
	for ; from <= len(s); from++ {
		if p.matchAt(s, from) == len(s) {
			return true
		}
	}
	return false
}

// step matches one part other than * at the start of s.
func (x part) step(s string) (int, bool) {
	switch x.kind {
	case partText:
		return len(x.text), strings.HasPrefix(s, x.text)
	case partOne:
		_, n := utf8.DecodeRuneInString(s)
		return n, n > 0
	case partDash:
		return dashLen(s)
	case partMany, partHole:
	}
	return 0, false
}

// dashes are the five that windash makes equal.
func dashes() [5]string { return [5]string{"-", "/", "–", "—", "―"} }

// dashLen says whether s begins with one of the five dashes of windash.
func dashLen(s string) (int, bool) {
	if s == "" {
		return 0, false
	}
	if s[0] == '-' || s[0] == '/' {
		return 1, true
	}
	for _, d := range dashes() {
		if strings.HasPrefix(s, d) {
			return len(d), true
		}
	}
	return 0, false
}
