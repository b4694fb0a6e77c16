package containment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"leitstand/base/db"
)

// Decision is what a person says about an intent without outcome.
type Decision string

// The decisions.
const (
	Repeat     Decision = "repeat" // carry it out again: drivers are idempotent
	IsDone     Decision = "done"   // it was carried out; the probes have the last word
	IsNotDone  Decision = "given-up"
	noDecision Decision = ""
)

// Resolve carries out what a person decided about an open act.
func (x *Executor) Resolve(ctx context.Context, id, by string, d Decision, reason string) ([]Act, error) {
	all, err := x.Recorder.Acts(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(a Act) bool { return a.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("%q: %w", id, ErrNoSuch)
	}
	a := all[i]
	p, err := x.Drivers.target(a.Target)
	if err != nil {
		return nil, err
	}
	if !x.start(a.Target) {
		return nil, fmt.Errorf("%q: %w", id, ErrBusy)
	}
	defer x.end(a.Target)
	if a.State != Intended && (d == IsDone || a.State != Unclear && a.State != Failed) {
		return nil, fmt.Errorf("%q is %s: %w", id, a.State, ErrNotOpen)
	}
	p.Placements = a.Placements
	a.By = append(slices.Clip(a.By), by)
	switch d {
	case Repeat:
		a.State, a.Waits, a.Detail, a.FinishedAt = Failed, false, "repeated by "+by, db.Trim(x.Now())
		if err := x.Recorder.Record(ctx, kindResolved, reason, a); err != nil {
			return nil, err
		}
		o := Order{Measure: a.Measure, By: a.By, Reason: reason}
		if a.Back {
			return x.undo(ctx, o, p, onTarget(all, a.Target))
		}
		acts, err := x.cut(ctx, o, p)
		return acts, err
	case IsDone:
		return x.isDone(ctx, p, a, onTarget(all, a.Target), reason)
	case IsNotDone:
		a.State, a.Waits, a.Detail, a.FinishedAt = Failed, false, "not carried out, says "+by, db.Trim(x.Now())
		return []Act{a}, x.Recorder.Record(ctx, kindResolved, reason, a)
	case noDecision:
	}
	return nil, fmt.Errorf("decision %q: want repeat, done or given-up", d)
}

// isDone takes a person's word that an act was carried out, and probes. What was
// cut together is concluded when nothing of it is open any more.
func (x *Executor) isDone(ctx context.Context, p planned, a Act, before []Act, reason string) ([]Act, error) {
	a.ExecutedAt, a.Waits = db.Trim(x.Now()), false
	a.Detail = "carried out, says " + a.By[len(a.By)-1]
	if err := x.Recorder.Record(ctx, kindResolved, reason, a); err != nil {
		return nil, err
	}
	if a.Back {
		cut := slices.DeleteFunc(slices.Clone(before), func(b Act) bool {
			return b.Back || b.State != Done && b.State != Unclear && b.State != Failed
		})
		return []Act{a}, x.concludeBack(ctx, p, []Act{a}, cut)
	}
	together := []Act{a}
	for _, b := range before {
		if b.ID == a.ID || b.Back || b.Measure != a.Measure || b.State != Intended {
			continue
		}
		if b.ExecutedAt.IsZero() {
			return []Act{a}, nil // another step is still open
		}
		together = append(together, b)
	}
	acts := []Act{a}
	err := x.conclude(ctx, p, x.prober().before(ctx, p.probe.Down, p.probe.Up), together)
	if err == nil {
		acts, err = x.powerOff(ctx, Order{Measure: a.Measure, By: a.By, Reason: reason}, p, together)
	}
	return acts, err
}

// powerOff secures evidence and then takes the steps that switch something off.
// Without evidence nothing is switched off: the target stays isolated.
func (x *Executor) powerOff(ctx context.Context, o Order, p planned, acts []Act) ([]Act, error) {
	for _, s := range p.steps {
		if !s.powersOff {
			continue
		}
		if acts[0].Evidence == nil {
			e, err := x.secure(ctx, p, acts[0])
			if err != nil {
				acts[0].Detail = "evidence was not secured, nothing was switched off: " + err.Error()
				return acts, errors.Join(err, x.Recorder.Record(ctx, kindFailed, "", acts[0]))
			}
			acts[0].Evidence = &e
			if err := x.Recorder.Record(ctx, kindEvidence, "", acts[0]); err != nil {
				return acts, err
			}
		}
		a, err := x.step(ctx, o, p, s, false)
		if err == nil && !a.Waits {
			t := p.Target
			t.Params = s.params
			seen, perr := s.driver.Probe(ctx, t)
			if perr != nil {
				seen.Detail = perr.Error()
			}
			a.Probe = &ProbeRecord{At: db.Trim(x.Now()), From: s.driver.Name(), Checks: []ProbeCheck{}, Seen: []Seen{seen}}
			a.State, a.FinishedAt = Done, db.Trim(x.Now())
			kind := kindDone
			if !seen.Held {
				kind, a.State, a.Detail = kindContradicted, Unclear, seen.Detail
			}
			err = errors.Join(x.Recorder.Record(ctx, kindProbed, "", a), x.Recorder.Record(ctx, kind, "", a))
		}
		acts = append(acts, a)
		if err != nil {
			return acts, err
		}
	}
	return acts, nil
}

// secure runs the evidence command of a target and hashes what it writes.
func (x *Executor) secure(ctx context.Context, p planned, a Act) (Evidence, error) {
	c := x.Drivers.config
	dir := c.path(c.Evidence.Directory)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Evidence{}, fmt.Errorf("making the directory of evidence: %w", err)
	}
	name := filepath.Join(dir, a.ID+".raw")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return Evidence{}, fmt.Errorf("keeping evidence: %w", err)
	}
	h := sha256.New()
	size := &counter{}
	said := &limited{left: 4096}
	t := p.Target
	t.Act, t.Measure = a.ID, a.Measure
	err = runProgram(ctx, c.Evidence.Timeout, t.expandAll(c.Evidence.Command), tee{f, h, size}, said)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return Evidence{}, fmt.Errorf("securing evidence of %q: %w: %s", p.ID, err, said)
	}
	if size.n == 0 {
		return Evidence{}, fmt.Errorf("securing evidence of %q: the command wrote nothing", p.ID)
	}
	return Evidence{File: filepath.Base(name), SHA256: hex.EncodeToString(h.Sum(nil)), Size: size.n}, nil
}
