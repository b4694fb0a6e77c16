package recovery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// StepAct is one act of a driver for a step. Its id is the key of idempotency:
// a repeated step has another one.
type StepAct struct {
	ID   string
	Task Task
}

// StepPreview is what a driver would do: one sentence, and the exact commands.
type StepPreview struct {
	Driver string   `json:"driver"`
	Words  string   `json:"words"`
	Exact  []string `json:"exact,omitempty"`
}

// StepDriver carries a step out on the outside world.
type StepDriver interface {
	Name() string
	// DryRun says exactly what Execute would do, and does nothing.
	DryRun(ctx context.Context, a StepAct) (StepPreview, error)
	// Execute acts. [ErrByHand] says that a person carries it out.
	Execute(ctx context.Context, a StepAct) error
	// Probe looks whether what Execute does is in place, and changes nothing.
	Probe(ctx context.Context, a StepAct) (held bool, detail string, err error)
	// Undo takes back what Execute did.
	Undo(ctx context.Context, a StepAct) error
}

// ErrByHand says that an order was printed, and a person carries it out.
var ErrByHand = errors.New("a person carries it out by the printed order")

// ErrStepBusy says that a driver is at work on a step in this process.
var ErrStepBusy = errors.New("a driver is at work on the step")

// errStopped is why a driver was interrupted.
var errStopped = errors.New("held by a person")

// StepRunner carries steps out: intent on record, act, act on record, probe,
// outcome on record, each with what the plan is to know, each one transaction
// that is durable before the next thing happens. It begins nothing by itself and
// never goes on with what it finds half-way: after a crash such a step waits for
// a person's word. The zero value with a store and a clock is ready.
type StepRunner struct {
	Store *db.DB
	Now   func() time.Time

	mu      sync.Mutex
	running map[string]*stepWork
}

// stepWork is a driver at work, or a person's word that is being recorded.
type stepWork struct {
	cancel context.CancelCauseFunc // nil: nothing to interrupt
	act    StepAct                 // its intent is on record; empty before
	done   chan struct{}
}

// change reads a step, changes it and stores it, in one transaction.
func (x *StepRunner) change(ctx context.Context, t Task, actor, kind string, fn func(s Step, now time.Time) (Step, error)) (s Step, err error) {
	err = x.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		s, err = x.ChangeTx(ctx, tx, t, actor, kind, fn)
		return err
	})
	return s, err
}

// ChangeTx is one transition of a step as it is stored, inside a caller's transaction.
func (x *StepRunner) ChangeTx(ctx context.Context, tx *db.Tx, t Task, actor, kind string, fn func(s Step, now time.Time) (Step, error)) (Step, error) {
	s, err := StepOf(ctx, tx, t)
	if err != nil {
		return s, err
	}
	now := x.Now()
	if s, err = fn(s, now); err != nil {
		return s, err
	}
	return s, PutStep(ctx, tx, now, actor, kind, s)
}

// Change is one transition on a person's word.
func (x *StepRunner) Change(ctx context.Context, t Task, actor, kind string, fn func(s Step, now time.Time) (Step, error)) (Step, error) {
	if !x.claim(t.ID, nil) {
		return Step{}, fmt.Errorf("%s: %w", t.ID, ErrStepBusy)
	}
	defer x.release(t.ID)
	return x.change(ctx, t, actor, kind, fn)
}

func (x *StepRunner) claim(id string, cancel context.CancelCauseFunc) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.running == nil {
		x.running = map[string]*stepWork{}
	}
	if x.running[id] != nil {
		return false
	}
	x.running[id] = &stepWork{cancel: cancel, done: make(chan struct{})}
	return true
}

func (x *StepRunner) release(id string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.running[id].done)
	delete(x.running, id)
}

// Busy reports whether a driver is at work on a step in this process.
func (x *StepRunner) Busy(id string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.running[id] != nil
}

// Stop holds a step. A driver at work in this process is told to give up, and
// what came of it is looked at first, as after any error: if that is not clear,
// the step stays so, for a person to say what is true.
func (x *StepRunner) Stop(ctx context.Context, t Task, reason, by string) (Step, error) {
	x.mu.Lock()
	work := x.running[t.ID]
	x.mu.Unlock()
	stop := func(s Step, now time.Time) (Step, error) { return s.Stop(now, reason, by) }
	if work == nil {
		return x.Change(ctx, t, by, "step.stopped", stop)
	}
	if work.cancel != nil {
		work.cancel(errStopped)
	}
	select {
	case <-work.done:
	case <-ctx.Done():
		return Step{}, ctx.Err()
	}
	return x.Change(ctx, t, by, "step.stopped", func(s Step, now time.Time) (Step, error) {
		if s.State.NeedsWord() || s.State.Over() {
			return s, s.in() // it was too late, or nobody knows
		}
		return stop(s, now)
	})
}

// Heed tells drivers at work in this process to give up where somebody has decided
// otherwise through another process of the room. What comes of such a driver is for
// a person to look at: the step says so.
func (x *StepRunner) Heed(ctx context.Context) error {
	x.mu.Lock()
	works := make([]*stepWork, 0, len(x.running))
	for _, w := range x.running {
		if w.cancel != nil && w.act.ID != "" {
			works = append(works, w)
		}
	}
	x.mu.Unlock()
	for _, w := range works { // read after their intent was on record
		s, err := StepOf(ctx, x.Store, w.act.Task)
		if err != nil {
			return err
		}
		if s.Act != w.act.ID || !s.State.NeedsWord() {
			w.cancel(errStopped)
		}
	}
	return nil
}

// Run lets a driver carry out a step that nobody has begun. current opens again
// what the state asks for once more. The error of a driver comes back with the step as
// it stands after it.
func (x *StepRunner) Run(ctx context.Context, v StepView, d StepDriver, by ...string) (Step, error) {
	return x.act(ctx, v.Task, d.Execute, d, func(s Step, now time.Time) (Step, error) {
		if s.Round < v.Round { // the state asks for it once more
			s = v.Step
		}
		return s.Intend(now, d.Name(), by...)
	}, by[0])
}

// Undo lets the driver take back what it did.
func (x *StepRunner) Undo(ctx context.Context, t Task, d StepDriver, reason, by string) (Step, error) {
	return x.act(ctx, t, d.Undo, d, func(s Step, now time.Time) (Step, error) { return s.TakeBack(now, reason, by) }, by)
}

func (x *StepRunner) act(ctx context.Context, t Task, do func(context.Context, StepAct) error, d StepDriver,
	intend func(s Step, now time.Time) (Step, error), actor string,
) (Step, error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !x.claim(t.ID, cancel) {
		return Step{}, fmt.Errorf("%s: %w", t.ID, ErrStepBusy)
	}
	defer x.release(t.ID)
	s, err := x.change(ctx, t, actor, "step.intended", intend)
	if err != nil {
		return s, err // nothing was done
	}
	a := StepAct{ID: s.Act, Task: t}
	x.mu.Lock()
	x.running[t.ID].act = a
	x.mu.Unlock()
	err = do(inner, a)
	ctx = context.WithoutCancel(ctx) // what happened is recorded even if the caller has given up
	if errors.Is(err, ErrByHand) {
		return x.mine(ctx, s, "step.handed_to_person", func(s Step, now time.Time) (Step, error) {
			s.State, s.Detail, s.Who, s.At = StepStarted, shortened(err.Error()), firstOf(s.Who, "wie auf dem Auftrag"), db.Trim(now)
			return s, nil
		})
	}
	if err != nil {
		return x.gaveUp(ctx, s, a, d, errors.Join(err, context.Cause(inner)))
	}
	if s, err = x.mine(ctx, s, "step.acted", Step.Acted); err != nil {
		return s, err
	}
	return x.look(ctx, s, a, d)
}

// gaveUp looks whether a driver that came back with an error has left anything behind.
func (x *StepRunner) gaveUp(ctx context.Context, s Step, a StepAct, d StepDriver, cause error) (Step, error) {
	held, _, err := d.Probe(ctx, a)
	clean := err == nil && held == s.Back
	text := cause.Error()
	if errors.Is(cause, errStopped) {
		text = "von einem Menschen angehalten: " + text
	}
	s, err = x.mine(ctx, s, "step.failed", func(s Step, now time.Time) (Step, error) { return s.NotActed(now, text, clean) })
	return s, errors.Join(fmt.Errorf("driver %q: %w", d.Name(), cause), err)
}

// look probes, and records what was seen and what follows from it.
func (x *StepRunner) look(ctx context.Context, s Step, a StepAct, d StepDriver) (Step, error) {
	held, detail, err := d.Probe(ctx, a)
	if err != nil {
		held, detail = s.Back, err.Error() // nobody can say that it is as wanted
	}
	if s, err = x.mine(ctx, s, "step.probed", func(s Step, now time.Time) (Step, error) {
		s.Detail, s.At = shortened(detail), db.Trim(now)
		return s, nil
	}); err != nil {
		return s, err
	}
	s, err = x.mine(ctx, s, "step.settled", func(s Step, now time.Time) (Step, error) { return s.Looked(now, held, detail) })
	if err == nil && s.State == StepUnclear {
		err = fmt.Errorf("%s: %w: %s", s.ID, ErrStepUnproven, detail)
	}
	return s, err
}

// ErrStepUnproven says that what was seen contradicts what was done.
var ErrStepUnproven = errors.New("it is not in place as it should be")

// mine changes the step if it is still about the same act. If a person has said
// something else about it meanwhile, nobody knows what is true: that is recorded.
func (x *StepRunner) mine(ctx context.Context, was Step, kind string, fn func(s Step, now time.Time) (Step, error)) (Step, error) {
	return x.change(ctx, was.Task, ledger.System, kind, func(s Step, now time.Time) (Step, error) {
		if s.Act != was.Act || !s.State.NeedsWord() {
			return s.Overtaken(now, "ein Eingriff ("+was.Act+") endete, nachdem ein Mensch anders entschieden hatte"), nil
		}
		return fn(s, now)
	})
}

// Confirm is a person's word that an act without outcome was carried out. The
// probe has the last word.
func (x *StepRunner) Confirm(ctx context.Context, t Task, d StepDriver, evidence, by string) (Step, error) {
	if !x.claim(t.ID, nil) {
		return Step{}, fmt.Errorf("%s: %w", t.ID, ErrStepBusy)
	}
	defer x.release(t.ID)
	evidence, err := stepText("evidence (number or file of the record)", evidence)
	if err != nil {
		return Step{}, err
	}
	s, err := x.change(ctx, t, by, "step.confirmed", func(s Step, now time.Time) (Step, error) {
		if err := s.during(); err != nil {
			return s, err
		}
		s.State, s.Evidence, s.By, s.At = StepActed, evidence, []string{by}, db.Trim(now)
		return s, nil
	})
	if err != nil {
		return s, err
	}
	return x.look(ctx, s, StepAct{ID: s.Act, Task: t}, d)
}
