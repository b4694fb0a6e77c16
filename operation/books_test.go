package operation_test

import (
	"errors"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/pure/seal"
)

// books opens the journals of the emergency path beside the room.
func openBooks(t *testing.T, p db.Place) (*emergency.Journals, *emergency.Journal) {
	t.Helper()
	key, err := ledger.NewKey("leitstand/test")
	if err != nil {
		t.Fatal(err)
	}
	js := emergency.NewJournals(emergency.Config{Place: p, Key: key, Index: emergency.IndexSecret{1}})
	t.Cleanup(func() { _ = js.Close() })
	master := seal.NewMaster()
	if err := js.Provision(t.Context(), kasseA, t0, "anna", master); err != nil {
		t.Fatal(err)
	}
	js.Unlock(master)
	j, err := js.Open(t.Context(), kasseA)
	if err != nil {
		t.Fatal(err)
	}
	return js, j
}

func take(t *testing.T, j *emergency.Journal, epoch int64, key string) error {
	t.Helper()
	_, err := j.Accept(t.Context(), eau, epoch, t0, ledger.System, emergency.Draft{
		Key: key, Kind: emergency.KindSickNote, Source: "test", Received: t0, Media: "text/plain", Body: []byte(key),
	})
	return err
}

// act carries out a command on the store and wants it done.
func (s *shop) act(c operation.Command) operation.Result {
	s.t.Helper()
	c.Sign(t0.Add(time.Hour), lead, operator, examiner, delegate(kasseA))
	res, err := s.Do(s.t.Context(), c)
	if err != nil {
		s.t.Fatalf("%s: %v", c.Kind(), err)
	}
	return res
}

func TestTheRealJournalOpensStopsReopensAndClosesAsOrdered(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		js, j := openBooks(t, p)
		s := openShop(t, p, operation.Options{Journal: operation.FromEmergency(js)})
		s.adopt()
		if err := take(t, j, 2, "a"); !errors.Is(err, emergency.ErrNotOpen) {
			t.Errorf("accepted before the start: %v", err)
		}
		s.act(&operation.PrepareEmergency{Placements: one(eau)})
		s.act(&operation.OrderCut{Act: because("Angriff"), Measure: "m1", Nodes: names(eau), Start: one(eau)})
		s.act(&operation.ReportClosed{Placements: one(eau), Proof: probe()})
		if err := take(t, j, 1, "a"); !errors.Is(err, emergency.ErrEpoch) {
			t.Errorf("accepted under the epoch of the regular side: %v", err)
		}
		if err := take(t, j, 2, "a"); err != nil {
			t.Fatal(err)
		}
		s.act(&operation.BeginRebuild{Nodes: names(eau)})
		s.act(&operation.ProveRotation{Scope: scope(envA), Evidence: papers("w"), RotatedAt: t0.Add(time.Hour)})
		for _, x := range []string{envA, "kim", "dir@essen", "dir@munich", "hyp@munich"} {
			s.act(&operation.GrantClearance{Application: application(x, t0)})
		}
		s.act(enter(string(eau)))
		s.act(&operation.BeginHandover{Placements: one(eau)})
		if p, _ := s.Current().Placement(eau); p.Writing.Writer != operation.Nobody || p.Journal.Open != 1 {
			t.Errorf("after the drain: %+v, %+v", p.Writing, p.Journal)
		}
		if err := take(t, j, 2, "b"); !errors.Is(err, emergency.ErrNotOpen) {
			t.Errorf("accepted while handing over: %v", err)
		}
		s.accept(3, "items are still open")
		s.act(&operation.ReturnToEmergency{Placements: one(eau)})
		if err := take(t, j, 2, "b"); !errors.Is(err, emergency.ErrEpoch) {
			t.Errorf("a sender of the old epoch wrote: %v", err)
		}
		if err := take(t, j, 3, "b"); err != nil {
			t.Fatal(err)
		}
		s.act(&operation.BeginHandover{Placements: one(eau)})
		s.rejectAll(j)
		s.accept(0, "")
		if p, _ := s.Current().Placement(eau); p.Emergency != operation.Closed || p.Journal.Rejected != 2 || p.Writing.Epoch != 4 {
			t.Errorf("after acceptance: %s, %+v, %+v", p.Emergency, p.Journal, p.Writing)
		}
		if b, err := j.Book(t.Context(), eau); err != nil || b.State != emergency.BookClosed || b.Epoch != 3 {
			t.Errorf("book %+v, %v", b, err)
		}
		if err := s.Settle(t.Context(), t0); err != nil {
			t.Errorf("settling what is settled: %v", err)
		}
		s.verify()
	})
}

func (s *shop) accept(rule operation.Rule, word string) {
	s.t.Helper()
	room := &room{t: s.t, s: s.Current(), now: t0}
	c := &operation.Accept{Nodes: names(eau), To: operation.Running}
	c.Sign(t0.Add(time.Hour), lead, delegate(kasseA))
	_, err := s.Do(s.t.Context(), c)
	var why *operation.Refused
	if rule == 0 && err != nil || rule != 0 && (!errors.As(err, &why) || why.Rule != rule) {
		s.t.Fatalf("accepting: %v, want rule %d because of %q; %s", err, rule, word, room.state(eau))
	}
}

func (s *shop) rejectAll(j *emergency.Journal) {
	s.t.Helper()
	for n := emergency.Number(1); n <= 2; n++ {
		err := j.Apply(s.t.Context(), emergency.Entry{At: t0, Actor: "anna", Kind: "item.rejected", Reason: "Übung"}, emergency.Change{
			Number: n, Apply: func(st emergency.Standing) (emergency.Standing, error) { return st.Refuse("Übung", "anna") },
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestAStepBetweenTheStoresThatFailedIsRepeated(t *testing.T) {
	js, j := openBooks(t, db.InDir(t.TempDir()))
	s := openShop(t, db.InDir(t.TempDir()), operation.Options{}) // no journal: as if killed right after the commit
	s.adopt()
	s.act(&operation.PrepareEmergency{Placements: one(eau)})
	s.act(&operation.OrderCut{Act: because("Angriff"), Measure: "m1", Nodes: names(eau), Start: one(eau)})
	s.act(&operation.ReportClosed{Placements: one(eau), Proof: probe()})
	if b, err := j.Book(t.Context(), eau); err != nil || b.State != emergency.BookNew {
		t.Fatalf("book %+v, %v", b, err)
	}
	s.options.Journal = operation.FromEmergency(js)
	s.restart()
	for range 2 {
		if err := s.Settle(t.Context(), t0); err != nil {
			t.Fatal(err)
		}
	}
	if err := take(t, j, 2, "a"); err != nil {
		t.Errorf("after settling: %v", err)
	}
}
