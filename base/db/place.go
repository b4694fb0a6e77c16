package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Place is where the stores of a room lie: a directory with SQLite files, or a
// PostgreSQL database with a schema per store.
type Place struct {
	dir string
	url string
}

// InDir is a place of SQLite files: DIR/room.db, DIR/kasse_109034270.db and so on.
func InDir(dir string) Place { return Place{dir: dir} }

// InPostgres is a place of schemas; prefix keeps several rooms apart in one database.
func InPostgres(url, prefix string) Place { return Place{url: url, dir: prefix} }

// Engine names the engine for people.
func (p Place) Engine() string {
	if p.url != "" {
		return "PostgreSQL"
	}
	return "SQLite"
}

// HasPassword says whether the address of a database holds a password, in either of
// the forms that PostgreSQL takes.
func HasPassword(address string) bool {
	if u, err := url.Parse(address); err == nil && u.Scheme != "" {
		_, set := u.User.Password()
		return set || u.Query().Has("password")
	}
	return strings.Contains(address, "password")
}

var storeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,40}$`)

// Open opens or creates the store name and brings it to the newest version of
// all migrations. A store that is newer than this program is refused, unless its
// further steps do not concern it (see [Migrations.Oldest]).
func (p Place) Open(ctx context.Context, name string, migrations ...Migrations) (*DB, error) {
	d, err := p.open(ctx, name)
	if err != nil {
		return nil, err
	}
	d.schema = migrations
	if err := d.migrate(ctx, migrations); err != nil {
		return nil, errors.Join(fmt.Errorf("opening store %q: %w", name, err), d.Close())
	}
	return d, nil
}

func (p Place) open(ctx context.Context, name string) (*DB, error) {
	if !storeName.MatchString(name) {
		return nil, fmt.Errorf("store name %q: want lower-case letters, digits and _", name)
	}
	d := &DB{
		name: name, jobs: make(chan *job), quit: make(chan struct{}),
		done: make(chan struct{}), changed: make(chan struct{}),
	}
	var err error
	if p.url != "" {
		err = d.openPostgres(ctx, p.url, p.dir+name)
	} else {
		err = d.openSQLite(ctx, filepath.Join(p.dir, name+".db"))
	}
	if err != nil {
		return nil, fmt.Errorf("opening store %q: %w", name, err)
	}
	go d.writer() //nolint:contextcheck // it serves all callers and outlives this one
	return d, nil
}

// Stores lists the stores that exist with the given prefix, sorted by name.
func (p Place) Stores(ctx context.Context, prefix string) ([]string, error) {
	if p.url != "" {
		return postgresStores(ctx, p.url, p.dir, prefix)
	}
	files, err := filepath.Glob(filepath.Join(p.dir, prefix+"*.db"))
	if err != nil {
		return nil, fmt.Errorf("listing stores: %w", err)
	}
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".db"))
	}
	return names, nil
}

func (d *DB) openSQLite(ctx context.Context, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	var err error
	d.engine, d.file = sqliteEngine{}, file
	if d.write, err = sql.Open("sqlite", sqliteDSN(file, "immediate")); err != nil {
		return err
	}
	d.write.SetMaxOpenConns(1) // the writer goroutine is alone
	if d.read, err = sql.Open("sqlite", sqliteDSN(file, "deferred")+"&_pragma=query_only(1)"); err != nil {
		return errors.Join(err, d.write.Close())
	}
	d.read.SetMaxOpenConns(4)
	if err := d.write.PingContext(ctx); err != nil {
		return errors.Join(sqliteEngine{}.explain(err), d.read.Close(), d.write.Close())
	}
	return nil
}
