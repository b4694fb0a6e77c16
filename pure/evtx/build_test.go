package evtx

import (
	"encoding/binary"
	"hash/crc32"
	"unicode/utf16"
)

// builder writes event logs for tests: a chunk with one template and records
// that use it.
type builder struct {
	chunk []byte
	pos   int
	first uint64
	id    uint64
	last  int
	def   int // offset of the template definition
}

func newBuilder() *builder {
	return &builder{chunk: make([]byte, chunkSize), pos: chunkHeaderSize, first: 1}
}

func (b *builder) put(v ...byte) { b.pos += copy(b.chunk[b.pos:], v) }
func (b *builder) u16(v int)     { b.put(byte(v), byte(v>>8)) }
func (b *builder) u32(v int)     { b.put(byte(v), byte(v>>8), byte(v>>16), byte(v>>24)) }
func (b *builder) u64(v uint64)  { b.put(binary.LittleEndian.AppendUint64(nil, v)...) }
func (b *builder) text(s string) {
	for _, u := range utf16.Encode([]rune(s)) {
		b.u16(int(u))
	}
}

// name writes an inline name.
func (b *builder) name(s string) {
	b.u32(b.pos + 4)
	b.u32(0)
	b.u16(0)
	b.u16(len(utf16.Encode([]rune(s))))
	b.text(s)
	b.u16(0)
}

func (b *builder) open(name string, attrs ...func()) {
	tok := byte(tokOpen)
	if len(attrs) > 0 {
		tok |= 0x40
	}
	b.put(tok)
	b.u16(0xffff)
	b.u32(0)
	b.name(name)
	if len(attrs) > 0 {
		b.u32(0)
		for _, a := range attrs {
			a()
		}
	}
	b.put(tokCloseOpen)
}

func (b *builder) close() { b.put(tokClose) }

func (b *builder) attr(name, value string) func() {
	return func() {
		b.put(tokAttribute)
		b.name(name)
		b.put(tokValue, byte(String))
		b.u16(len(utf16.Encode([]rune(value))))
		b.text(value)
	}
}

func (b *builder) sub(tok byte, n int, t Type) {
	b.put(tok)
	b.u16(n)
	b.put(byte(t))
}

// val is one value of a record.
type val struct {
	t Type
	b []byte
}

func str(s string) val {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return val{String, out}
}

// record writes a record with EventID, EventRecordID, Channel, and the two
// EventData fields Image and Status.
func (b *builder) record(vals ...val) {
	b.id++
	start := b.pos
	b.last = start
	b.u32(recordMagic)
	b.u32(0)
	b.u64(b.id)
	b.u64(132_000_000_000_000_000 + b.id*10_000_000)
	b.put(tokFragment, 1, 1, 0, tokTemplate, 1)
	b.u32(0x11223344)
	if b.def == 0 {
		b.u32(b.pos + 4)
		b.definition()
	} else {
		b.u32(b.def)
	}
	b.u32(len(vals))
	for _, v := range vals {
		b.u16(len(v.b))
		b.put(byte(v.t), 0)
	}
	for _, v := range vals {
		b.put(v.b...)
	}
	b.put(tokEnd)
	for (b.pos-start+4)%8 != 0 {
		b.put(0)
	}
	size := b.pos - start + 4
	b.u32(size)
	binary.LittleEndian.PutUint32(b.chunk[start+4:], uint32(size))
}

func (b *builder) definition() {
	b.def = b.pos
	b.u32(0)
	b.u32(0x11223344)
	b.put(make([]byte, 12)...)
	sizeAt := b.pos
	b.u32(0)
	b.put(tokFragment, 1, 1, 0)
	b.open("Event", b.attr("xmlns", "http://schemas.microsoft.com/win/2004/08/events/event"))
	b.open("System")
	for i, n := range []string{"EventID", "EventRecordID", "Channel"} {
		b.open(n)
		b.sub(tokOptSub, i, []Type{UInt16, UInt64, String}[i])
		b.close()
	}
	b.close()
	b.open("EventData")
	for i, n := range []string{"Image", "Status"} {
		b.open("Data", b.attr("Name", n))
		b.sub(tokSub, 3+i, String)
		b.close()
	}
	b.close()
	b.close()
	b.put(tokEnd)
	binary.LittleEndian.PutUint32(b.chunk[sizeAt:], uint32(b.pos-sizeAt-4))
}

// file closes the chunk and puts the file header before it.
func (b *builder) file() []byte {
	c := b.chunk
	copy(c, "ElfChnk\x00")
	le := binary.LittleEndian
	for _, at := range []int{8, 24} {
		le.PutUint64(c[at:], b.first)
		le.PutUint64(c[at+8:], b.id)
	}
	le.PutUint32(c[40:], 128)
	le.PutUint32(c[44:], uint32(b.last))
	le.PutUint32(c[48:], uint32(b.pos))
	le.PutUint32(c[52:], crc32.ChecksumIEEE(c[chunkHeaderSize:b.pos]))
	sum := crc32.ChecksumIEEE(c[:120])
	le.PutUint32(c[124:], crc32.Update(sum, crc32.IEEETable, c[128:chunkHeaderSize]))
	h := make([]byte, headerSize)
	copy(h, "ElfFile\x00")
	le.PutUint64(h[24:], b.id+1)
	le.PutUint32(h[32:], 128)
	le.PutUint16(h[36:], 1)
	le.PutUint16(h[38:], 3)
	le.PutUint16(h[40:], headerSize)
	le.PutUint16(h[42:], 1)
	le.PutUint32(h[124:], crc32.ChecksumIEEE(h[:120]))
	return append(h, c...)
}

func u16val(v int) val    { return val{UInt16, []byte{byte(v), byte(v >> 8)}} }
func u64val(v uint64) val { return val{UInt64, binary.LittleEndian.AppendUint64(nil, v)} }

// sample has three records: a text with all lengths of UTF-8, a HexInt, a null.
func sample() []byte {
	b := newBuilder()
	b.record(u16val(1), u64val(101), str("Security"), str(`C:\Ümlaut\€\😀.exe`), val{HexInt64, []byte{0xe7, 3, 0, 0, 0, 0, 0, 0}})
	b.record(u16val(4688), u64val(102), str("Security"), str(""), val{Null, nil})
	b.record(u16val(7), val{Null, nil}, str("System"), str("x"), val{String | ArrayFlag, []byte{'a', 0, 0, 0, 'b', 0, 0, 0}})
	return b.file()
}
