package schedule

// keySorter sorts tasks by small keys without comparing them.
type keySorter struct{ bucket []int32 }

// sort writes base into sorted by ascending key; equal keys keep base's order. Keys
// are not negative.
func (s *keySorter) sort(sorted, base, key []int32) {
	var most int32
	for _, k := range key {
		most = max(most, k)
	}
	if int(most)+2 > len(s.bucket) {
		s.bucket = make([]int32, 2*int(most)+2)
	}
	b := s.bucket[:most+2]
	clear(b)
	for _, k := range key {
		b[k+1]++
	}
	for k := 1; k < len(b); k++ {
		b[k] += b[k-1]
	}
	for _, i := range base {
		k := key[i]
		sorted[b[k]] = i
		b[k]++
	}
}
