package gateway

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"

	"leitstand/catalogue"
)

// SpoolBook is what a spool says of one placement, fit for a ledger: the counts,
// and what was counted. Two spools with the same book hold the same requests.
type SpoolBook struct {
	SpoolCounts
	// Hash is the sum modulo 2^256, in lower-case hex, of the SHA-256 of every
	// request that was ever kept: of its number (eight bytes, big-endian) and the
	// SHA-256 of what the file holds of it. Nothing in it names a person.
	Hash string `json:"hash"`
}

// Books are the books by placement, hash totals included.
func (s *Spool) Books() map[catalogue.PlacementID]SpoolBook {
	out := map[catalogue.PlacementID]SpoolBook{}
	for _, f := range s.all() {
		f.mu.Lock()
		for p, c := range f.counts {
			out[p] = SpoolBook{*c, f.totals[p].String()}
		}
		f.mu.Unlock()
	}
	return out
}

// hashTotal is a sum modulo 2^256, the lowest word first.
type hashTotal [4]uint64

func (t *hashTotal) add(n int64, rest [sha256.Size]byte) {
	sum := sha256.Sum256(append(binary.BigEndian.AppendUint64(nil, uint64(n)), rest[:]...))
	var carry uint64
	for i := range t {
		t[i], carry = bits.Add64(t[i], binary.BigEndian.Uint64(sum[sha256.Size-8*(i+1):]), carry)
	}
}

// String is the sum in hex.
func (t *hashTotal) String() string {
	var b [sha256.Size]byte
	for i, w := range t {
		binary.BigEndian.PutUint64(b[sha256.Size-8*(i+1):], w)
	}
	return hex.EncodeToString(b[:])
}
