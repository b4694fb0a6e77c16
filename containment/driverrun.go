package containment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// Executor carries acts out: intent on record, act, probe, outcome on record, in
// this order. It never repeats an intent without outcome: a person says whether
// to repeat it or that it is done. Probing again is always allowed, for it
// changes nothing outside.
type Executor struct {
	Drivers  *Drivers
	Recorder Recorder
	Now      func() time.Time

	mu      sync.Mutex
	running map[string]bool // targets that are being worked on in this process
}

// Order says on whose word something is done.
type Order struct {
	Measure string
	By      []string
	Reason  string
	// Placements are what the order took off, by target; they go into the record.
	Placements map[string][]catalogue.PlacementID
	// Sign makes a person's signature under an order about a door; nil: people are
	// only named.
	Sign func(person string, text []byte) (string, error)
}

// Errors a caller decides on.
var (
	ErrOpen     = errors.New("an intent without outcome waits for a person: leitstand driver open")
	ErrBusy     = errors.New("it is being worked on")
	ErrNoSuch   = errors.New("no such act")
	ErrNotOpen  = errors.New("the act is not open")
	ErrUnproven = errors.New("it was not carried out as ordered")
)

// DryRun says what a cut of the targets would do, in its order.
func (x *Executor) DryRun(ctx context.Context, targets []string) ([]DryRun, error) {
	all, err := x.plan(targets)
	if err != nil {
		return nil, err
	}
	out := []DryRun{}
	for _, class := range classes(all) {
		for _, p := range class {
			for _, s := range p.steps {
				t := p.Target
				t.Params = s.params
				d, err := s.driver.DryRun(ctx, t)
				if err != nil {
					return nil, fmt.Errorf("dry run of %q for %q: %w", s.driver.Name(), p.ID, err)
				}
				if s.powersOff {
					d.Words += " Zuvor wird der Speicher gesichert; ohne Sicherung wird nichts ausgeschaltet."
				}
				out = append(out, d)
			}
		}
	}
	return out, nil
}

func (x *Executor) plan(targets []string) ([]planned, error) {
	out := make([]planned, 0, len(targets))
	for _, id := range targets {
		p, err := x.Drivers.target(id)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// Cut takes targets off the network, ordinary ones first, what people talk over
// and what evidence rests on last. A target that is off already is only left as it
// is; one whose last act has no outcome is not touched. The acts of this call are
// returned with what each came to; errors are of single targets.
func (x *Executor) Cut(ctx context.Context, o Order, targets ...string) ([]Act, error) {
	return x.each(ctx, targets, func(ctx context.Context, p planned, before []Act) ([]Act, error) {
		if last := newest(before, p.ID, ""); last != nil && !last.Back && (last.State == Done || last.State == Unclear) {
			return x.again(ctx, p, onTarget(before, p.ID))
		}
		return x.cut(ctx, o, p)
	})
}

// Undo takes the cuts of targets back, what evidence rests on first.
func (x *Executor) Undo(ctx context.Context, o Order, targets ...string) ([]Act, error) {
	return x.each(ctx, targets, func(ctx context.Context, p planned, before []Act) ([]Act, error) {
		return x.undo(ctx, o, p, onTarget(before, p.ID))
	})
}

// each works on targets class by class, many at once within a class.
func (x *Executor) each(ctx context.Context, targets []string, do func(context.Context, planned, []Act) ([]Act, error)) ([]Act, error) {
	all, err := x.plan(targets)
	if err != nil {
		return nil, err
	}
	before, err := x.Recorder.Acts(ctx)
	if err != nil {
		return nil, err
	}
	var (
		mu   sync.Mutex
		out  []Act
		errs []error
	)
	for _, class := range classes(all) {
		slots := make(chan struct{}, x.Drivers.config.Parallel)
		var wg sync.WaitGroup
		for _, p := range class {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				acts, err := x.one(ctx, p, before, do)
				mu.Lock()
				defer mu.Unlock()
				out = append(out, acts...)
				if err != nil {
					errs = append(errs, fmt.Errorf("%q: %w", p.ID, err))
				}
			})
		}
		wg.Wait()
	}
	return out, errors.Join(errs...)
}

func (x *Executor) one(ctx context.Context, p planned, before []Act, do func(context.Context, planned, []Act) ([]Act, error)) ([]Act, error) {
	if !x.start(p.ID) {
		return nil, ErrBusy
	}
	defer x.end(p.ID)
	if last := newest(before, p.ID, Intended); last != nil {
		return nil, fmt.Errorf("act %s: %w", last.ID, ErrOpen)
	}
	return do(ctx, p, before)
}

func (x *Executor) start(target string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.running == nil {
		x.running = map[string]bool{}
	}
	if x.running[target] {
		return false
	}
	x.running[target] = true
	return true
}

func (x *Executor) end(target string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.running, target)
}

// newest is the newest act on a target in a state; "" is any.
func newest(acts []Act, target string, state ActState) *Act {
	for _, a := range slices.Backward(acts) {
		if a.Target == target && (state == "" || a.State == state) {
			return &a
		}
	}
	return nil
}

func onTarget(acts []Act, target string) []Act {
	return slices.DeleteFunc(slices.Clone(acts), func(a Act) bool { return a.Target != target })
}

// Open lists acts without outcome: after a crash nobody knows how far they came,
// and what people carry out waits for their word.
func (x *Executor) Open(ctx context.Context) ([]Act, error) {
	all, err := x.Recorder.Acts(ctx)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.DeleteFunc(all, func(a Act) bool { return a.State != Intended || x.running[a.Target] && !a.Waits }), nil
}

// cut carries out all steps of one target.
func (x *Executor) cut(ctx context.Context, o Order, p planned) ([]Act, error) {
	if placements, ok := o.Placements[p.ID]; ok {
		p.Placements = placements
	}
	prober := x.prober()
	checks := prober.before(ctx, p.probe.Down, p.probe.Up)
	var acts []Act
	waits := false
	for _, s := range p.steps {
		if s.powersOff {
			continue
		}
		a, err := x.step(ctx, o, p, s, false)
		acts = append(acts, a)
		if err != nil {
			return acts, err
		}
		waits = waits || a.Waits
	}
	if waits {
		return acts, nil // the person's word is the next step
	}
	if err := x.conclude(ctx, p, checks, acts); err != nil {
		return acts, err
	}
	return x.powerOff(ctx, o, p, acts)
}

// step is intent and act of one driver; the outcome is recorded by conclude, or
// here when the act failed.
func (x *Executor) step(ctx context.Context, o Order, p planned, s step, back bool) (Act, error) {
	a := Act{
		ID: newActID(), Measure: o.Measure, Driver: s.driver.Name(), Target: p.ID, Environment: p.Environment, Component: p.Component, Placements: p.Placements,
		Back: back, State: Intended, By: o.By, StartedAt: db.Trim(x.Now()),
	}
	if err := x.Recorder.Record(ctx, kindIntended, o.Reason, a); err != nil {
		return a, err // nothing was done
	}
	t := p.Target
	t.Params, t.Act, t.Measure = s.params, a.ID, o.Measure
	do := s.driver.Execute
	if back {
		do = s.driver.Undo
	}
	err := do(ctx, t)
	switch {
	case errors.Is(err, ErrWaiting):
		a.Waits, a.Detail = true, err.Error()
		return a, x.Recorder.Record(ctx, kindWaiting, "", a)
	case err != nil:
		return x.failed(ctx, a, s, t, err)
	}
	a.ExecutedAt = db.Trim(x.Now())
	return a, x.Recorder.Record(ctx, kindExecuted, "", a)
}

// failed records an act that ended with an error. Only when the driver sees that
// nothing is in place it is known to have failed; otherwise it is unclear.
func (x *Executor) failed(ctx context.Context, a Act, s step, t Target, cause error) (Act, error) {
	a.State, a.Detail, a.FinishedAt = Unclear, cause.Error(), db.Trim(x.Now())
	if seen, err := s.driver.Probe(ctx, t); err == nil && seen.Held == a.Back {
		a.State = Failed
	}
	kind := kindFailed
	if a.State == Unclear {
		kind = kindContradicted
	}
	// The outcome is recorded even if the caller has given up meanwhile.
	err := x.Recorder.Record(context.WithoutCancel(ctx), kind, "", a)
	return a, errors.Join(fmt.Errorf("driver %q: %w", a.Driver, cause), err)
}

// conclude probes and records probe and outcome of the acts of one target.
func (x *Executor) conclude(ctx context.Context, p planned, checks []ProbeCheck, acts []Act) error {
	return x.settle(ctx, x.probe(ctx, p, checks), acts)
}

// settle records what was seen, and the outcome that follows from it.
func (x *Executor) settle(ctx context.Context, record *ProbeRecord, acts []Act) error {
	for i := range acts {
		acts[i].Probe = record
	}
	if err := x.Recorder.Record(ctx, kindProbed, "", acts...); err != nil {
		return err
	}
	kind := kindDone
	for i := range acts {
		acts[i].State, acts[i].Waits, acts[i].FinishedAt = Done, false, db.Trim(x.Now())
		if record.Contradiction != "" {
			kind, acts[i].State, acts[i].Detail = kindContradicted, Unclear, record.Contradiction
		}
	}
	if err := x.Recorder.Record(ctx, kind, "", acts...); err != nil {
		return err
	}
	if record.Contradiction != "" {
		return fmt.Errorf("%w: %s", ErrUnproven, record.Contradiction)
	}
	return nil
}

// probe asks the drivers that isolate, and probes from outside.
func (x *Executor) probe(ctx context.Context, p planned, checks []ProbeCheck) *ProbeRecord {
	prober := x.prober()
	var seen []Seen
	for _, s := range p.steps {
		if s.powersOff {
			continue
		}
		t := p.Target
		t.Params = s.params
		got, err := s.driver.Probe(ctx, t)
		if err != nil {
			got = Seen{Detail: err.Error()}
		}
		got.Detail = s.driver.Name() + ": " + got.Detail
		seen = append(seen, got)
	}
	prober.after(ctx, checks)
	from := "this machine"
	if prober.NetNS != "" {
		from = "namespace " + prober.NetNS
	}
	return judge(db.Trim(x.Now()), from, checks, seen)
}

func (x *Executor) prober() Prober {
	c := x.Drivers.config.Probing
	return Prober{Timeout: c.Timeout, Attempts: c.Attempts, Refused: c.RefusedIsDown, NetNS: c.NetNS, Settle: c.Settle}
}

// again probes a target that is off already, and records only what is news.
func (x *Executor) again(ctx context.Context, p planned, before []Act) ([]Act, error) {
	var acts []Act
	for _, a := range before {
		if !a.Back && a.Driver != DoorsDriver && (a.State == Done || a.State == Unclear) && !x.powersOff(p, a.Driver) {
			acts = append(acts, a)
		}
	}
	if len(acts) == 0 {
		return nil, nil
	}
	last := acts[len(acts)-1]
	var checks []ProbeCheck
	if last.Probe != nil {
		checks = slices.Clone(last.Probe.Checks) // with what was met before the act
	} else {
		checks = x.prober().before(ctx, p.probe.Down, p.probe.Up)
	}
	record := x.probe(ctx, p, checks)
	if last.Probe != nil && record.Contradiction == last.Probe.Contradiction {
		if record.Contradiction != "" {
			return acts, fmt.Errorf("%w: %s", ErrUnproven, record.Contradiction)
		}
		return acts, nil
	}
	return acts, x.settle(ctx, record, acts)
}

// Verify probes everything again that is off, and records only what is news: a
// cut that somebody took away is an alarm.
func (x *Executor) Verify(ctx context.Context) error {
	acts, err := x.Recorder.Acts(ctx)
	if err != nil {
		return err
	}
	var targets []string
	for _, id := range InForce(acts) {
		if _, err := x.Drivers.target(id); err == nil {
			targets = append(targets, id)
		}
	}
	_, err = x.each(ctx, targets, func(ctx context.Context, p planned, before []Act) ([]Act, error) {
		return x.again(ctx, p, onTarget(before, p.ID))
	})
	return err
}

// InForce lists the targets that are off by acts that were not taken back. Doors
// are none: operation opens and closes them.
func InForce(acts []Act) []string {
	off := map[string]bool{}
	for _, a := range acts {
		if !a.Back && (a.State == Done || a.State == Unclear) {
			off[a.Target] = true
		}
	}
	return slices.Sorted(maps.Keys(off))
}

// ProvenBy names the act that proves a target to be off, or "".
func ProvenBy(acts []Act, target string) string {
	last := newest(acts, target, "")
	if last == nil || last.Back {
		return ""
	}
	for _, a := range slices.Backward(acts) {
		if a.Target == target && a.Proven() {
			return a.ID
		}
	}
	return ""
}

func (x *Executor) powersOff(p planned, driver string) bool {
	return slices.ContainsFunc(p.steps, func(s step) bool { return s.powersOff && s.driver.Name() == driver })
}

// undo takes back every driver of a target, the last step first, and looks.
func (x *Executor) undo(ctx context.Context, o Order, p planned, before []Act) ([]Act, error) {
	cut := slices.DeleteFunc(before, func(a Act) bool {
		return a.Back || a.State != Done && a.State != Unclear && a.State != Failed
	})
	if len(cut) == 0 {
		return nil, nil
	}
	p.Placements = cut[len(cut)-1].Placements
	var acts []Act
	waits := false
	for _, s := range slices.Backward(p.steps) {
		a, err := x.step(ctx, o, p, s, true)
		acts = append(acts, a)
		if err != nil {
			return acts, err
		}
		waits = waits || a.Waits
	}
	if waits {
		return acts, nil
	}
	return acts, x.concludeBack(ctx, p, acts, cut)
}

// concludeBack records that cuts were taken back. That a service does not answer
// again is shown, but it may have reasons of its own.
func (x *Executor) concludeBack(ctx context.Context, p planned, acts, cut []Act) error {
	prober := x.prober()
	checks := prober.list(nil, slices.Concat(p.probe.Down, p.probe.Up)) // everything should answer again
	prober.after(ctx, checks)
	record := &ProbeRecord{At: db.Trim(x.Now()), From: "after undoing", Checks: checks}
	for i := range acts {
		acts[i].Probe, acts[i].State, acts[i].Waits, acts[i].FinishedAt = record, Done, false, db.Trim(x.Now())
	}
	for i := range cut {
		cut[i].State = Taken
	}
	return errors.Join(
		x.Recorder.Record(ctx, kindProbed, "", acts...),
		x.Recorder.Record(ctx, kindUndone, "", slices.Concat(acts, cut)...),
	)
}
