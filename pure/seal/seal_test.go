package seal_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"leitstand/pure/seal"
)

func pair(t testing.TB) (*seal.PrivateKey, *seal.PublicKey) {
	t.Helper()
	priv, pub, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return priv, pub
}

func sealed(t testing.TB, pub *seal.PublicKey, plain, aad string) []byte {
	t.Helper()
	s, err := pub.Seal([]byte(plain), []byte(aad))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnEnvelopeOpensToWhatWasSealed(t *testing.T) {
	priv, pub := pair(t)
	for _, n := range []int{0, 1, 15, 16, 17, 20_000, 1 << 20} {
		body := bytes.Repeat([]byte{'b'}, n)
		s, err := pub.Seal(body, []byte("aad"))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(s) - n; got != seal.Overhead {
			t.Errorf("%d bytes grew by %d, want %d", n, got, seal.Overhead)
		}
		got, err := priv.Open(s, []byte("aad"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, body) {
			t.Errorf("%d bytes opened to something else", n)
		}
	}
}

func TestSealingTheSameTwiceLooksDifferent(t *testing.T) {
	_, pub := pair(t)
	if bytes.Equal(sealed(t, pub, "eAU", ""), sealed(t, pub, "eAU", "")) {
		t.Error("two envelopes of the same body are equal: they show that the body is the same")
	}
}

func TestTheEnvelopeDoesNotHoldThePlainText(t *testing.T) {
	_, pub := pair(t)
	if s := sealed(t, pub, "Diagnose J06.9", "geheimes Beiwerk"); bytes.Contains(s, []byte("J06.9")) || bytes.Contains(s, []byte("Beiwerk")) {
		t.Error("plain text or additional data stands in the envelope")
	}
}

// Every bit of every field: magic, version, key id, encapsulated key, ciphertext, tag.
func TestAChangeOfAnyBitIsRefused(t *testing.T) {
	priv, pub := pair(t)
	s := sealed(t, pub, "a body", "aad")
	for i := range s {
		for bit := range 8 {
			if i >= 24 && i < len(s)-64 && bit != i%8 {
				continue // inside the encapsulated key one bit a byte is enough: each costs a decapsulation
			}
			s[i] ^= 1 << bit
			if _, err := priv.Open(s, []byte("aad")); err == nil {
				t.Fatalf("byte %d bit %d changed and still opened", i, bit)
			} else if want := wantFor(i); !errors.Is(err, want) {
				t.Fatalf("byte %d bit %d: %v, want %v", i, bit, err, want)
			}
			s[i] ^= 1 << bit
		}
	}
	for n := range len(s) {
		if _, err := priv.Open(s[:n], []byte("aad")); err == nil {
			t.Fatalf("cut to %d bytes and still opened", n)
		}
	}
	if _, err := priv.Open(append(s, 0), []byte("aad")); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("one byte more: %v", err)
	}
}

func wantFor(i int) error {
	switch {
	case i < 4:
		return seal.ErrFormat
	case i < 20:
		return seal.ErrOtherKey
	default:
		return seal.ErrTampered
	}
}

func TestAnEnvelopeIsBoundToItsAdditionalData(t *testing.T) {
	priv, pub := pair(t)
	s := sealed(t, pub, "a body", "101570104/item/1")
	for _, aad := range []string{"", "101570104/item/2", "101570104/item/1 "} {
		if _, err := priv.Open(s, []byte(aad)); !errors.Is(err, seal.ErrTampered) {
			t.Errorf("with %q: %v, want %v", aad, err, seal.ErrTampered)
		}
	}
}

func TestAnotherKeyDoesNotOpen(t *testing.T) {
	_, pub := pair(t)
	other, otherPub := pair(t)
	s := sealed(t, pub, "a body", "")
	if _, err := other.Open(s, nil); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("%v, want %v", err, seal.ErrOtherKey)
	}
	// The name of the key is not what protects: written over, it still does not open.
	id := otherPub.ID()
	copy(s[4:], id[:])
	if _, err := other.Open(s, nil); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("%v, want %v", err, seal.ErrTampered)
	}
}

func TestABodyBeyondTheLimitIsRefused(t *testing.T) {
	_, pub := pair(t)
	if _, err := pub.Seal(make([]byte, seal.MaxPlaintext+1), nil); !errors.Is(err, seal.ErrTooLarge) {
		t.Errorf("%v, want %v", err, seal.ErrTooLarge)
	}
}

func TestKeysSurviveWritingAndReading(t *testing.T) {
	priv, pub := pair(t)
	pub2, err := seal.ParsePublicKey(pub.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	b, err := priv.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	priv2, err := seal.ParsePrivateKey(b)
	if err != nil {
		t.Fatal(err)
	}
	if pub2.ID() != priv2.ID() || pub2.ID() != pub.ID() || priv2.Public().ID() != pub.ID() {
		t.Error("the id changed on the way")
	}
	got, err := priv2.Open(sealed(t, pub2, "a body", ""), nil)
	if err != nil || string(got) != "a body" {
		t.Errorf("%q, %v", got, err)
	}
	id, err := seal.ParseKeyID(pub.ID().String())
	if err != nil || id != pub.ID() {
		t.Errorf("key id %v read as %v, %v", pub.ID(), id, err)
	}
}

func TestBrokenKeysAreRefused(t *testing.T) {
	priv, pub := pair(t)
	secret, err := priv.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{nil, []byte("LSP"), pub.Marshal()[:100], secret, append(pub.Marshal(), 0), append([]byte("LSP\x02"), pub.Marshal()[4:]...)} {
		if _, err := seal.ParsePublicKey(b); !errors.Is(err, seal.ErrFormat) {
			t.Errorf("public key of %d bytes: %v", len(b), err)
		}
	}
	for _, b := range [][]byte{nil, secret[:20], pub.Marshal(), append(secret, 0)} {
		if _, err := seal.ParsePrivateKey(b); !errors.Is(err, seal.ErrFormat) {
			t.Errorf("private key of %d bytes: %v", len(b), err)
		}
	}
	for _, s := range []string{"", "zz", pub.ID().String() + "00"} {
		if _, err := seal.ParseKeyID(s); !errors.Is(err, seal.ErrFormat) {
			t.Errorf("key id %q: %v", s, err)
		}
	}
}

func TestARingOpensOldAndNewAndReseals(t *testing.T) {
	old, oldPub := pair(t)
	now, nowPub := pair(t)
	_, strangerPub := pair(t)
	var ring seal.Ring
	ring.Add(old, now)
	for _, pub := range []*seal.PublicKey{oldPub, nowPub} {
		got, err := ring.Open(sealed(t, pub, "a body", "k"), []byte("k"))
		if err != nil || string(got) != "a body" {
			t.Errorf("%q, %v", got, err)
		}
	}
	moved, err := ring.Reseal(sealed(t, oldPub, "a body", "k"), []byte("k"), nowPub)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := now.Open(moved, []byte("k")); err != nil || string(got) != "a body" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ring.Open(sealed(t, strangerPub, "a body", ""), nil); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("%v, want %v", err, seal.ErrOtherKey)
	}
	if _, err := new(seal.Ring).Open([]byte("LSE"), nil); !errors.Is(err, seal.ErrFormat) {
		t.Errorf("%v, want %v", err, seal.ErrFormat)
	}
}

func TestACommitmentFitsItsDataAndSaltOnly(t *testing.T) {
	c, s := seal.Commit([]byte("eAU 1"))
	c2, s2 := seal.Commit([]byte("eAU 1"))
	if c == c2 || s == s2 {
		t.Error("two commitments to the same data are equal: they show that the data is the same")
	}
	type try struct {
		Data string
		Salt seal.Salt
		Want bool
	}
	for _, x := range []try{{"eAU 1", s, true}, {"eAU 2", s, false}, {"eAU 1", s2, false}, {"", s, false}} {
		if got := c.Opens([]byte(x.Data), x.Salt); got != x.Want {
			t.Errorf("Opens(%q) = %v", x.Data, got)
		}
	}
	back, err := seal.ParseCommitment(c.String())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back); diff != "" {
		t.Errorf("commitment changed (-want +got):\n%s", diff)
	}
	if _, err := seal.ParseCommitment("00"); !errors.Is(err, seal.ErrFormat) {
		t.Errorf("short commitment: %v", err)
	}
}

// The key is fixed: every worker of the fuzzer is a process of its own.
func FuzzOpen(f *testing.F) {
	priv, err := seal.ParsePrivateKey([]byte("LSS\x01a fixed private key for the fuzz"))
	if err != nil {
		f.Fatal(err)
	}
	bodies := []string{"", "a body", "Krankmeldung"}
	for _, body := range bodies {
		s := sealed(f, priv.Public(), body, "aad")
		f.Add(s)
		f.Add(s[:len(s)-1])
		g, err := priv.Public().Together()
		if err != nil {
			f.Fatal(err)
		}
		if s, err = g.Seal([]byte(body), []byte("aad")); err != nil {
			f.Fatal(err)
		}
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := priv.Open(b, []byte("aad")); err == nil && !slices.Contains(bodies, string(got)) {
			t.Errorf("opened an envelope nobody made: %.64x", b)
		}
	})
}
