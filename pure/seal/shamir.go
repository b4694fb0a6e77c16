package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Key is a secret of 32 bytes that is split among people and opens one bundle.
type Key [secretLen]byte

// NewKey makes one from the system's randomness.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // never fails, as above
	return k
}

// Share is one person's part of a Key (A. Shamir, How to share a secret, 1979,
// over GF(2^8) with the polynomial of AES). Fewer shares than Need say nothing
// about the key.
type Share struct {
	Set   [4]byte // of one splitting: shares of different ones do not mix
	Need  byte
	Index byte // from 1
	value [secretLen]byte
}

// ErrShares says that shares do not make a key.
var ErrShares = errors.New("the shares do not make a key")

// Split makes n shares of which any need give the key back; 1 ≤ need ≤ n ≤ 20.
func (k Key) Split(need, n int) ([]Share, error) {
	if need < 1 || n < need || n > 20 {
		return nil, fmt.Errorf("%d of %d shares: want 1 ≤ needed ≤ shares ≤ 20", need, n)
	}
	var set [4]byte
	sum := sha256.Sum256(append([]byte("leitstand share set"), k[:]...))
	copy(set[:], sum[:]) // four bytes of a hash of 32 random ones: they tell a wrong key, not the key
	coefficients := make([][secretLen]byte, need)
	coefficients[0] = k
	for i := range coefficients[1:] {
		_, _ = rand.Read(coefficients[i+1][:]) // never fails, as above
	}
	shares := make([]Share, n)
	for i := range shares {
		s := Share{Set: set, Need: byte(need), Index: byte(i + 1)}
		for b := range s.value {
			for c := range slices.Backward(coefficients) { // Horner
				s.value[b] = mul(s.value[b], s.Index) ^ coefficients[c][b]
			}
		}
		shares[i] = s
	}
	return shares, nil
}

// Combine gives the key back.
func Combine(shares []Share) (Key, error) {
	var k Key
	if len(shares) == 0 || len(shares) < int(shares[0].Need) {
		return k, fmt.Errorf("%d shares: %w", len(shares), ErrShares)
	}
	shares = shares[:shares[0].Need]
	for i, s := range shares {
		if s.Set != shares[0].Set || s.Need != shares[0].Need || s.Index == 0 {
			return k, fmt.Errorf("share %d is of another set: %w", s.Index, ErrShares)
		}
		for _, o := range shares[:i] {
			if o.Index == s.Index {
				return k, fmt.Errorf("share %d is there twice: %w", s.Index, ErrShares)
			}
		}
	}
	for i, s := range shares { // Lagrange at 0
		factor := byte(1)
		for j, o := range shares {
			if i != j {
				factor = mul(factor, mul(o.Index, inverse(o.Index^s.Index)))
			}
		}
		for b := range k {
			k[b] ^= mul(factor, s.value[b])
		}
	}
	sum := sha256.Sum256(append([]byte("leitstand share set"), k[:]...))
	if subtle.ConstantTimeCompare(sum[:len(shares[0].Set)], shares[0].Set[:]) != 1 {
		return Key{}, ErrShares
	}
	return k, nil
}

// mul multiplies in GF(2^8), without branching on secrets.
func mul(a, b byte) byte {
	var p byte
	for range 8 {
		p ^= a & -(b & 1)
		a = a<<1 ^ 0x1b&-(a>>7)
		b >>= 1
	}
	return p
}

// inverse is a^254.
func inverse(a byte) byte {
	r := byte(1)
	for range 254 {
		r = mul(r, a)
	}
	return r
}

var shareText = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// String is the share as it stands on paper: groups of five characters without
// I, L, O and U; the last two bytes are a check.
func (s Share) String() string {
	b := append([]byte{1}, s.Set[:]...)
	b = append(append(b, s.Need, s.Index), s.value[:]...)
	sum := sha256.Sum256(b)
	text := shareText.EncodeToString(append(b, sum[0], sum[1]))
	var out strings.Builder
	for i, c := range text {
		if i > 0 && i%5 == 0 {
			out.WriteByte('-')
		}
		out.WriteRune(c)
	}
	return out.String()
}

// ParseShare reads what String wrote, as people type it.
func ParseShare(text string) (Share, error) {
	var s Share
	text = strings.NewReplacer("-", "", " ", "", "\n", "", "\r", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(text))
	b, err := shareText.DecodeString(text)
	const size = 1 + 4 + 1 + 1 + secretLen
	if err != nil || len(b) != size+2 || b[0] != 1 {
		return s, fmt.Errorf("a share of %d characters: %w", len(text), ErrFormat)
	}
	if sum := sha256.Sum256(b[:size]); sum[0] != b[size] || sum[1] != b[size+1] {
		return s, fmt.Errorf("a character of the share is wrong: %w", ErrFormat)
	}
	copy(s.Set[:], b[1:])
	s.Need, s.Index = b[5], b[6]
	copy(s.value[:], b[7:])
	return s, nil
}

const magicBundle = "LSB\x01"

// Close encrypts a bundle under the key (AES-256-GCM).
func (k Key) Close(plain []byte) ([]byte, error) { return encrypt(k[:], []byte(magicBundle), plain) }

// Open reads what Close wrote; ErrTampered when it is another key's, or changed.
func (k Key) Open(bundle []byte) ([]byte, error) {
	if len(bundle) < magicLen+nonceLen+tagLen || string(bundle[:magicLen]) != magicBundle {
		return nil, fmt.Errorf("opening a bundle: %w", ErrFormat)
	}
	return decrypt(k[:], bundle[:magicLen], bundle[magicLen:])
}

// Marshal gives the master key in clear, for a bundle that is closed at once.
func (m *Master) Marshal() []byte { return slices.Clone(m.key[:]) }

// ParseMaster reads what Marshal gave.
func ParseMaster(b []byte) (*Master, error) {
	if len(b) != secretLen {
		return nil, fmt.Errorf("a master key of %d bytes: %w", len(b), ErrFormat)
	}
	m := new(Master)
	copy(m.key[:], b)
	return m, nil
}
