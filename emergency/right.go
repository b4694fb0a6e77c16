package emergency

import (
	"context"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// Right is the right to write for a placement, as the door stood at which a
// request began. Doors move on while requests are under way: whoever writes asks
// again, in the transaction of the write.
type Right struct {
	Placement catalogue.PlacementID
	Epoch     int64
}

// Fence refuses, in a transaction of the journal's store, to write under a right
// that is not the present one: ErrNotOpen when the placement's book takes nothing,
// ErrEpoch when it is open under another epoch. A transaction that went on could
// be that of a second writer.
func (j *Journal) Fence(ctx context.Context, tx *db.Tx, r Right) error {
	book, err := readBook(ctx, tx, r.Placement)
	if err != nil {
		return err
	}
	return book.admits(r.Epoch)
}
