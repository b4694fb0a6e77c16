package web_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/forensics"
	"leitstand/operation"
	"leitstand/room"
)

// books are a regular system's. What has a basis was changed there before the cut.
type books struct {
	mu   sync.Mutex
	have map[string]emergency.ListEntry
}

func theirs() *emergency.Version {
	body := []byte("Fassung des Regelsystems <i>")
	sum := sha256.Sum256(body)
	return &emergency.Version{At: time.Date(2023, 4, 20, 8, 0, 0, 0, time.UTC), Media: "text/plain", SHA256: hex.EncodeToString(sum[:]), Body: body}
}

func (b *books) Receive(_ context.Context, p emergency.Parcel) (emergency.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out emergency.Receipt
	for _, it := range p.Items {
		e, ok := b.have[it.ID]
		if !ok || it.Over != "" {
			e = emergency.ListEntry{ID: it.ID, Kind: it.Kind, Result: emergency.Applied, SHA256: it.SHA256, Amount: it.Amount}
			if strings.HasSuffix(string(it.Body), "konflikt") && it.Over == "" {
				e.Result = emergency.Rejected
			}
			b.have[it.ID] = e
		}
		said := emergency.ReceiptItem{ID: it.ID, SHA256: it.SHA256, Result: e.Result}
		if e.Result == emergency.Rejected {
			said.Code, said.Theirs = emergency.CodeConflict, theirs()
		}
		out.Items = append(out.Items, said)
	}
	return out, nil
}

func (b *books) List(_ context.Context, q emergency.ListQuery) ([]emergency.ListEntry, error) {
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

func (b *books) Compare(ctx context.Context, _ emergency.Comparison) ([]emergency.Line, error) {
	all, err := b.List(ctx, emergency.ListQuery{})
	return emergency.Sum(all), err
}

// spoil changes one entry behind the protocol's back and returns how to mend it.
func (b *books) spoil() (mend func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, e := range b.have {
		was := e
		e.SHA256 = strings.Repeat("00", 32)
		b.have[id] = e
		return func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.have[id] = was
		}
	}
	return func() {}
}

// connected gives a placement a regular system and brings it through the gate.
func connected(h *house, place catalogue.PlacementID) *books {
	h.t.Helper()
	b := &books{have: map[string]emergency.ListEntry{}}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	server := httptest.NewServer((&emergency.Receiver{Name: "Regelsystem", Key: key, Token: "geheim", Receiving: b}).Handler())
	h.t.Cleanup(server.Close)
	if err := h.room.Connect(room.Connections{Regular: []room.RegularConfig{{Placement: place, URL: server.URL, Token: "geheim", Key: public}}}, nil); err != nil {
		h.t.Fatal(err)
	}
	nodes := []string{string(place)}
	must[room.Changed](h, "operator", "rebuild.begin", map[string]any{"nodes": nodes, "reason": "gesäubert"})
	evidence := []forensics.Evidence{{Name: "befund.txt", SHA256: strings.Repeat("a1", 32), Size: 1}}
	var scopes []forensics.Scope
	for _, e := range h.room.Catalogue.Environments {
		scopes = append(scopes, forensics.Scope{Kind: forensics.Environment, ID: string(e.ID)})
	}
	for _, c := range h.room.Catalogue.Components {
		scopes = append(scopes, forensics.Scope{Kind: forensics.Component, ID: string(c.ID)})
	}
	for _, s := range scopes {
		must[room.Changed](h, "operator", "rotation.prove", map[string]any{"scope": s, "evidence": evidence, "rotated_at": h.room.Now(), "reason": "gewechselt"})
		c := must[access.Consent](h, "examiner", "clearance.grant", map[string]any{
			"scope": s, "check": forensics.Cleaned, "evidence": evidence, "until": h.room.Now().Add(720 * time.Hour), "reason": "geprüft",
		})
		h.approve("examiner2", c.ID)
	}
	c := must[access.Consent](h, "lead", "trial.enter", map[string]any{"nodes": nodes, "reason": "geprüft"})
	h.approve("operator", c.ID)
	return b
}

// step presses a button of a protocol.
func (h *house) step(at, person, step string, more ...string) page {
	h.t.Helper()
	form := url.Values{"als": {person}, "schritt": {step}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return h.post(at, form)
}

// TestACellGoesBackThroughTheForms goes the whole way of one cell with nothing
// but pages and forms.
func TestACellGoesBackThroughTheForms(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	h.get("/rueckfuehrung").is(http.StatusOK).sound().says("Keine Rückführung").never("Fenster ankündigen")
	kasse, place := inEmergency(h, "a", "b", "konflikt")
	reg := connected(h, place)
	cell := string(kasse) + "/eau"
	local := func(d time.Duration) string {
		l, _ := time.LoadLocation("Europe/Berlin")
		return h.room.Now().Add(d).In(l).Format("2006-01-02T15:04")
	}
	form := url.Values{"als": {"operator"}, "zelle": {cell}, "von": {local(-time.Hour)}, "bis": {local(time.Hour)}, "abbruch": {"ungleich"}, "grund": {"<b>geprüft"}}
	h.get("/rueckfuehrung").is(http.StatusOK).sound().says("Fenster ankündigen")
	h.post("/rueckfuehrung", form).is(http.StatusConflict).says("Das Fenster passt nicht")
	form.Set("von", local(10*time.Minute))
	at := h.post("/rueckfuehrung", form).is(http.StatusSeeOther).location
	h.get(at).is(http.StatusOK).sound().says("angekündigt", "<b>geprüft", "Keine Abnahme eröffnet", "Noch hat niemand unterschrieben").never("ZgotmplZ", "%!")
	h.step(at, "operator", "lesen").is(http.StatusConflict).says("Fenster")
	h.step(at, "operator", "fenster", "von", local(2*time.Minute), "bis", local(2*time.Hour)).is(http.StatusUnprocessableEntity).says("Grund")
	h.step(at, "operator", "fenster", "von", local(2*time.Minute), "bis", local(2*time.Hour), "grund", "früher").is(http.StatusSeeOther)
	h.wait(15 * time.Minute)
	h.step(at, "operator", "abgleichen").is(http.StatusConflict).says("In diesem Stand")
	h.step(at, "operator", "nichts").is(http.StatusUnprocessableEntity)
	h.step(at, "operator", "lesen").is(http.StatusSeeOther)
	h.step(at, "press", "uebergeben").is(http.StatusConflict).says("Leitung, Betrieb oder die Kasse")
	h.step(at, "operator", "uebergeben").is(http.StatusOK).sound().says("1 Konflikt wartet", "vorher", "jetzt")

	settledByDelegate(h, string(kasse))
	h.step(at, "operator", "uebergeben").is(http.StatusOK).never("Konflikt wartet")
	mend := reg.spoil()
	h.step(at, "operator", "abgleichen").is(http.StatusOK).sound().says("1 Abweichung", "verschieden", "wird nirgends aufbewahrt")
	h.get(at).is(http.StatusOK).says("1 Abweichung").never("wird nirgends aufbewahrt")
	mend()
	h.step(at, "operator", "abgleichen").is(http.StatusOK).sound().says("beide Bücher sagen dasselbe", "Regelsystem", "ausgeführt")

	acceptedByForms(h, at, cell, string(kasse))
	h.step(at, "operator", "unterschreiben").is(http.StatusSeeOther)
	h.get(at).is(http.StatusOK).sound().says("für den Notbetrieb")
	h.step(at, "kasse-"+string(kasse), "unterschreiben").is(http.StatusSeeOther)
	h.get(at).is(http.StatusOK).sound().says("Regelbetrieb", "für das Regelsystem").never("Schritt ausführen")
	h.get("/abnahme/"+cell).is(http.StatusOK).sound().says("✓ abgenommen", "Das geht nicht", "hat die Frühwarnung nichts gemeldet")
	if row, _ := h.room.Operation.Current().Placement(place); row.Emergency != operation.Closed || row.Regular != operation.Limited {
		t.Errorf("%s, %s", row.Regular, row.Emergency)
	}
	h.get("/wiederherstellung/beobachtung").is(http.StatusOK).sound().says("nach der Rückführung", "nichts offen")
	h.get("/rueckfuehrung/rf-nichts").is(http.StatusNotFound)
}

// settledByDelegate sees both versions as the Kasse's delegate and decides.
func settledByDelegate(h *house, kasse string) {
	h.t.Helper()
	at := "/konflikte/" + kasse
	action := ""
	for _, f := range h.get(at).is(http.StatusOK).sound().says("offen").never("Fassung aus dem Notbetrieb").all("form") {
		if strings.HasPrefix(attr(f, "action"), at+"/") {
			action = attr(f, "action")
		}
	}
	h.post(action, url.Values{"als": {"operator"}, "grund": {"x"}}).is(http.StatusConflict).says("nur die Vertretung der Kasse")
	h.post(action, url.Values{"als": {"kasse-" + kasse}}).is(http.StatusUnprocessableEntity).says("Grund")
	h.post(action, url.Values{"als": {"kasse-" + kasse}, "grund": {"Konflikt klären"}}).is(http.StatusOK).sound().
		says("Fassung aus dem Notbetrieb <b>konflikt", "Fassung des Regelsystems <i>", "beruht auf Stand 42")
	h.post(action, url.Values{"als": {"kasse-" + kasse}, "grund": {"Notbetrieb ist neuer"}, "gilt": {"ours"}}).is(http.StatusSeeOther)
	h.get(at).is(http.StatusOK).sound().says("die Fassung des Notbetriebs gilt")
	h.post(action, url.Values{"als": {"kasse-" + kasse}, "grund": {"x"}, "gilt": {"theirs"}}).is(http.StatusConflict)
	h.get("/konflikte/123").is(http.StatusNotFound)
}

// acceptedByForms opens an acceptance, tests, and limits what does not work.
func acceptedByForms(h *house, protocol, cell, kasse string) {
	h.t.Helper()
	at := "/abnahme/" + cell
	h.get(at).is(http.StatusOK).sound().says("keine Abnahme eröffnet", "Test-eAU einer Praxis")
	h.step(at, "operator", "eroeffnen", "faelle", "ohne Erwartung").is(http.StatusUnprocessableEntity)
	h.step(at, "operator", "eroeffnen", "faelle", "Annahme = kommt an\nStorno = gilt nicht mehr").is(http.StatusSeeOther)
	id := formOf(h.get(at).is(http.StatusOK).sound().says("Noch nicht abgenommen", "kommt an"), "").Get("abnahme")
	h.step(protocol, "operator", "unterschreiben").is(http.StatusConflict)
	h.step(at, "operator", "probe", "abnahme", id, "ergebnis", "nein", "beleg", "Probe 7").is(http.StatusUnprocessableEntity)
	h.step(at, "operator", "probe", "abnahme", id, "ergebnis", "ja", "beleg", "Probe 7").is(http.StatusSeeOther)
	h.step(at, "operator", "fall", "abnahme", id, "fall", "Annahme", "ergebnis", "ja", "gesehen", "x").is(http.StatusConflict).says("Vertretung der Kasse")
	h.step(at, "kasse-"+kasse, "fall", "abnahme", id, "fall", "Annahme", "ergebnis", "ja", "gesehen", "kam an").is(http.StatusSeeOther)
	h.step(at, "kasse-"+kasse, "fall", "abnahme", id, "fall", "Storno", "ergebnis", "nein", "gesehen", "gilt noch").is(http.StatusSeeOther)
	h.step(at, "kasse-"+kasse, "einschraenken", "abnahme", id, "geht", "Annahme").is(http.StatusUnprocessableEntity).says("was geht")
	h.step(at, "kasse-"+kasse, "einschraenken", "abnahme", id, "geht", "Annahme", "gehtnicht", "Storno", "wege", "/annahme").is(http.StatusSeeOther)
	h.get(at).is(http.StatusOK).sound().says("Das geht nicht", "Storno", "✕ nicht bestanden", "kam an").never("Noch nicht abgenommen")
}
