package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hpke"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
)

// An envelope of bodies closed together is magic (4) | key id (16) | encapsulated
// key (1120) | place among them (8, big end first) | ciphertext and tag.
const placeLen = 8

// The key of each body is the export of this label and its place.
const exportLabel = "leitstand seal together\x00"

// Together closes bodies that are in memory at the same moment, with one
// encapsulation for all of them and a key of its own for each (RFC 9180 §5.3).
// Drop it as soon as the last of them is closed: while it is kept, whoever reads
// the process's memory can open all of them. It may be used from several goroutines.
type Together struct {
	public *PublicKey
	sender *hpke.Sender
	header []byte // up to and with the encapsulated key
	places atomic.Uint64
}

// Together makes a new encapsulation.
func (p *PublicKey) Together() (*Together, error) {
	_, kdf, _ := suite()
	header := append([]byte(magicShared), p.id[:]...)
	enc, sender, err := hpke.NewSender(p.key, kdf, hpke.ExportOnly(), info(header))
	if err != nil {
		return nil, fmt.Errorf("sealing to %v: %w", p.id, err)
	}
	return &Together{public: p, sender: sender, header: append(header, enc...)}, nil
}

// Seal closes a body as [PublicKey.Seal] does. Which bodies were closed together
// shows in their envelopes.
func (t *Together) Seal(plaintext, aad []byte) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("sealing to %v: %w: %d bytes, at most %d", t.public.id, ErrTooLarge, len(plaintext), MaxPlaintext)
	}
	out := make([]byte, 0, len(t.header)+placeLen+len(plaintext)+tagLen)
	out = binary.BigEndian.AppendUint64(append(out, t.header...), t.places.Add(1))
	aead, err := keyAt(t.sender, out[len(t.header):])
	if err != nil {
		return nil, fmt.Errorf("sealing to %v: %w", t.public.id, err)
	}
	return aead.Seal(out, make([]byte, aead.NonceSize()), plaintext, aad), nil //nolint:gosec // G407: the key closes this body only, see keyAt
}

// keyAt is the key of the body at one place. It closes one body only, so that
// its nonce is always zero.
func keyAt(exporter interface {
	Export(label string, length int) ([]byte, error)
}, place []byte,
) (cipher.AEAD, error) {
	key, err := exporter.Export(exportLabel+string(place), secretLen)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func isTogether(sealed []byte) bool { return bytes.HasPrefix(sealed, []byte(magicShared)) }

// openTogether opens one of several bodies; sealed has been checked by RecipientOf.
func (k *PrivateKey) openTogether(r *hpke.Recipient, sealed, aad []byte) ([]byte, error) {
	rest := sealed[headerLen+encapsulatedLen:]
	aead, err := keyAt(r, rest[:placeLen])
	if err != nil {
		return nil, fmt.Errorf("opening with %v: %w", k.ID(), err)
	}
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), rest[placeLen:], aad)
	if err != nil {
		return nil, fmt.Errorf("opening with %v: %w", k.ID(), ErrTampered)
	}
	return plain, nil
}

// Reader opens many envelopes: those that were closed together cost one
// decapsulation. It keeps what it needs for that; make one for a batch and drop
// it. It may be used from several goroutines.
type Reader struct {
	ring *Ring
	mu   sync.Mutex
	seen map[string]func() (*hpke.Recipient, error) // by header and encapsulated key
}

// Reader opens with the keys of the ring.
func (r *Ring) Reader() *Reader {
	return &Reader{ring: r, seen: map[string]func() (*hpke.Recipient, error){}}
}

// Open opens as [Ring.Open] does.
func (r *Reader) Open(sealed, aad []byte) ([]byte, error) {
	k, err := r.ring.keyOf(sealed)
	if err != nil {
		return nil, err
	}
	if !isTogether(sealed) {
		return k.Open(sealed, aad)
	}
	recipient, err := r.recipient(k, sealed)
	if err != nil {
		return nil, err
	}
	return k.openTogether(recipient, sealed, aad)
}

// recipient decapsulates once, while others who need the same wait.
func (r *Reader) recipient(k *PrivateKey, sealed []byte) (*hpke.Recipient, error) {
	name := string(sealed[:headerLen+encapsulatedLen])
	r.mu.Lock()
	once, ok := r.seen[name]
	if !ok {
		once = sync.OnceValues(func() (*hpke.Recipient, error) { return k.decapsulate(sealed, hpke.ExportOnly()) })
		r.seen[name] = once
	}
	r.mu.Unlock()
	return once()
}
