package recovery

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// doc is a row of recovery_doc: an acceptance, a list of steps, a partner. Each
// is small and always read and written whole.
type doc interface {
	docKind() string
	docID() string
}

// ErrNoDoc says that nothing has that id.
var ErrNoDoc = errors.New("nothing of that id is kept")

func docRow(kind, id string, body json.RawMessage) ledger.Row {
	return ledger.Row{Table: "recovery_doc", Key: kind + " " + id, Value: body}
}

// Put stores an acceptance, a list of steps or a partner and appends its entry.
func Put(ctx context.Context, tx *db.Tx, now time.Time, actor, kind, reason string, d doc) error {
	row, err := putDoc(ctx, tx, now, d)
	if err != nil {
		return err
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: actor, Kind: kind, Subject: d.docID(), Reason: reason, Rows: []ledger.Row{row}})
	return err
}

// putDoc stores one and returns its row for the caller's entry.
func putDoc(ctx context.Context, tx *db.Tx, now time.Time, d doc) (ledger.Row, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return ledger.Row{}, fmt.Errorf("encoding %s %q: %w", d.docKind(), d.docID(), err)
	}
	if _, err := tx.Exec(ctx, `insert into recovery_doc (kind, id, at, body) values ($1, $2, $3, $4)
		on conflict (kind, id) do update set body = excluded.body`, d.docKind(), d.docID(), db.Micro(now), string(body)); err != nil {
		return ledger.Row{}, fmt.Errorf("storing %s %q: %w", d.docKind(), d.docID(), err)
	}
	return docRow(d.docKind(), d.docID(), body), nil
}

// readDocs reads all of a kind, oldest first.
func readDocs[T doc](ctx context.Context, q db.Querier) ([]T, error) {
	var zero T
	out, err := db.Collect(ctx, q, func(r *sql.Rows) (v T, err error) {
		var body string
		if err := r.Scan(&body); err != nil {
			return v, err
		}
		return v, json.Unmarshal([]byte(body), &v)
	}, `select body from recovery_doc where kind = $1 order by at, id`, zero.docKind())
	if err != nil {
		return nil, fmt.Errorf("reading every %s: %w", zero.docKind(), err)
	}
	return out, nil
}

// readDoc reads one.
func readDoc[T doc](ctx context.Context, q db.Querier, id string) (T, error) {
	var v T
	var body string
	err := q.QueryRow(ctx, `select body from recovery_doc where kind = $1 and id = $2`, v.docKind(), id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return v, fmt.Errorf("%s %q: %w", v.docKind(), id, ErrNoDoc)
	}
	if err != nil {
		return v, fmt.Errorf("reading %s %q: %w", v.docKind(), id, err)
	}
	return v, json.Unmarshal([]byte(body), &v)
}

func docRows(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
	return db.Collect(ctx, q, func(r *sql.Rows) (ledger.Row, error) {
		var kind, id, body string
		err := r.Scan(&kind, &id, &body)
		return docRow(kind, id, json.RawMessage(body)), err
	}, `select kind, id, body from recovery_doc`)
}
