package emergency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// Counts is the book-keeping of rule 3. Duplicates are not accepted items: the
// item that they repeat stands for them.
type Counts struct {
	Taken      int64           `json:"taken"`       // everything that got a number
	Duplicates int64           `json:"duplicates"`  // of that, repetitions
	Accepted   int64           `json:"accepted"`    // Taken less Duplicates
	HandedOver int64           `json:"handed_over"` // applied or known by the receiver, with receipt
	Rejected   int64           `json:"rejected"`    // with reason and owner
	Open       int64           `json:"open"`
	Held       int64           `json:"held"`       // of Open
	Reconciled int64           `json:"reconciled"` // of HandedOver and Rejected
	Ownerless  int64           `json:"ownerless"`  // rejected or held without reason or owner: must be 0
	States     map[State]int64 `json:"states"`
	Amount     int64           `json:"amount"` // sum over accepted items, in cents
}

// ErrBooks says that the numbers do not add up (rule 3).
var ErrBooks = errors.New("accepted is not handed over + rejected + open (rule 3)")

// Check verifies rule 3.
func (c Counts) Check() error {
	if c.Accepted != c.HandedOver+c.Rejected+c.Open || c.Ownerless != 0 {
		return fmt.Errorf("accepted %d, handed over %d, rejected %d, open %d, without reason or owner %d: %w",
			c.Accepted, c.HandedOver, c.Rejected, c.Open, c.Ownerless, ErrBooks)
	}
	return nil
}

// Add gives the sum of two counts.
func (c Counts) Add(d Counts) Counts {
	states := make(map[State]int64, len(c.States)+len(d.States))
	for s, n := range c.States {
		states[s] += n
	}
	for s, n := range d.States {
		states[s] += n
	}
	return Counts{
		Taken: c.Taken + d.Taken, Duplicates: c.Duplicates + d.Duplicates, Accepted: c.Accepted + d.Accepted,
		HandedOver: c.HandedOver + d.HandedOver, Rejected: c.Rejected + d.Rejected, Open: c.Open + d.Open,
		Held: c.Held + d.Held, Reconciled: c.Reconciled + d.Reconciled, Ownerless: c.Ownerless + d.Ownerless,
		States: states, Amount: c.Amount + d.Amount,
	}
}

const countQuery = `select state, result, count(*), sum(amount), sum(case when reason = '' or owner = '' then 1 else 0 end)
	from journal_standing group by state, result`

// Counts counts the whole journal.
func (j *Journal) Counts(ctx context.Context) (Counts, error) {
	return count(ctx, j.store, countQuery)
}

// CountsOf counts what was accepted for one placement.
func (j *Journal) CountsOf(ctx context.Context, p catalogue.PlacementID) (Counts, error) {
	return countPlacement(ctx, j.store, p)
}

func countPlacement(ctx context.Context, q db.Querier, p catalogue.PlacementID) (Counts, error) {
	return count(ctx, q, `select state, result, count(*), sum(amount), sum(case when reason = '' or owner = '' then 1 else 0 end)
		from journal_standing where placement = $1 group by state, result`, string(p))
}

type tally struct {
	state, result     State
	n, amount, orphan int64
}

func count(ctx context.Context, q db.Querier, query string, args ...any) (Counts, error) {
	tallies, err := db.Collect(ctx, q, func(r *sql.Rows) (tally, error) {
		var t tally
		err := r.Scan(&t.state, &t.result, &t.n, &t.amount, &t.orphan)
		return t, err
	}, query, args...)
	if err != nil {
		return Counts{}, fmt.Errorf("counting items: %w", err)
	}
	c := Counts{States: map[State]int64{}}
	for _, t := range tallies {
		c.add(t)
	}
	return c, nil
}

func (c *Counts) add(t tally) {
	c.Taken += t.n
	c.States[t.state] += t.n
	if t.state == Duplicate {
		c.Duplicates += t.n
		return
	}
	c.Accepted += t.n
	c.Amount += t.amount
	outcome := t.state
	if t.state == Reconciled {
		c.Reconciled += t.n
		outcome = t.result
	}
	switch {
	case outcome == Applied || outcome == Known:
		c.HandedOver += t.n
	case outcome == Rejected:
		c.Rejected += t.n
		c.Ownerless += t.orphan
	case outcome.Open():
		c.Open += t.n
	}
	if t.state == Held {
		c.Held += t.n
		c.Ownerless += t.orphan
	}
}

// Overdue counts held items whose deadline has passed, and gives the earliest
// deadline of those that are not due yet (zero when there is none).
func (j *Journal) Overdue(ctx context.Context, now time.Time) (n int64, next time.Time, err error) {
	var us sql.NullInt64
	err = j.store.QueryRow(ctx, `select coalesce(sum(case when deadline <= $1 then 1 else 0 end), 0),
		min(case when deadline > $1 then deadline end) from journal_standing where state = 'held'`, db.Micro(now)).Scan(&n, &us)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("looking for overdue items: %w", err)
	}
	return n, db.Time(us.Int64), nil
}
