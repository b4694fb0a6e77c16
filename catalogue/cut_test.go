package catalogue_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
)

// A compromised directory in Munich; Essen is to be protected. In 2023 the whole
// of Munich went down; what connects the two sites is a handful of services
// that have an alternative in Essen.
func TestTheSuggestionIsCheaperThanAWholeSite(t *testing.T) {
	c := catalogue.Case2023(1)
	options, err := catalogue.SuggestCut(c, catalogue.CutRequest{
		Compromised: catalogue.Selection{Components: []catalogue.ComponentID{"archive@munich"}},
		Protect:     catalogue.Selection{Components: []catalogue.ComponentID{"directory@munich"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	best := options[0]
	for _, o := range options {
		if o.Impact.Weight < best.Impact.Weight {
			t.Error("the first option is not the cheapest")
		}
	}
	if diff := cmp.Diff([]catalogue.ComponentID{"archive@munich"}, best.Components); diff != "" || len(best.Environments) > 0 {
		t.Errorf("cut (-want +got):\n%s\n%v", diff, best.Environments)
	}

	options, err = catalogue.SuggestCut(c, catalogue.CutRequest{
		Compromised: catalogue.Selection{Components: []catalogue.ComponentID{"directory@munich"}},
		Protect:     catalogue.Selection{Components: []catalogue.ComponentID{"directory@essen"}},
		Keep:        catalogue.Selection{Components: []catalogue.ComponentID{"directory@munich"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var site catalogue.CutOption
	for _, o := range options {
		if o.Name == "alles Übrige an den Standorten des Befallenen" {
			site = o
		}
	}
	if site.Name != "" && options[0].Impact.Weight >= site.Impact.Weight {
		t.Errorf("the suggestion costs %v, the site %v", options[0].Impact.Weight, site.Impact.Weight)
	}
	for _, o := range options {
		t.Logf("%-45s %3d components %3d environments: %4d stopped, weight %.0f", o.Name, len(o.Components), len(o.Environments), o.Impact.Stopped, o.Impact.Weight)
	}
}

func TestWhatCannotBeSeparatedIsSaid(t *testing.T) {
	c := small()
	sel := func(ids ...catalogue.ComponentID) catalogue.Selection { return catalogue.Selection{Components: ids} }
	for want, req := range map[string]catalogue.CutRequest{
		"is compromised and to be protected": {Compromised: sel("dns@munich"), Protect: sel("dns@munich")},
		"nothing that may be cut":            {Compromised: sel("dns@munich"), Protect: sel("directory@munich"), Keep: sel("dns@munich")},
	} {
		if _, err := catalogue.SuggestCut(c, req); !errors.Is(err, catalogue.ErrInseparable) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	for _, req := range []catalogue.CutRequest{{}, {Compromised: sel("x"), Protect: sel("dns@munich")}} {
		if _, err := catalogue.SuggestCut(c, req); err == nil {
			t.Error("no error")
		}
	}
}

// large is a graph of the size of the Alibaba trace of 2022: 67,760 services,
// 13 % of them entries, 39 % leaves; layers and a few very common ones.
func large(tb testing.TB) *catalogue.Catalogue {
	tb.Helper()
	const all, entries, leaves, layers = 67_760, 8_808, 26_426, 12
	r := rand.New(rand.NewPCG(1, 2))
	c := &catalogue.Catalogue{Sites: []catalogue.Site{{ID: "x", Name: "X"}}}
	name := func(i int) catalogue.ComponentID { return catalogue.ComponentID(fmt.Sprintf("s%d@x", i)) }
	inner := all - entries
	layer := func(i int) int { return max(0, (i-leaves)*layers/(inner-leaves)) }
	needs := func(below int) catalogue.Formula {
		var of []catalogue.Formula
		for range 1 + r.IntN(5) {
			n := catalogue.Node(name(r.IntN(below)))
			switch r.IntN(6) {
			case 0: // common ones: the few first of all
				n = catalogue.Node(name(r.IntN(1 + r.IntN(50))))
			case 1:
				n = catalogue.Any(n, catalogue.Node(name(r.IntN(below))))
			}
			of = append(of, n)
		}
		return catalogue.All(of...)
	}
	for i := range inner {
		m := catalogue.Component{ID: name(i), Name: "S", Site: "x"}
		if i >= leaves {
			m.Needs = needs(leaves + (inner-leaves)*layer(i)/layers)
		}
		c.Components = append(c.Components, m)
	}
	for i := range 48 {
		id := ik(i)
		c.Kassen = append(c.Kassen, catalogue.Kasse{ID: catalogue.KasseID(id), Name: fmt.Sprint("K", i), Insured: 1000 * (1 + i)})
	}
	for d := range entries / 48 {
		s := catalogue.ServiceID(fmt.Sprint("d", d))
		c.Services = append(c.Services, catalogue.Service{ID: s, Name: string(s), Criticality: 2, Weight: 4})
		for _, k := range c.Kassen {
			place(c, k.ID, s, "x", needs(inner))
		}
	}
	if err := c.Validate(); err != nil {
		tb.Fatal(err)
	}
	return c
}

func BenchmarkImpactOf67760Nodes(b *testing.B) {
	c := large(b)
	b.ReportMetric(float64(len(c.Components)+len(c.Placements)), "nodes")
	var r catalogue.Result
	act := catalogue.Selection{Components: []catalogue.ComponentID{"s0@x", "s40000@x"}}
	for b.Loop() {
		r = catalogue.Impact(c, act)
	}
	b.ReportMetric(float64(len(r.Nodes)), "hit")
}

func BenchmarkSuggestCutOf67760Nodes(b *testing.B) {
	c := large(b)
	req := catalogue.CutRequest{
		Compromised: catalogue.Selection{Components: []catalogue.ComponentID{"s30000@x", "s40000@x", "s50000@x"}},
		Protect:     catalogue.Selection{Components: []catalogue.ComponentID{"s100@x", "s200@x", "s31000@x"}},
	}
	for b.Loop() {
		options, err := catalogue.SuggestCut(c, req)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(options)), "options")
	}
}
