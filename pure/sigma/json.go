package sigma

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// JSONError says where a line is no JSON object.
type JSONError struct {
	Offset int
	Reason string
}

func (e *JSONError) Error() string { return fmt.Sprintf("no JSON at byte %d: %s", e.Offset, e.Reason) }

// maxJSONDepth bounds nesting of objects and lists.
const maxJSONDepth = 64

// DecodeJSON fills the event from one JSON object, flat or nested, and does
// not keep data. Events written by evtx_dump, Winlogbeat, NXLog and in the
// Elastic Common Schema get the field names that rules use; other nested names
// are joined with dots, lists are several values. Reset the event before.
//
// It is lenient where no meaning is at stake (control characters and broken
// UTF-8 inside texts are kept) and reports everything else with its place.
func (e *Event) DecodeJSON(data []byte) error {
	// No text is longer decoded than encoded, and texts are written eight bytes at a time.
	e.arena = slices.Grow(e.arena, len(data)+16)
	d := jsonDecoder{e: e, b: data}
	d.blank()
	if d.i >= len(data) || data[d.i] != '{' {
		return d.fail("an object is expected")
	}
	e.path = e.path[:0]
	if !d.object(0) {
		return d.err
	}
	d.blank()
	if d.i < len(data) {
		return d.fail("something follows the object")
	}
	e.aliases()
	if h := e.head(idProgram); h != 0 && len(e.Sources) == 0 {
		e.journal(string(e.value(&e.fields[h-1])))
	}
	return nil
}

type jsonDecoder struct {
	e   *Event
	b   []byte
	i   int
	err error
}

func (d *jsonDecoder) fail(reason string) error {
	if d.err == nil {
		d.err = &JSONError{d.i, reason}
	}
	return d.err
}

func (d *jsonDecoder) bad(reason string) bool {
	_ = d.fail(reason) // kept in d.err
	return false
}

// blank passes over white space.
func (d *jsonDecoder) blank() {
	for d.i < len(d.b) && d.b[d.i] <= ' ' {
		if c := d.b[d.i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
		d.i++
	}
}

// next passes over white space and returns the byte there, 0 at the end.
func (d *jsonDecoder) next() byte {
	if d.i < len(d.b) && d.b[d.i] > ' ' {
		return d.b[d.i]
	}
	d.blank()
	if d.i < len(d.b) {
		return d.b[d.i]
	}
	return 0
}

// object reads an object; d.i stands on its brace.
func (d *jsonDecoder) object(depth int) bool {
	if depth > maxJSONDepth {
		return d.bad("nested too deeply")
	}
	d.i++
	if d.next() == '}' {
		d.i++
		return true
	}
	base := len(d.e.path)
	for {
		if d.next() != '"' {
			return d.bad("a name in quotes is expected")
		}
		if !d.member(base, depth) {
			return false
		}
		switch d.next() {
		case ',':
			d.i++
		case '}':
			d.i++
			return true
		default:
			return d.bad("a comma or closing brace is expected")
		}
	}
}

// member reads one name and its value.
func (d *jsonDecoder) member(base, depth int) bool {
	e := d.e
	if n := e.last.next; n != nil && n.key != "" && base == 0 && len(d.b)-d.i > len(n.key) && string(d.b[d.i+1:d.i+1+len(n.key)]) == n.key {
		// The same name as last time, which is most often so.
		i := d.i
		d.i += 1 + len(n.key)
		if c := d.next(); c != '{' && c != '[' {
			e.last = n
			return d.value(e.field(n), c, depth)
		}
		d.i = i
	}
	off := len(e.arena)
	name, plain := d.name()
	if !plain { // escapes, or a broken text
		if !d.text() {
			return false
		}
		name = e.arena[off:]
	}
	if d.next() != ':' {
		return d.bad("a colon is expected")
	}
	d.i++
	c := d.next()
	if base == 0 && c != '{' && c != '[' {
		f := e.field(e.entry(name))
		e.arena = e.arena[:off]
		return d.value(f, c, depth)
	}
	if base > 0 {
		e.path = append(append(e.path[:base], '.'), name...)
	} else {
		e.path = append(e.path[:0], name...)
	}
	e.arena = e.arena[:off]
	if len(e.path) > maxPath {
		return d.bad("nested names are too long")
	}
	var ok bool
	if c == '{' {
		ok = d.object(depth + 1)
	} else {
		ok = d.value(e.field(e.entry(e.path)), c, depth)
	}
	e.path = e.path[:base]
	return ok
}

// name returns the text at d.i when it has no escapes, without copying it.
func (d *jsonDecoder) name() ([]byte, bool) {
	from := d.i + 1
	for i := from; i+8 <= len(d.b); i += 8 {
		v := binary.LittleEndian.Uint64(d.b[i:])
		q, s := v^('"'*ones8), v^('\\'*ones8)
		m := ((q - ones8) &^ q & highs8) | ((s - ones8) &^ s & highs8)
		if m == 0 {
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if d.b[i] != '"' {
			return nil, false
		}
		d.i = i + 1
		return d.b[from:i], true
	}
	return nil, false
}

// maxPath bounds nested names: each member may repeat all names above it.
const maxPath = 1024

// value reads a value and adds it to the event as a value of f.
func (d *jsonDecoder) value(f field, c byte, depth int) bool {
	e := d.e
	f.off = uint32(len(e.arena))
	switch c {
	case '"':
		if !d.text() {
			return false
		}
	case '[':
		return d.list(f, depth)
	case '{':
		return d.object(depth + 1)
	case 'n':
		if !d.word("null") {
			return false
		}
		f.null = true
		e.arena = e.arena[:f.off]
	case 't':
		if !d.word("true") {
			return false
		}
	case 'f':
		if !d.word("false") {
			return false
		}
	default:
		if !d.number() {
			return false
		}
	}
	f.n = uint32(len(e.arena)) - f.off
	e.push(f)
	return true
}

// list reads a list: each item is a value of the field; objects in it are
// fields below its name.
func (d *jsonDecoder) list(f field, depth int) bool {
	if depth > maxJSONDepth {
		return d.bad("nested too deeply")
	}
	d.i++
	if d.next() == ']' {
		d.i++
		return true
	}
	base := len(d.e.path)
	for {
		c := d.next()
		ok := false
		if c == '{' {
			ok = d.object(depth + 1)
		} else {
			ok = d.value(f, c, depth+1)
		}
		d.e.path = d.e.path[:base]
		if !ok {
			return false
		}
		switch d.next() {
		case ',':
			d.i++
		case ']':
			d.i++
			return true
		default:
			return d.bad("a comma or closing bracket is expected")
		}
	}
}

func (d *jsonDecoder) word(w string) bool {
	if len(d.b)-d.i < len(w) || string(d.b[d.i:d.i+len(w)]) != w {
		return d.bad("a value is expected")
	}
	d.e.arena = append(d.e.arena, w...)
	d.i += len(w)
	return true
}

// number copies a number as it is written.
func (d *jsonDecoder) number() bool {
	from := d.i
	for d.i < len(d.b) {
		switch c := d.b[d.i]; {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			d.i++
			continue
		}
		break
	}
	if c := d.b[from:d.i]; len(c) == 0 || c[len(c)-1] < '0' || c[len(c)-1] > '9' {
		return d.bad("a value is expected")
	}
	d.e.arena = append(d.e.arena, d.b[from:d.i]...)
	return true
}

// text decodes a string to the end of the arena; d.i stands on its quote.
func (d *jsonDecoder) text() bool {
	src, i := d.b, d.i+1
	if room := len(src) - i + 16; cap(d.e.arena)-len(d.e.arena) < room {
		d.e.arena = slices.Grow(d.e.arena, room)
	}
	dst := d.e.arena[:cap(d.e.arena)]
	j := len(d.e.arena)
	for {
		// Copy eight bytes at a time up to the next quote or backslash.
		for i+8 <= len(src) && j+8 <= len(dst) {
			v := binary.LittleEndian.Uint64(src[i:])
			binary.LittleEndian.PutUint64(dst[j:], v)
			q, s := v^('"'*ones8), v^('\\'*ones8)
			m := ((q - ones8) &^ q & highs8) | ((s - ones8) &^ s & highs8)
			if m != 0 {
				n := bits.TrailingZeros64(m) >> 3
				i, j = i+n, j+n
				break
			}
			i, j = i+8, j+8
		}
		if i >= len(src) {
			d.i = len(src)
			return d.bad("a text is not closed")
		}
		switch c := src[i]; c {
		case '"':
			d.i = i + 1
			d.e.arena = dst[:j]
			return true
		case '\\':
			if i+1 < len(src) && src[i+1] == '\\' { // by far the most frequent, in Windows paths
				dst[j] = '\\'
				i, j = i+2, j+1
				continue
			}
			d.i = i
			var n int
			if n, j = d.escape(dst, j); n == 0 {
				return false
			}
			i += n
		default: // the last bytes of the line
			dst[j] = c
			i, j = i+1, j+1
		}
	}
}

// escape decodes the escape at d.i into dst[j:] and returns its length and the new j.
func (d *jsonDecoder) escape(dst []byte, j int) (int, int) {
	if d.i+1 >= len(d.b) {
		_ = d.fail("a text is not closed") // kept in d.err
		return 0, j
	}
	c := d.b[d.i+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return d.unicode(dst, j)
	default:
		_ = d.fail("unknown escape in a text") // kept in d.err
		return 0, j
	}
	dst[j] = c
	return 2, j + 1
}

// unicode decodes \uXXXX, also as a pair of surrogates.
func (d *jsonDecoder) unicode(dst []byte, j int) (int, int) {
	r, ok := hex4(d.b, d.i+2)
	if !ok {
		_ = d.fail("four hexadecimal digits are expected") // kept in d.err
		return 0, j
	}
	n := 6
	if utf16.IsSurrogate(r) {
		low, ok := hex4(d.b, d.i+8)
		pair := utf16.DecodeRune(r, low)
		if ok && d.b[d.i+6] == '\\' && d.b[d.i+7] == 'u' && pair != utf8.RuneError {
			r, n = pair, 12
		} else {
			r = utf8.RuneError
		}
	}
	return n, j + len(utf8.AppendRune(dst[j:j], r))
}

func hex4(b []byte, at int) (rune, bool) {
	if len(b) < at+4 {
		return 0, false
	}
	var r rune
	for _, c := range b[at : at+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
