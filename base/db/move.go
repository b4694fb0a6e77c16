package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// OnServer says that the store lies in PostgreSQL, not in a file of its own.
func (d *DB) OnServer() bool { return d.file == "" }

// CopyInto writes the store, as it is in one consistent state, into another place
// under the same name: between files and PostgreSQL, in either direction, while
// reads and writes go on. The schema is built from the migrations that the store was
// opened with, as far as the store has come. The store must not exist there; what an
// interrupted copy left is to be removed by the caller.
func (d *DB) CopyInto(ctx context.Context, p Place) error {
	have, err := p.Stores(ctx, d.name)
	if err == nil && len(have) > 0 {
		for _, name := range have {
			if name == d.name {
				err = errors.New("it exists there already")
			}
		}
	}
	if err != nil {
		return fmt.Errorf("copying store %q: %w", d.name, err)
	}
	to, err := p.open(ctx, d.name)
	if err != nil {
		return fmt.Errorf("copying store %q: %w", d.name, err)
	}
	err = d.Snapshot(ctx, func(ctx context.Context, q Querier) error {
		if err := d.buildIn(ctx, q, to); err != nil {
			return err
		}
		return copyTables(ctx, q, to)
	})
	if err = errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("copying store %q: %w", d.name, err)
	}
	return nil
}

// buildIn takes the steps in another store that this one has taken.
func (d *DB) buildIn(ctx context.Context, q Querier, to *DB) error {
	taken, err := Collect(ctx, q, func(r *sql.Rows) (s Step, err error) {
		err = r.Scan(&s.Package, &s.To)
		return s, err
	}, `select package, version from schema_version`)
	if err != nil {
		return fmt.Errorf("reading the versions of the schema: %w", err)
	}
	versions := map[string]int{}
	for _, s := range taken {
		versions[s.Package] = s.To
	}
	for _, m := range d.schema { // in the order of what refers to what
		n, ok := versions[m.Package]
		if !ok {
			continue
		}
		if n > len(m.Steps) {
			return fmt.Errorf("schema %q has version %d, this program knows %d: %w", m.Package, n, len(m.Steps), ErrNewer)
		}
		delete(versions, m.Package)
		have := Migrations{Package: m.Package, Steps: m.Steps[:n]}
		if n == len(m.Steps) {
			have.Oldest = m.Oldest
		}
		if err := to.migrateOne(ctx, have); err != nil {
			return err
		}
	}
	for name := range versions {
		return fmt.Errorf("schema %q is unknown to this program: %w", name, ErrNewer)
	}
	return nil
}

// copyTables fills every table of a new store in one transaction.
func copyTables(ctx context.Context, from Querier, to *DB) error {
	return to.Write(ctx, func(ctx context.Context, tx *Tx) error {
		tables, err := Collect(ctx, tx, func(r *sql.Rows) (t string, err error) { return t, r.Scan(&t) }, to.engine.tables())
		if err != nil {
			return fmt.Errorf("listing tables: %w", err)
		}
		for _, t := range tables {
			if t == "schema_version" || t == "schema_oldest" { // written by the steps
				continue
			}
			if err := copyTable(ctx, from, tx, to.engine, t); err != nil {
				return fmt.Errorf("table %s: %w", t, err)
			}
		}
		return nil
	})
}

type column struct {
	name    string
	boolean bool
}

func copyTable(ctx context.Context, from Querier, tx *Tx, e engine, table string) error {
	if _, err := tx.Exec(ctx, `delete from `+table); err != nil { // what the steps themselves put there
		return err
	}
	_, err := copyRows(ctx, from, tx, e, rowsOf{verb: `insert`, table: table})
	return err
}

// rowsOf are rows of one table and what is done with them in the other store.
type rowsOf struct {
	verb  string // insert, or insert or replace
	table string
	where string // of the store that is read; all rows without
	args  []any
}

// copyRows puts rows of one store into the table of the same name in another.
func copyRows(ctx context.Context, from Querier, tx *Tx, e engine, of rowsOf) (n int64, err error) {
	columns, err := Collect(ctx, tx, func(r *sql.Rows) (c column, err error) { return c, r.Scan(&c.name, &c.boolean) }, e.columns(), of.table)
	if err != nil {
		return 0, err
	}
	names, marks := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		names[i], marks[i] = `"`+c.name+`"`, fmt.Sprintf("$%d", i+1)
	}
	list := strings.Join(names, ", ")
	insert, err := tx.tx.PrepareContext(ctx, of.verb+` into `+of.table+` (`+list+`) values (`+strings.Join(marks, ", ")+`)`)
	if err != nil {
		return 0, err
	}
	defer func() { _ = insert.Close() }() // ends with the transaction
	rows, err := from.Query(ctx, `select `+list+` from `+of.table+of.where, of.args...)
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return n, err
		}
		for i, c := range columns {
			values[i] = c.carried(values[i])
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}

// carried is a value in the form that either engine takes.
func (c column) carried(v any) any {
	switch x := v.(type) {
	case int64:
		if c.boolean { // SQLite keeps booleans as numbers
			return x != 0
		}
	case []byte:
		if len(x) == 0 {
			return []byte{} // not nil, which would be null
		}
	}
	return v
}
