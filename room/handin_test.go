package room_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/gateway"
	"leitstand/room"
)

// nodeAlone is a gateway with nothing but the table that a room wrote.
func nodeAlone(t *testing.T, r *room.Room, node string) (*gateway.Gateway, *gateway.Spool, string) {
	t.Helper()
	table, err := gateway.Load(filepath.Join(dataOf(t, r), "doors.table"))
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway.Gateway{}
	g.Set(table)
	dir := t.TempDir()
	s, err := gateway.OpenNodeSpool(dir, node, g.KeysOf, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closed in the test
	g.Keeper = s
	return g, s, dir
}

// receipt writes at a door and returns the number that the client gets.
func receipt(t *testing.T, h http.Handler, body string, header ...string) string {
	t.Helper()
	w := atDoor(t, h, http.MethodPost, "/antrag", body, append(header, "Accept", "application/json")...)
	var got struct{ Receipt string }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 202 || got.Receipt == "" {
		t.Fatalf("%d %s %v", w.Code, w.Body, err)
	}
	return got.Receipt
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func handIn(t *testing.T, r *room.Room, p catalogue.PlacementID, dir string) room.TookIn {
	t.Helper()
	h := do[room.HandedIn](t, r, "operator", "gateway.hand-in", map[string]string{"spool": dir, "reason": "Test"})
	if h.Placements[p] == nil {
		return room.TookIn{}
	}
	return *h.Placements[p]
}

// TestWhatAGatewayAloneKeptBecomesItemsOnceInOrderUnderTheClientsReceipt: also when it is
// handed in twice, when a client sent it to the room's gateway as well, and when the
// journal has closed meanwhile.
func TestWhatAGatewayAloneKeptBecomesItemsOnceInOrderUnderTheClientsReceipt(t *testing.T) {
	r, p := practice(t)
	d := openDoors(t, r, p)
	j, epoch := inEmergency(t, r, d, p)
	alone, kept, dir := nodeAlone(t, r, "tor-2")
	first := receipt(t, alone, "eins")
	receipt(t, d.Gateway, "zwei", "Idempotency-Key", "k2") // the client sends it here as well
	receipt(t, alone, "zwei", "Idempotency-Key", "k2")
	receipt(t, d.Gateway, "anderes", "Idempotency-Key", "k3")
	third := receipt(t, alone, "drei", "Idempotency-Key", "k3")
	fourth := receipt(t, alone, "vier")
	if !strings.HasSuffix(first, "-tor-2") {
		t.Errorf("receipt %q does not say who gave it", first)
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	before := copyOf(t, dir)
	if got, want := handIn(t, r, p.ID, dir), (room.TookIn{Items: 3, Known: 1, Held: 1}); got != want {
		t.Errorf("taken in %+v, want %+v", got, want)
	}
	items, err := j.Items(t.Context(), emergency.Filter{Placement: p.ID, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, it := range items {
		if strings.HasPrefix(it.Source, "spool:") {
			sources = append(sources, it.Source)
		}
	}
	if want := []string{"spool:" + first, "spool:" + third, "spool:" + fourth}; !slices.Equal(sources, want) || len(items) != 5 {
		t.Errorf("%d items, of the node %q, want %q", len(items), sources, want)
	}
	if body, err := j.Body(t.Context(), items[2]); err != nil || !strings.HasSuffix(string(body), "\r\n\r\neins") {
		t.Errorf("the first: %q %v", body, err)
	}
	if got := handIn(t, r, p.ID, dir); got != (room.TookIn{}) {
		t.Errorf("handed in again: %+v", got)
	}
	if err := j.DrainBook(t.Context(), p.ID, epoch, r.Now(), ledger.System); err != nil {
		t.Fatal(err)
	}
	if got, want := handIn(t, r, p.ID, before), (room.TookIn{Known: 4}); got != want {
		t.Errorf("an older copy after the end of intake: %+v, want %+v", got, want)
	}
	late, kept, dir := nodeAlone(t, r, "tor-3")
	fifth := receipt(t, late, "fünf")
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	before = copyOf(t, dir)
	for range 2 { // the second is an older copy
		handIn(t, r, p.ID, dir)
		dir = before
	}
	if c := d.Spool.Counts()[p.ID]; c.Kept != 1 {
		t.Errorf("kept for the regular side: %+v, want one", c)
	}
	opener, err := j.Opener(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = d.Spool.HandIn(t.Context(), p.Kasse, opener, func(_ context.Context, w gateway.Waiting) error {
		if w.Receipt != fifth || string(w.Body) != "fünf" {
			t.Errorf("waits under %s: %q", w.Receipt, w.Body)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhoHandsInMustBeOfTheOperationAndNameASpool(t *testing.T) {
	r, p := practice(t)
	openDoors(t, r, p)
	if _, err := room.Do[room.HandedIn](t.Context(), r, "operator", "gateway.hand-in", map[string]string{"spool": t.TempDir()}); !errors.Is(err, gateway.ErrNoSpool) {
		t.Errorf("an empty directory: %v", err)
	}
	var refused *room.Failure
	if _, err := room.Do[room.HandedIn](t.Context(), r, "kasse-"+string(p.Kasse), "gateway.hand-in", map[string]string{"spool": t.TempDir()}); !errors.As(err, &refused) {
		t.Errorf("the Kasse: %v", err)
	}
}
