package seal_test

import (
	"errors"
	"testing"

	"leitstand/pure/seal"
)

func TestAnyEnoughSharesGiveTheKeyAndFewerDoNot(t *testing.T) {
	k := seal.NewKey()
	shares, err := k.Split(3, 5)
	if err != nil {
		t.Fatal(err)
	}
	for a := range 5 {
		for b := range a {
			for c := range b {
				var back []seal.Share
				for _, i := range []int{a, b, c} {
					s, err := seal.ParseShare(shares[i].String())
					if err != nil {
						t.Fatal(err)
					}
					back = append(back, s)
				}
				if got, err := seal.Combine(back); err != nil || got != k {
					t.Errorf("shares %d, %d and %d: %v", a, b, c, err)
				}
				if _, err := seal.Combine(back[:2]); !errors.Is(err, seal.ErrShares) {
					t.Errorf("two of three: %v", err)
				}
			}
		}
	}
	other, err := seal.NewKey().Split(3, 5)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]seal.Share{
		"none": nil, "one twice": {shares[0], shares[1], shares[1]}, "of another set": {shares[0], shares[1], other[2]},
	} {
		if _, err := seal.Combine(bad); !errors.Is(err, seal.ErrShares) {
			t.Errorf("%s: %v", name, err)
		}
	}
	forged := shares[2]
	forged.Index = 4
	if _, err := seal.Combine([]seal.Share{shares[0], shares[1], forged}); !errors.Is(err, seal.ErrShares) {
		t.Errorf("a share under another number: %v", err)
	}
}

func TestAShareWithOneWrongCharacterIsNoticed(t *testing.T) {
	shares, err := seal.NewKey().Split(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(shares[0].String())
	for i := range text {
		if text[i] == '-' {
			continue
		}
		bad := []byte(string(text))
		if bad[i] = 'A'; text[i] == 'A' {
			bad[i] = 'B'
		}
		if s, err := seal.ParseShare(string(bad)); err == nil && s != shares[0] {
			t.Errorf("character %d", i)
		}
	}
	for _, n := range [][2]int{{0, 1}, {3, 2}, {1, 21}} {
		if _, err := seal.NewKey().Split(n[0], n[1]); err == nil {
			t.Errorf("%d of %d shares", n[0], n[1])
		}
	}
}

func TestABundleOpensOnlyWithItsKey(t *testing.T) {
	k := seal.NewKey()
	b, err := k.Close([]byte("keys"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.Open(b); err != nil || string(got) != "keys" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := seal.NewKey().Open(b); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("another key: %v", err)
	}
	if _, err := k.Open(b[:10]); !errors.Is(err, seal.ErrFormat) {
		t.Errorf("cut off: %v", err)
	}
}
