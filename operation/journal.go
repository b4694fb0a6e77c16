package operation

import (
	"context"
	"fmt"
	"time"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// JournalOrder is what the journal of a placement is to do.
type JournalOrder struct {
	Placement catalogue.PlacementID `json:"placement"`
	State     JournalState          `json:"state"` // JournalOpen, JournalDraining or JournalClosed
	Epoch     int64                 `json:"epoch"`
	At        time.Time             `json:"at"`
}

// Journal is what operation needs of the emergency path. Obey brings the journal
// of a placement to the state and epoch ordered and returns its books afterwards.
// It is idempotent: repeating an order that was obeyed changes nothing. It refuses
// a lower epoch than it has, and closing while something is open.
type Journal interface {
	Obey(ctx context.Context, o JournalOrder) (Counts, error)
}

// FromEmergency lets the journals of package emergency obey operation.
func FromEmergency(journals *emergency.Journals) Journal { return books{journals} }

type books struct{ journals *emergency.Journals }

// Obey implements [Journal].
func (b books) Obey(ctx context.Context, o JournalOrder) (Counts, error) {
	kasse, _, _, ok := o.Placement.Split()
	if !ok {
		return Counts{}, fmt.Errorf("placement %q is no placement id", o.Placement)
	}
	j, err := b.journals.Open(ctx, kasse)
	if err != nil {
		return Counts{}, err
	}
	book, err := j.Book(ctx, o.Placement)
	if err != nil {
		return Counts{}, err
	}
	switch {
	case string(book.State) == string(o.State) && book.Epoch == o.Epoch: // obeyed already: no entry in its ledger
	case o.State == JournalOpen:
		err = j.OpenBook(ctx, o.Placement, o.Epoch, o.At, ledger.System)
	case o.State == JournalDraining && book.State == emergency.BookClosed && book.Epoch == o.Epoch: // more than asked for
	case o.State == JournalDraining:
		err = j.DrainBook(ctx, o.Placement, o.Epoch, o.At, ledger.System)
	case o.State == JournalClosed:
		err = j.CloseBook(ctx, o.Placement, o.Epoch, o.At, ledger.System)
	default:
		err = fmt.Errorf("journal order %q for %s is none", o.State, o.Placement)
	}
	if err != nil {
		return Counts{}, err
	}
	if book, err = j.Book(ctx, o.Placement); err != nil {
		return Counts{}, err
	}
	c, err := j.CountsOf(ctx, o.Placement)
	if err != nil {
		return Counts{}, err
	}
	return Counts{
		State: JournalState(book.State), Epoch: book.Epoch, Taken: c.Taken, Accepted: c.Accepted,
		HandedOver: c.HandedOver, Rejected: c.Rejected, Open: c.Open,
	}, nil
}
