package room

import (
	"context"
	"regexp"
	"slices"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/operation"
)

type correctArgs struct {
	Entry  int64  `json:"entry"`
	Right  string `json:"right"`
	Reason string `json:"reason"`
}

// insuredNumber is the shape of an insured person's number (KVNR). The ledger
// cannot forget, so none may enter it.
var insuredNumber = regexp.MustCompile(`\b[A-Z][0-9]{9}\b`)

// correctEntry puts beside a wrong entry, by name and with a reason, what is
// right. The entry stays visible and no state changes: a wrong state is changed
// by the act that is meant for it.
func correctEntry(ctx context.Context, r *Room, as access.Person, a correctArgs) (ledger.Correction, error) {
	if insuredNumber.MatchString(a.Right) || insuredNumber.MatchString(a.Reason) {
		return ledger.Correction{}, &Failure{Rule: int(operation.RuleOnRecord), Text: "Das Buch vergisst nichts: Versichertennummern dürfen nicht hinein. Bitte ohne sie schreiben."}
	}
	if a.Entry > 0 {
		found, err := ledger.Read(ctx, r.Store, a.Entry-1, 1)
		if err != nil {
			return ledger.Correction{}, err
		}
		if len(found) > 0 && found[0].Actor != as.ID && !as.Has(access.CrisisLead) {
			return ledger.Correction{}, &Failure{Rule: int(operation.RuleOnRecord), Text: "Einen Eintrag berichtigt, von wem er ist, oder die Leitung des Stabs."}
		}
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (ledger.Correction, error) {
		return ledger.Correct(ctx, tx, now, as.ID, a.Entry, a.Right, a.Reason)
	})
}

// EntryView is an entry of the ledger with everything that corrects it.
type EntryView struct {
	ledger.Record
	Corrections []ledger.Correction `json:"corrections,omitempty"`
	// Back says that the clock showed an earlier time than for the entry before.
	Back bool `json:"clock_back,omitempty"`
}

type entriesArgs struct {
	Below int64 `json:"below,omitempty"` // entries with lower numbers; 0: the newest
	Limit int   `json:"limit,omitempty"` // default 50, at most 1000
}

// listEntries reads the ledger in its order, oldest first.
func listEntries(ctx context.Context, r *Room, a entriesArgs) ([]EntryView, error) {
	if a.Limit <= 0 || a.Limit > 1000 {
		a.Limit = 50
	}
	h, ok, err := ledger.Newest(ctx, r.Store, r.Public())
	if err != nil || !ok {
		return []EntryView{}, err
	}
	if a.Below <= 0 || a.Below > h.Size {
		a.Below = h.Size + 1
	}
	return r.Entries(ctx, max(0, a.Below-1-int64(a.Limit)), int(min(int64(a.Limit), a.Below-1)))
}

// Entries returns up to limit entries with numbers above after, in the ledger's
// order, each with its corrections.
func (r *Room) Entries(ctx context.Context, after int64, limit int) ([]EntryView, error) {
	from := max(0, after-1) // one more, to see whether the clock ran back
	records, err := ledger.Read(ctx, r.Store, from, limit+int(after-from))
	if err != nil {
		return nil, err
	}
	of := make([]int64, len(records))
	for i, rec := range records {
		of[i] = rec.Seq
	}
	corrections, err := ledger.Corrections(ctx, r.Store, of...)
	if err != nil {
		return nil, err
	}
	out := make([]EntryView, len(records))
	for i, rec := range records {
		out[i] = EntryView{Record: rec, Corrections: corrections[rec.Seq], Back: i > 0 && rec.At.Before(records[i-1].At.Add(-clockSlack))}
	}
	return slices.DeleteFunc(out, func(e EntryView) bool { return e.Seq <= after }), nil
}
