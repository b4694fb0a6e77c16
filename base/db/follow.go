package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Follower keeps a SQLite file like a store in PostgreSQL, so that what is made of
// files, such as the continuous copy, is the same for both. Each step brings over
// what has changed since the one before, as it is in one consistent state of the
// store. The file is derived: it is made anew by every Follower, and may be removed.
type Follower struct {
	from *DB
	dir  string
	to   *DB
	seen int64 // all transactions below this number have been brought over
}

// Follow prepares to follow a store in PostgreSQL into a file in dir. What lies there
// under the store's name is removed.
func (d *DB) Follow(dir string) (*Follower, error) {
	if !d.OnServer() {
		return nil, fmt.Errorf("following %q: it lies in a file already", d.name)
	}
	if err := InDir(dir).Remove(d.name); err != nil {
		return nil, fmt.Errorf("following %q: %w", d.name, err)
	}
	return &Follower{from: d, dir: dir}, nil
}

// File is the store as the last Step has left it; nil before the first.
func (f *Follower) File() *DB { return f.to }

// Close removes the file: a follower's file is as open as the store.
func (f *Follower) Close() error {
	var err error
	if f.to != nil {
		err = f.to.Close()
		f.to = nil
	}
	return errors.Join(err, InDir(f.dir).Remove(f.from.name))
}

// Step brings the file to the present state of the store. Interrupted or failed, the
// file stays as it was, and the next step brings more.
func (f *Follower) Step(ctx context.Context) error {
	err := f.from.Snapshot(ctx, func(ctx context.Context, q Querier) error {
		// Whatever a transaction below this number did is in this snapshot; what those
		// above did may be, and is looked at again by the next step.
		var next int64
		if err := q.QueryRow(ctx, `select txid_snapshot_xmin(txid_current_snapshot())`).Scan(&next); err != nil {
			return err
		}
		if f.to == nil {
			if err := f.begin(ctx, q); err != nil {
				return err
			}
		} else if err := f.change(ctx, q); err != nil {
			return err
		}
		f.seen = next
		return nil
	})
	if err != nil {
		return fmt.Errorf("following store %q: %w", f.from.name, err)
	}
	return nil
}

// begin copies everything.
func (f *Follower) begin(ctx context.Context, q Querier) error {
	to, err := InDir(f.dir).open(ctx, f.from.name)
	if err != nil {
		return err
	}
	// After a crash the file is made anew: nobody needs it on the disk before. What the
	// store forgets, the file forgets.
	_, err = to.write.ExecContext(ctx, `pragma synchronous = off; pragma secure_delete = on`)
	if err == nil {
		err = f.from.buildIn(ctx, q, to)
	}
	if err == nil {
		err = copyTables(ctx, q, to)
	}
	if err != nil {
		return errors.Join(err, to.Close(), InDir(f.dir).Remove(f.from.name))
	}
	f.to = to
	return nil
}

// since are rows that a transaction wrote which the step before may not have seen.
// A row's number is that of the part of a transaction (savepoint) that wrote it, which is
// higher than the transaction's, and counts in a ring of 2^32; a row that is looked at in
// vain is only written again.
const since = ` where (xmin::text::bigint - $1 % 4294967296 + 4294967296) % 4294967296 < 2147483648`

// change brings over what was written since, then finds what was deleted.
func (f *Follower) change(ctx context.Context, q Querier) error {
	return f.to.Write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.Exec(ctx, `pragma defer_foreign_keys = on`); err != nil {
			return err
		}
		tables, err := Collect(ctx, tx, func(r *sql.Rows) (t string, err error) { return t, r.Scan(&t) }, f.to.engine.tables())
		if err != nil {
			return fmt.Errorf("listing tables: %w", err)
		}
		for _, t := range tables {
			// A row that stands in the way of a newer one is stale: it is deleted in the
			// store, or comes with another value in this step.
			if _, err := copyRows(ctx, q, tx, f.to.engine, rowsOf{verb: `insert or replace`, table: t, where: since, args: []any{f.seen}}); err != nil {
				return fmt.Errorf("table %s: %w", t, err)
			}
			if err := f.forget(ctx, q, tx, t); err != nil {
				return fmt.Errorf("table %s: %w", t, err)
			}
		}
		return nil
	})
}

// forget removes rows that the store has no more. The file has every row of the store
// by now, so that equal numbers mean equal rows.
func (f *Follower) forget(ctx context.Context, q Querier, tx *Tx, table string) error {
	var have, want int64
	if err := q.QueryRow(ctx, `select count(*) from `+table).Scan(&want); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, `select count(*) from `+table).Scan(&have); err != nil {
		return err
	}
	if have == want {
		return nil
	}
	keys, err := Collect(ctx, tx, func(r *sql.Rows) (c string, err error) { return c, r.Scan(&c) },
		`select '"' || name || '"' from pragma_table_info($1) where pk > 0 order by pk`, table)
	if err != nil || len(keys) == 0 {
		return errors.Join(err, f.again(ctx, q, tx, table))
	}
	list := strings.Join(keys, ", ")
	if _, err := tx.Exec(ctx, `create temp table present as select `+list+` from main.`+table+` limit 0`); err != nil {
		return err
	}
	if err := f.present(ctx, q, tx, table, list, len(keys)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `delete from main.`+table+` where (`+list+`) not in (select `+list+` from temp.present)`); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `drop table temp.present`); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, `select count(*) from `+table).Scan(&have); err != nil {
		return err
	}
	if have != want {
		return fmt.Errorf("%d rows where the store has %d", have, want)
	}
	return nil
}

// again copies a table that has no key.
func (f *Follower) again(ctx context.Context, q Querier, tx *Tx, table string) error {
	return copyTable(ctx, q, tx, f.to.engine, table)
}

// present notes the keys of all rows that the store has.
func (f *Follower) present(ctx context.Context, q Querier, tx *Tx, table, list string, keys int) error {
	marks := make([]string, keys)
	values, into := make([]any, keys), make([]any, keys)
	for i := range marks {
		marks[i], into[i] = fmt.Sprintf("$%d", i+1), &values[i]
	}
	insert, err := tx.tx.PrepareContext(ctx, `insert into temp.present values (`+strings.Join(marks, ", ")+`)`) //nolint:gosec // parameters only
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }() // ends with the transaction
	rows, err := q.Query(ctx, `select `+list+` from `+table)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return rows.Err()
}
