package schedule

// rng is splitmix64-seeded xoshiro256**: small, fast and the same everywhere and
// in every release of Go, which results that depend on a seed alone rest on.
type rng struct{ s [4]uint64 }

func newRNG(seed uint64) *rng {
	r := &rng{}
	for i := range r.s {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		r.s[i] = z ^ z>>31
	}
	return r
}

func (r *rng) next() uint64 {
	s := &r.s
	out := rotl(s[1]*5, 7) * 9
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = rotl(s[3], 45)
	return out
}

func rotl(x uint64, k uint) uint64 { return x<<k | x>>(64-k) }

// below is a number from 0 to n-1; n must be positive.
func (r *rng) below(n int32) int32 {
	return int32(uint64(uint32(r.next()>>32)) * uint64(uint32(n)) >> 32)
}

// unit is a number from 0 to 1, 1 not included.
func (r *rng) unit() float64 { return float64(r.next()>>11) / (1 << 53) }
