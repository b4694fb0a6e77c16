package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/base/db"
)

// CorrectedKind is the kind of entries that correct another one.
const CorrectedKind = "entry.corrected"

// maxCorrection bounds what a correction says, in bytes.
const maxCorrection = 2000

// ErrNoEntry says that a ledger has no entry with a number.
var ErrNoEntry = errors.New("the ledger has no such entry")

// Correction says what is right instead of what an entry says. It is an entry
// itself; the wrong one stays as it is, and no state changes.
type Correction struct {
	Seq    int64     `json:"seq"` // its own number
	Of     int64     `json:"of"`  // number of the wrong entry
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Right  string    `json:"right"`  // what is right
	Reason string    `json:"reason"` // how the mistake was noticed
}

// Correct appends a correction of an entry in the caller's transaction.
func Correct(ctx context.Context, tx *db.Tx, at time.Time, actor string, of int64, right, reason string) (Correction, error) {
	right, reason = strings.TrimSpace(right), strings.TrimSpace(reason)
	if right == "" || reason == "" || len(right) > maxCorrection || len(reason) > maxCorrection {
		return Correction{}, fmt.Errorf("a correction says what is right and why, each in up to %d bytes", maxCorrection)
	}
	size, err := entries(ctx, tx)
	if err != nil {
		return Correction{}, err
	}
	if of < 1 || of > size {
		return Correction{}, fmt.Errorf("entry %d of %d: %w", of, size, ErrNoEntry)
	}
	c := Correction{Of: of, At: db.Trim(at), Actor: actor, Right: right, Reason: reason}
	c.Seq, err = Append(ctx, tx, Entry{
		At: at, Actor: actor, Kind: CorrectedKind, Subject: correctedSubject(of), Reason: reason, Data: correctionData{of, right},
	})
	return c, err
}

type correctionData struct {
	Of    int64  `json:"of"`
	Right string `json:"right"`
}

func correctedSubject(of int64) string { return fmt.Sprintf("entry/%d", of) }

// AsCorrection reads a record that is a correction; ok is false for all others.
func AsCorrection(r Record) (c Correction, ok bool) {
	var d correctionData
	if r.Kind != CorrectedKind || json.Unmarshal(r.Data, &d) != nil || d.Of == 0 {
		return c, false
	}
	return Correction{Seq: r.Seq, Of: d.Of, At: r.At, Actor: r.Actor, Right: d.Right, Reason: r.Reason}, true
}

// Corrections returns the corrections of some entries, by the wrong entry's
// number, in the ledger's order.
func Corrections(ctx context.Context, q db.Querier, of ...int64) (map[int64][]Correction, error) {
	out := map[int64][]Correction{}
	const page = 500 // parameters of one statement
	for len(of) > 0 {
		n := min(page, len(of))
		args, places := make([]any, n), make([]string, n)
		for i, seq := range of[:n] {
			args[i], places[i] = correctedSubject(seq), fmt.Sprintf("$%d", i+1)
		}
		records, err := query(ctx, q, `select seq, body from ledger_entry where subject in (`+strings.Join(places, ", ")+`) order by seq`, args...)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if c, ok := AsCorrection(r); ok {
				out[c.Of] = append(out[c.Of], c)
			}
		}
		of = of[n:]
	}
	return out, nil
}

// Latest is the highest time among the newest entries: what the clock must not
// fall behind. It is the zero time while the ledger is empty.
func Latest(ctx context.Context, q db.Querier) (time.Time, error) {
	var at int64
	if err := q.QueryRow(ctx, `select coalesce(max(at), 0) from (select at from ledger_entry order by seq desc limit 1000) newest`).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("reading the ledger's newest time: %w", err)
	}
	return db.Time(at), nil
}
