package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"leitstand/pure/seal"
)

// together closes bodies "body 0", "body 1" … with one encapsulation, each with
// its number as additional data.
func together(t testing.TB, pub *seal.PublicKey, n int) [][]byte {
	t.Helper()
	g, err := pub.Together()
	if err != nil {
		t.Fatal(err)
	}
	out := make([][]byte, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { out[i], errs[i] = g.Seal(fmt.Appendf(nil, "body %d", i), fmt.Append(nil, i)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBodiesClosedTogetherOpenEachByItself(t *testing.T) {
	priv, pub := pair(t)
	var ring seal.Ring
	ring.Add(priv)
	reader := ring.Reader()
	all := append(together(t, pub, 20), sealed(t, pub, "body 20", "20"))
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() {
			want := fmt.Sprintf("body %d", i)
			for name, open := range map[string]func(s, aad []byte) ([]byte, error){"key": priv.Open, "ring": ring.Open, "reader": reader.Open} {
				if got, err := open(s, fmt.Append(nil, i)); err != nil || string(got) != want {
					t.Errorf("%s: %q, %v, want %q", name, got, err, want)
				}
			}
		})
	}
	wg.Wait()
}

// The keys of two bodies have nothing to do with each other: equal bodies look
// different, and none opens at another's place.
func TestBodiesClosedTogetherHaveKeysOfTheirOwn(t *testing.T) {
	priv, pub := pair(t)
	g, err := pub.Together()
	if err != nil {
		t.Fatal(err)
	}
	a, errA := g.Seal([]byte("a body of some length"), nil)
	b, errB := g.Seal([]byte("a body of some length"), nil)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	const text = 4 + 16 + 1120 + 8
	if !bytes.Equal(a[:text-8], b[:text-8]) {
		t.Error("two bodies closed together have two encapsulations")
	}
	if bytes.Equal(a[text-8:text], b[text-8:text]) {
		t.Error("two bodies have the same place, and so the same key and nonce")
	}
	if bytes.Equal(a[text:], b[text:]) {
		t.Error("two bodies were closed with the same key")
	}
	swapped := append(bytes.Clone(a[:text]), b[text:]...)
	if _, err := priv.Open(swapped, nil); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("a body opened at another's place: %v", err)
	}
}

func TestAChangeOfAnyBitOfABodyClosedTogetherIsRefused(t *testing.T) {
	priv, pub := pair(t)
	s := together(t, pub, 2)[1]
	for i := range s {
		s[i] ^= 1 << (i % 8)
		if _, err := priv.Open(s, []byte("1")); !errors.Is(err, wantFor(i)) {
			t.Fatalf("byte %d changed: %v, want %v", i, err, wantFor(i))
		}
		s[i] ^= 1 << (i % 8)
		if _, err := priv.Open(s[:i], []byte("1")); err == nil {
			t.Fatalf("cut to %d bytes and still opened", i)
		}
	}
	if _, err := priv.Open(s, []byte("0")); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("opened with another's additional data: %v", err)
	}
}

// A version is no flag to be turned: neither form opens under the other's name.
func TestTheTwoFormsOfAnEnvelopeAreNotExchanged(t *testing.T) {
	priv, pub := pair(t)
	one, other := sealed(t, pub, "a body of some length", ""), together(t, pub, 1)[0]
	one[3], other[3] = other[3], one[3]
	for _, s := range [][]byte{one, other} {
		if _, err := priv.Open(s, nil); !errors.Is(err, seal.ErrTampered) {
			t.Errorf("%x: %v, want %v", s[:4], err, seal.ErrTampered)
		}
	}
}

func TestAReaderRefusesWhatItsRingDoes(t *testing.T) {
	_, pub := pair(t)
	r := new(seal.Ring).Reader()
	if _, err := r.Open(together(t, pub, 1)[0], []byte("0")); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("%v, want %v", err, seal.ErrOtherKey)
	}
	g, err := pub.Together()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Seal(make([]byte, seal.MaxPlaintext+1), nil); !errors.Is(err, seal.ErrTooLarge) {
		t.Errorf("%v, want %v", err, seal.ErrTooLarge)
	}
}
