package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"leitstand/base/db"

	"golang.org/x/mod/sumdb/tlog"
)

// copied are the columns of an entry that repeat its body, so that it is found.
type copied struct {
	at                   int64
	Actor, Kind, Subject string
}

// saying is what an entry says of itself.
type saying struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Kind    string    `json:"kind"`
	Subject string    `json:"subject"`
}

func (s saying) copied() copied { return copied{s.At.UnixMicro(), s.Actor, s.Kind, s.Subject} }

// said reads what an entry says of itself; a body that cannot be read has number
// 0, which is what the caller reports.
func said(body string) saying {
	var s saying
	if json.Unmarshal([]byte(body), &s) != nil {
		return saying{}
	}
	return s
}

// checkTree compares the stored hashes above the leaves, from which proofs and
// heads are made, with those recomputed. An altered entry is reported by itself:
// then the tree says nothing more.
func (v *verifier) checkTree(ctx context.Context, q db.Querier) error {
	if len(v.report.Problems) > 0 {
		return nil
	}
	rows, err := q.Query(ctx, `select idx, hash from ledger_hash order by idx`)
	if err != nil {
		return fmt.Errorf("reading ledger hashes: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	n := 0
	for ; rows.Next(); n++ {
		var idx int64
		var b []byte
		if err := rows.Scan(&idx, &b); err != nil {
			return fmt.Errorf("reading ledger hashes: %w", err)
		}
		if n >= len(v.hashes) {
			break // of entries that are cut off, which heads tell
		}
		if idx != int64(n) || string(b) != string(v.hashes[n][:]) {
			_, seq := tlog.SplitStoredHashIndex(idx)
			v.add(seq+1, seq+1, "altered", "stored hash %d is not that of the entries", idx)
			return nil
		}
	}
	if n < len(v.hashes) {
		v.add(0, 0, "missing", "%d of %d stored hashes are missing", len(v.hashes)-n, len(v.hashes))
	}
	return rows.Err()
}

// checkHeadRows compares the columns of stored heads with what was signed.
func (v *verifier) checkHeadRows(ctx context.Context, q db.Querier, public string) error {
	rows, err := q.Query(ctx, `select size, at, note from ledger_head order by size`)
	if err != nil {
		return fmt.Errorf("reading ledger heads: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	for rows.Next() {
		var size, at int64
		var text string
		if err := rows.Scan(&size, &at, &text); err != nil {
			return fmt.Errorf("reading ledger heads: %w", err)
		}
		h, err := ParseHead(text, public)
		if err == nil && (h.Size != size || h.At.UnixMicro()/1e6 != at/1e6) {
			v.add(size, size, "head", "the stored head of %d entries is kept as one of %d entries of %s", h.Size, size, db.Time(at).Format(time.RFC3339))
		}
	}
	return rows.Err()
}
