package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"leitstand/base/db"

	"golang.org/x/mod/sumdb/tlog"
)

// Problem is one thing that is wrong with a ledger, with the entries it concerns.
type Problem struct {
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Kind string `json:"kind"` // altered, missing, reordered, cut_off, unsigned, head, row
	Text string `json:"text"`
}

// Report is the outcome of [Verify].
type Report struct {
	Entries  int64     `json:"entries"`
	Root     string    `json:"root"`
	Heads    int       `json:"heads"`
	Problems []Problem `json:"problems"`
	// Keys are the changes of the key that signs the heads, oldest first.
	Keys []Succession `json:"keys,omitempty"`
}

// verifier walks a ledger once.
type verifier struct {
	report Report
	hashes []tlog.Hash // recomputed tree, as tlog numbers it
	leaves map[tlog.Hash]int64
}

// Verify recomputes the whole tree from the entries' bodies and compares it with
// the stored hashes and with every signed head, those given from outside included.
// An error means that verifying itself was not possible.
func Verify(ctx context.Context, q db.Querier, public string, outside ...string) (Report, error) {
	v := &verifier{leaves: map[tlog.Hash]int64{}}
	leaves, err := storedLeaves(ctx, q)
	if err != nil {
		return Report{}, err
	}
	for seq, h := range leaves {
		v.leaves[h] = seq
	}
	if err := v.walk(ctx, q, leaves); err != nil {
		return Report{}, err
	}
	if err := v.checkTree(ctx, q); err != nil {
		return Report{}, err
	}
	heads, err := storedHeads(ctx, q)
	if err != nil {
		return Report{}, err
	}
	if err := v.checkHeadRows(ctx, q, public); err != nil {
		return Report{}, err
	}
	v.report.Heads = len(heads)
	keys, err := parseTrust(public)
	if err != nil {
		return Report{}, err
	}
	v.report.Keys = keys.successions
	v.checkHeads(heads, keys, "stored")
	v.checkHeads(outside, keys, "witnessed")
	return v.finished()
}

func (v *verifier) add(from, to int64, kind, format string, args ...any) {
	v.report.Problems = append(v.report.Problems, Problem{From: from, To: to, Kind: kind, Text: fmt.Sprintf(format, args...)})
}

func (v *verifier) size() int64 { return v.report.Entries }

// ReadHashes serves the recomputed tree.
func (v *verifier) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, idx := range indexes {
		if idx < 0 || idx >= int64(len(v.hashes)) {
			return nil, fmt.Errorf("ledger hash %d does not exist", idx)
		}
		out[i] = v.hashes[idx]
	}
	return out, nil
}

func (v *verifier) walk(ctx context.Context, q db.Querier, leaves map[int64]tlog.Hash) error {
	rows, err := q.Query(ctx, `select seq, at, actor, kind, subject, body from ledger_entry order by seq`)
	if err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	for rows.Next() {
		var seq int64
		var body string
		var c copied
		if err := rows.Scan(&seq, &c.at, &c.Actor, &c.Kind, &c.Subject, &body); err != nil {
			return fmt.Errorf("reading the ledger: %w", err)
		}
		if err := v.entry(seq, body, c, leaves); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (v *verifier) entry(seq int64, body string, c copied, leaves map[int64]tlog.Hash) error {
	if next := v.size() + 1; seq > next {
		v.add(next, seq-1, "missing", "entries %d to %d are missing", next, seq-1)
		for ; next < seq; next++ { // go on with what their hashes were
			if err := v.push(leaves[next]); err != nil {
				return err
			}
		}
	}
	h := tlog.RecordHash([]byte(body))
	if want, ok := leaves[seq]; !ok || want != h {
		v.altered(seq, body, h)
	} else if said := said(body); said.Seq != seq {
		v.add(seq, seq, "reordered", "entry %d carries number %d", seq, said.Seq)
	} else if said.copied() != c {
		v.add(seq, seq, "altered", "entry %d is not what was recorded: the columns by which it is found differ from it", seq)
	}
	return v.push(h)
}

func (v *verifier) altered(seq int64, body string, h tlog.Hash) {
	if was, ok := v.leaves[h]; ok && was != seq {
		v.add(seq, seq, "reordered", "entry %d is entry %d moved here", seq, was)
		return
	}
	if n := bodySeq(body); n != 0 && n != seq {
		v.add(seq, seq, "reordered", "entry %d carries number %d and is not what was recorded", seq, n)
		return
	}
	v.add(seq, seq, "altered", "entry %d is not what was recorded", seq)
}

func bodySeq(body string) int64 { return said(body).Seq }

func (v *verifier) push(leaf tlog.Hash) error {
	hs, err := tlog.StoredHashesForRecordHash(v.report.Entries, leaf, v)
	if err != nil {
		return fmt.Errorf("hashing ledger entry %d: %w", v.report.Entries+1, err)
	}
	v.hashes = append(v.hashes, hs...)
	v.report.Entries++
	return nil
}

// checkHeads compares signed heads, in order of size, with the recomputed tree.
// The first that differs narrows the fault to the entries since the one before.
func (v *verifier) checkHeads(texts []string, keys trust, which string) {
	var heads []Head
	for _, text := range texts {
		h, err := keys.head(text)
		if err != nil {
			v.add(0, 0, "head", "a %s head cannot be trusted: %v", which, err)
			continue
		}
		heads = append(heads, h)
	}
	slices.SortFunc(heads, func(a, b Head) int { return int(a.Size - b.Size) })
	good := int64(0)
	for _, h := range heads {
		if h.Size > v.size() {
			v.add(v.size()+1, h.Size, "cut_off", "entries %d to %d are cut off: the %s head of %s covers %d entries",
				v.size()+1, h.Size, which, h.At.Format("2006-01-02 15:04:05"), h.Size)
			return
		}
		root, err := tlog.TreeHash(h.Size, v)
		if err != nil || root != h.Root {
			v.add(good+1, h.Size, "altered", "something in entries %d to %d is not what the %s head of %s signed",
				good+1, h.Size, which, h.At.Format("2006-01-02 15:04:05"))
			return
		}
		good = h.Size
	}
	if which == "stored" && good < v.size() {
		v.add(good+1, v.size(), "unsigned", "entries %d to %d have no signed head", good+1, v.size())
	}
}

func storedLeaves(ctx context.Context, q db.Querier) (map[int64]tlog.Hash, error) {
	rows, err := q.Query(ctx, `select idx, hash from ledger_hash order by idx`)
	if err != nil {
		return nil, fmt.Errorf("reading ledger hashes: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	out := map[int64]tlog.Hash{}
	for rows.Next() {
		var idx int64
		var b []byte
		if err := rows.Scan(&idx, &b); err != nil {
			return nil, fmt.Errorf("reading ledger hashes: %w", err)
		}
		if level, n := tlog.SplitStoredHashIndex(idx); level == 0 {
			var h tlog.Hash
			copy(h[:], b)
			out[n+1] = h
		}
	}
	return out, rows.Err()
}

func storedHeads(ctx context.Context, q db.Querier) ([]string, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (text string, err error) {
		err = rows.Scan(&text)
		return text, err
	}, `select note from ledger_head order by size`)
	if err != nil {
		return nil, fmt.Errorf("reading ledger heads: %w", err)
	}
	return out, nil
}
