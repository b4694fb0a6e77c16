package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

type postgresEngine struct{ schema string }

// lockStore serialises the writers of all processes: the ledger's order is the
// order of these locks.
func (e postgresEngine) lockStore(ctx context.Context, tx *Tx, _ string) error {
	_, err := tx.Exec(ctx, "select pg_advisory_xact_lock($1)", advisory(e.schema))
	return err
}

func (postgresEngine) snapshot() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (postgresEngine) hasTable() string {
	return `select count(*) from pg_tables where schemaname = current_schema() and tablename = $1`
}

func (postgresEngine) tables() string {
	return `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = current_schema() and c.relkind = 'r' order by c.oid`
}

func (postgresEngine) columns() string {
	return `select column_name, data_type = 'boolean' from information_schema.columns where table_schema = current_schema() and table_name = $1 order by ordinal_position`
}

func (postgresEngine) explain(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case "53100":
		return fmt.Errorf("%w (%w)", ErrDiskFull, err)
	case "25006":
		return fmt.Errorf("%w (%w)", ErrReadOnly, err)
	case "XX001", "XX002":
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return err
}

func (d *DB) openPostgres(ctx context.Context, url, schema string) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("reading the address of the database: %w", err)
	}
	if err := createSchema(ctx, cfg, schema); err != nil {
		return err
	}
	cfg.RuntimeParams["search_path"] = schema
	// A commit that a replica-less server could forget is no commit for us.
	cfg.RuntimeParams["synchronous_commit"] = "on"
	// A process that was cut off in the middle of a transaction holds the lock of all
	// writers: the server notices within 11 seconds and undoes it. No effect on sockets of one machine.
	cfg.RuntimeParams["tcp_keepalives_idle"], cfg.RuntimeParams["tcp_keepalives_interval"], cfg.RuntimeParams["tcp_keepalives_count"] = "5", "2", "3"
	cfg.RuntimeParams["tcp_user_timeout"] = "11000" // milliseconds
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(6)
	pool.SetMaxIdleConns(2)
	d.engine, d.read, d.write = postgresEngine{schema: schema}, pool, pool
	if err := pool.PingContext(ctx); err != nil {
		return errors.Join(err, pool.Close())
	}
	return nil
}

func createSchema(ctx context.Context, cfg *pgx.ConnConfig, schema string) error {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is lost with this connection
	var exists bool
	if err := conn.QueryRow(ctx, "select exists(select 1 from pg_namespace where nspname = $1)", schema).Scan(&exists); err != nil {
		return err
	}
	if exists {
		return nil
	}
	// Two nodes may start at once, and "if not exists" alone looks before it locks:
	// the slower one would fail on the server's own index. The lock ends with the connection.
	if _, err := conn.Exec(ctx, `select pg_advisory_lock($1)`, advisory("schema "+schema)); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "create schema if not exists "+pgx.Identifier{schema}.Sanitize())
	return err
}

// advisory is the number of a lock that the server keeps by name.
func advisory(name string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("leitstand " + name)) // a hash never fails to write
	return int64(h.Sum64())
}

func postgresStores(ctx context.Context, url, place, prefix string) ([]string, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the database: %w", err)
	}
	pool := stdlib.OpenDB(*cfg)
	defer func() { _ = pool.Close() }() // read-only use
	return scanNames(ctx, pool, place, place+prefix)
}

func scanNames(ctx context.Context, pool *sql.DB, place, prefix string) ([]string, error) {
	all, err := scanColumn(ctx, pool, "select nspname from pg_namespace order by nspname")
	if err != nil {
		return nil, fmt.Errorf("listing schemas: %w", err)
	}
	var names []string
	for _, n := range all {
		if strings.HasPrefix(n, prefix) {
			names = append(names, strings.TrimPrefix(n, place))
		}
	}
	return names, nil
}

// scanColumn reads one column of text.
func scanColumn(ctx context.Context, pool *sql.DB, query string, args ...any) ([]string, error) {
	rows, err := pool.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // the error that matters is rows.Err
	var out []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// quoted is a name within a schema, safe in a statement.
func quoted(schema, name string) string { return pgx.Identifier{schema, name}.Sanitize() }
