package eau

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// declaration reads <?xml …?>. Any encoding but UTF-8 is a fault of the character set.
func (s *scanner) declaration() error {
	end := strings.Index(s.src, "?>")
	if end < 0 {
		return s.fail("Die XML-Deklaration ist nicht geschlossen.")
	}
	decl := s.src[5:end]
	version, rest, ok := pseudoAttr(decl, "version")
	if !ok || version != "1.0" {
		return s.fail("Die XML-Deklaration nennt nicht die Version 1.0.")
	}
	if encoding, after, ok := pseudoAttr(rest, "encoding"); ok {
		if !strings.EqualFold(encoding, "UTF-8") {
			return s.tree.fault(FaultCharset, 0, "Die XML-Deklaration nennt einen anderen Zeichensatz als UTF-8.")
		}
		rest = after
	}
	if alone, after, ok := pseudoAttr(rest, "standalone"); ok {
		if alone != "yes" && alone != "no" {
			return s.fail("Die XML-Deklaration ist fehlerhaft.")
		}
		rest = after
	}
	if strings.Trim(rest, " \t\r\n") != "" {
		return s.fail("Die XML-Deklaration ist fehlerhaft.")
	}
	s.pos = end + 2
	return nil
}

// pseudoAttr cuts name="value" from the front of a declaration.
func pseudoAttr(decl, name string) (value, rest string, ok bool) {
	trimmed := strings.TrimLeft(decl, " \t\r\n")
	if len(trimmed) == len(decl) || !strings.HasPrefix(trimmed, name) {
		return "", decl, false
	}
	after := strings.TrimLeft(trimmed[len(name):], " \t\r\n")
	if !strings.HasPrefix(after, "=") {
		return "", decl, false
	}
	after = strings.TrimLeft(after[1:], " \t\r\n")
	if after == "" || after[0] != '"' && after[0] != '\'' {
		return "", decl, false
	}
	end := strings.IndexByte(after[1:], after[0])
	if end < 0 {
		return "", decl, false
	}
	return after[1 : 1+end], after[end+2:], true
}

func (s *scanner) startTag() error {
	open := s.pos
	n := nameEnd(s.src, open+1)
	if n == open+1 {
		return s.fail("Nach „<“ fehlt ein Elementname.")
	}
	name := s.src[open+1 : n]
	switch {
	case s.cur == 0 && s.root:
		return s.fail("Das Dokument hat mehr als ein Wurzelelement.")
	case s.depth >= maxDepth:
		return s.tree.fault(FaultLimit, open, "Die Elemente sind tiefer geschachtelt als erlaubt.")
	case len(s.tree.nodes) > maxNodes:
		return s.tree.fault(FaultLimit, open, "Das Dokument hat mehr Elemente als erlaubt.")
	}
	s.pos = n
	attrs, closed, err := s.attributes()
	if err != nil {
		return err
	}
	s.root = true
	s.depth++
	return s.open(name, open, attrs, closed)
}

// open adds the element to the tree and, unless it is empty, makes it the innermost.
func (s *scanner) open(name string, pos int, attrs []attr, closed bool) error {
	outer := s.plain
	lone := len(attrs) == 0 || len(attrs) == 1 && (attrs[0].name == "value" || attrs[0].name == "url")
	if !lone {
		s.bind(attrs)
	}
	t := s.tree
	id := int32(len(t.nodes))
	nd := node{name: name, pos: int32(pos), up: s.cur}
	flags, local, ok := s.namespace(name)
	if !ok {
		s.pos = pos
		return s.fail("Ein Namensraum-Präfix ist nicht erklärt.")
	}
	nd.name, nd.flags = local, flags
	if flags == 0 {
		for i := range attrs {
			if !nd.take(&attrs[i]) {
				t.stray = append(t.stray, strayAttr{node: id, name: attrs[i].name})
			}
		}
	}
	for i := 0; !lone && i < len(attrs); i++ {
		if p, _, found := strings.Cut(attrs[i].name, ":"); found && p != "xmlns" && p != "xml" {
			if _, ok := s.lookup(p); !ok {
				s.pos = pos
				return s.fail("Ein Namensraum-Präfix ist nicht erklärt.")
			}
		}
	}
	t.nodes = append(t.nodes, nd)
	parent := &t.nodes[s.cur]
	if parent.last == 0 {
		parent.first = id
	} else {
		t.nodes[parent.last].next = id
	}
	parent.last = id
	if closed {
		t.nodes[id].end = int32(s.pos)
		s.unbind(outer)
		s.depth--
		return nil
	}
	s.cur = id
	return nil
}

// take stores the attributes that FHIR knows and reports whether a was one of
// them; declarations of namespaces and hints for schema processors pass.
func (n *node) take(a *attr) bool {
	switch a.name {
	case "value":
		n.value, n.flags = a.value, n.flags|hasValue
	case "url":
		n.url, n.flags = a.value, n.flags|hasURL
	case "id":
		n.id, n.flags = a.value, n.flags|hasID
	case "xmlns":
	default:
		return strings.HasPrefix(a.name, "xmlns:") || strings.HasPrefix(a.name, "xsi:")
	}
	return true
}

func (s *scanner) endTag() error {
	start := s.pos + 2
	n := nameEnd(s.src, start)
	name := s.src[start:n]
	i := n
	for i < len(s.src) && isSpace(s.src[i]) {
		i++
	}
	if i == len(s.src) || s.src[i] != '>' {
		return s.fail("Ein Endetag ist fehlerhaft.")
	}
	if s.cur == 0 {
		return s.fail("Ein Endetag schließt kein offenes Element.")
	}
	nd := &s.tree.nodes[s.cur]
	// The name as written stands behind '<' in the source; the node has the local name only.
	if written := s.src[nd.pos+1:]; !strings.HasPrefix(written, name) || nameEnd(written, 0) != len(name) {
		return s.fail("Ein Endetag passt nicht zum offenen Element.")
	}
	s.pos = i + 1
	nd.end = int32(s.pos)
	s.cur = nd.up
	s.unbindDeep()
	s.depth--
	return nil
}

// attributes reads up to the end of the start tag. The slice is valid until the next call.
func (s *scanner) attributes() (attrs []attr, closed bool, err error) {
	list := s.tree.attrs[:0]
	for {
		i := s.pos
		for i < len(s.src) && isSpace(s.src[i]) {
			i++
		}
		spaced := i > s.pos
		s.pos = i
		if i == len(s.src) {
			return nil, false, s.fail("Das Dokument endet mitten in einem Starttag.")
		}
		switch s.src[i] {
		case '>':
			s.pos++
			return list, false, nil
		case '/':
			if i+1 < len(s.src) && s.src[i+1] == '>' {
				s.pos += 2
				return list, true, nil
			}
			return nil, false, s.fail("Ein Starttag ist fehlerhaft.")
		}
		if !spaced {
			return nil, false, s.fail("Vor einem Attribut fehlt ein Leerzeichen.")
		}
		a, err := s.attribute()
		if err != nil {
			return nil, false, err
		}
		for k := range list {
			if list[k].name == a.name {
				return nil, false, s.fail("Ein Element hat dasselbe Attribut zweimal.")
			}
		}
		if len(list) == maxAttrs {
			return nil, false, s.tree.fault(FaultLimit, s.pos, "Ein Element hat mehr Attribute als erlaubt.")
		}
		list = append(list, a)
	}
}

func (s *scanner) attribute() (attr, error) {
	n := nameEnd(s.src, s.pos)
	if n == s.pos {
		return attr{}, s.fail("Ein Starttag ist fehlerhaft.")
	}
	name := s.src[s.pos:n]
	for n < len(s.src) && isSpace(s.src[n]) {
		n++
	}
	if n == len(s.src) || s.src[n] != '=' {
		return attr{}, s.fail("Ein Attribut hat keinen Wert.")
	}
	n++
	for n < len(s.src) && isSpace(s.src[n]) {
		n++
	}
	if n == len(s.src) || s.src[n] != '"' && s.src[n] != '\'' {
		return attr{}, s.fail("Der Wert eines Attributs steht nicht in Anführungszeichen.")
	}
	end := strings.IndexByte(s.src[n+1:], s.src[n])
	if end < 0 {
		return attr{}, s.fail("Der Wert eines Attributs ist nicht geschlossen.")
	}
	s.pos = n + 1
	value, err := s.decode(s.src[n+1:n+1+end], true)
	if err != nil {
		return attr{}, err
	}
	s.pos = n + end + 2
	return attr{name: name, value: value}, nil
}

// decode resolves the predefined entities and character references and, in
// attributes, turns line breaks and tabs into blanks (XML 1.0 §3.3.3). Values
// without any of these are returned as they stand, without a copy.
func (s *scanner) decode(raw string, inAttr bool) (string, error) {
	plain := true
	for i := plainPrefix(raw); i < len(raw); i++ {
		c := raw[i]
		if c >= ' ' && c != '&' && c != '<' && c != 0xef {
			continue
		}
		switch {
		case c == '<':
			return "", s.fail("„<“ steht im Wert eines Attributs.")
		case c == '&':
			plain = false
		case c == 0xef:
			if isNonChar(raw[i:]) {
				return "", s.fail("Das Dokument enthält ein Zeichen, das XML nicht zulässt.")
			}
		case isSpace(c):
			plain = plain && !inAttr
		default:
			return "", s.fail("Das Dokument enthält ein Zeichen, das XML nicht zulässt.")
		}
	}
	if plain {
		return raw, nil
	}
	var out strings.Builder
	out.Grow(len(raw))
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '&':
			r, n := entity(raw[i:])
			if n == 0 {
				return "", s.fail("Eine Entität ist unbekannt oder fehlerhaft.")
			}
			out.WriteRune(r)
			i += n
		case c == '\r' && i+1 < len(raw) && raw[i+1] == '\n':
			i++ // a line end counts once (XML 1.0 §2.11)
		case c < ' ' && inAttr:
			out.WriteByte(' ')
			i++
		default:
			out.WriteByte(c)
			i++
		}
	}
	return out.String(), nil
}

// plainPrefix returns how much of a value is ASCII without anything that decode
// looks at, in steps of eight bytes: most values are that altogether.
func plainPrefix(s string) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		amp, less := w^ones*'&', w^ones*'<'
		// A byte has its top bit set in one of these if it is not ASCII, below a
		// blank, an ampersand or a less-than (the usual "has a zero byte" test).
		if (w|(w-ones*' ')|((amp-ones)&^amp)|((less-ones)&^less))&tops != 0 {
			break
		}
	}
	return i
}

// entity reads one reference at the front of s; n is 0 if there is none that XML itself defines.
func entity(s string) (r rune, n int) {
	end := strings.IndexByte(s[:min(len(s), 12)], ';')
	if end < 2 {
		return 0, 0
	}
	body := s[1:end]
	switch body {
	case "amp":
		return '&', end + 1
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "quot":
		return '"', end + 1
	case "apos":
		return '\'', end + 1
	}
	if body[0] != '#' {
		return 0, 0
	}
	digits, base := body[1:], 10
	if strings.HasPrefix(digits, "x") {
		digits, base = digits[1:], 16
	}
	code, err := strconv.ParseUint(digits, base, 32)
	if err != nil || strings.HasPrefix(digits, "+") || !isXMLChar(rune(code)) {
		return 0, 0
	}
	return rune(code), end + 1
}

func isXMLChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && utf8.ValidRune(r) && r != 0xfffe && r != 0xffff
}

// nameEnd returns the offset behind the XML name that starts at i. Beyond
// ASCII it is generous: such a name is unknown to FHIR and refused later.
func nameEnd(s string, i int) int {
	start := i
	for i < len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == ':', c >= 0x80:
		case (c >= '0' && c <= '9' || c == '-' || c == '.') && i > start:
		default:
			return i
		}
		i++
	}
	return i
}
