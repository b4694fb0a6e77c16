package db_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
)

func TestPagesAreOneStateHoweverMuchIsWrittenMeanwhile(t *testing.T) {
	dir := t.TempDir()
	d, err := db.InDir(dir).Open(t.Context(), "room", db.Migrations{Package: "x", Steps: []string{
		`create table a (n bigint primary key, v text not null); create table b (n bigint primary key, v text not null)`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	both := func(n int) {
		if err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			for _, table := range []string{"a", "b"} {
				if _, err := tx.Exec(ctx, `insert into `+table+` (n, v) values ($1, $2)`, n, string(make([]byte, 3000))); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	for n := range 50 {
		both(n)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 50; ctx.Err() == nil; n++ {
			both(n)
		}
	})
	for range 20 {
		copied := t.TempDir()
		f, err := os.Create(filepath.Join(copied, "room.db"))
		if err != nil {
			t.Fatal(err)
		}
		err = d.Pages(t.Context(), func(int, int64) error { return nil }, func(_ int64, b []byte) error {
			_, err := f.Write(b)
			return err
		})
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		c, err := db.InDir(copied).Open(t.Context(), "room")
		if err != nil {
			t.Fatal(err)
		}
		var inA, inB int
		var sound string
		err = errors.Join(
			c.QueryRow(t.Context(), `select (select count(*) from a), (select count(*) from b)`).Scan(&inA, &inB),
			c.QueryRow(t.Context(), `pragma integrity_check`).Scan(&sound), c.Close())
		if err != nil || inA != inB || inA < 50 || sound != "ok" {
			t.Fatalf("a copy with %d and %d rows, %q: %v", inA, inB, sound, err)
		}
	}
	stop()
	wg.Wait()
}

func TestPagesOfAPostgreSQLStoreAreItsOwnToolsBusiness(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		if p.Engine() == "SQLite" {
			return
		}
		d, err := p.Open(t.Context(), "room")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		if err := d.Pages(t.Context(), nil, nil); !errors.Is(err, db.ErrNoCopy) {
			t.Errorf("%v, want %v", err, db.ErrNoCopy)
		}
	})
}
