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
	key, err := ledger.LoadKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{t: t, place: p, key: key, options: o}
	s.open()
	t.Cleanup(func() { _ = s.db.Close() })
	return s
}

func (s *shop) open() {
	s.t.Helper()
	d, err := s.place.Open(s.t.Context(), "room", ledger.Schema, forensics.Schema, operation.Schema)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := ledger.Attach(d, s.key); err != nil {
		s.t.Fatal(err)
	}
	store, err := operation.NewStore(s.t.Context(), d, testCatalogue(), s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.db, s.Store = d, store
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

var _ = []any{context.Canceled, errors.Is, fmt.Sprint, sync.Mutex{}, time.Now}
