package db

import (
	"context"
	"errors"
	"fmt"
)

// Migrations are the schema of one package: steps are only ever added at the
// end, and never changed. All steps that a store lacks are one transaction; the
// number of a step is its place in the list, from 1.
type Migrations struct {
	Package string
	Steps   []string
	// Oldest is the lowest number of steps with which a program may go on using a
	// store that has all of them: say so when later steps only add what an older
	// program need neither read nor write, such as an index. 0 says that older
	// programs are refused.
	Oldest int
}

// ErrNewer says that the store was written by a newer program.
var ErrNewer = errors.New("store is newer than this program: use the newer program, or restore the backup made before the upgrade")

// migrate brings the store to the newest version of all migrations. A store that
// has them all is not written to, and one that has more is left as it is.
func (d *DB) migrate(ctx context.Context, ms []Migrations) error {
	have, err := d.versions(ctx)
	if err != nil {
		return fmt.Errorf("reading the versions of the schema: %w", err)
	}
	if err := have.Newer(ms...); err != nil {
		return err
	}
	for _, m := range ms {
		if have[m.Package].Steps >= len(m.Steps) && len(m.Steps) > 0 {
			continue
		}
		if err := d.migrateOne(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) migrateOne(ctx context.Context, m Migrations) error {
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
		if have >= len(m.Steps) {
			return nil // another node was faster
		}
		for i, step := range m.Steps[have:] {
			if _, err := tx.Exec(ctx, step); err != nil {
				return fmt.Errorf("migrating %q to version %d: %w", m.Package, have+i+1, err)
			}
		}
		if _, err = tx.Exec(ctx, `insert into schema_version (package, version) values ($1, $2)
			on conflict (package) do update set version = excluded.version`, m.Package, len(m.Steps)); err != nil {
			return err
		}
		return m.sayOldest(ctx, tx)
	})
}

// sayOldest lets older programs know whether they may use the store; those from
// before it was said refuse every newer store.
func (m Migrations) sayOldest(ctx context.Context, tx *Tx) error {
	if _, err := tx.Exec(ctx, `create table if not exists schema_oldest (
		package text primary key, version bigint not null)`); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `insert into schema_oldest (package, version) values ($1, $2)
		on conflict (package) do update set version = excluded.version`, m.Package, m.Oldest)
	return err
}
