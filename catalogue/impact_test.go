package catalogue_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"leitstand/catalogue"
)

func outcomes(r catalogue.Result) map[string]string {
	out := map[string]string{}
	for _, n := range r.Nodes {
		out[n.Node] = n.Outcome.String()
	}
	return out
}

func TestAnActStopsLimitsAndDiverts(t *testing.T) {
	c := small()
	r := catalogue.Impact(c, catalogue.Selection{Components: []catalogue.ComponentID{"kimdienst@munich"}})
	want := map[string]string{
		"kimdienst@munich":     "stopped",
		"103170002/eau/essen":  "on_alternative",
		"108433248/eau/munich": "on_alternative",
	}
	if diff := cmp.Diff(want, outcomes(r)); diff != "" {
		t.Errorf("without one KIM server (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]catalogue.Support{{Node: "kimdienst@essen", Placements: 2}}, r.LastWays); diff != "" {
		t.Errorf("last ways (-want +got):\n%s", diff)
	}
	if r.Insured != 0 || r.OnAlternative != 2 || r.Kassen != 0 {
		t.Errorf("%+v", r)
	}

	r = catalogue.Impact(c, catalogue.Selection{Components: []catalogue.ComponentID{"dns@munich"}})
	want = map[string]string{
		"dns@munich": "stopped", "directory@munich": "stopped", "kimdienst@munich": "stopped",
		"108433248/eau/munich": "stopped", "108433248/app/munich": "stopped", "103170002/eau/essen": "on_alternative",
	}
	if diff := cmp.Diff(want, outcomes(r)); diff != "" {
		t.Errorf("without DNS (-want +got):\n%s", diff)
	}
	wantCells := []catalogue.CellImpact{
		{Kasse: "103170002", Service: "eau", Outcome: catalogue.OnAlternative, Hit: 1, Of: 1, Insured: 900, MTPD: 72 * time.Hour},
		{Kasse: "108433248", Service: "app", Outcome: catalogue.Limited, Hit: 1, Of: 2, Insured: 1100, MTPD: 336 * time.Hour},
		{Kasse: "108433248", Service: "eau", Outcome: catalogue.Stopped, Hit: 1, Of: 1, Insured: 1100, MTPD: 72 * time.Hour},
	}
	if diff := cmp.Diff(wantCells, r.Cells); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	if r.Stopped != 1 || r.Limited != 1 || r.OnAlternative != 1 || r.Kassen != 1 || r.Insured != 1100 || !r.InsuredAssumed || r.Weight != 8*1100 {
		t.Errorf("%+v", r)
	}
	for _, n := range r.Nodes {
		if n.Node == "108433248/eau/munich" && !slices.Equal(n.Chain, []string{"dns@munich", "directory@munich", "108433248/eau/munich"}) {
			t.Errorf("chain %v", n.Chain)
		}
	}
}

func TestWhatIsOnlyWantedLimits(t *testing.T) {
	c := small()
	c.Placements[2].Needs = catalogue.Formula{}
	r := catalogue.Impact(c, catalogue.Selection{Placements: []catalogue.PlacementID{"108433248/eau/munich"}})
	want := map[string]string{"108433248/eau/munich": "stopped", "108433248/app/munich": "limited"}
	if diff := cmp.Diff(want, outcomes(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if chain := r.Nodes[1].Chain; r.Nodes[1].Node == "108433248/app/munich" && !slices.Equal(chain, []string{"108433248/eau/munich", "108433248/app/munich"}) {
		t.Errorf("chain %v", chain)
	}
}

func TestUnknownSpreadsAsUnknown(t *testing.T) {
	c := small()
	now := catalogue.Situation{Unknown: catalogue.Selection{Components: []catalogue.ComponentID{"kimdienst@essen"}}}
	r := catalogue.ImpactFrom(c, now, catalogue.Selection{Components: []catalogue.ComponentID{"kimdienst@munich"}})
	want := map[string]string{"kimdienst@munich": "stopped", "103170002/eau/essen": "unknown", "108433248/eau/munich": "unknown", "108433248/app/munich": "unknown"}
	if diff := cmp.Diff(want, outcomes(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Uncertain != 3 || r.Stopped != 0 {
		t.Errorf("%+v", r)
	}
}

func TestWhatWasDownBeforeIsNoNews(t *testing.T) {
	c := small()
	now := catalogue.Situation{Down: catalogue.Selection{Environments: []catalogue.EnvironmentID{"108433248@essen"}}}
	r := catalogue.ImpactFrom(c, now, catalogue.Selection{Kassen: []catalogue.KasseID{"108433248"}})
	want := map[string]string{"108433248/eau/munich": "stopped", "108433248/app/munich": "stopped"}
	if diff := cmp.Diff(want, outcomes(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r.Stopped != 2 { // the app was at two sites, the other one was down already
		t.Errorf("%d cells stopped", r.Stopped)
	}
}

func TestEverySelectionMeansWhatItSays(t *testing.T) {
	c := small()
	for name, x := range map[string]struct {
		s    catalogue.Selection
		want int
	}{
		"site":        {catalogue.Selection{Sites: []catalogue.SiteID{"essen"}}, 3},
		"service":     {catalogue.Selection{Services: []catalogue.ServiceID{"app"}}, 2},
		"Kasse":       {catalogue.Selection{Kassen: []catalogue.KasseID{"103170002"}}, 1},
		"environment": {catalogue.Selection{Environments: []catalogue.EnvironmentID{"108433248@munich"}}, 2},
	} {
		direct := 0
		for _, n := range catalogue.Impact(c, x.s).Nodes {
			if n.Direct {
				direct++
			}
		}
		if direct != x.want {
			t.Errorf("%s takes %d, want %d", name, direct, x.want)
		}
	}
	r := catalogue.Impact(c, catalogue.Selection{
		Kassen: []catalogue.KasseID{"k"}, Sites: []catalogue.SiteID{"s"}, Services: []catalogue.ServiceID{"d"},
		Components: []catalogue.ComponentID{"c"}, Environments: []catalogue.EnvironmentID{"e"}, Placements: []catalogue.PlacementID{"p"},
	})
	if diff := cmp.Diff([]string{"c", "d", "e", "k", "p", "s"}, r.Unresolved); diff != "" || len(r.Nodes) > 0 {
		t.Errorf("unresolved (-want +got):\n%s", diff)
	}
}

// naive is the definition: the greatest set in which everything that is not
// lost has a formula that holds within the set.
func naive(c *catalogue.Catalogue, lost map[string]bool, wants bool) map[string]bool {
	up := map[string]bool{}
	for _, m := range c.Components {
		up[string(m.ID)] = !lost[string(m.ID)]
	}
	for _, p := range c.Placements {
		up[string(p.ID)] = !lost[string(p.ID)]
	}
	is := func(n string) bool { return up[n] }
	for changed := true; changed; {
		changed = false
		try := func(id string, f, w catalogue.Formula) {
			if up[id] && (!f.Holds(is) || wants && !w.Holds(is)) {
				up[id], changed = false, true
			}
		}
		for _, m := range c.Components {
			try(string(m.ID), m.Needs, m.Wants)
		}
		for _, p := range c.Placements {
			try(string(p.ID), p.Needs, p.Wants)
		}
	}
	return up
}

// cyclic draws catalogues in which things may rest on each other.
func cyclic() *rapid.Generator[*catalogue.Catalogue] {
	return rapid.Custom(func(t *rapid.T) *catalogue.Catalogue {
		c := catalogues().Draw(t, "catalogue")
		var nodes []string
		for _, m := range c.Components {
			nodes = append(nodes, string(m.ID))
		}
		for _, p := range c.Placements {
			nodes = append(nodes, string(p.ID))
		}
		for i := range c.Components {
			c.Components[i].Needs = drawFormula(t, nodes[i+1:])
			c.Components[i].Wants = drawFormula(t, nodes[i+1:])
		}
		for i := range c.Placements {
			at := len(c.Components) + i
			c.Placements[i].Needs = drawFormula(t, slices.Concat(nodes[:at], nodes[at+1:]))
		}
		return c
	})
}

// Unknown is right when nothing can be said: things stop under the worst
// assumption and go on under the best.
func TestImpactAgreesWithTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cyclic().Draw(t, "catalogue")
		var now catalogue.Situation
		var act catalogue.Selection
		base, best, worst := map[string]bool{}, map[string]bool{}, map[string]bool{}
		baseBest, baseWorst := map[string]bool{}, map[string]bool{}
		draw := func(id string) (toDown, toUnknown, toAct bool) {
			v := rapid.IntRange(0, 11).Draw(t, "own")
			toDown, toUnknown, toAct = v == 1, v == 2, v == 3
			base[id] = toDown
			baseBest[id], baseWorst[id] = toDown, toDown || toUnknown
			best[id], worst[id] = toDown || toAct, toDown || toUnknown || toAct
			return toDown, toUnknown, toAct
		}
		for _, m := range c.Components {
			d, u, a := draw(string(m.ID))
			now.Down.Components = appendIf(now.Down.Components, m.ID, d)
			now.Unknown.Components = appendIf(now.Unknown.Components, m.ID, u)
			act.Components = appendIf(act.Components, m.ID, a)
		}
		for _, p := range c.Placements {
			d, u, a := draw(string(p.ID))
			now.Down.Placements = appendIf(now.Down.Placements, p.ID, d)
			now.Unknown.Placements = appendIf(now.Unknown.Placements, p.ID, u)
			act.Placements = appendIf(act.Placements, p.ID, a)
		}
		r := catalogue.ImpactFrom(c, now, act)
		value := func(best, worst map[string]bool, wants bool) map[string]int {
			out := map[string]int{}
			b, w := naive(c, best, wants), naive(c, worst, wants)
			for id := range b {
				if w[id] {
					out[id]++
				}
				if b[id] {
					out[id]++
				}
			}
			return out
		}
		works0, works1 := value(baseBest, baseWorst, false), value(best, worst, false)
		full0, full1 := value(baseBest, baseWorst, true), value(best, worst, true)
		got := outcomes(r)
		for id := range best {
			want := "unaffected"
			switch {
			case works1[id] < works0[id] && works1[id] == 0:
				want = "stopped"
			case works1[id] < works0[id]:
				want = "unknown"
			case works1[id] == 0:
			case full1[id] < full0[id] && full1[id] == 0:
				want = "limited"
			case full1[id] < full0[id]:
				want = "unknown"
			case got[id] == "on_alternative":
				want = "on_alternative" // checked by example above
			}
			if have := got[id]; have != want && (have != "" || want != "unaffected") {
				t.Fatalf("%s: %q, want %q", id, have, want)
			}
		}
		checkChains(t, r)
	})
}

func appendIf[T any](to []T, v T, take bool) []T {
	if take {
		return append(to, v)
	}
	return to
}

// A chain starts at something the act or the situation took away and never repeats.
func checkChains(t *rapid.T, r catalogue.Result) {
	for _, n := range r.Nodes {
		if n.Outcome == catalogue.OnAlternative {
			continue
		}
		if len(n.Chain) == 0 || n.Chain[len(n.Chain)-1] != n.Node {
			t.Fatalf("chain of %s: %v", n.Node, n.Chain)
		}
		seen := slices.Clone(n.Chain)
		slices.Sort(seen)
		if len(slices.Compact(seen)) != len(n.Chain) {
			t.Fatalf("chain of %s goes in circles: %v", n.Node, n.Chain)
		}
	}
}

func TestCyclesAndSinglePoints(t *testing.T) {
	c := small()
	if diff := cmp.Diff([][]string{{"directory@munich", "dns@munich"}}, catalogue.Cycles(c)); diff != "" {
		t.Errorf("cycles (-want +got):\n%s", diff)
	}
	want := []catalogue.SinglePoint{
		{Node: "directory@munich", Stopped: 1, Kassen: 1, Insured: 1100},
		{Node: "dns@munich", Stopped: 1, Kassen: 1, Insured: 1100},
	}
	if diff := cmp.Diff(want, catalogue.SinglePoints(c)); diff != "" {
		t.Errorf("single points (-want +got):\n%s", diff)
	}
	cycles := catalogue.Cycles(catalogue.Case2023(1))
	if len(cycles) != 3 || !slices.Contains(cycles[0], "directory@essen") || !slices.Contains(cycles[0], "dns@essen") {
		t.Errorf("cycles of the case: %v", cycles)
	}
}

// Groups by definition: two nodes are together when each reaches the other.
func TestCyclesAgreeWithReachability(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cyclic().Draw(t, "catalogue")
		edges := map[string][]string{}
		for _, m := range c.Components {
			edges[string(m.ID)] = m.Needs.Nodes()
		}
		for _, p := range c.Placements {
			edges[string(p.ID)] = p.Needs.Nodes()
		}
		reach := map[string]map[string]bool{}
		for n := range edges {
			seen, todo := map[string]bool{}, []string{n}
			for len(todo) > 0 {
				x := todo[0]
				todo = todo[1:]
				for _, y := range edges[x] {
					if !seen[y] {
						seen[y] = true
						todo = append(todo, y)
					}
				}
			}
			reach[n] = seen
		}
		group := map[string]int{}
		for i, g := range catalogue.Cycles(c) {
			for _, n := range g {
				group[n] = i + 1
			}
		}
		for a := range edges {
			for b := range edges {
				if a != b && (reach[a][b] && reach[b][a]) != (group[a] != 0 && group[a] == group[b]) {
					t.Fatalf("%s and %s: reach %v %v, groups %d %d", a, b, reach[a][b], reach[b][a], group[a], group[b])
				}
			}
		}
	})
}

// big is a catalogue of about 2,000 nodes: the case twice over.
func big(tb testing.TB) *catalogue.Catalogue {
	tb.Helper()
	c := catalogue.Case2023(1)
	for _, k := range slices.Clone(c.Kassen) {
		var id catalogue.KasseID
		for d := range 10 {
			if s := fmt.Sprintf("17%s%d", k.ID[2:8], d); catalogue.ValidIK(s) {
				id = catalogue.KasseID(s)
			}
		}
		for _, p := range slices.Clone(c.Placements) {
			if p.Kasse == k.ID {
				place(c, id, p.Service, p.Site, p.Needs)
			}
		}
		k.ID, k.Name, k.OtherIK = id, k.Name+" 2", nil
		c.Kassen = append(c.Kassen, k)
	}
	if err := c.Validate(); err != nil {
		tb.Fatal(err)
	}
	return c.Normal()
}

func BenchmarkImpactOf2000Nodes(b *testing.B) {
	c := big(b)
	b.ReportMetric(float64(len(c.Components)+len(c.Placements)), "nodes")
	act := catalogue.Selection{Sites: []catalogue.SiteID{"munich"}}
	var r catalogue.Result
	for b.Loop() {
		r = catalogue.Impact(c, act)
	}
	b.ReportMetric(float64(len(r.Nodes)), "hit")
}

func BenchmarkSinglePointsOf2000Nodes(b *testing.B) {
	c := big(b)
	for b.Loop() {
		catalogue.SinglePoints(c)
	}
}

func BenchmarkBuildIndexAndGraph(b *testing.B) {
	c := big(b)
	for b.Loop() {
		catalogue.Impact(c.Normal(), catalogue.Selection{})
	}
}
