package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency/sicknote"
	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
	"leitstand/room"
)

// intake puts one Kasse's sick notes into emergency operation, and mails into it.
func intake(h *house, mails ...string) catalogue.KasseID {
	h.t.Helper()
	var p catalogue.Placement
	for _, one := range h.room.Catalogue.Placements {
		if one.Service == "eau" {
			p = one
			break
		}
	}
	err := h.room.Connect(room.Connections{Mailboxes: []room.MailboxConfig{{
		Kasse: p.Kasse, Placement: p.ID, Address: "eau@kasse.kim.example", POP3: "127.0.0.1:1", Security: sicknote.PlainText, User: "u", Password: "p",
	}}}, closed{})
	if err != nil {
		h.t.Fatal(err)
	}
	o := must[room.Ordered](h, "operator", "measure.order", containment.Plan{
		Title: "eAU", Stage: 1, Reason: "Verdacht", Emergency: []catalogue.ServiceID{"eau"},
		Selection: containment.Selection{Kassen: []catalogue.KasseID{p.Kasse}, Services: []catalogue.ServiceID{"eau"}},
	})
	h.approve("lead", o.Consent.ID)
	if err := h.room.Isolate(h.ctx()); err != nil {
		h.t.Fatal(err)
	}
	dir := h.t.TempDir()
	for i, m := range mails {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".eml"), []byte(m), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	must[sicknote.Imported](h, "operator", "sicknote.import", map[string]any{"kasse": p.Kasse, "path": dir})
	return p.Kasse
}

// faulty is a mail whose document certainly is no eAU.
func faulty(t testing.TB) string {
	t.Helper()
	raw, err := kimmail.Compose(kimmail.Draft{
		Kind: kimmail.KindDelivery, Test: true, ID: eau.NewID("web", "1"), MessageID: "<1@praxis.kim.example>", Date: time.Date(2023, 4, 24, 20, 0, 0, 0, time.UTC),
		From: kimmail.Address{Addr: "praxis@praxis.kim.example"}, To: []kimmail.Address{{Addr: "eau@kasse.kim.example"}},
		ReplyTo: kimmail.Address{Addr: "praxis@praxis.kim.example"}, Body: "Guten Tag", XML: []byte("<Bundle><kaputt"), Delivered: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestHeldSickNotesAreWorkedOffOnTheScreen(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	h.get("/notbetrieb/eau/000000000").is(http.StatusNotFound)
	k := intake(h, faulty(t), "Subject: Rundschreiben\r\n\r\nx\r\n")
	at := "/notbetrieb/eau/" + string(k)
	h.get(at + "x").is(http.StatusNotFound)
	h.get("/notbetrieb").says("2")
	p := h.get(at).is(http.StatusOK).sound().says("2 zurückgelegt", "in der Frist", "keine eAU in der Mail", "1 Fehlermeldungen an Praxen", "101")
	var forms []string
	for _, f := range p.all("form") {
		if strings.Contains(attr(f, "action"), "/sendung/") {
			forms = append(forms, attr(f, "action"))
		}
	}
	if len(forms) != 2 {
		t.Fatalf("forms %v", forms)
	}

	// A held mail gets an owner; what is no sick note cannot be let pass.
	h.post(forms[1], url.Values{"als": {"operator"}, "annehmen": {"1"}}).is(http.StatusUnprocessableEntity).says("Grund")
	h.post(forms[1], url.Values{"als": {"operator"}, "annehmen": {"1"}, "grund": {"gesehen"}}).is(http.StatusConflict).says("keine Krankmeldung")
	h.post(forms[1], url.Values{"als": {"press"}, "zuweisen": {"1"}, "grund": {"x"}, "an": {"operator2"}, "frist": {"2023-04-28T12:00"}}).is(http.StatusConflict)
	h.post(forms[1], url.Values{"als": {"operator"}, "zuweisen": {"1"}, "grund": {"x"}, "an": {"operator2"}, "frist": {"2020-04-28T12:00"}}).is(http.StatusUnprocessableEntity).says("Zukunft")
	h.post(forms[1], url.Values{"als": {"operator"}, "zuweisen": {"1"}, "grund": {"Nachtdienst"}, "an": {"operator2"}, "frist": {"2023-04-28T12:00"}}).is(http.StatusSeeOther)
	h.get(at).says("Paul Nachtdienst")

	// Time runs: yellow, then red, on both pages.
	h.wait(30 * time.Hour)
	h.get(at).says("Frist vorbei", "1 überfällig")
	h.get("/notbetrieb").says("1 überfällig")

	// Two people release an answer, and the second sees which.
	h.post(at+"/fehlermeldungen", url.Values{"als": {"lead"}}).is(http.StatusUnprocessableEntity)
	ask := h.post(at+"/fehlermeldungen", url.Values{"als": {"lead"}, "grund": {"sicher fehlerhaft"}, "code": {"101"}}).is(http.StatusSeeOther).location
	h.get(ask).is(http.StatusOK).sound().says("Fehlermeldungen an Praxen", "Dokument nicht lesbar", "101").never("Seit der Anfrage hat sich die Lage geändert")
	form := formOf(h.get(ask), ask)
	form.Set("als", "lead2")
	form.Set("ja", "1")
	h.post(ask, form).is(http.StatusConflict)
	form.Set("als", "kasse-"+string(k))
	h.post(ask, form).is(http.StatusSeeOther)
	h.get(at).says("Keine wartet auf Freigabe", "1 zurückgelegt")
}

func TestPaperIsTypedInOnTheScreen(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	k := intake(h)
	at := "/notbetrieb/eau/" + string(k)
	h.get(at).is(http.StatusOK).sound().says("Nichts ist zurückgelegt", "Bescheinigung auf Papier")
	typed := url.Values{
		"als": {"operator"}, "kostentraeger": {string(k)}, "versicherte": {"a123456789"}, "art": {"ERST"}, "ausgestellt": {"2023-04-24"},
		"seit": {"2023-04-24"}, "bis": {"2023-04-28"}, "diagnosen": {"j06.9 g"},
	}
	broken := maps.Clone(typed)
	broken["diagnosen"] = []string{"Husten"}
	h.post(at+"/papier", broken).is(http.StatusUnprocessableEntity).says("ICD-10").never("Husten")
	broken["diagnosen"], broken["bis"] = nil, []string{"2023-04-01"}
	h.post(at+"/papier", broken).is(http.StatusUnprocessableEntity).says("keine vollständige Bescheinigung")
	to := h.post(at+"/papier", typed).is(http.StatusSeeOther).location
	h.get(to).is(http.StatusOK).says("Die Bescheinigung ist aufgenommen", "1 angenommen")
	h.post(at+"/papier", typed).is(http.StatusSeeOther)
	scan := strings.Join([]string{"01", "a", "12", "", string(k), "B123456789", "1", "00", "00", "721111100", "123456601", "20230424", "1", "", "", "", "20230424", "20230425", "20230424", "", "", "", "", "", "", "", "J06.9 G", ""}, "\t")
	h.post(at+"/papier", url.Values{"als": {"operator"}, "barcode": {scan + "\r\n"}}).is(http.StatusSeeOther)
	h.post(at+"/papier", url.Values{"als": {"operator"}, "barcode": {"unsinn"}}).is(http.StatusUnprocessableEntity)
	h.get(at).says("2 angenommen", "1 doppelt")
}
