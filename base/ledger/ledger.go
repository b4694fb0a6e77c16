package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"leitstand/base/db"

	"golang.org/x/mod/sumdb/tlog"
)

// Schema is the ledger's part of every store that has one.
var Schema = db.Migrations{Package: "ledger", Steps: []string{`
	create table ledger_entry (
		seq     bigint primary key,
		at      bigint not null,
		actor   text not null,
		kind    text not null,
		subject text not null,
		body    text not null
	);
	create index ledger_entry_subject on ledger_entry (subject, seq);
	create table ledger_hash (idx bigint primary key, hash bytea not null);
	create table ledger_head (size bigint primary key, at bigint not null, note text not null);
`}}

// System is the actor of what the room does by itself, such as noting that a
// deadline has passed. It never decides.
const System = "system"

// Entry is one thing that happened, as its package hands it in.
type Entry struct {
	At      time.Time // the room's clock; order is the ledger's, not the clock's
	Actor   string    // a person's id, or System
	Kind    string    // noun.participle, such as "measure.ordered"
	Subject string    // id of what it is about
	Reason  string    // why, in words a person wrote or approved
	Data    any       // further fields, small
	Rows    []Row     // every row that this change wrote, as it is afterwards
}

// Row is the after-image of one row. A nil value says that the row is gone.
type Row struct {
	Table string `json:"table"`
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// Record is an entry as it stands in the ledger, and the form of its body.
type Record struct {
	Seq     int64           `json:"seq"`
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor"`
	Kind    string          `json:"kind"`
	Subject string          `json:"subject"`
	Reason  string          `json:"reason,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Rows    []RecordRow     `json:"rows,omitempty"`
}

// RecordRow is a [Row] read back.
type RecordRow struct {
	Table string          `json:"table"`
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// Append adds an entry in the caller's transaction and returns its number. The
// entry exists if and only if that transaction commits.
func Append(ctx context.Context, tx *db.Tx, e Entry) (int64, error) {
	if e.Kind == "" || e.Actor == "" || e.At.IsZero() {
		return 0, fmt.Errorf("ledger entry %q by %q: kind, actor and time are needed", e.Kind, e.Actor)
	}
	size, err := entries(ctx, tx)
	if err != nil {
		return 0, err
	}
	seq := size + 1
	body, err := encode(seq, e)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, `insert into ledger_entry (seq, at, actor, kind, subject, body) values ($1, $2, $3, $4, $5, $6)`,
		seq, e.At.UnixMicro(), e.Actor, e.Kind, e.Subject, string(body)); err != nil {
		return 0, fmt.Errorf("appending ledger entry %d: %w", seq, err)
	}
	hashes, err := tlog.StoredHashes(size, body, stored(ctx, tx))
	if err != nil {
		return 0, fmt.Errorf("hashing ledger entry %d: %w", seq, err)
	}
	first := tlog.StoredHashIndex(0, size)
	for i, h := range hashes {
		if _, err := tx.Exec(ctx, `insert into ledger_hash (idx, hash) values ($1, $2)`, first+int64(i), h[:]); err != nil {
			return 0, fmt.Errorf("storing hashes of ledger entry %d: %w", seq, err)
		}
	}
	return seq, nil
}

func encode(seq int64, e Entry) ([]byte, error) {
	r := Record{
		Seq: seq, At: e.At.UTC().Truncate(time.Microsecond),
		Actor: e.Actor, Kind: e.Kind, Subject: e.Subject, Reason: e.Reason,
	}
	var err error
	if e.Data != nil {
		if r.Data, err = json.Marshal(e.Data); err != nil {
			return nil, fmt.Errorf("encoding ledger entry %q: %w", e.Kind, err)
		}
	}
	for _, row := range e.Rows {
		v, err := json.Marshal(row.Value)
		if err != nil {
			return nil, fmt.Errorf("encoding row %s %q for the ledger: %w", row.Table, row.Key, err)
		}
		r.Rows = append(r.Rows, RecordRow{Table: row.Table, Key: row.Key, Value: v})
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding ledger entry %q: %w", e.Kind, err)
	}
	return body, nil
}

// entries is the number of entries, which is also the highest number.
func entries(ctx context.Context, q db.Querier) (int64, error) {
	var n int64
	if err := q.QueryRow(ctx, `select coalesce(max(seq), 0) from ledger_entry`).Scan(&n); err != nil {
		return 0, fmt.Errorf("reading the ledger's size: %w", err)
	}
	return n, nil
}

// stored reads the inner nodes of the tree, as tlog numbers them.
func stored(ctx context.Context, q db.Querier) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, idx := range indexes {
			var b []byte
			if err := q.QueryRow(ctx, `select hash from ledger_hash where idx = $1`, idx).Scan(&b); err != nil {
				return nil, fmt.Errorf("reading ledger hash %d: %w", idx, err)
			}
			if copy(out[i][:], b) != tlog.HashSize {
				return nil, fmt.Errorf("ledger hash %d has %d bytes", idx, len(b))
			}
		}
		return out, nil
	}
}

// Read returns up to limit records with numbers above after, in order.
func Read(ctx context.Context, q db.Querier, after int64, limit int) ([]Record, error) {
	return query(ctx, q, `select seq, body from ledger_entry where seq > $1 order by seq limit $2`, after, limit)
}

// Each calls fn with every record and its exact text, in order. fn may use q.
func Each(ctx context.Context, q db.Querier, fn func(rec Record, body []byte) error) error {
	type line struct {
		rec  Record
		body []byte
	}
	const page = 500
	for after := int64(0); ; {
		lines, err := db.Collect(ctx, q, func(rows *sql.Rows) (l line, err error) {
			var seq int64
			if err := rows.Scan(&seq, &l.body); err != nil {
				return l, err
			}
			if err := json.Unmarshal(l.body, &l.rec); err != nil {
				return l, fmt.Errorf("entry %d (run: leitstand ledger verify): %w", seq, err)
			}
			l.rec.Seq = seq
			return l, nil
		}, `select seq, body from ledger_entry where seq > $1 order by seq limit $2`, after, page)
		if err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
		for _, l := range lines {
			after = l.rec.Seq
			if err := fn(l.rec, l.body); err != nil {
				return err
			}
		}
		if len(lines) < page {
			return nil
		}
	}
}

// About returns up to limit newest records about a subject, newest first.
func About(ctx context.Context, q db.Querier, subject string, limit int) ([]Record, error) {
	return query(ctx, q, `select seq, body from ledger_entry where subject = $1 order by seq desc limit $2`, subject, limit)
}

func query(ctx context.Context, q db.Querier, text string, args ...any) ([]Record, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (r Record, err error) {
		var seq int64
		var body string
		if err := rows.Scan(&seq, &body); err != nil {
			return r, err
		}
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			return r, fmt.Errorf("entry %d (run: leitstand ledger verify): %w", seq, err)
		}
		return r, nil
	}, text, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	return out, nil
}
