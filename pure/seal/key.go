package seal

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Errors a caller may decide on. Each is wrapped with what was being done.
var (
	// ErrFormat: the bytes are not what they should be, or of a version unknown here.
	ErrFormat = errors.New("not in a known format")
	// ErrOtherKey: the envelope was made for another key.
	ErrOtherKey = errors.New("sealed to another key")
	// ErrTampered: the bytes were changed, or the additional data differs from when it was sealed.
	ErrTampered = errors.New("does not authenticate: changed, or other additional data")
	// ErrTooLarge: the plain text is longer than MaxPlaintext.
	ErrTooLarge = errors.New("too large")
	// ErrPassphrase: the passphrase is wrong, or the wrapped secret was changed; the two look the same.
	ErrPassphrase = errors.New("wrong passphrase, or a changed wrapping")
)

// Four bytes open every format: three for the kind, one for the version.
const (
	magicSealed  = "LSE\x01"
	magicShared  = "LSE\x02" // several closed together
	magicPublic  = "LSP\x01"
	magicPrivate = "LSS\x01"
	magicWrapped = "LSW\x01"
	magicLocked  = "LSK\x01"
	magicLen     = 4
)

// Sizes of MLKEM768-X25519 (X-Wing) in bytes.
const (
	encapsulatedLen = 1120
	publicLen       = 1216
	secretLen       = 32
	tagLen          = 16
)

// KeyID names a public key: the first 16 bytes of a hash of it. It is no secret.
type KeyID [16]byte

// String gives 32 lower-case hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ParseKeyID reads what String wrote.
func ParseKeyID(s string) (KeyID, error) {
	var id KeyID
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("reading key id %q: %w", s, ErrFormat)
	}
	copy(id[:], b)
	return id, nil
}

// PublicKey seals. It is no secret.
type PublicKey struct {
	key hpke.PublicKey
	id  KeyID
}

// PrivateKey opens what was sealed to its public key.
type PrivateKey struct {
	key    hpke.PrivateKey
	public *PublicKey
}

func suite() (hpke.KEM, hpke.KDF, hpke.AEAD) {
	return hpke.MLKEM768X25519(), hpke.HKDFSHA256(), hpke.AES256GCM()
}

// GenerateKey makes a new pair from the system's randomness.
func GenerateKey() (*PrivateKey, *PublicKey, error) {
	kem, _, _ := suite()
	k, err := kem.GenerateKey()
	if err != nil {
		return nil, nil, fmt.Errorf("generating a sealing key: %w", err)
	}
	priv := newPrivate(k)
	return priv, priv.public, nil
}

func newPrivate(k hpke.PrivateKey) *PrivateKey {
	return &PrivateKey{key: k, public: newPublic(k.PublicKey())}
}

func newPublic(k hpke.PublicKey) *PublicKey {
	h := sha256.New()
	h.Write([]byte("leitstand seal key id"))
	h.Write(k.Bytes())
	p := &PublicKey{key: k}
	copy(p.id[:], h.Sum(nil))
	return p
}

// ID names the key.
func (p *PublicKey) ID() KeyID { return p.id }

// ID names the pair.
func (k *PrivateKey) ID() KeyID { return k.public.id }

// Public is the other half of the pair.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Marshal gives 1,220 bytes that ParsePublicKey reads.
func (p *PublicKey) Marshal() []byte {
	return append([]byte(magicPublic), p.key.Bytes()...)
}

// ParsePublicKey reads what Marshal wrote.
func ParsePublicKey(b []byte) (*PublicKey, error) {
	body, err := body(b, magicPublic, publicLen)
	if err != nil {
		return nil, fmt.Errorf("reading a public sealing key: %w", err)
	}
	kem, _, _ := suite()
	k, err := kem.NewPublicKey(body)
	if err != nil {
		return nil, fmt.Errorf("reading a public sealing key: %w: %w", ErrFormat, err)
	}
	return newPublic(k), nil
}

// Marshal gives the secret in clear, 36 bytes. Whoever holds them opens
// everything sealed to the pair: keep them wrapped (Wrap, Master.Wrap).
func (k *PrivateKey) Marshal() ([]byte, error) {
	b, err := k.key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("writing sealing key %v: %w", k.ID(), err)
	}
	return append([]byte(magicPrivate), b...), nil
}

// ParsePrivateKey reads what Marshal wrote.
func ParsePrivateKey(b []byte) (*PrivateKey, error) {
	body, err := body(b, magicPrivate, secretLen)
	if err != nil {
		return nil, fmt.Errorf("reading a private sealing key: %w", err)
	}
	kem, _, _ := suite()
	k, err := kem.NewPrivateKey(body)
	if err != nil {
		return nil, fmt.Errorf("reading a private sealing key: %w: %w", ErrFormat, err)
	}
	return newPrivate(k), nil
}

// body checks the first four bytes and the length of the rest.
func body(b []byte, magic string, size int) ([]byte, error) {
	rest, ok := bytes.CutPrefix(b, []byte(magic))
	if !ok {
		return nil, fmt.Errorf("%w: starts with %x, not %x", ErrFormat, b[:min(len(b), magicLen)], magic)
	}
	if len(rest) != size {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrFormat, len(rest), size)
	}
	return rest, nil
}
