package kimmail

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// BrainpoolKey is a public key on brainpoolP256r1 (RFC 5639 §3.4), the curve of
// the cards of the Telematikinfrastruktur.
type BrainpoolKey struct {
	encoded [65]byte // 04 || X || Y
	point   affine
}

// NewBrainpoolKey reads an uncompressed point (04 || X || Y). A point that is not
// on the curve is refused; the group has prime order, so every other one is good.
func NewBrainpoolKey(b []byte) (*BrainpoolKey, error) {
	if len(b) != 65 || b[0] != 4 {
		return nil, malformed("brainpoolP256r1 point of %d bytes", len(b))
	}
	k := &BrainpoolKey{encoded: [65]byte(b)}
	var x, y limbs
	x.setBytes((*[32]byte)(b[1:33]))
	y.setBytes((*[32]byte)(b[33:65]))
	if !fieldPrime.below(&x) || !fieldPrime.below(&y) {
		return nil, malformed("brainpoolP256r1 coordinate outside the field")
	}
	fieldPrime.enter(&k.point.x.v, &x)
	fieldPrime.enter(&k.point.y.v, &y)
	k.point.x.mul(&k.point.x, &twistZ2)
	k.point.y.mul(&k.point.y, &twistZ3)
	if !k.point.onCurve() {
		return nil, malformed("point is not on brainpoolP256r1")
	}
	return k, nil
}

// Bytes returns the uncompressed point.
func (k *BrainpoolKey) Bytes() []byte { return append([]byte(nil), k.encoded[:]...) }

// Equal is what crypto asks of public keys.
func (k *BrainpoolKey) Equal(x crypto.PublicKey) bool {
	other, ok := x.(*BrainpoolKey)
	return ok && k.encoded == other.encoded
}

// Verify checks an ECDSA signature in DER over a digest. Anything but strict DER
// with 0 < r, s < n is refused.
func (k *BrainpoolKey) Verify(digest, sig []byte) bool {
	var seq cryptobyte.String
	var rb, sb []byte
	in := cryptobyte.String(sig)
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&rb) ||
		!seq.ReadASN1Integer(&sb) || !seq.Empty() || len(rb) > 32 || len(sb) > 32 {
		return false
	}
	r, s := limbsOf(rb), limbsOf(sb)
	return k.point.verify(digest, &r, &s)
}

// BrainpoolPrivateKey signs and agrees on keys in time that does not depend on it.
type BrainpoolPrivateKey struct {
	d      limbs
	public *BrainpoolKey
}

// NewBrainpoolPrivateKey reads a big-endian scalar of at most 32 bytes, 0 < d < n.
func NewBrainpoolPrivateKey(b []byte) (*BrainpoolPrivateKey, error) {
	if len(b) > 32 {
		return nil, malformed("brainpoolP256r1 private key of %d bytes", len(b))
	}
	k := &BrainpoolPrivateKey{d: limbsOf(b)}
	if k.d.isZero() || !groupOrder.below(&k.d) {
		return nil, malformed("brainpoolP256r1 private key out of range")
	}
	var p projective
	p.multiplyBase(&k.d)
	encoded := p.encode()
	public, err := NewBrainpoolKey(encoded[:])
	if err != nil {
		return nil, fmt.Errorf("computing the brainpoolP256r1 public key: %w", err)
	}
	k.public = public
	return k, nil
}

// GenerateBrainpoolKey draws a private key from rand.
func GenerateBrainpoolKey(rand io.Reader) (*BrainpoolPrivateKey, error) {
	var b [32]byte
	for {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return nil, fmt.Errorf("drawing a brainpoolP256r1 key: %w", err)
		}
		if k, err := NewBrainpoolPrivateKey(b[:]); err == nil {
			return k, nil // about two of three numbers are below the order
		}
	}
}

// Public returns the *BrainpoolKey; it makes the key a crypto.Signer.
func (k *BrainpoolPrivateKey) Public() crypto.PublicKey { return k.public }

// Bytes returns the scalar, 32 bytes, big-endian. It is the secret itself.
func (k *BrainpoolPrivateKey) Bytes() []byte {
	b := k.d.bytes()
	return b[:]
}

// ECDH returns the x coordinate of d·peer (BSI TR-03111 §4.3.1), 32 bytes.
func (k *BrainpoolPrivateKey) ECDH(peer *BrainpoolKey) ([]byte, error) {
	q := peer.point.projective()
	var p projective
	p.multiply(&k.d, &q)
	x, _, ok := p.affineR1()
	if !ok {
		return nil, errors.New("agreeing on a key: the shared point is infinite")
	}
	b := x.bytes()
	return b[:], nil
}

// Sign returns an ECDSA signature in DER over a digest. The nonce comes from the
// key, the digest and, if rand is not nil, 32 bytes of it (RFC 6979 §3.2, §3.6):
// a weak rand cannot give the key away.
func (k *BrainpoolPrivateKey) Sign(rand io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	var extra []byte
	if rand != nil {
		extra = make([]byte, 32)
		if _, err := io.ReadFull(rand, extra); err != nil {
			return nil, fmt.Errorf("signing: %w", err)
		}
	}
	r, s, err := k.sign(digest, extra)
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 72))
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addUnsigned(b, r.bytes())
		addUnsigned(b, s.bytes())
	})
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return out, nil
}

func (k *BrainpoolPrivateKey) sign(digest, extra []byte) (r, s limbs, err error) {
	e := hashToScalar(digest)
	nonces := newNonceSource(k.d.bytes(), e.bytes(), extra)
	for range 100 {
		nonce := nonces.next()
		var p projective
		p.multiplyBase(&nonce)
		x, _, ok := p.affineR1()
		groupOrder.reduceOnce(&r, &x, 0)
		var kInv, d, t limbs
		groupOrder.enter(&kInv, &nonce)
		groupOrder.invert(&kInv, &kInv)
		groupOrder.enter(&d, &k.d)
		groupOrder.mul(&t, &r, &d)
		groupOrder.add(&t, &t, &e)
		groupOrder.mul(&s, &t, &kInv)
		if ok && !r.isZero() && !s.isZero() {
			return r, s, nil
		}
	}
	return limbs{}, limbs{}, errors.New("signing: no usable nonce")
}

// nonceSource is the HMAC_DRBG of RFC 6979 §3.2 with SHA-256; for this curve the
// lengths of order and digest agree.
type nonceSource struct {
	k, v  []byte
	fresh bool
}

func newNonceSource(key, digest [32]byte, extra []byte) *nonceSource {
	n := &nonceSource{k: make([]byte, 32), v: make([]byte, 32), fresh: true}
	for i := range n.v {
		n.v[i] = 1
	}
	for step := range byte(2) {
		n.k = n.hmac(n.v, []byte{step}, key[:], digest[:], extra)
		n.v = n.hmac(n.v)
	}
	return n
}

func (n *nonceSource) hmac(parts ...[]byte) []byte {
	h := hmac.New(sha256.New, n.k)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// next returns a number in [1, n-1]. How many candidates are refused says nothing
// about the one that is taken.
func (n *nonceSource) next() limbs {
	for {
		if !n.fresh {
			n.k = n.hmac(n.v, []byte{0})
			n.v = n.hmac(n.v)
		}
		n.fresh = false
		n.v = n.hmac(n.v)
		if k := limbsOf(n.v); !k.isZero() && groupOrder.below(&k) {
			return k
		}
	}
}

// encode returns 04 || X || Y on r1.
func (r *projective) encode() (out [65]byte) {
	x, y, _ := r.affineR1()
	xb, yb := x.bytes(), y.bytes()
	out[0] = 4
	copy(out[1:], xb[:])
	copy(out[33:], yb[:])
	return out
}

// hashToScalar takes the leftmost 256 bits of a digest modulo the order (BSI
// TR-03111 §4.2.1.1).
func hashToScalar(digest []byte) (e limbs) {
	e = limbsOf(digest[:min(len(digest), 32)])
	groupOrder.reduceOnce(&e, &e, 0)
	return e
}

// limbsOf reads at most 32 bytes, big-endian.
func limbsOf(b []byte) (x limbs) {
	var full [32]byte
	copy(full[32-len(b):], b)
	x.setBytes(&full)
	return x
}

// addRaw adds without a modulus.
func addRaw(x, y *limbs) (z limbs, carry bool) {
	var c uint64
	for i := range z {
		z[i], c = bits.Add64(x[i], y[i], c)
	}
	return z, c == 1
}

// addUnsigned writes an INTEGER from big-endian bytes.
func addUnsigned(b *cryptobyte.Builder, v [32]byte) {
	b.AddASN1(asn1.INTEGER, func(b *cryptobyte.Builder) {
		i := 0
		for i < len(v)-1 && v[i] == 0 {
			i++
		}
		if v[i]&0x80 != 0 {
			b.AddUint8(0)
		}
		b.AddBytes(v[i:])
	})
}
