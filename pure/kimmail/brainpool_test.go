package kimmail

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	mrand "math/rand/v2"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/brainpool"
)

func bigOf(x limbs) *big.Int {
	b := x.bytes()
	return new(big.Int).SetBytes(b[:])
}

func limbsFromBig(v *big.Int) limbs { return limbsOf(v.Bytes()) }

func testRand(seed uint64) *mrand.ChaCha8 {
	var s [32]byte
	s[0] = byte(seed)
	return mrand.NewChaCha8(s)
}

func randomLimbs(r *mrand.ChaCha8) limbs {
	x := limbs{r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()}
	switch r.Uint64() % 8 { // edges more often than chance would have them
	case 0:
		x[3], x[2] = ^uint64(0), ^uint64(0)
	case 1:
		x = limbs{r.Uint64() % 4}
	}
	return x
}

func TestFieldAndScalarArithmeticAgreesWithBigIntegers(t *testing.T) {
	r := testRand(1)
	rInv := new(big.Int).Lsh(big.NewInt(1), 256)
	for name, m := range map[string]*modulus{"field": &fieldPrime, "order": &groupOrder} {
		mod := bigOf(m.m)
		inv := new(big.Int).ModInverse(rInv, mod)
		for i := range 20000 {
			x, y := randomLimbs(r), randomLimbs(r)
			if i%5 == 0 {
				x = m.m
				x[0] -= uint64(i) % 4
			}
			m.reduceOnce(&x, &x, 0)
			m.reduceOnce(&y, &y, 0)
			bx, by := bigOf(x), bigOf(y)
			check := func(op string, got limbs, want *big.Int) {
				t.Helper()
				if want.Mod(want, mod); bigOf(got).Cmp(want) != 0 {
					t.Fatalf("%s: %s(%x, %x) = %x, want %x", name, op, bx, by, bigOf(got), want)
				}
			}
			var z limbs
			m.mul(&z, &x, &y)
			check("mul", z, new(big.Int).Mul(new(big.Int).Mul(bx, by), inv))
			m.add(&z, &x, &y)
			check("add", z, new(big.Int).Add(bx, by))
			m.sub(&z, &x, &y)
			check("sub", z, new(big.Int).Sub(bx, by))
			if i%100 == 0 && !x.isZero() {
				m.enter(&z, &x)
				m.invert(&z, &z)
				m.leave(&z, &z)
				check("invert", z, new(big.Int).ModInverse(bx, mod))
			}
		}
	}
}

// The second implementation is the same curve on big integers, with crypto/ecdsa on
// top of it.
func TestScalarMultiplicationAgreesWithBigIntegers(t *testing.T) {
	r, curve := testRand(2), brainpool.P256r1()
	last := groupOrder.m
	last[0]--
	scalars := []limbs{{1}, {2}, {3}, {15}, {16}, {17}, {0, 1}, {0, 0, 0, 1}, last}
	for range 30 {
		k := randomLimbs(r)
		groupOrder.reduceOnce(&k, &k, 0)
		if !k.isZero() {
			scalars = append(scalars, k)
		}
	}
	qx, qy := curve.ScalarBaseMult([]byte{7})
	for i, k := range scalars {
		kb := k.bytes()
		var p projective
		p.multiplyBase(&k)
		wantX, wantY := curve.ScalarBaseMult(kb[:])
		if x, y, ok := p.affineR1(); !ok || bigOf(x).Cmp(wantX) != 0 || bigOf(y).Cmp(wantY) != 0 {
			t.Fatalf("%x·G = (%x, %x)", kb, bigOf(x), bigOf(y))
		}
		encoded := p.encode()
		key, err := NewBrainpoolKey(encoded[:])
		if err != nil {
			t.Fatal(err)
		}
		l := scalars[(i*7+3)%len(scalars)]
		lb := l.bytes()
		wantX, _ = curve.ScalarMult(wantX, wantY, lb[:])
		got, err := (&BrainpoolPrivateKey{d: l}).ECDH(key)
		if err != nil || new(big.Int).SetBytes(got).Cmp(wantX) != 0 {
			t.Fatalf("ECDH of %x with %x·G = %x, %v", lb, kb, got, err)
		}
		// k·G + l·7G on the path of variable time
		q := keyOf(t, qx, qy)
		sum := combine(&k, &l, &q.point)
		x1, y1 := curve.ScalarBaseMult(kb[:])
		x2, y2 := curve.ScalarMult(qx, qy, lb[:])
		wantX, wantY = curve.Add(x1, y1, x2, y2)
		checkJacobian(t, &sum, wantX, wantY)
	}
}

func keyOf(t testing.TB, x, y *big.Int) *BrainpoolKey {
	t.Helper()
	b := make([]byte, 65)
	b[0] = 4
	x.FillBytes(b[1:33])
	y.FillBytes(b[33:])
	k, err := NewBrainpoolKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func checkJacobian(t *testing.T, p *jacobian, wantX, wantY *big.Int) {
	t.Helper()
	// (X/Z², Y/Z³) as projective: (X·Z : Y : Z³)
	var q projective
	q.x.mul(&p.x, &p.z)
	q.y = p.y
	q.z.sqr(&p.z)
	q.z.mul(&q.z, &p.z)
	x, y, ok := q.affineR1()
	if wantX.Sign() == 0 && wantY.Sign() == 0 {
		if ok {
			t.Fatal("sum should be infinite")
		}
		return
	}
	if !ok || bigOf(x).Cmp(wantX) != 0 || bigOf(y).Cmp(wantY) != 0 {
		t.Fatalf("sum is (%x, %x) %v, want (%x, %x)", bigOf(x), bigOf(y), ok, wantX, wantY)
	}
}

func TestPointAdditionKnowsItsSpecialCases(t *testing.T) {
	minus := func(k uint64) limbs {
		z := groupOrder.m
		groupOrder.sub(&z, &limbs{}, &limbs{k})
		return z
	}
	curve := brainpool.P256r1()
	g := (&affine{twistGX, twistGY})
	three, two := limbs{3}, limbs{2}
	for name, c := range map[string]struct {
		u1, u2 limbs
		want   uint64 // multiple of G, 0 for infinity
	}{
		"a point and itself":           {limbs{1}, limbs{1}, 2},
		"a point and its opposite":     {limbs{1}, minus(1), 0},
		"infinity and a point":         {limbs{}, limbs{3}, 3},
		"a point and infinity":         {limbs{5}, limbs{}, 5},
		"infinity and infinity":        {limbs{}, limbs{}, 0},
		"sums that meet half way":      {limbs{127}, limbs{129}, 256},
		"sums that cancel half way":    {minus(16), limbs{17}, 1},
		"multiples that need a carry":  {limbs{^uint64(0)}, minus(0xffffffffffffff), 0xff00000000000000},
		"digits above the last window": {minus(1), limbs{2}, 1},
	} {
		sum := combine(&c.u1, &c.u2, g)
		wantX, wantY := new(big.Int), new(big.Int)
		if c.want != 0 {
			wantX, wantY = curve.ScalarBaseMult(new(big.Int).SetUint64(c.want).Bytes())
		}
		t.Run(name, func(t *testing.T) { checkJacobian(t, &sum, wantX, wantY) })
	}
	var a, b, sum projective
	a.multiplyBase(&three)
	b = a
	b.y.sub(&fe{}, &b.y)
	sum.add(&a, &b)
	if _, _, ok := sum.affineR1(); ok {
		t.Error("3G - 3G should be infinite")
	}
	inf := infinity()
	sum.add(&inf, &a)
	if sum.encode() != a.encode() {
		t.Error("infinity is not neutral")
	}
	b.multiplyBase(&two)
	sum.add(&b, &b)
	a.double(&b)
	if sum.encode() != a.encode() {
		t.Error("2G + 2G is not the double of 2G")
	}
}

// RFC 8734 is about TLS; its appendix has the ECDH vector for brainpoolP256r1 from
// RFC 7027 appendix A.1.
func TestKeyAgreementMatchesRFC7027(t *testing.T) {
	dA := unhex("81DB1EE100150FF2EA338D708271BE38300CB54241D79950F77B063039804F1D")
	dB := unhex("55E40BC41E37E3E2AD25C3C6654511FFA8474A91A0032087593852D3E7D76BD3")
	qA := unhex("04" + "44106E913F92BC02A1705D9953A8414DB95E1AAA49E81D9E85F929A8E3100BE5" +
		"8AB4846F11CACCB73CE49CBDD120F5A900A69FD32C272223F789EF10EB089BDC")
	qB := unhex("04" + "8D2D688C6CF93E1160AD04CC4429117DC2C41825E1E9FCA0ADDD34E6F1B39F7B" +
		"990C57520812BE512641E47034832106BC7D3E8DD0E4C7F1136D7006547CEC6A")
	want := unhex("89AFC39D41D3B327814B80940B042590F96556EC91E6AE7939BCE31F3A18BF2B")
	for _, c := range []struct{ d, own, peer []byte }{{dA, qA, qB}, {dB, qB, qA}} {
		key, err := NewBrainpoolPrivateKey(c.d)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(key.public.Bytes(), c.own) {
			t.Errorf("public key %x", key.public.Bytes())
		}
		peer, err := NewBrainpoolKey(c.peer)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := key.ECDH(peer); err != nil || !bytes.Equal(got, want) {
			t.Errorf("shared x = %x, %v", got, err)
		}
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestSignaturesAreAcceptedByTheSecondImplementationAndBack(t *testing.T) {
	r := testRand(3)
	for range 10 {
		key, err := GenerateBrainpoolKey(r)
		if err != nil {
			t.Fatal(err)
		}
		x, y := new(big.Int).SetBytes(key.public.encoded[1:33]), new(big.Int).SetBytes(key.public.encoded[33:])
		std := &ecdsa.PublicKey{Curve: brainpool.P256r1(), X: x, Y: y}
		digest := sha256.Sum256(key.Bytes())
		sig, err := key.Sign(r, digest[:], nil)
		if err != nil {
			t.Fatal(err)
		}
		if !ecdsa.VerifyASN1(std, digest[:], sig) {
			t.Fatal("our signature is refused by crypto/ecdsa")
		}
		if !key.public.Verify(digest[:], sig) {
			t.Fatal("our signature is refused by us")
		}
		theirs, err := ecdsa.SignASN1(rand.Reader, &ecdsa.PrivateKey{PublicKey: *std, D: new(big.Int).SetBytes(key.Bytes())}, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		if !key.public.Verify(digest[:], theirs) {
			t.Fatal("their signature is refused by us")
		}
		digest[5] ^= 1
		if key.public.Verify(digest[:], sig) || key.public.Verify(digest[:], theirs) {
			t.Fatal("a signature over another digest is accepted")
		}
	}
}

func TestWithoutRandomnessSigningIsDeterministic(t *testing.T) {
	key, err := NewBrainpoolPrivateKey([]byte{42})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("a"))
	one, _ := key.Sign(nil, digest[:], nil)
	two, _ := key.Sign(nil, digest[:], nil)
	three, _ := key.Sign(rand.Reader, digest[:], nil)
	if !bytes.Equal(one, two) || bytes.Equal(one, three) || !key.public.Verify(digest[:], one) || !key.public.Verify(digest[:], three) {
		t.Errorf("signatures %x, %x, %x", one, two, three)
	}
}

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
	curve := brainpool.P256r1()
	p, n := bigOf(fieldPrime.m), bigOf(groupOrder.m)
	a, _ := new(big.Int).SetString("7D5A0975FC2C3057EEF67530417AFFE7FB8055C126DC5C6CE94A4B44F330B5D9", 16)
	bb, _ := new(big.Int).SetString("26DC5C6CE94A4B44F330B5D9BBD77CBF958416295CF7E1CE6BCCDC18FF8C07B6", 16)
	x := new(big.Int).Set(n)
	var y *big.Int
	for y == nil { // the first x from n on that is on the curve
		x.Add(x, big.NewInt(1))
		rhs := new(big.Int).Exp(x, big.NewInt(3), p)
		rhs.Add(rhs, new(big.Int).Mul(a, x))
		rhs.Add(rhs, bb)
		y = new(big.Int).ModSqrt(rhs.Mod(rhs, p), p)
	}
	r := new(big.Int).Sub(x, n)
	s := big.NewInt(12345)
	digest := sha256.Sum256([]byte("rare"))
	e := new(big.Int).SetBytes(digest[:])
	e.Mod(e, n)
	// Q = r^-1 (s·R - e·G)
	sx, sy := curve.ScalarMult(x, y, s.Bytes())
	ex, ey := curve.ScalarBaseMult(new(big.Int).Sub(n, e).Bytes())
	qx, qy := curve.Add(sx, sy, ex, ey)
	qx, qy = curve.ScalarMult(qx, qy, new(big.Int).ModInverse(r, n).Bytes())
	key := keyOf(t, qx, qy)
	sig, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	if !key.Verify(digest[:], sig) {
		t.Error("refused")
	}
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

func TestNonAdjacentFormsAddUpToTheScalar(t *testing.T) {
	r := testRand(4)
	for i := range 2000 {
		k := randomLimbs(r)
		groupOrder.reduceOnce(&k, &k, 0)
		for _, width := range []uint{pointWidth, baseWidth} {
			digits := naf(k, width)
			sum := new(big.Int)
			for i := nafDigits - 1; i >= 0; i-- {
				sum.Lsh(sum, 1)
				sum.Add(sum, big.NewInt(int64(digits[i])))
				if digits[i] != 0 && (digits[i]&1 == 0 || abs(digits[i]) >= 1<<(width-1)) {
					t.Fatalf("digit %d of width %d", digits[i], width)
				}
			}
			if sum.Cmp(bigOf(k)) != 0 {
				t.Fatalf("case %d: digits of %x add up to %x", i, bigOf(k), sum)
			}
		}
	}
}

func benchKey(b *testing.B) (key *BrainpoolPrivateKey, digest, sig []byte) {
	b.Helper()
	key, err := GenerateBrainpoolKey(testRand(9))
	if err != nil {
		b.Fatal(err)
	}
	d := sha256.Sum256([]byte("message"))
	if sig, err = key.Sign(nil, d[:], nil); err != nil {
		b.Fatal(err)
	}
	return key, d[:], sig
}

// BenchmarkBrainpoolVerify compares with the big-integer path in one run; the
// metric "times-generic" is how many times faster ours is.
func BenchmarkBrainpoolVerify(b *testing.B) {
	key, digest, sig := benchKey(b)
	std := &ecdsa.PublicKey{
		Curve: brainpool.P256r1(),
		X:     new(big.Int).SetBytes(key.public.encoded[1:33]), Y: new(big.Int).SetBytes(key.public.encoded[33:]),
	}
	b.Run("generic", func(b *testing.B) {
		for b.Loop() {
			if !ecdsa.VerifyASN1(std, digest, sig) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if !key.public.Verify(digest, sig) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("ratio", func(b *testing.B) {
		var ours, generic time.Duration
		for b.Loop() {
			start := time.Now()
			for range 10 {
				key.public.Verify(digest, sig)
			}
			middle := time.Now()
			ecdsa.VerifyASN1(std, digest, sig)
			ours += middle.Sub(start) / 10
			generic += time.Since(middle)
		}
		b.ReportMetric(float64(generic)/float64(ours), "times-generic")
	})
}

func BenchmarkBrainpoolSign(b *testing.B) {
	key, digest, _ := benchKey(b)
	for b.Loop() {
		if _, err := key.Sign(rand.Reader, digest, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBrainpoolECDH(b *testing.B) {
	key, _, _ := benchKey(b)
	for b.Loop() {
		if _, err := key.ECDH(key.public); err != nil {
			b.Fatal(err)
		}
	}
}
