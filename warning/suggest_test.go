package warning

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
)

// twoSites has three environments at one site and one at another, a system of
// one Kasse's own and a directory that all rest on.
func twoSites(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	c := &catalogue.Catalogue{
		Sites:    []catalogue.Site{{ID: "nord"}, {ID: "süd"}},
		Services: []catalogue.Service{{ID: "eau"}},
	}
	c.Components = []catalogue.Component{{ID: "dir", Name: "Verzeichnis", Site: "nord"}, {ID: "srv-7", Name: "Server 7", Site: "nord"}}
	for i, k := range []catalogue.KasseID{"a", "b", "c", "d"} {
		site := catalogue.SiteID("nord")
		if i == 3 {
			site = "süd"
		}
		env := catalogue.EnvironmentID(fmt.Sprintf("%s@%s", k, site))
		c.Kassen = append(c.Kassen, catalogue.Kasse{ID: k, Name: string(k)})
		c.Environments = append(c.Environments, catalogue.Environment{ID: env, Kasse: k, Site: site})
		n := catalogue.Node("dir")
		if k == "a" {
			n = catalogue.Formula{Op: catalogue.OpAll, Of: []catalogue.Formula{catalogue.Node("dir"), catalogue.Node("srv-7")}}
		}
		c.Placements = append(c.Placements, catalogue.Placement{ID: catalogue.PlacementID(string(k) + "/eau@" + string(site)), Kasse: k, Service: "eau", Site: site, Environment: env, Needs: n})
	}
	return c
}

func TestSuggestionsAreAsSmallAsTheSignalsAllow(t *testing.T) {
	c := twoSites(t)
	n := 0
	sig := func(rule, level, env, host string) Signal {
		n++
		return Signal{ID: fmt.Sprint("s", n), Rule: rule, Level: level, Environment: catalogue.EnvironmentID(env), Host: host, Group: host, State: Open, Title: rule}
	}
	with := func(s Signal, change func(*Signal)) Signal { change(&s); return s }
	for _, tc := range []struct {
		name    string
		signals []Signal
		want    []string // target and stage
		why     string
	}{
		{"one strong signal alone is looked into first", []Signal{sig("r", "high", "a@nord", "h"), sig("r", "high", "a@nord", "h")}, nil, ""},
		{"weak signals propose nothing", []Signal{sig("r", "medium", "a@nord", "h"), sig("q", "low", "a@nord", "h")}, nil, ""},
		{"a dismissed one does not count", []Signal{with(sig("r", "critical", "a@nord", "h"), func(s *Signal) { s.State = Dismissed })}, nil, ""},
		{"one that belongs to an incident counts", []Signal{with(sig("r", "high", "a@nord", "h"), func(s *Signal) { s.State = Attached }), sig("q", "high", "a@nord", "i")}, []string{"a@nord 2"}, "2 verschiedene Regeln"},
		{"one host that the catalogue knows", []Signal{sig("r", "critical", "a@nord", "SRV-7.example.org")}, []string{"srv-7 1"}, "von diesem einen System"},
		{"one host by its name", []Signal{sig("r", "critical", "a@nord", "server 7")}, []string{"srv-7 1"}, "von diesem einen System"},
		{"one host that it does not know", []Signal{sig("r", "critical", "a@nord", "h9")}, []string{"a@nord 2"}, "das der Katalog nicht als einzelnes System kennt"},
		{"several hosts of an environment", []Signal{sig("r", "critical", "a@nord", "srv-7"), sig("q", "high", "a@nord", "h2")}, []string{"a@nord 2"}, "höchsten Stufe"},
		{"a correlation over many hosts", []Signal{with(sig("r", "critical", "a@nord", "srv-7"), func(s *Signal) { s.Group = "ls.account=root" })}, []string{"a@nord 2"}, ""},
		{"a correlation by host", []Signal{with(sig("r", "critical", "a@nord", "srv-7"), func(s *Signal) { s.Group = "ls.machine=SRV-7" })}, []string{"srv-7 1"}, ""},
		{"a shared component inside an environment", []Signal{sig("r", "critical", "a@nord", "dir")}, []string{"dir 2"}, "andere hängen von ihm ab"},
		{"a shared component of no environment", []Signal{sig("r", "high", "", "dir"), sig("q", "high", "", "dir.local")}, []string{"dir 2"}, "dasselbe System"},
		{"a host that nobody knows", []Signal{sig("r", "critical", "", "elsewhere")}, nil, ""},
		{"two environments of a site", []Signal{sig("r", "critical", "a@nord", "x"), sig("r", "critical", "b@nord", "y")}, []string{"nord 3", "a@nord 2", "b@nord 2"}, "2 von 3 Umgebungen"},
		{"two environments of two sites", []Signal{sig("r", "critical", "a@nord", "x"), sig("r", "critical", "d@süd", "y")}, []string{"a@nord 2", "d@süd 2"}, ""},
		{"the second environment has no reason enough", []Signal{sig("r", "critical", "a@nord", "x"), sig("r", "high", "b@nord", "y")}, []string{"a@nord 2"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			why := ""
			for _, g := range Suggest(tc.signals, c) {
				got = append(got, fmt.Sprintf("%s %d", g.Target(), g.Stage))
				why += g.Why
				if len(g.Signals) == 0 || !slices.IsSorted(g.Signals) || g.Title == "" {
					t.Errorf("%+v names no signals or no measure", g)
				}
			}
			if d := cmp.Diff(tc.want, got); d != "" || !strings.Contains(why, tc.why) {
				t.Errorf("%s (-want +got):\n%s", why, d)
			}
		})
	}
}
