package room_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/incident"
	"leitstand/room"
)

func TestAChangeOfTheLedgersKeyThatWasInterruptedIsOnRecordAfterTheNextStart(t *testing.T) {
	r, opt := practiceRoom(t)
	stick, place := filepath.Join(t.TempDir(), "stick"), filepath.Join(t.TempDir(), "place")
	if _, err := room.Do[room.Manifest](t.Context(), r, "operator", "backup", map[string]string{"to": stick}); err != nil {
		t.Fatal(err)
	}
	first := r.Public()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := room.PreparePlace(opt.Data, place); err != nil {
		t.Fatal(err)
	}
	for who, a := range map[string]room.RotateLedgerArgs{
		"one person":                 {First: "operator", Second: "operator", Reason: "x"},
		"somebody who may not":       {First: "operator", Second: "press", Reason: "x"},
		"nobody":                     {Reason: "x"},
		"people without a reason":    {First: "operator", Second: "lead", Reason: " "},
		"who has the key as if lost": {First: "operator", Second: "lead", Reason: "x", Lost: true},
	} {
		if err := room.RotateLedgerKey(t.Context(), opt, a); err == nil {
			t.Errorf("%s changed the key", who)
		}
	}
	if now, err := ledger.LoadPublic(opt.Data); err != nil || now != first {
		t.Fatalf("a refused change left another key (%v)", err)
	}
	if err := room.RotateLedgerKey(t.Context(), opt, room.RotateLedgerArgs{First: "operator", Second: "lead", Reason: "Verdacht"}); err != nil {
		t.Fatal(err)
	}
	// The second one is killed after it counts and before it is on record: sizes as they are, no room open.
	noted := rotations(t, opt)
	sizes := map[string]int64{}
	again, err := room.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	reports, err := room.Do[[]room.Verified](t.Context(), again, "", "ledger.verify", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rep := range reports {
		sizes[rep.Ledger] = rep.Entries
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Succeed(opt.Data, ledger.Succession{At: again.Now(), First: "operator", Second: "lead", Reason: "unterbrochen", Sizes: sizes}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first start notes it, the second does not again
		if got := rotations(t, opt); got != noted+1 {
			t.Errorf("%d changes on record, want %d", got, noted+1)
		}
	}
	// Second place, older backup and fence know the room by its newer key.
	opt.CopyTo = place
	again, err = room.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	if _, err := room.Do[incident.Incident](t.Context(), again, "lead", "incident.declare", map[string]string{"title": "danach"}); err != nil {
		t.Errorf("with a second place from before: %v", err)
	}
	test, err := room.Do[room.BackupTest](t.Context(), again, "operator", "backup.test", map[string]string{"from": stick})
	if err != nil || test.Problems != 0 {
		t.Errorf("a backup from before: %+v %v", test, err)
	}
	verifyAll(t, again)
	taken := filepath.Join(t.TempDir(), "taken")
	out, err := room.TakeOver(t.Context(), room.TakeOverArgs{From: stick, First: "operator", Second: "lead", Reason: "Probe", FenceTo: ""}, room.Options{Data: taken})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := room.PutFence(t.Context(), opt, out.Fence); err != nil {
		t.Errorf("the fence of a machine that took over an older backup: %v", err)
	}
	if _, err := again.Due(t.Context(), again.Now()); err != nil && !errors.Is(err, room.ErrFenced) {
		t.Error(err)
	}
	if _, err := room.Do[incident.Incident](t.Context(), again, "lead", "incident.declare", map[string]string{"title": "zu spät"}); !errors.Is(err, room.ErrFenced) {
		t.Errorf("the first machine goes on: %v", err)
	}
}

func rotations(t *testing.T, opt room.Options) int {
	t.Helper()
	r, err := room.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := ledger.About(t.Context(), r.Store, "ledger.key", 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestARoomWhoseKeyIsSharedForgetsTheFirstHalfAfterAWhile(t *testing.T) {
	r, opt := practiceRoom(t)
	share := map[string]any{"second": "lead", "need": 2, "holders": map[string]string{"operator": "eins", "lead": "zwei"}}
	if _, err := room.Do[room.KeyStatus](t.Context(), r, "lead", "keys.share", share); !errors.Is(err, access.ErrSamePerson) {
		t.Errorf("one person shared the key: %v", err)
	}
	if s, err := room.Do[room.KeyStatus](t.Context(), r, "operator", "keys.share", share); err != nil || s.Shared != 2 || s.Locked {
		t.Fatalf("%+v %v", s, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	now := r.Now()
	opt.Clock = func() time.Time { return now }
	r, err := room.Open(t.Context(), opt) // the passphrase beside the practice room opens it no more
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	unlock := func(as, pass string) room.KeyStatus {
		t.Helper()
		s, err := room.Do[room.KeyStatus](t.Context(), r, as, "keys.unlock", map[string]string{"passphrase": pass})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := unlock("operator", "eins"); !s.Locked || len(s.Waiting) != 1 {
		t.Errorf("%+v", s)
	}
	now = now.Add(16 * time.Minute)
	if s := unlock("lead", "zwei"); !s.Locked || len(s.Waiting) != 1 || s.Waiting[0] != "lead" {
		t.Errorf("a share of a quarter of an hour ago still counts: %+v", s)
	}
	if s := unlock("operator", "eins"); s.Locked || s.Waiting != nil {
		t.Errorf("%+v", s)
	}
	b, err := os.ReadFile(filepath.Join(opt.Data, "master.locked"))
	if err != nil || len(b) == 0 {
		t.Error(err)
	}
	verifyAll(t, r)
}
