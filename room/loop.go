package room

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/operation"
	"leitstand/warning"
)

// Due does all timed work of the room that is due: it warns, escalates, expires
// and settles. It decides nothing and reconnects nothing. It returns when to
// call it again. One failing part does not keep the others from their work.
func (r *Room) Due(ctx context.Context, now time.Time) (next time.Time, err error) {
	errs := []error{r.tick(ctx, now)}
	if err := r.Operation.Settle(ctx, now); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, r.dueSwitchbacks(ctx, now), r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := access.ExpireDue(ctx, tx, now); err != nil {
			return err
		}
		_, err := warning.EscalateDue(ctx, tx, now)
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

// Follow reads what log files gained. Environments that signals point at are
// named in the same transaction: from then on cuts of them cannot be undone.
func (r *Room) Follow(ctx context.Context, now time.Time, files ...string) ([]warning.Signal, error) {
	var all []warning.Signal
	for _, f := range files {
		var res operation.Result
		raised, err := r.Watcher.Follow(ctx, r.Store, now, f, func(ctx context.Context, tx *db.Tx, raised []warning.Signal) (err error) {
			if cmd := named(now, raised); cmd != nil {
				res, err = r.Operation.DoTx(ctx, tx, cmd)
			}
			return err
		})
		if err != nil {
			return all, err
		}
		all = append(all, raised...)
		if err := r.Operation.Done(ctx, res); err != nil {
			return all, err
		}
	}
	return all, nil
}

// named is the note that new signals point at environments, or nil.
func named(now time.Time, raised []warning.Signal) operation.Command {
	cmd := &operation.NameSubjects{}
	for _, s := range raised {
		if s.Environment != "" && s.Count == 1 && !slices.Contains(cmd.Subjects, string(s.Environment)) {
			cmd.Subjects = append(cmd.Subjects, string(s.Environment))
			cmd.Source, cmd.Reason = "signal "+s.ID, s.Title
		}
	}
	if len(cmd.Subjects) == 0 {
		return nil
	}
	cmd.Sign(now, access.Person{ID: ledger.System})
	return cmd
}

// Run calls Due until ctx ends, on the real clock.
func (r *Room) Run(ctx context.Context) error {
	for {
		now := r.Now()
		next, err := r.Due(ctx, now)
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

// RunMail looks into the mailboxes of connections.json whose turn it is, and
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
