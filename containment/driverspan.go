package containment

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/google/nftables"
)

// span is a range of addresses as an interval set holds it: from the first to
// the one after the last. An invalid end is the end of all addresses.
type span struct{ from, end netip.Addr }

// merge sorts the ranges of one family and joins those that touch: the kernel
// refuses overlaps.
func merge(all []netip.Prefix, v6 bool) []span {
	var out []span
	for _, p := range all {
		if p.Addr().Is6() != v6 {
			continue
		}
		out = append(out, span{p.Masked().Addr(), after(p)})
	}
	slices.SortFunc(out, func(a, b span) int { return a.from.Compare(b.from) })
	n := 0
	for _, s := range out {
		if n > 0 {
			last := &out[n-1]
			if !last.end.IsValid() {
				break
			}
			if s.from.Compare(last.end) <= 0 {
				if !s.end.IsValid() || s.end.Compare(last.end) > 0 {
					last.end = s.end
				}
				continue
			}
		}
		out[n] = s
		n++
	}
	return out[:n]
}

// after is the first address behind a range; invalid when there is none.
func after(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	last, _ := netip.AddrFromSlice(b) // of a valid length
	return last.Next()
}

// elements are ranges as the kernel takes them: a start, and an end of its own.
func elements(all []span) []nftables.SetElement {
	out := make([]nftables.SetElement, 0, 2*len(all))
	for _, s := range all {
		out = append(out, nftables.SetElement{Key: s.from.AsSlice()})
		if s.end.IsValid() {
			out = append(out, nftables.SetElement{Key: s.end.AsSlice(), IntervalEnd: true})
		}
	}
	return out
}

// spans reads elements back as sorted ranges.
func spans(elems []nftables.SetElement, v6 bool) []span {
	size := 4
	if v6 {
		size = 16
	}
	elems = slices.Clone(elems)
	slices.SortStableFunc(elems, func(a, b nftables.SetElement) int {
		if c := bytes.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		if a.IntervalEnd == b.IntervalEnd {
			return 0
		}
		if a.IntervalEnd { // one range ends where the next begins
			return -1
		}
		return 1
	})
	var out []span
	open := false
	for _, e := range elems {
		a, ok := netip.AddrFromSlice(e.Key)
		if !ok || len(e.Key) != size {
			continue
		}
		switch {
		case e.IntervalEnd && open:
			out[len(out)-1].end, open = a, false
		case !e.IntervalEnd:
			out, open = append(out, span{from: a}), true
		}
	}
	return out
}
