package recovery_test

import (
	"strings"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/recovery"
)

var berlin = func() *time.Location {
	l, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	return l
}()

// monday is a Monday morning.
var monday = time.Date(2026, 5, 4, 6, 0, 0, 0, time.UTC)

// cutOff is a ground on which everything at the named sites was cut off a day
// ago, nothing is cleared and no credentials have been changed.
func cutOff(c *catalogue.Catalogue, sites ...catalogue.SiteID) recovery.Ground {
	s := recovery.Situation{
		Down: map[string]recovery.Down{}, Uncleared: map[string]time.Time{}, Unrotated: map[string]bool{}, Active: map[catalogue.PlacementID]bool{},
	}
	at := map[catalogue.SiteID]bool{}
	for _, id := range sites {
		at[id] = true
	}
	for _, m := range c.Components {
		s.Uncleared[string(m.ID)] = time.Time{}
		if at[m.Site] {
			s.Down[string(m.ID)], s.Unrotated[string(m.ID)] = recovery.Down{Since: monday.Add(-24 * time.Hour)}, true
		}
	}
	for _, p := range c.Placements {
		if at[p.Site] {
			s.Down[string(p.ID)] = recovery.Down{Since: monday.Add(-24 * time.Hour)}
			s.Uncleared[string(p.Environment)], s.Unrotated[string(p.Environment)] = time.Time{}, true
		}
	}
	return recovery.Ground{Catalogue: c, Situation: s, Terms: recovery.DefaultTerms(), Zone: berlin, Now: monday}
}

// few is a catalogue of so many Kassen.
func few(c *catalogue.Catalogue, n int) *catalogue.Catalogue {
	keep := map[catalogue.KasseID]bool{}
	for _, k := range c.Kassen[:n] {
		keep[k.ID] = true
	}
	out := &catalogue.Catalogue{Sites: c.Sites, Services: c.Services, Components: c.Components, Kassen: c.Kassen[:n]}
	for _, p := range c.Placements {
		if keep[p.Kasse] {
			out.Placements = append(out.Placements, p)
		}
	}
	for _, e := range c.Environments {
		if keep[e.Kasse] {
			out.Environments = append(out.Environments, e)
		}
	}
	return out.Normal()
}

func sitesOf(c *catalogue.Catalogue) []catalogue.SiteID {
	var out []catalogue.SiteID
	for _, s := range c.Sites {
		out = append(out, s.ID)
	}
	return out
}

func made(t *testing.T, g recovery.Ground) *recovery.Plan {
	t.Helper()
	p, err := recovery.Make(t.Context(), g, recovery.Search{Schedules: 20, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func startOf(t *testing.T, p *recovery.Plan, id string) (start, finish int) {
	t.Helper()
	for i, task := range p.Tasks {
		if task.ID == id {
			return p.Schedule.Start[i], p.Schedule.Finish[i]
		}
	}
	t.Fatalf("the plan has no task %q", id)
	return 0, 0
}

func TestEveryCellGoesThroughAllItsStepsInOrder(t *testing.T) {
	c := few(catalogue.Example(1), 3)
	p := made(t, cutOff(c, sitesOf(c)...))
	if !p.Schedule.Feasible() {
		t.Errorf("broken: %v", p.Schedule.Broken)
	}
	if got := len(p.Cells()); got != len(c.Cells()) {
		t.Fatalf("%d cells are planned, the catalogue has %d", got, len(c.Cells()))
	}
	for _, cell := range c.Cells() {
		id := string(cell.Kasse) + "/" + string(cell.Service)
		_, tested := startOf(t, p, "test:"+id)
		watch, watched := startOf(t, p, "observe:"+id)
		back, done := startOf(t, p, "switch:"+id)
		backlog, _ := startOf(t, p, "backlog:"+id)
		if watch < tested || watched-watch < 24 || back < watched || backlog < done {
			t.Errorf("%s: tested %d, observed %d to %d, back %d to %d, backlog %d", id, tested, watch, watched, back, done, backlog)
		}
		first := false
		for _, pl := range c.PlacementsOf(cell.Kasse, cell.Service) {
			_, examined := startOf(t, p, "examine:"+string(pl.Environment))
			_, rotated := startOf(t, p, "rotate:"+string(pl.Environment))
			build, built := startOf(t, p, "build:"+string(pl.ID))
			probe, probed := startOf(t, p, "probe:"+string(pl.ID))
			if build < examined || probe < built || probe < rotated {
				t.Errorf("%s: examined %d, rotated %d, built %d to %d, probed %d", pl.ID, examined, rotated, build, built, probe)
			}
			first = first || probed <= tested
		}
		if !first {
			t.Errorf("%s was tested by the Kasse before any technical test", id)
		}
	}
	for _, m := range c.Components {
		_, examined := startOf(t, p, "examine:"+string(m.ID))
		if build, _ := startOf(t, p, "build:"+string(m.ID)); build < examined {
			t.Errorf("%s is built at %d, examined until %d", m.ID, build, examined)
		}
	}
	if p.Schedule.Loss >= p.AsReported.Loss {
		t.Errorf("loss %.0f, as reported %.0f: nothing is won by planning", p.Schedule.Loss, p.AsReported.Loss)
	}
}

func TestWhatIsClearedRotatedOrThroughTheGateIsNotPlannedAgain(t *testing.T) {
	c := few(catalogue.Example(1), 1)
	g := cutOff(c, sitesOf(c)...)
	pl := c.Placements[0]
	delete(g.Situation.Uncleared, string(pl.Environment))
	delete(g.Situation.Unrotated, string(pl.Environment))
	g.Situation.Down[string(pl.ID)] = recovery.Down{Since: monday.Add(-24 * time.Hour), Trial: true}
	for _, task := range made(t, g).Tasks {
		switch task.ID {
		case "secure:" + string(pl.Environment), "examine:" + string(pl.Environment), "rotate:" + string(pl.Environment),
			"build:" + string(pl.ID), "probe:" + string(pl.ID):
			t.Errorf("%s is planned", task.ID)
		}
	}
}

func TestThingsThatNeedEachOtherAreTestedWhenAllAreBuilt(t *testing.T) {
	c := few(catalogue.Example(1), 1)
	p := made(t, cutOff(c, sitesOf(c)...))
	for _, m := range c.Components {
		if !strings.HasPrefix(string(m.ID), "dns@") {
			continue
		}
		_, dns := startOf(t, p, "build:"+string(m.ID))
		_, directory := startOf(t, p, "build:directory@"+string(m.Site))
		a, _ := startOf(t, p, "probe:"+string(m.ID))
		b, _ := startOf(t, p, "probe:directory@"+string(m.Site))
		if min(a, b) < max(dns, directory) {
			t.Errorf("at %s dns is tested at %d and the directory at %d, built until %d and %d", m.Site, a, b, dns, directory)
		}
	}
}

func TestALostSiteTakesItsCellsWithItUnlessTheyHaveAnotherWay(t *testing.T) {
	c := few(catalogue.Example(1), 12)
	g := cutOff(c, sitesOf(c)...)
	g.LostSites = []catalogue.SiteID{c.Sites[0].ID}
	p := made(t, g)
	if len(p.Lost) == 0 {
		t.Fatal("nothing is lost with a site")
	}
	for _, l := range p.Lost {
		if l.Why == "" {
			t.Errorf("%s is lost without a reason", l.Node)
		}
	}
	for _, task := range p.Tasks {
		if task.Site == c.Sites[0].ID {
			t.Errorf("%s is planned at the lost site", task.ID)
		}
	}
}

// smallest is the Kasse with the fewest insured: the one that weights put last.
func smallest(c *catalogue.Catalogue) catalogue.KasseID {
	last := c.Kassen[0]
	for _, k := range c.Kassen {
		if k.Insured < last.Insured {
			last = k
		}
	}
	return last.ID
}

func TestAKasseThatComesFirstIsBackSooner(t *testing.T) {
	c := few(catalogue.Example(1), 6)
	g := cutOff(c, sitesOf(c)...)
	last := smallest(c)
	before := made(t, g)
	g.Terms.Priorities.First = []catalogue.KasseID{last}
	after := made(t, g)
	if a, b := before.Hours(&before.Schedule)[last], after.Hours(&after.Schedule)[last]; b >= a {
		t.Errorf("%s loses %.0f cell-hours when it comes first, %.0f otherwise", last, b, a)
	}
}

func TestTheSameGroundAndSeedGiveTheSamePlan(t *testing.T) {
	c := few(catalogue.Example(1), 3)
	a, b := made(t, cutOff(c, sitesOf(c)...)), made(t, cutOff(c, sitesOf(c)...))
	for i := range a.Tasks {
		if a.Tasks[i].ID != b.Tasks[i].ID || a.Schedule.Start[i] != b.Schedule.Start[i] {
			t.Fatalf("task %d: %s at %d, and %s at %d", i, a.Tasks[i].ID, a.Schedule.Start[i], b.Tasks[i].ID, b.Schedule.Start[i])
		}
	}
}
