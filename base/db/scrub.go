package db

import (
	"context"
	"fmt"
)

// Scrub makes the store's files forget what was deleted: they are written anew
// without free pages, and the write-ahead log is emptied. It waits for writes
// under way and for readers. On PostgreSQL the tables are written anew; its
// write-ahead log and replicas forget when they recycle, which is the server's
// business. Nothing is lost when it is interrupted.
func (d *DB) Scrub(ctx context.Context) error {
	if d.file == "" {
		return d.scrubPostgres(ctx)
	}
	// One connection writes, so that this takes its turn with the writer.
	for _, text := range []string{`pragma secure_delete = on`, `vacuum`, `pragma wal_checkpoint(truncate)`} {
		if _, err := d.write.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("making %q forget what was deleted (%s): %w", d.name, text, d.engine.explain(err))
		}
	}
	return d.logIsEmpty(ctx)
}

// logIsEmpty asks again whether the log could be emptied: a reader may hold it.
func (d *DB) logIsEmpty(ctx context.Context) error {
	var busy, pages, done int
	if err := d.write.QueryRowContext(ctx, `pragma wal_checkpoint(truncate)`).Scan(&busy, &pages, &done); err != nil {
		return fmt.Errorf("emptying the log of %q: %w", d.name, d.engine.explain(err))
	}
	if busy != 0 {
		return fmt.Errorf("emptying the log of %q: somebody reads it; try again", d.name)
	}
	return nil
}

func (d *DB) scrubPostgres(ctx context.Context) error {
	e, ok := d.engine.(postgresEngine)
	if !ok {
		return fmt.Errorf("making %q forget what was deleted: unknown engine", d.name)
	}
	tables, err := scanColumn(ctx, d.write, `select tablename from pg_tables where schemaname = $1 order by tablename`, e.schema)
	if err != nil {
		return fmt.Errorf("listing the tables of %q: %w", d.name, err)
	}
	for _, t := range tables {
		if _, err := d.write.ExecContext(ctx, `vacuum full `+quoted(e.schema, t)); err != nil {
			return fmt.Errorf("making %q forget what was deleted: %w", d.name, d.engine.explain(err))
		}
	}
	return nil
}
