package room_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/gateway"
	"leitstand/incident"
	"leitstand/operation"
	"leitstand/room"
)

// practice makes a practice room and picks a placement that buffers while off.
func practice(t *testing.T) (*room.Room, *catalogue.Placement) {
	t.Helper()
	cat := catalogue.Example(1)
	var ids []catalogue.KasseID
	for _, k := range cat.Kassen {
		ids = append(ids, k.ID)
	}
	r, err := room.Init(t.Context(), room.Options{Data: filepath.Join(t.TempDir(), "room")}, room.Setup{
		Name: "Test", Exercise: true, Catalogue: cat, People: room.PracticePeople(ids...), Owner: "operator",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range cat.Placements {
		s, _ := cat.Service(cat.Placements[i].Service)
		if s.Behaviour == catalogue.Buffer {
			return r, &cat.Placements[i]
		}
	}
	t.Fatal("no placement buffers")
	return nil, nil
}

func do[T any](t *testing.T, r *room.Room, as, act string, args any) T {
	t.Helper()
	v, err := room.Do[T](t.Context(), r, as, act, args)
	if err != nil {
		t.Fatalf("%s: %v", act, err)
	}
	return v
}

func doorsConfig(p *catalogue.Placement, upstream string) room.DoorsConfig {
	return room.DoorsConfig{Node: "tor-1", Routes: []gateway.Route{{
		Host: "kasse.test", Prefix: "/", Placement: p.ID, Kasse: "Kasse", Service: "Dienst", Upstream: upstream,
	}}}
}

func TestACutClosesTheDoorAtOnceProvesItAndTheBufferIsDeliveredWhenTheDoorOpensAgain(t *testing.T) {
	r, p := practice(t)
	var mu sync.Mutex
	var got []string
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body) // a broken body is an empty one, and seen below
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(b))
	}))
	defer up.Close()
	d, err := r.OpenDoors(t.Context(), doorsConfig(p, up.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }() // its books are compared below
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx) }) // ends with ctx
	defer wg.Wait()
	defer stop()
	send := func(body string) int {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://kasse.test/antrag", strings.NewReader(body))
		w := httptest.NewRecorder()
		d.Gateway.ServeHTTP(w, req)
		return w.Code
	}
	if code := send("before"); code != 200 {
		t.Fatal(code)
	}
	inc := do[incident.Incident](t, r, "lead", "incident.declare", map[string]string{"title": "Test", "grade": "notfall"})
	o := do[room.Ordered](t, r, "lead", "measure.order", containment.Plan{
		Incident: inc.ID, Title: "Trennen", Stage: 1, Reason: "Test", Selection: containment.Selection{Kassen: []catalogue.KasseID{p.Kasse}, Services: []catalogue.ServiceID{p.Service}},
	})
	do[room.Outcome](t, r, "operator", "approve", map[string]string{"id": o.Consent.ID})
	committed := time.Now()
	for send("meanwhile") != 202 {
		if time.Since(committed) > 20*time.Second {
			t.Fatal("the door is not closed after the commit")
		}
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		row, _ := r.Operation.Current().Placement(p.ID)
		if row.Writing.Writer == operation.Nobody && row.Writing.Proof != nil && row.Writing.Proof.Kind == operation.ByDoors {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the closed door was not taken as proof: %+v", row.Writing)
		}
	}
	measures := do[[]containment.Measure](t, r, "", "measure.list", nil)
	c := do[access.Consent](t, r, "lead", "measure.undo", map[string]any{"id": measures[0].ID, "reason": "Fehlalarm"})
	do[room.Outcome](t, r, "operator", "approve", map[string]string{"id": c.ID})
	for deadline := time.Now().Add(10 * time.Second); d.Spool.Counts()[p.ID].Open > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("what was kept is not delivered: %+v", d.Spool.Counts()[p.ID])
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if kept := int(d.Spool.Counts()[p.ID].Kept); kept != 1 || strings.Count(strings.Join(got, " "), "meanwhile") != len(got)-1 {
		t.Errorf("kept %d, the regular side got %q", kept, got)
	}
	table, err := gateway.Load(filepath.Join(dataOf(t, r), "doors.table"))
	if err != nil || len(table.Keys) != 1 {
		t.Fatalf("table in the file: %+v, %v", table, err)
	}
}

// TestAnOrderDoesNotWaitForADelivery: the regular side hangs on what was kept, and the
// door is closed all the same.
func TestAnOrderDoesNotWaitForADelivery(t *testing.T) {
	r, p := practice(t)
	came, release := make(chan struct{}), make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if req.Header.Get("X-Leitstand-Receipt") != "" {
			close(came)
			<-release
		}
	}))
	defer up.Close()
	d, err := r.OpenDoors(t.Context(), doorsConfig(p, up.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }() // what it kept is delivered
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(ctx) }) // ends with ctx
	defer wg.Wait()
	defer stop()
	defer close(release)
	at := func() string {
		return atDoor(t, d.Gateway, http.MethodPost, "/antrag", "x", "Idempotency-Key", "k").Header().Get("X-Leitstand-Door")
	}
	order := func(want string, cmd operation.Command) {
		t.Helper()
		if _, err := r.Operation.Do(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); at() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the door is not %s", want)
			}
		}
	}
	lead := access.Person{ID: "lead", Roles: []access.Role{access.CrisisLead}, Active: true}
	operator := access.Person{ID: "operator", Roles: []access.Role{access.Operator}, Active: true}
	nodes := []string{string(p.ID)}
	cut := func() *operation.OrderCut {
		c := &operation.OrderCut{Measure: "M", Nodes: nodes}
		c.Reason = "Test"
		c.Sign(r.Now(), lead, operator)
		return c
	}
	order("buffer", cut())
	undo := &operation.UndoCut{Nodes: nodes}
	undo.Reason = "Test"
	undo.Sign(r.Now(), lead, operator)
	order("regular", undo)
	<-came
	order("buffer", cut())
}

func TestARoomWithoutTheWordOfAnotherGatewayDoesNotTakeADoorForClosed(t *testing.T) {
	r, p := practice(t)
	d, err := r.OpenDoors(t.Context(), doorsConfig(p, "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }() // empty
	other := &operation.RegisterGateway{Node: "tor-2"}
	other.Sign(r.Now(), access.Person{ID: "operator", Roles: []access.Role{access.Operator}, Active: true})
	if _, err := r.Operation.Do(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	cut := &operation.OrderCut{Measure: "M", Nodes: []string{string(p.ID)}}
	cut.Reason = "Test"
	cut.Sign(r.Now(), access.Person{ID: "lead", Roles: []access.Role{access.CrisisLead}, Active: true}, access.Person{ID: "operator", Roles: []access.Role{access.Operator}, Active: true})
	if _, err := r.Operation.Do(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Step(t.Context()), d.Report(t.Context())); err != nil {
		t.Fatal(err)
	}
	if row, _ := r.Operation.Current().Placement(p.ID); !row.Writing.Closing || row.Writing.Writer != operation.RegularSide {
		t.Errorf("closed without the word of tor-2: %+v", row.Writing)
	}
}

func TestADamagedTableIsRebuiltFromTheLedger(t *testing.T) {
	r, p := practice(t)
	dir := dataOf(t, r)
	cfg, err := json.Marshal(doorsConfig(p, "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "gateway.json"), cfg, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "doors.table")
	if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Load(file); !errors.Is(err, gateway.ErrDamaged) {
		t.Fatal(err)
	}
	if _, err := r.RescueDoors(t.Context()); err != nil {
		t.Fatal(err)
	}
	if table, err := gateway.Load(file); err != nil || len(table.Doors) != 1 || len(table.Keys) != 1 {
		t.Errorf("%+v, %v", table, err)
	}
}

// dataOf is where a room lies.
func dataOf(t *testing.T, r *room.Room) string {
	t.Helper()
	return r.Data()
}
