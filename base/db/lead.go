package db

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotLeading says that another node has been leading since.
var ErrNotLeading = errors.New("another node leads this room now")

// Lease is one node's right to lead a place in PostgreSQL. It is held by an
// advisory lock of one connection: when the process, its machine or the network
// dies, the server gives it to the next that waits.
//
// Since a node may notice late that it has lost the lock, each lease has a higher
// token than all before, which Guard compares inside every transaction: what a
// former leader still writes is refused by the database, not by its own clock.
type Lease struct {
	Token int64

	conn  *pgx.Conn
	table string
	ctx   context.Context // without the end of the one that Lead got: giving back must not depend on it
	stop  context.CancelFunc
	lost  chan struct{}
	wg    sync.WaitGroup
}

// Lead waits until nobody else leads, or ctx ends. node is for people.
func (p Place) Lead(ctx context.Context, node string, now time.Time) (*Lease, error) {
	if p.url == "" {
		return nil, errors.New("only rooms in PostgreSQL have several nodes")
	}
	cfg, err := pgx.ParseConfig(p.url)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the database: %w", err)
	}
	// The server must notice a dead machine in seconds, not hours.
	cfg.RuntimeParams["tcp_keepalives_idle"] = "5"
	cfg.RuntimeParams["tcp_keepalives_interval"] = "2"
	cfg.RuntimeParams["tcp_keepalives_count"] = "3"
	schema := p.dir + "lead"
	if err := createSchema(ctx, cfg, schema); err != nil {
		return nil, fmt.Errorf("preparing to lead: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connecting to lead: %w", err)
	}
	l := &Lease{conn: conn, table: pgx.Identifier{schema, "lead"}.Sanitize(), lost: make(chan struct{})}
	if err := l.acquire(ctx, schema, node, now); err != nil {
		return nil, errors.Join(fmt.Errorf("waiting to lead: %w", err), conn.Close(context.WithoutCancel(ctx)))
	}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.ctx, l.stop = context.WithoutCancel(ctx), stop
	l.wg.Go(func() {
		defer close(l.lost)
		// Nobody notifies: it returns when the connection is gone.
		for watch.Err() == nil {
			if _, err := conn.WaitForNotification(watch); err != nil {
				return
			}
		}
	})
	return l, nil
}

func (l *Lease) acquire(ctx context.Context, schema, node string, now time.Time) error {
	if _, err := l.conn.Exec(ctx, `select pg_advisory_lock($1)`, advisory("lead "+schema)); err != nil {
		return err
	}
	if _, err := l.conn.Exec(ctx, `create table if not exists `+l.table+` (id bigint primary key, token bigint not null, node text not null, at bigint not null)`); err != nil {
		return err
	}
	// Waits for transactions of the former leader that Guard let through.
	return l.conn.QueryRow(ctx, `insert into `+l.table+` as old (id, token, node, at) values (1, 1, $1, $2)
		on conflict (id) do update set token = old.token + 1, node = excluded.node, at = excluded.at returning token`,
		node, Micro(now)).Scan(&l.Token)
}

// Alone keeps every node from leading until release is called, for work that no
// leader may be disturbed by; ErrNotLeading when one leads. In files, whoever owns the
// directory is alone.
func (p Place) Alone(ctx context.Context) (release func() error, err error) {
	if p.url == "" {
		return func() error { return nil }, nil
	}
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return nil, fmt.Errorf("connecting to be alone: %w", err)
	}
	var ours bool
	if err := conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, advisory("lead "+p.dir+"lead")).Scan(&ours); err != nil {
		return nil, errors.Join(fmt.Errorf("asking whether somebody leads: %w", err), conn.Close(ctx))
	}
	if !ours {
		return nil, errors.Join(ErrNotLeading, conn.Close(ctx))
	}
	return func() error { return conn.Close(context.WithoutCancel(ctx)) }, nil
}

// Guard refuses a transaction of a node that leads no more. It belongs before
// every commit to every store of the place.
func (l *Lease) Guard(ctx context.Context, tx *Tx) error {
	var token int64
	if err := tx.QueryRow(ctx, `select token from `+l.table+` where id = 1 for share`).Scan(&token); err != nil {
		return fmt.Errorf("asking who leads: %w", err)
	}
	if token != l.Token {
		return ErrNotLeading
	}
	return nil
}

// Lost is closed when the lease is gone or was given back.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Close gives the lease back; the next node leads at once.
func (l *Lease) Close() error {
	l.stop()
	l.wg.Wait()
	return l.conn.Close(l.ctx)
}
