package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

func (Step) docKind() string { return "step" }

func (s Step) docID() string { return s.ID }

// Steps reads every step that somebody has touched, oldest first.
func Steps(ctx context.Context, q db.Querier) ([]Step, error) { return readDocs[Step](ctx, q) }

// StepOf reads the step of a task; one that nobody has touched is new.
func StepOf(ctx context.Context, q db.Querier, t Task) (Step, error) {
	s, err := readDoc[Step](ctx, q, t.ID)
	if errors.Is(err, ErrNoDoc) {
		return NewStep(t), nil
	}
	return s, err
}

// PutStep stores a step with what the plan is to know about it, and the one
// ledger entry of both.
func PutStep(ctx context.Context, tx *db.Tx, now time.Time, actor, kind string, s Step) error {
	var rows []ledger.Row
	if r, ok := s.report(); ok {
		by := actor
		if actor == ledger.System && len(s.By) > 0 {
			by = s.By[0] // on whose word the driver acted
		}
		reports := []Report{r}
		var err error
		if rows, err = putReports(ctx, tx, now, by, reports); err != nil {
			return err
		}
		if reports[0].Known.After(s.At) {
			s.At = reports[0].Known // the step is never older than what it reported
		}
	}
	row, err := putDoc(ctx, tx, now, s)
	if err != nil {
		return err
	}
	rows = append(rows, row)
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: actor, Kind: kind, Subject: s.ID, Reason: s.Reason, Rows: rows,
		Data: map[string]any{"state": s.State, "round": s.Round, "act": s.Act, "driver": s.Driver, "by": s.By},
	})
	return err
}

// Watched says which environments are under observation, each with the step that
// observes it: from its beginning until a person's word ends, stops or fails it.
func Watched(ctx context.Context, q db.Querier) (map[catalogue.EnvironmentID]string, error) {
	all, err := Steps(ctx, q)
	if err != nil {
		return nil, err
	}
	out := map[catalogue.EnvironmentID]string{}
	for _, s := range all {
		if s.State != StepStarted {
			continue
		}
		for _, e := range s.Watched {
			out[e] = s.ID
		}
	}
	return out, nil
}

// DueSteps tells that observations have lasted as long as was agreed: a note in
// the ledger, nothing else. They end on a person's word. It returns when the
// next one will have lasted; zero when none is under way.
func DueSteps(ctx context.Context, tx *db.Tx, now time.Time) (next time.Time, told []Step, err error) {
	all, err := Steps(ctx, tx)
	if err != nil {
		return next, nil, err
	}
	for _, s := range all {
		if s.State != StepStarted || s.Until.IsZero() || s.Passed {
			continue
		}
		if now.Before(s.Until) {
			if next.IsZero() || s.Until.Before(next) {
				next = s.Until
			}
			continue
		}
		s.Passed = true
		row, err := putDoc(ctx, tx, now, s)
		if err != nil {
			return next, told, err
		}
		if _, err := ledger.Append(ctx, tx, ledger.Entry{
			At: now, Actor: ledger.System, Kind: "step.observed", Subject: s.ID, Rows: []ledger.Row{row},
			Data: map[string]any{"until": db.Micro(s.Until)},
		}); err != nil {
			return next, told, fmt.Errorf("noting that %q has lasted: %w", s.ID, err)
		}
		told = append(told, s)
	}
	return next, told, nil
}
