package seal

import (
	"errors"
	"testing"
)

func cheap() cost { return cost{passes: 1, kib: 8, lanes: 1} }

func TestAMasterUnwrapsWhatItWrapped(t *testing.T) {
	k, _, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	m := NewMaster()
	w, err := m.Wrap(k)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Unwrap(w)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID() != k.ID() {
		t.Errorf("unwrapped %v, want %v", got.ID(), k.ID())
	}
	if _, err := NewMaster().Unwrap(w); !errors.Is(err, ErrTampered) {
		t.Errorf("another master: %v", err)
	}
	for i := range w {
		w[i] ^= 1
		if _, err := m.Unwrap(w); err == nil {
			t.Fatalf("byte %d changed and still unwrapped", i)
		}
		w[i] ^= 1
	}
	for n := range len(w) {
		if _, err := m.Unwrap(w[:n]); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
}

func TestAPassphraseUnlocksAMasterAndAKey(t *testing.T) {
	k, _, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	w, err := Wrap(k, []byte("richtig"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Unwrap(w, []byte("richtig")); err != nil || got.ID() != k.ID() {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Unwrap(w, []byte("falsch")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	m := NewMaster()
	l, err := m.Lock([]byte("richtig"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unlock(l, []byte("richtig"))
	if err != nil {
		t.Fatal(err)
	}
	if got.key != m.key {
		t.Error("unlocked another master")
	}
	if _, err := Unwrap(l, []byte("richtig")); !errors.Is(err, ErrFormat) {
		t.Errorf("a locked master read as a key: %v", err)
	}
	if _, err := m.Lock(nil); !errors.Is(err, ErrPassphrase) {
		t.Errorf("empty passphrase: %v", err)
	}
}

func TestAChangedLockIsRefused(t *testing.T) {
	m := NewMaster()
	l, err := lock(m.key[:], kindMaster, []byte("richtig"), cheap())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Unlock(l, []byte("richtig")); err != nil {
		t.Fatal(err)
	}
	for i := range l {
		if i < 12 && i >= 4 && i != 7 && i != 10 {
			continue // the high bytes of the cost would only make the test slow; the limits are tested below
		}
		l[i] ^= 2
		if _, err := Unlock(l, []byte("richtig")); err == nil {
			t.Fatalf("byte %d changed and still unlocked", i)
		}
		l[i] ^= 2
	}
}

func TestAForeignCostIsLimited(t *testing.T) {
	m := NewMaster()
	l, err := lock(m.key[:], kindMaster, []byte("richtig"), cheap())
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{4, 8} {
		l[at] = 0xff // passes or memory beyond all reason
		if _, err := Unlock(l, []byte("richtig")); !errors.Is(err, ErrFormat) {
			t.Errorf("byte %d: %v, want %v", at, err, ErrFormat)
		}
		l[at] = 0
	}
	l[12] = 0 // no lanes: argon2 would panic
	if _, err := Unlock(l, []byte("richtig")); !errors.Is(err, ErrFormat) {
		t.Errorf("no lanes: %v", err)
	}
}

// The secrets are fixed: every worker of the fuzzer is a process of its own.
func FuzzUnlock(f *testing.F) {
	m := &Master{key: [secretLen]byte([]byte("a fixed master key for the fuzz!"))}
	k, err := ParsePrivateKey([]byte(magicPrivate + "a fixed private key for the fuzz"))
	if err != nil {
		f.Fatal(err)
	}
	l, err := lock(m.key[:], kindMaster, []byte("richtig"), cheap())
	if err != nil {
		f.Fatal(err)
	}
	w, err := m.Wrap(k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(l)
	f.Add(w)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= lockedHeader && (b[6] != 0 || b[7] > 2 || b[10] > 1 || b[9] != 0) {
			t.Skip("costly on purpose")
		}
		if got, err := Unlock(b, []byte("richtig")); err == nil && got.key != m.key {
			t.Errorf("unlocked something nobody locked: %x", b)
		}
		if got, err := m.Unwrap(b); err == nil && got.ID() != k.ID() {
			t.Errorf("unwrapped something nobody wrapped: %x", b)
		}
		if _, err := ParsePublicKey(b); err == nil && len(b) != magicLen+publicLen {
			t.Errorf("a public key of %d bytes", len(b))
		}
	})
}
