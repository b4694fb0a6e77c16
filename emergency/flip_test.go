package emergency_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/emergency"
)

// notEvidence are places of a journal that Verify need not account for, and why.
var notEvidence = map[string]string{
	"journal_batch.attempts":   "a note of whoever sends the batch",
	"journal_batch.holder":     "a note of whoever sends the batch",
	"journal_batch.lease":      "a note of whoever sends the batch",
	"journal_batch.next":       "a note of whoever sends the batch",
	"journal_batch.took":       "a measurement for forecasts",
	"journal_key.at":           "nobody relies on it",
	"journal_key.seq":          "only the order of keys, all of which open",
	"journal_key.wrapped":      "authenticated: opening fails, and with it every unlock",
	"journal_meta.name":        "without it nothing is accepted",
	"journal_meta.value":       "keyed hashes no longer fit: every key looks new",
	"journal_standing.subject": "a keyed hash for look-ups; the ledger must not have it",
	"ledger_head.at":           "signed to the second; below is a note",
	"schema_oldest.package":    "which programs may open the store, not what is in it",
	"schema_oldest.version":    "which programs may open the store, not what is in it",
	"schema_version.package":   "the store does not open",
	"schema_version.version":   "the store does not open",
}

// place is one value of a store.
type cell struct {
	table, column string
	row           int64
	value         any
}

// TestAFlippedByteAnywhereInAJournalIsFound flips one byte, or adds one to a
// number, in every column of every table of a journal that was used for
// everything, one after the other.
func TestAFlippedByteAnywhereInAJournalIsFound(t *testing.T) {
	j := usedJournal(t)
	verify(t, j)
	var blind []string
	tried := 0
	for _, c := range cells(t, j) {
		name := c.table + "." + c.column
		if notEvidence[name] != "" {
			continue
		}
		flipped, ok := flip(c.value)
		if !ok {
			continue
		}
		if !put(t, j, c, flipped) {
			continue // the store itself refuses it
		}
		tried++
		if !found(t, j) {
			blind = append(blind, name)
		}
		if !put(t, j, c, c.value) {
			t.Fatalf("%s: not put back", name)
		}
	}
	slices.Sort(blind)
	if blind = slices.Compact(blind); len(blind) > 0 {
		t.Errorf("a flipped byte is not found in: %s", strings.Join(blind, " "))
	}
	if tried < 100 {
		t.Errorf("only %d places were tried", tried)
	}
	verify(t, j)
}

// usedJournal is a journal with items in every state, batches, receipts, remarks,
// a conflict and erased bodies.
func usedJournal(t *testing.T) *emergency.Journal {
	t.Helper()
	ctx := t.Context()
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	reg := newRegular(t)
	h := reg.handover(j)
	accept(t, j, "1", "2")
	drain(t, h)
	if _, err := h.Reconcile(ctx, t0, actor); err != nil {
		t.Fatal(err)
	}
	if n, err := j.Erase(ctx, t0.Add(time.Hour), t0.Add(time.Hour), actor, "Frist"); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	reg.judge = func(it emergency.ParcelItem) (emergency.State, string) {
		if string(it.Body) == "body of bad" {
			return emergency.Rejected, "KV-17"
		}
		return emergency.Applied, ""
	}
	person := draft("person")
	person.Person = "A123456789"
	_, err := j.Accept(ctx, place, 1, t0, actor, draft("bad"), person)
	must(t, err)
	drain(t, h)
	held := draft("held")
	held.Hold = &emergency.Hold{Reason: "unlesbar", Owner: "Postkorb", Deadline: t0.Add(time.Hour)}
	_, err = j.Accept(ctx, place, 1, t0, actor, held, draft("open"))
	must(t, err)
	return j
}

func cells(t *testing.T, j *emergency.Journal) []cell {
	t.Helper()
	type column struct{ table, name string }
	columns, err := db.Collect(t.Context(), j.Store(), func(r *sql.Rows) (column, error) {
		var c column
		err := r.Scan(&c.table, &c.name)
		return c, err
	}, `select m.name, c.name from sqlite_schema m, pragma_table_info(m.name) c where m.type = 'table' and m.name not like 'sqlite_%' order by 1, 2`)
	must(t, err)
	var out []cell
	for _, c := range columns {
		got, err := db.Collect(t.Context(), j.Store(), func(r *sql.Rows) (cell, error) {
			x := cell{table: c.table, column: c.name}
			err := r.Scan(&x.row, &x.value)
			return x, err
		}, fmt.Sprintf(`select rowid, %q from %q`, c.name, c.table))
		must(t, err)
		out = append(out, got...)
	}
	return out
}

// flip changes one bit of a value; an empty one has none.
func flip(v any) (any, bool) {
	switch v := v.(type) {
	case int64:
		return v ^ 1, true
	case string:
		if v == "" {
			return nil, false
		}
		b := []byte(v)
		b[len(b)/2] ^= 1
		return string(b), true
	case []byte:
		if len(v) == 0 {
			return nil, false
		}
		b := slices.Clone(v)
		b[len(b)/2] ^= 1
		return b, true
	}
	return nil, false
}

// put writes a value; false means that the store's own rules refuse it.
func put(t *testing.T, j *emergency.Journal, c cell, value any) bool {
	t.Helper()
	return j.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, fmt.Sprintf(`update %q set %q = $1 where rowid = $2`, c.table, c.column), value, c.row)
		return err
	}) == nil
}

// found reports whether verification notices, be it by an error.
func found(t *testing.T, j *emergency.Journal) bool {
	t.Helper()
	rep, err := j.Verify(t.Context())
	return err != nil || len(rep.Problems) > 0
}
