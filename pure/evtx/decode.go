package evtx

import (
	"encoding/binary"
	"fmt"
	"time"
)

const (
	maxFields = 20000   // per record
	maxArena  = 4 << 20 // bytes of text per record
	maxSubs   = 8192    // values of one template instance
)

// substitution is one value of a template instance.
type substitution struct {
	typ      Type
	from, to int // in the chunk
}

// decode renders the record at start into rec.
func (r *Reader) decode(rec *Record, start, size int) error {
	r.fields, r.arena, r.subs = r.fields[:0], r.arena[:0], r.subs[:0]
	r.budget = maxFields
	c := cursor{b: r.buf, pos: start + recordHeader, end: start + size - 4}
	if got := binary.LittleEndian.Uint32(r.buf[start+size-4:]); got != uint32(size) {
		// The size at the end is a copy; a torn record shows here first.
		if err := r.fragment(c, placeRoot, "", false, 0); err != nil {
			return fmt.Errorf("size at the end is %d, not %d: %w", got, size, err)
		}
	} else if err := r.fragment(c, placeRoot, "", false, 0); err != nil {
		return err
	}
	if len(r.fields) == 0 {
		return errShort
	}
	rec.Fields = r.fields
	if rec.Created.IsZero() {
		rec.Created = writtenTime(r.fields)
	}
	return nil
}

// writtenTime reads the time of an event whose System part came as plain text,
// as forwarded events do.
func writtenTime(fields []Field) time.Time {
	for i := range fields {
		if f := &fields[i]; f.Name == "TimeCreated_SystemTime" && !f.Null {
			t, err := time.Parse(time.RFC3339Nano, string(f.Text))
			if err != nil {
				return time.Time{}
			}
			return t.UTC()
		}
	}
	return time.Time{}
}

// fragment decodes a BinXml stream: usually one template instance.
func (r *Reader) fragment(c cursor, p place, section string, deps bool, depth int) error {
	if depth > maxNesting {
		return errDeep
	}
	for !c.fail && c.pos < c.end {
		switch t := c.peek(); t &^ 0x40 {
		case tokFragment:
			c.skip(4)
		case tokTemplate:
			if err := r.instance(&c, p, section, depth); err != nil {
				return err
			}
		case tokOpen, tokPITarget, tokPIData:
			return r.inline(&c, p, section, deps, depth)
		case tokEnd:
			return nil
		default:
			return fmt.Errorf("unexpected token 0x%02x at %d", t, c.pos)
		}
	}
	if c.fail {
		return errShort
	}
	return nil
}

// inline decodes elements that stand in the record without a template.
func (r *Reader) inline(c *cursor, p place, section string, deps bool, depth int) error {
	k := compiler{cursor: *c, r: r, deps: deps}
	if err := k.fragment(p, section, depth); err != nil {
		return err
	}
	return r.run(&k.out, nil, depth)
}

// instance decodes a template instance: definition, then values.
func (r *Reader) instance(c *cursor, p place, section string, depth int) error {
	c.skip(2) // token, version
	id := c.u32()
	off := c.u32()
	if c.fail {
		return errShort
	}
	if off == c.pos { // the definition stands here
		d := cursor{b: c.b, pos: off + 20, end: c.end}
		size := d.u32()
		d.skip(size)
		if d.fail {
			return errShort
		}
		c.pos = d.pos
	}
	t, err := r.template(off, id, p, section)
	if err != nil {
		return fmt.Errorf("template at %d: %w", off, err)
	}
	subs, err := r.values(c)
	if err != nil {
		return err
	}
	return r.run(t, subs, depth)
}

// template returns the compiled definition at an offset of the chunk. When it
// is destroyed there, the one with the same id that was read before serves;
// that is reported.
func (r *Reader) template(off, id int, p place, section string) (*template, error) {
	key := templateKey{off, p, section}
	if t, ok := r.templates[key]; ok {
		return t, t.err
	}
	t := r.compile(off, id, p, section)
	known := templateKey{id, p, section}
	if t.err == nil {
		r.known[known] = t
	} else if other := r.known[known]; other != nil {
		r.report(Damage{
			Chunk: r.chunk, Offset: r.record.Offset, Record: r.record.ID, Kind: DamagedChunk,
			Reason: fmt.Sprintf("template %08x is not where it should be (%v); the one of that id read before serves", id, t.err),
		})
		t = other
	}
	r.templates[key] = t
	return t, t.err
}

func (r *Reader) compile(off, id int, p place, section string) *template {
	c := compiler{cursor: cursor{b: r.buf, pos: off + 4, end: len(r.buf)}, r: r, deps: true}
	have := c.u32() // the GUID begins with the id
	c.skip(12)
	size := c.u32()
	switch {
	case c.fail || off < chunkHeaderSize || c.pos+size > len(r.buf):
		c.out.err = errShort
	case have != id:
		c.out.err = fmt.Errorf("found template %08x instead", have)
	default:
		c.end = c.pos + size
		c.out.err = c.fragment(p, section, 0)
	}
	return &c.out
}

// values reads the list of values of an instance.
func (r *Reader) values(c *cursor) ([]substitution, error) {
	n := c.u32()
	if c.fail || n > maxSubs {
		return nil, fmt.Errorf("template instance with %d values", n)
	}
	desc := c.bytes(4 * n)
	if c.fail {
		return nil, errShort
	}
	from := len(r.subs)
	for i := range n {
		size := int(binary.LittleEndian.Uint16(desc[4*i:]))
		at := c.take(size)
		if at < 0 {
			return nil, errShort
		}
		r.subs = append(r.subs, substitution{Type(desc[4*i+2]), at, at + size})
	}
	return r.subs[from:len(r.subs):len(r.subs)], nil
}

// run emits the fields of a template.
func (r *Reader) run(t *template, subs []substitution, depth int) error {
	for i := range t.ops {
		o := &t.ops[i]
		name := o.name
		if o.named != nil {
			name = r.besideSystem("EventData", r.internUTF8(r.text(nil, o.named, subs)))
		}
		if o.sub < 0 {
			from := len(r.arena)
			r.arena = r.text(r.arena, o.pieces, subs)
			if err := r.add(Field{Name: name, Text: r.arena[from:len(r.arena):len(r.arena)], Type: String}); err != nil {
				return err
			}
			continue
		}
		if o.sub >= len(subs) {
			continue // the template asks for a value that this instance does not have
		}
		if err := r.emit(name, o, subs[o.sub], depth); err != nil {
			return err
		}
	}
	return nil
}

// text joins texts and values.
func (r *Reader) text(dst []byte, ps []piece, subs []substitution) []byte {
	for _, p := range ps {
		switch {
		case p.sub < 0:
			dst = append(dst, p.text...)
		case p.sub < len(subs):
			s := subs[p.sub]
			dst = appendValue(dst, s.typ, r.buf[s.from:s.to])
		}
	}
	return dst
}

func (r *Reader) add(f Field) error {
	if r.budget--; r.budget < 0 || len(r.arena) > maxArena {
		return errTooMuch
	}
	r.fields = append(r.fields, f)
	return nil
}

// emit makes the field, or the fields, of one value.
func (r *Reader) emit(name string, o *op, s substitution, depth int) error {
	b := r.buf[s.from:s.to]
	switch {
	case s.typ == Null && o.omit:
		return nil // [MS-EVEN6]: an optional substitution without value leaves its element or attribute out
	case s.typ == Null:
		return r.add(Field{Name: name, Type: Null, Null: true})
	case s.typ == BinXML:
		return r.fragment(cursor{b: r.buf, pos: s.from, end: s.to}, o.place, o.section, false, depth+1)
	case s.typ&ArrayFlag != 0:
		return r.array(name, s.typ&^ArrayFlag, b)
	}
	if s.typ == FileTime && name == "TimeCreated_SystemTime" && len(b) == 8 {
		r.record.Created = fileTime(binary.LittleEndian.Uint64(b))
	}
	from := len(r.arena)
	r.arena = appendValue(r.arena, s.typ, b)
	return r.add(Field{Name: name, Text: r.arena[from:len(r.arena):len(r.arena)], Type: s.typ})
}

// array makes one field for each item.
func (r *Reader) array(name string, t Type, b []byte) error {
	if len(b) == 0 {
		return r.add(Field{Name: name, Type: t, Null: true})
	}
	for len(b) > 0 {
		item := b
		switch w := t.width(); {
		case t == String:
			item, b = cutNUL16(b)
		case w > 0 && len(b) > w:
			item, b = b[:w], b[w:]
		case t == SID && len(b) >= 8 && len(b) > 8+4*int(b[1]):
			n := 8 + 4*int(b[1])
			item, b = b[:n], b[n:]
		default:
			b = nil
		}
		from := len(r.arena)
		r.arena = appendValue(r.arena, t, item)
		if err := r.add(Field{Name: name, Text: r.arena[from:len(r.arena):len(r.arena)], Type: t}); err != nil {
			return err
		}
	}
	return nil
}

// cutNUL16 cuts off the first of several zero-terminated texts.
func cutNUL16(b []byte) (first, rest []byte) {
	for i := 0; i+2 <= len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return b[:i], b[i+2:]
		}
	}
	return b, nil
}
