package sigma

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// windash replaces the dash before an option by all five dashes: where a word
// begins after it and none ends before it, as pySigma does.
func (p pattern) windash() pattern {
	var out pattern
	for _, x := range p {
		if x.kind != partText {
			out = append(out, x)
			continue
		}
		from := 0
		for i := 0; i < len(x.text); {
			n, ok := dashLen(x.text[i:])
			if !ok {
				i++
				continue
			}
			before, _ := utf8.DecodeLastRuneInString(x.text[:i])
			after, _ := utf8.DecodeRuneInString(x.text[i+n:])
			if (i == 0 || !isWord(before)) && i+n < len(x.text) && isWord(after) {
				out = append(out, literal(x.text[from:i])...)
				out = append(out, part{kind: partDash})
				from = i + n
			}
			i += n
		}
		out = append(out, literal(x.text[from:])...)
	}
	return out
}

// eachDash writes every mixture of the five dashes out, each as one literal.
func (p pattern) eachDash() ([]pattern, error) {
	out := []pattern{nil}
	for _, x := range p {
		fill := []pattern{{x}}
		if x.kind == partDash {
			fill = nil
			for _, d := range dashes() {
				fill = append(fill, literal(d))
			}
		}
		var err error
		if out, err = product(out, fill); err != nil {
			return nil, err
		}
	}
	for i := range out {
		out[i] = out[i].joined()
	}
	return out, nil
}

// joined makes one literal of those that follow each other.
func (p pattern) joined() pattern {
	var out pattern
	for _, x := range p {
		if n := len(out) - 1; n >= 0 && x.kind == partText && out[n].kind == partText {
			out[n].text += x.text
			continue
		}
		out = append(out, x)
	}
	return out
}

// product puts every tail behind every head.
func product(heads, tails []pattern) ([]pattern, error) {
	if len(heads)*len(tails) > maxExpansion {
		return nil, errAt(0, "unfolds to more than %d values", maxExpansion)
	}
	var out []pattern
	for _, h := range heads {
		for _, t := range tails {
			out = append(out, append(slices.Clip(h), t...))
		}
	}
	return out, nil
}

func isWord(r rune) bool {
	return r == '_' || ('0' <= r && r <= '9') || ('a' <= r && r <= 'z') || ('A' <= r && r <= 'Z') || (r >= utf8.RuneSelf && r != utf8.RuneError && r != '–' && r != '—' && r != '―')
}

// expand fills placeholders; one without a filling makes the rule unusable.
func (c *chain) expand(ph Placeholders) error {
	return c.strings("expand", func(p pattern) ([]pattern, error) {
		return fillHoles(p.holes(), ph)
	})
}

// holes turns %name% in literal text into holes.
func (p pattern) holes() pattern {
	var out pattern
	for _, x := range p {
		rest := x.text
		if x.kind != partText {
			out = append(out, x)
			continue
		}
		var lit strings.Builder
		for rest != "" {
			if strings.HasPrefix(rest, `\%`) {
				lit.WriteByte('%')
				rest = rest[2:]
				continue
			}
			if rest[0] == '%' {
				if end := strings.IndexByte(rest[1:], '%'); end > 0 && isName(rest[1:1+end]) {
					out = append(out, literal(lit.String())...)
					lit.Reset()
					out = append(out, part{partHole, rest[1 : 1+end]})
					rest = rest[end+2:]
					continue
				}
			}
			lit.WriteByte(rest[0])
			rest = rest[1:]
		}
		out = append(out, literal(lit.String())...)
	}
	return out
}

func isName(s string) bool {
	for i := range len(s) {
		if !isWord(rune(s[i])) && s[i] != '-' && s[i] != '.' {
			return false
		}
	}
	return s != ""
}

// maxExpansion bounds what placeholders or encoded dashes may unfold to in one value.
const maxExpansion = 10000

func fillHoles(p pattern, ph Placeholders) ([]pattern, error) {
	out := []pattern{nil}
	for _, x := range p {
		fill := []pattern{{x}}
		if x.kind == partHole {
			vals, ok := ph[x.text]
			if !ok {
				vals, ok = ph[anyPlaceholder]
			}
			if !ok {
				return nil, errAt(0, "placeholder %%%s%% has no values", x.text)
			}
			fill = nil
			for _, v := range vals {
				fill = append(fill, parsePattern(v))
			}
		}
		var err error
		if out, err = product(out, fill); err != nil {
			return nil, err
		}
	}
	return out, nil
}
