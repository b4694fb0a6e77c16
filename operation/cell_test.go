package operation_test

import (
	"encoding/json"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/operation"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestACellIsTheWorstOfItsPlacements(t *testing.T) {
	r := newRoom(t)
	r.do(&operation.PrepareEmergency{Placements: []catalogue.PlacementID{eau}}, operator)
	r.do(&operation.OrderCut{
		Act: because("Angriff"), Measure: "m1", Nodes: names(eau, eauEssen), Start: one(eau),
	}, lead, operator)
	r.do(&operation.ReportClosed{Placements: one(eau), Proof: probe()}, system)
	r.do(&operation.SetOwner{Nodes: names(eauEssen), Owner: "ida"}, operator)
	cells := operation.Cells(r.s, r.now)
	if len(cells) != 4 {
		t.Fatalf("%d cells, want 4", len(cells))
	}
	got := cells[0]
	want := operation.Cell{
		Kasse: kasseA, Service: "eau", Regular: operation.Cut, Emergency: operation.None, Owner: "ida", Worst: 1,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(operation.Cell{}, "Placements")); diff != "" {
		t.Errorf("the one without emergency operation is worse (-want +got)\n%s", diff)
	}
	if len(got.Placements) != 2 || got.Placements[0].Door.Mode != operation.ModeEmergency || got.Placements[1].Door.Mode != operation.ModeBuffer {
		t.Errorf("placements %+v", got.Placements)
	}
	if cells[1].Regular != operation.Running || cells[1].Worst != 2 {
		t.Errorf("the app runs at both sites: %+v", cells[1])
	}
	if c := operation.Cells(r.s, r.now.Add(48*time.Hour))[1]; !c.Unknown || c.Regular != operation.Running {
		t.Errorf("unknown covers the state and does not replace it: %+v", c)
	}
}

func TestCommandsComeBackFromTheirPayloadAndTheDigestIsOfWhatTheyDo(t *testing.T) {
	seen := map[string]bool{}
	g := newGenerator(1, newModel())
	for len(seen) < len(operation.Commands())-1 { // Adopt comes rarely, Tick holds nothing
		c := g.next()
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		back, err := operation.Decode(c.Kind(), text)
		if err != nil {
			t.Fatal(err)
		}
		one, err1 := operation.Digest(c)
		two, err2 := operation.Digest(back)
		if err1 != nil || err2 != nil || one != two || idsOf(back) != nil {
			t.Fatalf("%s came back as %+v: %v %v", text, back, err1, err2)
		}
		seen[c.Kind()] = true
	}
	a, b := own("uli", "kim"), own("ida", "kim")
	one, _ := operation.Digest(a)
	two, _ := operation.Digest(b)
	if one == two {
		t.Error("two different acts have one digest")
	}
	if _, err := operation.Decode("owner.set", []byte(`{"nodes":["kim"],"owner":"x","also":1}`)); err == nil {
		t.Error("an unknown field was taken")
	}
	if _, err := operation.Decode("world.saved", []byte(`{}`)); err == nil {
		t.Error("an unknown command was taken")
	}
}

func TestTrySaysWhatWouldBeRefusedWhoeverConsents(t *testing.T) {
	r := newRoom(t)
	try := func(c operation.Command) error {
		c.Sign(r.now.Add(time.Minute), lead)
		return operation.Try(r.s, c)
	}
	if err := try(&operation.OrderCut{Act: because("x"), Measure: "m1", Nodes: names(eau)}); err != nil {
		t.Errorf("a good cut by the first of two: %v", err)
	}
	if err := try(&operation.GrantClearance{Application: application(envA, r.now)}); err != nil {
		t.Errorf("a good clearance by the second signer: %v", err)
	}
	for _, tt := range []struct {
		c    operation.Command
		rule operation.Rule
	}{
		{&operation.UndoCut{Act: because("x"), Nodes: names(eau)}, operation.RuleGate},
		{&operation.OrderCut{Measure: "m1", Nodes: names(eau)}, operation.RuleOnRecord},
		{&operation.ProveRotation{}, operation.RuleTwoPeople}, // a crisis lead may not
	} {
		err := try(tt.c)
		why, ok := err.(*operation.Refused) //nolint:errorlint // it is returned as it is
		if !ok || why.Rule != tt.rule {
			t.Errorf("%s: %v, want rule %d", tt.c.Kind(), err, tt.rule)
		}
	}
	r.toTrial(true)
	r.do(&operation.BeginHandover{Placements: one(eau)}, operator)
	accept := &operation.Accept{Nodes: names(eau), To: operation.Running}
	if err := try(accept); err == nil {
		t.Error("acceptance while the journal still takes in was found good")
	}
	r.report(operation.Counts{State: operation.JournalDraining, Epoch: 2})
	if err := try(accept); err != nil {
		t.Errorf("acceptance before the journal was asked to close: %v", err)
	}
	if by := operation.ActOf(accept).By; len(by) != 1 {
		t.Errorf("Try left its own signers: %v", by)
	}
}
