package containment

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"leitstand/catalogue"
)

// The doors close with the order; the word of every gateway comes when nothing is
// under way any more. Until then the driver waits, and says what is missing.
func TestTheGatewayDriverWaitsForTheWordOfEveryGateway(t *testing.T) {
	var asked atomic.Int64
	after := int64(3)
	w := Wiring{Doors: func(p []catalogue.PlacementID) (bool, string) {
		return len(p) == 1 && asked.Add(1) > after, "the doors of eau are not proven closed yet"
	}}
	target := Target{ID: munich, Placements: []catalogue.PlacementID{"109034270/eau/munich"}}
	d := newGatewayDriver("doors", w, time.Minute)
	dry, err := d.DryRun(t.Context(), target)
	if err != nil || !strings.Contains(dry.Words, munich) || asked.Load() != 0 {
		t.Errorf("dry run: %+v, %v, asked %d times", dry, err, asked.Load())
	}
	if err := d.Execute(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	if seen, err := d.Probe(t.Context(), target); err != nil || !seen.Held || asked.Load() != after+1 {
		t.Errorf("%+v, %v, asked %d times", seen, err, asked.Load())
	}
	after = 1 << 40
	short := newGatewayDriver("doors", w, 30*time.Millisecond)
	if seen, err := short.Probe(t.Context(), target); err != nil || seen.Held || !strings.Contains(seen.Detail, "not proven") {
		t.Errorf("a door that stays open: %+v, %v", seen, err)
	}
	if seen, err := newGatewayDriver("doors", Wiring{}, time.Minute).Probe(t.Context(), target); err != nil || seen.Held {
		t.Errorf("without gateways: %+v, %v", seen, err)
	}
	if err := d.Undo(t.Context(), target); err != nil {
		t.Fatal(err)
	}
}

// Many placements go off by one order, but for a list of exceptions; what the
// list names wrongly is refused, and never makes the cut larger or smaller.
func TestExceptionsTakeOutKassenServicesSitesEnvironmentsAndPlacements(t *testing.T) {
	c := catalogue.Example(1)
	all, err := Selection{Kassen: kassenOf(c)}.Resolve(c)
	if err != nil || len(all) != len(c.Placements) {
		t.Fatalf("%d of %d placements, %v", len(all), len(c.Placements), err)
	}
	p := c.Placements[0]
	for what, out := range map[string]func(q catalogue.Placement) bool{
		string(p.Kasse):       func(q catalogue.Placement) bool { return q.Kasse == p.Kasse },
		string(p.Service):     func(q catalogue.Placement) bool { return q.Service == p.Service },
		string(p.Site):        func(q catalogue.Placement) bool { return q.Site == p.Site },
		string(p.Environment): func(q catalogue.Placement) bool { return q.Environment == p.Environment },
		string(p.ID):          func(q catalogue.Placement) bool { return q.ID == p.ID },
	} {
		want := 0
		for _, q := range c.Placements {
			if !out(q) {
				want++
			}
		}
		got, err := Selection{Kassen: kassenOf(c), Except: []string{what}}.Resolve(c)
		if err != nil && want > 0 || len(got) != want {
			t.Errorf("except %s: %d placements, want %d (%v)", what, len(got), want, err)
		}
		for _, q := range got {
			if out(q) {
				t.Errorf("except %s: %s goes off all the same", what, q.ID)
			}
		}
	}
	if _, err := (Selection{Kassen: kassenOf(c), Except: []string{"eua"}}).Resolve(c); err == nil || !strings.Contains(err.Error(), "eua") {
		t.Errorf("a typing mistake: %v", err)
	}
}

func kassenOf(c *catalogue.Catalogue) []catalogue.KasseID {
	out := make([]catalogue.KasseID, len(c.Kassen))
	for i, k := range c.Kassen {
		out[i] = k.ID
	}
	return out
}
