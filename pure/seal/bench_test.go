package seal_test

import (
	"bytes"
	"testing"

	"leitstand/pure/seal"
)

// A sick note of 20 KB, the size that the stores were measured with.
func BenchmarkSeal20KB(b *testing.B) {
	_, pub := pair(b)
	body, aad := bytes.Repeat([]byte("x"), 20_000), []byte("101570104/item/1")
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := pub.Seal(body, aad); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen20KB(b *testing.B) {
	priv, pub := pair(b)
	body, aad := bytes.Repeat([]byte("x"), 20_000), []byte("101570104/item/1")
	sealed, err := pub.Seal(body, aad)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := priv.Open(sealed, aad); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLock(b *testing.B) {
	m := seal.NewMaster()
	for b.Loop() {
		if _, err := m.Lock([]byte("richtig pferd batterie")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommit(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 20_000)
	for b.Loop() {
		seal.Commit(body)
	}
}

// Closing and opening as a batch of 32 does: one encapsulation for all.
func BenchmarkTogether20KB(b *testing.B) {
	priv, pub := pair(b)
	var ring seal.Ring
	ring.Add(priv)
	body, aad := bytes.Repeat([]byte("x"), 20_000), []byte("101570104/item/1")
	b.Run("seal", func(b *testing.B) {
		g, err := pub.Together()
		for i := 0; b.Loop(); i++ {
			if i%32 == 0 {
				g, err = pub.Together()
			}
			if err != nil {
				b.Fatal(err)
			}
			if _, err := g.Seal(body, aad); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		g, err := pub.Together()
		if err != nil {
			b.Fatal(err)
		}
		s, err := g.Seal(body, aad)
		if err != nil {
			b.Fatal(err)
		}
		r := ring.Reader()
		for i := 0; b.Loop(); i++ {
			if i%32 == 0 {
				r = ring.Reader()
			}
			if _, err := r.Open(s, aad); err != nil {
				b.Fatal(err)
			}
		}
	})
}
