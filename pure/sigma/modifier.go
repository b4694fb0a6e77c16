package sigma

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// valueKind is the type a value has after YAML and type modifiers.
type valueKind uint8

const (
	valString valueKind = iota + 1
	valNumber
	valNull
	valBool
	valRegex
	valCIDR
	valRef
)

// value is one value of a detection item on its way through the modifiers.
type value struct {
	kind valueKind
	pat  pattern
	text string // number as text, regex source, field of a reference
	num  float64
	bool bool
	line int
	raw  string // as written
}

// chain is what the modifiers of one item have made of its values.
type chain struct {
	field  string
	line   int
	vals   []value
	all    bool
	cased  bool
	neq    bool
	exists bool
	cmp    predOp
	part   timePart
	flags  string // of re
	bytes  bool   // values are encoded bytes, so case counts
}

// Placeholders fills %name% where the modifier expand asks for it.
type Placeholders map[string][]string

// newValue types a scalar as YAML does: quoted is text; plain may be null, bool or number.
func newValue(n *node) value {
	v := value{kind: valString, line: n.line, raw: n.text}
	switch {
	case n.isNull():
		v.kind = valNull
		return v
	case n.quoted:
	case strings.EqualFold(n.text, "true"), strings.EqualFold(n.text, "false"):
		v.kind, v.bool = valBool, strings.EqualFold(n.text, "true")
		v.text = strings.ToLower(n.text)
		return v
	default:
		if f, text, ok := yamlNumber(n.text); ok {
			v.kind, v.num, v.text = valNumber, f, text
			return v
		}
	}
	v.pat = parsePattern(n.text)
	return v
}

// yamlNumber recognises decimal, 0x and 0o integers and floats. A leading zero
// makes a text: nobody means octal in a rule.
func yamlNumber(s string) (float64, string, bool) {
	if s == "" || (s[0] != '-' && s[0] != '+' && s[0] != '.' && (s[0] < '0' || s[0] > '9')) {
		return 0, "", false
	}
	digits := strings.TrimLeft(s, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return 0, "", false
	}
	if i, err := strconv.ParseInt(s, 0, 64); err == nil && !strings.Contains(s, "_") {
		return float64(i), strconv.FormatInt(i, 10), true
	}
	if u, err := strconv.ParseUint(s, 0, 64); err == nil && !strings.Contains(s, "_") {
		return float64(u), strconv.FormatUint(u, 10), true
	}
	if strings.ContainsAny(s, "xXpP_") {
		return 0, "", false
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && strings.ContainsAny(s, ".eE") {
		return f, s, true
	}
	return 0, "", false
}

// apply runs the modifiers in their written order.
func (c *chain) apply(mods []string, ph Placeholders) error {
	for i, m := range mods {
		if err := c.modify(m, mods[:i], ph); err != nil {
			return err
		}
	}
	return c.finish()
}

func (c *chain) modify(m string, before []string, ph Placeholders) error {
	switch m {
	case "contains", "startswith", "endswith":
		return c.widen(m != "startswith", m != "endswith")
	case "all":
		c.all = true
	case "cased":
		c.cased = true
	case "neq":
		c.neq = true
	case "exists":
		c.exists = true
	case "re":
		return c.each(func(v *value) error {
			v.kind, v.text = valRegex, v.raw
			return nil
		})
	case "i", "m", "s":
		if !slices.Contains(before, "re") {
			return errAt(c.line, "modifier %q stands only after re", m)
		}
		c.flags += m
	case "cidr":
		return c.each(func(v *value) error {
			v.kind, v.text = valCIDR, strings.TrimSpace(v.raw)
			return nil
		})
	case "base64", "base64offset", "utf16", "utf16le", "utf16be", "wide":
		return c.encode(m)
	case "windash":
		return c.strings(m, func(p pattern) ([]pattern, error) { return []pattern{p.windash()}, nil })
	case "expand":
		return c.expand(ph)
	case "fieldref":
		return c.each(func(v *value) error {
			if v.kind != valString {
				return errAt(v.line, "modifier fieldref needs the name of a field")
			}
			v.kind, v.text, v.pat = valRef, v.raw, pattern{{kind: partHole}}
			return nil
		})
	case "lt":
		c.cmp = opLess
	case "lte":
		c.cmp = opLessEq
	case "gt":
		c.cmp = opGreater
	case "gte":
		c.cmp = opGreaterEq
	default:
		return c.timePart(m)
	}
	return nil
}

func (c *chain) timePart(m string) error {
	switch m {
	case "minute":
		c.part = partMinute
	case "hour":
		c.part = partHour
	case "day":
		c.part = partDay
	case "week":
		c.part = partWeek
	case "month":
		c.part = partMonth
	case "year":
		c.part = partYear
	default:
		return errAt(c.line, "modifier %q is not known", m)
	}
	return nil
}

// each changes every value in place; list items keep their own line.
func (c *chain) each(f func(*value) error) error {
	for i := range c.vals {
		if err := f(&c.vals[i]); err != nil {
			return err
		}
	}
	return nil
}

// strings applies f to every text; numbers become texts first.
func (c *chain) strings(mod string, f func(pattern) ([]pattern, error)) error {
	var out []value
	for _, v := range c.vals {
		if v.kind == valNumber || v.kind == valBool {
			v.kind, v.pat = valString, literal(v.raw)
		}
		if v.kind != valString {
			return errAt(v.line, "modifier %q needs a text", mod)
		}
		ps, err := f(v.pat)
		if err != nil {
			if at, ok := errors.AsType[*lineError](err); ok {
				return errAt(v.line, "modifier %s: %s", mod, at.msg)
			}
			return errAt(v.line, "modifier %s: %v", mod, err)
		}
		for _, p := range ps {
			v.pat = p
			out = append(out, v)
		}
	}
	c.vals = out
	return nil
}

// widen is contains, startswith and endswith.
func (c *chain) widen(before, after bool) error {
	return c.each(func(v *value) error {
		switch v.kind {
		case valNumber, valBool:
			v.kind, v.pat = valString, literal(v.raw)
		case valRegex: // a regular expression is not anchored: nothing to do but keep ends
			if !before {
				v.text = "^(?:" + v.text + ")"
			}
			if !after {
				v.text = "(?:" + v.text + ")$"
			}
			return nil
		case valNull, valCIDR:
			return errAt(v.line, "contains, startswith and endswith need a text")
		case valString, valRef:
		}
		v.pat = v.pat.open(before, after)
		return nil
	})
}

// encode is base64, base64offset and the UTF-16 family. Encoded text is
// compared with case, since base64 carries meaning in case.
func (c *chain) encode(m string) error {
	c.bytes = c.bytes || strings.HasPrefix(m, "base64")
	return c.strings(m, func(p pattern) ([]pattern, error) {
		all, err := p.eachDash() // of windash: encoded they have nothing in common
		if err != nil {
			return nil, err
		}
		var out []pattern
		for _, p := range all {
			s, ok := p.plain()
			if !ok {
				return nil, errAt(c.line, "a value with wildcards cannot be encoded")
			}
			out = append(out, encoded(m, s)...)
		}
		return out, nil
	})
}

// encoded is s as the modifier m writes it.
func encoded(m, s string) []pattern {
	switch m {
	case "base64":
		return []pattern{literal(base64.StdEncoding.EncodeToString([]byte(s)))}
	case "base64offset":
		return base64Offsets(s)
	case "utf16be":
		return []pattern{literal(toUTF16(s, true))}
	case "utf16":
		return []pattern{literal("\xff\xfe" + toUTF16(s, false))}
	default:
		return []pattern{literal(toUTF16(s, false))}
	}
}

func toUTF16(s string, bigEndian bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		if bigEndian {
			b.WriteByte(byte(u >> 8))
		}
		b.WriteByte(byte(u))
		if !bigEndian {
			b.WriteByte(byte(u >> 8))
		}
	}
	return b.String()
}

// base64Offsets gives the part of the encoding that does not depend on what
// stands before and after, for each of the three alignments.
func base64Offsets(s string) []pattern {
	start, end := [3]int{0, 2, 3}, [3]int{0, 3, 2}
	var out []pattern
	for i := range 3 {
		e := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", i) + s))
		from, to := start[i], len(e)-end[(len(s)+i)%3]
		if from < to {
			out = append(out, literal(e[from:to]))
		}
	}
	return out
}

// finish checks what cannot go together.
func (c *chain) finish() error {
	if c.exists && (len(c.vals) != 1 || c.cmp != 0) {
		return errAt(c.line, "modifier exists needs one true or false")
	}
	if c.all && len(c.vals) < 2 && !c.exists {
		c.all = false // one value: all and any are the same
	}
	return nil
}

// expr turns the item into an expression.
func (c *chain) expr() (*expr, error) {
	var kids []*expr
	for _, v := range c.vals {
		p, err := c.predicate(v)
		if err != nil {
			return nil, err
		}
		kids = append(kids, isTrue(p))
	}
	x := orOf(kids...)
	if c.all {
		x = andOf(kids...)
	}
	if c.neq {
		x = notOf(x)
	}
	return x, nil
}

func (c *chain) predicate(v value) (*predicate, error) {
	p := &predicate{field: c.field}
	switch {
	case c.exists:
		want, ok := (&node{kind: scalarNode, text: v.raw}).bool()
		if !ok || c.field == "" {
			return nil, errAt(v.line, "modifier exists needs a field and true or false")
		}
		p.op, p.want = opExists, want
		return p, nil
	case c.cmp != 0 || c.part != noPart:
		f, err := strconv.ParseFloat(strings.TrimSpace(v.raw), 64)
		if v.kind == valNumber {
			f, err = v.num, nil
		}
		if err != nil || f != f {
			return nil, errAt(v.line, "%q is no number to compare with", v.raw)
		}
		p.op, p.num, p.part, p.cmp = c.cmp, f, c.part, c.cmp
		if c.part != noPart {
			p.op = opTime
			if c.cmp == 0 {
				p.cmp = opNumber
			}
		}
		return p, nil
	}
	return p, c.plainPredicate(p, v)
}

func (c *chain) plainPredicate(p *predicate, v value) error {
	switch v.kind {
	case valNull:
		p.op = opNull
		if c.field == "" {
			return errAt(v.line, "null cannot be a keyword")
		}
	case valNumber:
		p.op, p.text, p.num = opNumber, v.text, v.num
		if c.field == "" { // a keyword is looked for inside values
			p.op, p.pat = opPattern, literal(v.text).open(true, true)
		}
	case valBool:
		p.op, p.pat = opPattern, literal(v.text)
		if c.field == "" {
			p.pat = p.pat.open(true, true)
		}
	case valRegex:
		src := v.text
		if c.flags != "" {
			src = "(?" + c.flags + ")" + src
		}
		re, err := regexp.Compile(src)
		if err != nil {
			return errAt(v.line, "regular expression: %v", err)
		}
		p.op, p.re = opRegex, re
	case valCIDR:
		net, err := netip.ParsePrefix(v.text)
		if err != nil {
			return errAt(v.line, "%q is no network in CIDR notation", v.text)
		}
		p.op, p.net = opCIDR, net.Masked()
	case valRef:
		p.op, p.text, p.pat, p.cased = opFieldRef, v.text, v.pat, c.cased
	case valString:
		p.op, p.pat, p.cased = opPattern, v.pat, c.cased || c.bytes
		if c.field == "" {
			p.pat = p.pat.open(true, true)
		}
		if !p.cased {
			p.pat = p.pat.folded()
		}
	}
	return nil
}
