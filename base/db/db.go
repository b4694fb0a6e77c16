package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// ErrClosed says that the store was closed before or while the call waited.
var ErrClosed = errors.New("store is closed")

// ErrUnknown says that a commit failed half-way: the change may or may not be
// durable. Nothing may be acknowledged, and it must not be repeated blindly.
var ErrUnknown = errors.New("outcome of the commit is unknown")

// Tx is one write in progress. Statements go through the embedded methods;
// committing and rolling back is the writer's business.
type Tx struct{ tx *sql.Tx }

// Exec runs a statement and returns the number of rows it touched.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query runs a query; the caller closes the rows.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.tx.QueryContext(ctx, query, args...)
}

// QueryRow runs a query for one row.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return t.tx.QueryRowContext(ctx, query, args...)
}

// Querier is what reading code needs: a [Tx] inside a write, a [DB] outside.
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// Hook runs inside the writer's transaction after a group of writes and before
// its commit; an error undoes the whole group.
type Hook func(ctx context.Context, tx *Tx) error

// DB is one open store.
type DB struct {
	name   string
	file   string // of SQLite; empty on PostgreSQL
	schema []Migrations
	engine engine
	write  *sql.DB // one connection on SQLite, owned by the writer goroutine
	read   *sql.DB

	jobs chan *job
	quit chan struct{} // closed by Close: no further jobs
	done chan struct{} // closed when the writer has stopped

	mu      sync.Mutex
	hooks   []Hook
	changed chan struct{} // closed and replaced after each commit
	closed  bool
}

// Name is the store's name within its place: "room", or "kasse_" and an IK.
func (d *DB) Name() string { return d.name }

// Query reads committed data; the caller closes the rows.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.read.QueryContext(ctx, query, args...)
}

// QueryRow reads one committed row.
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return d.read.QueryRowContext(ctx, query, args...)
}

// Snapshot runs fn on one consistent state of the store, however many commits
// happen meanwhile.
func (d *DB) Snapshot(ctx context.Context, fn func(ctx context.Context, q Querier) error) error {
	tx, err := d.read.BeginTx(ctx, d.engine.snapshot())
	if err != nil {
		return fmt.Errorf("beginning to read %q: %w", d.name, d.engine.explain(err))
	}
	return undo(tx, fn(ctx, &Tx{tx: tx})) // nothing was written
}

// BeforeCommit adds a hook. It must be called before the first Write.
func (d *DB) BeforeCommit(h Hook) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hooks = append(d.hooks, h)
}

// Changed returns a channel that is closed after the next commit in this
// process. Take it before reading, then nothing is missed.
func (d *DB) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Close waits for writes that have begun, refuses those that have not, and
// closes the store. It may be called twice.
func (d *DB) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	close(d.quit)
	d.mu.Unlock()
	<-d.done
	err := d.read.Close()
	if d.write != d.read {
		err = errors.Join(err, d.write.Close())
	}
	if err != nil {
		return fmt.Errorf("closing store %q: %w", d.name, err)
	}
	return nil
}
