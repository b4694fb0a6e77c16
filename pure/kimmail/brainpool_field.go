package kimmail

import (
	"encoding/binary"
	"math/bits"
)

// limbs is a number below 2^256, least significant word first.
type limbs [4]uint64

// modulus is an odd number above 2^255 for Montgomery arithmetic with R = 2^256.
// Numbers "in the domain" are stored as x·R mod m. No operation here branches on
// or indexes by the numbers it works on.
type modulus struct {
	m   limbs
	inv uint64 // -m^-1 mod 2^64
	one limbs  // R mod m
	rr  limbs  // R² mod m
}

// The field prime and the group order of brainpoolP256r1 (RFC 5639 §3.4).
var (
	fieldPrime = modulus{
		m:   limbs{0x2013481d1f6e5377, 0x6e3bf623d5262028, 0x3e660a909d838d72, 0xa9fb57dba1eea9bc},
		inv: 0xc6a75590cefd89b9,
		one: limbs{0xdfecb7e2e091ac89, 0x91c409dc2ad9dfd7, 0xc199f56f627c728d, 0x5604a8245e115643},
		rr:  limbs{0x8cfedf7ba6465b6c, 0x5cce4c26614d4f4d, 0xa1ecdacd6b1ac807, 0x4717aa21e5957fa8},
	}
	groupOrder = modulus{
		m:   limbs{0x901e0e82974856a7, 0x8c397aa3b561a6f7, 0x3e660a909d838d71, 0xa9fb57dba1eea9bc},
		inv: 0xfbffbebdcbb40ee9,
		one: limbs{0x6fe1f17d68b7a959, 0x73c6855c4a9e5908, 0xc199f56f627c728e, 0x5604a8245e115643},
		rr:  limbs{0xe1d8d8de3312fca6, 0xf35d176a1134e4a0, 0x9b7f25e76c815cb0, 0x0b25f1b9c3236762},
	}
)

// mul sets z = x·y/R mod m, operand scanning: after each word of x the lowest word
// of the sum is made zero by adding a multiple of m, and dropped.
func (m *modulus) mul(z, x, y *limbs) {
	var t0, t1, t2, t3, t4 uint64
	y0, y1, y2, y3 := y[0], y[1], y[2], y[3]
	m0, m1, m2, m3 := m.m[0], m.m[1], m.m[2], m.m[3]
	for i := range x {
		var c, t5 uint64
		h0, l0 := bits.Mul64(x[i], y0)
		h1, l1 := bits.Mul64(x[i], y1)
		h2, l2 := bits.Mul64(x[i], y2)
		h3, l3 := bits.Mul64(x[i], y3)
		t0, c = bits.Add64(t0, l0, 0)
		t1, c = bits.Add64(t1, l1, c)
		t2, c = bits.Add64(t2, l2, c)
		t3, c = bits.Add64(t3, l3, c)
		t4, t5 = bits.Add64(t4, 0, c)
		t1, c = bits.Add64(t1, h0, 0)
		t2, c = bits.Add64(t2, h1, c)
		t3, c = bits.Add64(t3, h2, c)
		t4, c = bits.Add64(t4, h3, c)
		t5 += c
		q := t0 * m.inv
		h0, l0 = bits.Mul64(q, m0)
		h1, l1 = bits.Mul64(q, m1)
		h2, l2 = bits.Mul64(q, m2)
		h3, l3 = bits.Mul64(q, m3)
		_, c = bits.Add64(t0, l0, 0)
		t1, c = bits.Add64(t1, l1, c)
		t2, c = bits.Add64(t2, l2, c)
		t3, c = bits.Add64(t3, l3, c)
		t4, c = bits.Add64(t4, 0, c)
		t5 += c
		t0, c = bits.Add64(t1, h0, 0)
		t1, c = bits.Add64(t2, h1, c)
		t2, c = bits.Add64(t3, h2, c)
		t3, c = bits.Add64(t4, h3, c)
		t4 = t5 + c
	}
	m.reduceOnce(z, &limbs{t0, t1, t2, t3}, t4)
}

// reduceOnce sets z = x + carry·2^256 mod m for a sum below 2m.
func (m *modulus) reduceOnce(z, x *limbs, carry uint64) {
	s0, b := bits.Sub64(x[0], m.m[0], 0)
	s1, b := bits.Sub64(x[1], m.m[1], b)
	s2, b := bits.Sub64(x[2], m.m[2], b)
	s3, b := bits.Sub64(x[3], m.m[3], b)
	_, b = bits.Sub64(carry, 0, b)
	keep := -b // all ones if the sum was below m
	z[0] = s0 ^ keep&(s0^x[0])
	z[1] = s1 ^ keep&(s1^x[1])
	z[2] = s2 ^ keep&(s2^x[2])
	z[3] = s3 ^ keep&(s3^x[3])
}

func (m *modulus) add(z, x, y *limbs) {
	s0, c := bits.Add64(x[0], y[0], 0)
	s1, c := bits.Add64(x[1], y[1], c)
	s2, c := bits.Add64(x[2], y[2], c)
	s3, c := bits.Add64(x[3], y[3], c)
	m.reduceOnce(z, &limbs{s0, s1, s2, s3}, c)
}

func (m *modulus) sub(z, x, y *limbs) {
	s0, b := bits.Sub64(x[0], y[0], 0)
	s1, b := bits.Sub64(x[1], y[1], b)
	s2, b := bits.Sub64(x[2], y[2], b)
	s3, b := bits.Sub64(x[3], y[3], b)
	back := -b
	var c uint64
	z[0], c = bits.Add64(s0, back&m.m[0], 0)
	z[1], c = bits.Add64(s1, back&m.m[1], c)
	z[2], c = bits.Add64(s2, back&m.m[2], c)
	z[3], _ = bits.Add64(s3, back&m.m[3], c)
}

// invert sets z = x^-1 in the domain, by Fermat x^(m-2); zero stays zero. The
// exponent is public, so its digits may be looked at.
func (m *modulus) invert(z, x *limbs) {
	var powers [16]limbs
	powers[0], powers[1] = m.one, *x
	for i := 2; i < len(powers); i++ {
		m.mul(&powers[i], &powers[i-1], x)
	}
	exp := m.m
	exp[0] -= 2 // both moduli are odd and large: no borrow
	acc := m.one
	for i := 63; i >= 0; i-- {
		for range 4 {
			m.mul(&acc, &acc, &acc)
		}
		if digit := exp[i/16] >> (i % 16 * 4) & 15; digit != 0 {
			m.mul(&acc, &acc, &powers[digit])
		}
	}
	*z = acc
}

// enter and leave convert to and from the domain.
func (m *modulus) enter(z, x *limbs) { m.mul(z, x, &m.rr) }
func (m *modulus) leave(z, x *limbs) { m.mul(z, x, &limbs{1}) }

// below tells whether x < m, without branching on x.
func (m *modulus) below(x *limbs) bool {
	_, b := bits.Sub64(x[0], m.m[0], 0)
	_, b = bits.Sub64(x[1], m.m[1], b)
	_, b = bits.Sub64(x[2], m.m[2], b)
	_, b = bits.Sub64(x[3], m.m[3], b)
	return b == 1
}

func (x *limbs) isZero() bool        { return x[0]|x[1]|x[2]|x[3] == 0 }
func (x *limbs) equal(y *limbs) bool { return (x[0]^y[0])|(x[1]^y[1])|(x[2]^y[2])|(x[3]^y[3]) == 0 }
func (x *limbs) setBytes(b *[32]byte) {
	for i := range x {
		x[i] = binary.BigEndian.Uint64(b[24-8*i:])
	}
}

func (x *limbs) bytes() (b [32]byte) {
	for i := range x {
		binary.BigEndian.PutUint64(b[24-8*i:], x[i])
	}
	return b
}

// selectFrom sets x to y where mask is all ones; mask is all ones or zero.
func (x *limbs) selectFrom(y *limbs, mask uint64) {
	for i := range x {
		x[i] ^= mask & (x[i] ^ y[i])
	}
}

// equalMask is all ones if a equals b.
func equalMask(a, b uint64) uint64 {
	d := a ^ b
	return ((d | -d) >> 63) - 1
}

// fe is an element of the field in the domain.
type fe struct{ v limbs }

func (z *fe) mul(x, y *fe) { fieldPrime.mul(&z.v, &x.v, &y.v) }
func (z *fe) sqr(x *fe)    { fieldPrime.mul(&z.v, &x.v, &x.v) }
func (z *fe) add(x, y *fe) { fieldPrime.add(&z.v, &x.v, &y.v) }
func (z *fe) sub(x, y *fe) { fieldPrime.sub(&z.v, &x.v, &y.v) }
func (z *fe) dbl(x *fe)    { fieldPrime.add(&z.v, &x.v, &x.v) }
