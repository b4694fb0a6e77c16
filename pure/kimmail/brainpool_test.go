package kimmail

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	mrand "math/rand/v2"
	"testing"
)

func bigOf(x limbs) *big.Int {
	b := x.bytes()
	return new(big.Int).SetBytes(b[:])
}

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
	r := testRand(2)
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
	qx, qy := bigBase([]byte{7})
	for i, k := range scalars {
		kb := k.bytes()
		var p projective
		p.multiplyBase(&k)
		wantX, wantY := bigBase(kb[:])
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
		wantX, _ = bigMult(wantX, wantY, lb[:])
		got, err := (&BrainpoolPrivateKey{d: l}).ECDH(key)
		if err != nil || new(big.Int).SetBytes(got).Cmp(wantX) != 0 {
			t.Fatalf("ECDH of %x with %x·G = %x, %v", lb, kb, got, err)
		}
		// k·G + l·7G on the path of variable time
		q := keyOf(t, qx, qy)
		sum := combine(&k, &l, &q.point)
		x1, y1 := bigBase(kb[:])
		x2, y2 := bigMult(qx, qy, lb[:])
		wantX, wantY = bigAdd(x1, y1, x2, y2)
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
			wantX, wantY = bigBase(new(big.Int).SetUint64(c.want).Bytes())
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
		std := stdKey(key)
		digest := sha256.Sum256(key.Bytes())
		sig, err := key.Sign(r, digest[:], nil)
		if err != nil {
			t.Fatal(err)
		}
		if !ecdsa.VerifyASN1(&std.PublicKey, digest[:], sig) {
			t.Fatal("our signature is refused by crypto/ecdsa")
		}
		if !key.public.Verify(digest[:], sig) {
			t.Fatal("our signature is refused by us")
		}
		theirs, err := ecdsa.SignASN1(rand.Reader, std, digest[:])
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
