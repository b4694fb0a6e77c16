package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// Collect runs a query and returns what scan makes of each row.
func Collect[T any](ctx context.Context, q Querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Micro is a time as stores keep it: microseconds UTC, 0 for the zero time.
func Micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Time is the opposite of [Micro].
func Time(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Trim is a time as it comes back from a store.
func Trim(t time.Time) time.Time { return Time(Micro(t)) }

// JSON is each value as a column of text.
func JSON(values ...any) ([]string, error) {
	out := make([]string, len(values))
	for i, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		out[i] = string(b)
	}
	return out, nil
}

// FromJSON is the opposite of [JSON]; to are pointers.
func FromJSON(texts []string, to ...any) error {
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), to[i]); err != nil {
			return fmt.Errorf("reading %q: %w", text, err)
		}
	}
	return nil
}
