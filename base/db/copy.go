package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// ErrNoCopy says that the engine has its own tool for copies.
var ErrNoCopy = errors.New("a PostgreSQL store is copied with pg_dump, one schema per store")

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

func syncFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
