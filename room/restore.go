package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"filippo.io/age"

	"leitstand/base/db"
)

// partialSuffix ends the name of a directory that is not a room yet.
const partialSuffix = ".partial"

// Restore puts a whole backup or the continuous copy into a new data directory,
// opens the room there and verifies every ledger against the heads in the
// backup. It changes nothing that exists. The directory gets its name last:
// after a power cut there is none, and a second try begins anew.
func Restore(ctx context.Context, from string, opt Options) (Manifest, []Verified, error) {
	if err := noDir(opt.Data); err != nil {
		return Manifest{}, nil, err
	}
	half := opt
	half.Data, half.restored = opt.Data+partialSuffix, true
	if err := os.RemoveAll(half.Data); err != nil {
		return Manifest{}, nil, fmt.Errorf("removing what an interrupted try left: %w", err)
	}
	m, err := unpack(ctx, from, half.Data, opt.Identities)
	if err == nil {
		err = settle(ctx, half)
	}
	if err != nil {
		return m, nil, errors.Join(err, os.RemoveAll(half.Data))
	}
	reports, err := verifyRestored(ctx, half, m)
	if err != nil {
		return m, nil, errors.Join(err, os.RemoveAll(half.Data))
	}
	return m, reports, moveDir(half.Data, opt.Data)
}

// moveDir gives a whole directory its name, durably.
func moveDir(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) { // empty, see newDir
		return fmt.Errorf("making way for the restored room: %w", err)
	}
	err := syncDir(from)
	if err == nil {
		err = os.Rename(from, to)
	}
	if err == nil {
		err = syncDir(filepath.Dir(to))
	}
	if err != nil {
		return fmt.Errorf("naming the restored room: %w", err)
	}
	return nil
}

// unpack writes the files of a backup, or of the continuous copy, into a new directory.
func unpack(ctx context.Context, from, to string, ids []age.Identity) (Manifest, error) {
	if isCopy(from) {
		return unpackCopy(ctx, from, to, ids)
	}
	m, err := ReadBackup(from)
	if err != nil {
		return m, err
	}
	if m.Kasse != "" {
		return m, fmt.Errorf("this backup holds Kasse %s alone: it is put into an existing room with --kasse", m.Kasse)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return m, fmt.Errorf("making the directory of the room: %w", err)
	}
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return m, err
		}
		if err := unpackFile(filepath.Join(from, f.Name), filepath.Join(to, plainName(f.Name)), ids); err != nil {
			return m, fmt.Errorf("restoring %q: %w", f.Name, err)
		}
	}
	return m, nil
}

// settle makes an unpacked copy a room of the engine that it is restored to. Copies
// are files, whatever the room lay in. In PostgreSQL the room gets schemas of its own,
// under a new prefix: nothing that is there is touched, and what an interrupted
// restore left is to be dropped by whoever looks after the database.
func settle(ctx context.Context, opt Options) error {
	s, err := readSettings(opt.Data)
	if err != nil {
		return err
	}
	if to := place(opt, s).Engine(); to == s.Engine && opt.Database == "" {
		return nil
	}
	s.Engine = place(opt, s).Engine()
	if opt.Database != "" {
		s.Place = newPlace()
		if err := moveStores(ctx, db.InDir(opt.Data), place(opt, s)); err != nil {
			return fmt.Errorf("putting the room into PostgreSQL: %w", err)
		}
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding settings: %w", err)
	}
	if _, err := writeDurable(filepath.Join(opt.Data, settingsFile), append(b, '\n'), nil); err != nil {
		return fmt.Errorf("writing settings: %w", err)
	}
	return nil
}

// moveStores copies all stores and removes the files.
func moveStores(ctx context.Context, from, to db.Place) error {
	names, err := from.Stores(ctx, "")
	if err != nil {
		return err
	}
	for _, name := range names {
		d, err := from.Look(ctx, name, migrationsOf(name)...)
		if err != nil {
			return err
		}
		if err := errors.Join(d.CopyInto(ctx, to), d.Close()); err != nil {
			return err
		}
		if err := from.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

func unpackFile(from, to string, ids []age.Identity) (err error) {
	content, done, err := openSealed(from, ids)
	if err != nil {
		return err
	}
	defer func() { _ = done() }() // only read
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Sync(), f.Close())
}

// verifyRestored opens the room and checks everything.
func verifyRestored(ctx context.Context, opt Options, m Manifest) (out []Verified, err error) {
	opt.CopyTo = ""
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
