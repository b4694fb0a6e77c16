package room

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/operation"
)

// Due does all timed work of the room that is due: it warns, escalates, expires
// and settles. It decides nothing and reconnects nothing. It returns when to
// call it again. One failing part does not keep the others from their work.
func (r *Room) Due(ctx context.Context, now time.Time) (next time.Time, err error) {
	errs := []error{r.takeNotedFence(ctx), r.obeyFence(ctx, filepath.Join(r.opt.Data, fenceFile))}
	_, err = r.lookAtClock(ctx, "running")
	errs = append(errs, err, r.tick(ctx, now), r.tellEscalated(ctx, now))
	r.keepClock()
	if err := r.Operation.Settle(ctx, now); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, r.dueSwitchbacks(ctx, now), r.dueLimits(ctx, now), r.dueSteps(ctx, now), r.escalateDesks(ctx, now), r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := access.ExpireDue(ctx, tx, now); err != nil {
			return err
		}
		if _, err := access.EndDue(ctx, tx, now); err != nil {
			return err
		}
		_, err := r.duty.EscalateDue(ctx, tx, now)
		return err
	}))
	return now.Add(time.Minute), errors.Join(errs...)
}

func (r *Room) tick(ctx context.Context, now time.Time) error {
	cmd := &operation.Tick{}
	cmd.Sign(now, access.Person{ID: ledger.System})
	_, err := r.act(ctx, cmd, nil)
	return err
}

// Run calls Due until ctx ends, on the real clock.
func (r *Room) Run(ctx context.Context) error {
	for {
		now := r.Now()
		next, err := r.Due(ctx, now)
		r.pulse.beat(now, err)
		if err != nil && ctx.Err() == nil {
			r.opt.Log.Error("timed work", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(time.Second, next.Sub(now))):
		}
	}
}

// RunMail looks into the mailboxes whose turn it is, and
// carries out on the outside what was ordered, until ctx ends. Without mailboxes
// and without a way to isolate it only waits. A mailbox that fails is tried again
// later; that it failed is logged and shown with its figures.
func (r *Room) RunMail(ctx context.Context) error {
	var answers time.Time // when to look at answers and deadlines again
	for {
		pause := time.Minute
		if r.Intake != nil {
			now := r.Now()
			next, err := r.Intake.Due(ctx, now)
			if now.After(answers) {
				answers = now.Add(time.Minute)
				err = errors.Join(err, r.dueAnswers(ctx, now))
			}
			switch {
			case errors.Is(err, db.ErrClosed), ctx.Err() != nil:
				return nil //nolint:nilerr // the room closes: what is under way is repeated at the next start
			case err != nil:
				r.opt.Log.Error("looking into mailboxes", slog.Any("error", err))
			case !next.IsZero():
				pause = min(pause, next.Sub(now))
			}
		}
		if err := r.Isolate(ctx); err != nil && ctx.Err() == nil {
			r.opt.Log.Error("taking placements off the network", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(mailPause, pause)):
		}
	}
}

// mailPause keeps the loop from spinning.
const mailPause = 100 * time.Millisecond
