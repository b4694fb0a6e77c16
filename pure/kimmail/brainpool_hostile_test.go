package kimmail

import (
	"bytes"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/ProtonMail/go-crypto/brainpool"
)

// The edge cases that Project Wycheproof tests of ECDSA and ECDH implementations.
func TestHostileSignaturesAreRefused(t *testing.T) {
	key, err := NewBrainpoolPrivateKey([]byte{42})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	good, err := key.Sign(nil, digest[:], nil)
	if err != nil {
		t.Fatal(err)
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(good, &sig); err != nil {
		t.Fatal(err)
	}
	n, p := bigOf(groupOrder.m), bigOf(fieldPrime.m)
	der := func(r, s *big.Int) []byte {
		b, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	one, zero := big.NewInt(1), new(big.Int)
	plus := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	minus := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
	for name, b := range map[string][]byte{
		"r = 0": der(zero, sig.S), "s = 0": der(sig.R, zero), "both 0": der(zero, zero),
		"r = n": der(n, sig.S), "s = n": der(sig.R, n), "r = n, s = n": der(n, n),
		"r + n": der(plus(sig.R, n), sig.S), "s + n": der(sig.R, plus(sig.S, n)),
		"r negative": der(minus(sig.R, n), sig.S), "s negative": der(sig.R, minus(sig.S, n)),
		"r = 1, s = 1": der(one, one), "r = p": der(p, sig.S), "r = n - 1": der(minus(n, one), sig.S),
		"swapped": der(sig.S, sig.R), "r + 2^256": der(plus(sig.R, new(big.Int).Lsh(one, 256)), sig.S),
		"empty": {}, "no sequence": {0x30}, "trailing byte": append(append([]byte{}, good...), 0),
		"inner trailing byte": trailingInside(good), "long length": longLength(good), "leading zeros": leadingZero(good),
		"indefinite length": append(append([]byte{0x30, 0x80}, good[2:]...), 0, 0),
		"cut off":           good[:len(good)-1], "null": {0x30, 4, 5, 0, 5, 0}, "only r": {0x30, 3, 2, 1, 1},
	} {
		if key.public.Verify(digest[:], b) {
			t.Errorf("%s: accepted %x", name, b)
		}
	}
	if !key.public.Verify(digest[:], good) || !key.public.Verify(digest[:], der(sig.R, minus(n, sig.S))) {
		t.Error("a good signature, or the same with n - s, is refused")
	}
}

func trailingInside(sig []byte) []byte {
	b := append(append([]byte{}, sig...), 0)
	b[1]++
	return b
}

func longLength(sig []byte) []byte { return append([]byte{0x30, 0x81, sig[1]}, sig[2:]...) }

func leadingZero(sig []byte) []byte {
	b := append([]byte{0x30, sig[1] + 1, 2, sig[3] + 1, 0}, sig[4:]...)
	return b
}

// A signature whose commitment has an x coordinate between n and p: r is x - n, and
// only a verifier that tries r + n accepts it. The key is made to fit, as in
// Wycheproof, by recovering it from a chosen commitment.
func TestACommitmentAboveTheOrderIsAccepted(t *testing.T) {
	n := bigOf(groupOrder.m)
	x, y := smallPoint(n) // the first x from n on that is on the curve
	r := new(big.Int).Sub(x, n)
	s := big.NewInt(12345)
	digest := sha256.Sum256([]byte("rare"))
	e := new(big.Int).SetBytes(digest[:])
	e.Mod(e, n)
	// Q = r^-1 (s·R - e·G)
	sx, sy := bigMult(x, y, s.Bytes())
	ex, ey := bigBase(new(big.Int).Sub(n, e).Bytes())
	qx, qy := bigAdd(sx, sy, ex, ey)
	qx, qy = bigMult(qx, qy, new(big.Int).ModInverse(r, n).Bytes())
	key := keyOf(t, qx, qy)
	sig, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	if !key.Verify(digest[:], sig) {
		t.Error("refused")
	}
	if sig, err = asn1.Marshal(struct{ R, S *big.Int }{x, s}); err != nil {
		t.Fatal(err)
	}
	if key.Verify(digest[:], sig) {
		t.Error("accepted with the coordinate itself, which is not below the order")
	}
}

// r and s are chosen so that the two multiples cancel: e + r·d = 0. The commitment is
// infinite and has no coordinate that could equal r.
func TestAnInfiniteCommitmentIsRefused(t *testing.T) {
	const d = 42
	key, err := NewBrainpoolPrivateKey([]byte{d})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("cancel"))
	n := bigOf(groupOrder.m)
	r := new(big.Int).ModInverse(big.NewInt(d), n)
	r.Mul(r, new(big.Int).Neg(new(big.Int).SetBytes(digest[:])))
	r.Mod(r, n)
	sig, err := asn1.Marshal(struct{ R, S *big.Int }{r, big.NewInt(7)})
	if err != nil {
		t.Fatal(err)
	}
	if key.public.Verify(digest[:], sig) {
		t.Error("accepted")
	}
}

// A coordinate has one form: x + p fits into 32 bytes for small x and means x.
func TestCoordinatesAreReduced(t *testing.T) {
	p := bigOf(fieldPrime.m)
	x, y := smallPoint(big.NewInt(0))
	good := keyOf(t, x, y).Bytes()
	for name, add := range map[string]int{"x": 1, "y": 33} {
		b := append([]byte{}, good...)
		v := new(big.Int).SetBytes(b[add : add+32])
		if v.Add(v, p); v.BitLen() > 256 {
			continue
		}
		v.FillBytes(b[add : add+32])
		if _, err := NewBrainpoolKey(b); err == nil {
			t.Errorf("%s + p is accepted", name)
		}
	}
	if new(big.Int).Add(x, p).BitLen() > 256 {
		t.Error("the point is too large for this test")
	}
}

// smallPoint returns the first point of r1 whose x is above the given one.
func smallPoint(above *big.Int) (x, y *big.Int) {
	p := bigOf(fieldPrime.m)
	a := new(big.Int).SetBytes(unhex("7D5A0975FC2C3057EEF67530417AFFE7FB8055C126DC5C6CE94A4B44F330B5D9"))
	b := new(big.Int).SetBytes(unhex("26DC5C6CE94A4B44F330B5D9BBD77CBF958416295CF7E1CE6BCCDC18FF8C07B6"))
	x = new(big.Int).Set(above)
	for y == nil {
		x.Add(x, big.NewInt(1))
		rhs := new(big.Int).Exp(x, big.NewInt(3), p)
		rhs.Add(rhs, new(big.Int).Mul(a, x))
		rhs.Add(rhs, b)
		y = new(big.Int).ModSqrt(rhs.Mod(rhs, p), p)
	}
	return x, y
}

func TestHostilePointsAreRefused(t *testing.T) {
	g := brainpool.P256r1().Params()
	good := keyOf(t, g.Gx, g.Gy).Bytes()
	change := func(f func(b []byte) []byte) []byte { return f(append([]byte{}, good...)) }
	p := fieldPrime.m.bytes()
	for name, b := range map[string][]byte{
		"not on the curve":        change(func(b []byte) []byte { b[64] ^= 1; return b }),
		"infinity":                {0},
		"all zero":                change(func([]byte) []byte { return append([]byte{4}, make([]byte, 64)...) }),
		"compressed":              change(func(b []byte) []byte { b[0] = 2; return b[:33] }),
		"hybrid":                  change(func(b []byte) []byte { b[0] = 6; return b }),
		"too short":               good[:64],
		"too long":                append(append([]byte{}, good...), 0),
		"x is the prime":          change(func(b []byte) []byte { copy(b[1:], p[:]); return b }),
		"y is the prime":          change(func(b []byte) []byte { copy(b[33:], p[:]); return b }),
		"point of the twist":      twistPoint(),
		"point of P-256":          unhex("046B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C2964FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5"),
		"coordinates are 2^256-1": append([]byte{4}, bytes.Repeat([]byte{0xff}, 64)...),
		"empty":                   nil,
	} {
		if _, err := NewBrainpoolKey(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, d := range map[string][]byte{
		"zero": make([]byte, 32), "order": unhex("A9FB57DBA1EEA9BC3E660A909D838D718C397AA3B561A6F7901E0E82974856A7"),
		"above the order": bytes.Repeat([]byte{0xff}, 32), "too long": make([]byte, 33), "empty": nil,
	} {
		if _, err := NewBrainpoolPrivateKey(d); err == nil {
			t.Errorf("private key %s: accepted", name)
		}
	}
}

// twistPoint is the generator of brainpoolP256t1, which is not a point of r1.
func twistPoint() []byte {
	return unhex("04A3E8EB3CC1CFE7B7732213B23A656149AFA142C47AAFBC2B79A191562E1305F4" +
		"2D996C823439C56D7F7B22E14644417E69BCB6DE39D027001DABE8F35B25C9BE")
}
