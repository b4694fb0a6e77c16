package room_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/gateway"
	"leitstand/room"
	"leitstand/warning"
)

func spoolEntries(t *testing.T, r *room.Room) (out []map[catalogue.PlacementID]gateway.SpoolBook) {
	t.Helper()
	entries, err := ledger.About(t.Context(), r.Store, "spool:tor-1", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var of map[catalogue.PlacementID]gateway.SpoolBook
		if err := json.Unmarshal(e.Data, &of); err != nil {
			t.Fatal(err)
		}
		out = append(out, of)
	}
	return out
}

// What was kept is counted in the ledger when the door changes, and a spool that
// holds less than the ledger says is an alarm.
func TestTheLedgerSaysWhatTheSpoolKeptWhenADoorChanges(t *testing.T) {
	r, p := practice(t)
	d, err := r.OpenDoors(t.Context(), doorsConfig(p, "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	step := func() {
		t.Helper()
		for range 2 {
			if err := errors.Join(d.Step(t.Context()), d.Report(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := do[room.Ordered](t, r, "lead", "measure.order", containment.Plan{
		Title: "Trennen", Stage: 1, Reason: "Test", Selection: containment.Selection{Placements: []catalogue.PlacementID{p.ID}},
	})
	do[room.Outcome](t, r, "operator", "approve", map[string]string{"id": o.Consent.ID})
	step()
	for _, body := range []string{"eins", "zwei", "drei"} {
		if w := atDoor(t, d.Gateway, http.MethodPost, "/antrag", body); w.Code != 202 {
			t.Fatal(w.Code)
		}
	}
	step()
	if got := spoolEntries(t, r); len(got) != 0 {
		t.Fatalf("an entry for each request: %+v", got)
	}
	measures := do[[]containment.Measure](t, r, "", "measure.list", nil)
	c := do[access.Consent](t, r, "lead", "measure.undo", map[string]any{"id": measures[0].ID, "reason": "Fehlalarm"})
	do[room.Outcome](t, r, "operator", "approve", map[string]string{"id": c.ID})
	step()
	books := d.Spool.Books()[p.ID]
	got := spoolEntries(t, r)
	if len(got) != 1 || got[0][p.ID] != books || books.Kept != 3 || books.Open != 3 || len(books.Hash) != 64 {
		t.Fatalf("%+v, want %+v", got, books)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, contradicted := range []bool{false, true} {
		if contradicted { // somebody takes the file away
			if err := os.Remove(filepath.Join(dataOf(t, r), "spool", string(p.Kasse)+".spool")); err != nil {
				t.Fatal(err)
			}
		}
		if d, err = r.OpenDoors(t.Context(), doorsConfig(p, "http://127.0.0.1:1")); err != nil {
			t.Fatal(err)
		}
		step()
		all, err := warning.List(t.Context(), r.Store)
		if err != nil || len(all) > 0 != contradicted || contradicted && all[0].Rule != "spool.contradicted" {
			t.Errorf("the file is gone: %t, signals: %+v, %v", contradicted, all, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
