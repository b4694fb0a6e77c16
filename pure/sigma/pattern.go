package sigma

import (
	"strings"
	"unicode"
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

// fold lowers every character by its simple mapping. Bytes that are no UTF-8
// stay as they are.
func fold(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c >= utf8.RuneSelf || ('A' <= c && c <= 'Z') {
			return string(appendFold(make([]byte, 0, len(s)), s))
		}
	}
	return s
}

// appendFold appends the folded s to dst.
func appendFold[T ~string | ~[]byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if r == utf8.RuneError && n <= 1 {
			dst = append(dst, c)
			i++
			continue
		}
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		i += n
	}
	return dst
}

// match compares the whole of s. Both sides must be folded alike before. It
// returns to the last * only, so its cost is bounded by length times length.
func (p pattern) match(s string) bool {
	pi, si := 0, 0        // part and byte looked at
	starP, starS := -1, 0 // last * and where the text after it begins
	for {
		if pi < len(p) && p[pi].kind == partMany {
			starP, starS = pi, si
			pi++
			continue
		}
		if pi == len(p) && si == len(s) {
			return true
		}
		if pi < len(p) {
			if n, ok := p[pi].step(s[si:]); ok {
				pi, si = pi+1, si+n
				continue
			}
		}
		if starP < 0 || starS >= len(s) {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[starS:])
		starS += n
		pi, si = starP+1, starS
	}
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

// dashLen says whether s begins with one of the five dashes of windash.
func dashLen(s string) (int, bool) {
	if s == "" {
		return 0, false
	}
	if s[0] == '-' || s[0] == '/' {
		return 1, true
	}
	for _, d := range [...]string{"–", "—", "―"} {
		if strings.HasPrefix(s, d) {
			return len(d), true
		}
	}
	return 0, false
}
