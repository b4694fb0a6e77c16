package db

import (
	"context"
	"database/sql"
	"fmt"
)

// maxGroup bounds how many writes share one commit: more gains nothing and
// makes the first of them wait.
const maxGroup = 256

type job struct {
	ctx  context.Context
	fn   func(ctx context.Context, tx *Tx) error
	err  error
	done chan struct{}
}

// Write runs fn in a transaction and returns nil only when it is durable.
// If fn returns an error its statements are undone and the error comes back
// unwrapped. fn must not call Write of the same store. Its context is not
// cancelled half-way: an interrupted statement would undo the whole group.
func (d *DB) Write(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	j := &job{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-d.quit:
		return fmt.Errorf("writing to %q: %w", d.name, ErrClosed)
	case d.jobs <- j:
	}
	<-j.done
	return j.err
}

// writer is the one goroutine that owns the writing connection.
func (d *DB) writer() {
	defer close(d.done)
	for {
		select {
		case <-d.quit:
			return
		case first := <-d.jobs:
			d.runGroup(d.gather(first))
		}
	}
}

// gather takes what is waiting already; it never waits for more.
func (d *DB) gather(first *job) []*job {
	group := []*job{first}
	for len(group) < maxGroup {
		select {
		case j := <-d.jobs:
			group = append(group, j)
		default:
			return group
		}
	}
	return group
}

func (d *DB) runGroup(group []*job) {
	committed, err := d.commitGroup(group)
	for _, j := range group {
		if err != nil && j.err == nil {
			j.err = err
		}
	}
	if committed {
		d.mu.Lock()
		close(d.changed)
		d.changed = make(chan struct{})
		d.mu.Unlock()
	}
	for _, j := range group {
		close(j.done)
	}
}

// commitGroup runs every job in a savepoint and commits what succeeded.
// The error it returns holds for every job that has none of its own.
func (d *DB) commitGroup(group []*job) (bool, error) {
	// The group belongs to several callers: none of their contexts may end it.
	ctx := context.WithoutCancel(group[0].ctx)
	sqlTx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("beginning a write to %q: %w", d.name, d.engine.explain(err))
	}
	tx := &Tx{tx: sqlTx}
	succeeded := 0
	if err := d.engine.lockStore(ctx, tx, d.name); err != nil {
		return false, undo(sqlTx, fmt.Errorf("locking store %q: %w", d.name, err))
	}
	for _, j := range group {
		if err := d.runJob(tx, j); err != nil {
			return false, undo(sqlTx, err)
		}
		if j.err == nil {
			succeeded++
		}
	}
	if succeeded == 0 {
		return false, undo(sqlTx, nil)
	}
	d.mu.Lock()
	hooks := d.hooks
	d.mu.Unlock()
	for _, h := range hooks {
		if err := h(ctx, tx); err != nil {
			return false, undo(sqlTx, fmt.Errorf("before commit to %q: %w", d.name, d.engine.explain(err)))
		}
	}
	if err := sqlTx.Commit(); err != nil {
		return false, fmt.Errorf("committing to %q: %w: %w", d.name, ErrUnknown, d.engine.explain(err))
	}
	return true, nil
}

// runJob runs one write between savepoints. Its own failure is kept in the job;
// the error returned means that the transaction as a whole cannot go on.
func (d *DB) runJob(tx *Tx, j *job) error {
	if err := j.ctx.Err(); err != nil {
		j.err = err
		return nil //nolint:nilerr // the job failed, the group goes on
	}
	ctx := context.WithoutCancel(j.ctx)
	if _, err := tx.tx.ExecContext(ctx, "savepoint job"); err != nil {
		return fmt.Errorf("savepoint in %q: %w", d.name, d.engine.explain(err))
	}
	if err := j.fn(ctx, tx); err != nil {
		j.err = d.engine.explain(err)
		if _, err := tx.tx.ExecContext(ctx, "rollback to savepoint job"); err != nil {
			return fmt.Errorf("undoing a write in %q: %w", d.name, d.engine.explain(err))
		}
	}
	if _, err := tx.tx.ExecContext(ctx, "release savepoint job"); err != nil {
		return fmt.Errorf("releasing a savepoint in %q: %w", d.name, d.engine.explain(err))
	}
	return nil
}

func undo(tx *sql.Tx, err error) error {
	if rerr := tx.Rollback(); rerr != nil && err != nil {
		return fmt.Errorf("%w (and undoing it: %w)", err, rerr)
	}
	return err
}
