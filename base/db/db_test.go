package db_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
)

var notes = db.Migrations{Package: "notes", Steps: []string{
	`create table note (id text primary key, n bigint not null)`,
}}

func open(t *testing.T, p db.Place, m ...db.Migrations) *db.DB {
	t.Helper()
	d, err := p.Open(t.Context(), "room", m...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func insert(d *db.DB, ctx context.Context, id string, n int) error { //nolint:revive // the store reads first here
	return d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `insert into note (id, n) values ($1, $2)`, id, n)
		return err
	})
}

func count(t *testing.T, d *db.DB) int {
	t.Helper()
	var n int
	if err := d.QueryRow(t.Context(), `select count(*) from note`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAFailedWriteOfAGroupLeavesTheOthersAlone(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := open(t, p, notes)
		var wg sync.WaitGroup
		errs := make([]error, 100)
		for i := range errs {
			wg.Go(func() { errs[i] = insert(d, t.Context(), fmt.Sprint(i/2), i) }) // every id twice
		}
		wg.Wait()
		failed := 0
		for _, err := range errs {
			if err != nil {
				failed++
			}
		}
		if got := count(t, d); got != 50 || failed != 50 {
			t.Errorf("%d rows and %d failures, want 50 and 50", got, failed)
		}
	})
}

func TestAnErrorOfTheCallerComesBackAndUndoes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := open(t, p, notes)
		refused := errors.New("refused")
		err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := tx.Exec(ctx, `insert into note (id, n) values ($1, $2)`, "a", 1); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Errorf("error %v, want %v", err, refused)
		}
		if got := count(t, d); got != 0 {
			t.Errorf("%d rows after a refused write, want 0", got)
		}
	})
}

func TestAFailingHookUndoesTheGroup(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := open(t, p, notes)
		d.BeforeCommit(func(context.Context, *db.Tx) error { return errors.New("no head") })
		if err := insert(d, t.Context(), "a", 1); err == nil {
			t.Error("a write with a failing hook was acknowledged")
		}
		if got := count(t, d); got != 0 {
			t.Errorf("%d rows, want 0", got)
		}
	})
}

func TestRowsSurviveReopeningAndANewerStoreIsRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := open(t, p, notes)
		if err := insert(d, t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := insert(d, t.Context(), "b", 1); !errors.Is(err, db.ErrClosed) {
			t.Errorf("writing to a closed store: %v, want %v", err, db.ErrClosed)
		}
		if got := count(t, open(t, p, notes)); got != 1 {
			t.Errorf("%d rows after reopening, want 1", got)
		}
		_, err := p.Open(t.Context(), "room", db.Migrations{Package: "notes"})
		if !errors.Is(err, db.ErrNewer) {
			t.Errorf("older program on newer store: %v, want %v", err, db.ErrNewer)
		}
		stores, err := p.Stores(t.Context(), "ro")
		if err != nil || len(stores) != 1 || stores[0] != "room" {
			t.Errorf("stores %q, %v; want room", stores, err)
		}
	})
}

func TestFollowersWakeAfterACommit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := open(t, p, notes)
		changed := d.Changed()
		select {
		case <-changed:
			t.Fatal("woken without a write")
		default:
		}
		if err := insert(d, t.Context(), "a", 1); err != nil {
			t.Fatal(err)
		}
		<-changed
	})
}

func TestTwoProcessesCannotOwnOneDirectory(t *testing.T) {
	dir := t.TempDir()
	release, err := db.LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.LockDir(dir); !errors.Is(err, db.ErrInUse) {
		t.Errorf("second owner: %v, want %v", err, db.ErrInUse)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if release, err = db.LockDir(dir); err != nil {
		t.Fatalf("after release: %v", err)
	}
	_ = release()
}

func BenchmarkDurableWrite(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			d, err := db.InDir(b.TempDir()).Open(b.Context(), "room", db.Migrations{Package: "b", Steps: []string{
				`create table item (id bigint primary key, body bytea not null)`,
			}})
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			body := make([]byte, 20<<10)
			var mu sync.Mutex
			next := 0
			b.SetParallelism(writers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					mu.Lock()
					next++
					id := next
					mu.Unlock()
					err := d.Write(b.Context(), func(ctx context.Context, tx *db.Tx) error {
						_, err := tx.Exec(ctx, `insert into item (id, body) values ($1, $2)`, id, body)
						return err
					})
					if err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func TestACopyHoldsWhatWasCommittedAndIsAStoreOfItsOwn(t *testing.T) {
	d := open(t, db.InDir(t.TempDir()), notes)
	if err := insert(d, t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := d.CopyTo(t.Context(), dir+"/room.db"); err != nil {
		t.Fatal(err)
	}
	if err := insert(d, t.Context(), "b", 2); err != nil {
		t.Fatal(err)
	}
	if err := d.CopyTo(t.Context(), dir+"/room.db"); err == nil {
		t.Error("a copy was written over an older one")
	}
	if got := count(t, open(t, db.InDir(dir), notes)); got != 1 {
		t.Errorf("%d rows in the copy, want 1", got)
	}
}
