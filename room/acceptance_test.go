package room_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/room"
	"leitstand/warning"
)

// compared brings a room to where both sides may sign.
func (b *backRoom) compared(t *testing.T) map[string]any {
	t.Helper()
	id := map[string]any{"id": b.announce(t).ID}
	b.now = b.now.Add(2 * time.Minute)
	clearAll(t, b.Room, []string{string(b.place)})
	for _, act := range []string{"handover.readonly", "handover.drain", "handover.compare"} {
		do[any](t, b.Room, "operator", act, id)
	}
	return id
}

func TestAnUnfinishedAcceptanceKeepsTheCellFromRegularOperation(t *testing.T) {
	b := newBackRoom(t, room.Options{Data: filepath.Join(t.TempDir(), "room")})
	id := b.compared(t)
	a := do[recovery.Acceptance](t, b.Room, "operator", "acceptance.open", map[string]any{"kasse": b.kasse, "service": "eau"})
	if len(a.Cases) < 3 {
		t.Fatalf("%+v", a)
	}
	one := func(more map[string]any) map[string]any { more["id"] = a.ID; return more }
	b.refuses(t, operation.RuleGate, "operator", "handover.sign", id)
	b.refuses(t, operation.RuleTwoPeople, b.delegate, "acceptance.probe", one(map[string]any{"passed": true, "ref": "P-1"}))
	do[recovery.Acceptance](t, b.Room, "operator", "acceptance.probe", one(map[string]any{"passed": true, "ref": "P-1"}))
	for i, c := range a.Cases {
		b.refuses(t, operation.RuleGate, "operator", "handover.sign", id)
		args := one(map[string]any{"name": c.Name, "seen": "wie erwartet", "passed": i > 0})
		b.refuses(t, operation.RuleTwoPeople, "operator", "acceptance.try", args)
		do[recovery.Acceptance](t, b.Room, b.delegate, "acceptance.try", args)
	}
	b.refuses(t, operation.RuleGate, "operator", "handover.sign", id) // the first case failed
	if _, err := room.Do[recovery.Acceptance](t.Context(), b.Room, b.delegate, "acceptance.limit", one(map[string]any{"works": []string{"Annahme"}})); err == nil {
		t.Error("limits without what does not work")
	}
	do[recovery.Acceptance](t, b.Room, b.delegate, "acceptance.limit", one(map[string]any{
		"paths": []string{"/annahme"}, "works": []string{"Annahme"}, "works_not": []string{a.Cases[0].Name},
	}))
	do[room.Signed](t, b.Room, b.delegate, "handover.sign", id)
	signed := do[room.Signed](t, b.Room, "operator", "handover.sign", id)
	row, _ := b.Operation.Current().Placement(b.place)
	if !signed.Done || row.Regular != operation.Limited || len(row.Paths) != 1 || signed.Protocol.Acceptance != a.ID {
		t.Errorf("%+v, %s %v", signed, row.Regular, row.Paths)
	}

	// In observation every signal about the environment stands against its end.
	b.now = b.now.Add(25 * time.Hour)
	p, _ := b.Catalogue.Placement(b.place)
	var s warning.Signal
	err := b.Store.Write(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		s, err = warning.Raise(ctx, tx, b.now, warning.Signal{Rule: "r", RuleVersion: "1", Title: "Anmeldung", Level: "low", Environment: p.Environment, Owner: "operator", Host: "h"}, "ereignis")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	end := map[string]any{"placements": []catalogue.PlacementID{b.place}, "reason": "ohne Befund"}
	b.refuses(t, operation.RuleGate, "operator", "observation.end", end)
	all := do[[]room.AcceptanceStatus](t, b.Room, "", "acceptance.list", struct{}{})
	if len(all) != 1 || all[0].Done.IsZero() || len(all[0].Signals) != 1 || all[0].Signals[0] != s.ID {
		t.Errorf("%+v", all)
	}
	if o := do[[]room.Observed](t, b.Room, "", "step.observed", nil); len(o) != 1 || o[0].Environment != p.Environment || len(o[0].Services) != 1 || !o[0].Lasted || len(o[0].Open) != 1 {
		t.Errorf("under observation after switch-back: %+v", o)
	}
	do[warning.Signal](t, b.Room, "operator", "signal.decide", map[string]any{"id": s.ID, "to": warning.Dismissed, "reason": "Wartung"})
	do[room.Changed](t, b.Room, "operator", "observation.end", end)
	if o := do[[]room.Observed](t, b.Room, "", "step.observed", nil); len(o) != 0 {
		t.Errorf("still under observation: %+v", o)
	}
	b.clean(t)
}

func TestAPartnerIsReconnectedOnACompleteProofOnly(t *testing.T) {
	b := newBackRoom(t, room.Options{Data: filepath.Join(t.TempDir(), "room")})
	args := map[string]any{"partner": "KV Nord", "placements": []catalogue.PlacementID{b.place}, "answer": "Frau Beispiel, 4.5., Telefon"}
	p := do[room.PartnerProof](t, b.Room, "", "partner.proof", args)
	if p.Complete || len(p.Scopes) < 3 || p.Digest == "" || !strings.HasPrefix(string(p.PDF), "%PDF") {
		t.Errorf("%+v", p.Proof)
	}
	b.refuses(t, operation.RuleGate, "lead", "partner.reconnect", args)
	clearAll(t, b.Room, []string{string(b.place)})
	if p = do[room.PartnerProof](t, b.Room, "", "partner.proof", args); !p.Complete {
		t.Errorf("%+v", p.Proof)
	}
	form, err := p.Form("x", true)
	if text := strings.Join(form.Text(), "\n"); err != nil || !strings.Contains(text, "Schlüssel getauscht") || !strings.Contains(text, "befund.txt") {
		t.Errorf("%v\n%s", err, text)
	}
	b.refuses(t, operation.RuleTwoPeople, "operator", "partner.reconnect", args)
	if c := do[recovery.Reconnection](t, b.Room, "lead", "partner.reconnect", args); c.Digest == "" {
		t.Errorf("%+v", c)
	}
	b.clean(t)
}

func TestAnEmergencyEnvironmentIsReadyWhenItsListIs(t *testing.T) {
	opt := room.Options{Data: filepath.Join(t.TempDir(), "room")}
	cat := small()
	kasse := cat.Kassen[0].ID
	r, err := room.Init(t.Context(), opt, room.Setup{Name: "Echt", Catalogue: cat, People: room.PracticePeople(kasse), Owner: "operator", Passphrase: []byte("lang genug für den Test")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	cell := string(kasse) + "/eau"
	prepare := map[string]any{"placements": []catalogue.PlacementID{cat.PlacementsOf(kasse, "eau")[0].ID}, "reason": "Vorsorge"}
	refused := func() {
		t.Helper()
		_, err := room.Do[room.Changed](t.Context(), r, "operator", "emergency.prepare", prepare)
		f, ok := errors.AsType[*room.Failure](err)
		if !ok || f.Rule != int(operation.RuleGate) || !strings.Contains(f.Text, "§ 80") && !strings.Contains(f.Text, "nb-") {
			t.Errorf("prepared without a complete list: %v", err)
		}
	}
	refused()
	list := do[recovery.Readiness](t, r, "operator", "readiness.open", map[string]string{"cell": cell})
	norms := map[string]bool{}
	for _, p := range list.Points {
		refused()
		norms[p.Norm] = true
		args := map[string]string{"cell": cell, "point": p.ID, "not_done": "entfällt"}
		if _, err := room.Do[recovery.Readiness](t.Context(), r, "operator", "readiness.settle", args); p.Must != (err != nil) {
			t.Errorf("leaving %s (%s) out: %v", p.ID, p.Norm, err)
		}
		if p.Must {
			do[recovery.Readiness](t, r, "operator", "readiness.settle", map[string]string{"cell": cell, "point": p.ID, "evidence": "Ordner 7"})
		}
	}
	if !norms["SGB X § 80"] || !norms["SGB V § 393"] {
		t.Errorf("norms %v", norms)
	}
	do[room.Changed](t, r, "operator", "emergency.prepare", prepare)
}
