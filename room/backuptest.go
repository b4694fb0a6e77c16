package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
)

type testBackupArgs struct {
	From       string   `json:"from"`                 // directory of a backup or of the continuous copy
	Identities []string `json:"identities,omitempty"` // files with age identities
}

// BackupTest is the outcome of restoring a backup on trial.
type BackupTest struct {
	From     string        `json:"from"`
	Made     time.Time     `json:"made"` // of the backup
	Took     time.Duration `json:"took"` // nanoseconds: unpack, open, verify
	Ledgers  int           `json:"ledgers"`
	Entries  int64         `json:"entries"`
	Problems int           `json:"problems"`
	First    string        `json:"first,omitempty"` // the first problem
}

// testSubject is the subject of entries about restore tests.
const testSubject = "restore-test"

// testBackup restores a backup beside the room, verifies every ledger and row of
// it, removes it again, and puts the outcome on record: only a backup that was
// restored once is one.
func testBackup(ctx context.Context, r *Room, as access.Person, a testBackupArgs) (BackupTest, error) {
	if err := mayKeep(as); err != nil {
		return BackupTest{}, err
	}
	ids, err := ReadIdentities(a.Identities...)
	if err != nil {
		return BackupTest{}, err
	}
	dir, err := os.MkdirTemp(r.opt.Data, scratchTest)
	if err != nil {
		return BackupTest{}, fmt.Errorf("making room for the test: %w", err)
	}
	began := time.Now()
	m, reports, err := Restore(ctx, a.From, Options{Data: filepath.Join(dir, "room"), Identities: ids, Clock: r.opt.Clock})
	out := BackupTest{From: a.From, Made: m.Made, Took: time.Since(began), Ledgers: len(reports)}
	err = errors.Join(err, os.RemoveAll(dir))
	if err == nil && !ledger.SameRoom(m.Public, r.Public()) {
		err = fmt.Errorf("the backup in %q is of another room", a.From)
	}
	if err != nil {
		out.Problems, out.First = 1, err.Error()
	}
	for _, rep := range reports {
		out.Entries += rep.Entries
		for _, p := range rep.Problems {
			if out.Problems++; out.First == "" {
				out.First = rep.Ledger + ": " + p.Text
			}
		}
	}
	return out, r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: r.Now(), Actor: as.ID, Kind: "backup.tested", Subject: testSubject,
			Data: map[string]any{"made": m.Made, "ledgers": out.Ledgers, "entries": out.Entries, "problems": out.Problems},
		})
		return err
	})
}

// lookRestoreTest reads when a backup was last restored on trial.
func (r *Room) lookRestoreTest(ctx context.Context, c *Checkup) error {
	const todo = "leitstand restore VERZEICHNIS --test --as PERSON"
	last, err := ledger.About(ctx, r.Store, testSubject, 1)
	if err != nil {
		return err
	}
	if len(last) == 0 {
		c.add("Rückspielprobe", Bad, "Eine Sicherung, die nie zurückgespielt wurde, ist keine: "+todo, "noch keine")
		return nil
	}
	problems, err := problemsOf(last[0])
	if err != nil {
		return err
	}
	age := c.At.Sub(last[0].At)
	c.add("Rückspielprobe", grade(problems > 0 || age > 2*r.opt.Limits.Restore, age > r.opt.Limits.Restore), todo,
		"zuletzt %s, %d Auffälligkeiten", when(last[0].At), problems)
	return nil
}

// lookCopy says how the continuous copy stands; a room may do without one.
func (r *Room) lookCopy(ctx context.Context, c *Checkup) error {
	s, err := copyStatus(ctx, r, none{})
	if err != nil {
		return err
	}
	if s.To == "" {
		c.add("Laufende Kopie", Warn, "Zweiten Ort einrichten: leitstand copy init VERZEICHNIS, dann serve --copy-to VERZEICHNIS", "keine")
		return nil
	}
	age := c.At.Sub(s.At)
	c.add("Laufende Kopie", grade(age > 10*time.Minute, s.Error != "" || age > time.Minute), "Zweiten Ort anschließen und Platz prüfen. "+s.Error,
		"Stand %s, %s MB", when(s.At), comma(float64(s.Bytes)/1e6))
	return nil
}

func problemsOf(rec ledger.Record) (int, error) {
	var d struct {
		Problems int `json:"problems"`
	}
	if err := json.Unmarshal(rec.Data, &d); err != nil {
		return 0, fmt.Errorf("reading entry %d: %w", rec.Seq, err)
	}
	return d.Problems, nil
}
