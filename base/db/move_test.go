package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
)

var kinds = db.Migrations{Package: "kinds", Steps: []string{
	`create table kind (id text primary key, n bigint not null, yes boolean not null, bytes bytea not null); insert into kind (id, n, yes, bytes) values ('seed', 1, true, '')`,
	`alter table kind add column further text not null default ''`,
}}

// TestAStoreIsCopiedBetweenEnginesInEitherDirection goes from one place to another
// and back, and compares every value of every type that we store.
func TestAStoreIsCopiedBetweenEnginesInEitherDirection(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", kinds)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := tx.Exec(ctx, `delete from kind`); err != nil {
				return err
			}
			for i := range 700 {
				if _, err := tx.Exec(ctx, `insert into kind (id, n, yes, bytes, further) values ($1, $2, $3, $4, $5)`,
					fmt.Sprintf("k%03d", i), int64(i)<<40, i%2 == 0, bytes.Repeat([]byte{0, byte(i), 0xff}, i%50), "ä\x01"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		files := db.InDir(t.TempDir())
		if err := d.CopyInto(t.Context(), files); err != nil {
			t.Fatal(err)
		}
		if err := d.CopyInto(t.Context(), files); err == nil {
			t.Error("a store was copied over another")
		}
		copied, err := files.AsIs(t.Context(), "room", kinds)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = copied.Close() }()
		if a, b := allKinds(t, d), allKinds(t, copied); a != b || len(a) < 700 {
			t.Errorf("the copy differs: %d and %d bytes", len(a), len(b))
		}
		back := dbtest.Postgres(t)
		if err := copied.CopyInto(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		again, err := back.Open(t.Context(), "room", kinds)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = again.Close() }()
		if a, b := allKinds(t, d), allKinds(t, again); a != b {
			t.Errorf("the copy of the copy differs: %d and %d bytes", len(a), len(b))
		}
	})
}

// TestAStoreIsCopiedWithTheSchemaThatItHas is what a backup before a migration needs.
func TestAStoreIsCopiedWithTheSchemaThatItHas(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		older := db.Migrations{Package: "kinds", Steps: kinds.Steps[:1]}
		d, err := p.Open(t.Context(), "room", older)
		if err != nil || d.Close() != nil {
			t.Fatal(err)
		}
		if d, err = p.Look(t.Context(), "room", kinds); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		files := db.InDir(t.TempDir())
		if err := d.CopyInto(t.Context(), files); err != nil {
			t.Fatal(err)
		}
		copied, err := files.AsIs(t.Context(), "room", older)
		if err != nil {
			t.Fatal(err)
		}
		if err := copied.Close(); err != nil {
			t.Fatal(err)
		}
		unknown, err := p.Look(t.Context(), "room")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unknown.Close() }()
		if err := unknown.CopyInto(t.Context(), db.InDir(t.TempDir())); !errors.Is(err, db.ErrNewer) {
			t.Errorf("what this program does not know was copied: %v", err)
		}
	})
}

func allKinds(t *testing.T, d *db.DB) string {
	t.Helper()
	rows, err := d.Query(t.Context(), `select id, n, yes, bytes, further from kind order by id`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out bytes.Buffer
	for rows.Next() {
		var id, further string
		var n int64
		var yes bool
		var b []byte
		if err := rows.Scan(&id, &n, &yes, &b, &further); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s %d %v %x %q\n", id, n, yes, b, further)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
