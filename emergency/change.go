package emergency

import (
	"context"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Change is one transition of one item: a method of [Standing] with its arguments.
type Change struct {
	Number Number
	Apply  func(Standing) (Standing, error)
}

// Entry is what the ledger says about a change.
type Entry struct {
	At     time.Time
	Actor  string
	Kind   string // noun.participle
	Reason string
	Data   any
	Rows   []ledger.Row // rows of the calling service that changed with it
}

// Apply carries changes out, all or none, with one ledger entry.
func (j *Journal) Apply(ctx context.Context, e Entry, changes ...Change) error {
	return j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		return j.ApplyTx(ctx, tx, e, changes...)
	})
}

// ApplyTx is Apply in a transaction of the journal's store.
func (j *Journal) ApplyTx(ctx context.Context, tx *db.Tx, e Entry, changes ...Change) error {
	numbers := make([]Number, len(changes))
	for i, c := range changes {
		numbers[i] = c.Number
	}
	found, err := loadStandings(ctx, tx, numbers)
	if err != nil {
		return err
	}
	standings, was := make(map[Number]Standing, len(found)), make(map[Number]Standing, len(found))
	for _, s := range found {
		standings[s.Number], was[s.Number] = s, s
	}
	position, err := lastPosition(ctx, tx)
	if err != nil {
		return fmt.Errorf("reading the journal's last position: %w", err)
	}
	changed := make([]Standing, 0, len(changes))
	rows := make([]ledger.Row, 0, len(changes)+len(e.Rows))
	for _, c := range changes {
		s, ok := standings[c.Number]
		if !ok {
			return fmt.Errorf("item %s: %w", c.Number.Label(j.kasse), ErrNoItem)
		}
		next, err := c.Apply(s)
		if err != nil {
			return err
		}
		if next.Position == 0 && (next.State == Pending || next.State == Held) {
			position++
			next.Position = position
		}
		next.Deadline = db.Trim(next.Deadline)
		switch {
		case next.Result == "":
			next.Settled = time.Time{}
		case s.Result == "":
			next.Settled = db.Trim(e.At)
		}
		standings[c.Number] = next
		changed = append(changed, next)
		rows = append(rows, next.row())
	}
	if err := updateStandings(ctx, tx, was, lastOfEach(changed)); err != nil {
		return fmt.Errorf("storing the state of items: %w", err)
	}
	subject := ""
	if len(changes) == 1 {
		subject = changes[0].Number.Label(j.kasse)
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: e.At, Actor: e.Actor, Kind: e.Kind, Subject: subject, Reason: e.Reason, Data: e.Data, Rows: append(rows, e.Rows...),
	})
	return err
}

// lastOfEach keeps the last standing of every number: one statement may not
// write a row twice.
func lastOfEach(standings []Standing) []Standing {
	at := make(map[Number]int, len(standings))
	out := make([]Standing, 0, len(standings))
	for _, s := range standings {
		if i, ok := at[s.Number]; ok {
			out[i] = s
			continue
		}
		at[s.Number] = len(out)
		out = append(out, s)
	}
	return out
}
