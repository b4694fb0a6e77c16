package kimmail

import "math"

// KIM mails arrive as BER with indefinite lengths and chopped octet strings
// (ITU-T X.690 §8.1.3.6, §8.7.3), while the readers behind need DER. toDER
// converts in two linear passes: the first measures, the second writes.

const (
	tagConstructed = 0x20
	tagClassMask   = 0xc0
	maxTagBytes    = 4 // identifier octets; KIM needs two (7F49)
)

// berNode is what the first pass learned of one element, in document order.
type berNode struct {
	start, body int // offsets of the identifier and of the content
	length      int // content length in DER
	children    int // index after the last descendant
	merged      bool
}

type berReader struct {
	in      []byte
	lim     Limits
	nodes   []berNode
	changed bool // the input is not already definite, minimal and primitive
}

// toDER converts the first element of b and returns it with what follows it.
// When b is in that form already the result shares its memory. Definite lengths,
// minimal length octets and primitive strings are all it establishes: the order
// of SET OF is kept, because signatures are tried over it.
func toDER(b []byte, lim Limits) (der, rest []byte, err error) {
	r := berReader{in: b, lim: lim, nodes: make([]berNode, 0, 64)}
	end, err := r.measure(0, 0)
	if err != nil {
		return nil, nil, err
	}
	if !r.changed {
		return b[:end], b[end:], nil
	}
	root := r.nodes[0]
	out := make([]byte, 0, root.body-root.start+lengthBytes(root.length)+root.length)
	return r.write(out, 0), b[end:], nil
}

// measure reads the element at pos and returns the offset after it.
func (r *berReader) measure(pos, depth int) (int, error) {
	if depth > r.lim.ASN1Depth {
		return 0, overLimit("ASN.1 nesting", depth, r.lim.ASN1Depth)
	}
	if len(r.nodes) >= r.lim.ASN1Nodes {
		return 0, overLimit("ASN.1 elements", len(r.nodes)+1, r.lim.ASN1Nodes)
	}
	tag := pos
	constructed := false
	pos, constructed, err := r.identifier(pos)
	if err != nil {
		return 0, err
	}
	length, body, err := r.lengthAt(pos)
	if err != nil {
		return 0, err
	}
	if length < 0 && !constructed {
		return 0, malformed("indefinite length of a primitive element at %d", tag)
	}
	me := len(r.nodes)
	r.nodes = append(r.nodes, berNode{start: tag, body: body, length: length})
	if !constructed {
		r.nodes[me].children = me + 1
		return body + length, nil
	}
	return r.measureChildren(me, body, length, depth)
}

// measureChildren reads the elements inside a constructed one.
func (r *berReader) measureChildren(me, body, length, depth int) (int, error) {
	start := r.nodes[me].start
	r.nodes[me].merged = isStringTag(r.in[start])
	r.changed = r.changed || r.nodes[me].merged
	pos, end, total := body, body+length, 0
	if length < 0 {
		r.changed, end = true, len(r.in)
	}
	for length < 0 || pos != end {
		if pos >= end { // cut off, or the last child is longer than its parent
			return 0, malformed("element at %d ends too early", start)
		}
		if length < 0 && r.in[pos] == 0 {
			if pos+1 >= end || r.in[pos+1] != 0 {
				return 0, malformed("end mark at %d", pos)
			}
			pos += 2
			break
		}
		child := len(r.nodes)
		next, err := r.measure(pos, depth+1)
		if err != nil {
			return 0, err
		}
		size, err := r.sizeWithin(me, child)
		if err != nil {
			return 0, err
		}
		total, pos = total+size, next
	}
	r.nodes[me].length, r.nodes[me].children = total, len(r.nodes)
	return pos, nil
}

// sizeWithin is what a child adds to its parent: its whole encoding, or for a
// chopped string only its content.
func (r *berReader) sizeWithin(parent, child int) (int, error) {
	c := &r.nodes[child]
	if !r.nodes[parent].merged {
		return c.body - c.start - r.lengthOctets(c) + lengthBytes(c.length) + c.length, nil
	}
	if r.in[c.start]&^tagConstructed != r.in[r.nodes[parent].start]&^tagConstructed {
		return 0, malformed("piece of a string at %d has another type", c.start)
	}
	return c.length, nil
}

// lengthOctets is how many octets the length of c took in the input.
func (r *berReader) lengthOctets(c *berNode) int {
	return c.body - c.start - r.tagOctets(c.start)
}

func (r *berReader) tagOctets(pos int) int {
	if r.in[pos]&0x1f != 0x1f {
		return 1
	}
	n := 2
	for r.in[pos+n-1]&0x80 != 0 {
		n++
	}
	return n
}

func (r *berReader) identifier(pos int) (next int, constructed bool, err error) {
	if pos >= len(r.in) {
		return 0, false, malformed("element at %d is cut off", pos)
	}
	first := r.in[pos]
	if first == 0 {
		return 0, false, malformed("tag zero at %d", pos)
	}
	next = pos + 1
	if first&0x1f == 0x1f {
		for {
			if next >= len(r.in) || next-pos >= maxTagBytes {
				return 0, false, malformed("tag at %d", pos)
			}
			next++
			if r.in[next-1]&0x80 == 0 {
				break
			}
		}
	}
	return next, first&tagConstructed != 0, nil
}

// lengthAt reads length octets; -1 means indefinite. A definite length always
// fits into the input.
func (r *berReader) lengthAt(pos int) (length, body int, err error) {
	if pos >= len(r.in) {
		return 0, 0, malformed("length at %d is cut off", pos)
	}
	first := r.in[pos]
	pos++
	switch {
	case first == 0x80:
		return -1, pos, nil
	case first < 0x80:
		length = int(first)
	default:
		n := int(first & 0x7f)
		if n > len(r.in)-pos || n > 8 {
			return 0, 0, malformed("length at %d", pos-1)
		}
		for _, c := range r.in[pos : pos+n] {
			if length > math.MaxInt32>>8 {
				return 0, 0, malformed("length at %d", pos-1)
			}
			length = length<<8 | int(c)
		}
		pos += n
		r.changed = r.changed || n+1 != lengthBytes(length)
	}
	if length > len(r.in)-pos {
		return 0, 0, malformed("length at %d reaches beyond the end", pos-1)
	}
	return length, pos, nil
}

// write appends node i in DER.
func (r *berReader) write(out []byte, i int) []byte {
	n := &r.nodes[i]
	tag := r.in[n.start : n.start+r.tagOctets(n.start)]
	if n.merged {
		out = append(out, tag[0]&^tagConstructed)
		out = appendLength(out, n.length)
		return r.writePieces(out, i)
	}
	out = append(out, tag...)
	out = appendLength(out, n.length)
	if tag[0]&tagConstructed == 0 {
		return append(out, r.in[n.body:n.body+n.length]...)
	}
	for c := i + 1; c < n.children; c = r.nodes[c].children {
		out = r.write(out, c)
	}
	return out
}

// writePieces appends the contents of a chopped string without their headers.
func (r *berReader) writePieces(out []byte, i int) []byte {
	for c := i + 1; c < r.nodes[i].children; c = r.nodes[c].children {
		if n := &r.nodes[c]; n.merged {
			out = r.writePieces(out, c)
		} else {
			out = append(out, r.in[n.body:n.body+n.length]...)
		}
	}
	return out
}

// isStringTag tells of the universal octet and character strings, whose
// constructed form is a sequence of pieces. BIT STRING is left out on purpose:
// pieces of it do not simply join, and CMS never sends it so.
func isStringTag(tag byte) bool {
	if tag&tagClassMask != 0 {
		return false
	}
	switch tag & 0x1f {
	case 4, 12, 18, 19, 20, 21, 22, 25, 26, 27, 28, 30:
		return true
	}
	return false
}

func lengthBytes(n int) int {
	switch {
	case n < 0x80:
		return 1
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	case n < 1<<24:
		return 4
	}
	return 5
}

func appendLength(out []byte, n int) []byte {
	switch lengthBytes(n) {
	case 1:
		return append(out, byte(n))
	case 2:
		return append(out, 0x81, byte(n))
	case 3:
		return append(out, 0x82, byte(n>>8), byte(n))
	case 4:
		return append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}
