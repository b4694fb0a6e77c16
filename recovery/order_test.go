package recovery_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
	"leitstand/recovery"
)

func room() *catalogue.Catalogue {
	return &catalogue.Catalogue{
		Kassen: []catalogue.Kasse{{ID: "109034270", Name: "A", Insured: 10}, {ID: "108036123", Name: "B", Insured: 500}},
		Sites:  []catalogue.Site{{ID: "m", Name: "M"}},
		Services: []catalogue.Service{
			{ID: "eau", Name: "eAU", Criticality: 1, MTPD: 72 * time.Hour}, {ID: "app", Name: "App", Criticality: 3, MTPD: 336 * time.Hour},
		},
		Components: []catalogue.Component{
			{ID: "directory@m", Site: "m", Needs: catalogue.Node("dns@m")},
			{ID: "dns@m", Site: "m", Needs: catalogue.Node("directory@m")},
			{ID: "portal@m", Site: "m", Needs: catalogue.Node("directory@m")},
			{ID: "kim@m", Site: "m"},
		},
		Placements: []catalogue.Placement{
			{ID: "109034270/eau/m", Kasse: "109034270", Service: "eau", Site: "m", Needs: catalogue.Node("kim@m")},
			{ID: "108036123/eau/m", Kasse: "108036123", Service: "eau", Site: "m", Needs: catalogue.Node("kim@m")},
			{ID: "108036123/app/m", Kasse: "108036123", Service: "app", Site: "m", Needs: catalogue.Node("portal@m")},
		},
	}
}

func order(t *testing.T, ids ...string) []recovery.Position {
	t.Helper()
	got, err := recovery.Order(room(), ids)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestDependenciesComeFirstThenPriority(t *testing.T) {
	var got []string
	for _, p := range order(t, "108036123/app/m", "109034270/eau/m", "108036123/eau/m", "portal@m", "dns@m", "directory@m", "kim@m") {
		got = append(got, p.Node)
	}
	want := []string{"kim@m", "108036123/eau/m", "109034270/eau/m", "directory@m", "dns@m", "portal@m", "108036123/app/m"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("order (-want +got):\n%s", d)
	}
}

func TestMembersOfACycleShareARankAndSaySo(t *testing.T) {
	got := order(t, "dns@m", "directory@m")
	if len(got) != 2 || got[0].Rank != got[1].Rank || len(got[0].With) != 1 {
		t.Errorf("positions %+v, want one rank for both", got)
	}
}

func TestWhatIsThereIsNotWaitedFor(t *testing.T) {
	got := order(t, "108036123/app/m")
	if len(got) != 1 || len(got[0].After) != 0 {
		t.Errorf("positions %+v, want one that waits for nothing", got)
	}
}

func TestAnUnknownNameIsAnError(t *testing.T) {
	if _, err := recovery.Order(room(), []string{"nothing"}); err == nil {
		t.Error("an unknown node was ordered")
	}
}
