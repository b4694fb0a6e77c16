package room_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
	"leitstand/recovery"
	"leitstand/room"
	"leitstand/warning"
)

// cutKasse takes a Kasse off the network and plans its way back.
func cutKasse(t *testing.T, r *room.Room, k catalogue.KasseID) {
	t.Helper()
	o := do[room.Ordered](t, r, "lead", "measure.order", containment.Plan{
		Title: "Kasse", Stage: 3, Reason: "Verdacht", Selection: containment.Selection{Kassen: []catalogue.KasseID{k}},
	})
	do[room.Outcome](t, r, "operator", "approve", map[string]string{"id": o.Consent.ID})
	do[room.PlanView](t, r, "lead", "plan.make", map[string]any{"reason": "Rückkehr", "schedules": 20})
}

func refusedStep(t *testing.T, r *room.Room, as, act string, args map[string]any, because string) {
	t.Helper()
	if _, err := room.Do[any](t.Context(), r, as, act, args); err == nil || !strings.Contains(err.Error(), because) {
		t.Errorf("%s by %s %v: %v, want it refused because of %q", act, as, args, err, because)
	}
}

func TestStepsByHandWaitForTheGateAndForTwo(t *testing.T) {
	onEach(t, func(t *testing.T, opt room.Options) {
		cat := small()
		kasse := cat.Kassen[0].ID
		r, err := room.Init(t.Context(), opt, room.Setup{
			Name: "Probe", Exercise: true, Catalogue: cat, People: room.PracticePeople(kasse), Owner: "operator",
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() }) // nothing is written here any more
		cutKasse(t, r, kasse)
		place := cat.PlacementsOf(kasse, "eau")[0]
		env := string(place.Environment)
		secure, examine := map[string]any{"task": "secure:" + env}, map[string]any{"task": "examine:" + env}
		refusedStep(t, r, "operator", "step.start", examine, "nach: Spuren sichern")
		refusedStep(t, r, "press", "step.start", secure, "Forensik")
		do[room.StepResult](t, r, "examiner", "step.start", secure)
		refusedStep(t, r, "examiner", "step.done", secure, "evidence")
		refusedStep(t, r, "examiner", "step.stop", map[string]any{"task": "secure:" + env, "reason": "x"}, "Leitung oder Betrieb")
		done := do[room.StepResult](t, r, "examiner", "step.done", map[string]any{"task": "secure:" + env, "evidence": "Beleg 7", "who": "F. Orensik"})
		if s := done.Step; s.State != recovery.StepDone || s.Who != "F. Orensik" {
			t.Errorf("%+v", s)
		}
		do[room.StepResult](t, r, "examiner", "step.start", examine)
		refusedStep(t, r, "examiner", "step.done", map[string]any{"task": "examine:" + env, "evidence": "Bericht"}, "Freigabe von "+env)

		// What is left out does not open the gate, and needs two people of whom one leads.
		skip := do[room.StepResult](t, r, "operator", "step.skip", map[string]any{"task": "rotate:" + env, "reason": "Konten gelöscht"})
		if skip.Consent == nil {
			t.Fatal("one person left the change of credentials out")
		}
		refusedStep(t, r, "operator2", "approve", map[string]any{"id": skip.Consent.ID}, "zur Leitung")
		do[room.Outcome](t, r, "lead", "approve", map[string]any{"id": skip.Consent.ID})
		detail := do[room.StepDetail](t, r, "", "step.show", map[string]any{"task": "rotate:" + env})
		if detail.State != recovery.StepSkipped || len(detail.Past) != 0 {
			t.Errorf("%+v", detail.Step)
		}
		gaps := do[room.Reasons](t, r, "", "plan.why", map[string]any{"task": "probe:" + string(place.ID)}).Gaps
		if !slices.ContainsFunc(gaps, func(g operation.Gap) bool { return g.Kind == "rotation" }) {
			t.Errorf("after leaving rotation out the gate asks for %+v only", gaps)
		}
		order := do[room.StepOrder](t, r, "", "step.print", examine)
		if text := strings.Join(order.Text, "\n"); !strings.Contains(text, "Unterschrift") || !strings.Contains(text, "ÜBUNG") || len(order.PDF) < 500 {
			t.Errorf("%s", text)
		}
		before := len(do[[]recovery.StepView](t, r, "", "step.list", map[string]any{"kasse": kasse}))
		after := do[room.PlanView](t, r, "operator", "plan.replan", map[string]any{"reason": "Schritte", "schedules": 20})
		if !slices.Contains(after.Change.Gone, "secure:"+env) || planned(t, r, "rotate:"+env) || !planned(t, r, "examine:"+env) {
			t.Errorf("the new plan does not know what steps brought: %+v", after.Change)
		}
		if n := len(do[[]recovery.StepView](t, r, "", "step.list", map[string]any{"kasse": kasse})); n != before {
			t.Errorf("%d steps after planning anew, %d before", n, before)
		}
		for _, rep := range do[[]room.Verified](t, r, "", "ledger.verify", map[string]bool{"state": true}) {
			if len(rep.Problems) > 0 {
				t.Errorf("%s: %+v", rep.Ledger, rep.Problems)
			}
		}
	})
}

// stepRoom is a room that is no exercise, whose steps of some kinds are carried
// out by a program that makes a file.
func stepRoom(t *testing.T) (*room.Room, catalogue.KasseID, string) {
	t.Helper()
	cat, outside := small(), t.TempDir()
	kasse := cat.Kassen[0].ID
	r, err := room.Init(t.Context(), room.Options{Data: t.TempDir() + "/room", Passphrase: []byte("acht Wörter")}, room.Setup{
		Name: "echt", Catalogue: cat, People: room.PracticePeople(kasse), Owner: "operator", Passphrase: []byte("acht Wörter"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	text := fmt.Sprintf(`
drivers:
  - name: made
    exec: {execute: [touch, "%[1]s/{what}"], undo: [rm, -f, "%[1]s/{what}"], probe: [test, -e, "%[1]s/{what}"]}
recovery:
  - {kind: secure, subject: "*@*", driver: made, params: {what: secured}}
  - {kind: emergency, subject: "*/eau", driver: made, params: {what: begun}}
`, outside)
	if err := os.WriteFile(filepath.Join(r.Data(), containment.DriversFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.UseDrivers(t.Context()); err != nil {
		t.Fatal(err)
	}
	cutKasse(t, r, kasse)
	return r, kasse, outside
}

func TestStepsByDriversActAreProbedAndTakenBack(t *testing.T) {
	r, kasse, outside := stepRoom(t)
	env := string(small().PlacementsOf(kasse, "eau")[0].Environment)
	task := map[string]any{"task": "secure:" + env}
	detail := do[room.StepDetail](t, r, "", "step.show", task)
	if detail.DryRun == nil || !strings.Contains(strings.Join(detail.DryRun.Exact, " "), "'touch'") {
		t.Fatalf("dry run %+v", detail.DryRun)
	}
	if _, err := os.Stat(filepath.Join(outside, "secured")); err == nil {
		t.Fatal("a dry run acted")
	}
	refusedStep(t, r, "examiner", "step.start", task, "Leitung oder Betrieb")
	got := do[room.StepResult](t, r, "operator", "step.start", task)
	if _, err := os.Stat(filepath.Join(outside, "secured")); err != nil || got.Step.State != recovery.StepDone || got.Step.Driver != "made" {
		t.Fatalf("%+v: %v", got.Step, err)
	}
	refusedStep(t, r, "operator", "step.start", task, "not ask for it any more")
	back := do[room.StepResult](t, r, "lead", "step.undo", map[string]any{"task": "secure:" + env, "reason": "falsches Ziel"})
	if _, err := os.Stat(filepath.Join(outside, "secured")); err == nil || back.Step.State != recovery.StepUndone {
		t.Errorf("%+v: %v", back.Step, err)
	}
	// Repeated on a person's word only; by hand, although there is a driver.
	refusedStep(t, r, "operator", "step.start", task, "zurückgenommen")
	do[room.StepResult](t, r, "operator", "step.repeat", map[string]any{"task": "secure:" + env, "reason": "richtiges Ziel"})
	by := do[room.StepResult](t, r, "operator", "step.start", map[string]any{"task": "secure:" + env, "by_hand": true, "who": "Haustechnik"})
	if by.Step.State != recovery.StepStarted || by.Step.Round != 2 {
		t.Errorf("%+v", by.Step)
	}
}

func TestADriverThatLetsPeopleInActsOnTheWordOfTwo(t *testing.T) {
	r, kasse, outside := stepRoom(t)
	cell := string(kasse) + "/eau"
	task := map[string]any{"task": "emergency:" + cell}
	refusedStep(t, r, "operator", "step.start", task, "Prüfliste")
	list := do[recovery.Readiness](t, r, "operator", "readiness.open", map[string]string{"cell": cell})
	for _, p := range list.Points {
		do[recovery.Readiness](t, r, "operator", "readiness.settle", map[string]string{"cell": cell, "point": p.ID, "evidence": "Ordner 7"})
	}
	asked := do[room.StepResult](t, r, "operator", "step.start", task)
	if _, err := os.Stat(filepath.Join(outside, "begun")); err == nil || asked.Consent == nil {
		t.Fatalf("one person began it: %+v", asked)
	}
	out := do[room.Outcome](t, r, "lead", "approve", map[string]any{"id": asked.Consent.ID})
	done, ok := out.Done.(room.StepResult)
	if _, err := os.Stat(filepath.Join(outside, "begun")); err != nil || !ok || done.Step.State != recovery.StepDone || len(done.Step.By) != 2 {
		t.Errorf("%+v: %v", out.Done, err)
	}
}

func TestUnderObservationTheEarlyWarningIsTightenedUntilAPersonEndsIt(t *testing.T) {
	cat := small()
	kasse := cat.Kassen[0].ID
	now := time.Date(2026, 5, 4, 6, 0, 0, 0, time.UTC)
	r, err := room.Init(t.Context(), room.Options{Data: t.TempDir(), Clock: func() time.Time { return now }}, room.Setup{
		Name: "Probe", Exercise: true, Catalogue: cat, People: room.PracticePeople(kasse), Owner: "operator",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	cutKasse(t, r, kasse)
	now = now.Add(time.Hour)
	cell := string(kasse) + "/eau"
	do[[]recovery.Report](t, r, "operator", "plan.report", map[string]any{"reports": []recovery.Report{{Task: "test:" + cell, What: recovery.Done}}})
	log := filepath.Join(t.TempDir(), "log")
	noticed := func(what string) warning.Signal {
		t.Helper()
		site := do[room.StepDetail](t, r, "", "step.show", map[string]any{"task": "observe:" + cell}).Site
		line := fmt.Sprintf("2026-05-04T07:00:00Z env-%s-%s %s\n", kasse, site, what)
		f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString(line)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		raised, err := r.Follow(t.Context(), now, log)
		if err != nil || len(raised) != 1 {
			t.Fatalf("%q raised %+v: %v", line, raised, err)
		}
		return raised[0]
	}
	normal := noticed("systemd[1]: Stopped auditd")
	do[warning.Signal](t, r, "operator", "signal.decide", map[string]any{"id": normal.ID, "to": "dismissed", "reason": "Wartung"})
	observe := map[string]any{"task": "observe:" + cell}
	if s := do[room.StepResult](t, r, "operator", "step.start", observe).Step; len(s.Watched) != 1 {
		t.Fatalf("watched: %+v", s)
	}
	now = now.Add(2 * time.Hour) // hits within an hour are one signal
	tight := noticed("systemd[1]: Stopped auditd")
	if tight.Level == normal.Level || tight.Deadline.Sub(tight.First) >= normal.Deadline.Sub(normal.First) || !strings.Contains(strings.Join(tight.Matched, " "), "observe:"+cell) {
		t.Errorf("before %s due in %v, under observation %s due in %v", normal.Level, normal.Deadline.Sub(normal.First), tight.Level, tight.Deadline.Sub(tight.First))
	}
	if o := do[[]room.Observed](t, r, "", "step.observed", nil); len(o) != 1 || o[0].Step != "observe:"+cell || o[0].Lasted || len(o[0].Open) != 1 || o[0].Open[0].ID != tight.ID {
		t.Errorf("under observation: %+v", o)
	}
	now = now.Add(1000 * time.Hour)
	if _, err := r.Due(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	done := map[string]any{"task": "observe:" + cell, "evidence": "ruhig"}
	refusedStep(t, r, "operator", "step.done", done, tight.ID)
	do[warning.Signal](t, r, "operator", "signal.decide", map[string]any{"id": tight.ID, "to": "dismissed", "reason": "geklärt"})
	if w, err := recovery.Watched(t.Context(), r.Store); err != nil || len(w) != 1 {
		t.Errorf("a clock ended it: %v %v", w, err)
	}
	if o := do[[]room.Observed](t, r, "", "step.observed", nil); len(o) != 1 || !o[0].Lasted || len(o[0].Open) != 0 || o[0].Decided != 2 { // the one of the moment in which it began, too
		t.Errorf("under observation until a person ends it: %+v", o)
	}
	do[room.StepResult](t, r, "operator", "step.done", done)
	if o := do[[]room.Observed](t, r, "", "step.observed", nil); len(o) != 0 {
		t.Errorf("still under observation: %+v", o)
	}
	if again := noticed("systemd[1]: Stopped auditd"); again.Level != normal.Level {
		t.Errorf("after the observation the signal is %s, want %s", again.Level, normal.Level)
	}
}
