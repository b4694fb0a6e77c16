// Package dbtest runs a store test on every engine: SQLite always, PostgreSQL
// when PGDSN names a database. Only tests import it.
package dbtest

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"

	"leitstand/base/db"

	"github.com/jackc/pgx/v5"
)

// Each runs fn once per engine as a subtest, each time with an empty place.
func Each(t *testing.T, fn func(t *testing.T, place db.Place)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { fn(t, db.InDir(t.TempDir())) })
	t.Run("PostgreSQL", func(t *testing.T) { fn(t, Postgres(t)) })
}

// Postgres returns an empty place in the database that PGDSN names, removed
// after the test; without PGDSN the test is skipped.
func Postgres(t *testing.T) db.Place {
	t.Helper()
	url := os.Getenv("PGDSN")
	if url == "" {
		t.Skip("PGDSN is not set: PostgreSQL suite left out")
	}
	prefix := "t" + strings.ToLower(rand.Text()[:10]) + "_"
	t.Cleanup(func() { dropSchemas(t, url, prefix) })
	return db.InPostgres(url, prefix)
}

// URL is the database that PGDSN names, for tests that open a whole room there;
// without PGDSN the test is skipped.
func URL(t *testing.T) string {
	t.Helper()
	url := os.Getenv("PGDSN")
	if url == "" {
		t.Skip("PGDSN is not set: PostgreSQL suite left out")
	}
	return url
}

// Drop removes all schemas with a prefix, for the cleanup of such a test.
func Drop(t *testing.T, url, prefix string) {
	t.Helper()
	if prefix == "" {
		t.Fatal("an empty prefix would remove everything")
	}
	dropSchemas(t, url, prefix)
}

func dropSchemas(t *testing.T, url, prefix string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // t.Context has ended in a cleanup
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Errorf("connecting to drop test schemas: %v", err)
		return
	}
	defer func() { _ = conn.Close(ctx) }() // nothing depends on it
	names, err := db.InPostgres(url, "").Stores(ctx, prefix)
	if err != nil {
		t.Error(err)
	}
	for _, n := range names {
		if _, err := conn.Exec(ctx, "drop schema "+pgx.Identifier{n}.Sanitize()+" cascade"); err != nil {
			t.Errorf("dropping test schema %q: %v", n, err)
		}
	}
}
