package catalogue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"leitstand/catalogue"
)

func equal() cmp.Option { return cmpopts.IgnoreUnexported(catalogue.Catalogue{}) }

// small is two Kassen, two sites, three services: enough for every rule.
func small() *catalogue.Catalogue {
	c := &catalogue.Catalogue{
		Kassen: []catalogue.Kasse{
			{ID: "103170002", Name: "hkk Krankenkasse", Kind: "Ersatzkasse", Insured: 900, Former: []string{"HKK"}},
			{ID: "108433248", Name: "SBK", Kind: "BKK", Insured: 1100, InsuredAssumed: true, OtherIK: []string{"108033244"}},
		},
		Sites: []catalogue.Site{{ID: "munich", Name: "München"}, {ID: "essen", Name: "Essen"}},
		Services: []catalogue.Service{
			{ID: "eau", Name: "eAU-Annahme", Criticality: 1, MTPD: 72 * time.Hour, Weight: 8},
			{ID: "app", Name: "App", Criticality: 3, MTPD: 336 * time.Hour, Weight: 1, Behaviour: catalogue.Notice},
		},
		Components: []catalogue.Component{
			{ID: "kimdienst@munich", Name: "KIM", Site: "munich", Needs: catalogue.Node("directory@munich")},
			{ID: "kimdienst@essen", Name: "KIM", Site: "essen"},
			{ID: "directory@munich", Name: "AD", Site: "munich", Needs: catalogue.Node("dns@munich")},
			{ID: "dns@munich", Name: "DNS", Site: "munich", Needs: catalogue.Node("directory@munich")},
		},
	}
	kim := catalogue.Any(catalogue.Node("kimdienst@munich"), catalogue.Node("kimdienst@essen"))
	place(c, "103170002", "eau", "essen", catalogue.All(kim))
	place(c, "108433248", "eau", "munich", catalogue.All(kim, catalogue.Node("directory@munich")))
	place(c, "108433248", "app", "munich", catalogue.Node("directory@munich"))
	place(c, "108433248", "app", "essen", catalogue.Formula{})
	c.Placements[2].Wants = catalogue.Node("108433248/eau/munich")
	return c
}

func place(c *catalogue.Catalogue, k catalogue.KasseID, d catalogue.ServiceID, s catalogue.SiteID, needs catalogue.Formula) {
	env := catalogue.EnvironmentOf(k, s)
	c.Placements = append(c.Placements, catalogue.Placement{
		ID: catalogue.PlacementOf(k, d, s), Kasse: k, Service: d, Site: s, Environment: env, Needs: needs,
	})
	for _, e := range c.Environments {
		if e.ID == env {
			return
		}
	}
	c.Environments = append(c.Environments, catalogue.Environment{ID: env, Kasse: k, Site: s})
}

func TestTheCheckDigitOfAnIK(t *testing.T) {
	for _, ik := range []string{"103170002", "108433248", "101570104", "109938503", "108033244", "101560000"} {
		if !catalogue.ValidIK(ik) {
			t.Errorf("%s is a real IK", ik)
		}
		for d := byte('0'); d <= '9'; d++ {
			if other := ik[:8] + string(d); d != ik[8] && catalogue.ValidIK(other) {
				t.Errorf("%s passes with a wrong check digit", other)
			}
		}
	}
	for _, ik := range []string{"", "10317000", "1031700020", "10317000x", "１０３１７０００２"} {
		if catalogue.ValidIK(ik) {
			t.Errorf("%q is no IK", ik)
		}
	}
}

func TestAFormulaHoldsAsItReads(t *testing.T) {
	up := func(names string) func(string) bool {
		return func(n string) bool { return strings.Contains(" "+names+" ", " "+n+" ") }
	}
	for _, x := range []struct {
		formula, up string
		want        bool
	}{
		{"", "", true},
		{"a", "", false},
		{"a & b", "a", false},
		{"a & b", "a b", true},
		{"a | b", "b", true},
		{"a & (b | c)", "a c", true},
		{"a & (b | c)", "b c", false},
		{"a & b | c", "c", true}, // & binds closer
		{"a und b oder c", "a", false},
		{"a + b, c", "a b c", true},
	} {
		f, err := catalogue.ParseFormula(x.formula)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Holds(up(x.up)); got != x.want {
			t.Errorf("%q with %q up = %v, want %v", x.formula, x.up, got, x.want)
		}
	}
}

func TestABrokenFormulaSaysWhere(t *testing.T) {
	for in, want := range map[string]string{
		"a &":                          "missing at the end",
		"& a":                          `character 1: "&" where a name`,
		"a b":                          `character 3: "b" where the formula should end`,
		"(a | b":                       "closing parenthesis",
		"ä & )":                        `character 5: ")" where a name`,
		"a ! b":                        `"!" where the formula should end`,
		strings.Repeat("(", 40) + "a":  "parentheses within",
		strings.Repeat("a & ", 20_000): "bytes",
	} {
		_, err := catalogue.ParseFormula(in)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", in, err, want)
		}
	}
}

func formulas(depth int) *rapid.Generator[catalogue.Formula] {
	return rapid.Custom(func(t *rapid.T) catalogue.Formula {
		if depth == 0 || rapid.IntRange(0, 2).Draw(t, "kind") == 0 {
			return catalogue.Node(rapid.SampledFrom([]string{"a", "b", "c", "d@x", "103170002/eau/x"}).Draw(t, "node"))
		}
		op := rapid.SampledFrom([]catalogue.Op{catalogue.OpAll, catalogue.OpAny}).Draw(t, "op")
		return catalogue.Formula{Op: op, Of: rapid.SliceOfN(formulas(depth-1), 1, 4).Draw(t, "of")}
	})
}

func TestNormalFormMeansTheSameAndIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := formulas(4).Draw(t, "f")
		n := f.Normal()
		back, err := catalogue.ParseFormula(f.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(n, back); diff != "" {
			t.Fatalf("text of %q reads differently (-normal +read):\n%s", f, diff)
		}
		if diff := cmp.Diff(n, n.Normal()); diff != "" {
			t.Fatalf("normal form is not stable (-once +twice):\n%s", diff)
		}
		nodes := f.Nodes()
		for mask := range 1 << len(nodes) {
			up := func(s string) bool {
				for i, n := range nodes {
					if n == s {
						return mask>>i&1 == 1
					}
				}
				return false
			}
			if f.Holds(up) != n.Holds(up) {
				t.Fatalf("%q and its normal form %q differ", f, n)
			}
		}
	})
}

func FuzzParseFormula(f *testing.F) {
	for _, s := range []string{"", "a", "a & (b | c)", "103170002/eau/munich | kim@essen", "ä und ö oder ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := catalogue.ParseFormula(s)
		if err != nil {
			return
		}
		h, err := catalogue.ParseFormula(g.String())
		if err != nil || g.String() != h.String() {
			t.Errorf("%q reads as %q, then as %q, %v", s, g, h, err)
		}
	})
}

func TestLookups(t *testing.T) {
	c := small()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if k, ok := c.KasseByIK("108033244"); !ok || k.ID != "108433248" {
		t.Errorf("by a further IK: %v, %v", k.ID, ok)
	}
	if _, ok := c.Kasse("108033244"); ok {
		t.Error("a further IK passes as the main one")
	}
	if got := len(c.PlacementsOf("108433248", "app")); got != 2 {
		t.Errorf("%d placements of the app, want 2", got)
	}
	if got := len(c.PlacementsIn("108433248@munich")); got != 2 {
		t.Errorf("%d placements in the environment, want 2", got)
	}
	want := []catalogue.Cell{{"103170002", "eau"}, {"108433248", "eau"}, {"108433248", "app"}}
	if diff := cmp.Diff(want, c.Cells()); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	if n, assumed := c.Insured("108433248", "103170002", "108433248"); n != 2000 || !assumed {
		t.Errorf("%d insured, assumed %v", n, assumed)
	}
	if k, d, s, ok := catalogue.PlacementID("108433248/app/essen").Split(); !ok || k != "108433248" || d != "app" || s != "essen" {
		t.Errorf("%v %v %v %v", k, d, s, ok)
	}
	if k, s, ok := catalogue.EnvironmentID("108433248@essen").Split(); !ok || k != "108433248" || s != "essen" {
		t.Errorf("%v %v %v", k, s, ok)
	}
}

// One mistake a case; the message must name the thing.
func TestValidateNamesEveryMistake(t *testing.T) {
	for want, breakIt := range map[string]func(c *catalogue.Catalogue){
		`"103170003" is no IK: the check digit should be 2`:  func(c *catalogue.Catalogue) { c.Kassen[0].OtherIK = []string{"103170003"} },
		`"12" is no IK: it needs nine digits`:                func(c *catalogue.Catalogue) { c.Kassen[0].OtherIK = []string{"12"} },
		`Kasse "103170002" is listed twice`:                  func(c *catalogue.Catalogue) { c.Kassen = append(c.Kassen, c.Kassen[0]) },
		`IK "103170002" belongs to Kasse "103170002"`:        func(c *catalogue.Catalogue) { c.Kassen[1].OtherIK = []string{"103170002"} },
		`lists IK "108033244" twice`:                         func(c *catalogue.Catalogue) { c.Kassen[1].OtherIK = []string{"108033244", "108033244"} },
		`Kasse "103170002" has no name`:                      func(c *catalogue.Catalogue) { c.Kassen[0].Name = "" },
		`has -1 insured`:                                     func(c *catalogue.Catalogue) { c.Kassen[0].Insured = -1 },
		`site "mu nich": an id is`:                           func(c *catalogue.Catalogue) { c.Sites[0].ID = "mu nich" },
		`site "munich" is listed twice`:                      func(c *catalogue.Catalogue) { c.Sites[1].ID = "munich" },
		`criticality 0 is not 1 to 4`:                        func(c *catalogue.Catalogue) { c.Services[0].Criticality = 0 },
		`weight -1 is negative`:                              func(c *catalogue.Catalogue) { c.Services[0].Weight = -1 },
		`MTPD 1s is not`:                                     func(c *catalogue.Catalogue) { c.Services[0].MTPD = time.Second },
		`behaviour 9 is unknown`:                             func(c *catalogue.Catalogue) { c.Services[0].Behaviour = 9 },
		`component "kimdienst@munich": site "x" is not`:      func(c *catalogue.Catalogue) { c.Components[0].Site = "x" },
		`rests on "y", which is not in the catalogue`:        func(c *catalogue.Catalogue) { c.Components[0].Needs = catalogue.Node("y") },
		`"dns@munich" rests on itself`:                       func(c *catalogue.Catalogue) { c.Components[3].Wants = catalogue.Node("dns@munich") },
		`formula of kind 2 with node`:                        func(c *catalogue.Catalogue) { c.Placements[0].Needs = catalogue.Formula{Op: catalogue.OpAll} },
		`formula of unknown kind 7`:                          func(c *catalogue.Catalogue) { c.Placements[0].Needs = catalogue.Formula{Op: 7} },
		`environment "103170002@essen" is listed twice`:      func(c *catalogue.Catalogue) { c.Environments = append(c.Environments, c.Environments[0]) },
		`environment "x" is not Kasse`:                       func(c *catalogue.Catalogue) { c.Environments[0].ID = "x" },
		`placement "103170002/eau/essen" is listed twice`:    func(c *catalogue.Catalogue) { c.Placements = append(c.Placements, c.Placements[0]) },
		`placement "x" is not service`:                       func(c *catalogue.Catalogue) { c.Placements[0].ID = "x" },
		`service "fax" is not in the catalogue`:              func(c *catalogue.Catalogue) { c.Placements[0].Service = "fax" },
		`Kasse "101570104" is not in the catalogue`:          func(c *catalogue.Catalogue) { c.Placements[0].Kasse = "101570104" },
		`environment "q" is not in the catalogue or not its`: func(c *catalogue.Catalogue) { c.Placements[0].Environment = "q" },
	} {
		c := small()
		breakIt(c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestValidateReportsAllAtOnce(t *testing.T) {
	c := small()
	c.Kassen[0].Name, c.Services[0].Criticality, c.Placements[0].Needs = "", 9, catalogue.Node("nowhere")
	err := c.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three errors, got %v", err)
	}
}

func TestASnapshotKeepsEverythingAndForgetsTheOrder(t *testing.T) {
	c := small()
	c.Placements[0].MTPD, c.Placements[0].Team = 36*time.Hour, "Windows"
	b, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	back, err := catalogue.ReadSnapshot(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Normal(), back, equal(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	other := small()
	other.Placements[0].MTPD, other.Placements[0].Team = 36*time.Hour, "Windows"
	other.Kassen[0], other.Kassen[1] = other.Kassen[1], other.Kassen[0]
	other.Placements[0], other.Placements[3] = other.Placements[3], other.Placements[0]
	if c.Hash() != other.Hash() || c.Hash() == "" {
		t.Error("the same content in another order has another hash")
	}
	other.Placements[1].Team = "Netz"
	if c.Hash() == other.Hash() {
		t.Error("other content has the same hash")
	}
	for _, broken := range []string{"", "{}x", `{"kassen":[{"ikk":"1"}]}`, `{"services":[{"mtpd":3}]}`, `{"services":[{"behaviour":"lose"}]}`} {
		if _, err := catalogue.ReadSnapshot([]byte(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}
