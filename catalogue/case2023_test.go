package catalogue_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
)

func TestTheCaseOf2023(t *testing.T) {
	c := catalogue.Case2023(1)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if len(c.Kassen) != 47 || len(c.Services) != 18 || len(c.Sites) != 3 {
		t.Errorf("%d Kassen, %d services, %d sites", len(c.Kassen), len(c.Services), len(c.Sites))
	}
	if n := len(c.Cells()); n != 47*18 {
		t.Errorf("%d cells, want every Kasse × service", n)
	}
	if n := len(c.Placements); n < 900 || n > 1300 {
		t.Errorf("%d placements", n)
	}
	bahn, _ := c.Kasse("109938503")
	sbk, _ := c.Kasse("108433248")
	if bahn.Insured != 586_000 || bahn.InsuredAssumed {
		t.Errorf("BAHN-BKK: %d insured, assumed %v", bahn.Insured, bahn.InsuredAssumed)
	}
	if sbk.Insured <= 1_000_000 || sbk.Insured > 1_150_000 || !sbk.InsuredAssumed {
		t.Errorf("SBK: %d insured, assumed %v", sbk.Insured, sbk.InsuredAssumed)
	}
	if len(c.PlacementsIn("108433248@munich")) != 18 {
		t.Error("SBK is known to stand in Munich")
	}
}

func TestWhatNobodyPublishedIsMarkedAssumed(t *testing.T) {
	c := catalogue.Case2023(2)
	sum := 0
	for _, k := range c.Kassen {
		sum += k.Insured
		if k.ID != "109938503" && !k.InsuredAssumed {
			t.Errorf("%s: %d insured, as if published", k.Name, k.Insured)
		}
		if k.Insured < 5_000 {
			t.Errorf("%s: %d insured", k.Name, k.Insured)
		}
	}
	if sum < 21_900_000 || sum > 22_100_000 {
		t.Errorf("%d insured in all: not 88 %% of 25 million", sum)
	}
	for _, p := range c.Placements {
		if !p.Assumed {
			t.Errorf("placement %s as if published", p.ID)
		}
	}
	for _, m := range c.Components {
		if !m.Assumed {
			t.Errorf("component %s as if published", m.ID)
		}
	}
}

func TestTheSeedDecidesAndNothingElse(t *testing.T) {
	if a, b := catalogue.Case2023(7).Hash(), catalogue.Case2023(7).Hash(); a != b {
		t.Error("one seed, two catalogues")
	}
	if a, b := catalogue.Case2023(7).Hash(), catalogue.Case2023(8).Hash(); a == b {
		t.Error("two seeds, one catalogue")
	}
	// The value is the same on every machine and release, or old exercises cannot be compared.
	for _, x := range []struct{ got, want string }{
		{catalogue.Case2023(1).Hash(), "9c63c5c732cfb6eb23d83e84096238940d16bbb579882adbd1f9397878bf9328"},
		{catalogue.Example(1).Hash(), "16d2d2c3e848795832adf583644fd2df7a1c411baf64f82936217f4d683cbe90"},
	} {
		if x.got != x.want {
			t.Errorf("hash %s, want %s: if the change is meant, say so in the commit", x.got, x.want)
		}
	}
}

func TestExampleTenantsAreInvented(t *testing.T) {
	c := catalogue.Example(3)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	real := catalogue.Case2023(1)
	for _, k := range c.Kassen {
		if !strings.HasPrefix(string(k.ID), "1099") || !strings.HasPrefix(k.Name, "Übungskasse ") || !k.InsuredAssumed {
			t.Errorf("%s %s could be taken for real", k.ID, k.Name)
		}
		if _, taken := real.KasseByIK(string(k.ID)); taken {
			t.Errorf("%s is a real IK", k.ID)
		}
	}
	for _, s := range c.Services {
		if s.Note != "" {
			t.Errorf("%s tells of the real case: %s", s.ID, s.Note)
		}
	}
	if len(c.Cells()) != len(c.Kassen)*18 {
		t.Errorf("%d cells", len(c.Cells()))
	}
}

func TestTheTimelineIsComplete(t *testing.T) {
	c, facts := catalogue.Case2023(1), catalogue.Timeline2023()
	if len(facts) != 36 {
		t.Fatalf("%d events", len(facts))
	}
	if !slices.IsSortedFunc(facts, func(a, b catalogue.Fact) int { return a.At.Compare(b.At) }) {
		t.Error("not in order of replay")
	}
	by := map[int]catalogue.Fact{}
	for _, f := range facts {
		by[f.Nr] = f
		if f.Text == "" || f.Source == "" || f.Precision == "" || f.Status == "" {
			t.Errorf("event %d lacks a field: %+v", f.Nr, f)
		}
		if strings.Contains(f.Source, ".de") || strings.Contains(f.Source, "http") || strings.Contains(f.Source, "Seed") {
			t.Errorf("event %d: source %q is not in words", f.Nr, f.Source)
		}
		for _, s := range f.Services {
			if _, ok := c.Service(s); !ok {
				t.Errorf("event %d: service %q", f.Nr, s)
			}
		}
		for _, k := range f.Kassen {
			if _, ok := c.Kasse(k); !ok {
				t.Errorf("event %d: Kasse %q", f.Nr, k)
			}
		}
	}
	if d := by[14].At.Sub(by[6].At); d != 54*time.Hour {
		t.Errorf("eAU were refused for %v, known are 54 hours", d)
	}
	if d := by[11].At.Sub(by[6].At); d != 45*time.Hour {
		t.Errorf("senders heard after %v, known are about 45 hours", d)
	}
	if len(by[16].Kassen) != 14 {
		t.Errorf("list v2 has %d Kassen", len(by[16].Kassen))
	}
}

func TestTheThreeListsContradictEachOther(t *testing.T) {
	lists := catalogue.Lists2023()
	if len(lists) != 3 || len(lists[1].Names) != 14 || len(lists[2].Names) != 37 {
		t.Fatalf("%v", lists)
	}
	twice := map[string]int{}
	for _, n := range lists[2].Names {
		twice[strings.ToLower(n)]++
	}
	if len(twice) != 36 || twice["hkk krankenkasse"] != 2 {
		t.Errorf("%d different names", len(twice))
	}
}

func TestDuties(t *testing.T) {
	var each, fixed []string
	for _, d := range catalogue.Duties() {
		if d.ID == "" || d.Name == "" || d.Law == "" || d.Recipients == "" || d.Deadline == "" {
			t.Errorf("%+v lacks a field", d)
		}
		if d.EachKasse {
			each = append(each, d.ID)
		}
		if d.Within > 0 {
			fixed = append(fixed, d.ID+" "+d.Within.String())
		}
	}
	if diff := cmp.Diff([]string{"NIS2-24 24h0m0s", "NIS2-72 72h0m0s", "DSGVO-33-1 72h0m0s", "KRITIS-DACH 24h0m0s"}, fixed); diff != "" {
		t.Errorf("fixed deadlines (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"DSGVO-33-2", "DSGVO-33-1", "DSGVO-33-5", "DSGVO-34", "SGBX-83a", "SGBX-80", "SGBV-393"}, each); diff != "" {
		t.Errorf("per Kasse (-want +got):\n%s", diff)
	}
}
