package web_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/forensics"
	"leitstand/room"
)

// A list is opened, worked through, cleared by two and revoked with the cut that
// this asks for, by forms alone.
func TestAScopeIsExaminedClearedAndRevokedThroughTheForms(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	env := h.room.Catalogue.Environments[0].ID
	nodes := cutAndRebuild(h, env)
	h.wait(time.Hour)
	h.get("/pruefungen").is(http.StatusOK).sound().says("Keine Prüfliste ist offen")
	open := url.Values{"als": {"examiner"}, "art": {"linux-server"}, "umfang": {"environment:" + string(env)}, "grund": {"Spur im Protokoll"}}
	h.post("/pruefungen", url.Values{"als": {"examiner"}, "art": {"linux-server"}, "umfang": {"backup:"}}).is(http.StatusUnprocessableEntity).says("braucht ihren Namen")
	h.post("/pruefungen", url.Values{"als": {"press"}, "art": {"linux-server"}, "umfang": open["umfang"]}).is(http.StatusConflict).says("Forensik und Betrieb")
	at := h.post("/pruefungen", open).is(http.StatusSeeOther).location
	h.get(at).is(http.StatusOK).sound().says("0 von 13", "Punkte sind offen").never("Freigabe beantragen")
	h.get("/pruefungen/l-ABCDEFGH").is(http.StatusNotFound)
	settle(h, at)
	h.post(at+"/wechsel", url.Values{"als": {"operator"}, "gewechselt": {"2023-04-24T22:30"}}).is(http.StatusSeeOther)
	page := h.get(at).is(http.StatusOK).sound().says("13 von 13", "ls-08 nicht erledigt: Container gibt es keine", "Freigabe beantragen", "nachgewiesen von")
	if !strings.Contains(page.raw, strings.Repeat("ab", 32)) {
		t.Error("the hash of the evidence is not shown")
	}
	consent := h.post(at+"/freigabe", url.Values{"als": {"examiner"}, "pruefung": {"cleaned"}, "bis": {"2023-05-24T21:00"}, "auflagen": {"nur intern"}, "grund": {"geprüft"}}).is(http.StatusSeeOther).location
	agree(h, consent, "lead")
	all := h.room.Operation.Current().Clearances()
	if len(all) != 1 || !strings.Contains(all[0].Conditions, "Container gibt es keine") || !strings.Contains(all[0].Conditions, "nur intern") || !strings.HasPrefix(all[0].Evidence[0].Name, "checklist-") {
		t.Fatalf("%+v", all)
	}
	h.get(at).says("✓ gültig")
	revoke(h, all[0], env, nodes)
}

func settle(h *house, at string) {
	list, err := forensics.ChecklistByID(h.ctx(), h.room.Store, strings.TrimPrefix(at, "/pruefungen/"))
	if err != nil {
		h.t.Fatal(err)
	}
	evidence := url.Values{"als": {"examiner"}, "beleg": {"auszug.zip"}, "groesse": {"1.024"}, "hash": {strings.Repeat("AB", 32)}}
	h.post(at+"/ls-01", url.Values{"als": {"examiner"}}).is(http.StatusUnprocessableEntity).says("ist der Punkt offen")
	h.post(at+"/ls-01", url.Values{"als": {"examiner"}, "weil": {"x"}, "beleg": {"y"}}).is(http.StatusUnprocessableEntity).says("nur eines von beiden")
	h.post(at+"/wechsel", url.Values{"als": {"operator"}, "gewechselt": {"2023-04-24T22:30"}}).is(http.StatusConflict).says("ls-09")
	for _, p := range list.Points {
		form := evidence
		if p.ID == "ls-08" {
			form = url.Values{"als": {"operator"}, "weil": {"Container gibt es keine"}}
		}
		h.post(at+"/"+p.ID, form).is(http.StatusSeeOther)
	}
}

// revoke lets an environment pass the gate with the clearance, and takes it back.
func revoke(h *house, c forensics.Clearance, env catalogue.EnvironmentID, nodes []string) {
	h.get("/freigaben/" + c.ID + "/widerruf").is(http.StatusOK).sound().says("Nichts, was am Netz ist")
	enterTrial(h, env, nodes)
	h.get("/freigaben/"+c.ID+"/widerruf").is(http.StatusOK).sound().says("wären betroffen", "Der Schnitt, den der Widerruf verlangt")
	if row, _ := h.room.Operation.Current().Placement(catalogue.PlacementID(nodes[0])); row.Flag != nil {
		h.t.Error("the preview flagged something")
	}
	to := h.post("/freigaben/"+c.ID, url.Values{"als": {"examiner"}, "grund": {"Spur übersehen"}}).is(http.StatusSeeOther).location
	after := h.get(to).is(http.StatusOK).sound().says("Spur übersehen", "muss alles vom Netz", "vorbereiten")
	form := url.Values{"titel": {"Widerruf"}, "grund": {"beruht auf Widerrufenem"}, "stufe": {"1"}, "ausser": {" " + nodes[0] + " ,"}}
	for _, in := range after.all("input") {
		if attr(in, "name") == "stelle" {
			form.Add("stelle", attr(in, "value"))
		}
	}
	if len(form["stelle"]) == 0 {
		h.t.Fatal("the page names nothing to cut")
	}
	h.post("/massnahmen/vorschau", form).is(http.StatusOK).sound().says("Vorschau: Widerruf")
	form.Set("als", "lead")
	asked := h.post("/massnahmen", form).is(http.StatusSeeOther).location
	agree(h, asked, "operator")
	all, err := containment.List(h.ctx(), h.room.Store)
	if err != nil || len(all) == 0 || slices.Contains(all[0].Placements, catalogue.PlacementID(nodes[0])) {
		h.t.Errorf("%+v %v", all, err)
	}
}

// agree is the second person, who sees the request and consents to it.
func agree(h *house, at, person string) {
	h.t.Helper()
	form := formOf(h.get(at).is(http.StatusOK).sound(), at)
	form.Set("ja", "1")
	form.Set("als", person)
	h.post(at, form).is(http.StatusSeeOther)
}

// cutAndRebuild takes an environment off and begins to rebuild it.
func cutAndRebuild(h *house, env catalogue.EnvironmentID) (nodes []string) {
	h.t.Helper()
	o := must[room.Ordered](h, "operator", "measure.order", containment.Plan{
		Title: "Umgebung", Stage: 2, Reason: "Verdacht", Selection: containment.Selection{Environments: []catalogue.EnvironmentID{env}},
	})
	h.approve("lead", o.Consent.ID)
	for _, p := range o.Preview.Placements {
		nodes = append(nodes, string(p))
	}
	must[room.Changed](h, "operator", "side.closed", map[string]any{"placements": nodes, "probe": "Probe 1", "reason": "von außen"})
	must[room.Changed](h, "operator", "rebuild.begin", map[string]any{"nodes": nodes, "reason": "Aufbau"})
	return nodes
}

// enterTrial clears everything else and brings the nodes through the gate.
func enterTrial(h *house, env catalogue.EnvironmentID, nodes []string) {
	h.t.Helper()
	var scopes []forensics.Scope
	for _, e := range h.room.Catalogue.Environments {
		if e.ID != env {
			scopes = append(scopes, forensics.Scope{Kind: forensics.Environment, ID: string(e.ID)})
		}
	}
	for _, c := range h.room.Catalogue.Components {
		scopes = append(scopes, forensics.Scope{Kind: forensics.Component, ID: string(c.ID)})
	}
	evidence := []forensics.Evidence{{Name: "befund.txt", SHA256: strings.Repeat("a1", 32), Size: 1}}
	for _, s := range scopes {
		must[room.Changed](h, "operator", "rotation.prove", map[string]any{"scope": s, "evidence": evidence, "rotated_at": h.room.Now(), "reason": "gewechselt"})
		c := must[access.Consent](h, "examiner", "clearance.grant", map[string]any{
			"scope": s, "check": forensics.Cleaned, "evidence": evidence, "until": h.room.Now().Add(24 * time.Hour), "reason": "geprüft",
		})
		h.approve("examiner2", c.ID)
	}
	c := must[access.Consent](h, "lead", "trial.enter", map[string]any{"nodes": nodes, "reason": "geprüft"})
	h.approve("operator", c.ID)
}

// After a crash an intent has no outcome: a person sees it and decides.
func TestAnActWithoutOutcomeIsShownAndDecidedByAPerson(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), false)
	env := h.room.Catalogue.Environments[0].ID
	act := containment.Act{
		ID: "a-ABCDEFGHIJ", Measure: "m-1", Driver: "border", Target: string(env), Environment: env, State: containment.Intended, By: []string{"lead"}, StartedAt: h.room.Now(),
	}
	if err := h.room.Store.Write(h.ctx(), func(ctx context.Context, tx *db.Tx) error {
		return containment.PutAct(ctx, tx, h.room.Now(), "act.intended", "Übung", act)
	}); err != nil {
		t.Fatal(err)
	}
	config := "drivers:\n  - {name: border, exec: {execute: [touch, CUT], undo: [rm, -f, CUT], probe: [test, -e, CUT]}}\nenvironments:\n  - id: " + string(env) +
		"\n    addresses: [10.1.0.0/16]\n    steps: [{driver: border}]\n    probe: {down: [\"tcp://127.0.0.1:1\"], up: [\"tcp://127.0.0.1:1\"]}\n"
	config = strings.ReplaceAll(config, "CUT", filepath.Join(t.TempDir(), "cut"))
	if err := os.WriteFile(filepath.Join(h.room.Data(), containment.DriversFile), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	h.get("/massnahmen").is(http.StatusOK).sound().says("Ohne Ausgang", "border", "Nichts wird von selbst wiederholt")
	h.post("/eingriffe/"+act.ID, url.Values{"als": {"operator"}, "grund": {"nachgesehen"}, "entscheidung": {"vielleicht"}}).is(http.StatusUnprocessableEntity)
	h.post("/eingriffe/"+act.ID, url.Values{"als": {"operator"}, "entscheidung": {"given-up"}}).is(http.StatusUnprocessableEntity).says("was gesehen wurde")
	h.post("/eingriffe/"+act.ID, url.Values{"als": {"operator"}, "grund": {"nachgesehen"}, "entscheidung": {"given-up"}}).is(http.StatusSeeOther)
	h.get("/massnahmen").is(http.StatusOK).never("Ohne Ausgang")
	acts, err := containment.Acts(h.ctx(), h.room.Store)
	if err != nil || len(acts) != 1 || acts[0].State != containment.Failed {
		t.Errorf("%+v %v", acts, err)
	}
}
