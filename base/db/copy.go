package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrNoCopy says that a store has no pages of its own.
var ErrNoCopy = errors.New("a store in PostgreSQL has no pages: copy it into a file first")

// CopyTo writes a consistent copy of the store as it is now to a new file,
// while reads and writes go on. The copy is durable when CopyTo returns.
func (d *DB) CopyTo(ctx context.Context, file string) error {
	if d.file == "" {
		return fmt.Errorf("copying %q: %w", d.name, ErrNoCopy)
	}
	if _, err := os.Stat(file); err == nil {
		return fmt.Errorf("copying %q: %q exists already", d.name, file)
	}
	conn, err := sql.Open("sqlite", sqliteDSN(d.file, "deferred"))
	if err != nil {
		return fmt.Errorf("copying %q: %w", d.name, err)
	}
	_, err = conn.ExecContext(ctx, "vacuum into $1", file)
	err = errors.Join(d.engine.explain(err), conn.Close())
	if err == nil {
		err = syncFile(file)
	}
	if err != nil {
		return fmt.Errorf("copying %q: %w", d.name, err)
	}
	return nil
}

// Remove removes the files of a store that nobody has open. Only in files: what lies
// in PostgreSQL is dropped by whoever looks after the database.
func (p Place) Remove(name string) error {
	if p.url != "" {
		return fmt.Errorf("removing store %q: it lies in PostgreSQL", name)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(p.dir, name+".db"+suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing store %q: %w", name, err)
		}
	}
	return nil
}

func syncFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
