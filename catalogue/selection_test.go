package catalogue_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
)

func TestASelectionIsReadAsPeopleWriteIt(t *testing.T) {
	c := small()
	got, err := catalogue.ParseSelection(c, "108033244", "hkk  KRANKENKASSE", "München", "app", "dns@munich", "108433248@essen", "108433248/app/essen")
	want := catalogue.Selection{
		Kassen: []catalogue.KasseID{"108433248", "103170002"}, Sites: []catalogue.SiteID{"munich"}, Services: []catalogue.ServiceID{"app"},
		Components: []catalogue.ComponentID{"dns@munich"}, Environments: []catalogue.EnvironmentID{"108433248@essen"}, Placements: []catalogue.PlacementID{"108433248/app/essen"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	c = small()
	c.Services[1].Name = "SBK"
	_, err = catalogue.ParseSelection(c, "dnss@munich", "SBK", "eau")
	for _, want := range []string{`"dnss@munich" is nothing in the catalogue, did you mean "dns@munich"?`, `"SBK" means several things: Kassen [108433248], sites [], services [app]`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}
