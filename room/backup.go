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

	"filippo.io/age"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
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
var keyFiles = []string{settingsFile, "ledger.key", "ledger.pub", "index.key", masterFile, ConnectionsFile, handoverKeyFile, GatewayFile, WarningFile, EmployersFile, ConfigFile, containment.DriversFile, passphraseFile, escrowFile, nextMaster, "doors.table"}

// backup copies the room while it runs: first the journals, the room's store
// last, so that what the room believes of a journal is never newer than the copy
// of the journal; opening the copy repeats open steps. Where recipients are set,
// every file is closed by age to those of its Kasse, or of the room.
func backup(ctx context.Context, r *Room, as access.Person, a backupArgs) (Manifest, error) {
	if err := mayKeep(as); err != nil {
		return Manifest{}, err
	}
	if err := newDir(a.To); err != nil {
		return Manifest{}, err
	}
	m, err := r.copyRoom(ctx, a)
	if err != nil {
		return m, err
	}
	return m, r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: r.Now(), Actor: as.ID, Kind: "backup.made", Subject: "backup",
			Data: map[string]any{"files": len(m.Files), "kasse": a.Kasse, "sealed": m.sealed()},
		})
		return err
	})
}

// copyRoom writes a backup into an empty directory.
func (r *Room) copyRoom(ctx context.Context, a backupArgs) (Manifest, error) {
	m := Manifest{Room: r.Settings.Name, Made: r.Now(), Kasse: a.Kasse, Public: r.Public()}
	to, err := recipients(ctx, r, none{})
	if err != nil {
		return m, err
	}
	if err := r.copyStores(ctx, &m, a, to); err != nil {
		return m, err
	}
	if a.Kasse == "" {
		if err := r.copyKeys(&m, a.To, to); err != nil {
			return m, err
		}
	}
	return m, m.write(a.To)
}

func (m Manifest) sealed() bool {
	return slices.ContainsFunc(m.Files, func(f BackupFile) bool { return f.Name != plainName(f.Name) })
}

// find gives the file of a backup by its name without the mark of sealed files.
func (m Manifest) find(name string) (BackupFile, bool) {
	i := slices.IndexFunc(m.Files, func(f BackupFile) bool { return plainName(f.Name) == name })
	if i < 0 {
		return BackupFile{}, false
	}
	return m.Files[i], true
}

func newDir(dir string) error {
	if err := noDir(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of the backup: %w", err)
	}
	return nil
}

// noDir refuses a directory in which there is anything.
func noDir(dir string) error {
	if dir == "" {
		return errors.New("a backup needs a directory to go to")
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%q is not empty: a backup goes to a directory of its own", dir)
	}
	return nil
}

func (r *Room) copyStores(ctx context.Context, m *Manifest, a backupArgs, to Recipients) error {
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
		keys, err := to.of(k)
		if err != nil {
			return err
		}
		if err := copyStore(ctx, m, a.To, j.Store(), r.Public(), r.opt.Data, keys); err != nil {
			return err
		}
	}
	if a.Kasse != "" {
		return nil
	}
	keys, err := to.of("")
	if err != nil {
		return err
	}
	return copyStore(ctx, m, a.To, r.Store, r.Public(), r.opt.Data, keys)
}

// copyStore writes one store as a SQLite file. The head is taken first: it must
// not say more than the copy holds.
func copyStore(ctx context.Context, m *Manifest, dir string, d *db.DB, public, scratch string, keys []age.Recipient) error {
	h, ok, err := ledger.Newest(ctx, d, public)
	if err != nil {
		return err
	}
	if ok {
		m.Heads = append(m.Heads, SignedHead{Ledger: d.Name(), Size: h.Size, Root: h.Root.String(), Note: h.Note})
	}
	file, done, err := asFile(ctx, d, scratch)
	if err != nil {
		return err
	}
	err = m.add(dir, d.Name()+".db", keys, func(w io.Writer) error {
		return file.Pages(ctx, func(int, int64) error { return nil }, func(_ int64, page []byte) error {
			_, err := w.Write(page)
			return err
		})
	})
	return errors.Join(err, done())
}

// asFile gives a store in PostgreSQL as a file, which lies in scratch until done: a
// backup is the same whatever the room lies in, and can be taken over by a laptop.
func asFile(ctx context.Context, d *db.DB, scratch string) (file *db.DB, done func() error, err error) {
	if !d.OnServer() {
		return d, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp(scratch, scratchCopy)
	if err != nil {
		return nil, nil, fmt.Errorf("making room for a copy: %w", err)
	}
	place := db.InDir(dir)
	if err = d.CopyInto(ctx, place); err == nil {
		file, err = place.Look(ctx, d.Name())
	}
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return file, func() error { return errors.Join(file.Close(), os.RemoveAll(dir)) }, nil
}

func (r *Room) copyKeys(m *Manifest, dir string, to Recipients) error {
	keys, err := to.of("")
	if err != nil {
		return err
	}
	for _, name := range keyFiles {
		content, err := keyFile(r.opt.Data, name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("backing up %s: %w", name, err)
		}
		if err := m.add(dir, name, keys, func(w io.Writer) error {
			_, err := w.Write(content)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// keyFile reads a key file as a copy holds it: copies are files, whatever the room lies
// in, and their settings say so, also to older programs that know no other copies.
func keyFile(data, name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(data, name))
	if err != nil || name != settingsFile {
		return content, err
	}
	s, err := readSettings(data)
	if err != nil || s.Engine == "" {
		return content, err
	}
	s.Engine = db.InDir(data).Engine()
	if content, err = json.MarshalIndent(s, "", "  "); err != nil {
		return nil, fmt.Errorf("encoding settings: %w", err)
	}
	return append(content, '\n'), nil
}

func (m *Manifest) add(dir, name string, to []age.Recipient, write func(w io.Writer) error) error {
	if len(to) > 0 {
		name += sealedSuffix
	}
	d, err := createDurable(filepath.Join(dir, name), to)
	if err != nil {
		return fmt.Errorf("backing up %s: %w", name, err)
	}
	if err := write(d); err != nil {
		return errors.Join(fmt.Errorf("backing up %s: %w", name, err), d.abort())
	}
	f, err := d.finish()
	if err != nil {
		return fmt.Errorf("backing up %s: %w", name, err)
	}
	m.Files = append(m.Files, f)
	return nil
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
