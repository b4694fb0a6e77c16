package emergency

import (
	"errors"
	"fmt"

	"leitstand/catalogue"
)

// BookState says whether a placement's part of the journal takes items.
type BookState string

// The states of a book. A draining one takes nothing and is handed over; it can
// still be opened again.
const (
	BookNew      BookState = ""
	BookOpen     BookState = "open"
	BookDraining BookState = "draining"
	BookClosed   BookState = "closed"
)

// Book is one placement's part of the journal: the emergency path's right to
// write for it. Epochs only grow; operation gives them out.
type Book struct {
	Placement catalogue.PlacementID `json:"placement"`
	State     BookState             `json:"state"`
	Epoch     int64                 `json:"epoch"`
}

// Errors a caller decides on.
var (
	ErrNotOpen  = errors.New("journal is not open (rule 2)")
	ErrEpoch    = errors.New("epoch is not the current one (rule 2)")
	ErrNotEmpty = errors.New("items are still open (rule 3)")
)

// open makes the book take items under the given epoch. Repeating it is harmless.
func (b Book) open(epoch int64) (Book, error) {
	switch b.State {
	case BookOpen, BookDraining:
		if epoch < b.Epoch {
			return b, b.refused("opening", epoch, ErrEpoch)
		}
	case BookNew, BookClosed:
		if epoch <= b.Epoch {
			return b, b.refused("opening", epoch, ErrEpoch)
		}
	default:
		return b, fmt.Errorf("journal of %s is in unknown state %q", b.Placement, b.State)
	}
	b.State, b.Epoch = BookOpen, epoch
	return b, nil
}

// drain makes the book take no more items.
func (b Book) drain(epoch int64) (Book, error) {
	if b.State != BookOpen && b.State != BookDraining {
		return b, b.refused("draining", epoch, ErrNotOpen)
	}
	if epoch != b.Epoch {
		return b, b.refused("draining", epoch, ErrEpoch)
	}
	b.State = BookDraining
	return b, nil
}

// close ends the book; it needs that nothing of it is open.
func (b Book) close(epoch int64, open int64) (Book, error) {
	if b.State == BookNew {
		return b, b.refused("closing", epoch, ErrNotOpen)
	}
	if epoch != b.Epoch {
		return b, b.refused("closing", epoch, ErrEpoch)
	}
	if open > 0 {
		return b, fmt.Errorf("closing the journal of %s: %d %w", b.Placement, open, ErrNotEmpty)
	}
	b.State = BookClosed
	return b, nil
}

// admits tells whether an item may be accepted.
func (b Book) admits(epoch int64) error {
	if b.State != BookOpen {
		return b.refused("accepting into", epoch, ErrNotOpen)
	}
	if epoch != b.Epoch {
		return b.refused("accepting into", epoch, ErrEpoch)
	}
	return nil
}

func (b Book) refused(act string, epoch int64, why error) error {
	state := b.State
	if state == BookNew {
		state = "new"
	}
	return fmt.Errorf("%s the journal of %s (%s, epoch %d) with epoch %d: %w", act, b.Placement, state, b.Epoch, epoch, why)
}
