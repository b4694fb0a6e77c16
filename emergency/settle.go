package emergency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Settle takes a receipt that comes by itself: the second one of a receiver that
// kept a batch first and applied it later, or one from a stick. It needs an
// unlock: the receipt is checked against what was sent.
func (h *Handover) Settle(ctx context.Context, now time.Time, signed Signed) error {
	h.took = 0 // it came by itself

	r, err := ReadReceipt(h.Receiver, signed)
	if err != nil {
		return err
	}
	p, err := h.again(ctx, r.Batch)
	if err != nil {
		return err
	}
	return h.settle(ctx, now, r.Batch, hashes(p), signed)
}

// settle checks a receipt and takes over what it says, together with the receipt
// itself as evidence, sealed: its hashes could be guessed for small contents.
func (h *Handover) settle(ctx context.Context, now time.Time, batchID string, wanted map[string]string, signed Signed) error {
	r, err := ReadReceipt(h.Receiver, signed)
	if err != nil {
		return err
	}
	if err := r.fits(h.Journal.kasse, batchID, wanted); err != nil {
		return err
	}
	evidence, err := json.Marshal(signed)
	if err != nil {
		return fmt.Errorf("keeping the receipt of batch %s: %w", batchID, err)
	}
	sealed, err := h.Journal.Public().Seal(evidence, h.Journal.aad("receipt "+batchID))
	if err != nil {
		return fmt.Errorf("keeping the receipt of batch %s: %w", batchID, err)
	}
	notes := make([][]byte, len(r.Items)) // sealed here: in the transaction every writer would wait for it
	theirs := make([][]byte, len(r.Items))
	errs := make([]error, len(r.Items))
	inParallel(len(r.Items), func(i int) {
		it := r.Items[i]
		if it.Text != "" {
			notes[i], errs[i] = h.Journal.SealNote("note "+it.ID, []byte(it.Text))
		}
		if it.Theirs != nil && errs[i] == nil {
			theirs[i], errs[i] = h.sealVersion(it)
		}
	})
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sealing remarks of the receiver: %w", err)
	}
	return h.Journal.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		return h.settleTx(ctx, tx, now, r, remarks{notes, theirs}, sealed, sha256.Sum256(evidence))
	})
}

// remarks are what a receipt says beside the results, sealed, by its items.
type remarks struct{ notes, theirs [][]byte }

func (h *Handover) sealVersion(it ReceiptItem) ([]byte, error) {
	b, err := json.Marshal(it.Theirs)
	if err != nil {
		return nil, fmt.Errorf("keeping the regular system's version of item %s: %w", it.ID, err)
	}
	return h.Journal.SealNote("theirs "+it.ID, b)
}

func (h *Handover) settleTx(ctx context.Context, tx *db.Tx, now time.Time, r Receipt, said remarks, sealed []byte, digest [32]byte) error {
	numbers, settled, err := numbersOf(ctx, tx, r.Batch)
	if err != nil {
		return err
	}
	open := 0
	counts := map[State]int{}
	changes := make([]Change, 0, len(r.Items))
	var notes [][]any
	noted := map[string]string{} // hashes of remarks, by number
	var rows []ledger.Row
	for i, it := range r.Items {
		n := numbers[it.ID]
		counts[it.Result]++
		if it.Result == Receipted {
			open++
		}
		changes = append(changes, Change{Number: n, Apply: func(s Standing) (Standing, error) { return h.outcome(s, it) }})
		if said.notes[i] != nil {
			notes = append(notes, []any{int64(n), db.Micro(now), said.notes[i]})
			noted[strconv.FormatInt(int64(n), 10)] = hexSum(said.notes[i])
		}
		if said.theirs[i] != nil && !settled[it.ID] {
			row, err := putConflict(ctx, tx, n, now, said.theirs[i])
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
	}
	state, next := "settled", int64(0)
	if open > 0 {
		state, next = "receipted", db.Micro(now.Add(time.Minute))
	}
	if _, err := tx.Exec(ctx, `update journal_batch set state = $1, receipt = $2, error = '', lease = 0, next = $3, took = took + $4 where id = $5`,
		state, sealed, next, h.took.Microseconds(), r.Batch); err != nil {
		return fmt.Errorf("writing batch %s: %w", r.Batch, err)
	}
	if err := insertMany(ctx, tx, `insert into journal_note (number, at, sealed)`, notes, `on conflict (number, at) do nothing`); err != nil {
		return fmt.Errorf("keeping remarks of the receiver: %w", err)
	}
	return h.Journal.ApplyTx(ctx, tx, Entry{
		At: now, Actor: ledger.System, Kind: "batch.receipted",
		Data: map[string]any{
			"batch": r.Batch, "receiver": r.Receiver, "results": counts, "receipt": hex.EncodeToString(digest[:]),
			"sealed": hexSum(sealed), "notes": noted,
		},
		Rows: rows,
	}, changes...)
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// outcome applies what the receipt says about one item.
func (h *Handover) outcome(s Standing, it ReceiptItem) (Standing, error) {
	switch {
	case s.Result != "" && s.Result != it.Result:
		return s, fmt.Errorf("item %d was %s, now it is said to be %s: %w", s.Number, s.Result, it.Result, ErrReceipt)
	case s.Result != "":
		return s, nil // an earlier receipt of this batch said so
	case it.Result == Receipted && s.State == Receipted:
		return s, nil
	case it.Result == Receipted:
		return s.Receipt()
	}
	why := "vom Regelsystem abgewiesen: " + safeCode(it.Code)
	if it.Theirs != nil {
		why = "Konflikt: im Regelsystem geändert, bevor es abgetrennt wurde; beide Fassungen ansehen und entscheiden"
	}
	return s.Settle(it.Result, why, h.Owner)
}

// A code of the receiver goes into the ledger only if it cannot hold a name.
var shortCode = regexp.MustCompile(`^[A-Za-z]{0,12}[-_ ]?[0-9]{1,6}$|^[a-z_]{1,40}$`)

func safeCode(code string) string {
	if !shortCode.MatchString(code) {
		return "ohne Code"
	}
	return code
}

// numbersOf reads which items a batch has, by id, and which of them have an
// outcome already.
func numbersOf(ctx context.Context, q db.Querier, batchID string) (numbers map[string]Number, settled map[string]bool, err error) {
	numbers, settled = map[string]Number{}, map[string]bool{}
	_, err = db.Collect(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var id, result string
		var n Number
		err := r.Scan(&id, &n, &result)
		numbers[id] = n
		if result != "" {
			settled[id] = true
		}
		return struct{}{}, err
	}, `select i.id, i.number, s.result from journal_standing s join journal_item i on i.number = s.number where s.batch = $1`, batchID)
	if err != nil {
		return nil, nil, fmt.Errorf("reading batch %s: %w", batchID, err)
	}
	return numbers, settled, nil
}

// Reopen takes an item up again that was rejected, after what was wrong there is
// corrected. It leaves with the same id in another batch.
func (j *Journal) Reopen(ctx context.Context, at time.Time, actor, reason string, n Number) error {
	return j.Apply(ctx, Entry{At: at, Actor: actor, Kind: "item.reopened", Reason: reason},
		Change{Number: n, Apply: func(s Standing) (Standing, error) { return s.Reopen() }})
}
