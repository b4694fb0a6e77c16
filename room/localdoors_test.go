package room_test

import (
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/gateway"
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

// Where the room knows people by their keys, an order at a door counts only with
// the signature of everybody whom it names.
func TestWhereKeysAreKnownAnUnsignedOrderMovesNoDoor(t *testing.T) {
	r, p := practice(t)
	dir := dataOf(t, r)
	config := doorsConfig(p, "http://127.0.0.1:1")
	keys := map[string]ssh.Signer{}
	for _, person := range []string{"lead", "operator"} {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		if keys[person], err = ssh.NewSignerFromKey(private); err != nil {
			t.Fatal(err)
		}
		line, err := ssh.NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		config.People = append(config.People, gateway.Orderer{Person: person, Key: string(ssh.MarshalAuthorizedKey(line))})
	}
	d, err := r.OpenDoors(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }() // empty
	key, err := ledger.LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, room.DoorsLog)
	order := func(sign func(person string, text []byte) (string, error), by ...string) error {
		t.Helper()
		l, err := containment.OpenLocalLog(log, key, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		o := containment.Order{Measure: containment.NewID(), By: by, Reason: "Datenbank nicht erreichbar", Sign: sign}
		_, err = l.MoveDoors(t.Context(), o, containment.DoorMove{Placement: p.ID, To: catalogue.Notice})
		if err := errors.Join(err, l.Close()); err != nil {
			t.Fatal(err)
		}
		return errors.Join(d.Hold(), d.TakeLocal(t.Context()))
	}
	for name, sign := range map[string]func(person string, text []byte) (string, error){
		"unsigned":       nil,
		"the other's":    func(string, []byte) (string, error) { return containment.SignWith(keys["lead"], []byte("x")) },
		"only one's own": func(_ string, text []byte) (string, error) { return containment.SignWith(keys["lead"], text) },
		"no signature":   func(string, []byte) (string, error) { return "AAAA", nil },
	} {
		if err := order(sign, "lead", "operator"); !errors.Is(err, containment.ErrSigned) || len(d.Gateway.Held()) != 0 {
			t.Errorf("%s: %v, held %v", name, err, d.Gateway.Held())
		}
		if err := os.Remove(log); err != nil {
			t.Fatal(err)
		}
	}
	own := func(person string, text []byte) (string, error) { return containment.SignWith(keys[person], text) }
	if err := order(own, "lead", "operator"); err != nil {
		t.Fatal(err)
	}
	if row, _ := r.Operation.Current().Placement(p.ID); row.Regular != operation.Cut || len(row.Cut.By) != 2 {
		t.Errorf("a signed order was not taken over: %s", row.Regular)
	}
	table, err := gateway.Load(filepath.Join(dir, "doors.table"))
	if err != nil || len(table.People) != 2 {
		t.Errorf("the table names %d people, %v", len(table.People), err)
	}
}
