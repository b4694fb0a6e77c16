package catalogue

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The minimum of all sets that separate, tried one by one, is what the flow finds.
func TestTheMinimumCutIsMinimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 9).Draw(t, "units")
		u := &units{links: make([][]int32, n)}
		prices := make([]int64, n)
		for i := range n {
			u.names = append(u.names, fmt.Sprint(i))
			prices[i] = rapid.Int64Range(1, 9).Draw(t, "price")
			for j := range i {
				if rapid.IntRange(0, 2).Draw(t, "linked") == 0 {
					u.links[i], u.links[j] = append(u.links[i], int32(j)), append(u.links[j], int32(i))
				}
			}
		}
		s := &separator{units: u, bad: []int32{0}, good: []int32{int32(n - 1)}, fixed: make([]bool, n), prices: prices}
		if rapid.Bool().Draw(t, "two") {
			s.bad = append(s.bad, 1)
		}
		s.fixed[n-1] = true
		s.fixed[rapid.IntRange(0, n-1).Draw(t, "kept")] = true
		best := int64(-1)
		for mask := range 1 << n {
			var cut []int32
			var price int64
			for i := range n {
				if mask>>i&1 == 1 {
					cut, price = append(cut, int32(i)), price+prices[i]
				}
			}
			fixed := slices.ContainsFunc(cut, func(i int32) bool { return s.fixed[i] })
			if !fixed && s.separates(cut) && (best < 0 || price < best) {
				best = price
			}
		}
		near, far, ok := s.minimum(prices)
		if ok != (best >= 0) {
			t.Fatalf("found a cut: %v, there is one: %v", ok, best >= 0)
		}
		for _, cut := range [][]int32{near, far} {
			var price int64
			for _, i := range cut {
				price += prices[i]
			}
			if ok && (!s.separates(cut) || price != best) {
				t.Fatalf("cut %v costs %d, separates %v; the least is %d", cut, price, s.separates(cut), best)
			}
		}
	})
}

// The quick price of one loss is what Impact computes in full.
func TestPricesAgreeWithImpact(t *testing.T) {
	c := Case2023(3)
	now := Situation{Down: Selection{Components: []ComponentID{"kim-server@essen"}}}
	r := resolver{g: c.graph(), own: map[int32]truth{}}
	r.take(now.Down, no)
	s := &separator{units: newUnits(c.graph()), now: now}
	s.pricer = newPricer(c.graph(), c.graph().spread(r.own, r.order))
	for range 2 { // a second time: the first left nothing behind
		for i, price := range s.priceAll(nil) {
			want := s.option("", []int32{int32(i)}).Impact.Weight
			if float64(price) != 1+want {
				t.Fatalf("%s: %d, want %v", s.names[i], price, 1+want)
			}
		}
	}
	gone := []int32{s.number["kim-server@munich"], s.number["108433248@munich"]}
	for i, price := range s.priceAll(gone) {
		both := s.option("", append(slices.Clone(gone), int32(i))).Impact.Weight
		if want := both - s.option("", gone).Impact.Weight; float64(price) != 1+want {
			t.Fatalf("%s on top: %d, want %v", s.names[i], price, 1+want)
		}
	}
	if len(s.pricer.fallen) != 0 {
		t.Error("the pricer did not undo")
	}
}
