package room_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/room"
)

// practiceRoom makes a small practice room.
func practiceRoom(t *testing.T) (*room.Room, room.Options) {
	t.Helper()
	return practiceRoomOf(t, catalogue.Example(1), room.Options{})
}

// practiceRoomOf makes a practice room of a catalogue; where it lies is chosen here.
func practiceRoomOf(t *testing.T, cat *catalogue.Catalogue, opt room.Options) (*room.Room, room.Options) {
	t.Helper()
	var ids []catalogue.KasseID
	for _, k := range cat.Kassen {
		ids = append(ids, k.ID)
	}
	opt.Data = filepath.Join(t.TempDir(), "room")
	r, err := room.Init(t.Context(), opt, room.Setup{
		Name: "Übung", Exercise: true, Catalogue: cat, People: room.PracticePeople(ids...), Owner: "operator",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, opt
}

func TestABackupMadeWhileTheRoomRunsIsRestoredAndVerified(t *testing.T) {
	r, _ := practiceRoom(t)
	to := filepath.Join(t.TempDir(), "backup")
	m, err := room.Do[room.Manifest](t.Context(), r, "operator", "backup", map[string]string{"to": to})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Heads) != 13 { // the room and twelve Kassen
		t.Errorf("%d heads in the backup, want 13", len(m.Heads))
	}
	_, reports, err := room.Restore(t.Context(), to, room.Options{Data: filepath.Join(t.TempDir(), "restored")})
	if err != nil {
		t.Fatal(err)
	}
	for _, rep := range reports {
		if len(rep.Problems) > 0 {
			t.Errorf("%s: %v", rep.Ledger, rep.Problems)
		}
	}
}

// TestOneKasseAloneIsPutBackFromABackupAndFromTheContinuousCopy breaks the journal of one
// Kasse after each copy; what is there is kept, and a room that is served is left alone.
func TestOneKasseAloneIsPutBackFromABackupAndFromTheContinuousCopy(t *testing.T) {
	onEach(t, func(t *testing.T, opt room.Options) {
		cat := small()
		k := cat.Kassen[0].ID
		r, err := room.Init(t.Context(), opt, room.Setup{Name: "Eine Kasse", Exercise: true, Catalogue: cat, People: room.PracticePeople(k), Owner: "operator"})
		if err != nil {
			t.Fatal(err)
		}
		opt.CopyTo = filepath.Join(t.TempDir(), "second")
		if err := errors.Join(r.Close(), room.PreparePlace(opt.Data, opt.CopyTo)); err != nil {
			t.Fatal(err)
		}
		resign := func() error { return nil }
		if opt.Database != "" {
			lease, err := room.Lead(t.Context(), opt)
			if err != nil {
				t.Fatal(err)
			}
			opt.Guard, resign = lease.Guard, lease.Close
		}
		r, stop := copying(t, opt)
		fill(t, r, k, 3, 100)
		waitForCopy(t, r)
		backup := filepath.Join(t.TempDir(), "kasse")
		do[room.Manifest](t, r, "operator", "backup", map[string]string{"to": backup, "kasse": string(k)})
		waitForCopy(t, r)
		if _, _, err := room.RestoreKasse(t.Context(), backup, k, opt); !errors.Is(err, db.ErrInUse) && !errors.Is(err, db.ErrNotLeading) {
			t.Errorf("a room that is served: %v", err)
		}
		stop()
		if err := resign(); err != nil {
			t.Fatal(err)
		}
		second := opt.CopyTo
		opt.Guard, opt.CopyTo = nil, ""
		for _, from := range []string{backup, second} {
			kasseBack(t, opt, k, from)
		}
	})
}

// kasseBack spoils the journal of a Kasse, puts it back, and looks at everything.
func kasseBack(t *testing.T, opt room.Options, k catalogue.KasseID, from string) {
	t.Helper()
	spoilItems(t, opt, k)
	_, reports, err := room.RestoreKasse(t.Context(), from, k, opt)
	if err != nil || len(reports) != 2 {
		t.Fatalf("%d ledgers, %v", len(reports), err)
	}
	for _, rep := range reports {
		if len(rep.Problems) > 0 {
			t.Errorf("%s: %+v", rep.Ledger, rep.Problems)
		}
	}
	r, err := room.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	if c := counts(t, r, k); c.Taken != 3 {
		t.Errorf("items: %+v", c)
	}
	verifyAll(t, r)
}

// spoilItems alters what was accepted for a Kasse past every rule.
func spoilItems(t *testing.T, opt room.Options, k catalogue.KasseID) {
	t.Helper()
	p := db.InDir(opt.Data)
	if opt.Database != "" {
		p = db.InPostgres(opt.Database, placeOf(t, opt.Data))
	}
	d, err := p.Look(t.Context(), emergency.StoreOf(k))
	if err != nil {
		t.Fatal(err)
	}
	err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `delete from journal_body`)
		if n == 0 {
			err = errors.Join(err, errors.New("nothing to spoil"))
		}
		return err
	})
	if err = errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAChangedMissingOrUnfinishedBackupIsRefused(t *testing.T) {
	r, _ := practiceRoom(t)
	for name, spoil := range map[string]func(dir string) error{
		"changed":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "room.json"), []byte("{}"), 0o600) },
		"missing":    func(dir string) error { return os.Remove(filepath.Join(dir, "room.db")) },
		"unfinished": func(dir string) error { return os.Remove(filepath.Join(dir, "backup.json")) },
	} {
		to := filepath.Join(t.TempDir(), "backup")
		if _, err := room.Do[room.Manifest](t.Context(), r, "operator", "backup", map[string]string{"to": to}); err != nil {
			t.Fatal(err)
		}
		if err := spoil(to); err != nil {
			t.Fatal(err)
		}
		if _, _, err := room.Restore(t.Context(), to, room.Options{Data: filepath.Join(t.TempDir(), "x")}); !errors.Is(err, room.ErrBackup) {
			t.Errorf("%s: %v, want %v", name, err, room.ErrBackup)
		}
	}
}

func TestABackupNeedsTheRightPersonAndAnEmptyDirectory(t *testing.T) {
	r, _ := practiceRoom(t)
	if _, err := room.Do[room.Manifest](t.Context(), r, "press", "backup", map[string]string{"to": t.TempDir()}); err == nil {
		t.Error("press made a backup")
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := room.Do[room.Manifest](t.Context(), r, "operator", "backup", map[string]string{"to": full}); err == nil {
		t.Error("a backup was written among other files")
	}
}

func TestTheDoctorSeesWhatIsMissing(t *testing.T) {
	r, opt := practiceRoom(t)
	health := func() map[string]room.Health {
		t.Helper()
		up, err := room.Do[room.Checkup](t.Context(), r, "", "doctor", nil)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]room.Health{}
		for _, f := range up.Findings {
			out[f.Name] = f.Health
		}
		return out
	}
	before := health()
	if before["Sicherung"] != room.Bad || before["Rolle Leitung des Stabs"] != room.Good || before["Sieben Regeln"] != room.Good || before["Datei ledger.key"] != room.Good {
		t.Errorf("a fresh practice room: %v", before)
	}
	if _, err := room.Do[room.Manifest](t.Context(), r, "operator", "backup", map[string]string{"to": filepath.Join(t.TempDir(), "b")}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(opt.Data, "ledger.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(opt.Data, "index.key")); err != nil {
		t.Fatal(err)
	}
	after := health()
	if after["Sicherung"] != room.Good || after["Datei ledger.key"] != room.Bad || after["Datei index.key"] != room.Bad {
		t.Errorf("after backup and damage: %v", after)
	}
}
