package room

import (
	"leitstand/emergency"
	"leitstand/operation"
)

// toCounts are a journal's books in the words of operation.
func toCounts(c emergency.Counts, state operation.JournalState, epoch int64) operation.Counts {
	return operation.Counts{
		State: state, Epoch: epoch,
		Taken: c.Taken, Accepted: c.Accepted, HandedOver: c.HandedOver, Rejected: c.Rejected, Open: c.Open,
	}
}
