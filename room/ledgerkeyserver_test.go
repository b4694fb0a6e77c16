package room_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/base/ledger"
	"leitstand/room"
)

// TestTheLedgersKeyIsChangedOnPostgreSQLAndEveryNodeNeedsTheNewOne changes the key at one
// node: not while a node leads; then ledgers, the continuous copy and backups from before
// verify, and a node with the old key is told where to get the new one.
func TestTheLedgersKeyIsChangedOnPostgreSQLAndEveryNodeNeedsTheNewOne(t *testing.T) {
	opt, k := onServer(t)
	other := opt
	other.Data = filepath.Join(t.TempDir(), "node")
	if err := os.CopyFS(other.Data, os.DirFS(opt.Data)); err != nil {
		t.Fatal(err)
	}
	r, stop := copying(t, opt)
	fill(t, r, k, 2, 100)
	before := r.Public()
	stick := filepath.Join(t.TempDir(), "stick")
	do[room.Manifest](t, r, "operator", "backup", map[string]string{"to": stick})
	waitForCopy(t, r)
	stop()
	change := room.RotateLedgerArgs{First: "operator", Second: "lead", Reason: "Verdacht"}
	if err := room.RotateLedgerKey(t.Context(), opt, change); err != nil {
		t.Fatal(err)
	}
	if now, err := ledger.LoadPublic(opt.Data); err != nil || now == before {
		t.Fatalf("the key is the old one (%v)", err)
	}
	if n, err := room.Open(t.Context(), other); err == nil || !strings.Contains(err.Error(), "copy ledger.key and ledger.pub from") {
		_ = n.Close()
		t.Errorf("a node with the old key: %v", err)
	}
	for _, name := range []string{"ledger.key", "ledger.pub"} {
		b, err := os.ReadFile(filepath.Join(opt.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(other.Data, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, stop = copying(t, other)
	if err := declare(t, r, "mit dem neuen Schlüssel"); err != nil {
		t.Error(err)
	}
	waitForCopy(t, r)
	verifyAll(t, r)
	stop()
	for _, from := range []string{stick, opt.CopyTo} {
		_, reports, err := room.Restore(t.Context(), from, room.Options{Data: filepath.Join(t.TempDir(), "back")})
		if err != nil || len(reports) != 2 {
			t.Fatalf("%s: %v", filepath.Base(from), err)
		}
		for _, rep := range reports {
			if len(rep.Problems) > 0 {
				t.Errorf("%s from %s: %v", rep.Ledger, filepath.Base(from), rep.Problems)
			}
		}
	}
}
