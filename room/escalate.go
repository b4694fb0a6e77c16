package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"leitstand/base/db"
	"leitstand/operation"
	"leitstand/warning"
)

// The rules of signals about decisions that are overdue.
const (
	ruleUnconfirmed = "cut.unconfirmed"
	ruleMustGoDown  = "flag.overdue"
)

// tellEscalated raises a signal for every cut that one person made and nobody has
// confirmed in time, and for every revoked clearance on which something still
// rests after T: people are told and decide. Each is told once; the cut stays and
// nothing is reconnected. Repeating the call changes nothing, so that a crash
// after the tick loses no escalation.
func (r *Room) tellEscalated(ctx context.Context, now time.Time) error {
	overdue := overdueDecisions(r.Operation.Current())
	if len(overdue) == 0 {
		return nil
	}
	known, err := warning.List(ctx, r.Store)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range overdue {
		if slices.ContainsFunc(known, func(k warning.Signal) bool { return k.Rule == s.Rule && k.Group == s.Group }) {
			continue
		}
		errs = append(errs, r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := warning.Raise(ctx, tx, now, s, s.Title)
			return err
		}))
	}
	return errors.Join(errs...)
}

// overdueDecisions are the signals that a state asks for, one for each measure and
// each clearance.
func overdueDecisions(s *operation.State) []warning.Signal {
	var out []warning.Signal
	n := map[[2]string]int{}
	add := func(rule, group, title string, t operation.Track, p *operation.Placement) {
		key := [2]string{rule, group}
		if n[key]++; n[key] > 1 {
			return
		}
		v := warning.Signal{Rule: rule, RuleVersion: "1", Title: title, Level: "high", Author: "Leitstand", Group: group, Owner: defaultOwner}
		if t.Owner != "" {
			v.Owner = t.Owner
		}
		if p != nil {
			v.Environment = p.Environment
		}
		out = append(out, v)
	}
	look := func(t operation.Track, p *operation.Placement) {
		if c := t.Cut; c != nil && c.Escalated {
			add(ruleUnconfirmed, c.Measure, fmt.Sprintf("Abtrennung %s wartet noch auf die zweite Person; sie bleibt bestehen", c.Measure), t, p)
		}
		if f := t.Flag; f != nil && f.Escalated {
			add(ruleMustGoDown, f.Clearance, fmt.Sprintf("Freigabe %s ist widerrufen, und nach Fristende ist nicht entschieden, was auf ihr beruht", f.Clearance), t, p)
		}
	}
	for _, p := range s.Placements() {
		look(p.Track, p)
	}
	for _, c := range s.Components() {
		look(c.Track, nil)
	}
	return out
}
