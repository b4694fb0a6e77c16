package seal

import (
	"bytes"
	"crypto/hpke"
	"fmt"
)

// MaxPlaintext is the longest body an envelope takes, in bytes (64 MiB).
const MaxPlaintext = 64 << 20

// Overhead is what an envelope of [PublicKey.Seal] is longer than its plain text, in bytes.
const Overhead = headerLen + encapsulatedLen + tagLen

// An envelope is magic (4) | key id (16) | encapsulated key (1120) | ciphertext and tag.
const headerLen = magicLen + len(KeyID{})

// The label keeps these envelopes apart from any other use of the same key.
const infoLabel = "leitstand seal envelope\x00"

// Seal closes plaintext for the holder of the private key. aad is not stored
// and must be given again to Open; nil is allowed and means empty.
// It needs no secret. Two calls with the same input give different envelopes.
func (p *PublicKey) Seal(plaintext, aad []byte) ([]byte, error) {
	if len(plaintext) > MaxPlaintext {
		return nil, fmt.Errorf("sealing to %v: %w: %d bytes, at most %d", p.id, ErrTooLarge, len(plaintext), MaxPlaintext)
	}
	_, kdf, aead := suite()
	header := p.header()
	enc, sender, err := hpke.NewSender(p.key, kdf, aead, info(header))
	if err != nil {
		return nil, fmt.Errorf("sealing to %v: %w", p.id, err)
	}
	ct, err := sender.Seal(aad, plaintext)
	if err != nil {
		return nil, fmt.Errorf("sealing to %v: %w", p.id, err)
	}
	out := make([]byte, 0, len(header)+len(enc)+len(ct))
	out = append(out, header...)
	out = append(out, enc...)
	return append(out, ct...), nil
}

// Open gives the plain text of an envelope made with the same aad. The error
// is ErrFormat, ErrOtherKey or ErrTampered.
func (k *PrivateKey) Open(sealed, aad []byte) ([]byte, error) {
	id, err := RecipientOf(sealed)
	if err != nil {
		return nil, fmt.Errorf("opening with %v: %w", k.ID(), err)
	}
	if id != k.ID() {
		return nil, fmt.Errorf("opening with %v: %w: %v", k.ID(), ErrOtherKey, id)
	}
	if isTogether(sealed) {
		r, err := k.decapsulate(sealed, hpke.ExportOnly())
		if err != nil {
			return nil, err
		}
		return k.openTogether(r, sealed, aad)
	}
	_, _, aead := suite()
	r, err := k.decapsulate(sealed, aead)
	if err != nil {
		return nil, err
	}
	plain, err := r.Open(aad, sealed[headerLen+encapsulatedLen:])
	if err != nil {
		return nil, fmt.Errorf("opening with %v: %w", k.ID(), ErrTampered)
	}
	return plain, nil
}

// decapsulate opens the encapsulated key of an envelope.
func (k *PrivateKey) decapsulate(sealed []byte, aead hpke.AEAD) (*hpke.Recipient, error) {
	_, kdf, _ := suite()
	r, err := hpke.NewRecipient(sealed[headerLen:headerLen+encapsulatedLen], k.key, kdf, aead, info(sealed[:headerLen]))
	if err != nil {
		return nil, fmt.Errorf("opening with %v: %w", k.ID(), ErrTampered)
	}
	return r, nil
}

// RecipientOf tells without any key which key opens an envelope. It checks
// the form only: the envelope may still have been tampered with.
func RecipientOf(sealed []byte) (KeyID, error) {
	var id KeyID
	overhead := Overhead
	switch {
	case isTogether(sealed):
		overhead += placeLen
	case !bytes.HasPrefix(sealed, []byte(magicSealed)):
		return id, fmt.Errorf("%w: starts with %x, not %x", ErrFormat, sealed[:min(len(sealed), magicLen)], magicSealed)
	}
	if n := len(sealed); n < overhead || n > overhead+MaxPlaintext {
		return id, fmt.Errorf("%w: an envelope of %d bytes", ErrFormat, n)
	}
	copy(id[:], sealed[magicLen:])
	return id, nil
}

func (p *PublicKey) header() []byte {
	return append([]byte(magicSealed), p.id[:]...)
}

func info(header []byte) []byte {
	return append([]byte(infoLabel), header...)
}

// Ring opens envelopes of several keys, such as the present one and the ones
// before it. The zero value is empty; Add and Open must not run at the same time.
type Ring struct {
	keys map[KeyID]*PrivateKey
}

// Add puts keys into the ring.
func (r *Ring) Add(keys ...*PrivateKey) {
	if r.keys == nil {
		r.keys = make(map[KeyID]*PrivateKey, len(keys))
	}
	for _, k := range keys {
		r.keys[k.ID()] = k
	}
}

// Open opens with the key that the envelope names; ErrOtherKey when the ring has none.
func (r *Ring) Open(sealed, aad []byte) ([]byte, error) {
	k, err := r.keyOf(sealed)
	if err != nil {
		return nil, err
	}
	return k.Open(sealed, aad)
}

func (r *Ring) keyOf(sealed []byte) (*PrivateKey, error) {
	id, err := RecipientOf(sealed)
	if err != nil {
		return nil, fmt.Errorf("opening with a ring: %w", err)
	}
	k, ok := r.keys[id]
	if !ok {
		return nil, fmt.Errorf("opening with a ring of %d keys: %w: %v", len(r.keys), ErrOtherKey, id)
	}
	return k, nil
}

// Reseal moves an envelope to another key, with the same additional data.
func (r *Ring) Reseal(sealed, aad []byte, to *PublicKey) ([]byte, error) {
	plain, err := r.Open(sealed, aad)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return to.Seal(plain, aad)
}
