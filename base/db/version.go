package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Version is how far one package's schema has come in a store.
type Version struct {
	Steps  int // that were taken
	Oldest int // a program with this many steps can still use it; 0: only one with all
}

// Versions are those of all packages of a store.
type Versions map[string]Version

// ErrOlder says that a store waits for a migration, which only its owner makes.
var ErrOlder = errors.New("store is older than this program: the room must be opened by a program of this version first")

// Step is one package whose schema a program and a store do not share.
type Step struct {
	Package string `json:"package"`
	From    int    `json:"from"` // of the store
	To      int    `json:"to"`   // of the program
}

// Missing lists what a program with these migrations would change in the store.
// A package that the store does not know at all counts from 0.
func (v Versions) Missing(ms ...Migrations) []Step {
	var out []Step
	for _, m := range ms {
		if have := v[m.Package].Steps; have < len(m.Steps) {
			out = append(out, Step{Package: m.Package, From: have, To: len(m.Steps)})
		}
	}
	return out
}

// Newer is nil when a program with these migrations may use the store. A store with
// more steps is refused, unless whoever wrote them has said that they do not
// concern older programs.
func (v Versions) Newer(ms ...Migrations) error {
	for _, m := range ms {
		if have := v[m.Package]; have.Steps > len(m.Steps) && (have.Oldest == 0 || have.Oldest > len(m.Steps)) {
			return fmt.Errorf("schema %q has version %d, this program knows %d: %w", m.Package, have.Steps, len(m.Steps), ErrNewer)
		}
	}
	return nil
}

// versions reads how far the store's schema has come; nothing is changed.
func (d *DB) versions(ctx context.Context) (Versions, error) {
	out := Versions{}
	for _, t := range []struct{ table, query string }{
		{"schema_version", `select package, version, 0 from schema_version`},
		{"schema_oldest", `select v.package, v.version, o.version from schema_version v join schema_oldest o on o.package = v.package`},
	} {
		var n int
		if err := d.read.QueryRowContext(ctx, d.engine.hasTable(), t.table).Scan(&n); err != nil {
			return nil, d.engine.explain(err)
		}
		if n == 0 {
			return out, nil
		}
		if err := scanVersions(ctx, d.read, out, t.query); err != nil {
			return nil, d.engine.explain(err)
		}
	}
	return out, nil
}

func scanVersions(ctx context.Context, q *sql.DB, into Versions, query string) error {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	for rows.Next() {
		var name string
		var v Version
		if err := rows.Scan(&name, &v.Steps, &v.Oldest); err != nil {
			return err
		}
		into[name] = v
	}
	return rows.Err()
}

// Versions reads how far the schemas of all stores with a prefix have come, and
// changes nothing. A store that cannot be read is in broken.
func (p Place) Versions(ctx context.Context, prefix string) (all map[string]Versions, broken map[string]error, err error) {
	names, err := p.Stores(ctx, prefix)
	if err != nil {
		return nil, nil, err
	}
	all, broken = map[string]Versions{}, map[string]error{}
	read := p.versionsInFile
	if p.url != "" {
		cfg, err := pgx.ParseConfig(p.url)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the address of the database: %w", err)
		}
		pool := stdlib.OpenDB(*cfg)
		pool.SetMaxOpenConns(1)
		defer func() { _ = pool.Close() }() // only read
		read = func(ctx context.Context, name string) (Versions, error) {
			return versionsInSchema(ctx, pool, p.dir+name)
		}
	}
	for _, name := range names {
		v, err := read(ctx, name)
		if err != nil {
			broken[name] = fmt.Errorf("reading the versions in %q: %w", name, err)
			continue
		}
		all[name] = v
	}
	return all, broken, nil
}

func (p Place) versionsInFile(ctx context.Context, name string) (Versions, error) {
	file := filepath.Join(p.dir, name+".db")
	pool, err := sql.Open("sqlite", sqliteDSN(file, "deferred")+"&_pragma=query_only(1)")
	if err != nil {
		return nil, err
	}
	d := &DB{name: name, file: file, engine: sqliteEngine{}, read: pool}
	v, err := d.versions(ctx)
	return v, errors.Join(err, pool.Close())
}

func versionsInSchema(ctx context.Context, pool *sql.DB, schema string) (Versions, error) {
	out := Versions{}
	for _, t := range []struct{ table, query string }{
		{"schema_version", `select package, version, 0 from %[1]s`},
		{"schema_oldest", `select v.package, v.version, o.version from %[2]s v join %[1]s o on o.package = v.package`},
	} {
		var n int
		if err := pool.QueryRowContext(ctx, `select count(*) from pg_tables where schemaname = $1 and tablename = $2`, schema, t.table).Scan(&n); err != nil {
			return nil, err
		}
		if n == 0 {
			return out, nil
		}
		if err := scanVersions(ctx, pool, out, fmt.Sprintf(t.query, quoted(schema, t.table), quoted(schema, "schema_version"))); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Look opens a store that exists whatever its versions, and changes nothing of its
// schema: to copy it before it is migrated. ms are what this program knows.
func (p Place) Look(ctx context.Context, name string, ms ...Migrations) (*DB, error) {
	names, err := p.Stores(ctx, name)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, name) {
		return nil, fmt.Errorf("opening store %q: it does not exist", name)
	}
	d, err := p.open(ctx, name)
	if err != nil {
		return nil, err
	}
	d.schema = ms
	return d, nil
}

// AsIs opens a store that exists without changing its schema, for those who follow
// it. ErrOlder and ErrNewer when these migrations do not fit.
func (p Place) AsIs(ctx context.Context, name string, ms ...Migrations) (*DB, error) {
	d, err := p.Look(ctx, name, ms...)
	if err != nil {
		return nil, err
	}
	v, err := d.versions(ctx)
	if err == nil {
		err = v.Newer(ms...)
	}
	if missing := v.Missing(ms...); err == nil && len(missing) > 0 {
		err = fmt.Errorf("schema %q has version %d, this program needs %d: %w", missing[0].Package, missing[0].From, missing[0].To, ErrOlder)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening store %q: %w", name, err), d.Close())
	}
	return d, nil
}
