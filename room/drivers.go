package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
	"leitstand/warning"
)

// driverSet is the executor of a room, made when it is first needed.
type driverSet struct {
	mu sync.Mutex
	x  *containment.Executor
}

// Errors of rooms whose drivers do not act.
var (
	ErrNoDrivers = errors.New("this room has no " + containment.DriversFile + " in its data directory")
	ErrExercise  = errors.New("an exercise room acts on nothing outside")
)

// executor reads drivers.yml once.
func (r *Room) executor() (*containment.Executor, error) {
	r.drivers.mu.Lock()
	defer r.drivers.mu.Unlock()
	if r.drivers.x != nil {
		return r.drivers.x, nil
	}
	c, err := containment.LoadDrivers(filepath.Join(r.opt.Data, containment.DriversFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoDrivers
	}
	if err != nil {
		return nil, err
	}
	d, err := c.Build(containment.Wiring{Doors: r.doorsClosed, Exercise: r.Settings.Exercise})
	if err != nil {
		return nil, err
	}
	for _, id := range d.Environments() {
		if _, ok := r.Catalogue.Environment(id); !ok {
			return nil, fmt.Errorf("%s: environment %q is not in the catalogue", containment.DriversFile, id)
		}
	}
	for _, id := range d.Components() {
		if _, ok := r.Catalogue.Component(id); !ok {
			return nil, fmt.Errorf("%s: component %q is not in the catalogue", containment.DriversFile, id)
		}
	}
	r.drivers.x = &containment.Executor{Drivers: d, Now: r.Now, Recorder: &containment.StoreRecorder{Store: r.Store, Now: r.Now, Alarm: r.driverAlarm}}
	return r.drivers.x, nil
}

// acting is executor for rooms that may act.
func (r *Room) acting() (*containment.Executor, error) {
	if r.Settings.Exercise {
		return nil, ErrExercise
	}
	return r.executor()
}

// UseDrivers makes the room carry out on the outside what was ordered, by the
// drivers of drivers.yml. Without the file it changes nothing; an exercise room
// keeps its own ways.
func (r *Room) UseDrivers(ctx context.Context) error {
	x, err := r.acting()
	if errors.Is(err, ErrNoDrivers) || errors.Is(err, ErrExercise) {
		return nil
	}
	if err != nil {
		return err
	}
	r.isolator = &driverIsolator{room: r, x: x}
	open, err := x.Open(ctx)
	for _, a := range open {
		r.opt.Log.Warn("an act has no outcome: a person decides with leitstand driver resolve", slog.String("act", a.ID),
			slog.String("target", a.Target), slog.String("driver", a.Driver), slog.Time("since", a.StartedAt))
	}
	return err
}

// RunDrivers carries out what was ordered as soon as it is committed, takes back
// what came back by order, and looks every minute whether cuts still hold, until
// ctx ends. Without drivers it only waits.
func (r *Room) RunDrivers(ctx context.Context) error {
	d, ok := r.isolator.(*driverIsolator)
	if !ok {
		<-ctx.Done()
		return nil
	}
	verify := r.Now().Add(time.Minute)
	for {
		changed := r.Store.Changed()       // before reading: nothing is missed
		_, err := r.Operation.Refresh(ctx) // a commit is told before its state is published
		if err == nil {
			err = errors.Join(r.Isolate(ctx), d.takeBack(ctx))
		}
		if _, stepErr := r.runOrdered(ctx, ""); stepErr != nil {
			err = errors.Join(err, stepErr)
		}
		if now := r.Now(); !now.Before(verify) {
			err = errors.Join(err, d.x.Verify(ctx))
			verify = now.Add(time.Minute)
		}
		if err != nil && ctx.Err() == nil {
			r.opt.Log.Error("acting outside", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(10 * time.Second):
		}
	}
}

// doorsClosed says whether the right to write of placements was taken from their
// regular sides with proof.
func (r *Room) doorsClosed(placements []catalogue.PlacementID) (bool, string) {
	s := r.Operation.Current()
	for _, id := range placements {
		p, ok := s.Placement(id)
		if !ok || p.Writing.Writer == operation.RegularSide {
			return false, fmt.Sprintf("the doors of %s are not proven closed yet", id)
		}
	}
	return len(placements) > 0, "closed, with the word of every gateway"
}

// driverAlarm raises a signal when what was seen contradicts what was done.
func (r *Room) driverAlarm(ctx context.Context, tx *db.Tx, now time.Time, a containment.Act) error {
	_, err := warning.Raise(ctx, tx, now, warning.Signal{
		Rule: "act.contradicted", RuleVersion: "1", Title: "Abtrennung ohne Wirkung: " + a.Target, Level: "critical", Author: "Leitstand",
		Host: a.Target, Environment: a.Environment, Owner: defaultOwner,
	}, fmt.Sprintf("%s %s: %s", a.ID, a.Driver, a.Detail))
	return err
}

// driverIsolator is the [Isolator] of real rooms.
type driverIsolator struct {
	room *Room
	x    *containment.Executor
	mu   sync.Mutex // one pass at a time
}

// pauseAfterFailure is how long what is known to have failed is left alone.
const pauseAfterFailure = 30 * time.Second

// Isolate takes off what the placements and components ask for. What fails is on record,
// raised as a signal and not proven; it keeps nothing else from being isolated.
func (d *driverIsolator) Isolate(ctx context.Context, placements []catalogue.PlacementID, components []catalogue.ComponentID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	acts, err := containment.Acts(ctx, d.room.Store)
	if err != nil {
		return err
	}
	targets, left := d.room.cover(d.x)
	parts, without := d.x.Drivers.CoverComponents(components)
	for _, m := range without {
		d.room.opt.Log.Warn("no driver can take a component off: it is only ordered off", slog.String("component", string(m)))
	}
	for _, p := range left {
		if slices.Contains(placements, p) {
			d.room.opt.Log.Warn("no driver can take a placement off alone: only its door is closed", slog.String("placement", string(p)))
		}
	}
	orders := map[string]containment.Order{}
	wanted := map[string][]string{}
	for _, t := range slices.Concat(targets, parts) {
		of, part := d.room.placementsOf(t), slices.Contains(parts, t)
		if d.rests(acts, t) || !part && !slices.ContainsFunc(of, func(p catalogue.PlacementID) bool { return slices.Contains(placements, p) }) {
			continue
		}
		o := d.room.orderOf(t, of)
		if have, ok := orders[o.Measure]; ok {
			o = have
		}
		if !part {
			o.Placements[t] = of
		}
		orders[o.Measure] = o
		wanted[o.Measure] = append(wanted[o.Measure], t)
	}
	for measure, o := range orders {
		if _, err := d.x.Cut(ctx, o, wanted[measure]...); err != nil {
			d.room.opt.Log.Error("taking off", slog.String("measure", measure), slog.Any("error", err))
		}
	}
	return ctx.Err()
}

// rests says that a target waits for a person, or failed only just now.
func (d *driverIsolator) rests(acts []containment.Act, target string) bool {
	for _, a := range slices.Backward(acts) {
		if a.Target != target {
			continue
		}
		return a.State == containment.Intended || a.Back && a.State == containment.Unclear ||
			a.State == containment.Failed && d.room.Now().Before(a.FinishedAt.Add(pauseAfterFailure))
	}
	return false
}

// Closed says whether an act that is still in force is proven for a placement.
func (d *driverIsolator) Closed(ctx context.Context, p catalogue.PlacementID) (closed bool, ref string, err error) {
	acts, err := containment.Acts(ctx, d.room.Store)
	if err != nil {
		return false, "", err
	}
	targets := []string{string(p)}
	if pl, ok := d.room.Catalogue.Placement(p); ok {
		targets = append(targets, string(pl.Environment))
	}
	for _, t := range targets {
		if ref := containment.ProvenBy(acts, t); ref != "" && slices.Contains(containment.InForce(acts), t) {
			return true, ref, nil
		}
	}
	return false, "", nil
}

// Connect takes back what the state of the room no longer wants off.
func (d *driverIsolator) Connect(ctx context.Context, _ []catalogue.PlacementID) error {
	return d.takeBack(ctx)
}

// takeBack undoes acts whose placements came back by order: through the gate, or
// by undoing. What must stay off alone is cut first; where that has no driver, the
// whole environment stays off.
func (d *driverIsolator) takeBack(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	acts, err := containment.Acts(ctx, d.room.Store)
	if err != nil {
		return err
	}
	want, left := d.room.cover(d.x)
	var back []string
	for _, t := range containment.InForce(acts) {
		if !slices.Contains(want, t) && !d.rests(acts, t) && d.mayGo(acts, t, want, left) {
			back = append(back, t)
		}
	}
	if len(back) == 0 {
		return nil
	}
	_, err = d.x.Undo(ctx, containment.Order{Measure: "", By: []string{ledger.System}, Reason: "vom Stand des Raums wieder verbunden"}, back...)
	return err
}

// mayGo says whether everything that must stay off does so without the target.
func (d *driverIsolator) mayGo(acts []containment.Act, target string, want []string, left []catalogue.PlacementID) bool {
	if m, ok := d.room.Operation.Current().Component(catalogue.ComponentID(target)); ok {
		return m.Regular.Connected()
	}
	of := d.room.placementsOf(target)
	if len(of) == 0 {
		return false // not in the catalogue: nobody said that it may come back
	}
	env := ""
	if p, ok := d.room.Catalogue.Placement(of[0]); ok {
		env = string(p.Environment)
	}
	for _, p := range of {
		if slices.Contains(left, p) {
			return false
		}
		row, ok := d.room.Operation.Current().Placement(p)
		if !ok {
			return false
		}
		if row.Regular.Connected() {
			continue
		}
		for _, other := range []string{string(p), env} {
			if other != target && slices.Contains(want, other) && containment.ProvenBy(acts, other) == "" {
				return false
			}
		}
	}
	return true
}

// cover says what must be off now: everything that was ordered off. What failed
// by itself needs no cut, but does not keep an environment from being cut whole.
func (r *Room) cover(x *containment.Executor) (targets []string, left []catalogue.PlacementID) {
	off, ordered := map[catalogue.PlacementID]bool{}, map[catalogue.PlacementID]bool{}
	for _, p := range r.Operation.Current().Placements() {
		off[p.ID] = !p.Regular.Connected()
		ordered[p.ID] = off[p.ID] && (p.Regular != operation.Failed || p.Cut != nil)
	}
	targets, left = x.Drivers.Cover(r.Catalogue.Placements, off)
	targets = slices.DeleteFunc(targets, func(t string) bool {
		return !slices.ContainsFunc(r.placementsOf(t), func(p catalogue.PlacementID) bool { return ordered[p] })
	})
	return targets, slices.DeleteFunc(left, func(p catalogue.PlacementID) bool { return !ordered[p] })
}

// placementsOf lists the placements of an environment, or the one itself.
func (r *Room) placementsOf(target string) (out []catalogue.PlacementID) {
	for _, p := range r.Catalogue.Placements {
		if string(p.Environment) == target || string(p.ID) == target {
			out = append(out, p.ID)
		}
	}
	return out
}

// orderedComponents are those that were ordered off; what failed by itself needs no cut.
func (r *Room) orderedComponents() (off []catalogue.ComponentID) {
	for _, m := range r.Operation.Current().Components() {
		if !m.Regular.Connected() && (m.Regular != operation.Failed || m.Cut != nil) {
			off = append(off, m.ID)
		}
	}
	return off
}

// unprovenComponents are those of them whose cut no act in force proves.
func (r *Room) unprovenComponents(ctx context.Context) ([]catalogue.ComponentID, error) {
	off := r.orderedComponents()
	if len(off) == 0 {
		return nil, nil
	}
	acts, err := containment.Acts(ctx, r.Store)
	return slices.DeleteFunc(off, func(m catalogue.ComponentID) bool { return containment.ProvenBy(acts, string(m)) != "" }), err
}

// orderOf is on whose word a target is off: the component itself, or placements.
func (r *Room) orderOf(target string, placements []catalogue.PlacementID) containment.Order {
	o := containment.Order{By: []string{ledger.System}, Reason: "angeordnet", Placements: map[string][]catalogue.PlacementID{}}
	if m, ok := r.Operation.Current().Component(catalogue.ComponentID(target)); ok && m.Cut != nil {
		o.Measure, o.By = m.Cut.Measure, m.Cut.By
	}
	for _, id := range placements {
		if p, ok := r.Operation.Current().Placement(id); ok && p.Cut != nil {
			o.Measure, o.By = p.Cut.Measure, p.Cut.By
		}
	}
	return o
}

type targetsArgs struct {
	Targets []string `json:"targets"`
	Format  string   `json:"format,omitempty"`
}

func driverDryRun(ctx context.Context, r *Room, a targetsArgs) ([]containment.DryRun, error) {
	x, err := r.executor()
	if err != nil {
		return nil, err
	}
	return x.DryRun(ctx, a.Targets)
}

func driverRules(_ context.Context, r *Room, a targetsArgs) (string, error) {
	x, err := r.executor()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, t := range a.Targets {
		text, err := x.Drivers.Rules(t, a.Format)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

func driverActs(ctx context.Context, r *Room, _ none) ([]containment.Act, error) {
	return containment.Acts(ctx, r.Store)
}

func driverOpen(ctx context.Context, r *Room, _ none) ([]containment.Act, error) {
	x, err := r.acting()
	if err != nil {
		return nil, err
	}
	return x.Open(ctx)
}

type resolveArgs struct {
	ID       string               `json:"id"`
	Decision containment.Decision `json:"decision"`
	Reason   string               `json:"reason"`
}

// driverResolve is a person's word on an act without outcome.
func driverResolve(ctx context.Context, r *Room, as access.Person, a resolveArgs) ([]containment.Act, error) {
	if !as.Has(access.CrisisLead) && !as.Has(access.Operator) {
		return nil, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Über offene Eingriffe entscheiden Betrieb oder Leitung."}
	}
	if strings.TrimSpace(a.Reason) == "" {
		return nil, &Failure{Rule: int(operation.RuleOnRecord), Text: "Es fehlt die Begründung: was wurde gesehen?"}
	}
	x, err := r.acting()
	if err != nil {
		return nil, err
	}
	return x.Resolve(ctx, a.ID, as.ID, a.Decision, a.Reason)
}
