package operation_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/forensics"
	"leitstand/operation"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// shop is a room's store that can be closed and opened again.
type shop struct {
	t     *testing.T
	place db.Place
	key   ledger.Key
	db    *db.DB
	*operation.Store
	options operation.Options
}

func openShop(t *testing.T, p db.Place, o operation.Options) *shop {
	t.Helper()
	s := &shop{t: t, place: p, options: o, key: newKey(t)}
	s.open()
	t.Cleanup(func() { _ = s.db.Close() })
	return s
}

func newKey(tb testing.TB) ledger.Key {
	tb.Helper()
	key, err := ledger.LoadKey(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func openStore(tb testing.TB, p db.Place, key ledger.Key) *db.DB {
	tb.Helper()
	d, err := p.Open(tb.Context(), "room", ledger.Schema, forensics.Schema, operation.Schema)
	if err != nil {
		tb.Fatal(err)
	}
	if err := ledger.Attach(d, key); err != nil {
		tb.Fatal(err)
	}
	return d
}

func (s *shop) open() {
	s.t.Helper()
	s.db = openStore(s.t, s.place, s.key)
	var err error
	if s.Store, err = operation.NewStore(s.t.Context(), s.db, testCatalogue(), s.options); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) restart() {
	s.t.Helper()
	if err := s.db.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open()
}

func (s *shop) verify() {
	s.t.Helper()
	for _, p := range s.problems() {
		s.t.Errorf("ledger and rows differ: %+v", p)
	}
}

func (s *shop) problems() []ledger.Problem {
	s.t.Helper()
	problems, err := ledger.VerifyState(s.t.Context(), s.db, append(operation.Keepers(), forensics.Keepers()...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return problems
}

// contents is everything of a state that can be seen from outside.
func contents(s *operation.State) map[string]any {
	return map[string]any{
		"version": s.Version(), "placements": s.Placements(), "components": s.Components(), "doors": s.Doors(-1),
		"clearances": s.Clearances(), "rotations": s.Rotations(), "indicators": s.Indicators(),
		"trails": s.Trails(), "gateways": s.Gateways(),
	}
}

func sameState(t *testing.T, what string, want, got *operation.State) {
	t.Helper()
	if diff := cmp.Diff(contents(want), contents(got), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s: states differ (-want +got)\n%s", what, diff)
	}
}

func TestWhatIsDoneSurvivesARestartAndTheLedgerAccountsForIt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		s := openShop(t, p, operation.Options{})
		c := &operation.Adopt{Owner: "betrieb"}
		c.Sign(t0, operator)
		if _, err := s.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		cut := &operation.OrderCut{Act: because("Angriff"), Measure: "m1", Nodes: names(eau, app)}
		cut.Sign(t0, lead, operator)
		res, err := s.Do(t.Context(), cut)
		if err != nil || res.Seq != 2 || s.Current() != res.State {
			t.Fatalf("%+v, %v", res, err)
		}
		before := s.Current()
		s.verify()
		s.restart()
		sameState(t, "after a restart", before, s.Current())
	})
}

func (s *shop) adopt() {
	s.t.Helper()
	c := &operation.Adopt{Owner: "betrieb"}
	c.Sign(t0, operator)
	if _, err := s.Do(s.t.Context(), c); err != nil {
		s.t.Fatal(err)
	}
}

func own(owner string, nodes ...string) *operation.SetOwner {
	c := &operation.SetOwner{Nodes: nodes, Owner: owner}
	c.Sign(t0.Add(time.Hour), operator)
	return c
}

func TestTwoProcessesOnOneStoreSeeEachOthersChanges(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		a := openShop(t, p, operation.Options{})
		a.adopt()
		b, err := operation.NewStore(t.Context(), a.db, testCatalogue(), operation.Options{})
		if err != nil {
			t.Fatal(err)
		}
		stores := []*operation.Store{a.Store, b}
		for i := range 20 {
			if _, err := stores[i%2].Do(t.Context(), own(fmt.Sprint("person ", i), a.Current().Nodes()[i%3])); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range stores {
			if _, err := s.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		sameState(t, "two processes", a.Current(), b.Current())
		if v := a.Current().Version(); v != 21 {
			t.Errorf("version %d, want 21", v)
		}
		a.verify()
	})
}

func TestManyAtOnceAreAllDoneOnceAndCurrentNeverGoesBack(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		s := openShop(t, p, operation.Options{})
		s.adopt()
		var wg sync.WaitGroup
		refused := make([]bool, 80)
		for i := range refused {
			wg.Go(func() {
				owner := fmt.Sprint("person ", i)
				if i%4 == 3 {
					owner = "" // refused in the middle of a group
				}
				before := s.Current().Version()
				_, err := s.Do(t.Context(), own(owner, s.Current().Nodes()[i%7]))
				var why *operation.Refused
				refused[i] = errors.As(err, &why)
				if err != nil && !refused[i] || s.Current().Version() < before {
					t.Errorf("%d: %v, version %d after %d", i, err, s.Current().Version(), before)
				}
			})
		}
		wg.Wait()
		for i, was := range refused {
			if was != (i%4 == 3) {
				t.Errorf("%d refused: %t", i, was)
			}
		}
		if v := s.Current().Version(); v != 61 {
			t.Errorf("version %d, want 61", v)
		}
		before := s.Current()
		s.verify()
		s.restart()
		sameState(t, "after a restart", before, s.Current())
	})
}

func TestWhatACallerUndoesNeverHappened(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		s := openShop(t, p, operation.Options{})
		s.adopt()
		sorry := errors.New("sorry")
		err := s.db.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := s.DoTx(ctx, tx, own("otto", string(eau))); err != nil {
				return err
			}
			return sorry
		})
		if !errors.Is(err, sorry) {
			t.Fatal(err)
		}
		if _, err := s.Do(t.Context(), own("uli", string(app))); err != nil {
			t.Fatal(err)
		}
		if p, _ := s.Current().Placement(eau); p.Owner != "betrieb" {
			t.Errorf("owner is %q after an undone change", p.Owner)
		}
		before := s.Current()
		s.verify()
		s.restart()
		sameState(t, "after a restart", before, s.Current())
	})
}

func TestOtherRowsShareTheTransactionAndTheEntry(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		s := openShop(t, p, operation.Options{})
		s.adopt()
		var res operation.Result
		err := s.db.Write(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			res, err = s.DoTx(ctx, tx, own("uli", string(eau)), ledger.Row{Table: "measure", Key: "m1", Value: "ordered"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Done(t.Context(), res); err != nil || s.Current() != res.State {
			t.Errorf("not current after Done: %v", err)
		}
		records, err := ledger.Read(t.Context(), s.db, 1, 10)
		if err != nil || len(records) != 1 || len(records[0].Rows) != 2 || records[0].Rows[1].Table != "measure" {
			t.Errorf("entries %+v, %v", records, err)
		}
	})
}

func TestAnotherCatalogueKeepsWhatItDropsAndAdoptsWhatIsNew(t *testing.T) {
	s := openShop(t, db.InDir(t.TempDir()), operation.Options{})
	s.adopt()
	next := testCatalogue()
	next.Placements = next.Placements[1:] // eau at Munich of the first Kasse goes
	next.Components = append(next.Components, catalogue.Component{ID: "dns", Site: "essen"})
	if err := s.SetCatalogue(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if v := operation.CheckInvariants(s.Current(), t0); len(v) != 1 || v[0].Subject != "dns" {
		t.Errorf("violations %+v, want dns without a state", v)
	}
	s.adopt()
	if _, ok := s.Current().Placement(eau); !ok {
		t.Error("a placement that left the catalogue lost its state")
	}
	r := &room{t: t, s: s.Current().Clone(), now: t0}
	r.cut(string(eau))
	r.do(&operation.BeginRebuild{Nodes: names(eau)}, operator)
	r.refused(1, "nicht mehr im Katalog", enter(string(eau)), lead, examiner)
	s.verify()
}

func TestAnAlteredRowIsFound(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		s := openShop(t, p, operation.Options{})
		s.adopt()
		for _, alter := range []string{
			`update placement set regular = 'cut' where id = '109034270/eau/munich'`,
			`update placement set epoch = 9`, `update placement set flag = '{"clearance":"F-1"}'`,
			`update placement set journal = '{"open":1}'`, `update component_state set owner = 'otto'`,
			`update door set mode = 'refuse'`, `delete from door where placement = '109034270/eau/munich'`,
		} {
			undone := errors.New("undone")
			err := s.db.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				if _, err := tx.Exec(ctx, alter); err != nil {
					return err
				}
				if found, err := ledger.VerifyState(ctx, tx, operation.Keepers()...); err != nil || len(found) == 0 {
					t.Errorf("%s went unnoticed: %v", alter, err)
				}
				return undone
			})
			if !errors.Is(err, undone) {
				t.Fatal(err)
			}
		}
	})
}
