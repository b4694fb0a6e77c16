package room_test

import (
	"slices"
	"strings"
	"testing"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/forensics"
	"leitstand/recovery"
	"leitstand/room"
)

// TestThePlanFollowsTheStateAndSurvivesReopening plans the way back of one Kasse
// on both engines: what is cleared is planned no more, what is revoked is again.
func TestThePlanFollowsTheStateAndSurvivesReopening(t *testing.T) {
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
		o := do[room.Ordered](t, r, "lead", "measure.order", containment.Plan{
			Title: "Kasse", Stage: 3, Reason: "Verdacht", Selection: containment.Selection{Kassen: []catalogue.KasseID{kasse}},
		})
		do[room.Outcome](t, r, "operator", "approve", map[string]string{"id": o.Consent.ID})

		first := do[room.PlanView](t, r, "lead", "plan.make", map[string]any{"reason": "Rückkehr", "schedules": 20})
		if first.Figures.Cells == 0 || first.Version != 1 || !first.Assumed {
			t.Errorf("the first plan: %+v", first)
		}
		examine := "examine:" + string(place.Environment)
		if !planned(t, r, examine) {
			t.Fatalf("%s is not planned", examine)
		}
		clearAll(t, r, []string{string(place.ID)})
		second := do[room.PlanView](t, r, "operator", "plan.replan", map[string]any{"reason": "freigegeben", "schedules": 20})
		if planned(t, r, examine) || second.Change == nil || !slices.Contains(second.Change.Gone, examine) {
			t.Errorf("%s is planned although it is cleared: %+v", examine, second.Change)
		}
		for _, c := range do[[]forensics.Clearance](t, r, "", "clearance.list", struct{}{}) {
			if c.Scope.ID == string(place.Environment) {
				do[room.Changed](t, r, "examiner", "clearance.revoke", map[string]string{"id": c.ID, "reason": "Fund"})
			}
		}
		third := do[room.PlanView](t, r, "operator", "plan.replan", map[string]any{"reason": "widerrufen", "schedules": 20})
		if !planned(t, r, examine) || !slices.Contains(third.Change.New, examine) {
			t.Errorf("%s is not planned although its clearance was revoked", examine)
		}
		heads := do[[]recovery.PlanHead](t, r, "", "plan.list", struct{}{})
		if len(heads) != 3 || heads[0].ID != third.ID || heads[0].Replaces != second.ID {
			t.Errorf("plans %+v", heads)
		}
		shown := do[room.PlanView](t, r, "", "plan.show", map[string]any{"positions": true})
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err = room.Open(t.Context(), opt); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() }) // likewise
		again := do[room.PlanView](t, r, "", "plan.show", map[string]any{"positions": true})
		if again.ID != shown.ID || len(again.Positions) != len(shown.Positions) || again.Positions[3].Start != shown.Positions[3].Start {
			t.Errorf("plan %s after reopening, %s before", again.ID, shown.ID)
		}
		for _, rep := range do[[]room.Verified](t, r, "", "ledger.verify", map[string]bool{"state": true}) {
			if len(rep.Problems) > 0 {
				t.Errorf("%s: %+v", rep.Ledger, rep.Problems)
			}
		}
	})
}

// planned says whether the plan in force has a task.
func planned(t *testing.T, r *room.Room, id string) bool {
	t.Helper()
	_, err := room.Do[room.Reasons](t.Context(), r, "", "plan.why", map[string]string{"task": id})
	if err != nil && !strings.Contains(err.Error(), recovery.ErrNoTask.Error()) {
		t.Fatal(err)
	}
	return err == nil
}

func TestOnlyTheLeadOrAnOperatorPutsAPlanInForceAndPrioritiesNeedTwo(t *testing.T) {
	cat := small()
	kasse := cat.Kassen[0].ID
	r, err := room.Init(t.Context(), room.Options{Data: t.TempDir()}, room.Setup{
		Name: "Probe", Exercise: true, Catalogue: cat, People: room.PracticePeople(kasse), Owner: "operator",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, who := range []string{"press", "examiner", "auditor", "kasse-" + string(kasse)} {
		if _, err := room.Do[any](t.Context(), r, who, "plan.make", map[string]any{"reason": "x"}); err == nil || !strings.Contains(err.Error(), "Leitung oder Betrieb") {
			t.Errorf("%s put a plan in force: %v", who, err)
		}
	}
	want := recovery.Priorities{Services: map[catalogue.ServiceID]float64{"eau": 20}}
	args := map[string]any{"priorities": want, "reason": "vereinbart"}
	out := do[room.TermsAsked](t, r, "operator", "plan.prefer", args)
	if out.Answer != nil {
		t.Error("an answer although nothing is to return")
	}
	// Between request and consent somebody else changes them: what was asked is void.
	other := do[room.TermsAsked](t, r, "operator2", "plan.prefer", map[string]any{"priorities": recovery.Priorities{First: []catalogue.KasseID{kasse}}, "reason": "anders"})
	do[room.Outcome](t, r, "lead", "approve", map[string]string{"id": other.Consent.ID})
	if _, err := room.Do[any](t.Context(), r, "lead", "approve", map[string]string{"id": out.Consent.ID}); err == nil || !strings.Contains(err.Error(), access.ErrChanged.Error()) {
		t.Errorf("a request that others overtook was carried out: %v", err)
	}
	if got := do[recovery.Terms](t, r, "", "plan.terms", struct{}{}); got.Version != 1 || len(got.Priorities.First) != 1 || got.Priorities.Services["eau"] == 20 {
		t.Errorf("terms %d: %+v", got.Version, got.Priorities)
	}
}
