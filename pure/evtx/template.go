package evtx

import (
	"fmt"
	"strings"
)

// place says where in the event a part of it stands, since that decides the
// names of fields.
type place uint8

const (
	placeRoot    place = iota // outside, Event is expected
	placeEvent                // in Event
	placeSystem               // in Event/System
	placeData                 // in Event/EventData
	placeUser                 // in Event/UserData
	placeUserIn               // below the element in UserData
	placeSection              // in another part of Event, or below
)

// templateKey: one definition may be used in several places.
type templateKey struct {
	offset  int
	place   place
	section string
}

// template is a compiled definition: which field comes from which value.
type template struct {
	ops []op
	err error
}

// op emits one field.
type op struct {
	name    string
	named   []piece // instead of name: the Name attribute is itself made of values
	sub     int     // number of the value, -1: pieces
	omit    bool    // a value of type Null makes no field
	pieces  []piece
	place   place // of what the value contains, should it be BinXml
	section string
}

// piece is a text or a value inside a field that has several.
type piece struct {
	text     string
	sub      int  // -1: text
	optional bool // without a value there is no field either
}

// compiler walks the BinXml of a definition, or of a part without template.
type compiler struct {
	cursor
	r    *Reader
	deps bool // elements carry a dependency id
	out  template
}

const maxNesting = 32

// token kinds, without the "more data" bit 0x40.
const (
	tokEnd       = 0x00
	tokOpen      = 0x01
	tokCloseOpen = 0x02
	tokCloseVoid = 0x03
	tokClose     = 0x04
	tokValue     = 0x05
	tokAttribute = 0x06
	tokCDATA     = 0x07
	tokCharRef   = 0x08
	tokEntityRef = 0x09
	tokPITarget  = 0x0a
	tokPIData    = 0x0b
	tokTemplate  = 0x0c
	tokSub       = 0x0d
	tokOptSub    = 0x0e
	tokFragment  = 0x0f
)

// fragment compiles elements up to the end of the stream.
func (c *compiler) fragment(p place, section string, depth int) error {
	for c.pos < c.end && !c.fail {
		switch t := c.peek(); t &^ 0x40 {
		case tokFragment:
			c.skip(4)
		case tokOpen:
			if err := c.element(p, section, depth); err != nil {
				return err
			}
		case tokPITarget, tokPIData:
			c.instruction()
		case tokEnd:
			return nil
		default:
			return fmt.Errorf("unexpected token 0x%02x outside an element", t)
		}
	}
	if c.fail {
		return errShort
	}
	return nil
}

// instruction passes over a processing instruction.
func (c *compiler) instruction() {
	if c.u8() == tokPITarget {
		c.name()
		return
	}
	c.skip(2 * c.u16())
}

// name reads a name: an offset into the chunk, where the name may begin right here.
func (c *compiler) name() string {
	off := c.u32()
	if c.fail || off+8 > len(c.b) {
		c.fail = true
		return ""
	}
	n := cursor{b: c.b, pos: off + 6, end: len(c.b)}
	raw := n.bytes(2 * n.u16())
	if n.fail {
		c.fail = true
		return ""
	}
	if off == c.pos { // the name stands here
		c.pos = n.pos + 2
		if c.pos > c.end {
			c.fail = true
		}
	}
	return c.r.intern(raw)
}

// intern turns UTF-16 into a string, the same one every time.
func (r *Reader) intern(raw []byte) string {
	r.scratch = appendUTF16(r.scratch[:0], raw)
	return r.internUTF8(r.scratch)
}

func (r *Reader) internUTF8(b []byte) string {
	if s, ok := r.names[string(b)]; ok {
		return s
	}
	if len(r.names) > 100000 { // a hostile file shall not fill the memory
		clear(r.names)
	}
	s := string(b)
	r.names[s] = s
	return s
}

func (r *Reader) joined(a, sep, b string) string {
	r.scratch = append(append(append(r.scratch[:0], a...), sep...), b...)
	return r.internUTF8(r.scratch)
}

// element compiles one element with its attributes and content.
func (c *compiler) element(p place, section string, depth int) error {
	if depth > maxNesting {
		return errDeep
	}
	open := c.u8()
	if c.deps {
		c.skip(2)
	}
	c.skip(4)
	e := element{c: c, place: p, section: section, depth: depth, name: c.name()}
	if open&0x40 != 0 {
		c.skip(4)
		if err := e.attributes(); err != nil {
			return err
		}
	}
	e.enter()
	switch t := c.u8(); {
	case c.fail:
		return errShort
	case t == tokCloseVoid:
		e.finish()
		return nil
	case t == tokCloseOpen:
		return e.content()
	default:
		return fmt.Errorf("element %q: unexpected token 0x%02x", e.name, t)
	}
}

// element is the one being compiled.
type element struct {
	c       *compiler
	name    string
	place   place // where it stands
	section string
	inner   place // where its content stands
	innerS  string
	depth   int

	field   string // name of the field that its text makes
	dynamic []piece
	data    []piece // Name attribute
	attrs   int
	pieces  []piece
	kids    bool
}

// attributes compiles the attribute list: every attribute is a field of its
// own, but Name in EventData names the field of its element.
func (e *element) attributes() error {
	c := e.c
	for c.peek()&^0x40 == tokAttribute {
		c.skip(1)
		name := c.name()
		ps, err := c.pieces(nil)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(name, "xmlns"):
		case e.place == placeData && name == "Name":
			e.data = ps
		default:
			e.attrs++
			c.emit(op{name: c.r.joined(e.label(), "_", name), sub: -1, pieces: ps, place: placeSection, section: e.label()})
		}
	}
	return nil
}

// label is the name of the element as part of field names.
func (e *element) label() string {
	if e.place == placeSection && e.section != "" {
		return e.c.r.joined(e.section, ".", e.name)
	}
	return e.name
}

// enter decides where the content stands and what its text is called.
func (e *element) enter() {
	e.inner, e.field = placeSection, e.label()
	e.innerS = e.field
	switch e.place {
	case placeRoot:
		if e.name == "Event" {
			e.inner, e.innerS = placeEvent, ""
		}
	case placeEvent:
		switch e.name {
		case "System":
			e.inner, e.innerS = placeSystem, ""
		case "EventData":
			e.inner, e.innerS = placeData, ""
		case "UserData":
			e.inner, e.innerS = placeUser, ""
		}
	case placeData:
		if len(e.data) == 1 && e.data[0].sub < 0 {
			e.field = e.data[0].text
		} else if len(e.data) > 0 {
			e.dynamic = e.data
		}
		e.field = e.c.r.besideSystem("EventData", e.field)
	case placeUser, placeUserIn:
		e.inner, e.innerS = placeUserIn, ""
		e.field = e.c.r.besideSystem("UserData", e.field)
	case placeSystem, placeSection:
	}
}

// besideSystem keeps a field of the event's body apart from one of System with
// the same name: event 1108 carries the EventID of another event.
func (r *Reader) besideSystem(part, name string) string {
	switch name {
	case "EventID", "Version", "Level", "Task", "Opcode", "Keywords", "EventRecordID", "Channel", "Computer":
		return r.joined(part, ".", name)
	}
	return name
}

// content compiles up to the end of the element.
func (e *element) content() error {
	c := e.c
	for {
		var err error
		if e.pieces, err = c.pieces(e.pieces); err != nil {
			return err
		}
		switch t := c.peek(); t &^ 0x40 {
		case tokOpen:
			e.kids = true
			if err := c.element(e.inner, e.innerS, e.depth+1); err != nil {
				return err
			}
		case tokClose:
			c.skip(1)
			e.finish()
			return nil
		case tokPITarget, tokPIData:
			c.instruction()
		default:
			if c.fail || c.pos >= c.end {
				return errShort
			}
			return fmt.Errorf("element %q: unexpected token 0x%02x", e.name, t)
		}
		if c.fail {
			return errShort
		}
	}
}

// finish emits the field that the element's own text makes.
func (e *element) finish() {
	if e.kids {
		e.pieces = dropBlank(e.pieces)
	}
	if len(e.pieces) == 0 {
		structure := e.kids || e.attrs > 0 || e.place == placeRoot || e.place == placeEvent || e.place == placeSystem
		if structure {
			return
		}
	}
	e.c.emit(op{name: e.field, named: e.dynamic, sub: -1, pieces: e.pieces, place: e.inner, section: e.innerS})
}

// dropBlank drops the line breaks between child elements.
func dropBlank(ps []piece) []piece {
	out := ps[:0]
	for _, p := range ps {
		if p.sub >= 0 || strings.TrimSpace(p.text) != "" {
			out = append(out, p)
		}
	}
	return out
}

func (c *compiler) emit(o op) {
	if len(o.pieces) == 1 && o.pieces[0].sub >= 0 {
		o.sub, o.omit, o.pieces = o.pieces[0].sub, o.pieces[0].optional, nil
	}
	c.out.ops = append(c.out.ops, o)
}

// pieces reads values and substitutions as long as they come.
func (c *compiler) pieces(ps []piece) ([]piece, error) {
	for !c.fail {
		switch c.peek() &^ 0x40 {
		case tokValue:
			c.skip(1)
			if t := Type(c.u8()); t != String {
				return ps, fmt.Errorf("literal value of type 0x%02x", byte(t))
			}
			ps = append(ps, piece{text: string(appendUTF16(nil, c.bytes(2*c.u16()))), sub: -1})
		case tokSub, tokOptSub:
			optional := c.u8()&^0x40 == tokOptSub
			ps = append(ps, piece{sub: c.u16(), optional: optional})
			c.skip(1)
		case tokCDATA:
			c.skip(1)
			ps = append(ps, piece{text: string(appendUTF16(nil, c.bytes(2*c.u16()))), sub: -1})
		case tokCharRef:
			c.skip(1)
			ps = append(ps, piece{text: string(rune(c.u16())), sub: -1})
		case tokEntityRef:
			c.skip(1)
			ps = append(ps, piece{text: entity(c.name()), sub: -1})
		default:
			return ps, nil
		}
	}
	return ps, errShort
}

// entity resolves the five that XML has; others stay visible.
func entity(name string) string {
	switch name {
	case "amp":
		return "&"
	case "lt":
		return "<"
	case "gt":
		return ">"
	case "quot":
		return `"`
	case "apos":
		return "'"
	}
	return "&" + name + ";"
}
