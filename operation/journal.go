package operation

import (
	"context"
	"time"

	"leitstand/catalogue"
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
