package operation_test

import (
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/operation"
)

const (
	eau      = catalogue.PlacementID("109034270/eau/munich")
	app      = catalogue.PlacementID("109034270/app/munich")
	eauEssen = catalogue.PlacementID("109034270/eau/essen")
	envA     = "109034270@munich"
	envB     = "108433248@munich"
)

func one(id catalogue.PlacementID) []catalogue.PlacementID { return []catalogue.PlacementID{id} }

func names(ids ...catalogue.PlacementID) (out []string) {
	for _, id := range ids {
		out = append(out, string(id))
	}
	return out
}

// toTrial takes eau at Munich from running into trial, with emergency operation
// active when start is set.
func (r *room) toTrial(start bool) {
	r.t.Helper()
	if start {
		r.do(&operation.PrepareEmergency{Placements: one(eau)}, operator)
		r.do(&operation.OrderCut{Act: because("Angriff"), Measure: "m1", Nodes: names(eau), Start: one(eau)}, lead, operator)
	} else {
		r.cut(string(eau))
	}
	r.do(&operation.ReportClosed{Placements: one(eau), Proof: probe()}, system)
	r.do(&operation.BeginRebuild{Nodes: names(eau)}, operator)
	r.rotate(envA)
	r.clear(envA, "kim", "dir@essen", "dir@munich", "hyp@munich")
	r.do(&operation.EnterTrial{Nodes: names(eau), Testers: []string{"tina"}}, lead, examiner)
}

func TestTheWholeWayThereAndBack(t *testing.T) {
	r := newRoom(t)
	r.is(eau, "running/none, door regular, epoch 1 regular")
	r.do(&operation.PrepareEmergency{Placements: one(eau)}, operator)
	ch := r.do(&operation.OrderCut{Act: because("Angriff"), Measure: "m1", Nodes: names(eau), Start: one(eau)}, lead, operator)
	if len(ch.Journals) != 0 {
		t.Errorf("emergency operation began before the regular side was closed: %v", ch.Journals)
	}
	r.is(eau, "cut/ready, door buffer, epoch 1 regular closing")

	ch = r.do(&operation.ReportClosed{Placements: one(eau), Proof: probe()}, system)
	r.is(eau, "cut/active, door emergency, epoch 2 emergency")
	if len(ch.Journals) != 1 || ch.Journals[0].State != operation.JournalOpen || ch.Journals[0].Epoch != 2 {
		t.Errorf("journal orders %+v, want open under epoch 2", ch.Journals)
	}

	r.do(&operation.BeginRebuild{Nodes: names(eau)}, operator)
	r.is(eau, "rebuilding/active, door emergency, epoch 2 emergency")
	r.rotate(envA)
	r.clear(envA, "kim", "dir@essen", "dir@munich", "hyp@munich")
	r.do(&operation.EnterTrial{Nodes: names(eau), Testers: []string{"tina"}}, lead, examiner)
	r.is(eau, "trial/active, door emergency, marked test items to regular, epoch 2 emergency")

	r.do(&operation.BeginHandover{Placements: one(eau)}, operator)
	r.is(eau, "trial/handing_over, door read_only, epoch 2 emergency closing")
	r.report(operation.Counts{State: operation.JournalDraining, Epoch: 2, Taken: 5, Accepted: 4, HandedOver: 1, Open: 3})
	r.is(eau, "trial/handing_over, door read_only, epoch 2")

	r.do(&operation.ReturnToEmergency{Placements: one(eau)}, operator)
	r.is(eau, "trial/active, door emergency, marked test items to regular, epoch 3 emergency")
	r.do(&operation.BeginHandover{Placements: one(eau)}, operator)
	r.report(operation.Counts{State: operation.JournalDraining, Epoch: 3, Taken: 6, Accepted: 5, HandedOver: 4, Open: 1})
	accept := func(c operation.Counts) *operation.Accept {
		return &operation.Accept{Nodes: names(eau), To: operation.Running, Closed: []operation.JournalReport{{Placement: eau, Counts: c}}}
	}
	r.refused(3, "offen", accept(operation.Counts{State: operation.JournalClosed, Epoch: 3, Taken: 6, Accepted: 5, HandedOver: 4, Open: 1}),
		delegate(kasseA), lead)
	r.do(accept(operation.Counts{State: operation.JournalClosed, Epoch: 3, Taken: 6, Accepted: 5, HandedOver: 4, Rejected: 1}),
		delegate(kasseA), lead)
	r.is(eau, "running/closed, door regular, epoch 4 regular")

	r.refused(3, "beobachtet", &operation.EndObservation{Placements: one(eau)}, operator)
	r.now = r.now.Add(24 * time.Hour)
	r.do(&operation.EndObservation{Placements: one(eau)}, operator)
	r.is(eau, "running/none, door regular, epoch 4 regular")
}

func (r *room) report(c operation.Counts) {
	r.t.Helper()
	r.do(&operation.ReportJournal{Reports: []operation.JournalReport{{Placement: eau, Counts: c}}}, system)
}
