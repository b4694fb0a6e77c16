package room_test

import (
	"context"
	"crypto/ed25519"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/room"
)

// take takes items in under keys of their own.
func (b *backRoom) take(t *testing.T, p catalogue.PlacementID, keys ...string) {
	t.Helper()
	row, _ := b.Operation.Current().Placement(p)
	j, err := b.Journals.Open(t.Context(), b.kasse)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		d := emergency.Draft{Key: k, Kind: emergency.KindMessage, Source: "test", Received: b.Now(), Media: "text/plain", Body: []byte(k)}
		if _, err := j.Accept(t.Context(), p, row.Writing.Epoch, b.Now(), "test", d); err != nil {
			t.Fatal(err)
		}
	}
}

// ordered notes in which order services came.
type ordered struct {
	regularBooks

	seen sync.Mutex
	came []catalogue.ServiceID
}

func (o *ordered) Receive(ctx context.Context, p emergency.Parcel) (emergency.Receipt, error) {
	_, s, _, _ := p.Placement.Split()
	o.seen.Lock()
	o.came = append(o.came, s)
	o.seen.Unlock()
	return o.regularBooks.Receive(ctx, p)
}

func (o *ordered) order() []catalogue.ServiceID {
	o.seen.Lock()
	defer o.seen.Unlock()
	return slices.Clone(o.came)
}

// drainRoom is a room in which several services of one Kasse are handing over.
func drainRoom(t *testing.T, services ...catalogue.ServiceID) (*backRoom, *ordered, []string) {
	t.Helper()
	b := newBackRoom(t, room.Options{Data: filepath.Join(t.TempDir(), "room")})
	books := &ordered{regularBooks: regularBooks{have: map[string]emergency.ListEntry{}}}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer((&emergency.Receiver{Name: "Regelsystem", Key: key, Token: "geheim", Receiving: books}).Handler())
	t.Cleanup(server.Close)
	public, _ := key.Public().(ed25519.PublicKey)
	var places []string
	var regular []room.RegularConfig
	for _, s := range services {
		p := b.Catalogue.PlacementsOf(b.kasse, s)[0].ID
		places = append(places, string(p))
		regular = append(regular, room.RegularConfig{Placement: p, URL: server.URL, Token: "geheim", Key: public})
		if s == "eau" {
			continue // in emergency operation already
		}
		do[room.Changed](t, b.Room, "operator", "emergency.prepare", map[string]any{"placements": []string{string(p)}, "reason": "x"})
		o := do[room.Ordered](t, b.Room, "lead", "measure.order", containment.Plan{
			Title: string(s), Stage: 1, Reason: "Verdacht", Emergency: []catalogue.ServiceID{s},
			Selection: containment.Selection{Placements: []catalogue.PlacementID{p}},
		})
		do[room.Outcome](t, b.Room, "operator", "approve", map[string]string{"id": o.Consent.ID})
		do[room.Changed](t, b.Room, "operator", "side.closed", map[string]any{"placements": []string{string(p)}, "probe": "1", "reason": "x"})
		b.take(t, p, string(s)+"1", string(s)+"2")
	}
	if err := b.Connect(room.Connections{Regular: regular}, nil); err != nil {
		t.Fatal(err)
	}
	clearAll(t, b.Room, places)
	return b, books, places
}

func TestHandingOverObeysTheOrderThatTwoPeopleDecided(t *testing.T) {
	b, books, places := drainRoom(t, "eau", "app", "epa")
	view := do[room.BacklogView](t, b.Room, "", "backlog.show", map[string]any{})
	if got := backlogServices(view); !slices.Equal(got, []catalogue.ServiceID{"epa", "eau", "app"}) || !view.Terms.Assumed {
		t.Errorf("assumed order %v", got)
	}
	if s := view.Services[1]; s.Open != 3 || s.Done != nil || s.Known || s.Work == nil || len(s.Curve) == 0 {
		t.Errorf("eAU before any window: %+v", s)
	}
	b.refuses(t, operation.RuleTwoPeople, "press", "backlog.order", map[string]any{"groups": view.Terms.Groups, "reason": "x"})
	b.refuses(t, operation.RuleOnRecord, "lead", "backlog.order", map[string]any{"groups": view.Terms.Groups})
	c := do[access.Consent](t, b.Room, b.delegate, "backlog.order", map[string]any{
		"groups": []recovery.UrgencyGroup{{Name: "App zuerst", Services: []catalogue.ServiceID{"app"}}, {Name: "eAU", Services: []catalogue.ServiceID{"eau"}}},
		"reason": "Kasse hat nur die App als Weg für Anträge",
	})
	if got := do[room.BacklogView](t, b.Room, "", "backlog.show", map[string]any{}); got.Terms.Version != 0 {
		t.Error("one person was enough")
	}
	b.refuses(t, operation.RuleTwoPeople, "operator", "approve", map[string]any{"id": c.ID}) // nobody of the lead among the two
	do[room.Outcome](t, b.Room, "lead", "approve", map[string]string{"id": c.ID})

	do[room.Changed](t, b.Room, "operator", "handover.begin", map[string]any{"placements": places, "reason": "x"})
	do[[]room.HandedOver](t, b.Room, "operator", "handover.run", map[string]any{})
	if got := books.order(); !slices.Equal(got, []catalogue.ServiceID{"app", "eau", "epa"}) {
		t.Errorf("handed over in the order %v", got)
	}
	view = do[room.BacklogView](t, b.Room, "", "backlog.show", map[string]any{})
	for _, s := range view.Services {
		if s.Open != 0 || s.Work != nil || s.Curve[len(s.Curve)-1].Open != 0 {
			t.Errorf("after the handover: %+v", s)
		}
	}
	b.clean(t)
}

func TestDrainingACellTakesWhatIsMoreUrgentFirst(t *testing.T) {
	b, books, places := drainRoom(t, "eau", "epa")
	do[room.Changed](t, b.Room, "operator", "handover.begin", map[string]any{"placements": places[1:], "reason": "x"})
	id := map[string]any{"id": b.announce(t).ID}
	b.now = b.now.Add(2 * time.Minute)
	do[recovery.Switchback](t, b.Room, "operator", "handover.readonly", id)
	d := do[room.Drained](t, b.Room, "operator", "handover.drain", id)
	if got := books.order(); !slices.Equal(got, []catalogue.ServiceID{"epa", "eau"}) || len(d.Runs) != 2 || !d.Runs[0].First || d.Runs[1].First {
		t.Errorf("order %v, runs %+v", got, d.Runs)
	}
	if d.Protocol.Stage != recovery.StageDrained || len(d.Protocol.After) != 1 {
		t.Errorf("%+v", d.Protocol)
	}
}

func TestABacklogHasADateOnceAWindowIsAnnounced(t *testing.T) {
	b := newBackRoom(t, room.Options{Data: filepath.Join(t.TempDir(), "room")})
	t0 := do[recovery.BacklogTerms](t, b.Room, "operator", "backlog.capacity", map[string]any{
		"transfer": recovery.Throughput{Low: 1, Likely: 1, High: 1}, "reason": "gemessen im Test",
	})
	if t0.Version != 1 || t0.Assumed {
		t.Errorf("%+v", t0)
	}
	b.announce(t)
	s := do[room.BacklogView](t, b.Room, "", "backlog.show", map[string]any{"kasse": b.kasse}).Services[0]
	if s.Done == nil || s.Done.P50.Before(b.now.Add(3*time.Hour)) || s.Done.P90.Before(s.Done.P50) || len(s.Ahead) == 0 {
		t.Errorf("%+v", s)
	}
	if got := do[room.BacklogView](t, b.Room, "", "backlog.show", map[string]any{"kasse": "999"}); len(got.Services) != 0 {
		t.Errorf("another Kasse: %+v", got)
	}
}

func backlogServices(v room.BacklogView) []catalogue.ServiceID {
	var out []catalogue.ServiceID
	for _, s := range v.Services {
		out = append(out, s.Service)
	}
	return out
}
