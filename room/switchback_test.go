package room_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/room"
)

// regularBooks is a regular system with books of its own.
type regularBooks struct {
	mu   sync.Mutex
	have map[string]emergency.ListEntry
	// changed is what was done here before the cut to every object that has a basis.
	changed *emergency.Version
}

func (b *regularBooks) Receive(_ context.Context, p emergency.Parcel) (emergency.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var rec emergency.Receipt
	for _, it := range p.Items {
		e, ok := b.have[it.ID]
		if !ok || it.Over != "" {
			e = emergency.ListEntry{ID: it.ID, Kind: it.Kind, Result: emergency.Applied, SHA256: it.SHA256, Amount: it.Amount}
			if b.changed != nil && it.Basis != "" && it.Over != b.changed.SHA256 {
				e.Result = emergency.Rejected
			}
			b.have[it.ID] = e
		}
		said := emergency.ReceiptItem{ID: it.ID, SHA256: it.SHA256, Result: e.Result}
		if e.Result == emergency.Rejected {
			said.Code, said.Theirs = emergency.CodeConflict, b.changed
		}
		rec.Items = append(rec.Items, said)
	}
	return rec, nil
}

func (b *regularBooks) List(_ context.Context, q emergency.ListQuery) ([]emergency.ListEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []emergency.ListEntry
	for id, e := range b.have {
		if strings.HasPrefix(id, q.Bucket) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (b *regularBooks) Compare(ctx context.Context, _ emergency.Comparison) ([]emergency.Line, error) {
	all, err := b.List(ctx, emergency.ListQuery{})
	return emergency.Sum(all), err
}

// change does something to the books behind the protocol's back.
func (b *regularBooks) change(fn func(have map[string]emergency.ListEntry)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn(b.have)
}

// backRoom is a room with one cell in emergency operation, through the gate,
// with items and a regular system to hand over to.
type backRoom struct {
	*room.Room
	kasse    catalogue.KasseID
	place    catalogue.PlacementID
	cell     string
	regular  *regularBooks
	now      time.Time
	delegate string
}

func newBackRoom(t *testing.T, opt room.Options) *backRoom {
	t.Helper()
	cat := small()
	b := &backRoom{kasse: cat.Kassen[0].ID, regular: &regularBooks{have: map[string]emergency.ListEntry{}}, now: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)}
	opt.Clock = func() time.Time { return b.now }
	second := opt.CopyTo
	opt.CopyTo = ""
	var err error
	b.Room, err = room.Init(t.Context(), opt, room.Setup{
		Name: "Rückführung", Exercise: true, Catalogue: cat, People: room.PracticePeople(b.kasse), Owner: "operator",
	})
	if opt.CopyTo = second; err == nil && second != "" {
		if err = errors.Join(b.Close(), room.PreparePlace(opt.Data, second)); err == nil {
			b.Room, err = room.Open(t.Context(), opt)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	b.place, b.cell, b.delegate = cat.PlacementsOf(b.kasse, "eau")[0].ID, string(b.kasse)+"/eau", "kasse-"+string(b.kasse)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer((&emergency.Receiver{Name: "Regelsystem", Key: key, Token: "geheim", Receiving: b.regular}).Handler())
	t.Cleanup(server.Close)
	public, _ := key.Public().(ed25519.PublicKey)
	if err := b.Connect(room.Connections{Regular: []room.RegularConfig{{Placement: b.place, URL: server.URL, Token: "geheim", Key: public}}}, nil); err != nil {
		t.Fatal(err)
	}
	o := do[room.Ordered](t, b.Room, "lead", "measure.order", containment.Plan{
		Title: "eAU", Stage: 1, Reason: "Verdacht", Emergency: []catalogue.ServiceID{"eau"},
		Selection: containment.Selection{Placements: []catalogue.PlacementID{b.place}},
	})
	do[room.Outcome](t, b.Room, "operator", "approve", map[string]string{"id": o.Consent.ID})
	do[room.Changed](t, b.Room, "operator", "side.closed", map[string]any{"placements": []string{string(b.place)}, "probe": "1", "reason": "x"})
	accept(t, b.Room, b.place, 3)
	return b
}

func (b *backRoom) announce(t *testing.T) recovery.Switchback {
	t.Helper()
	return do[recovery.Switchback](t, b.Room, "operator", "handover.announce", map[string]any{
		"kasse": b.kasse, "service": "eau", "from": b.now.Add(time.Minute), "until": b.now.Add(time.Hour), "abort": "ungleich", "reason": "Regelsystem geprüft",
	})
}

func (b *backRoom) refuses(t *testing.T, rule operation.Rule, as, act string, args map[string]any) {
	t.Helper()
	_, err := room.Do[any](t.Context(), b.Room, as, act, args)
	refused, ok := errors.AsType[*room.Failure](err)
	if !ok || refused.Rule != int(rule) {
		t.Errorf("%s as %s: %v; want refused by rule %d", act, as, err, rule)
	}
}

func (b *backRoom) emergency(t *testing.T) operation.Emergency {
	t.Helper()
	row, ok := b.Operation.Current().Placement(b.place)
	if !ok {
		t.Fatal("no placement")
	}
	return row.Emergency
}

func TestACellGoesBackByTheProtocolAndBothSidesSign(t *testing.T) {
	onEach(t, func(t *testing.T, opt room.Options) {
		b := newBackRoom(t, opt)
		s := b.announce(t)
		id := map[string]any{"id": s.ID}
		b.refuses(t, operation.RuleNothingLost, "operator", "handover.announce", map[string]any{
			"kasse": b.kasse, "service": "eau", "from": b.now.Add(time.Minute), "until": b.now.Add(time.Hour), "abort": "x", "reason": "noch eine",
		})
		b.refuses(t, operation.RuleTwoPeople, "press", "handover.drain", id)
		b.refuses(t, operation.RuleNothingLost, "operator", "handover.readonly", id) // the window has not begun
		b.now = b.now.Add(2 * time.Minute)
		b.refuses(t, operation.RuleOneWriter, "operator", "handover.readonly", id) // there is nothing yet to hand over to
		clearAll(t, b.Room, []string{string(b.place)})
		b.refuses(t, operation.RuleNothingLost, "operator", "handover.compare", id)
		b.refuses(t, operation.RuleNothingLost, "operator", "handover.sign", id)
		if s = do[recovery.Switchback](t, b.Room, b.delegate, "handover.readonly", id); s.Stage != recovery.StageReadOnly || s.Before[0].Open != 3 {
			t.Errorf("read-only: %+v", s)
		}
		if b.emergency(t) != operation.HandingOver {
			t.Errorf("emergency operation is %s", b.emergency(t))
		}
		d := do[room.Drained](t, b.Room, "operator", "handover.drain", id)
		if d.Protocol.Stage != recovery.StageDrained || d.Protocol.After[0].HandedOver != 3 {
			t.Errorf("drained: %+v", d)
		}
		// Acceptance without a comparison is no way around it.
		b.acceptIsRefused(t)
		b.regular.change(func(have map[string]emergency.ListEntry) {
			for id, e := range have {
				e.SHA256 = strings.Repeat("00", 32)
				have[id] = e
				break
			}
		})
		c := do[room.CellComparison](t, b.Room, "operator", "handover.compare", id)
		if c.Agrees || len(c.Outcomes[b.place].Differences) != 1 || c.Protocol.Compared[0].Differences != 1 {
			t.Errorf("compared with an altered book: %+v", c)
		}
		b.refuses(t, operation.RuleNothingLost, "operator", "handover.sign", id)
		ours := c.Outcomes[b.place].Differences[0].Ours
		b.regular.change(func(have map[string]emergency.ListEntry) { have[ours.ID] = *ours })
		if c = do[room.CellComparison](t, b.Room, "operator", "handover.compare", id); !c.Agrees {
			t.Fatalf("compared: %+v", c)
		}
		b.acceptIsRefused(t) // the protocol is under way
		b.refuses(t, operation.RuleTwoPeople, "press", "handover.sign", id)
		signed := do[room.Signed](t, b.Room, "operator", "handover.sign", id)
		if signed.Done || b.emergency(t) != operation.HandingOver {
			t.Errorf("one signature was enough: %+v", signed)
		}
		b.refuses(t, operation.RuleNothingLost, "lead", "handover.sign", id) // the same side
		signed = do[room.Signed](t, b.Room, b.delegate, "handover.sign", id)
		if !signed.Done || signed.Protocol.Stage != recovery.StageRegular || b.emergency(t) != operation.Closed {
			t.Errorf("signed by both: %+v, %s", signed, b.emergency(t))
		}
		b.refuses(t, operation.RuleNothingLost, "operator", "handover.back", map[string]any{"id": s.ID, "reason": "zu spät"})
		b.clean(t)
	})
}

func (b *backRoom) acceptIsRefused(t *testing.T) {
	t.Helper()
	ask, err := room.Do[any](t.Context(), b.Room, b.delegate, "regular.accept", map[string]any{"nodes": []string{string(b.place)}, "reason": "läuft"})
	if err == nil {
		_, err = room.Do[any](t.Context(), b.Room, "operator", "approve", map[string]any{"id": consentID(t, ask)})
	}
	refused, ok := errors.AsType[*room.Failure](err)
	if !ok || refused.Rule != int(operation.RuleNothingLost) {
		t.Errorf("accepted beside the protocol: %v", err)
	}
}

func (b *backRoom) clean(t *testing.T) {
	t.Helper()
	for _, rep := range do[[]room.Verified](t, b.Room, "", "ledger.verify", map[string]bool{"state": true}) {
		if len(rep.Problems) > 0 {
			t.Errorf("%s: %+v", rep.Ledger, rep.Problems)
		}
	}
}

func TestTheWayBackCanBeBrokenOffAtEveryStepBeforeTheSignatures(t *testing.T) {
	for _, last := range []recovery.Stage{recovery.StageAnnounced, recovery.StageReadOnly, recovery.StageDrained, recovery.StageCompared, "one signature"} {
		t.Run(string(last), func(t *testing.T) {
			b := newBackRoom(t, room.Options{Data: filepath.Join(t.TempDir(), "room")})
			id := map[string]any{"id": b.announce(t).ID}
			b.now = b.now.Add(2 * time.Minute)
			clearAll(t, b.Room, []string{string(b.place)})
			for _, step := range []struct {
				after recovery.Stage
				act   string
			}{
				{recovery.StageAnnounced, "handover.readonly"},
				{recovery.StageReadOnly, "handover.drain"},
				{recovery.StageDrained, "handover.compare"},
				{recovery.StageCompared, "handover.sign"},
			} {
				if last == step.after {
					break
				}
				do[any](t, b.Room, "operator", step.act, id)
			}
			b.refuses(t, operation.RuleOnRecord, "operator", "handover.back", id) // without a reason
			s := do[recovery.Switchback](t, b.Room, "operator", "handover.back", map[string]any{"id": id["id"], "reason": "Anwendung antwortet langsam"})
			if s.Stage != recovery.StageReturned || b.emergency(t) != operation.Active {
				t.Errorf("%+v, %s", s, b.emergency(t))
			}
			// Emergency operation takes items again, and a second try brings everything over.
			accept(t, b.Room, b.place, 5)
			again := map[string]any{"id": b.announce(t).ID}
			b.now = b.now.Add(2 * time.Minute)
			for _, act := range []string{"handover.readonly", "handover.drain", "handover.compare", "handover.sign"} {
				do[any](t, b.Room, "operator", act, again)
			}
			if done := do[room.Signed](t, b.Room, b.delegate, "handover.sign", again); !done.Done {
				t.Errorf("the second try: %+v", done)
			}
			if n := len(b.regular.have); n != 5 {
				t.Errorf("the regular system has %d of 5 items", n)
			}
			b.clean(t)
		})
	}
}

func TestTheEndOfAWindowIsToldOnceAndReconnectsNothing(t *testing.T) {
	b := newBackRoom(t, room.Options{Data: filepath.Join(t.TempDir(), "room")})
	s := b.announce(t)
	b.now = b.now.Add(2 * time.Hour)
	for range 3 {
		if _, err := b.Due(t.Context(), b.now); err != nil {
			t.Fatal(err)
		}
	}
	told := 0
	for _, r := range do[[]ledger.Record](t, b.Room, "", "ledger.read", map[string]any{"limit": 1000}) {
		if r.Kind == "switchback.overran" {
			told++
		}
	}
	all := do[[]room.SwitchbackStatus](t, b.Room, "", "handover.status", map[string]any{"id": b.cell})
	if told != 1 || len(all) != 1 || !all[0].Overrun || all[0].Stage != recovery.StageAnnounced || b.emergency(t) != operation.Active {
		t.Errorf("told %d times, %+v", told, all)
	}
	b.refuses(t, operation.RuleNothingLost, "operator", "handover.readonly", map[string]any{"id": s.ID})
	do[recovery.Switchback](t, b.Room, "operator", "handover.window", map[string]any{
		"id": s.ID, "from": b.now, "until": b.now.Add(time.Hour), "reason": "Kasse war noch nicht so weit",
	})
	clearAll(t, b.Room, []string{string(b.place)})
	do[recovery.Switchback](t, b.Room, "operator", "handover.readonly", map[string]any{"id": s.ID})
}

func TestAConflictIsShownToTheKasseWithBothVersionsBeforeComparing(t *testing.T) {
	b := newBackRoom(t, room.Options{Data: filepath.Join(t.TempDir(), "room")})
	row, _ := b.Operation.Current().Placement(b.place)
	j, err := b.Journals.Open(t.Context(), b.kasse)
	if err != nil {
		t.Fatal(err)
	}
	d := emergency.Draft{Key: "neue Anschrift", Kind: emergency.KindMessage, Source: "test", Received: b.now, Media: "text/plain", Body: []byte("Anschrift: Hof 1"), Basis: "stand-1"}
	got, err := j.Accept(t.Context(), b.place, row.Writing.Epoch, b.now, "test", d)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("Anschrift: Weg 2"))
	b.regular.changed = &emergency.Version{At: b.now.Add(-time.Hour), Media: "text/plain", SHA256: hex.EncodeToString(sum[:]), Body: []byte("Anschrift: Weg 2")}
	id := map[string]any{"id": b.announce(t).ID}
	b.now = b.now.Add(2 * time.Minute)
	clearAll(t, b.Room, []string{string(b.place)})
	do[any](t, b.Room, "operator", "handover.readonly", id)
	do[any](t, b.Room, "operator", "handover.drain", id)
	c := do[room.CellComparison](t, b.Room, "operator", "handover.compare", id)
	if c.Agrees || !strings.Contains(c.Errors[b.place], "decision") {
		t.Errorf("compared with an undecided conflict: %+v", c)
	}
	all := do[[]emergency.Conflict](t, b.Room, "", "handover.conflicts", map[string]any{"kasse": b.kasse})
	if len(all) != 1 || all[0].Number != got[0].Number {
		t.Fatalf("conflicts %+v", all)
	}
	one := map[string]any{"kasse": b.kasse, "number": all[0].Label, "reason": "Versicherte angerufen"}
	b.refuses(t, operation.RuleTwoPeople, "operator", "handover.conflict", one)
	both := do[emergency.Both](t, b.Room, b.delegate, "handover.conflict", one)
	if string(both.Ours) != "Anschrift: Hof 1" || string(both.Theirs.Body) != "Anschrift: Weg 2" {
		t.Errorf("%+v", both)
	}
	one["keep"] = emergency.Ours
	b.refuses(t, operation.RuleTwoPeople, "operator", "handover.decide", one)
	do[[]emergency.Conflict](t, b.Room, b.delegate, "handover.decide", one)
	if d := do[room.Drained](t, b.Room, "operator", "handover.drain", id); d.Protocol.Stage != recovery.StageDrained {
		t.Errorf("%+v", d)
	}
	if c = do[room.CellComparison](t, b.Room, "operator", "handover.compare", id); !c.Agrees {
		t.Errorf("%+v", c)
	}
	do[any](t, b.Room, "operator", "handover.sign", id)
	if s := do[room.Signed](t, b.Room, b.delegate, "handover.sign", id); !s.Done {
		t.Errorf("%+v", s)
	}
	b.clean(t)
}
