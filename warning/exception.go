package warning

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Exception keeps known harmless events from raising a signal: for one rule, for
// events that a selection describes, for a reason, until a day.
type Exception struct {
	ID        string    `json:"id"`
	Rule      string    `json:"rule"`
	Selection string    `json:"selection"` // a Sigma selection: YAML map of field tests
	Reason    string    `json:"reason"`
	By        string    `json:"by"`
	At        time.Time `json:"at"`
	Until     time.Time `json:"until"`
	EndedBy   string    `json:"ended_by,omitempty"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Checked   string    `json:"checked"` // against how many must-match cases it was tested
	Hits      int64     `json:"hits"`    // what it kept from raising a signal
	LastHit   time.Time `json:"last_hit,omitzero"`
}

// row leaves out how often it was used.
func (x Exception) row() ledger.Row {
	return ledger.Row{Table: "exception", Key: x.ID, Value: map[string]any{
		"rule": x.Rule, "selection": x.Selection, "reason": x.Reason, "by": x.By, "at": db.Micro(x.At), "until": db.Micro(x.Until),
		"ended_by": x.EndedBy, "ended_at": db.Micro(x.EndedAt), "checked": x.Checked,
	}}
}

// Exceptions are all, newest first.
func Exceptions(ctx context.Context, q db.Querier) ([]Exception, error) {
	return exceptions(ctx, q, `order by at desc, id`)
}

func exceptions(ctx context.Context, q db.Querier, rest string, args ...any) ([]Exception, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (x Exception, err error) {
		var at, until, ended, last int64
		err = rows.Scan(&x.ID, &x.Rule, &x.Selection, &x.Reason, &x.By, &at, &until, &x.EndedBy, &ended, &x.Checked, &x.Hits, &last)
		x.At, x.Until, x.EndedAt, x.LastHit = db.Time(at), db.Time(until), db.Time(ended), db.Time(last)
		return x, err
	}, `select id, rule, selection, reason, by_person, at, until, ended_by, ended_at, checked, hits, last_hit from exception `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading exceptions: %w", err)
	}
	return out, nil
}
