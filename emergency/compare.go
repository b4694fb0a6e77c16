package emergency

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"leitstand/catalogue"
)

// Line sums up the items of one kind with one result. Two sides that have the
// same items have the same lines.
type Line struct {
	Kind   Kind   `json:"kind"`
	Result State  `json:"result"` // Applied, Known or Rejected
	Count  int64  `json:"count"`
	Amount int64  `json:"amount"` // sum in cents
	Hash   string `json:"hash"`   // sum modulo 2^256 of the hashes of all entries: the order does not matter
}

// ListEntry is one item as both sides know it.
type ListEntry struct {
	ID     string `json:"id"`
	Kind   Kind   `json:"kind"`
	Result State  `json:"result"`
	SHA256 string `json:"sha256"`
	Amount int64  `json:"amount,omitempty"`
}

// Comparison is what both sides say about one placement's handover. The receiver
// signs it with both sides in it.
type Comparison struct {
	Version   int                   `json:"version"`
	Kasse     catalogue.KasseID     `json:"kasse"`
	Placement catalogue.PlacementID `json:"placement"`
	Head      string                `json:"head"`            // signed head of our ledger
	Nonce     string                `json:"nonce,omitempty"` // of this question: an answer to another one is none
	Ours      []Line                `json:"ours"`

	Receiver string    `json:"receiver"`
	Theirs   []Line    `json:"theirs"`
	At       time.Time `json:"at"`
}

// Agrees reports whether both sides say the same.
func (c Comparison) Agrees() bool { return slices.Equal(c.Ours, c.Theirs) }

// ListQuery asks for the entries of one kind and result in one of 256 buckets:
// those whose id starts with the two hexadecimal digits. An empty Bucket asks for all.
type ListQuery struct {
	Kasse     catalogue.KasseID     `json:"kasse"`
	Placement catalogue.PlacementID `json:"placement"`
	Bucket    string                `json:"bucket"`
	Nonce     string                `json:"nonce,omitempty"` // of the comparison that it belongs to
}

// Difference is one item about which the two sides disagree.
type Difference struct {
	ID     string     `json:"id"`
	What   string     `json:"what"` // "missing" there, "surplus" there, or "differs"
	Ours   *ListEntry `json:"ours,omitempty"`
	Theirs *ListEntry `json:"theirs,omitempty"`
}

// Sum makes the lines of entries, sorted by kind and result. Both sides use it.
func Sum(entries []ListEntry) []Line {
	type key struct {
		kind   Kind
		result State
	}
	type total struct {
		count, amount int64
		hash          [4]uint64 // little end first
	}
	totals := map[key]*total{}
	for _, e := range entries {
		t := totals[key{e.Kind, e.Result}]
		if t == nil {
			t = &total{}
			totals[key{e.Kind, e.Result}] = t
		}
		t.count++
		t.amount += e.Amount
		addHash(&t.hash, e)
	}
	lines := make([]Line, 0, len(totals))
	for k, t := range totals {
		var b [32]byte
		for i, word := range t.hash {
			binary.LittleEndian.PutUint64(b[8*i:], word)
		}
		lines = append(lines, Line{Kind: k.kind, Result: k.result, Count: t.count, Amount: t.amount, Hash: hex.EncodeToString(b[:])})
	}
	slices.SortFunc(lines, func(a, b Line) int {
		if c := strings.Compare(string(a.Kind), string(b.Kind)); c != 0 {
			return c
		}
		return strings.Compare(string(a.Result), string(b.Result))
	})
	return lines
}

// addHash adds the hash of one entry to a 256-bit sum.
func addHash(sum *[4]uint64, e ListEntry) {
	h := sha256.Sum256([]byte(strings.Join([]string{e.ID, string(e.Kind), string(e.Result), e.SHA256}, "\x00")))
	var carry uint64
	for i := range sum {
		word := binary.LittleEndian.Uint64(h[8*i:])
		s := sum[i] + word
		c := uint64(0)
		if s < word {
			c = 1
		}
		s2 := s + carry
		if s2 < s {
			c = 1
		}
		sum[i], carry = s2, c
	}
}

// Differences compares entries one by one. They are sorted by id.
func Differences(ours, theirs []ListEntry) []Difference {
	there := make(map[string]ListEntry, len(theirs))
	for _, e := range theirs {
		there[e.ID] = e
	}
	var out []Difference
	for _, o := range ours {
		t, ok := there[o.ID]
		delete(there, o.ID)
		switch {
		case !ok:
			out = append(out, Difference{ID: o.ID, What: "missing", Ours: &o})
		case o != t:
			out = append(out, Difference{ID: o.ID, What: "differs", Ours: &o, Theirs: &t})
		}
	}
	for _, t := range there {
		out = append(out, Difference{ID: t.ID, What: "surplus", Theirs: &t})
	}
	slices.SortFunc(out, func(a, b Difference) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// readComparison checks the receiver's signature and that it signed our side.
func readComparison(key ed25519.PublicKey, s Signed, sent Comparison) (Comparison, error) {
	var c Comparison
	if err := s.verify(key, comparisonContext, &c); err != nil {
		return c, err
	}
	if c.Version != WireVersion || c.Kasse != sent.Kasse || c.Placement != sent.Placement || c.Head != sent.Head || c.Nonce != sent.Nonce || !slices.Equal(c.Ours, sent.Ours) {
		return c, ErrReceipt
	}
	return c, nil
}
