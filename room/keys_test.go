package room_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/seal"
	"leitstand/room"
)

// readable says whether every body of a Kasse opens.
func readable(t *testing.T, r *room.Room, k catalogue.KasseID, want int) error {
	t.Helper()
	j, err := r.Journals.Open(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	items, err := j.Items(t.Context(), emergency.Filter{Limit: 1000})
	if err != nil || len(items) != want {
		t.Fatalf("%d items, want %d: %v", len(items), want, err)
	}
	for _, it := range items {
		if _, err := j.Body(t.Context(), it); err != nil {
			return err
		}
	}
	return nil
}

func TestKeysAreRotatedLockedUnlockedAndBroughtBackFromPaper(t *testing.T) {
	r, opt := practiceRoom(t)
	k := r.Catalogue.Kassen[0].ID
	fill(t, r, k, 3, 50)
	c, err := room.Do[access.Consent](t.Context(), r, "operator", "keys.rotate", map[string]string{"kasse": string(k), "reason": "Probe"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := room.Do[room.Outcome](t.Context(), r, "operator", "approve", map[string]string{"id": c.ID}); !errors.Is(err, access.ErrSamePerson) {
		t.Errorf("one person rotated a key: %v", err)
	}
	if _, err := room.Do[room.Outcome](t.Context(), r, "lead", "approve", map[string]string{"id": c.ID}); err != nil {
		t.Fatal(err)
	}
	takeIn(t, r, k, "nach dem Wechsel", "x")
	if err := readable(t, r, k, 4); err != nil {
		t.Errorf("after rotation: %v", err)
	}
	if _, err := room.Do[room.Escrow](t.Context(), r, "operator", "keys.escrow", map[string]any{"second": "operator", "need": 2, "shares": 3}); !errors.Is(err, access.ErrSamePerson) {
		t.Errorf("one person printed shares: %v", err)
	}
	paper, err := room.Do[room.Escrow](t.Context(), r, "operator", "keys.escrow", map[string]any{"second": "lead", "need": 2, "shares": 3})
	if err != nil {
		t.Fatal(err)
	}
	s, err := room.Do[room.KeyStatus](t.Context(), r, "operator", "keys.lock", nil)
	if err != nil || !s.Locked || s.Kassen[k] != 2 || s.Escrow.IsZero() {
		t.Errorf("%+v %v", s, err)
	}
	takeIn(t, r, k, "gesperrt angenommen", "y")
	if err := readable(t, r, k, 5); !errors.Is(err, emergency.ErrLocked) {
		t.Errorf("locked: %v", err)
	}
	if _, err := room.Do[room.KeyStatus](t.Context(), r, "operator", "keys.unlock", map[string]string{"passphrase": "falsch"}); !errors.Is(err, seal.ErrPassphrase) {
		t.Errorf("a wrong passphrase: %v", err)
	}
	verifyAll(t, r)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// Everything secret is lost but the bundle and two shares.
	for _, name := range []string{"ledger.key", "index.key", "master.locked", "passphrase"} {
		if err := os.Remove(filepath.Join(opt.Data, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := room.Open(t.Context(), opt); err == nil {
		t.Fatal("a room opened without its keys")
	}
	bundle := filepath.Join(opt.Data, "escrow.locked")
	if _, err := room.RecoverKeys(opt.Data, bundle, paper.Shares[:1], []byte("neu")); !errors.Is(err, seal.ErrShares) {
		t.Errorf("one share alone: %v", err)
	}
	if _, err := room.RecoverKeys(opt.Data, bundle, paper.Shares[1:], []byte("neu")); err != nil {
		t.Fatal(err)
	}
	opt.Passphrase = []byte("neu")
	// The room's own key is rotated; killed half-way, it goes on.
	for _, name := range []string{"", "interrupted"} {
		pass := []byte("neuer" + name)
		if name != "" {
			interrupt(t, opt, pass)
		}
		if err := room.RotateMaster(t.Context(), opt, room.Opening{Passphrase: pass}, "operator", "Probe"); err != nil {
			t.Fatal(err)
		}
		opt.Passphrase = pass
	}
	again, err := room.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	if err := readable(t, again, k, 5); err != nil {
		t.Errorf("after recovery and rotation: %v", err)
	}
	verifyAll(t, again)
}

// interrupt leaves a rotation as a kill after the first journals does.
func interrupt(t *testing.T, opt room.Options, pass []byte) {
	t.Helper()
	old, err := os.ReadFile(filepath.Join(opt.Data, "master.locked"))
	if err != nil {
		t.Fatal(err)
	}
	from, err := seal.Unlock(old, opt.Passphrase)
	if err != nil {
		t.Fatal(err)
	}
	to := seal.NewMaster()
	locked, err := to.Lock(pass)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(opt.Data, "master.next"), locked, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := room.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Journals.Locked() {
		t.Error("the room unlocked with half its keys")
	}
	for _, k := range r.Catalogue.Kassen[:3] {
		j, err := r.Journals.Open(t.Context(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Rewrap(t.Context(), r.Now(), "operator", "Probe", from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
