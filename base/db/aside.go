package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// What begins the names of stores in PostgreSQL that are not, or no longer, in use.
const (
	freshPrefix = "fresh_"    // being made
	asidePrefix = "replaced_" // kept when another took its place
)

// Replace puts a copy of d, which lies in another place, under its name into
// PostgreSQL, and keeps the store that is there under the returned name. Both happen at
// once; what an interrupted try left is removed by the next. Nobody may have the store open.
func (p Place) Replace(ctx context.Context, d *DB, suffix string) (aside string, err error) {
	if p.url == "" {
		return "", fmt.Errorf("replacing store %q: it lies in a file, which is renamed instead", d.name)
	}
	if err := p.Drop(ctx, freshPrefix+d.name); err != nil {
		return "", err
	}
	if err := d.CopyInto(ctx, InPostgres(p.url, p.dir+freshPrefix)); err != nil {
		return "", err
	}
	aside = asidePrefix + d.name + "_" + suffix
	if !storeName.MatchString(aside) {
		return "", fmt.Errorf("store name %q: want lower-case letters, digits and _", aside)
	}
	names, err := p.Stores(ctx, d.name)
	if err != nil {
		return "", err
	}
	var rename []string
	if slices.Contains(names, d.name) {
		rename = append(rename, renaming(p.dir+d.name, p.dir+aside))
	}
	return aside, p.asOne(ctx, append(rename, renaming(p.dir+freshPrefix+d.name, p.dir+d.name)))
}

func renaming(from, to string) string {
	return `alter schema ` + pgx.Identifier{from}.Sanitize() + ` rename to ` + pgx.Identifier{to}.Sanitize()
}

// Aside lists the stores that were put aside for the store name, or that were being
// made to take its place.
func (p Place) Aside(ctx context.Context, name string) ([]string, error) {
	if p.url == "" {
		return nil, nil
	}
	var out []string
	for _, prefix := range []string{freshPrefix + name, asidePrefix + name + "_"} {
		found, err := p.Stores(ctx, prefix)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// Drop removes stores in PostgreSQL that [Place.Aside] lists, and no others: what is in
// use is dropped by whoever looks after the database.
func (p Place) Drop(ctx context.Context, names ...string) error {
	var drop []string
	for _, n := range names {
		if !strings.HasPrefix(n, freshPrefix) && !strings.HasPrefix(n, asidePrefix) {
			return fmt.Errorf("removing store %q: it is in use", n)
		}
		drop = append(drop, `drop schema if exists `+pgx.Identifier{p.dir + n}.Sanitize()+` cascade`)
	}
	return p.asOne(ctx, drop)
}

// asOne runs statements in one transaction.
func (p Place) asOne(ctx context.Context, statements []string) (err error) {
	conn, err := pgx.Connect(ctx, p.url)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	for _, s := range statements {
		if _, err := tx.Exec(ctx, s); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", s, err), tx.Rollback(context.WithoutCancel(ctx)))
		}
	}
	return tx.Commit(ctx)
}
