package eau

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Limits of what is read. A real bundle has about 25 KB, 900 elements and 14
// levels, none can have more than 20 entries; the limits leave room for many
// times that and stop everything made to exhaust the reader.
const (
	maxBytes = 4 << 20
	maxNodes = 20_000
	maxDepth = 64
	maxAttrs = 32
)

const (
	nsFHIR  = "http://hl7.org/fhir"
	nsXHTML = "http://www.w3.org/1999/xhtml"
)

// FaultKind says why bytes are no readable document at all.
type FaultKind int

// The kinds of fault. The zero value is no fault.
const (
	FaultCharset FaultKind = iota + 1 // not UTF-8 without byte order mark
	FaultXML                          // not well-formed, or uses what is refused (DTD, entities)
	FaultLimit                        // larger or deeper than any document of this kind can be
)

// SyntaxError is the reason why Read refuses bytes. Its text is German and
// names no content of the document.
type SyntaxError struct {
	Kind FaultKind
	Line int // first line is 1
	Text string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("Zeile %d: %s", e.Line, e.Text) }

type nodeFlags uint8

const (
	hasValue nodeFlags = 1 << iota // attribute value was written
	hasURL                         // attribute url was written
	hasID                          // attribute id was written
	hasText                        // character data other than white space
	inXHTML                        // element of the XHTML namespace
	inOther                        // element of a namespace that FHIR does not use
)

// node is one element. Nodes live in one slice in document order, so that a
// document costs a handful of allocations; links are indices, 0 is none
// (node 0 is the document itself).
type node struct {
	name  string // local name
	value string
	url   string
	id    string // attribute id, not the element id
	pos   int32  // offset of '<'
	end   int32  // offset behind the end tag
	up    int32
	first int32
	next  int32
	last  int32
	flags nodeFlags
}

// strayAttr is an attribute that no FHIR element has.
type strayAttr struct {
	node int32
	name string
}

type binding struct {
	prefix string
	uri    string
	depth  int32
}

// tree is a scanned document. It can be used again for the next one.
type tree struct {
	src   string
	buf   []byte // what src is made of
	nodes []node
	stray []strayAttr
	ns    []binding
	attrs [maxAttrs]attr
}

type attr struct {
	name, value string
}

// line counts lines only when somebody asks: a valid document never pays for it.
func (t *tree) line(pos int32) int {
	return 1 + strings.Count(t.src[:min(int(pos), len(t.src))], "\n")
}

// forget clears everything that the document left behind: it is about people's health.
func (t *tree) forget() {
	clear(t.nodes)
	clear(t.stray)
	clear(t.ns)
	clear(t.attrs[:])
	clear(t.buf)
	t.src = ""
}

// reusable reports whether the tree is of a size to keep.
func (t *tree) reusable() bool { return cap(t.nodes) <= 8*1024 && cap(t.buf) <= 256<<10 }

func (t *tree) fault(kind FaultKind, pos int, text string) *SyntaxError {
	return &SyntaxError{Kind: kind, Line: t.line(int32(pos)), Text: text}
}

// scan fills the tree. The source must stay unchanged while the tree is used.
// It never panics; every refusal is a *SyntaxError.
func (t *tree) scan(b []byte) error {
	t.nodes, t.stray, t.ns, t.src = t.nodes[:0], t.stray[:0], t.ns[:0], ""
	if len(b) > maxBytes {
		return &SyntaxError{Kind: FaultLimit, Line: 1, Text: fmt.Sprintf("Das Dokument ist größer als %d Byte.", maxBytes)}
	}
	if err := checkCharset(b); err != nil {
		return err
	}
	// A copy, so that the caller may do with his bytes what he likes; in a buffer
	// that is used again, so that a document costs no garbage. Nothing that
	// outlives the tree may point into it: see TestNothingPointsIntoTheBuffer.
	t.buf = append(t.buf[:0], b...)
	t.src = unsafe.String(unsafe.SliceData(t.buf), len(t.buf)) //nolint:gosec // t.buf changes only when the tree is given back
	if cap(t.nodes) == 0 {
		t.nodes = make([]node, 0, 1200)
	}
	t.nodes = append(t.nodes, node{})
	s := scanner{tree: t, src: t.src}
	return s.document()
}

func checkCharset(b []byte) error {
	wrong := func(text string) error { return &SyntaxError{Kind: FaultCharset, Line: 1, Text: text} }
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return wrong("Das Dokument beginnt mit einer Byte-Reihenfolge-Marke (BOM); verlangt ist UTF-8 ohne BOM.")
	case bytes.HasPrefix(b, []byte("\xfe\xff")), bytes.HasPrefix(b, []byte("\xff\xfe")),
		bytes.HasPrefix(b, []byte("<\x00")), bytes.HasPrefix(b, []byte("\x00<")):
		return wrong("Das Dokument ist in UTF-16 oder UTF-32 kodiert; verlangt ist UTF-8 ohne BOM.")
	case !utf8.Valid(b):
		return wrong("Das Dokument enthält Bytefolgen, die kein UTF-8 sind.")
	}
	return nil
}

// scanner walks the source once. It knows elements, attributes, comments,
// processing instructions, CDATA and the predefined entities, and refuses a DTD.
type scanner struct {
	tree  *tree
	src   string
	pos   int
	cur   int32 // innermost open element, 0 outside
	depth int32
	root  bool // the root element was seen
	// The namespace without prefix, kept beside the bindings because nearly
	// every element asks for it.
	plain nodeFlags
}

func (s *scanner) fail(text string) error { return s.tree.fault(FaultXML, s.pos, text) }

func (s *scanner) document() error {
	s.plain = inOther
	if strings.HasPrefix(s.src, "<?xml") && len(s.src) > 5 && isSpace(s.src[5]) {
		if err := s.declaration(); err != nil {
			return err
		}
	}
	for s.pos < len(s.src) {
		if s.src[s.pos] != '<' {
			if err := s.text(); err != nil {
				return err
			}
			continue
		}
		if err := s.markup(); err != nil {
			return err
		}
	}
	switch {
	case s.cur != 0:
		return s.fail("Das Dokument endet, bevor alle Elemente geschlossen sind.")
	case !s.root:
		return s.fail("Das Dokument enthält kein Element.")
	}
	return nil
}

func (s *scanner) markup() error {
	rest := s.src[s.pos:]
	if len(rest) < 2 {
		return s.fail("Das Dokument endet mitten in einer Auszeichnung.")
	}
	switch rest[1] {
	case '/':
		return s.endTag()
	case '!':
		switch {
		case strings.HasPrefix(rest, "<!--"):
			return s.comment()
		case strings.HasPrefix(rest, "<![CDATA["):
			return s.cdata()
		case strings.HasPrefix(rest, "<!DOCTYPE"):
			return s.fail("Eine Dokumenttyp-Deklaration (DTD) ist nicht zulässig.")
		}
		return s.fail("Unbekannte Auszeichnung nach „<!“.")
	case '?':
		return s.instruction()
	}
	return s.startTag()
}

// text reads character data up to the next '<'. Outside XHTML only white space is meant to be there.
func (s *scanner) text() error {
	i := s.pos
	for i < len(s.src) && isSpace(s.src[i]) {
		i++
	}
	if i == len(s.src) || s.src[i] == '<' {
		s.pos = i
		return nil
	}
	s.pos = i
	if s.cur == 0 {
		return s.fail("Zeichen außerhalb des Wurzelelements.")
	}
	end := strings.IndexByte(s.src[i:], '<')
	if end < 0 {
		end = len(s.src) - i
	}
	raw := s.src[i : i+end]
	if k := strings.Index(raw, "]]>"); k >= 0 {
		s.pos += k
		return s.fail("„]]>“ steht außerhalb eines CDATA-Abschnitts.")
	}
	if _, err := s.decode(raw, false); err != nil {
		return err
	}
	s.tree.nodes[s.cur].flags |= hasText
	s.pos = i + end
	return nil
}

func (s *scanner) comment() error {
	body := s.src[s.pos+4:]
	end := strings.Index(body, "--")
	if end < 0 {
		return s.fail("Ein Kommentar ist nicht geschlossen.")
	}
	if err := s.validChars(body[:end]); err != nil {
		return err
	}
	if !strings.HasPrefix(body[end:], "-->") {
		s.pos += 4 + end
		return s.fail("„--“ ist in einem Kommentar nicht zulässig.")
	}
	s.pos += 4 + end + 3
	return nil
}

func (s *scanner) cdata() error {
	if s.cur == 0 {
		return s.fail("CDATA außerhalb des Wurzelelements.")
	}
	body := s.src[s.pos+9:]
	end := strings.Index(body, "]]>")
	if end < 0 {
		return s.fail("Ein CDATA-Abschnitt ist nicht geschlossen.")
	}
	if err := s.validChars(body[:end]); err != nil {
		return err
	}
	if strings.TrimLeft(body[:end], " \t\r\n") != "" {
		s.tree.nodes[s.cur].flags |= hasText
	}
	s.pos += 9 + end + 3
	return nil
}

func (s *scanner) instruction() error {
	body, _, closed := strings.Cut(s.src[s.pos+2:], "?>") // behind "<?": its sign does not also close it
	if !closed {
		return s.fail("Eine Verarbeitungsanweisung ist nicht geschlossen.")
	}
	n := nameEnd(body, 0)
	switch {
	case n == 0 || n < len(body) && !isSpace(body[n]):
		return s.fail("Eine Verarbeitungsanweisung hat keinen Namen.")
	case strings.EqualFold(body[:n], "xml"):
		return s.fail("Eine XML-Deklaration steht nur am Anfang.")
	}
	if err := s.validChars(body); err != nil {
		return err
	}
	s.pos += len("<?") + len(body) + len("?>")
	return nil
}

func (s *scanner) validChars(part string) error {
	for i := 0; i < len(part); i++ {
		if c := part[i]; c < ' ' && !isSpace(c) || c == 0xef && isNonChar(part[i:]) {
			return s.fail("Das Dokument enthält ein Zeichen, das XML nicht zulässt.")
		}
	}
	return nil
}

// isNonChar reports U+FFFE and U+FFFF, which XML 1.0 §2.2 excludes.
func isNonChar(s string) bool {
	return len(s) >= 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
