package room_test

import (
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
	"leitstand/room"
	"leitstand/warning"
)

// In immediate danger one person cuts; when nobody confirms in time people are
// told, once, and the cut stays.
func TestACutThatNobodyConfirmsIsASignalAndStays(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	cat := catalogue.Example(1)
	r, err := room.Init(t.Context(), room.Options{Data: t.TempDir() + "/room", Clock: func() time.Time { return now }}, room.Setup{
		Name: "Test", Exercise: true, Catalogue: cat, People: room.PracticePeople(cat.Kassen[0].ID), Owner: "operator",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // everything is read below
	o := do[room.Ordered](t, r, "operator", "measure.order", containment.Plan{
		Title: "Gefahr", Stage: 2, Reason: "Verschlüsselung läuft", Immediate: true,
		Selection: containment.Selection{Environments: []catalogue.EnvironmentID{cat.Environments[0].ID}},
	})
	told := func() (n int) {
		t.Helper()
		if _, err := r.Due(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		all, err := warning.List(t.Context(), r.Store)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			if s.Rule == "cut.unconfirmed" && s.Group == o.Measure.ID && s.State == warning.Open {
				n++
			}
		}
		return n
	}
	if n := told(); n != 0 {
		t.Fatalf("%d signals at once", n)
	}
	now = now.Add(31 * time.Minute)
	if n := told(); n != 1 {
		t.Errorf("%d signals after half an hour, want 1", n)
	}
	now = now.Add(3 * time.Hour)
	if n := told(); n != 1 {
		t.Errorf("%d signals three hours later, want the one", n)
	}
	for _, id := range o.Measure.Placements {
		if row, _ := r.Operation.Current().Placement(id); row.Regular != operation.Cut {
			t.Errorf("%s came back by itself: %s", id, row.Regular)
		}
	}
}
