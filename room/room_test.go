package room_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/base/db/dbtest"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency"
	"leitstand/forensics"
	"leitstand/operation"
	"leitstand/room"
)

// onEach runs a test of a whole room on every engine.
func onEach(t *testing.T, fn func(t *testing.T, opt room.Options)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { fn(t, room.Options{Data: filepath.Join(t.TempDir(), "room")}) })
	t.Run("PostgreSQL", func(t *testing.T) {
		opt := room.Options{Data: filepath.Join(t.TempDir(), "room"), Database: dbtest.URL(t)}
		t.Cleanup(func() { // registered first, so that it runs after the room is closed
			dbtest.Drop(t, opt.Database, placeOf(t, opt.Data))
		})
		fn(t, opt)
	})
}

// placeOf is the prefix of the schemas of a room in PostgreSQL.
func placeOf(t *testing.T, data string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(data, "room.json"))
	var s room.Settings
	if err = errors.Join(err, json.Unmarshal(b, &s)); err != nil || s.Place == "" {
		t.Fatalf("which schemas to drop: %v", err)
	}
	return s.Place
}

// small is a catalogue of one Kasse, so that a test on PostgreSQL makes few schemas.
func small() *catalogue.Catalogue {
	c := catalogue.Example(1)
	kasse := c.Kassen[0].ID
	c.Kassen = c.Kassen[:1]
	var places []catalogue.Placement
	for _, p := range c.Placements {
		if p.Kasse == kasse {
			places = append(places, p)
		}
	}
	c.Placements = places
	var envs []catalogue.Environment
	for _, e := range c.Environments {
		if e.Kasse == kasse {
			envs = append(envs, e)
		}
	}
	c.Environments = envs
	return c.Normal()
}

func TestARoomGoesFromCutToHandoverAndSurvivesReopening(t *testing.T) {
	onEach(t, func(t *testing.T, opt room.Options) {
		cat := small()
		kasse := cat.Kassen[0].ID
		r, err := room.Init(t.Context(), opt, room.Setup{
			Name: "Probe", Exercise: true, Catalogue: cat, People: room.PracticePeople(kasse), Owner: "operator",
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() }) // closed below; a second time changes nothing
		place := cat.PlacementsOf(kasse, "eau")[0]
		nodes := []string{string(place.ID)}
		o := do[room.Ordered](t, r, "lead", "measure.order", containment.Plan{
			Title: "eAU", Stage: 1, Reason: "Verdacht", Emergency: []catalogue.ServiceID{"eau"},
			Selection: containment.Selection{Placements: []catalogue.PlacementID{place.ID}},
		})
		do[room.Outcome](t, r, "operator", "approve", map[string]string{"id": o.Consent.ID})
		do[room.Changed](t, r, "operator", "side.closed", map[string]any{"placements": nodes, "probe": "Probe 1", "reason": "von außen"})
		accept(t, r, place.ID, 2)
		cells := r.Cells()

		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err = room.Open(t.Context(), opt); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() }) // likewise
		if diff := cmp.Diff(cells, r.Cells()); diff != "" {
			t.Errorf("the cells after reopening (-want +got):\n%s", diff)
		}
		clearAll(t, r, nodes)
		do[room.Changed](t, r, "operator", "handover.begin", map[string]any{"placements": nodes, "reason": "Rückkehr"})
		// Rule 3: while items are open, there is no acceptance.
		c, err := room.Do[any](t.Context(), r, "kasse-"+string(kasse), "regular.accept", map[string]any{"nodes": nodes, "reason": "getestet"})
		if err == nil {
			c, err = room.Do[any](t.Context(), r, "operator", "approve", map[string]any{"id": consentID(t, c)})
		}
		refused, ok := errors.AsType[*room.Failure](err)
		if !ok || refused.Rule != int(operation.RuleNothingLost) {
			t.Errorf("accepted with open items: %v, %v", c, err)
		}
		h := do[[]room.HandedOver](t, r, "operator", "handover.run", map[string]any{})
		if len(h) != 1 || !strings.Contains(h[0].Error, "leitstand.yaml") {
			t.Errorf("handover without a regular system: %+v", h)
		}
		for _, rep := range do[[]room.Verified](t, r, "", "ledger.verify", map[string]bool{"state": true}) {
			if len(rep.Problems) > 0 || rep.Entries == 0 {
				t.Errorf("%s: %d entries, %+v", rep.Ledger, rep.Entries, rep.Problems)
			}
		}
	})
}

// accept puts items into the journal of a placement as an emergency service does.
func accept(t *testing.T, r *room.Room, id catalogue.PlacementID, n int) {
	t.Helper()
	row, ok := r.Operation.Current().Placement(id)
	if !ok || row.Emergency != operation.Active {
		t.Fatalf("%s is not in emergency operation: %+v", id, row)
	}
	j, err := r.Journals.Open(t.Context(), row.Kasse)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		d := emergency.Draft{Key: string(rune('a' + i)), Kind: emergency.KindMessage, Source: "test", Received: r.Now(), Media: "text/plain", Body: []byte("Guten Tag")}
		if _, err := j.Accept(t.Context(), id, row.Writing.Epoch, r.Now(), "test", d); err != nil {
			t.Fatal(err)
		}
	}
}

// clearAll brings nodes through the gate: everything they rest on is examined.
func clearAll(t *testing.T, r *room.Room, nodes []string) {
	t.Helper()
	do[room.Changed](t, r, "operator", "rebuild.begin", map[string]any{"nodes": nodes, "reason": "gesäubert"})
	evidence := []forensics.Evidence{{Name: "befund.txt", SHA256: strings.Repeat("a1", 32), Size: 1}}
	var scopes []forensics.Scope
	for _, e := range r.Catalogue.Environments {
		scopes = append(scopes, forensics.Scope{Kind: forensics.Environment, ID: string(e.ID)})
	}
	for _, c := range r.Catalogue.Components {
		scopes = append(scopes, forensics.Scope{Kind: forensics.Component, ID: string(c.ID)})
	}
	for _, s := range scopes {
		do[room.Changed](t, r, "operator", "rotation.prove", map[string]any{"scope": s, "evidence": evidence, "rotated_at": r.Now(), "reason": "gewechselt"})
		ask, err := room.Do[any](t.Context(), r, "examiner", "clearance.grant", map[string]any{
			"scope": s, "check": forensics.Cleaned, "evidence": evidence, "until": r.Now().Add(24 * time.Hour), "reason": "geprüft",
		})
		if err != nil {
			t.Fatal(err)
		}
		do[room.Outcome](t, r, "examiner2", "approve", map[string]string{"id": consentID(t, ask)})
	}
	ask, err := room.Do[any](t.Context(), r, "lead", "trial.enter", map[string]any{"nodes": nodes, "reason": "geprüft"})
	if err != nil {
		t.Fatal(err)
	}
	do[room.Outcome](t, r, "operator", "approve", map[string]string{"id": consentID(t, ask)})
}

func consentID(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(b, &c); err != nil || c.ID == "" {
		t.Fatalf("no consent in %s: %v", b, err)
	}
	return c.ID
}

func TestARoomThatCannotBeOpenedSaysWhy(t *testing.T) {
	opt := room.Options{Data: filepath.Join(t.TempDir(), "room")}
	if _, err := room.Open(t.Context(), opt); !errors.Is(err, room.ErrNoRoom) {
		t.Errorf("no room: %v", err)
	}
	cat := small()
	r, err := room.Init(t.Context(), opt, room.Setup{Name: "Probe", Exercise: true, Catalogue: cat, People: room.PracticePeople(), Owner: "operator"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := room.Open(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("open twice: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	elsewhere := opt
	elsewhere.Database = "postgres://nowhere/x"
	if _, err := room.Open(t.Context(), elsewhere); err == nil || !strings.Contains(err.Error(), "leave --db out") {
		t.Errorf("in the wrong place: %v", err)
	}
	if err := os.WriteFile(filepath.Join(opt.Data, "connections.json"), []byte(`{"mailboxs":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := room.Open(t.Context(), opt); err == nil || !strings.Contains(err.Error(), `unknown field "mailboxs"`) {
		t.Errorf("a typing mistake in connections.json: %v", err)
	}
	if err := os.WriteFile(filepath.Join(opt.Data, "room.db"), []byte(strings.Repeat("no store ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := room.Open(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "restore from backup") {
		t.Errorf("a damaged store: %v", err)
	}
}
