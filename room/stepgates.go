package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
)

// stepGate names what keeps a step from beginning besides other steps: what the
// rules of operation will refuse later is said now.
func (r *Room) stepGate(ctx context.Context, t recovery.Task) []string {
	cell := string(t.Kasse) + "/" + string(t.Service)
	switch t.Kind {
	case recovery.Probe, recovery.Join:
		return r.gateMisses(t.Subject)
	case recovery.Emergency:
		if err := r.listed(ctx, r.placesAt(t)); err != nil {
			return []string{"Prüfliste der Notumgebung: " + err.Error()}
		}
	case recovery.Test:
		if !r.cellIs(t, operation.Trial, operation.Running, operation.Limited) {
			return []string{"Probebetrieb von " + cell + ": leitstand state trial, zwei Personen"}
		}
	case recovery.Switch:
		if _, _, err := r.accepted(ctx, t.Kasse, t.Service); err != nil {
			return []string{"Abnahme: " + err.Error()}
		}
	case recovery.Secure, recovery.Examine, recovery.Build, recovery.Rotate, recovery.Observe, recovery.Backlog:
	}
	return nil
}

// gateMisses is what the gate still asks of a node itself: clearances and
// credentials. What it rests on are steps of their own.
func (r *Room) gateMisses(node string) []string {
	gaps, err := r.Operation.Current().Gaps([]string{node}, r.Now())
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for _, g := range gaps {
		switch g.Kind {
		case operation.GapClearance, operation.GapRotation, operation.GapFlag, operation.GapCatalogue:
			out = append(out, g.Text)
		case operation.GapDependency:
		}
	}
	return out
}

// stepLacks names what keeps a step from being called done: what the rules keep
// is done when they say so.
func (r *Room) stepLacks(ctx context.Context, v recovery.StepView, g *recovery.Ground) ([]string, error) {
	var out []string
	lack := func(missing bool, text string) {
		if missing {
			out = append(out, text)
		}
	}
	switch v.Kind {
	case recovery.Examine:
		_, missing := g.Situation.Uncleared[v.Subject]
		lack(missing, "Freigabe von "+v.Subject+" durch zwei Personen fehlt (leitstand clearance grant)")
	case recovery.Rotate:
		lack(g.Situation.Unrotated[v.Subject], "Nachweis der gewechselten Zugangsdaten von "+v.Subject+" fehlt (leitstand rotation prove)")
	case recovery.Emergency:
		lack(!r.emergencyOf(v.Task), "der Notbetrieb hat noch nicht begonnen")
	case recovery.Test:
		_, _, err := r.accepted(ctx, v.Kasse, v.Service)
		if f, refused := errors.AsType[*Failure](err); refused {
			lack(true, f.Text)
		} else if err != nil {
			return nil, err
		}
	case recovery.Observe:
		open, err := r.observedSignals(ctx, v)
		if err != nil {
			return nil, err
		}
		lack(len(open) > 0, fmt.Sprintf("über Signale der Frühwarnung ist nicht entschieden: %s", strings.Join(open, ", ")))
		lack(r.Now().Before(v.Until), "die Beobachtung dauert mindestens bis "+recovery.Clock(v.Until.In(Zone())))
	case recovery.Switch:
		lack(!r.cellIs(v.Task, operation.Running, operation.Limited), "die Rückführung ist noch nicht von beiden Seiten unterschrieben (leitstand handover)")
	case recovery.Join:
		p, ok := r.Operation.Current().Placement(catalogue.PlacementID(v.Subject))
		lack(!ok || p.Regular != operation.Running && p.Regular != operation.Limited, v.Subject+" ist noch nicht im Regelbetrieb")
	case recovery.Secure, recovery.Build, recovery.Probe, recovery.Backlog:
	}
	return out, nil
}

// placesAt are the placements that a step of a cell is about.
func (r *Room) placesAt(t recovery.Task) []catalogue.PlacementID {
	var out []catalogue.PlacementID
	for _, p := range r.Catalogue.PlacementsOf(t.Kasse, t.Service) {
		if p.Site == t.Site {
			out = append(out, p.ID)
		}
	}
	return out
}

// cellIs says whether the placement that a cell returns on first is in a state.
func (r *Room) cellIs(t recovery.Task, states ...operation.Regular) bool {
	for _, id := range r.placesAt(t) {
		p, ok := r.Operation.Current().Placement(id)
		for _, s := range states {
			if ok && p.Regular == s {
				return true
			}
		}
	}
	return false
}

func (r *Room) emergencyOf(t recovery.Task) bool {
	for _, id := range r.placesAt(t) {
		if p, ok := r.Operation.Current().Placement(id); ok && p.Emergency == operation.Active {
			return true
		}
	}
	return false
}

// observedSignals are those about the environments of an observation since it
// began that nobody has decided.
func (r *Room) observedSignals(ctx context.Context, v recovery.StepView) ([]string, error) {
	if v.StartedAt.IsZero() {
		return nil, nil
	}
	var out []string
	for _, id := range r.placesAt(v.Task) {
		p, _ := r.Catalogue.Placement(id)
		open, err := r.undecidedSignals(ctx, p.Environment, v.StartedAt)
		if err != nil {
			return nil, err
		}
		out = append(out, open...)
	}
	return out, nil
}

// watchedBy are the environments whose early warning an observation tightens.
func (r *Room) watchedBy(t recovery.Task) []catalogue.EnvironmentID {
	if t.Kind != recovery.Observe {
		return nil
	}
	var out []catalogue.EnvironmentID
	for _, id := range r.placesAt(t) {
		if p, ok := r.Catalogue.Placement(id); ok && !slices.Contains(out, p.Environment) {
			out = append(out, p.Environment)
		}
	}
	return out
}

// dueSteps notes that observations have lasted as long as was agreed, which end on
// a person's word, and obeys who held a step through another node.
func (r *Room) dueSteps(ctx context.Context, now time.Time) error {
	if err := r.steps.Heed(ctx); err != nil {
		return err
	}
	steps, err := recovery.Steps(ctx, r.Store)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(steps, func(s recovery.Step) bool {
		return s.State == recovery.StepStarted && !s.Until.IsZero() && !s.Passed && !now.Before(s.Until)
	}) {
		return nil
	}
	return r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, _, err := recovery.DueSteps(ctx, tx, now)
		return err
	})
}
