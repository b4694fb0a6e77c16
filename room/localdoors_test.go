package room_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
	"leitstand/room"
)

// moveOffline orders a door closed in the log of a room's directory.
func moveOffline(t *testing.T, dir string, p catalogue.PlacementID, to catalogue.Behaviour, by ...string) {
	t.Helper()
	key, err := ledger.LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := containment.OpenLocalLog(filepath.Join(dir, room.DoorsLog), key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	o := containment.Order{Measure: containment.NewID(), By: by, Reason: "Datenbank nicht erreichbar"}
	_, err = l.MoveDoors(t.Context(), o, containment.DoorMove{Placement: p, To: to})
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestDoorsMovedWithoutTheRoomEnterItsLedgerFirstAndStayClosed(t *testing.T) {
	r, p := practice(t)
	dir := dataOf(t, r)
	moveOffline(t, dir, p.ID, catalogue.Notice, "lead", "operator")
	d, err := r.OpenDoors(t.Context(), doorsConfig(p, "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }() // empty
	row, _ := r.Operation.Current().Placement(p.ID)
	door, _ := r.Operation.Current().Door(p.ID)
	if row.Regular != operation.Cut || door.Mode != operation.ModeNotice || row.Cut == nil || len(row.Cut.By) != 2 {
		t.Errorf("the room's state does not follow: %s, %s, %+v", row.Regular, door.Mode, row.Cut)
	}
	records, err := ledger.Read(t.Context(), r.Store, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	at := func(kind string) int {
		return slices.IndexFunc(records, func(rec ledger.Record) bool { return rec.Kind == kind })
	}
	if moved, cut, gate := at("door.moved"), at("measure.ordered"), at("gateway.registered"); moved < 0 || cut < moved || gate < cut {
		t.Errorf("door.moved %d, measure.ordered %d, gateway.registered %d: the log did not come first", moved, cut, gate)
	}
	if len(d.Gateway.Held()) != 1 {
		t.Errorf("held %v", d.Gateway.Held())
	}
	if err := d.Hold(); err != nil || len(d.Gateway.Held()) != 0 { // it is in the ledger: the room's own door holds now
		t.Errorf("still held %v, %v", d.Gateway.Held(), err)
	}
	w := httptest.NewRecorder()
	d.Gateway.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://kasse.test/", strings.NewReader("x")))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("after letting go the door says %d", w.Code)
	}
	n := len(records)
	if err := os.Remove(filepath.Join(dir, "doors.log.taken")); err != nil { // as if a crash came before it was written
		t.Fatal(err)
	}
	if err := d.TakeLocal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if records, err = ledger.Read(t.Context(), r.Store, int64(n), 1000); err != nil || slices.ContainsFunc(records, func(rec ledger.Record) bool { return rec.Kind == "door.moved" }) {
		t.Errorf("taken over twice: %v", err)
	}
}

func TestADoorMovedByOnePersonWaitsForTheSecondAndNobodyUnknownIsTakenOver(t *testing.T) {
	r, p := practice(t)
	dir := dataOf(t, r)
	d, err := r.OpenDoors(t.Context(), doorsConfig(p, "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }() // empty
	moveOffline(t, dir, p.ID, catalogue.Buffer, "operator")
	if err := errors.Join(d.Hold(), d.TakeLocal(t.Context())); err != nil {
		t.Fatal(err)
	}
	all, err := containment.List(t.Context(), r.Store)
	if err != nil || len(all) != 1 || all[0].State != containment.Unconfirmed || !strings.HasPrefix(all[0].Title, "Tür ohne") {
		t.Errorf("%+v, %v", all, err)
	}
	moveOffline(t, dir, p.ID, catalogue.Notice, "niemand", "operator")
	if err := d.TakeLocal(t.Context()); err == nil {
		t.Error("an order of an unknown person became an order of the room")
	}
	if err := d.Hold(); err != nil || d.Gateway.Held()[p.ID] != operation.ModeNotice {
		t.Errorf("what cannot be taken over must stay held: %v, %v", d.Gateway.Held(), err)
	}
	log := filepath.Join(dir, room.DoorsLog)
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, []byte(strings.Replace(string(b), "Datenbank", "Datenbänk", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Hold(); !errors.Is(err, containment.ErrLog) || d.Gateway.Held()[p.ID] != operation.ModeNotice {
		t.Errorf("an altered log: %v, held %v", err, d.Gateway.Held())
	}
}
