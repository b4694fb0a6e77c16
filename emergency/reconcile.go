package emergency

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"leitstand/base/db"
)

// Outcome is what a comparison brought.
type Outcome struct {
	Agrees      bool         `json:"agrees"`
	Comparison  Comparison   `json:"comparison"`
	Signed      Signed       `json:"signed"`                // by the receiver, over both sides
	Differences []Difference `json:"differences,omitempty"` // when they do not agree
}

// ErrStillOpen says that comparing comes after handing over.
var ErrStillOpen = errors.New("items are not handed over yet")

// Reconcile compares both sides' books of a placement: counts, sums and hash
// totals by kind and result. When they agree, every item becomes reconciled and
// the receiver's signature over both sides is kept; when not, nothing changes
// and the differences are listed one by one. It needs an unlock: what we handed
// over is read from the receipts, which are sealed.
func (h *Handover) Reconcile(ctx context.Context, now time.Time, actor string) (Outcome, error) {
	c, err := h.Journal.CountsOf(ctx, h.Placement)
	if err != nil {
		return Outcome{}, err
	}
	if c.Open > 0 {
		return Outcome{}, fmt.Errorf("comparing %s: %d %w", h.Placement, c.Open, ErrStillOpen)
	}
	if n, err := h.Journal.undecided(ctx, h.Placement); err != nil || n > 0 {
		if err == nil {
			err = fmt.Errorf("comparing %s: %d %w", h.Placement, n, ErrConflicts)
		}
		return Outcome{}, err
	}
	ours, err := h.entries(ctx)
	if err != nil {
		return Outcome{}, err
	}
	head, _, err := h.Journal.Head(ctx)
	if err != nil {
		return Outcome{}, err
	}
	sent, err := h.question(ctx, Comparison{Version: WireVersion, Kasse: h.Journal.kasse, Placement: h.Placement, Head: head.Note, Ours: Sum(ours)})
	if err != nil {
		return Outcome{}, err
	}
	signed, err := h.Channel.Compare(ctx, sent)
	if err != nil {
		return Outcome{}, fmt.Errorf("comparing %s: %w", h.Placement, err)
	}
	got, err := readComparison(h.Receiver, signed, sent)
	if err != nil {
		return Outcome{}, fmt.Errorf("comparing %s: %w", h.Placement, err)
	}
	out := Outcome{Agrees: got.Agrees(), Comparison: got, Signed: signed}
	if !out.Agrees {
		if out.Differences, err = h.differences(ctx, ours, sent.Nonce); err != nil {
			return out, err
		}
		return out, h.answered(ctx)
	}
	if err := h.markReconciled(ctx, now, actor, signed); err != nil {
		return out, err
	}
	return out, h.answered(ctx)
}

// question gives a comparison its nonce. One that is on its way and asks the
// same is asked once more, so that a slow channel finds its answer.
func (h *Handover) question(ctx context.Context, c Comparison) (Comparison, error) {
	var kept []byte
	err := h.Journal.store.QueryRow(ctx, `select question from journal_asked where placement = $1`, string(h.Placement)).Scan(&kept)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return c, fmt.Errorf("reading the last question about %s: %w", h.Placement, err)
	}
	var last Comparison
	if err == nil && json.Unmarshal(kept, &last) == nil && slices.Equal(last.Ours, c.Ours) {
		return last, nil
	}
	c.Nonce = rand.Text()
	b, err := json.Marshal(c)
	if err != nil {
		return c, fmt.Errorf("encoding a comparison of %s: %w", h.Placement, err)
	}
	err = h.Journal.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `insert into journal_asked (placement, question) values ($1, $2)
			on conflict (placement) do update set question = excluded.question`, string(h.Placement), b)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("keeping the question about %s: %w", h.Placement, err)
	}
	return c, nil
}

// answered forgets the question: the next comparison asks anew.
func (h *Handover) answered(ctx context.Context) error {
	return h.Journal.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `delete from journal_asked where placement = $1`, string(h.Placement))
		return err
	})
}

// entries reads what was handed over from the receipts. Items that we rejected
// ourselves never left and are not compared.
func (h *Handover) entries(ctx context.Context) ([]ListEntry, error) {
	opener, err := h.Journal.Opener(ctx)
	if err != nil {
		return nil, err
	}
	said, err := h.receipts(ctx, opener)
	if err != nil {
		return nil, err
	}
	return db.Collect(ctx, h.Journal.store, func(r *sql.Rows) (ListEntry, error) {
		var e ListEntry
		if err := r.Scan(&e.ID, &e.Kind, &e.Result, &e.Amount); err != nil {
			return e, err
		}
		it, ok := said[e.ID]
		if !ok || it.Result != e.Result {
			return e, fmt.Errorf("item %s is %s, its receipt says %q: %w", e.ID, e.Result, it.Result, ErrReceipt)
		}
		e.SHA256 = it.SHA256
		return e, nil
	}, `select i.id, s.kind, s.result, s.amount from journal_standing s join journal_item i on i.number = s.number
		where s.placement = $1 and s.batch <> '' and s.result <> ''`, string(h.Placement))
}

// receipts opens all receipts of the placement and checks their signatures again.
func (h *Handover) receipts(ctx context.Context, opener Opener) (map[string]ReceiptItem, error) {
	type kept struct {
		id     string
		sealed []byte
	}
	receipts, err := db.Collect(ctx, h.Journal.store, func(r *sql.Rows) (kept, error) {
		var k kept
		err := r.Scan(&k.id, &k.sealed)
		return k, err
	}, `select id, receipt from journal_batch where placement = $1 and state = 'settled' order by made`, string(h.Placement))
	if err != nil {
		return nil, fmt.Errorf("reading receipts: %w", err)
	}
	said := map[string]ReceiptItem{}
	for _, k := range receipts {
		plain, err := opener.Open(k.sealed, h.Journal.aad("receipt "+k.id))
		if err != nil {
			return nil, fmt.Errorf("opening the receipt of batch %s: %w", k.id, err)
		}
		var s Signed
		if err := json.Unmarshal(plain, &s); err != nil {
			return nil, fmt.Errorf("reading the receipt of batch %s: %w", k.id, err)
		}
		r, err := ReadReceipt(h.Receiver, s)
		if err != nil {
			return nil, fmt.Errorf("receipt of batch %s: %w", k.id, err)
		}
		for _, it := range r.Items {
			said[it.ID] = it
		}
	}
	return said, nil
}

// differences asks for the receiver's entries bucket by bucket.
func (h *Handover) differences(ctx context.Context, ours []ListEntry, nonce string) ([]Difference, error) {
	if _, ok := h.Channel.(Whole); ok {
		theirs, err := h.Channel.List(ctx, ListQuery{Kasse: h.Journal.kasse, Placement: h.Placement, Nonce: nonce})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", h.Placement, err)
		}
		return Differences(ours, theirs), nil
	}
	buckets := map[string][]ListEntry{}
	for _, e := range ours {
		buckets[e.ID[:2]] = append(buckets[e.ID[:2]], e)
	}
	var out []Difference
	for i := range 256 {
		bucket := fmt.Sprintf("%02x", i)
		theirs, err := h.Channel.List(ctx, ListQuery{Kasse: h.Journal.kasse, Placement: h.Placement, Bucket: bucket, Nonce: nonce})
		if err != nil {
			return nil, fmt.Errorf("listing bucket %s of %s: %w", bucket, h.Placement, err)
		}
		out = append(out, Differences(buckets[bucket], theirs)...)
	}
	return out, nil
}

// markReconciled goes in steps, each a transaction: it can be repeated.
func (h *Handover) markReconciled(ctx context.Context, now time.Time, actor string, signed Signed) error {
	// All at once, 8 bytes each: asking for the next thousand at every step would sort
	// all that are left each time.
	numbers, err := db.Collect(ctx, h.Journal.store, func(r *sql.Rows) (Number, error) {
		var n Number
		err := r.Scan(&n)
		return n, err
	}, `select number from journal_standing where placement = $1 and state in ('applied', 'known', 'rejected') order by number`, string(h.Placement))
	if err != nil {
		return fmt.Errorf("reading what %s has to reconcile: %w", h.Placement, err)
	}
	const perStep = 1000
	e := Entry{At: now, Actor: actor, Kind: "journal.reconciled", Data: signed} // also where nothing is left to mark
	for first := true; first || len(numbers) > 0; first = false {
		step := numbers[:min(perStep, len(numbers))]
		numbers = numbers[len(step):]
		changes := make([]Change, len(step))
		for i, n := range step {
			changes[i] = Change{Number: n, Apply: func(s Standing) (Standing, error) { return s.Reconcile() }}
		}
		if err := h.Journal.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			return h.Journal.ApplyTx(ctx, tx, e, changes...)
		}); err != nil {
			return fmt.Errorf("marking %s as reconciled: %w", h.Placement, err)
		}
		e = Entry{At: now, Actor: actor, Kind: "item.reconciled"}
	}
	return nil
}
