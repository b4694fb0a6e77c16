package emergency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/pure/seal"
)

// batchRow is what of a batch is evidence; attempts, lease and the like are
// notes of whoever sends it.
type batchRow struct {
	placement, channel, state string
	items, made               int64
	receipt                   []byte
}

// batchSaid is what the ledger says about a batch.
type batchSaid struct {
	Batch   string `json:"batch"`
	Channel string `json:"channel"`
	Items   int64  `json:"items"`
	Sealed  string `json:"sealed"` // SHA-256 of the receipt as it is kept
	Results map[State]int
	made    int64
}

func batchProblem(id, what string) ledger.Problem {
	return ledger.Problem{Kind: "batch", Text: fmt.Sprintf("batch %q %s", id, what)}
}

// verifyBatches compares batches and their receipts with the ledger, and with
// the items that name them.
func verifyBatches(ctx context.Context, q db.Querier) ([]ledger.Problem, error) {
	said, state, err := batchesSaid(ctx, q)
	if err != nil {
		return nil, err
	}
	have := map[string]batchRow{}
	if _, err := db.Collect(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var id string
		var b batchRow
		err := r.Scan(&id, &b.placement, &b.channel, &b.state, &b.items, &b.made, &b.receipt)
		have[id] = b
		return struct{}{}, err
	}, `select id, placement, channel, state, items, made, receipt from journal_batch`); err != nil {
		return nil, fmt.Errorf("reading batches: %w", err)
	}
	var problems []ledger.Problem
	for id, s := range said {
		b, ok := have[id]
		sum := sha256.Sum256(b.receipt)
		switch {
		case !ok:
			problems = append(problems, batchProblem(id, "is missing"))
		case b.channel != s.Channel || b.items != s.Items || b.made != s.made || b.state != state[id]:
			problems = append(problems, batchProblem(id, "is not what was recorded"))
		case s.Sealed != "" && len(b.receipt) > 0 && hex.EncodeToString(sum[:]) != s.Sealed:
			problems = append(problems, batchProblem(id, "has another receipt than was recorded"))
		}
	}
	for id := range have {
		if _, ok := said[id]; !ok {
			problems = append(problems, batchProblem(id, "was never recorded"))
		}
	}
	strays, err := db.Collect(ctx, q, func(r *sql.Rows) (string, error) {
		var id string
		err := r.Scan(&id)
		return id, err
	}, `select distinct s.batch from journal_standing s left join journal_batch b on b.id = s.batch and b.placement = s.placement
		where s.batch <> '' and b.id is null`)
	if err != nil {
		return nil, fmt.Errorf("comparing items with their batches: %w", err)
	}
	for _, id := range strays {
		problems = append(problems, batchProblem(id, "does not fit the place of its items"))
	}
	return problems, nil
}

// batchesSaid reads what the ledger says about batches, and the state in which
// that leaves each.
func batchesSaid(ctx context.Context, q db.Querier) (said map[string]batchSaid, state map[string]string, err error) {
	said, state = map[string]batchSaid{}, map[string]string{}
	_, err = db.Collect(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var kind, body string
		if err := r.Scan(&kind, &body); err != nil {
			return struct{}{}, err
		}
		var e struct {
			At   time.Time `json:"at"`
			Data batchSaid `json:"data"`
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			return struct{}{}, nil //nolint:nilerr // the ledger's own check reports it
		}
		id := e.Data.Batch
		switch kind {
		case "batch.sent":
			e.Data.made = db.Micro(e.At)
			said[id], state[id] = e.Data, "sent"
		case "batch.recalled":
			state[id] = "recalled"
		case "batch.receipted":
			s := said[id]
			s.Sealed = e.Data.Sealed
			said[id], state[id] = s, "settled"
			if e.Data.Results[Receipted] > 0 {
				state[id] = "receipted"
			}
		}
		return struct{}{}, nil
	}, `select kind, body from ledger_entry where kind in ('batch.sent', 'batch.recalled', 'batch.receipted') order by seq`)
	if err != nil {
		return nil, nil, fmt.Errorf("reading what the ledger says about batches: %w", err)
	}
	return said, state, nil
}

// verifyNotes compares the receivers' remarks with the hashes in the ledger. One
// may be gone only with the body of its item.
func verifyNotes(ctx context.Context, q db.Querier) ([]ledger.Problem, error) {
	type key struct{ number, at int64 }
	have := map[key]string{}
	if _, err := db.Collect(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var k key
		var sealed []byte
		err := r.Scan(&k.number, &k.at, &sealed)
		sum := sha256.Sum256(sealed)
		have[k] = hex.EncodeToString(sum[:])
		return struct{}{}, err
	}, `select number, at, sealed from journal_note`); err != nil {
		return nil, fmt.Errorf("reading remarks: %w", err)
	}
	erased := map[int64]bool{}
	if _, err := db.Collect(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var n int64
		err := r.Scan(&n)
		erased[n] = true
		return struct{}{}, err
	}, `select number from journal_erased`); err != nil {
		return nil, fmt.Errorf("reading what was erased: %w", err)
	}
	wanted := map[key][]string{} // a receipt that came again has remarks of its own
	_, err := db.Collect(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var body string
		if err := r.Scan(&body); err != nil {
			return struct{}{}, err
		}
		var e struct {
			At   time.Time `json:"at"`
			Data struct {
				Notes map[string]string `json:"notes"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			return struct{}{}, nil //nolint:nilerr // the ledger's own check reports it
		}
		for number, want := range e.Data.Notes {
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				return struct{}{}, nil //nolint:nilerr // not one of ours
			}
			k := key{n, db.Micro(e.At)}
			wanted[k] = append(wanted[k], want)
		}
		return struct{}{}, nil
	}, `select body from ledger_entry where kind = 'batch.receipted' order by seq`)
	if err != nil {
		return nil, fmt.Errorf("reading what the ledger says about remarks: %w", err)
	}
	var problems []ledger.Problem
	for k, want := range wanted {
		if got, ok := have[k]; !slices.Contains(want, got) && (ok || !erased[k.number]) {
			problems = append(problems, ledger.Problem{Kind: "note", Text: fmt.Sprintf("the receiver's remark on item %d is missing or was altered", k.number)})
		}
	}
	return problems, nil
}

// verifyKeys compares the public keys with their names, which the ledger has.
func verifyKeys(ctx context.Context, q db.Querier) ([]ledger.Problem, error) {
	var problems []ledger.Problem
	_, err := db.Collect(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var id string
		var public []byte
		if err := r.Scan(&id, &public); err != nil {
			return struct{}{}, err
		}
		if k, err := seal.ParsePublicKey(public); err != nil || k.ID().String() != id {
			problems = append(problems, ledger.Problem{Kind: "key", Text: fmt.Sprintf("public key %q is not the one of that name", id)})
		}
		return struct{}{}, nil
	}, `select id, public from journal_key order by seq`)
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	return problems, nil
}
