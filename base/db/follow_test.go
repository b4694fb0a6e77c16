package db_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
)

var followed = db.Migrations{Package: "followed", Steps: []string{`
	create table item (place text not null, n bigint not null, rank bigint not null unique, body bytea not null, yes boolean not null, primary key (place, n));
	create table part (id text primary key, place text not null, n bigint not null, foreign key (place, n) references item (place, n));
	create table loose (text text not null);
`}}

// contents are all rows of a store, in an order of their own.
func contents(t *testing.T, d *db.DB) string {
	t.Helper()
	var b strings.Builder
	for _, query := range []string{
		`select place || '/' || cast(n as text) || '/' || cast(rank as text) || '/' || cast(length(body) as text) || '/' || case when yes then 'y' else 'n' end from item order by 1`,
		`select id || '/' || place || '/' || cast(n as text) from part order by 1`,
		`select text from loose order by 1`,
	} {
		rows, err := db.Collect(t.Context(), d, func(r *sql.Rows) (s string, err error) { return s, r.Scan(&s) }, query)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&b, strings.Join(rows, "\n"))
	}
	return b.String()
}

func exec(t *testing.T, d *db.DB, statements ...string) {
	t.Helper()
	if err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func follower(t *testing.T) (d *db.DB, f *db.Follower, same func(what string)) {
	t.Helper()
	d, err := dbtest.Postgres(t).Open(t.Context(), "room", followed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	dir := filepath.Join(t.TempDir(), "following")
	if f, err = d.Follow(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("the follower left %v %v", left, err)
		}
	})
	return d, f, func(what string) {
		t.Helper()
		if err := f.Step(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if have, want := contents(t, f.File()), contents(t, d); have != want {
			t.Fatalf("%s: the file has\n%s\nthe store\n%s", what, have, want)
		}
	}
}

// TestAFollowerHasWhatTheStoreHas tries what tells an imprecise follower apart: values
// that change places, keys that change, rows that go and come back, tables without a key,
// a transaction that was under way while the follower looked.
func TestAFollowerHasWhatTheStoreHas(t *testing.T) {
	d, f, same := follower(t)
	same("empty")
	exec(t, d, `insert into item values ('a', 1, 10, 'x', true), ('a', 2, 20, 'xx', false), ('b', 1, 30, '', true)`,
		`insert into part values ('p', 'a', 1)`, `insert into loose values ('eins'), ('eins')`)
	same("rows")
	exec(t, d, `update item set rank = -1 where rank = 10`, `update item set rank = 10 where rank = 20`, `update item set rank = 20 where rank = -1`)
	same("values changed places")
	exec(t, d, `update item set n = 7 where place = 'b'`)
	same("a key changed")
	exec(t, d, `delete from part`, `delete from item where place = 'a' and n = 1`, `insert into item values ('c', 1, 20, 'neu', true)`, `insert into part values ('q', 'c', 1)`)
	same("a row went and another took its place")
	exec(t, d, `insert into loose values ('zwei')`, `delete from loose where text = 'eins'`)
	same("a table without a key")
	exec(t, d, `delete from part`, `delete from item`, `delete from loose`)
	same("everything went")

	begun, finish, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- d.Write(context.WithoutCancel(t.Context()), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `insert into item values ('langsam', 1, 1, 'x', true)`)
			close(begun)
			<-finish
			return err
		})
	}()
	<-begun
	// Another store is written to meanwhile: newer transactions than the slow one have ended.
	other, err := dbtest.Postgres(t).Open(t.Context(), "other", followed)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	exec(t, other, `insert into loose values ('x')`)
	same("a write under way")
	close(finish)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	same("the write that was under way")
	if !strings.Contains(contents(t, f.File()), "langsam") {
		t.Error("the slow row never came")
	}
}

// TestAFollowerOfRandomWritesNeverDiffers.
func TestAFollowerOfRandomWritesNeverDiffers(t *testing.T) {
	d, f, same := follower(t)
	rng := rand.New(rand.NewPCG(3, 1))
	rank := 0
	for round := range 40 {
		var do []string
		for range 1 + rng.IntN(8) {
			n := rng.IntN(12)
			rank++
			switch rng.IntN(5) {
			case 0, 1:
				do = append(do, fmt.Sprintf(`insert into item values ('r', %d, %d, '%s', true) on conflict (place, n) do update set rank = excluded.rank, body = excluded.body`, n, rank, strings.Repeat("x", rng.IntN(3000))))
			case 2:
				do = append(do, fmt.Sprintf(`delete from part where n = %d`, n), fmt.Sprintf(`delete from item where n = %d`, n))
			case 3:
				do = append(do, fmt.Sprintf(`insert into part select 'p%d', place, n from item where n = %d`, rank, n))
			case 4:
				do = append(do, fmt.Sprintf(`insert into loose values ('%d')`, n), fmt.Sprintf(`delete from loose where text = '%d'`, rng.IntN(12)))
			}
		}
		exec(t, d, do...)
		same(fmt.Sprintf("round %d: %q", round, do))
	}
	// The file is a store of the same schema: what reads stores, reads it.
	pages := int64(0)
	if err := f.File().Pages(t.Context(), func(_ int, n int64) error { pages = n; return nil }, func(int64, []byte) error { return nil }); err != nil || pages == 0 {
		t.Errorf("%d pages, %v", pages, err)
	}
}

func TestAStoreInAFileIsNotFollowed(t *testing.T) {
	d, err := db.InDir(t.TempDir()).Open(t.Context(), "room", followed)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if _, err := d.Follow(t.TempDir()); err == nil {
		t.Error("a file follows itself")
	}
}
