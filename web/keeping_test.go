package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/room"
)

func TestReadinessShowsTheWorstFirstAndWhatToDo(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	p := h.get("/bereitschaft").is(http.StatusOK).says("Bereitschaft:", "Abzuarbeiten", "Sicherung", "leitstand backup", "Kein Sprung ist offen", "Alles, was geprüft wurde").sound()
	if bad, warn := strings.Index(p.raw, "! schlecht"), strings.Index(p.raw, "? bald"); bad < 0 || warn < bad {
		t.Errorf("bad things at %d, warnings at %d", bad, warn)
	}
	h.post("/bereitschaft", url.Values{"was": {"probe"}}).is(http.StatusOK).says("Eben geschehen")
	h.post("/bereitschaft", url.Values{"was": {"unsinn"}}).is(http.StatusBadRequest)
	h.post("/bereitschaft", url.Values{"was": {"uhr"}, "als": {"operator"}}).is(http.StatusUnprocessableEntity).says("verglichen")
}

func TestTheRoomIsLockedAndUnlockedByTwoPeopleThroughForms(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	h.get("/schluessel").is(http.StatusOK).says("Der Raum ist entsperrt", "Eine Passphrase öffnet den Raum", "Auch gesperrt geht").sound()
	if _, err := room.Do[room.KeyStatus](t.Context(), h.room, "operator", "keys.share", map[string]any{
		"second": "lead", "need": 2, "holders": map[string]string{"operator": "eins", "lead": "zwei"},
	}); err != nil {
		t.Fatal(err)
	}
	h.post("/schluessel", url.Values{"was": {"zu"}, "als": {"operator"}}).is(http.StatusSeeOther)
	h.get("/schluessel").says("Der Raum ist gesperrt", "2 von 2 Personen", "Passphrase dieser Person").never("Neues Paar").sound()
	h.post("/schluessel", url.Values{"was": {"kasse"}, "als": {"operator"}, "grund": {"x"}, "kasse": {"109900019"}}).is(http.StatusConflict).says("gesperrt")
	open := func(as, pass string) page {
		return h.post("/schluessel", url.Values{"was": {"auf"}, "als": {as}, "passphrase": {pass}})
	}
	open("operator", "").is(http.StatusUnprocessableEntity)
	if p := open("operator", "falsches Geheimnis").is(http.StatusConflict).says("Die Passphrase passt nicht").sound(); strings.Contains(p.raw, "falsches Geheimnis") {
		t.Error("the page repeats a passphrase")
	}
	open("operator", "eins").is(http.StatusSeeOther)
	h.get("/schluessel").says("Der Raum ist gesperrt", "Schon da: Olga Betrieb", "Es fehlt noch 1 Person").sound()
	open("lead", "zwei").is(http.StatusSeeOther)
	h.get("/schluessel").says("Der Raum ist entsperrt").sound()
	h.post("/schluessel", url.Values{"was": {"kasse"}, "als": {"operator"}, "grund": {"Wechsel"}, "kasse": {string(h.room.Catalogue.Kassen[0].ID)}}).is(http.StatusSeeOther)
}

func TestSomebodyAgreesOverTheTelephoneThroughForms(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	sheet, err := room.Do[access.Sheet](t.Context(), h.room, "lead", "code.issue", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := room.Do[access.Consent](t.Context(), h.room, "operator", "keys.rotate", map[string]string{"kasse": string(h.room.Catalogue.Kassen[0].ID), "reason": "Wechsel"})
	if err != nil {
		t.Fatal(err)
	}
	at := "/entscheidungen/" + c.ID + "/telefon"
	h.get("/entscheidungen/" + c.ID).says("nur am Telefon")
	if p := h.get(at).is(http.StatusOK).says("Wen rufen Sie an?").sound(); strings.Contains(p.raw, `<option value="operator">Olga Betrieb (`) {
		t.Error("who asked may be called")
	}
	h.post(at, url.Values{"als": {"operator"}}).is(http.StatusUnprocessableEntity)
	h.post(at, url.Values{"als": {"operator"}, "person": {"press"}}).is(http.StatusConflict).says("keine unbenutzten Codes")
	p := h.post(at, url.Values{"als": {"operator"}, "person": {"lead"}}).is(http.StatusOK).says("Code Nummer 1", sheet.ID, strings.ToUpper(c.Hash[:8])).sound()
	form := formOf(p, "")
	form.Set("als", "operator")
	form.Set("was", "code")
	form.Set("code", "0000 0000")
	h.post(at, form).is(http.StatusConflict).says("passt nicht", "Code Nummer 1").sound()
	form.Set("code", sheet.Codes[0])
	h.post(at, form).is(http.StatusSeeOther)
	h.get("/entscheidungen/" + c.ID).says("Ines Übungsleiter")
	if now, err := access.ConsentByID(t.Context(), h.room.Store, c.ID); err != nil || now.DecidedBy != "lead" {
		t.Errorf("%+v %v", now, err)
	}
	h.post(at, form).is(http.StatusConflict)
}
