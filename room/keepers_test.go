package room_test

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/catalogue"
	"leitstand/room"

	_ "modernc.org/sqlite"
)

func TestEveryTableOfARoomIsAccountedForOrNamedHere(t *testing.T) {
	// What the ledger does not account for, and why.
	known := map[string]string{
		"schema_version":    "of the program",
		"schema_oldest":     "of the program",
		"ledger_entry":      "the ledger itself, which ledger.Verify reads",
		"ledger_hash":       "of the entries",
		"ledger_head":       "of the entries, signed",
		"operation_version": "wakes readers; says nothing",
		"gateway_beat":      "when a node was last heard",
		"source":            "how far a log was read",
		"detector":          "what a correlation remembers",
		"bus_hit":           "hits of other workers that were taken, so that none counts twice",
	}
	data, r := initialised(t)
	for _, k := range r.Keepers() {
		known[k.Table] = "kept"
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	d := file(t, data)
	rows, err := d.QueryContext(t.Context(), `select name from sqlite_master where type = 'table' order by name`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // the error that matters is rows.Err
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if known[name] == "" {
			t.Errorf("table %s has no keeper, and no reason here", name)
		}
		delete(known, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for name := range known {
		t.Errorf("table %s is not there", name)
	}
}

func TestAnAlteredCatalogueWithAHashThatFitsIsFound(t *testing.T) {
	data, r := initialised(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	d := file(t, data)
	var body string
	if err := d.QueryRowContext(t.Context(), `select body from catalogue`).Scan(&body); err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(body, "Ahorn", "Eibe", 1)
	if _, err := d.ExecContext(t.Context(), `update catalogue set body = ?, sha256 = ?`, other, fmt.Sprintf("%x", sha256.Sum256([]byte(other)))); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := room.Open(t.Context(), room.Options{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // it is thrown away
	reports, err := room.Do[[]room.Verified](t.Context(), r, "", "ledger.verify", map[string]bool{"state": true})
	if err != nil || other == body {
		t.Fatal(err, other == body)
	}
	if len(reports) == 0 || len(reports[0].Problems) != 1 || !strings.Contains(fmt.Sprint(reports[0].Problems), "catalogue") {
		t.Errorf("%+v", reports)
	}
}

func initialised(t *testing.T) (data string, r *room.Room) {
	t.Helper()
	cat := catalogue.Example(1)
	data = filepath.Join(t.TempDir(), "room")
	r, err := room.Init(t.Context(), room.Options{Data: data}, room.Setup{
		Name: "Probe", Exercise: true, Catalogue: cat, People: room.PracticePeople(cat.Kassen[0].ID), Owner: "operator",
	})
	if err != nil {
		t.Fatal(err)
	}
	return data, r
}

func file(t *testing.T, data string) *sql.DB {
	t.Helper()
	d, err := sql.Open("sqlite", filepath.Join(data, "room.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // closed already where it matters
	return d
}
