package operation_test

import (
	"fmt"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
)

// bigCatalogue has the size of the case: 47 Kassen, 18 services, two sites, 1,692
// placements, each on a chain of shared components with an alternative.
func bigCatalogue() *catalogue.Catalogue {
	c := &catalogue.Catalogue{Sites: []catalogue.Site{{ID: "munich"}, {ID: "essen"}}}
	need := func(text string) catalogue.Formula {
		f, err := catalogue.ParseFormula(text)
		if err != nil {
			panic(err)
		}
		return f
	}
	for _, s := range []string{"munich", "essen"} {
		c.Components = append(c.Components,
			catalogue.Component{ID: catalogue.ComponentID("hyp@" + s), Needs: need("dir@" + s)},
			catalogue.Component{ID: catalogue.ComponentID("dir@" + s), Needs: need("hyp@" + s)},
			catalogue.Component{ID: catalogue.ComponentID("dns@" + s), Needs: need("hyp@" + s)},
			catalogue.Component{ID: catalogue.ComponentID("backup@" + s), Needs: need("hyp@" + s)})
		for i := range 18 {
			c.Components = append(c.Components, catalogue.Component{
				ID: catalogue.ComponentID(fmt.Sprintf("app%d@%s", i, s)), Needs: need("hyp@" + s + " & (dns@munich | dns@essen)"),
			})
		}
	}
	for i := range 18 {
		c.Services = append(c.Services, catalogue.Service{ID: catalogue.ServiceID(fmt.Sprint("dienst", i))})
	}
	for k := range 47 {
		ik := catalogue.KasseID(fmt.Sprint(109000000 + k))
		c.Kassen = append(c.Kassen, catalogue.Kasse{ID: ik})
		for i, d := range c.Services {
			for _, s := range c.Sites {
				c.Placements = append(c.Placements, catalogue.Placement{
					ID: catalogue.PlacementOf(ik, d.ID, s.ID), Kasse: ik, Service: d.ID, Site: s.ID, Environment: catalogue.EnvironmentOf(ik, s.ID),
					Needs: need(fmt.Sprintf("app%d@%s & dns@%s", i, s.ID, s.ID)),
				})
			}
		}
	}
	return c
}

func bigState(tb testing.TB) *operation.State {
	tb.Helper()
	s := operation.NewState(bigCatalogue(), operation.Settings{})
	mustApply(tb, s, &operation.Adopt{Owner: "betrieb"}, t0)
	return s
}

func mustApply(tb testing.TB, s *operation.State, c operation.Command, now time.Time) {
	tb.Helper()
	c.Sign(now, lead, operator, examiner, deputy)
	ch, err := operation.Apply(s, c)
	if err != nil {
		tb.Fatal(err)
	}
	s.Commit(ch)
}

func BenchmarkApply(b *testing.B) {
	const place = "109000007/dienst3/munich"
	cleared := bigState(b)
	mustApply(b, cleared, &operation.OrderCut{Act: because("x"), Measure: "m", Nodes: []string{place}}, t0)
	mustApply(b, cleared, &operation.BeginRebuild{Nodes: []string{place}}, t0)
	mustApply(b, cleared, &operation.ProveRotation{Scope: scope("109000007@munich"), Evidence: papers("w"), RotatedAt: t0}, t0)
	for _, c := range cleared.Components() {
		mustApply(b, cleared, &operation.GrantClearance{Application: application(string(c.ID), t0)}, t0)
	}
	mustApply(b, cleared, &operation.GrantClearance{Application: application("109000007@munich", t0)}, t0)
	var munich []string
	for _, p := range cleared.Placements() {
		if p.Site == "munich" {
			munich = append(munich, string(p.ID))
		}
	}
	for name, c := range map[string]operation.Command{
		"cut one":         &operation.OrderCut{Act: because("x"), Measure: "m", Nodes: []string{"109000008/dienst3/munich"}},
		"enter trial one": &operation.EnterTrial{Nodes: []string{place}},
		"cut a site":      &operation.OrderCut{Act: because("x"), Measure: "m", Nodes: munich},
		"revoke for all":  &operation.RevokeClearance{Act: because("x"), Clearance: "F-0001"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Sign(t0, lead, operator, examiner, deputy)
				if _, err := operation.Apply(cleared, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("clone", func(b *testing.B) {
		for b.Loop() {
			cleared.Clone()
		}
	})
	b.Run("invariants", func(b *testing.B) {
		for b.Loop() {
			if v := operation.CheckInvariants(cleared, t0); len(v) > 0 {
				b.Fatal(v)
			}
		}
	})
	b.Run("cells", func(b *testing.B) {
		for b.Loop() {
			operation.Cells(cleared, t0)
		}
	})
}

func BenchmarkDo(b *testing.B) {
	d, store := benchStore(b)
	defer func() { _ = d.Close() }()
	var munich []string
	for _, p := range store.Current().Placements() {
		if p.Site == "munich" {
			munich = append(munich, string(p.ID))
		}
	}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			benchDo(b, store, &operation.ConfirmState{Nodes: munich[:1]})
		}
	})
	b.Run("a site", func(b *testing.B) {
		for b.Loop() {
			benchDo(b, store, &operation.OrderCut{Act: because("x"), Measure: "m", Nodes: munich})
			b.StopTimer()
			benchDo(b, store, &operation.UndoCut{Act: because("x"), Nodes: munich})
			b.StartTimer()
		}
	})
}

var benchClock = t0 //nolint:gochecknoglobals // only benchmarks turn it

func benchDo(b *testing.B, s *operation.Store, c operation.Command) {
	b.Helper()
	benchClock = benchClock.Add(time.Second)
	c.Sign(benchClock, lead, operator)
	if _, err := s.Do(b.Context(), c); err != nil {
		b.Fatal(err)
	}
}

func benchStore(b *testing.B) (*db.DB, *operation.Store) {
	b.Helper()
	d := openStore(b, db.InDir(b.TempDir()), newKey(b))
	s, err := operation.NewStore(b.Context(), d, bigCatalogue(), operation.Options{})
	if err != nil {
		b.Fatal(err)
	}
	benchDo(b, s, &operation.Adopt{Owner: "betrieb"})
	return d, s
}
