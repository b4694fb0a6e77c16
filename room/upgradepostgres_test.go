package room_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/room"
)

// oldInPostgres is a room of the first kept schema, in PostgreSQL.
func oldInPostgres(t *testing.T) (opt room.Options, place db.Place, steps func() string) {
	t.Helper()
	opt = room.Options{Data: unpackOld(t, oldRooms(t)[0]), Database: dbtest.URL(t)}
	// One Kasse is enough here, and makes few schemas.
	others, err := filepath.Glob(filepath.Join(opt.Data, "kasse_*.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range others {
		if filepath.Base(f) != "kasse_109900019.db" {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := room.MoveToPostgres(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	prefix := placeOf(t, opt.Data)
	t.Cleanup(func() { dbtest.Drop(t, opt.Database, prefix) })
	place = db.InPostgres(opt.Database, prefix)
	return opt, place, func() string {
		all, broken, err := place.Versions(t.Context(), "")
		if err != nil || len(broken) > 0 || len(all) < 2 {
			t.Fatal(all, broken, err)
		}
		delete(all, "lead") // is made with the first lease
		return fmt.Sprint(all)
	}
}

// TestNodesOfNeighbouringVersionsShareARoom has an older and a newer program beside
// each other on one room: only who leads changes the schema, and the older breaks
// nothing afterwards. The older program is its lease, and its migrations.
func TestNodesOfNeighbouringVersionsShareARoom(t *testing.T) {
	opt, place, steps := oldInPostgres(t)
	before := steps()
	older, err := room.Lead(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := room.Open(t.Context(), opt); !errors.Is(err, room.ErrUpgradeWaits) {
		_ = r.Close()
		t.Errorf("a command of the newer program under the lead of the older: %v", err)
	}
	if steps() != before {
		t.Fatal("the newer program migrated the room under the lead of the older")
	}
	if err := older.Close(); err != nil {
		t.Fatal(err)
	}
	// Rolling on: the newer program leads, copies the room as it was, and upgrades it.
	newer, err := room.Lead(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	opt.Guard = newer.Guard
	r, err := room.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	noProblems(t, do[[]room.Verified](t, r, "", "ledger.verify", map[string]bool{"state": true}))
	after := steps()
	if after == before {
		t.Error("nothing was upgraded")
	}
	backups, err := room.UpgradeBackups(opt.Data)
	if err != nil || len(backups) != 1 {
		t.Fatalf("%q %v", backups, err)
	}
	// The older node gets the lead again: it is refused, and changes nothing.
	if err := errors.Join(r.Close(), newer.Close()); err != nil {
		t.Fatal(err)
	}
	if older, err = room.Lead(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	for _, m := range room.AllMigrations() {
		if m.Package != "emergency" {
			continue
		}
		m.Steps, m.Oldest = m.Steps[:2], 0
		if _, err := place.Open(t.Context(), "kasse_109900019", m); !errors.Is(err, db.ErrNewer) {
			t.Errorf("the older program on the newer room: %v", err)
		}
	}
	if steps() != after {
		t.Error("the older program changed the newer schema")
	}
	if err := older.Close(); err != nil {
		t.Fatal(err)
	}
	// The way back: the backup from before, restored to files, is of the older schema and whole.
	_, reports, err := room.Restore(t.Context(), backups[0], room.Options{Data: filepath.Join(t.TempDir(), "back")})
	if err != nil {
		t.Fatal(err)
	}
	noProblems(t, reports)
}

// noProblems but the journals that oldInPostgres left out.
func noProblems(t *testing.T, reports []room.Verified) {
	t.Helper()
	if len(reports) != 2 {
		t.Errorf("%d ledgers", len(reports))
	}
	for _, rep := range reports {
		for _, p := range rep.Problems {
			if p.Kind != "missing" || !strings.Contains(p.Text, "is gone") {
				t.Errorf("%s: %+v", rep.Ledger, p)
			}
		}
	}
}

// TestABackupIsTheSameWhateverTheRoomLiesIn goes from each engine to the other.
func TestABackupIsTheSameWhateverTheRoomLiesIn(t *testing.T) {
	onEach(t, func(t *testing.T, opt room.Options) {
		b := newBackRoom(t, opt)
		to := filepath.Join(t.TempDir(), "backup")
		m := do[room.Manifest](t, b.Room, "operator", "backup", map[string]string{"to": to})
		if len(m.Heads) != 2 || len(m.Files) < 6 {
			t.Errorf("%+v", m)
		}
		left, err := filepath.Glob(filepath.Join(opt.Data, "copy-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left in the data directory: %q %v", left, err)
		}
		back := room.Options{Data: filepath.Join(t.TempDir(), "back")}
		if opt.Database == "" {
			back.Database = dbtest.URL(t)
		}
		_, reports, err := room.Restore(t.Context(), to, back)
		if err != nil {
			t.Fatal(err)
		}
		if back.Database != "" {
			prefix := placeOf(t, back.Data)
			t.Cleanup(func() { dbtest.Drop(t, back.Database, prefix) })
		}
		for _, rep := range reports {
			if len(rep.Problems) > 0 {
				t.Errorf("%s: %+v", rep.Ledger, rep.Problems)
			}
		}
		restored, err := room.Open(t.Context(), back)
		if err != nil {
			t.Fatal(err)
		}
		j, err := restored.Journals.Open(t.Context(), b.kasse)
		if err != nil {
			t.Fatal(err)
		}
		if _, body, err := j.ReadBody(t.Context(), 2, b.now, "operator", "Probe"); err != nil || string(body) != "Guten Tag" {
			t.Errorf("%q %v", body, err)
		}
		if err := restored.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
