package evtx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

const (
	headerSize      = 4096
	chunkSize       = 65536
	chunkHeaderSize = 512
	recordHeader    = 24 // magic, size, id, time
	minRecord       = recordHeader + 4
	recordMagic     = 0x00002a2a
)

// ErrNotEVTX means that neither the file header nor any chunk was found.
var ErrNotEVTX = errors.New("not a Windows event log: no file header and no chunk")

// Record is one event. Fields and their texts are valid until the next call of Next.
type Record struct {
	ID      uint64    // EventRecordID of the record header
	Written time.Time // when the log service wrote it
	Created time.Time // System/TimeCreated, zero when absent
	Chunk   int       // from 0
	Offset  int64     // in the file
	Fields  []Field
}

// Get returns the text of the first field of that name.
func (r *Record) Get(name string) (string, bool) {
	for i := range r.Fields {
		if r.Fields[i].Name == name {
			return string(r.Fields[i].Text), true
		}
	}
	return "", false
}

// Field is one value of an event.
type Field struct {
	Name string
	Text []byte // rendered as Windows shows it
	Type Type
	Null bool // present in the template, but without a value
}

// Reader reads the records of one file in order. It may be used again for
// another file with Reset, which keeps its memory.
type Reader struct {
	src    io.ReaderAt
	size   int64
	record Record
	damage []Damage
	stats  Stats
	dirty  bool
	noCRC  bool

	chunk  int // index of the chunk in buf
	buf    []byte
	have   int // bytes of buf that come from the file
	pos    int // next record
	free   int // end of records as the header says
	inside bool
	lastID uint64

	names     map[string]string
	templates map[templateKey]*template // of this chunk, by offset
	known     map[templateKey]*template // of this file, by template id
	fields    []Field
	arena     []byte
	subs      []substitution
	scratch   []byte
	budget    int
}

// Stats counts what was seen.
type Stats struct {
	Records int // delivered
	Damaged int // records that could not be read
	Chunks  int
	Bytes   int64
}

// NewReader reads from a file of the given size.
func NewReader(src io.ReaderAt, size int64) *Reader {
	r := &Reader{buf: make([]byte, chunkSize), names: map[string]string{}, templates: map[templateKey]*template{}, known: map[templateKey]*template{}}
	r.Reset(src, size)
	return r
}

// NewBytesReader reads a file that is already in memory.
func NewBytesReader(data []byte) *Reader {
	return NewReader(bytes.NewReader(data), int64(len(data)))
}

// Reset starts with another file.
func (r *Reader) Reset(src io.ReaderAt, size int64) {
	r.src, r.size = src, size
	clear(r.known)
	r.damage, r.stats = nil, Stats{Bytes: size}
	r.dirty, r.noCRC, r.inside, r.chunk, r.lastID = false, false, false, -1, 0
	r.header()
}

// Damage lists what could not be read, or reads doubtfully, so far.
func (r *Reader) Damage() []Damage { return r.damage }

// Stats returns the counts so far.
func (r *Reader) Stats() Stats { return r.stats }

// Err says whether the file was no event log at all. Call it after the last record.
func (r *Reader) Err() error {
	if r.stats.Chunks == 0 && !r.validHeader() {
		return ErrNotEVTX
	}
	return nil
}

func (r *Reader) validHeader() bool {
	var magic [8]byte
	n, err := r.src.ReadAt(magic[:], 0)
	return n == 8 && (err == nil || errors.Is(err, io.EOF)) && string(magic[:]) == "ElfFile\x00"
}

// header looks at the file header; nothing in it is needed to read the chunks.
func (r *Reader) header() {
	var h [128]byte
	n, err := r.src.ReadAt(h[:], 0)
	if n < len(h) {
		r.report(Damage{Chunk: -1, Kind: DamagedHeader, Reason: fmt.Sprintf("file header: %d of 128 bytes: %v", n, err)})
		return
	}
	if string(h[:8]) != "ElfFile\x00" {
		r.report(Damage{Chunk: -1, Kind: DamagedHeader, Reason: "file header: signature is not ElfFile"})
		return
	}
	flags := binary.LittleEndian.Uint32(h[120:])
	r.dirty, r.noCRC = flags&1 != 0, flags&4 != 0
	if got, want := crc32.ChecksumIEEE(h[:120]), binary.LittleEndian.Uint32(h[124:]); got != want && !r.noCRC {
		r.report(Damage{Chunk: -1, Kind: BadChecksum, Reason: fmt.Sprintf("file header: checksum %08x, computed %08x", want, got)})
	}
}

// Next moves to the next readable record; false at the end of the file.
func (r *Reader) Next() (*Record, bool) {
	for {
		if !r.inside && !r.nextChunk() {
			return nil, false
		}
		rec, size, ok := r.nextRecord()
		if !ok {
			r.inside = false
			continue
		}
		start := r.pos
		r.pos += size
		if err := r.decode(rec, start, size); err != nil {
			r.stats.Damaged++
			r.report(Damage{Chunk: r.chunk, Offset: rec.Offset, Record: rec.ID, Kind: DamagedRecord, Reason: err.Error()})
			continue
		}
		r.stats.Records++
		return rec, true
	}
}

// nextChunk loads the next chunk that is not empty.
func (r *Reader) nextChunk() bool {
	for {
		r.chunk++
		off := int64(headerSize) + int64(r.chunk)*chunkSize
		if off >= r.size {
			return false
		}
		n, err := r.src.ReadAt(r.buf, off)
		if err != nil && !errors.Is(err, io.EOF) {
			r.report(Damage{Chunk: r.chunk, Offset: off, Kind: DamagedChunk, Reason: err.Error()})
		}
		clear(r.buf[n:])
		r.have = n
		if r.openChunk(off) {
			return true
		}
	}
}

// openChunk checks the chunk's header and gets ready to read its records.
func (r *Reader) openChunk(off int64) bool {
	clear(r.templates)
	r.pos, r.free, r.lastID = chunkHeaderSize, chunkSize, 0
	if string(r.buf[:8]) != "ElfChnk\x00" {
		if isZero(r.buf[:r.have]) {
			return false
		}
		r.report(Damage{Chunk: r.chunk, Offset: off, Kind: DamagedChunk, Reason: "chunk signature is not ElfChnk; looking for records inside"})
		r.inside = true
		return true
	}
	r.stats.Chunks++
	if r.have < chunkSize {
		r.report(Damage{Chunk: r.chunk, Offset: off, Kind: DamagedChunk, Reason: fmt.Sprintf("chunk is cut off after %d of 65536 bytes", r.have)})
	}
	free := int(binary.LittleEndian.Uint32(r.buf[48:]))
	if free >= chunkHeaderSize && free <= chunkSize {
		r.free = free
	} else {
		r.report(Damage{Chunk: r.chunk, Offset: off, Kind: DamagedChunk, Reason: fmt.Sprintf("chunk says its records end at %d", free)})
	}
	r.checkSums(off)
	r.inside = true
	return true
}

// checkSums compares both checksums. A file that was not closed has old ones:
// that is said once, by the dirty flag, and not for every chunk.
func (r *Reader) checkSums(off int64) {
	if r.dirty || r.noCRC || r.have < chunkSize {
		return
	}
	flags := binary.LittleEndian.Uint32(r.buf[120:])
	if flags&4 != 0 {
		return
	}
	head := crc32.ChecksumIEEE(r.buf[:120])
	head = crc32.Update(head, crc32.IEEETable, r.buf[128:chunkHeaderSize])
	if want := binary.LittleEndian.Uint32(r.buf[124:]); head != want {
		r.report(Damage{Chunk: r.chunk, Offset: off, Kind: BadChecksum, Reason: fmt.Sprintf("chunk header: checksum %08x, computed %08x", want, head)})
	}
	if body, want := crc32.ChecksumIEEE(r.buf[chunkHeaderSize:r.free]), binary.LittleEndian.Uint32(r.buf[52:]); body != want {
		r.report(Damage{Chunk: r.chunk, Offset: off, Kind: BadChecksum, Reason: fmt.Sprintf("chunk records: checksum %08x, computed %08x", want, body)})
	}
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// nextRecord finds the next record of the chunk and checks its frame.
func (r *Reader) nextRecord() (*Record, int, bool) {
	base := int64(headerSize) + int64(r.chunk)*chunkSize
	for r.pos+minRecord <= r.have {
		size, id := r.frame(r.pos)
		if r.pos >= r.free && (size == 0 || id != r.lastID+1 || r.lastID == 0) {
			return nil, 0, false // what lies behind the end is old, unless it continues the count
		}
		if size > 0 {
			r.lastID = id
			r.record = Record{
				ID: id, Written: fileTime(binary.LittleEndian.Uint64(r.buf[r.pos+16:])),
				Chunk: r.chunk, Offset: base + int64(r.pos),
			}
			return &r.record, size, true
		}
		from := r.pos
		r.pos = r.findRecord(r.pos+1, min(r.free, r.have))
		if r.pos > r.free || !isZero(r.buf[from:min(r.pos, r.have)]) {
			r.stats.Damaged++
			r.report(Damage{
				Chunk: r.chunk, Offset: base + int64(from), Kind: DamagedRecord,
				Reason: fmt.Sprintf("no record where one should begin; %d bytes passed over", min(r.pos, r.have)-from),
			})
		}
	}
	if r.pos < min(r.free, r.have) && !isZero(r.buf[r.pos:r.have]) {
		r.stats.Damaged++
		r.report(Damage{Chunk: r.chunk, Offset: base + int64(r.pos), Kind: DamagedRecord, Reason: "record is cut off"})
		r.pos = chunkSize
	}
	return nil, 0, false
}

// frame returns the size of the record at pos, 0 when there is none.
func (r *Reader) frame(pos int) (size int, id uint64) {
	b := r.buf
	if binary.LittleEndian.Uint32(b[pos:]) != recordMagic {
		return 0, 0
	}
	n := binary.LittleEndian.Uint32(b[pos+4:])
	id = binary.LittleEndian.Uint64(b[pos+8:])
	if n < minRecord || n > chunkSize || pos+int(n) > r.have {
		return 0, id
	}
	return int(n), id
}

// findRecord looks for the next place that looks like a record: signature, and
// the same size at both ends.
func (r *Reader) findRecord(from, end int) int {
	magic := []byte{0x2a, 0x2a, 0, 0}
	for from+minRecord <= end {
		i := bytes.Index(r.buf[from:end], magic)
		if i < 0 {
			break
		}
		from += i
		if from+minRecord <= end {
			if n, _ := r.frame(from); n > 0 && binary.LittleEndian.Uint32(r.buf[from+n-4:]) == uint32(n) {
				return from
			}
		}
		from++
	}
	return max(end, from)
}
