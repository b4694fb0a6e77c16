package db

import (
	"context"
	"database/sql"
	"fmt"
)

// Pages reads every page of the store as it is in one consistent state, in
// order from 1, while reads and writes go on: first begin with the page size in
// bytes and the number of pages, then page for each. content is only valid
// during the call. Written one after the other the pages are a SQLite file.
// Like CopyTo it gives ErrNoCopy on PostgreSQL.
func (d *DB) Pages(ctx context.Context, begin func(size int, pages int64) error, page func(number int64, content []byte) error) error {
	if d.file == "" {
		return fmt.Errorf("reading the pages of %q: %w", d.name, ErrNoCopy)
	}
	err := d.Snapshot(ctx, func(ctx context.Context, q Querier) error {
		var size int
		var pages int64
		if err := q.QueryRow(ctx, `pragma page_size`).Scan(&size); err != nil {
			return err
		}
		// The first read of a table fixes the state that the transaction sees.
		var tables int64
		if err := q.QueryRow(ctx, `select count(*) from sqlite_schema`).Scan(&tables); err != nil {
			return err
		}
		if err := q.QueryRow(ctx, `pragma page_count`).Scan(&pages); err != nil {
			return err
		}
		if err := begin(size, pages); err != nil {
			return err
		}
		rows, err := q.Query(ctx, `select pgno, data from sqlite_dbpage`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err tells
		return eachPage(rows, pages, page)
	})
	if err != nil {
		return fmt.Errorf("reading the pages of %q: %w", d.name, d.engine.explain(err))
	}
	return nil
}

func eachPage(rows *sql.Rows, pages int64, page func(number int64, content []byte) error) error {
	seen := int64(0)
	for rows.Next() {
		var number int64
		var content sql.RawBytes
		if err := rows.Scan(&number, &content); err != nil {
			return err
		}
		if seen++; number != seen {
			return fmt.Errorf("page %d comes where %d was expected", number, seen)
		}
		if err := page(number, content); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if seen != pages {
		return fmt.Errorf("%d pages instead of %d", seen, pages)
	}
	return nil
}
