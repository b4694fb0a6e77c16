package room

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
)

// manifestFile is written last: without it a directory is no backup.
const manifestFile = "backup.json"

// Manifest says what a backup holds, so that restoring can prove that all of it
// is there and unchanged.
type Manifest struct {
	Room   string            `json:"room"`
	Made   time.Time         `json:"made"`
	Kasse  catalogue.KasseID `json:"kasse,omitempty"` // only this Kasse
	Public string            `json:"public_key"`
	Heads  []SignedHead      `json:"heads"` // of every ledger, at the time of the copy
	Files  []BackupFile      `json:"files"`
}

// BackupFile is one file of a backup.
type BackupFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

type backupArgs struct {
	To    string            `json:"to"`
	Kasse catalogue.KasseID `json:"kasse,omitempty"`
}

// keyFiles lie beside the stores. Secrets stay locked: master.locked needs the
// passphrase, which is not in the backup.
var keyFiles = []string{settingsFile, "ledger.key", "ledger.pub", "index.key", masterFile, ConnectionsFile, GatewayFile, ConfigFile, containment.DriversFile, passphraseFile, "doors.table"}

// backup copies the room while it runs: first the journals, the room's store
// last, so that what the room believes of a journal is never newer than the copy
// of the journal; opening the copy repeats open steps.
func backup(ctx context.Context, r *Room, as access.Person, a backupArgs) (Manifest, error) {
	if !as.Has(access.CrisisLead) && !as.Has(access.Operator) {
		return Manifest{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Sicherungen macht der Betrieb oder die Leitung des Stabs."}
	}
	if err := newDir(a.To); err != nil {
		return Manifest{}, err
	}
	m := Manifest{Room: r.Settings.Name, Made: r.Now(), Kasse: a.Kasse, Public: r.Public()}
	if err := r.copyStores(ctx, &m, a); err != nil {
		return m, err
	}
	if a.Kasse == "" {
		if err := r.copyKeys(&m, a.To); err != nil {
			return m, err
		}
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("writing the backup: %w", err)
	}
	if err := writeSynced(filepath.Join(a.To, manifestFile), append(b, '\n')); err != nil {
		return m, fmt.Errorf("finishing the backup: %w", err)
	}
	return m, r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: r.Now(), Actor: as.ID, Kind: "backup.made", Subject: "backup", Data: map[string]any{"files": len(m.Files), "kasse": a.Kasse},
		})
		return err
	})
}

func newDir(dir string) error {
	if dir == "" {
		return errors.New("a backup needs a directory to go to")
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%q is not empty: a backup goes to a directory of its own", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of the backup: %w", err)
	}
	return nil
}

func (r *Room) copyStores(ctx context.Context, m *Manifest, a backupArgs) error {
	kassen, err := r.Journals.List(ctx)
	if err != nil {
		return err
	}
	if a.Kasse != "" {
		if !slices.Contains(kassen, a.Kasse) {
			return fmt.Errorf("no journal of Kasse %q is in this room", a.Kasse)
		}
		kassen = []catalogue.KasseID{a.Kasse}
	}
	for _, k := range kassen {
		j, err := r.Journals.Open(ctx, k)
		if err != nil {
			return err
		}
		if err := m.add(a.To, j.Store().Name()+".db", func(file string) error { return j.Store().CopyTo(ctx, file) }); err != nil {
			return err
		}
		if h, ok, err := j.Head(ctx); err != nil {
			return err
		} else if ok {
			m.Heads = append(m.Heads, SignedHead{Ledger: j.Store().Name(), Size: h.Size, Root: h.Root.String(), Note: h.Note})
		}
	}
	if a.Kasse != "" {
		return nil
	}
	if err := m.add(a.To, "room.db", func(file string) error { return r.Store.CopyTo(ctx, file) }); err != nil {
		return err
	}
	h, ok, err := ledger.Newest(ctx, r.Store, r.Public())
	if ok {
		m.Heads = append(m.Heads, SignedHead{Ledger: "room", Size: h.Size, Root: h.Root.String(), Note: h.Note})
	}
	return err
}

func (r *Room) copyKeys(m *Manifest, to string) error {
	for _, name := range keyFiles {
		content, err := os.ReadFile(filepath.Join(r.opt.Data, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("backing up %s: %w", name, err)
		}
		if err := m.add(to, name, func(file string) error { return writeSynced(file, content) }); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) add(dir, name string, write func(file string) error) error {
	file := filepath.Join(dir, name)
	if err := write(file); err != nil {
		return err
	}
	f, err := hashFile(file)
	f.Name = name
	m.Files = append(m.Files, f)
	return err
}

func hashFile(file string) (BackupFile, error) {
	f, err := os.Open(file)
	if err != nil {
		return BackupFile{}, err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return BackupFile{}, fmt.Errorf("reading %q: %w", file, err)
	}
	return BackupFile{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

func writeSynced(file string, content []byte) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// ErrBackup says that a backup is not whole.
var ErrBackup = errors.New("the backup is not whole: use another one")

// ReadBackup checks that every file of a backup is there and unchanged.
func ReadBackup(dir string) (Manifest, error) {
	var m Manifest
	b, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return m, fmt.Errorf("%q has no %s, which is written last: %w (%w)", dir, manifestFile, ErrBackup, err)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("reading %s: %w (%w)", manifestFile, ErrBackup, err)
	}
	for _, want := range m.Files {
		if filepath.Base(want.Name) != want.Name {
			return m, fmt.Errorf("file name %q: %w", want.Name, ErrBackup)
		}
		got, err := hashFile(filepath.Join(dir, want.Name))
		if err != nil || got.SHA256 != want.SHA256 {
			return m, fmt.Errorf("file %q is missing or changed: %w", want.Name, ErrBackup)
		}
	}
	return m, nil
}

// Restore puts a whole backup into a new data directory, opens the room there and
// verifies every ledger against the heads in the backup. It changes nothing that
// exists.
func Restore(ctx context.Context, from string, opt Options) (Manifest, []Verified, error) {
	m, err := ReadBackup(from)
	if err != nil {
		return m, nil, err
	}
	if m.Kasse != "" {
		return m, nil, fmt.Errorf("this backup holds Kasse %s alone: it is put into an existing room with --kasse", m.Kasse)
	}
	if err := newDir(opt.Data); err != nil {
		return m, nil, err
	}
	for _, f := range m.Files {
		if err := copyFile(filepath.Join(from, f.Name), filepath.Join(opt.Data, f.Name)); err != nil {
			return m, nil, fmt.Errorf("restoring %q: %w", f.Name, err)
		}
	}
	reports, err := verifyRestored(ctx, opt, m)
	return m, reports, err
}

// RestoreKasse puts one Kasse's journal from a backup into a room that nobody
// serves. The journal that is there is kept beside it under another name.
func RestoreKasse(ctx context.Context, from string, k catalogue.KasseID, opt Options) (Manifest, []Verified, error) {
	m, err := ReadBackup(from)
	if err != nil {
		return m, nil, err
	}
	name := "kasse_" + string(k) + ".db"
	if !slices.ContainsFunc(m.Files, func(f BackupFile) bool { return f.Name == name }) {
		return m, nil, fmt.Errorf("the backup does not hold Kasse %s", k)
	}
	if _, err := readSettings(opt.Data); err != nil {
		return m, nil, err
	}
	old := filepath.Join(opt.Data, name)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(old+suffix, old+suffix+".replaced-"+m.Made.Format("20060102150405")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return m, nil, fmt.Errorf("putting the present journal of Kasse %s aside: %w", k, err)
		}
	}
	if err := copyFile(filepath.Join(from, name), old); err != nil {
		return m, nil, fmt.Errorf("restoring Kasse %s: %w", k, err)
	}
	reports, err := verifyRestored(ctx, opt, m)
	return m, reports, err
}

func copyFile(from, to string) error {
	content, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // only read
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

// verifyRestored opens the room and checks everything.
func verifyRestored(ctx context.Context, opt Options, m Manifest) (out []Verified, err error) {
	r, err := Open(ctx, opt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var heads []string
	for _, h := range m.Heads {
		heads = append(heads, h.Note)
	}
	return verifyLedger(ctx, r, verifyArgs{Heads: heads, State: true})
}
