package kimmail

import "sync"

// Verification handles public values only and may take time that depends on them:
// Jacobian coordinates, both scalars in non-adjacent form, one chain of doublings.

// jacobian is a point of t1 as (X/Z², Y/Z³); infinity has Z = 0.
type jacobian struct{ x, y, z fe }

// double sets r = 2p (a = -3: "dbl-2001-b" of the Explicit-Formulas Database).
// There is no point of order two, so only infinity yields infinity.
func (r *jacobian) double(p *jacobian) {
	var delta, gamma, beta, alpha, t, z fe
	delta.sqr(&p.z)
	gamma.sqr(&p.y)
	beta.mul(&p.x, &gamma)
	t.sub(&p.x, &delta)
	alpha.add(&p.x, &delta)
	alpha.mul(&alpha, &t)
	t.dbl(&alpha)
	alpha.add(&alpha, &t)
	z.add(&p.y, &p.z)
	z.sqr(&z)
	z.sub(&z, &gamma)
	z.sub(&z, &delta)
	beta.dbl(&beta)
	beta.dbl(&beta)
	r.x.sqr(&alpha)
	t.dbl(&beta)
	r.x.sub(&r.x, &t)
	t.sub(&beta, &r.x)
	alpha.mul(&alpha, &t)
	gamma.dbl(&gamma)
	gamma.sqr(&gamma)
	gamma.dbl(&gamma)
	r.y.sub(&alpha, &gamma)
	r.z = z
}

// add sets r = p + q ("add-2007-bl"), with the cases that the formula leaves out.
func (r *jacobian) add(p, q *jacobian) {
	if p.z.v.isZero() {
		*r = *q
		return
	}
	if q.z.v.isZero() {
		*r = *p
		return
	}
	var z1z1, z2z2, u1, s1, u2, s2, z fe
	z1z1.sqr(&p.z)
	z2z2.sqr(&q.z)
	u1.mul(&p.x, &z2z2)
	u2.mul(&q.x, &z1z1)
	s1.mul(&p.y, &q.z)
	s1.mul(&s1, &z2z2)
	s2.mul(&q.y, &p.z)
	s2.mul(&s2, &z1z1)
	z.mul(&p.z, &q.z)
	r.finish(p, &u1, &s1, &u2, &s2, &z)
}

// addAffine sets r = p + q for an affine q.
func (r *jacobian) addAffine(p *jacobian, q *affine) {
	if p.z.v.isZero() {
		*r = jacobian{q.x, q.y, fe{fieldPrime.one}}
		return
	}
	var z1z1, u2, s2 fe
	z1z1.sqr(&p.z)
	u2.mul(&q.x, &z1z1)
	s2.mul(&q.y, &p.z)
	s2.mul(&s2, &z1z1)
	u1, s1, z := p.x, p.y, p.z
	r.finish(p, &u1, &s1, &u2, &s2, &z)
}

// finish completes an addition of two finite points whose coordinates were brought
// to the common denominator z.
func (r *jacobian) finish(p *jacobian, u1, s1, u2, s2, z *fe) {
	var h, rr, hh, hhh, v, t fe
	h.sub(u2, u1)
	rr.sub(s2, s1)
	if h.v.isZero() {
		if rr.v.isZero() {
			r.double(p)
			return
		}
		*r = jacobian{}
		return
	}
	hh.sqr(&h)
	hhh.mul(&hh, &h)
	v.mul(u1, &hh)
	r.z.mul(z, &h)
	r.x.sqr(&rr)
	r.x.sub(&r.x, &hhh)
	t.dbl(&v)
	r.x.sub(&r.x, &t)
	v.sub(&v, &r.x)
	v.mul(&v, &rr)
	t.mul(s1, &hhh)
	r.y.sub(&v, &t)
}

func (z *fe) negate(x *fe) { z.sub(&fe{}, x) }

// nafDigits is one more than the bits of a scalar: the form can be longer by one.
const nafDigits = 257

// naf writes k as a sum of digits[i]·2^i with odd digits of absolute value below
// 2^(width-1), at least width-1 zeros after each.
func naf(k limbs, width uint) (digits [nafDigits]int8) {
	var carry uint64
	mask := uint64(1)<<width - 1
	for i := 0; i < nafDigits; {
		window := bitsAt(&k, i, width) + carry
		if window&1 == 0 {
			i++ // the bit equals the carry, which therefore stays as it is
			continue
		}
		if window>>(width-1) == 1 {
			digits[i] = int8(int64(window) - int64(mask) - 1)
			carry = 1
		} else {
			digits[i] = int8(window)
			carry = 0
		}
		i += int(width)
	}
	return digits
}

// bitsAt returns n bits of k from bit i on.
func bitsAt(k *limbs, i int, n uint) uint64 {
	word, shift := i/64, uint(i%64)
	if word > 3 {
		return 0
	}
	v := k[word] >> shift
	if shift+n > 64 && word < 3 {
		v |= k[word+1] << (64 - shift)
	}
	return v & (1<<n - 1)
}

const (
	pointWidth = 5 // eight odd multiples, made per signature
	baseWidth  = 8 // 64 odd multiples of G, made once
)

// baseOdd holds G, 3G, … 127G.
var baseOdd = sync.OnceValue(func() *[64]affine {
	odd := new([64]affine)
	g := jacobian{twistGX, twistGY, fe{fieldPrime.one}}
	var twice jacobian
	twice.double(&g)
	for i := range odd {
		var inv, inv2 fe
		fieldPrime.invert(&inv.v, &g.z.v)
		inv2.sqr(&inv)
		odd[i].x.mul(&g.x, &inv2)
		inv2.mul(&inv2, &inv)
		odd[i].y.mul(&g.y, &inv2)
		g.add(&g, &twice)
	}
	return odd
})

// combine returns u1·G + u2·q.
func combine(u1, u2 *limbs, q *affine) jacobian {
	base := baseOdd()
	var odd [1 << (pointWidth - 2)]jacobian
	odd[0] = jacobian{q.x, q.y, fe{fieldPrime.one}}
	var twice, acc jacobian
	twice.double(&odd[0])
	for i := 1; i < len(odd); i++ {
		odd[i].add(&odd[i-1], &twice)
	}
	d1, d2 := naf(*u1, baseWidth), naf(*u2, pointWidth)
	for i := nafDigits - 1; i >= 0; i-- {
		acc.double(&acc)
		if d := d1[i]; d != 0 {
			p := base[abs(d)/2]
			if d < 0 {
				p.y.negate(&p.y)
			}
			acc.addAffine(&acc, &p)
		}
		if d := d2[i]; d != 0 {
			p := odd[abs(d)/2]
			if d < 0 {
				p.y.negate(&p.y)
			}
			acc.add(&acc, &p)
		}
	}
	return acc
}

func abs(d int8) int {
	if d < 0 {
		return -int(d)
	}
	return int(d)
}

// verify checks one ECDSA signature (r, s) over a digest: BSI TR-03111 §4.2.1.2.
// r and s are out of the domain.
func (q *affine) verify(digest []byte, r, s *limbs) bool {
	if r.isZero() || s.isZero() || !groupOrder.below(r) || !groupOrder.below(s) {
		return false
	}
	var e, w, u1, u2 limbs
	e = hashToScalar(digest)
	groupOrder.enter(&w, s)
	groupOrder.invert(&w, &w)
	groupOrder.mul(&u1, &e, &w) // out of the domain times in the domain: the product is out
	groupOrder.mul(&u2, r, &w)
	p := combine(&u1, &u2, q)
	if p.z.v.isZero() {
		return false
	}
	// x = X/Z² on t1 must be r·Z_t1² or, as the order is below the prime, (r+n)·Z_t1².
	candidate := *r
	for {
		var c, zz fe
		fieldPrime.enter(&c.v, &candidate)
		c.mul(&c, &twistZ2)
		zz.sqr(&p.z)
		c.mul(&c, &zz)
		if c.v.equal(&p.x.v) {
			return true
		}
		next, carry := addRaw(&candidate, &groupOrder.m)
		if carry || !candidate.equal(r) || !fieldPrime.below(&next) {
			return false
		}
		candidate = next
	}
}
