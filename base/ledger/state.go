package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"leitstand/base/db"
)

// Keeper knows the rows of one table whose every change is in the ledger.
type Keeper struct {
	Table string
	// Rows reads all rows in the form in which their package puts them into
	// [Entry.Rows]; Value is anything that encodes to JSON.
	Rows func(ctx context.Context, q db.Querier) ([]Row, error)
}

// Keep is the keeper of a table that read returns entirely.
func Keep[T any](table string, row func(T) Row, read func(context.Context, db.Querier) ([]T, error)) Keeper {
	return Keeper{Table: table, Rows: func(ctx context.Context, q db.Querier) ([]Row, error) {
		all, err := read(ctx, q)
		out := make([]Row, len(all))
		for i, v := range all {
			out[i] = row(v)
		}
		return out, err
	}}
}

// KeepList is the keeper of a table whose reader takes the rest of its query,
// here the order of the rows.
func KeepList[T any](table string, row func(T) Row, read func(context.Context, db.Querier, string, ...any) ([]T, error), order string) Keeper {
	return Keep(table, row, func(ctx context.Context, q db.Querier) ([]T, error) { return read(ctx, q, order) })
}

// KeepQuery is the keeper of a table that a query returns entirely, a row at
// a time.
func KeepQuery[T any](table string, row func(T) Row, scan func(*sql.Rows) (T, error), query string, args ...any) Keeper {
	return Keep(table, row, func(ctx context.Context, q db.Querier) ([]T, error) {
		return db.Collect(ctx, q, scan, query, args...)
	})
}

// VerifyState folds all entries and compares every row of the keepers' tables
// with the last entry about it. Call [Verify] first: this trusts the bodies.
func VerifyState(ctx context.Context, q db.Querier, keepers ...Keeper) ([]Problem, error) {
	said, err := fold(ctx, q)
	if err != nil {
		return nil, err
	}
	var problems []Problem
	for _, k := range keepers {
		rows, err := k.Rows(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("reading table %q: %w", k.Table, err)
		}
		found, err := compareTable(k.Table, rows, said[k.Table])
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// image is what the ledger last said of a row.
type image struct {
	seq   int64
	value []byte // canonical JSON, nil when gone
}

func fold(ctx context.Context, q db.Querier) (map[string]map[string]image, error) {
	said := map[string]map[string]image{}
	const page = 500
	for after := int64(0); ; {
		records, err := Read(ctx, q, after, page)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			after = r.Seq
			for _, row := range r.Rows {
				value, err := Canonical(row.Value)
				if err != nil {
					return nil, fmt.Errorf("reading row %s %q of ledger entry %d: %w", row.Table, row.Key, r.Seq, err)
				}
				if said[row.Table] == nil {
					said[row.Table] = map[string]image{}
				}
				said[row.Table][row.Key] = image{seq: r.Seq, value: value}
			}
		}
		if len(records) < page {
			return said, nil
		}
	}
}

func compareTable(table string, rows []Row, said map[string]image) ([]Problem, error) {
	var problems []Problem
	add := func(seq int64, format string, args ...any) {
		problems = append(problems, Problem{From: seq, To: seq, Kind: "row", Text: fmt.Sprintf(format, args...)})
	}
	seen := map[string]bool{}
	for _, row := range rows {
		seen[row.Key] = true
		raw, err := json.Marshal(row.Value)
		if err != nil {
			return nil, fmt.Errorf("encoding row %s %q: %w", table, row.Key, err)
		}
		have, err := Canonical(raw)
		if err != nil {
			return nil, fmt.Errorf("encoding row %s %q: %w", table, row.Key, err)
		}
		im, known := said[row.Key]
		switch {
		case !known:
			add(0, "row %s %q is in no ledger entry", table, row.Key)
		case im.value == nil:
			add(im.seq, "row %s %q exists although entry %d removed it", table, row.Key, im.seq)
		case !bytes.Equal(have, im.value):
			add(im.seq, "row %s %q is not what entry %d says: it is %s, the ledger says %s", table, row.Key, im.seq, have, im.value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(said)) {
		if im := said[key]; im.value != nil && !seen[key] {
			add(im.seq, "row %s %q is missing; entry %d says %s", table, key, im.seq, im.value)
		}
	}
	return problems, nil
}

// Canonical is JSON with sorted keys and without white space, so that values are
// compared and not how they are written; null becomes nil.
func Canonical(raw json.RawMessage) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if v == nil {
		return nil, nil
	}
	return json.Marshal(v)
}
