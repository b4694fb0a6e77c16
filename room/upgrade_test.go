package room_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/room"
)

// oldRooms are rooms made and played by earlier programs (make old-room).
func oldRooms(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("testdata/old/*.tgz")
	if err != nil || len(found) < 6 {
		t.Fatalf("%d kept rooms, %v", len(found), err)
	}
	slices.Sort(found)
	return found
}

// unpackOld puts a kept room into a directory of its own.
func unpackOld(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for in := tar.NewReader(plain); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return filepath.Join(dir, "room")
		}
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(to, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(to, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestRoomsOfEveryEarlierSchemaOpenAndVerify is what an upgrade in the middle of a
// crisis rests on: with a backup made first, which the restore of today opens as well.
func TestRoomsOfEveryEarlierSchemaOpenAndVerify(t *testing.T) {
	rooms := oldRooms(t)
	if testing.Short() {
		rooms = rooms[:2]
	}
	for i, file := range rooms {
		t.Run(filepath.Base(file), func(t *testing.T) {
			dir := unpackOld(t, file)
			var log bytes.Buffer
			r, err := room.Open(t.Context(), room.Options{Data: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Close() }()
			verifyAll(t, r)
			j, err := r.Journals.Open(t.Context(), "109900019")
			if err != nil {
				t.Fatal(err)
			}
			c, err := j.Counts(t.Context())
			if err != nil || c.Taken != 3 || c.Open != 3 {
				t.Errorf("items: %+v %v", c, err)
			}
			if _, body, err := j.ReadBody(t.Context(), 1, r.Now(), "kasse-109900019", "Probe"); err != nil || !bytes.Contains(body, []byte("kein Dokument")) {
				t.Errorf("%q %v", body, err)
			}
			if err := declare(t, r, "nach der Umstellung"); err != nil {
				t.Error(err)
			}
			wayBack(t, dir, log.String(), i == 0)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			had, err := room.UpgradeBackups(dir)
			if err != nil {
				t.Fatal(err)
			}
			again, err := room.Open(t.Context(), room.Options{Data: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = again.Close() }()
			if backups, err := room.UpgradeBackups(dir); err != nil || len(backups) != len(had) {
				t.Errorf("opened again: %q %v", backups, err)
			}
		})
	}
}

// wayBack checks the backup that an upgrade made: named, of the older schema, and,
// when asked, one that is restored and verified.
func wayBack(t *testing.T, dir, log string, restore bool) {
	t.Helper()
	backups, err := room.UpgradeBackups(dir)
	if err != nil || len(backups) != 1 {
		t.Fatalf("backups %q %v", backups, err)
	}
	if !strings.Contains(log, backups[0]) {
		t.Errorf("the backup is not named: %s", log)
	}
	all, _, err := db.InDir(backups[0]).Versions(t.Context(), "")
	now, _, err2 := db.InDir(dir).Versions(t.Context(), "")
	if err = errors.Join(err, err2); err != nil || len(all) != len(now) || fmt.Sprint(all) == fmt.Sprint(now) {
		t.Errorf("the backup is not of the older schema: %v %v", all, err)
	}
	if !restore {
		return
	}
	_, reports, err := room.Restore(t.Context(), backups[0], room.Options{Data: filepath.Join(t.TempDir(), "back")})
	if err != nil {
		t.Fatal(err)
	}
	for _, rep := range reports {
		if len(rep.Problems) > 0 {
			t.Errorf("%s of the backup: %+v", rep.Ledger, rep.Problems)
		}
	}
}

func TestNewerDataIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	for _, store := range []string{"room", emergency.StoreOf("109900019")} {
		t.Run(store, func(t *testing.T) {
			dir := unpackOld(t, oldRooms(t)[0])
			further := db.Migrations{Package: "ledger", Steps: make([]string, 99)}
			for i := range further.Steps {
				further.Steps[i] = `select 1`
			}
			d, err := db.InDir(dir).Open(t.Context(), store, further)
			if err != nil || d.Close() != nil {
				t.Fatal(err)
			}
			before, _, err := db.InDir(dir).Versions(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = room.Open(t.Context(), room.Options{Data: dir})
			if !errors.Is(err, db.ErrNewer) || !strings.Contains(err.Error(), store) || !strings.Contains(err.Error(), "version 99") {
				t.Errorf("opened: %v", err)
			}
			after, _, err := db.InDir(dir).Versions(t.Context(), "")
			if err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("stores were changed: %v %v %v", before, after, err)
			}
			if backups, err := room.UpgradeBackups(dir); err != nil || len(backups) != 0 {
				t.Errorf("%q %v", backups, err)
			}
		})
	}
}

// TestWithoutAWholeBackupNothingIsUpgraded has a store that cannot be copied, and a
// directory in which no backup can be made.
func TestWithoutAWholeBackupNothingIsUpgraded(t *testing.T) {
	dir := unpackOld(t, oldRooms(t)[0])
	before, _, err := db.InDir(dir).Versions(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	// A Kasse's store that cannot be copied whole.
	file := filepath.Join(dir, emergency.StoreOf("109900031")+".db")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	copy(b, "kein SQLite mehr")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	delete(before, emergency.StoreOf(catalogue.KasseID("109900031")))
	r, err := room.Open(t.Context(), room.Options{Data: dir})
	if err == nil {
		_ = r.Close()
	}
	if !errors.Is(err, db.ErrDamaged) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Fatalf("opened: %v", err)
	}
	after, _, err := db.InDir(dir).Versions(t.Context(), "")
	if err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("stores were changed: %v %v %v", before, after, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "before-upgrade-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q %v", left, err)
	}
}
