package room

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// RestoreKasse puts one Kasse's journal from a backup, or from the continuous copy, into
// a room that nobody serves. The journal that is there is kept beside it under another
// name; in PostgreSQL, in a schema of its own.
func RestoreKasse(ctx context.Context, from string, k catalogue.KasseID, opt Options) (Manifest, []Verified, error) {
	settings, err := readSettings(opt.Data)
	if err == nil {
		err = settings.fits(opt)
	}
	if err != nil {
		return Manifest{}, nil, err
	}
	put := restoreFile
	if opt.Database != "" {
		put = restoreSchema
	}
	m, err := put(ctx, from, k, opt, settings)
	if err != nil {
		return m, nil, fmt.Errorf("restoring Kasse %s: %w", k, err)
	}
	reports, err := verifyRestored(ctx, opt, m)
	return m, reports, err
}

// asideSuffix ends the name of what is replaced now: two of one second differ.
func asideSuffix(opt Options) string {
	return strings.ReplaceAll(opt.now().Format("060102150405.0000"), ".", "")
}

// restoreFile replaces the file of a journal.
func restoreFile(ctx context.Context, from string, k catalogue.KasseID, opt Options, _ Settings) (m Manifest, err error) {
	release, err := db.LockDir(opt.Data)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, release()) }()
	old := filepath.Join(opt.Data, emergency.StoreOf(k)+".db")
	fresh := old + partialSuffix
	if m, err = unpackKasse(from, fresh, k, opt.Identities); err != nil {
		return m, err
	}
	if err := putAside(ctx, opt.Data, emergency.StoreOf(k), ".replaced-"+asideSuffix(opt)); err != nil {
		return m, fmt.Errorf("putting the present journal aside: %w", err)
	}
	return m, errors.Join(os.Rename(fresh, old), syncDir(opt.Data))
}

// putAside gives the file of a store a second name, and takes its log away from it, so
// that another file can take its place at once: at no time is there none, or a new
// file beside an old log.
func putAside(ctx context.Context, data, store, suffix string) error {
	old := filepath.Join(data, store+".db")
	if d, err := db.InDir(data).Look(ctx, store); err == nil {
		_ = d.Close() // brings the log into the file; one that is damaged is put aside as it is
	}
	for _, log := range []string{"-wal", "-shm"} {
		if err := os.Rename(old+log, old+suffix+log); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	err := os.Link(old, old+suffix)
	if errors.Is(err, os.ErrNotExist) { // nothing is there
		return nil
	}
	return errors.Join(err, syncDir(data))
}

// restoreSchema replaces the schema of a journal while no node leads the room.
func restoreSchema(ctx context.Context, from string, k catalogue.KasseID, opt Options, s Settings) (m Manifest, err error) {
	p := place(opt, s)
	release, err := p.Alone(ctx)
	if errors.Is(err, db.ErrNotLeading) {
		err = fmt.Errorf("a node serves this room: stop all of them first: %w", err)
	}
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, release()) }()
	dir, err := os.MkdirTemp(opt.Data, scratchCopy)
	if err != nil {
		return m, fmt.Errorf("making room for the journal: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := emergency.StoreOf(k)
	if m, err = unpackKasse(from, filepath.Join(dir, name+".db"), k, opt.Identities); err != nil {
		return m, err
	}
	d, err := db.InDir(dir).Look(ctx, name, migrationsOf(name)...)
	if err != nil {
		return m, err
	}
	_, err = p.Replace(ctx, d, asideSuffix(opt))
	return m, errors.Join(err, d.Close())
}

// unpackKasse writes the journal of a Kasse into a new file.
func unpackKasse(from, file string, k catalogue.KasseID, ids []age.Identity) (Manifest, error) {
	if err := os.RemoveAll(file); err != nil {
		return Manifest{}, fmt.Errorf("removing what an interrupted try left: %w", err)
	}
	if isCopy(from) {
		return unpackCopied(from, file, emergency.StoreOf(k), ids)
	}
	m, err := ReadBackup(from)
	if err != nil {
		return m, err
	}
	f, ok := m.find(emergency.StoreOf(k) + ".db")
	if !ok {
		return m, errors.New("the backup does not hold it")
	}
	return m, unpackFile(filepath.Join(from, f.Name), file, ids)
}
