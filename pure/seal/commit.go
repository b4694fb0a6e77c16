package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Commitment stands in the ledger for data that must not stand there. Without
// the salt it says nothing about the data, however short the data is.
type Commitment [32]byte

// Salt opens a commitment. Keep it sealed beside the data: who destroys it
// leaves a commitment that fits everything and proves nothing.
type Salt [32]byte

// Commit makes a commitment with a new random salt.
func Commit(data []byte) (Commitment, Salt) {
	var s Salt
	_, _ = rand.Read(s[:]) // never fails: crypto/rand ends the program if the system has no randomness
	return commit(data, s), s
}

// Opens reports whether the commitment was made of exactly this data with this salt.
func (c Commitment) Opens(data []byte, s Salt) bool {
	want := commit(data, s)
	return hmac.Equal(c[:], want[:])
}

// String gives 64 lower-case hexadecimal digits, as the ledger keeps it.
func (c Commitment) String() string { return hex.EncodeToString(c[:]) }

// ParseCommitment reads what String wrote.
func ParseCommitment(s string) (Commitment, error) {
	var c Commitment
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(c) {
		return c, fmt.Errorf("reading commitment %q: %w", s, ErrFormat)
	}
	copy(c[:], b)
	return c, nil
}

// commit is HMAC-SHA-256 keyed with the salt: a pseudo-random function hides,
// and a collision would be one of SHA-256.
func commit(data []byte, s Salt) Commitment {
	m := hmac.New(sha256.New, s[:])
	m.Write([]byte("leitstand commitment\x00"))
	m.Write(data)
	return Commitment(m.Sum(nil))
}
