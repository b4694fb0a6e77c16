package room_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
	"leitstand/room"
	"leitstand/warning"
)

// sharedPart is a component of the example catalogue that placements rest on.
const sharedPart catalogue.ComponentID = "dns@nord"

func orderComponent(t *testing.T, r *room.Room, plan containment.Plan) room.Ordered {
	t.Helper()
	plan.Title, plan.Stage, plan.Reason = "Namensdienst", 1, "fremde Anmeldungen"
	plan.Selection.Components = []catalogue.ComponentID{sharedPart}
	o, err := room.Do[room.Ordered](t.Context(), r, person(t, r, access.Operator), "measure.order", plan)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func componentState(t *testing.T, r *room.Room) operation.Regular {
	t.Helper()
	m, ok := r.Operation.Current().Component(sharedPart)
	if !ok {
		t.Fatalf("%s has no state", sharedPart)
	}
	return m.Regular
}

// running carries out what is ordered until the test ends.
func running(t *testing.T, r *room.Room) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.RunDrivers(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func proven(t *testing.T, r *room.Room) bool {
	t.Helper()
	acts, err := containment.Acts(t.Context(), r.Store)
	return err == nil && containment.ProvenBy(acts, string(sharedPart)) != ""
}

func TestASharedComponentGoesOffByTwoPeopleAndComesBackByTwo(t *testing.T) {
	r, side := roomWithDrivers(t, "touch", "components:\n  - id: "+string(sharedPart))
	running(t, r)
	o := orderComponent(t, r, containment.Plan{})
	if o.Consent == nil || len(o.Preview.ByKasse) == 0 || !strings.Contains(o.Preview.Sentence, string(sharedPart)) {
		t.Fatalf("%+v", o)
	}
	if componentState(t, r) != operation.Running || !side.served.Load() {
		t.Error("one person cut it")
	}
	lead, operator := person(t, r, access.CrisisLead), person(t, r, access.Operator)
	out, err := room.Do[room.Outcome](t.Context(), r, lead, "approve", map[string]string{"id": o.Consent.ID})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the component is proven to be off", func() bool { return proven(t, r) })
	if side.served.Load() || componentState(t, r) != operation.Cut {
		t.Errorf("answers %t, is %s", side.served.Load(), componentState(t, r))
	}
	for _, p := range r.Operation.Current().Placements() {
		if !p.Regular.Connected() {
			t.Errorf("%s was cut as well, and nobody ordered it", p.ID)
		}
	}
	all, err := containment.List(t.Context(), r.Store)
	if err != nil || len(all) != 1 || !slices.Equal(all[0].Components, []catalogue.ComponentID{sharedPart}) {
		t.Fatalf("%+v %v (%+v)", all, err, out)
	}
	c, err := room.Do[access.Consent](t.Context(), r, operator, "measure.undo", map[string]string{"id": all[0].ID, "reason": "Fehlalarm"})
	if err != nil {
		t.Fatal(err)
	}
	if side.served.Load() {
		t.Error("connected before the second person agreed")
	}
	if _, err := room.Do[room.Outcome](t.Context(), r, lead, "approve", map[string]string{"id": c.ID}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the component answers again", side.served.Load)
	eventually(t, "the act is on record as taken back", func() bool {
		acts, err := containment.Acts(t.Context(), r.Store)
		return err == nil && len(acts) == 2 && acts[0].State == containment.Taken
	})
	soundRecord(t, r)
}

func TestWhatStopsWithoutAComponentBuffersAtItsDoorsWhenItIsTakenAlong(t *testing.T) {
	r, _ := roomWithDrivers(t, "touch", "components:\n  - id: "+string(sharedPart))
	o := orderComponent(t, r, containment.Plan{Immediate: true, Selection: containment.Selection{Dependents: true}})
	if len(o.Preview.Placements) == 0 || o.Preview.Beyond.Stopped != 0 {
		t.Fatalf("%+v", o.Preview)
	}
	s := r.Operation.Current()
	for _, p := range o.Preview.Placements {
		if row, _ := s.Placement(p); row.Regular != operation.Cut {
			t.Errorf("%s is %s", p, row.Regular)
		}
		if d, ok := s.Door(p); !ok || d.Mode == operation.ModeRegular {
			t.Errorf("the door of %s stands open to what cannot answer", p)
		}
	}
}

func TestASignalOnAComponentBarsItsWayBackWithoutTheGate(t *testing.T) {
	r, _ := roomWithDrivers(t, "touch", "components:\n  - id: "+string(sharedPart))
	o := orderComponent(t, r, containment.Plan{Immediate: true})
	lead, operator := person(t, r, access.CrisisLead), person(t, r, access.Operator)
	if _, err := room.Do[containment.Measure](t.Context(), r, lead, "measure.confirm", map[string]string{"id": o.Measure.ID, "reason": "gesehen"}); err != nil {
		t.Fatal(err)
	}
	first := r.Now()
	signal := warning.Signal{ID: "s-1", Title: "Anmeldung als root", Host: "DNS.nord.example", First: first, Last: first}
	if cmd := room.Named(r.Now(), r.Catalogue, []warning.Signal{{ID: "s-2", Host: "dnsx.nord.example", First: first, Last: first}}); cmd != nil {
		t.Errorf("a host of another name: %+v", cmd)
	}
	if _, err := r.Operation.Do(t.Context(), room.Named(r.Now(), r.Catalogue, []warning.Signal{signal})); err != nil {
		t.Fatal(err)
	}
	if _, err := room.Do[access.Consent](t.Context(), r, operator, "measure.undo", map[string]string{"id": o.Measure.ID, "reason": "Fehlalarm"}); err == nil {
		t.Error("taken back past a signal")
	}
}

func TestTheKillSwitchCutsAComponentAndTheStateFollows(t *testing.T) {
	r, side := roomWithDrivers(t, "touch", "components:\n  - id: "+string(sharedPart))
	args := pullKillSwitch(t, r, side, string(sharedPart))
	got, err := room.Do[room.ImportedLog](t.Context(), r, person(t, r, access.Operator), "driver.import-log", args)
	if err != nil || got.Components != 1 || got.Placements != 0 {
		t.Fatalf("%+v %v", got, err)
	}
	if componentState(t, r) != operation.Cut || !proven(t, r) {
		t.Errorf("is %s, proven %t", componentState(t, r), proven(t, r))
	}
	if err := r.Isolate(t.Context()); err != nil || side.served.Load() {
		t.Errorf("%v, answers %t", err, side.served.Load())
	}
	soundRecord(t, r)
}
