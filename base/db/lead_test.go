package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
)

func TestOneNodeLeadsAndAFormerLeaderCannotWrite(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		if p.Engine() == "SQLite" {
			if _, err := p.Lead(t.Context(), "a", time.Now()); err == nil {
				t.Error("a directory of files has one process, not nodes")
			}
			return
		}
		d, err := p.Open(t.Context(), "room", db.Migrations{Package: "x", Steps: []string{`create table a (n bigint primary key)`}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		first, err := p.Lead(t.Context(), "a", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		d.BeforeCommit(first.Guard)
		put := func(n int) error {
			return d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.Exec(ctx, `insert into a (n) values ($1)`, n)
				return err
			})
		}
		if err := put(1); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := p.Lead(short, "b", time.Now()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("two nodes lead: %v", err)
		}
		led := make(chan *db.Lease, 1)
		go func() {
			l, err := p.Lead(t.Context(), "b", time.Now())
			if err != nil {
				t.Error(err)
			}
			led <- l
		}()
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		<-first.Lost()
		second := <-led
		if second.Token <= first.Token {
			t.Errorf("token %d after %d", second.Token, first.Token)
		}
		if err := put(2); !errors.Is(err, db.ErrNotLeading) {
			t.Errorf("the former leader wrote: %v", err)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestNodesThatStartAtOnceDoNotFailOnEachOthersSchema(t *testing.T) {
	for range 20 {
		p := dbtest.Postgres(t)
		start, done := make(chan struct{}), make(chan error)
		const nodes = 4
		for range nodes {
			go func() {
				<-start
				d, err := p.Open(t.Context(), "room", db.Migrations{Package: "x", Steps: []string{`create table a (n bigint primary key)`}})
				if err == nil {
					err = d.Close()
				}
				done <- err
			}()
		}
		close(start)
		for range nodes {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
}
