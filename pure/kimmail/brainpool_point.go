package kimmail

import "sync"

// All arithmetic happens on brainpoolP256t1, the curve with a = -3 that RFC 5639
// §2.2 defines as isomorphic to brainpoolP256r1: (x, y) on r1 is (x·Z², y·Z³) on
// t1. The formulas for a = -3 are cheaper, and the two conversions cost little.

// The constants of t1 in the Montgomery domain; Z as in RFC 5639 §3.4.
var (
	twistB  = fe{limbs{0xec09f8253e842369, 0x5378207cc1d93e3d, 0xd36e5b31172a7c7a, 0x1969294c24b0c673}}
	twistGX = fe{limbs{0x39769890d918b12c, 0x5e24bdc5b0d7666d, 0xd5295b441bee1da0, 0x2971dc4068633fae}}
	twistGY = fe{limbs{0x189d1ebbb96c41ca, 0x0fee4bdd7b35abec, 0x37e448676a7e0bc0, 0x8bb1e31279f17e30}}
	twistZ2 = fe{limbs{0x104a803320a0514f, 0xb54d92af048eb94e, 0xd64e2ed7e093d7c3, 0x8bbb2a52caea3a42}}
	twistZ3 = fe{limbs{0x6181998787c5c323, 0x7fa0282a10ca56f3, 0x0b7818ae9330be64, 0x35aaf033bd3894b1}}
	backZ2  = fe{limbs{0x530e3bddce68ff1b, 0xf02125e71feec28b, 0xa998b1aebda07f13, 0x72ac986dd577fd90}}
	backZ3  = fe{limbs{0xa2f3b2cf1fdaa92e, 0x0aa729d67b6261b8, 0x755a6c102ac95e56, 0x5ad8f06e2e2df68b}}
)

// affine is a point of t1 other than infinity.
type affine struct{ x, y fe }

// onCurve tests y² = x³ - 3x + b.
func (p *affine) onCurve() bool {
	var left, right, three fe
	one := fe{fieldPrime.one}
	three.dbl(&one)
	three.add(&three, &one)
	left.sqr(&p.y)
	right.sqr(&p.x)
	right.sub(&right, &three)
	right.mul(&right, &p.x)
	right.add(&right, &twistB)
	return left.v.equal(&right.v)
}

// projective is a point of t1 as (X/Z, Y/Z); infinity is (0 : 1 : 0).
type projective struct{ x, y, z fe }

func infinity() projective { return projective{y: fe{fieldPrime.one}} }

func (p *affine) projective() projective { return projective{p.x, p.y, fe{fieldPrime.one}} }

// add sets r = p + q for any p and q, equal, opposite or infinite: Renes, Costello,
// Batina, "Complete addition formulas for prime order elliptic curves", algorithm 4.
func (r *projective) add(p, q *projective) {
	var t0, t1, t2, t3, t4, x, y, z fe
	t0.mul(&p.x, &q.x)
	t1.mul(&p.y, &q.y)
	t2.mul(&p.z, &q.z)
	t3.add(&p.x, &p.y)
	t4.add(&q.x, &q.y)
	t3.mul(&t3, &t4)
	t4.add(&t0, &t1)
	t3.sub(&t3, &t4)
	t4.add(&p.y, &p.z)
	x.add(&q.y, &q.z)
	t4.mul(&t4, &x)
	x.add(&t1, &t2)
	t4.sub(&t4, &x)
	x.add(&p.x, &p.z)
	y.add(&q.x, &q.z)
	x.mul(&x, &y)
	y.add(&t0, &t2)
	y.sub(&x, &y)
	z.mul(&twistB, &t2)
	x.sub(&y, &z)
	z.dbl(&x)
	x.add(&x, &z)
	z.sub(&t1, &x)
	x.add(&t1, &x)
	y.mul(&twistB, &y)
	t1.dbl(&t2)
	t2.add(&t1, &t2)
	y.sub(&y, &t2)
	y.sub(&y, &t0)
	t1.dbl(&y)
	y.add(&t1, &y)
	t1.dbl(&t0)
	t0.add(&t1, &t0)
	t0.sub(&t0, &t2)
	t1.mul(&t4, &y)
	t2.mul(&t0, &y)
	y.mul(&x, &z)
	y.add(&y, &t2)
	x.mul(&t3, &x)
	x.sub(&x, &t1)
	z.mul(&t4, &z)
	t1.mul(&t3, &t0)
	z.add(&z, &t1)
	r.x, r.y, r.z = x, y, z
}

// double sets r = 2p for any p: algorithm 6 of the same paper.
func (r *projective) double(p *projective) {
	var t0, t1, t2, t3, x, y, z fe
	t0.sqr(&p.x)
	t1.sqr(&p.y)
	t2.sqr(&p.z)
	t3.mul(&p.x, &p.y)
	t3.dbl(&t3)
	z.mul(&p.x, &p.z)
	z.dbl(&z)
	y.mul(&twistB, &t2)
	y.sub(&y, &z)
	x.dbl(&y)
	y.add(&x, &y)
	x.sub(&t1, &y)
	y.add(&t1, &y)
	y.mul(&x, &y)
	x.mul(&x, &t3)
	t3.dbl(&t2)
	t2.add(&t2, &t3)
	z.mul(&twistB, &z)
	z.sub(&z, &t2)
	z.sub(&z, &t0)
	t3.dbl(&z)
	z.add(&z, &t3)
	t3.dbl(&t0)
	t0.add(&t3, &t0)
	t0.sub(&t0, &t2)
	t0.mul(&t0, &z)
	y.add(&y, &t0)
	t0.mul(&p.y, &p.z)
	t0.dbl(&t0)
	z.mul(&t0, &z)
	x.sub(&x, &z)
	z.mul(&t0, &t1)
	z.dbl(&z)
	z.dbl(&z)
	r.x, r.y, r.z = x, y, z
}

// affineR1 returns the coordinates on r1, out of the domain; ok is false for
// infinity.
func (r *projective) affineR1() (x, y limbs, ok bool) {
	var inv, ax, ay fe
	fieldPrime.invert(&inv.v, &r.z.v)
	ax.mul(&r.x, &inv)
	ay.mul(&r.y, &inv)
	ax.mul(&ax, &backZ2)
	ay.mul(&ay, &backZ3)
	fieldPrime.leave(&x, &ax.v)
	fieldPrime.leave(&y, &ay.v)
	return x, y, !r.z.v.isZero()
}

// pointTable holds 0·P to 15·P.
type pointTable [16]projective

func (t *pointTable) fill(p *projective) {
	t[0], t[1] = infinity(), *p
	for i := 2; i < len(t); i++ {
		t[i].add(&t[i-1], p)
	}
}

// lookup reads every entry and keeps one, so that memory access does not depend
// on the digit.
func (t *pointTable) lookup(digit uint64) (p projective) {
	for i := range t {
		mask := equalMask(uint64(i), digit)
		p.x.v.selectFrom(&t[i].x.v, mask)
		p.y.v.selectFrom(&t[i].y.v, mask)
		p.z.v.selectFrom(&t[i].z.v, mask)
	}
	return p
}

// multiply sets r = k·p in constant time: 64 digits of four bits, each with four
// doublings, one look-up and one addition, whatever the digits are.
func (r *projective) multiply(k *limbs, p *projective) {
	var table pointTable
	table.fill(p)
	acc := infinity()
	for i := 63; i >= 0; i-- {
		for range 4 {
			acc.double(&acc)
		}
		q := table.lookup(k[i/16] >> (i % 16 * 4) & 15)
		acc.add(&acc, &q)
	}
	*r = acc
}

// baseTables holds the tables of 16^i·G, i from 0 to 63: 92 KiB, made on first use
// and read-only from then on.
var baseTables = sync.OnceValue(func() *[64]pointTable {
	tables := new([64]pointTable)
	g := (&affine{twistGX, twistGY}).projective()
	for i := range tables {
		tables[i].fill(&g)
		for range 4 {
			g.double(&g)
		}
	}
	return tables
})

// multiplyBase sets r = k·G in constant time.
func (r *projective) multiplyBase(k *limbs) {
	tables := baseTables()
	acc := infinity()
	for i := range tables {
		q := tables[i].lookup(k[i/16] >> (i % 16 * 4) & 15)
		acc.add(&acc, &q)
	}
	*r = acc
}
