package room

import (
	"cmp"
	"context"
	"sync"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency/sicknote"
	"leitstand/operation"
	"leitstand/warning"
)

const (
	probeTimeout = 15 * time.Second
	probesAtOnce = 8
)

// probeAll tries all mailboxes, several at a time so that a dead network costs
// seconds: whatever their doors say, nothing is stored and nothing deleted.
func (r *Room) probeAll(ctx context.Context) []sicknote.Probe {
	out := make([]sicknote.Probe, len(r.mailboxes))
	var wg sync.WaitGroup
	turn := make(chan struct{}, probesAtOnce)
	for i, address := range r.mailboxes {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			p, err := r.Intake.Probe(ctx, address, r.Now())
			if err != nil {
				p.Problem = err.Error()
			}
			out[i] = p
		})
	}
	wg.Wait()
	return out
}

// testRule is the rule of test alarms.
const testRule = "leitstand.test"

type alarmArgs struct {
	Note string `json:"note,omitempty"` // such as: first shift
}

// testAlarm raises a signal that everybody sees as a test, so that the way from
// an alarm to a person is tried before it is needed.
func testAlarm(ctx context.Context, r *Room, as access.Person, a alarmArgs) (warning.Signal, error) {
	if !as.Has(access.CrisisLead) && !as.Has(access.Operator) {
		return warning.Signal{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Probealarme lösen Betrieb oder Leitung des Stabs aus."}
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (warning.Signal, error) {
		return warning.Raise(ctx, tx, now, warning.Signal{
			Rule: testRule, RuleVersion: "1", Title: "PROBEALARM – bitte quittieren", Level: "high", Author: "Leitstand", Host: "Probe", Owner: as.ID,
		}, cmp.Or(a.Note, "ausgelöst von "+as.ID))
	})
}

// lastTestAlarm is when a test alarm was last raised and whether somebody answered it.
func (r *Room) lastTestAlarm(ctx context.Context) (at time.Time, answered bool, err error) {
	all, err := warning.List(ctx, r.Store)
	for _, s := range all {
		if s.Rule == testRule && s.Last.After(at) {
			at, answered = s.Last, s.State != warning.Open
		}
	}
	return at, answered, err
}

// lastAbout is the newest entry about a subject, false when there is none.
func (r *Room) lastAbout(ctx context.Context, subject string) (ledger.Record, bool, error) {
	last, err := ledger.About(ctx, r.Store, subject, 1)
	if err != nil || len(last) == 0 {
		return ledger.Record{}, false, err
	}
	return last[0], true, nil
}
