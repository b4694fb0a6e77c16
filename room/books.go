package room

import (
	"context"
	"fmt"

	"leitstand/base/ledger"
	"leitstand/emergency"
	"leitstand/operation"
)

// bookkeeper lets operation open and close the journals: the two-store step of
// rule 2. Both sides are idempotent and compare epochs.
type bookkeeper struct{ js *emergency.Journals }

// Obey brings the book of a placement to what operation ordered.
func (b *bookkeeper) Obey(ctx context.Context, o operation.JournalOrder) (operation.Counts, error) {
	kasse, _, _, ok := o.Placement.Split()
	if !ok {
		return operation.Counts{}, fmt.Errorf("%q is no placement", o.Placement)
	}
	j, err := b.js.Open(ctx, kasse)
	if err != nil {
		return operation.Counts{}, err
	}
	switch o.State {
	case operation.JournalOpen:
		err = j.OpenBook(ctx, o.Placement, o.Epoch, o.At, ledger.System)
	case operation.JournalDraining:
		err = j.DrainBook(ctx, o.Placement, o.Epoch, o.At, ledger.System)
	case operation.JournalClosed:
		err = j.CloseBook(ctx, o.Placement, o.Epoch, o.At, ledger.System)
	case operation.JournalNone:
		err = fmt.Errorf("journal of %q: no state was ordered", o.Placement)
	}
	if err != nil {
		return operation.Counts{}, err
	}
	c, err := j.CountsOf(ctx, o.Placement)
	if err != nil {
		return operation.Counts{}, err
	}
	return toCounts(c, o.State, o.Epoch), nil
}

// toCounts are a journal's books in the words of operation.
func toCounts(c emergency.Counts, state operation.JournalState, epoch int64) operation.Counts {
	return operation.Counts{
		State: state, Epoch: epoch,
		Taken: c.Taken, Accepted: c.Accepted, HandedOver: c.HandedOver, Rejected: c.Rejected, Open: c.Open,
	}
}
