package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
)

var cells = db.Migrations{Package: "cells", Steps: []string{
	`create table cell (id text primary key, state text not null)`,
}}

var cellKeeper = ledger.Keeper{Table: "cell", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
	rows, err := q.Query(ctx, `select id, state from cell order by id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ledger.Row
	for rows.Next() {
		var id, state string
		if err := rows.Scan(&id, &state); err != nil {
			return nil, err
		}
		out = append(out, ledger.Row{Table: "cell", Key: id, Value: map[string]string{"state": state}})
	}
	return out, rows.Err()
}}

type room struct {
	*db.DB
	key ledger.Key
}

func openRoom(t *testing.T, p db.Place) room {
	t.Helper()
	key, err := ledger.LoadKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.Open(t.Context(), "room", ledger.Schema, cells)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := ledger.Attach(d, key); err != nil {
		t.Fatal(err)
	}
	return room{d, key}
}

func (r room) set(t *testing.T, cell, state string) int64 {
	t.Helper()
	var seq int64
	err := r.Write(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		if _, err := tx.Exec(ctx, `insert into cell (id, state) values ($1, $2)
			on conflict (id) do update set state = excluded.state`, cell, state); err != nil {
			return err
		}
		seq, err = ledger.Append(ctx, tx, ledger.Entry{
			At: time.Now(), Actor: "anna", Kind: "cell.changed", Subject: cell, Reason: "Übung <1>",
			Rows: []ledger.Row{{Table: "cell", Key: cell, Value: map[string]string{"state": state}}},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// tamper changes the store as somebody would who has its password.
func (r room) tamper(t *testing.T, statements ...string) {
	t.Helper()
	err := r.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (r room) verify(t *testing.T, outside ...string) []ledger.Problem {
	t.Helper()
	rep, err := ledger.Verify(t.Context(), r.DB, r.key.Public, outside...)
	if err != nil {
		t.Fatal(err)
	}
	return rep.Problems
}

func TestEveryKindOfTamperingIsFoundAndNamed(t *testing.T) {
	tests := []struct {
		name string
		do   []string
		kind string
		from int64
	}{
		{"nothing", nil, "", 0},
		{"altered", []string{`update ledger_entry set body = replace(body, 'anna', 'otto') where seq = 4`}, "altered", 4},
		{"missing in the middle", []string{`delete from ledger_entry where seq = 5`}, "missing", 5},
		{"two swapped", []string{
			`update ledger_entry set seq = 99 where seq = 3`, `update ledger_entry set seq = 3 where seq = 6`,
			`update ledger_entry set seq = 6 where seq = 99`,
		}, "reordered", 3},
		{"cut off", []string{`delete from ledger_entry where seq > 7`}, "cut_off", 8},
		{"head forged", []string{`update ledger_head set note = replace(note, 'leitstand ledger', 'leitstand leadger') where size = 8`}, "head", 0},
	}
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				r := openRoom(t, subPlace(t, p))
				for n := range 8 {
					r.set(t, fmt.Sprintf("cell %d", n%3), fmt.Sprint(n))
				}
				r.tamper(t, append(tt.do, `select 1`)...)
				got := r.verify(t)
				if tt.kind == "" {
					if len(got) != 0 {
						t.Errorf("an untouched ledger has problems: %v", got)
					}
					return
				}
				if len(got) == 0 || got[0].Kind != tt.kind || got[0].From != tt.from {
					t.Errorf("problems %v, want first %s at %d", got, tt.kind, tt.from)
				}
			})
		}
	})
}

// subPlace gives each case a store of its own.
func subPlace(t *testing.T, p db.Place) db.Place {
	t.Helper()
	if p.Engine() == "SQLite" {
		return db.InDir(t.TempDir())
	}
	return dbtest.Postgres(t)
}

func TestAThiefOfTheDatabaseCannotShortenWhatAWitnessHolds(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		r := openRoom(t, p)
		for n := range 6 {
			r.set(t, "cell", fmt.Sprint(n))
		}
		head, ok, err := ledger.Newest(t.Context(), r, r.key.Public)
		if err != nil || !ok {
			t.Fatal(head, ok, err)
		}
		// Entries 5 and 6 go, with every trace of them in the store.
		r.tamper(t, `delete from ledger_entry where seq > 4`, `delete from ledger_head where size > 4`)
		if got := r.verify(t); len(got) != 0 {
			t.Fatalf("the test is blind: without a witness the cut shows already: %v", got)
		}
		got := r.verify(t, head.Note)
		if len(got) != 1 || got[0].Kind != "cut_off" || got[0].From != 5 || got[0].To != 6 {
			t.Errorf("problems %v, want cut off 5 to 6", got)
		}
	})
}

func TestAnAlteredRowIsFoundInTheState(t *testing.T) {
	tests := map[string]string{
		"altered":   `update cell set state = 'running' where id = 'b'`,
		"removed":   `delete from cell where id = 'b'`,
		"smuggled":  `insert into cell (id, state) values ('c', 'cut')`,
		"untouched": `select 1`,
	}
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		for name, do := range tests {
			t.Run(name, func(t *testing.T) {
				r := openRoom(t, subPlace(t, p))
				r.set(t, "a", "cut")
				r.set(t, "b", "running")
				r.set(t, "b", "cut")
				r.tamper(t, do)
				got, err := ledger.VerifyState(t.Context(), r, cellKeeper)
				if err != nil {
					t.Fatal(err)
				}
				if want := name != "untouched"; (len(got) == 1) != want {
					t.Errorf("problems %v", got)
				}
			})
		}
	})
}

func TestARefusedChangeLeavesNoEntry(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		r := openRoom(t, p)
		r.set(t, "a", "cut")
		refused := errors.New("refused")
		err := r.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := ledger.Append(ctx, tx, ledger.Entry{At: time.Now(), Actor: "anna", Kind: "x.y"}); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		if seq := r.set(t, "a", "running"); seq != 2 {
			t.Errorf("next entry has number %d, want 2", seq)
		}
		if got := r.verify(t); len(got) != 0 {
			t.Errorf("problems %v", got)
		}
	})
}

func TestTheExportHoldsTheHashedTextAndAllHeads(t *testing.T) {
	r := openRoom(t, db.InDir(t.TempDir()))
	r.set(t, "a", "cut")
	r.set(t, "a", "running")
	var buf bytes.Buffer
	if err := ledger.Export(t.Context(), r.DB, r.key.Public, &buf); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines, want key, two entries, two heads:\n%s", len(lines), buf.String())
	}
	var e struct{ Body string }
	if err := json.Unmarshal([]byte(lines[1]), &e); err != nil || !strings.Contains(e.Body, `"seq":1`) {
		t.Errorf("first entry %q: %v", lines[1], err)
	}
}

func TestAMissingKeyBesideStoresIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	d, err := db.InDir(dir).Open(t.Context(), "room", ledger.Schema)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := ledger.LoadKey(dir); err == nil {
		t.Error("a new key was made beside an existing store")
	}
}

func BenchmarkAppend(b *testing.B) {
	key, err := ledger.NewKey("bench")
	if err != nil {
		b.Fatal(err)
	}
	d, err := db.InDir(b.TempDir()).Open(b.Context(), "room", ledger.Schema)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if err := ledger.Attach(d, key); err != nil {
		b.Fatal(err)
	}
	for _, par := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", par), func(b *testing.B) {
			b.SetParallelism(par)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					err := d.Write(b.Context(), func(ctx context.Context, tx *db.Tx) error {
						_, err := ledger.Append(ctx, tx, ledger.Entry{At: time.Now(), Actor: "a", Kind: "b.c", Subject: "d"})
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
