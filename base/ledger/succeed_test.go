package ledger_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// signs lets a key sign the heads of a fresh opening of the store.
func signs(t *testing.T, dir string, k ledger.Key) room {
	t.Helper()
	d, err := db.InDir(dir).Open(t.Context(), "room", ledger.Schema, cells)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := ledger.Attach(d, k); err != nil {
		t.Fatal(err)
	}
	return room{d, k}
}

func succession(size int64) ledger.Succession {
	return ledger.Succession{At: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC), First: "anna", Second: "bert", Reason: "Verdacht", Sizes: map[string]int64{"room": size}}
}

func problems(t *testing.T, d *db.DB, public string, outside ...string) []string {
	t.Helper()
	rep, err := ledger.Verify(t.Context(), d, public, outside...)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range rep.Problems {
		out = append(out, p.Kind+": "+p.Text)
	}
	return out
}

func TestALedgerVerifiesOverAChangeOfItsKeyAndTheOldKeySignsNothingAfterwards(t *testing.T) {
	dir, keys := t.TempDir(), t.TempDir()
	first, err := ledger.LoadKey(keys)
	if err != nil {
		t.Fatal(err)
	}
	r := signs(t, dir, first)
	r.set(t, "a", "cut")
	n := r.set(t, "a", "running")
	witnessed, _, err := ledger.Newest(t.Context(), r, first.Public)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Succeed(keys, ledger.Succession{First: "anna", Second: "bert", Reason: "x", Lost: true, Sizes: map[string]int64{}}); !errors.Is(err, ledger.ErrNotLost) {
		t.Errorf("a key that is there was given up as lost: %v", err)
	}
	if _, err := ledger.Succeed(keys, ledger.Succession{First: "anna", Reason: "x"}); err == nil {
		t.Error("one person changed the key")
	}
	second, err := ledger.Succeed(keys, succession(n))
	if err != nil {
		t.Fatal(err)
	}
	r = signs(t, dir, second)
	r.set(t, "a", "cut")
	if got := problems(t, r.DB, second.Public, witnessed.Note); got != nil {
		t.Errorf("over the change: %v", got)
	}
	if got := problems(t, r.DB, first.Public); len(got) == 0 {
		t.Error("who knows only the old key takes a head of the new one for good")
	}
	if !ledger.SameRoom(first.Public, second.Public) || !ledger.SameRoom(second.Public, first.Public) {
		t.Error("a room is another one after its key was changed")
	}
	third, err := ledger.Succeed(keys, succession(n+1))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := ledger.Export(t.Context(), r.DB, second.Public, &out); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		public string
		good   bool
	}{"all keys": {second.Public, true}, "the newest key alone": {ledger.CurrentKey(second.Public), true}, "the first key alone": {first.Public, true}, "another room's": {foreign(t), false}} {
		rep, err := ledger.CheckExport(bytes.NewReader(out.Bytes()), "room", c.public, func(ledger.Record) error { return nil }, witnessed.Note)
		if err != nil || (len(rep.Problems) == 0) != c.good {
			t.Errorf("an export over a change of the key, checked with %s: %+v %v", name, rep.Problems, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if all, err := ledger.Successions(third.Public); err != nil || len(all) != 2 || all[0].Reason != "Verdacht" || !ledger.SameRoom(first.Public, third.Public) {
		t.Errorf("%+v %v", all, err)
	}
	// Somebody has the first key and owns the disk.
	r = signs(t, dir, first)
	r.set(t, "a", "failed")
	got := problems(t, r.DB, third.Public)
	if len(got) == 0 || !strings.Contains(got[0], ledger.ErrReplaced.Error()) {
		t.Errorf("the old key signed entry %d: %v", n+2, got)
	}
}

func TestAKeyThatNobodySignedForIsRefused(t *testing.T) {
	keys := t.TempDir()
	if _, err := ledger.LoadKey(keys); err != nil {
		t.Fatal(err)
	}
	k, err := ledger.Succeed(keys, succession(1))
	if err != nil {
		t.Fatal(err)
	}
	other, err := ledger.NewKey("leitstand-fremd")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(k.Public, "\n")
	for name, public := range map[string]string{
		"another newest key":      other.Public + "\n" + lines[1],
		"a succession left out":   lines[0] + "\n" + lines[1] + "\n" + lines[1],
		"something else after it": k.Public + "\nunsinn",
		"a succession cut short":  lines[0] + "\n" + lines[1][:len(lines[1])-40],
		"nothing":                 "",
		"a succession and no key": lines[1],
	} {
		if _, err := ledger.Successions(public); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if ledger.SameRoom(k.Public, other.Public) {
		t.Error("two rooms are one")
	}
}

func TestAChangeOfTheKeyHappensAtOnce(t *testing.T) {
	keys := t.TempDir()
	_, err := ledger.LoadKey(keys)
	if err != nil {
		t.Fatal(err)
	}
	before := map[string][]byte{}
	for _, name := range []string{"ledger.key", "ledger.pub"} {
		if before[name], err = os.ReadFile(filepath.Join(keys, name)); err != nil {
			t.Fatal(err)
		}
	}
	next, err := ledger.Succeed(keys, succession(0))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(filepath.Join(keys, "ledger.key"))
	if err != nil {
		t.Fatal(err)
	}
	// As after a power cut with ledger.next in place and one, none or both files written.
	marker := []byte(`{"secret":"` + strings.TrimSpace(string(secret)) + `","public":"` + strings.ReplaceAll(next.Public, "\n", `\n`) + `"}`)
	for _, undone := range [][]string{{"ledger.key", "ledger.pub"}, {"ledger.key"}, {}} {
		for _, name := range undone {
			if err := os.WriteFile(filepath.Join(keys, name), before[name], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(keys, "ledger.next"), marker, 0o600); err != nil {
			t.Fatal(err)
		}
		k, err := ledger.LoadKey(keys)
		if err != nil || k.Public != next.Public {
			t.Fatalf("%v: %v", undone, err)
		}
		if now, err := os.ReadFile(filepath.Join(keys, "ledger.key")); err != nil || !bytes.Equal(now, secret) {
			t.Errorf("%v: the secret key is not the new one (%v)", undone, err)
		}
		if _, err := os.Stat(filepath.Join(keys, "ledger.next")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v: ledger.next stays (%v)", undone, err)
		}
	}
}

func TestALostKeyIsReplacedByTwoPeopleAndTheWitnessedHeadStillHolds(t *testing.T) {
	dir, keys := t.TempDir(), t.TempDir()
	first, err := ledger.LoadKey(keys)
	if err != nil {
		t.Fatal(err)
	}
	r := signs(t, dir, first)
	n := r.set(t, "a", "cut")
	witnessed, _, err := ledger.Newest(t.Context(), r, first.Public)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(keys, "ledger.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Succeed(keys, succession(n)); err == nil {
		t.Error("a key that is gone signed")
	}
	s := succession(n)
	s.Lost = true
	next, err := ledger.Succeed(keys, s)
	if err != nil {
		t.Fatal(err)
	}
	if ledger.SameRoom(next.Public, first.Public) || !ledger.SameRoom(first.Public, next.Public) {
		t.Error("somebody else's word that our key was lost is believed, or our own is not")
	}
	r = signs(t, dir, next)
	r.set(t, "b", "cut")
	rep, err := ledger.Verify(t.Context(), r, next.Public, witnessed.Note)
	if err != nil || len(rep.Problems) > 0 || len(rep.Keys) != 1 || !rep.Keys[0].Lost {
		t.Errorf("%+v %v", rep, err)
	}
	var out bytes.Buffer
	if err := ledger.Export(t.Context(), r.DB, next.Public, &out); err != nil || !strings.Contains(out.String(), `"succession":"leitstand ledger key succession`) {
		t.Errorf("the export does not say that the key was changed: %v", err)
	}
}

func foreign(t *testing.T) string {
	t.Helper()
	k, err := ledger.NewKey("leitstand-fremd")
	if err != nil {
		t.Fatal(err)
	}
	return k.Public
}
