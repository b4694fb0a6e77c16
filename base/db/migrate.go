package db

import (
	"context"
	"errors"
	"fmt"
)

// Migrations are the schema of one package: steps are only ever added at the
// end. Each step is one transaction; its number is its place in the list, from 1.
type Migrations struct {
	Package string
	Steps   []string
}

// ErrNewer says that the store was written by a newer program.
var ErrNewer = errors.New("store is newer than this program: use the newer program, or restore the backup made before the upgrade")

func (d *DB) migrate(ctx context.Context, m Migrations) error {
	return d.Write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.Exec(ctx, `create table if not exists schema_version (
			package text primary key, version bigint not null)`); err != nil {
			return err
		}
		have := 0
		err := tx.QueryRow(ctx, `select coalesce(max(version), 0) from schema_version where package = $1`, m.Package).Scan(&have)
		if err != nil {
			return fmt.Errorf("reading schema version of %q: %w", m.Package, err)
		}
		if have > len(m.Steps) {
			return fmt.Errorf("schema %q has version %d, this program knows %d: %w", m.Package, have, len(m.Steps), ErrNewer)
		}
		for i, step := range m.Steps[have:] {
			if _, err := tx.Exec(ctx, step); err != nil {
				return fmt.Errorf("migrating %q to version %d: %w", m.Package, have+i+1, err)
			}
		}
		_, err = tx.Exec(ctx, `insert into schema_version (package, version) values ($1, $2)
			on conflict (package) do update set version = excluded.version`, m.Package, len(m.Steps))
		return err
	})
}
