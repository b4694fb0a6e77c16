package sigma

import (
	"encoding/binary"
	"math/bits"
)

// gramLen is the number of bytes the scanner looks at at once; shorter
// literals are not its business.
const gramLen = 4

// anchor says where a literal must stand.
type anchor uint8

const (
	anchorNone  anchor = 0
	anchorStart anchor = 1
	anchorEnd   anchor = 2
)

// scanner finds which of many literals occur in a text. It looks up four bytes
// at every place in a small bit table that stays in the cache; only where that
// says "perhaps" are literals compared. Each literal is filed under the four
// of its bytes that are rarest among all literals.
//
// Literals are folded; texts need not be: bit 0x20, which tells upper from
// lower case in ASCII, is set on both sides before looking up.
type scanner struct {
	filter []uint64 // bit table over hashed grams
	shift  uint
	slots  []scanSlot // open addressing by gram
	mask   uint32
	lits   []scanLit
}

type scanSlot struct {
	gram uint32
	from int32 // first literal+1, 0: free
	n    int32
}

type scanLit struct {
	text  string
	at    int32 // of the gram in the literal
	field int32 // where it must stand, 0: anywhere
	pay   int32 // what the literal stands for
	anch  anchor
}

const (
	lower4 = 0x20202020
	lower8 = 0x2020202020202020
)

const gramMul = 0x9e3779b1

// gramCounts says how common four bytes are among the literals of all rules;
// that is a fair guess at how common they are in logs.
type gramCounts map[uint32]int32

func (g gramCounts) add(lit string) {
	for i := 0; i+gramLen <= len(lit); i++ {
		g[gramAt(lit, i)]++
	}
}

func gramAt(s string, i int) uint32 {
	return (uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24) | lower4
}

type scanBuilder struct {
	counts gramCounts
	byGram map[uint32][]scanLit
	order  []uint32
}

func newScanBuilder(counts gramCounts) *scanBuilder {
	return &scanBuilder{counts: counts, byGram: map[uint32][]scanLit{}}
}

// add files a literal of at least gramLen bytes.
func (b *scanBuilder) add(lit string, anch anchor, field, pay int32) {
	at, best := 0, int32(1<<30)
	for i := 0; i+gramLen <= len(lit); i++ {
		if n := b.counts[gramAt(lit, i)]; n < best {
			at, best = i, n
		}
	}
	g := gramAt(lit, at)
	if _, ok := b.byGram[g]; !ok {
		b.order = append(b.order, g)
	}
	b.byGram[g] = append(b.byGram[g], scanLit{text: lit, at: int32(at), field: field, pay: pay, anch: anch})
}

// build returns nil when nothing was added.
func (b *scanBuilder) build() *scanner {
	if len(b.order) == 0 {
		return nil
	}
	// 32 bits a gram: one place in thirty-two is looked at in vain.
	logBits := min(max(bits.Len(uint(32*len(b.order))), 9), 18)
	logSlots := bits.Len(uint(2 * len(b.order)))
	s := &scanner{
		filter: make([]uint64, 1<<(logBits-6)), shift: uint(32 - logBits),
		slots: make([]scanSlot, 1<<logSlots), mask: 1<<logSlots - 1,
	}
	for _, g := range b.order {
		h := g * gramMul
		f := h >> s.shift
		s.filter[f>>6] |= 1 << (f & 63)
		i := h & s.mask
		for s.slots[i].from != 0 {
			i = (i + 1) & s.mask
		}
		s.slots[i] = scanSlot{gram: g, from: int32(len(s.lits) + 1), n: int32(len(b.byGram[g]))}
		s.lits = append(s.lits, b.byGram[g]...)
	}
	return s
}

// any says whether one of the literals occurs in a folded text.
func (s *scanner) any(v []byte) bool {
	for i := s.next(v, 0); i >= 0; i = s.next(v, i+1) {
		for _, l := range s.find(binary.LittleEndian.Uint32(v[i:]) | lower4) {
			if from := i - int(l.at); from >= 0 && from+len(l.text) <= len(v) && string(v[from:from+len(l.text)]) == l.text {
				return true
			}
		}
	}
	return false
}

// next returns the next place from i on where the filter says "perhaps", -1 at
// the end. Four places are looked at with one load and one branch.
func (s *scanner) next(v []byte, i int) int {
	filter, shift := s.filter, s.shift&31
	for ; i+8 <= len(v); i += 4 {
		x := binary.LittleEndian.Uint64(v[i:]) | lower8
		f0 := (uint32(x) * gramMul) >> shift
		f1 := (uint32(x>>8) * gramMul) >> shift
		f2 := (uint32(x>>16) * gramMul) >> shift
		f3 := (uint32(x>>24) * gramMul) >> shift
		h0 := filter[f0>>6] >> (f0 & 63)
		h1 := filter[f1>>6] >> (f1 & 63)
		h2 := filter[f2>>6] >> (f2 & 63)
		h3 := filter[f3>>6] >> (f3 & 63)
		if (h0|h1|h2|h3)&1 == 0 {
			continue
		}
		switch {
		case h0&1 != 0:
			return i
		case h1&1 != 0:
			return i + 1
		case h2&1 != 0:
			return i + 2
		}
		return i + 3
	}
	for ; i+gramLen <= len(v); i++ {
		f := ((binary.LittleEndian.Uint32(v[i:]) | lower4) * gramMul) >> shift
		if filter[f>>6]>>(f&63)&1 != 0 {
			return i
		}
	}
	return -1
}

// find returns the literals filed under a gram.
func (s *scanner) find(g uint32) []scanLit {
	for i := (g * gramMul) & s.mask; ; i = (i + 1) & s.mask {
		x := &s.slots[i]
		if x.from == 0 {
			return nil
		}
		if x.gram == g {
			return s.lits[x.from-1 : x.from-1+x.n]
		}
	}
}

// foldEqual compares ASCII bytes with a folded text of the same length.
func foldEqual(v []byte, lit string) bool {
	for i, c := range v {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lit[i] {
			return false
		}
	}
	return true
}

// isASCII looks at eight bytes at a time.
func isASCII(v []byte) bool {
	var or uint64
	for len(v) >= 8 {
		or |= binary.LittleEndian.Uint64(v)
		v = v[8:]
	}
	for _, c := range v {
		or |= uint64(c)
	}
	return or&highs8 == 0
}
