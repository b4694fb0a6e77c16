package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/crypto/argon2"
)

// Master wraps the private keys of many Kassen, so that one passphrase, asked
// for once, unlocks a room. It lives in memory only between unlock and lock.
type Master struct {
	key [secretLen]byte
}

// NewMaster makes a master key from the system's randomness.
func NewMaster() *Master {
	m := new(Master)
	_, _ = rand.Read(m.key[:]) // never fails: crypto/rand ends the program if the system has no randomness
	return m
}

// Destroy overwrites the key in memory, as well as Go allows. The master is of no use afterwards.
func (m *Master) Destroy() { clear(m.key[:]) }

// Wrap encrypts a private key under the master key.
// The form is magic (4) | key id (16) | nonce (12) | ciphertext and tag.
func (m *Master) Wrap(k *PrivateKey) ([]byte, error) {
	secret, err := k.key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("wrapping key %v: %w", k.ID(), err)
	}
	defer clear(secret)
	id := k.ID()
	return encrypt(m.key[:], append([]byte(magicWrapped), id[:]...), secret)
}

// Unwrap reads what Wrap wrote. ErrTampered when this master did not wrap it.
func (m *Master) Unwrap(wrapped []byte) (*PrivateKey, error) {
	if _, err := body(wrapped, magicWrapped, headerLen-magicLen+nonceLen+secretLen+tagLen); err != nil {
		return nil, fmt.Errorf("unwrapping a key: %w", err)
	}
	secret, err := decrypt(m.key[:], wrapped[:headerLen], wrapped[headerLen:])
	if err != nil {
		return nil, fmt.Errorf("unwrapping key %x: %w", wrapped[magicLen:headerLen], err)
	}
	defer clear(secret)
	k, err := ParsePrivateKey(append([]byte(magicPrivate), secret...))
	if err != nil {
		return nil, err
	}
	if id := k.ID(); string(id[:]) != string(wrapped[magicLen:headerLen]) {
		return nil, fmt.Errorf("unwrapping key %x: %w", wrapped[magicLen:headerLen], ErrTampered)
	}
	return k, nil
}

// cost of argon2id. The defaults are the second choice of RFC 9106 §4: 64 MiB, 3 passes, 4 lanes.
type cost struct {
	passes, kib uint32
	lanes       uint8
}

func defaultCost() cost { return cost{passes: 3, kib: 64 << 10, lanes: 4} }

// Limits on what a foreign file may make us compute: 2 GiB and 64 passes.
const (
	maxPasses = 64
	maxKiB    = 2 << 20
)

func (c cost) sane() bool {
	return c.passes >= 1 && c.passes <= maxPasses && c.lanes >= 1 && c.kib >= 8*uint32(c.lanes) && c.kib <= maxKiB
}

// What precedes the salt and the encrypted secret in a locked form:
// magic (4) | passes (4) | KiB (4) | lanes (1) | kind (1), numbers big-endian.
const (
	saltLen      = 16
	nonceLen     = 12
	lockedHeader = magicLen + 4 + 4 + 1 + 1 + saltLen
)

const (
	kindMaster  byte = 'm'
	kindPrivate byte = 'k'
)

// Lock encrypts the master key under a passphrase (argon2id, AES-256-GCM).
// It takes about a fifth of a second and 64 MiB, on purpose.
func (m *Master) Lock(passphrase []byte) ([]byte, error) {
	return lock(m.key[:], kindMaster, passphrase, defaultCost())
}

// Unlock reads what Lock wrote; ErrPassphrase when it does not fit.
func Unlock(locked, passphrase []byte) (*Master, error) {
	secret, err := unlock(locked, kindMaster, passphrase)
	if err != nil {
		return nil, fmt.Errorf("unlocking the master key: %w", err)
	}
	defer clear(secret)
	m := new(Master)
	copy(m.key[:], secret)
	return m, nil
}

// Wrap encrypts one private key under a passphrase, for keys that leave the
// machine. In a room, many keys are wrapped by one Master instead.
func Wrap(k *PrivateKey, passphrase []byte) ([]byte, error) {
	secret, err := k.key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("wrapping key %v: %w", k.ID(), err)
	}
	defer clear(secret)
	return lock(secret, kindPrivate, passphrase, defaultCost())
}

// Unwrap reads what Wrap wrote; ErrPassphrase when it does not fit.
func Unwrap(wrapped, passphrase []byte) (*PrivateKey, error) {
	secret, err := unlock(wrapped, kindPrivate, passphrase)
	if err != nil {
		return nil, fmt.Errorf("unwrapping a private key: %w", err)
	}
	defer clear(secret)
	return ParsePrivateKey(append([]byte(magicPrivate), secret...))
}

func lock(secret []byte, kind byte, passphrase []byte, c cost) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, fmt.Errorf("locking a key: %w: empty", ErrPassphrase)
	}
	h := make([]byte, 0, lockedHeader)
	h = append(h, magicLocked...)
	h = binary.BigEndian.AppendUint32(h, c.passes)
	h = binary.BigEndian.AppendUint32(h, c.kib)
	h = append(h, c.lanes, kind)
	h = h[:lockedHeader]
	_, _ = rand.Read(h[lockedHeader-saltLen:]) // never fails, as above
	key := argon2.IDKey(passphrase, h[lockedHeader-saltLen:], c.passes, c.kib, c.lanes, secretLen)
	defer clear(key)
	return encrypt(key, h, secret)
}

func unlock(locked []byte, kind byte, passphrase []byte) ([]byte, error) {
	if _, err := body(locked, magicLocked, lockedHeader-magicLen+nonceLen+secretLen+tagLen); err != nil {
		return nil, err
	}
	h := locked[:lockedHeader]
	c := cost{passes: binary.BigEndian.Uint32(h[4:]), kib: binary.BigEndian.Uint32(h[8:]), lanes: h[12]}
	if !c.sane() {
		return nil, fmt.Errorf("%w: argon2id with %d passes, %d KiB, %d lanes", ErrFormat, c.passes, c.kib, c.lanes)
	}
	if h[13] != kind {
		return nil, fmt.Errorf("%w: holds %q, not %q", ErrFormat, h[13], kind)
	}
	key := argon2.IDKey(passphrase, h[lockedHeader-saltLen:], c.passes, c.kib, c.lanes, secretLen)
	defer clear(key)
	secret, err := decrypt(key, h, locked[lockedHeader:])
	if err != nil {
		return nil, ErrPassphrase
	}
	return secret, nil
}

// encrypt gives header | nonce | ciphertext and tag; the header is authenticated.
func encrypt(key, header, plain []byte) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	out := slices.Grow(slices.Clone(header), nonceLen+len(plain)+tagLen)
	nonce := make([]byte, nonceLen)
	_, _ = rand.Read(nonce) // never fails, as above
	out = append(out, nonce...)
	return gcm.Seal(out, nonce, plain, header), nil
}

func decrypt(key, header, rest []byte) ([]byte, error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, rest[:nonceLen], rest[nonceLen:], header)
	if err != nil {
		return nil, ErrTampered
	}
	return plain, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("preparing AES-256: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("preparing AES-256-GCM: %w", err)
	}
	return gcm, nil
}
