package operation_test

import (
	"fmt"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/operation"

	"github.com/google/go-cmp/cmp"
)

func enter(nodes ...string) *operation.EnterTrial { return &operation.EnterTrial{Nodes: nodes} }

func TestRule1TheGateOpensOnlyWithClearancesRotationAndWhatItRestsOn(t *testing.T) {
	r := newRoom(t)
	r.cut(string(eau), "kim")
	r.refused(1, "im Aufbau ist", enter(string(eau)), lead, examiner)
	r.do(&operation.BeginRebuild{Nodes: []string{string(eau), "kim"}}, operator)
	r.refused(1, "Zugangsdaten", enter(string(eau)), lead, examiner)
	r.rotate(envA, "kim")
	r.refused(1, "Freigabe", enter(string(eau)), lead, examiner)
	r.clear(envA, "kim", "dir@essen")
	r.refused(1, "dir@munich", enter(string(eau)), lead, examiner) // attached, and nobody has cleared it
	r.clear("dir@munich", "hyp@munich")
	r.refused(1, "noch nicht mindestens in Probe", enter(string(eau)), lead, examiner) // kim is still being rebuilt
	r.do(enter("kim"), lead, examiner)
	r.do(enter(string(eau)), lead, examiner)
	p, _ := r.s.Placement(eau)
	if len(p.Rests) != 5 || !p.Passed {
		t.Errorf("rests on %v, want five clearances", p.Rests)
	}
}

func TestTheGateNamesEverythingThatIsMissing(t *testing.T) {
	r := newRoom(t)
	r.cut(string(eau), "kim")
	r.do(&operation.BeginRebuild{Nodes: []string{string(eau), "kim"}}, operator)
	r.clear("dir@essen")
	r.do(&operation.RevokeClearance{Act: because("Fund"), Clearance: "F-0001"}, examiner)
	r.clear("hyp@munich")
	gaps, err := r.s.Gaps(names(eau), r.now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range gaps {
		got = append(got, fmt.Sprint(int(g.Rule), " ", g.Kind, " ", g.Subject))
	}
	want := []string{
		"1 rotation 109034270@munich", "1 clearance 109034270@munich", "1 clearance dir@munich", "1 clearance dir@essen",
		"7 flag dir@essen", "1 dependency 109034270/eau/munich",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	r.refused(1, "dir@munich", enter(string(eau)), lead, examiner)
	r.refused(1, "kim & (dir@essen | dir@munich)", enter(string(eau)), lead, examiner)
}

func TestRule1AnAlternativeThatIsOffNeedsNoClearance(t *testing.T) {
	r := newRoom(t)
	r.cut(string(eau), "dir@munich", "hyp@munich")
	r.do(&operation.BeginRebuild{Nodes: names(eau)}, operator)
	r.rotate(envA)
	r.clear(envA, "kim", "dir@essen")
	r.do(enter(string(eau)), lead, examiner)
}

func TestRule1MembersOfACycleEnterTogetherIfAllAreCleared(t *testing.T) {
	r := newRoom(t)
	r.cut("dir@munich", "hyp@munich")
	r.do(&operation.BeginRebuild{Nodes: []string{"dir@munich", "hyp@munich"}}, operator)
	r.rotate("dir@munich", "hyp@munich")
	r.clear("dir@munich")
	r.refused(1, "hyp@munich", enter("dir@munich", "hyp@munich"), lead, examiner)
	r.clear("hyp@munich")
	r.refused(1, "braucht hyp@munich", enter("dir@munich"), lead, examiner)
	r.do(enter("dir@munich", "hyp@munich"), lead, examiner)
}

func TestRule1AClearanceCountsOnlyWhileValidAndNewerThanEveryRevocation(t *testing.T) {
	r := newRoom(t)
	r.cut("dir@essen")
	r.do(&operation.BeginRebuild{Nodes: []string{"dir@essen"}}, operator)
	r.rotate("dir@essen")
	r.clear("dir@essen", "dir@essen") // F-0001 and F-0002
	r.do(&operation.RevokeClearance{Act: because("Fund"), Clearance: "F-0001"}, examiner)
	r.refused(1, "gültige Freigabe", enter("dir@essen"), lead, examiner) // F-0002 is older than what was found
	short := application("dir@essen", r.now)
	short.Until = r.now.Add(time.Hour)
	r.do(&operation.GrantClearance{Application: short}, examiner, lead)
	r.now = r.now.Add(time.Hour)
	r.refused(1, "gültige Freigabe", enter("dir@essen"), lead, examiner) // it ran out
	r.clear("dir@essen")
	r.do(enter("dir@essen"), lead, examiner)
}

func TestRule1CredentialsMustBeChangedAfterTheCut(t *testing.T) {
	r := newRoom(t)
	before := r.now
	r.cut("dir@essen")
	r.do(&operation.BeginRebuild{Nodes: []string{"dir@essen"}}, operator)
	r.clear("dir@essen")
	r.do(&operation.ProveRotation{Scope: scope("dir@essen"), Evidence: papers("w"), RotatedAt: before}, examiner)
	r.refused(1, "Zugangsdaten", enter("dir@essen"), lead, examiner)
	realm := forensics.Scope{Kind: forensics.Realm, ID: "intra.lan"}
	r.do(&operation.ProveRotation{Scope: realm, Covers: []string{"dir@essen"}, Evidence: papers("w"), RotatedAt: r.now}, examiner)
	r.do(enter("dir@essen"), lead, examiner)
}

func TestACutCanBeUndoneOnlyWhileNothingIsKnownAndNothingReconnected(t *testing.T) {
	undo := func(ids ...catalogue.PlacementID) *operation.UndoCut {
		return &operation.UndoCut{Act: because("Fehlalarm"), Nodes: names(ids...)}
	}
	tests := map[string]struct {
		before func(r *room)
		rule   operation.Rule
		word   string
	}{
		"in time":            {func(*room) {}, 0, ""},
		"at the last moment": {func(r *room) { r.now = r.now.Add(4*time.Hour - time.Minute) }, 0, ""},
		"too late":           {func(r *room) { r.now = r.now.Add(4 * time.Hour) }, 1, "Frist"},
		"a signal names it":  {func(r *room) { r.do(&operation.NameSubjects{Subjects: []string{envA}, Source: "signal 7"}, system) }, 1, "signal 7"},
		"an indicator names it": {func(r *room) {
			r.do(&operation.RecordIndicator{Value: "ip:192.0.2.1", Subjects: []string{envA}, Source: "Forensik"}, examiner)
		}, 1, "I-0001"},
		"something else is named":   {func(r *room) { r.do(&operation.NameSubjects{Subjects: []string{envB}, Source: "s"}, system) }, 0, ""},
		"part of it is reconnected": {func(r *room) { r.do(undo(app), lead, operator) }, 1, "wieder angeschlossen"},
		"what it rests on is suspected": {func(r *room) {
			r.clear("kim")
			r.do(&operation.RevokeClearance{Act: because("Fund"), Clearance: "F-0001"}, lead)
		}, 7, "F-0001"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.cut(string(eau), string(app))
			tt.before(r)
			if tt.rule != 0 {
				r.refused(tt.rule, tt.word, undo(eau), lead, operator)
				return
			}
			r.do(undo(eau, app), lead, operator)
			r.is(eau, "running/none, door regular, epoch 2 regular")
		})
	}
}

func TestUndoingHandsOverFirstWhatEmergencyOperationTookIn(t *testing.T) {
	r := newRoom(t)
	r.do(&operation.Limit{Nodes: names(eau), Paths: []string{"/nur"}}, operator)
	r.do(&operation.PrepareEmergency{Placements: one(eau)}, operator)
	r.do(&operation.OrderCut{Act: because("Angriff"), Measure: "m1", Nodes: names(eau), Start: one(eau)}, lead, operator)
	r.do(&operation.ReportClosed{Placements: one(eau), Proof: probe()}, system)
	r.do(&operation.UndoCut{Act: because("Fehlalarm"), Nodes: names(eau)}, lead, operator)
	r.is(eau, "trial/active, door emergency, marked test items to regular, epoch 2 emergency")
	r.do(&operation.BeginHandover{Placements: one(eau)}, operator)
	r.report(operation.Counts{State: operation.JournalDraining, Epoch: 2, Taken: 2, Accepted: 2, HandedOver: 2})
	closed := []operation.JournalReport{{Placement: eau, Counts: operation.Counts{State: operation.JournalClosed, Epoch: 2, Taken: 2, Accepted: 2, HandedOver: 2}}}
	r.refused(1, "früheren Zustand", &operation.Accept{Nodes: names(eau), To: operation.Running, Closed: closed}, delegate(kasseA), lead)
	r.do(&operation.Accept{Nodes: names(eau), To: operation.Limited, Paths: []string{"/nur"}, Closed: closed}, delegate(kasseA), lead)
	r.is(eau, "limited/closed, door limited, epoch 3 regular")
}

func TestAFailureComesBackWithoutTheGateOnlyIfItWasNeverOff(t *testing.T) {
	out := func(n string) *operation.RuleOutAttack {
		return &operation.RuleOutAttack{Act: because("geprüft"), Nodes: []string{n}, Cause: "Netzteil"}
	}
	r := newRoom(t)
	r.do(&operation.ObserveFailure{Nodes: names(eau)}, system)
	r.is(eau, "failed/none, door buffer, epoch 1 regular closing")
	r.refused(4, "Forensik", out(string(eau)), lead, operator)
	r.refused(5, "Ursache", &operation.RuleOutAttack{Act: because("geprüft"), Nodes: names(eau)}, lead, examiner)
	r.do(out(string(eau)), lead, examiner)
	r.is(eau, "running/none, door regular, epoch 2 regular")
	r.cut(string(eau))
	r.do(&operation.ObserveFailure{Nodes: names(eau)}, system)
	r.refused(1, "nur durch das Tor", out(string(eau)), lead, examiner)
}

func TestRule2EmergencyOperationWaitsForTheProofThatTheRegularSideIsClosed(t *testing.T) {
	r := newRoom(t)
	r.do(&operation.RegisterGateway{Node: "gw1"}, system)
	r.do(&operation.RegisterGateway{Node: "poller", Services: []catalogue.ServiceID{"eau"}}, system)
	r.do(&operation.RegisterGateway{Node: "other", Services: []catalogue.ServiceID{"app"}}, system)
	r.do(&operation.PrepareEmergency{Placements: one(eau)}, operator)
	r.refused(2, "zwei Schreiber", &operation.StartEmergency{Placements: one(eau)}, lead, operator)
	r.refused(2, "nicht zu sein", &operation.ReportClosed{Placements: one(eau), Proof: probe()}, system)
	r.cut(string(eau))
	r.do(&operation.StartEmergency{Placements: one(eau)}, lead, operator)
	r.is(eau, "cut/ready, door buffer, epoch 1 regular closing")
	door, _ := r.s.Door(eau)
	acks := func(a ...operation.Ack) *operation.ReportClosed {
		return &operation.ReportClosed{Placements: one(eau), Proof: operation.Proof{Kind: operation.ByDoors, Nodes: a}}
	}
	gw1, stale := operation.Ack{Node: "gw1", Door: door.Version}, operation.Ack{Node: "poller", Door: door.Version - 1}
	r.refused(2, "poller", acks(gw1), system)
	r.refused(2, "poller", acks(gw1, stale), system)
	r.refused(2, "Frist läuft noch", acks(gw1, operation.Ack{Node: "poller", LeaseEnded: r.now.Add(time.Hour)}), system)
	r.refused(2, "keine Probe", &operation.ReportClosed{Placements: one(eau), Proof: operation.Proof{Kind: operation.ByProbe}}, system)
	r.do(acks(gw1, operation.Ack{Node: "poller", LeaseEnded: r.now}), system)
	r.is(eau, "cut/active, door emergency, epoch 2 emergency")
}

func TestRule2WithoutGatewaysOnlyAProbeProves(t *testing.T) {
	r := newRoom(t)
	r.cut(string(eau))
	r.refused(2, "Probe von außen", &operation.ReportClosed{Placements: one(eau), Proof: operation.Proof{Kind: operation.ByDoors}}, system)
}

func TestACutWhileHandingOverGoesBackToEmergencyOperation(t *testing.T) {
	for name, c := range map[string]func(r *room){
		"cut":    func(r *room) { r.cut(string(eau)) },
		"failed": func(r *room) { r.do(&operation.ObserveFailure{Nodes: names(eau)}, system) },
	} {
		r := newRoom(t)
		r.toTrial(true)
		r.do(&operation.BeginHandover{Placements: one(eau)}, operator)
		r.report(operation.Counts{State: operation.JournalDraining, Epoch: 2})
		c(r)
		r.is(eau, name+"/active, door emergency, epoch 3 emergency")
	}
}

func TestRule3BooksMustAddUpAndNothingMayVanish(t *testing.T) {
	report := func(c operation.Counts) *operation.ReportJournal {
		return &operation.ReportJournal{Reports: []operation.JournalReport{{Placement: eau, Counts: c}}}
	}
	r := newRoom(t)
	r.refused(3, "kein Notbetrieb", report(operation.Counts{State: operation.JournalOpen}), system)
	r.toTrial(true)
	r.do(report(operation.Counts{State: operation.JournalOpen, Epoch: 2, Taken: 4, Accepted: 3, Open: 3}), system)
	r.refused(3, "geht nicht auf", report(operation.Counts{State: operation.JournalOpen, Epoch: 2, Taken: 4, Accepted: 3, Open: 2}), system)
	r.refused(3, "verloren", report(operation.Counts{State: operation.JournalOpen, Epoch: 2, Taken: 3, Accepted: 3, Open: 3}), system)
	r.refused(2, "Epoche", report(operation.Counts{State: operation.JournalOpen, Epoch: 1, Taken: 4, Accepted: 3, Open: 3}), system)
	r.do(&operation.BeginHandover{Placements: one(eau)}, operator)
	r.do(report(operation.Counts{State: operation.JournalDraining, Epoch: 2, Taken: 5, Accepted: 4, Open: 4}), system)
	r.refused(3, "nimmt nichts mehr an", report(operation.Counts{State: operation.JournalDraining, Epoch: 2, Taken: 6, Accepted: 5, Open: 5}), system)
	r.refused(3, "nicht geschlossen", &operation.Accept{Nodes: names(eau), To: operation.Running}, delegate(kasseA), lead)
}

func TestRule4WhoMayDoWhat(t *testing.T) {
	r := newRoom(t)
	cut := func() *operation.OrderCut {
		return &operation.OrderCut{Act: because("Angriff"), Measure: "m1", Nodes: names(eau)}
	}
	r.refused(4, "zwei verschiedene Personen", cut(), lead)
	r.refused(4, "zwei verschiedene Personen", cut(), lead, lead)
	r.refused(4, "Krisenleitung", cut(), operator, examiner)
	r.refused(4, "Betrieb", cut(), lead, auditor)
	r.refused(4, "Betrieb", cut(), lead, gone) // somebody who has left
	r.refused(4, "Betrieb", cut(), system)
	r.do(cut(), operator, lead)
	r.refused(4, "Krisenleitung", &operation.UndoCut{Act: because("x"), Nodes: names(eau)}, operator, examiner)
	r.do(&operation.UndoCut{Act: because("x"), Nodes: names(eau)}, lead, examiner)
	r.toTrial(false)
	accept := &operation.Accept{Nodes: names(eau), To: operation.Running}
	r.refused(4, string(kasseA), accept, delegate(kasseB), lead)
	r.refused(4, "zwei verschiedene", accept, access.Person{
		ID: "viel", Roles: access.Roles(), Kasse: kasseA, Active: true,
	})
	r.do(accept, delegate(kasseA), operator)
}

func TestImmediateDangerOnePersonCutsTheSecondConfirmsAndNothingComesBackByItself(t *testing.T) {
	r := newRoom(t)
	r.do(&operation.PrepareEmergency{Placements: one(eau)}, operator)
	r.do(&operation.OrderCut{Act: because("es brennt"), Measure: "m1", Nodes: names(eau), Start: one(eau), Immediate: true}, operator)
	r.do(&operation.ReportClosed{Placements: one(eau), Proof: probe()}, system)
	r.is(eau, "cut/ready, door buffer, epoch 1") // emergency operation needs two
	r.now = r.now.Add(29 * time.Minute)
	r.do(&operation.Tick{}, system)
	p, _ := r.s.Placement(eau)
	if p.Cut == nil || !p.Cut.Escalated {
		t.Errorf("nobody was told that the second person is missing: %+v", p.Cut)
	}
	for range 50 { // weeks pass
		r.now = r.now.Add(24 * time.Hour)
		if _, err := r.try(&operation.Tick{}, system); err != nil {
			t.Fatal(err)
		}
	}
	r.is(eau, "cut/ready, door buffer, epoch 1")
	confirm := &operation.ConfirmCut{Measure: "m1"}
	r.refused(4, "andere Person", confirm, operator)
	r.refused(4, "Krisenleitung", confirm, access.Person{ID: "zwei", Roles: []access.Role{access.Operator}, Active: true})
	r.do(confirm, deputy)
	r.is(eau, "cut/active, door emergency, epoch 2 emergency")
	r.refused(5, "wartet nichts", &operation.ConfirmCut{Measure: "m1"}, deputy)
}

func TestRule5NothingWithoutAReasonAndNothingForNothing(t *testing.T) {
	r := newRoom(t)
	r.refused(5, "Begründung", &operation.OrderCut{Measure: "m1", Nodes: names(eau)}, lead, operator)
	r.refused(5, "Kennung", &operation.OrderCut{Act: because("x"), Nodes: names(eau)}, lead, operator)
	r.cut(string(eau))
	r.refused(5, "ändert sich nichts", &operation.OrderCut{Act: because("x"), Measure: "m2", Nodes: names(eau)}, lead, operator)
	ch := r.do(&operation.OrderCut{Act: because("x"), Measure: "m3", Nodes: names(eau, app)}, lead, operator)
	if len(ch.Skipped) != 1 || ch.Skipped[0] != string(eau) || len(ch.Placements) != 1 {
		t.Errorf("skipped %v, changed %d placements; want the one that was off skipped", ch.Skipped, len(ch.Placements))
	}
}

func TestRule6EveryPlacementHasAnOwnerAndUnknownCoversTheState(t *testing.T) {
	r := newRoom(t)
	r.refused(6, "Verantwortlichen", &operation.SetOwner{Nodes: names(eau), Owner: " "}, operator)
	r.refused(6, "keinen Zustand", &operation.SetOwner{Nodes: []string{"nirgends"}, Owner: "uli"}, operator)
	p, _ := r.s.Placement(eau)
	r.now = r.now.Add(24 * time.Hour)
	if !r.s.Unknown(&p.Track, r.now) || r.s.Unknown(&p.Track, p.Confirmed.Add(24*time.Hour)) {
		t.Error("unknown must begin after 24 hours without confirmation")
	}
	r.refused(6, "gesehen wurde", &operation.ConfirmState{Nodes: names(eau), Saw: operation.Failed}, system)
	r.do(&operation.ConfirmState{Nodes: names(eau)}, delegate(kasseA))
	p, _ = r.s.Placement(eau)
	if r.s.Unknown(&p.Track, r.now) {
		t.Error("still unknown after it was confirmed")
	}
	empty := operation.NewState(testCatalogue(), operation.Settings{})
	if v := operation.CheckInvariants(empty, t0); len(v) != 12 || v[0].Rule != operation.RuleComplete {
		t.Errorf("12 nodes without a state, found %+v", v)
	}
}

func TestRule7RevocationReachesEverythingThatRestsOnIt(t *testing.T) {
	r := newRoom(t)
	r.clear("dir@essen")
	r.cut(string(eauEssen))
	ch := r.do(&operation.RevokeClearance{Act: because("neuer Fund"), Clearance: "F-0001"}, examiner)
	flagged := map[string]bool{}
	for _, p := range r.s.Placements() {
		flagged[string(p.ID)] = p.Flag != nil
	}
	// dir@essen carries kim, kim carries the eAU, and eAU Munich the app there.
	for _, id := range []catalogue.PlacementID{eau, app, "109034270/app/essen", "108433248/eau/essen"} {
		if !flagged[string(id)] {
			t.Errorf("%s rests on dir@essen and is not flagged", id)
		}
	}
	if flagged[string(eauEssen)] {
		t.Error("what is off cannot go down")
	}
	if c, _ := r.s.Component("kim"); c.Flag == nil {
		t.Error("kim rests on dir@essen and is not flagged")
	}
	if c, _ := r.s.Component("hyp@munich"); c.Flag != nil {
		t.Error("hyp@munich does not rest on dir@essen")
	}
	r.is(eau, "running/none, door buffer, epoch 1 regular")
	if len(ch.Doors) != 7 {
		t.Errorf("%d doors closed, want 7", len(ch.Doors))
	}
	r.refused(7, "muss herunter", &operation.Limit{Nodes: names(eau)}, operator)
	r.now = r.now.Add(2 * time.Hour)
	late := 0
	for _, v := range operation.CheckInvariants(r.s, r.now) {
		if v.Rule == operation.RuleRevocation {
			late++
		}
	}
	if late != 9 { // seven placements, dir@essen and kim
		t.Errorf("%d violations past the deadline, want 9", late)
	}
}

func TestAFlagEndsWithACutOrWithTheGateHoldingAgain(t *testing.T) {
	r := newRoom(t)
	r.clear("dir@essen")
	r.do(&operation.RevokeClearance{Act: because("Fund"), Clearance: "F-0001"}, examiner)
	lift := &operation.LiftFlag{Act: because("nachgeprüft"), Nodes: []string{"dir@essen"}}
	r.refused(1, "gültige Freigabe", lift, lead, examiner)
	r.clear("dir@essen", "kim", "109034270@essen")
	r.refused(7, "muss selbst herunter", &operation.LiftFlag{Act: because("x"), Nodes: names(eauEssen)}, lead, examiner)
	r.do(lift, lead, examiner)
	r.do(&operation.LiftFlag{Act: because("x"), Nodes: []string{"kim", string(eauEssen)}}, lead, examiner)
	r.cut(string(eau))
	r.refused(7, "F-0001", &operation.UndoCut{Act: because("x"), Nodes: names(eau)}, lead, operator)
}

func TestAClearanceThatRunsOutWarnsAndTakesNothingDown(t *testing.T) {
	r := newRoom(t)
	r.toTrial(false)
	due := r.s.Due()
	r.now = due
	r.do(&operation.Tick{}, system)
	r.is(eau, "trial/none, door testers, others buffer, epoch 2 regular")
	if c := r.s.Clearances()[0]; c.State != forensics.Warned {
		t.Errorf("the clearance is %s", c.State)
	}
	if next := r.s.Due(); !next.After(due) {
		t.Errorf("due again at %v", next)
	}
	if ch, err := operation.Apply(r.s, func() operation.Command { c := &operation.Tick{}; c.Sign(due, system); return c }()); ch != nil || err != nil {
		t.Errorf("told twice: %v, %v", ch, err)
	}
}
