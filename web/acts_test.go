package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/incident"
	"leitstand/operation"
)

// TestACrisisIsWorkedThroughTheForms does what a team does, with nothing but
// pages and forms: no script, no command.
func TestACrisisIsWorkedThroughTheForms(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	p := h.post("/vorfall", url.Values{"als": {"lead"}, "titel": {"Angriff"}, "grad": {"krise"}}).is(http.StatusSeeOther)
	incidentPath := p.location
	h.get(incidentPath).is(http.StatusOK).says("Krise", "Angriff")
	facts(h, incidentPath)
	id := measure(h, strings.TrimPrefix(incidentPath, "/vorfall/"))
	consent(h, id)
	confirm(h)
	publish(h)
	handOver(h)
	h.post(incidentPath+"/ende", url.Values{"als": {"operator"}}).is(http.StatusConflict).says("beenden kann ihn nur die Leitung")
	h.post(incidentPath+"/ende", url.Values{"als": {"lead"}}).is(http.StatusSeeOther)
	h.get(incidentPath).says("beendet").never("Vorfall beenden</span>")
}

func facts(h *house, at string) {
	h.post(at, url.Values{"als": {"operator"}, "text": {"Keine Daten betroffen"}, "gewissheit": {"belegt"}}).is(http.StatusUnprocessableEntity).says("Quelle")
	h.post(at, url.Values{"als": {"operator"}, "text": {"Keine Daten betroffen"}, "quelle": {"Betrieb"}, "gewissheit": {"belegt"}, "zeit": {"2023-04-24T21:30"}}).is(http.StatusSeeOther)
	p := h.get(at).says("Keine Daten betroffen", "21:30 MESZ", "✓ belegt")
	first := ""
	for _, o := range p.all("option") {
		if strings.HasPrefix(attr(o, "value"), "f-") {
			first = attr(o, "value")
		}
	}
	h.post(at, url.Values{"als": {"operator"}, "text": {"Doch Daten betroffen"}, "quelle": {"Forensik"}, "gewissheit": {"belegt"}, "korrigiert": {first}}).is(http.StatusSeeOther)
	p = h.get(at).says("Korrektur", "später korrigiert", "Doch Daten betroffen")
	if !strings.Contains(p.raw, "<s>Keine Daten betroffen</s>") {
		h.t.Error("the corrected fact is not there any more, or does not look corrected")
	}
	h.post(at, url.Values{"als": {"operator"}, "text": {"x"}, "quelle": {"y"}, "zeit": {"gestern"}}).is(http.StatusUnprocessableEntity)
}

// measure prepares, previews and orders a measure by its forms.
func measure(h *house, incidentID string) (consentPath string) {
	site := string(h.room.Catalogue.Sites[0].ID)
	form := url.Values{"titel": {"Stufe 3"}, "grund": {"Ausbreitung"}, "stufe": {"3"}, "vorfall": {incidentID}, "standort": {site}, "notbetrieb": {"eau"}, "tuer-mail": {"notice"}}
	h.post("/massnahmen/vorschau", url.Values{"titel": {"Leer"}, "grund": {"x"}, "stufe": {"1"}}).is(http.StatusUnprocessableEntity).says("Auswahl trifft keine Stelle").sound()
	h.post("/massnahmen/vorschau", url.Values{"grund": {"x"}, "stufe": {"1"}}).is(http.StatusUnprocessableEntity).says("Namen und einen Grund")
	h.post("/massnahmen/vorschau", url.Values{"stufe": {"9"}}).is(http.StatusUnprocessableEntity).says("Stufe")
	p := h.post("/massnahmen/vorschau", form).is(http.StatusOK).sound().says("Noch ist nichts geschehen", "gehen vom Netz", "Hinweis", "Notbetrieb",
		"Was wann fällig wird", "Krankengeld und Pflegegeld zum Monatsende", "Auswirkung als Bild")
	if n := len(off(h)); n > 0 {
		h.t.Fatalf("the preview took %d placements off", n)
	}
	order := formOf(p, "/massnahmen")
	order.Set("als", "operator")
	h.post("/massnahmen", formOf(p, "/massnahmen")).is(http.StatusUnprocessableEntity).says("wer handelt")
	consentPath = h.post("/massnahmen", order).is(http.StatusSeeOther).location
	if n := len(off(h)); n > 0 {
		h.t.Fatalf("ordering took %d placements off before the second person agreed", n)
	}
	return consentPath
}

// consent agrees as second person, and sees that nobody else can.
func consent(h *house, at string) {
	p := h.get(at).is(http.StatusOK).says("Stufe 3", "Ausbreitung", "gehen vom Netz", "Anders als vorher gewählt: E-Mail Hinweis geben", "wartet")
	form := formOf(p, at)
	form.Set("ja", "1")
	form.Set("als", "operator")
	h.post(at, form).is(http.StatusConflict).says("andere")
	form.Set("als", "lead")
	form.Set("hash", "etwas anderes")
	h.post(at, form).is(http.StatusConflict).says("Lage geändert")
	if n := len(off(h)); n > 0 {
		h.t.Fatalf("%d placements are off without consent", n)
	}
	form.Set("hash", formOf(p, at).Get("hash"))
	h.post(at, form).is(http.StatusSeeOther)
	if len(off(h)) == 0 {
		h.t.Fatal("nothing is off after the second person agreed")
	}
	h.get(at).says("✓ zugestimmt", "Ines Übungsleiter").never("Zustimmen</span>")
	h.post(at, form).is(http.StatusConflict)
	h.get("/massnahmen").says("Stufe 3", "von zwei Personen angeordnet", fmt.Sprintf("Noch getrennt: %d Stellen", len(off(h))), "Rücknahme ohne forensische Freigabe ist möglich bis")
}

// confirm confirms the state of a cell.
func confirm(h *house) {
	cell := h.room.Cells()[0]
	at := "/zelle/" + string(cell.Kasse) + "/" + string(cell.Service)
	h.post(at, url.Values{"als": {"operator"}}).is(http.StatusUnprocessableEntity)
	h.wait(48 * 3600e9)
	h.get(at).says("zu alt: Zustand unbekannt")
	h.post(at, url.Values{"als": {"operator"}, "grund": {"selbst gesehen"}}).is(http.StatusSeeOther)
	h.get(at).never("zu alt").says("Zustand bestätigt")
}

// publish gives the list and a statement to the public.
func publish(h *house) {
	h.get("/mitteilungen").says("Die Lage ist weiter als die Liste", "+ Neu")
	h.post("/mitteilungen/liste", url.Values{"als": {"press"}}).is(http.StatusUnprocessableEntity)
	at := h.post("/mitteilungen/liste", url.Values{"als": {"press"}, "grund": {"Standort abgetrennt"}}).is(http.StatusSeeOther).location
	h.stranger("/oeffentlich").never("Standort abgetrennt")
	form := formOf(h.get(at).says("Fassung 1", "Standort abgetrennt", "+ Neu"), at)
	form.Set("als", "lead")
	form.Set("ja", "1")
	h.post(at, form).is(http.StatusSeeOther)
	h.stranger("/oeffentlich").says("Standort abgetrennt", "Fassung 1")
	h.get("/mitteilungen").says("stimmt mit der Lage überein")
	h.get("/mitteilungen?baustein=phishing").says("Wir fragen nie per E-Mail").sound()
	text := url.Values{"als": {"press"}, "gruppe": {"public"}, "titel": {"Hinweis"}, "text": {"Stand [Uhrzeit]"}, "stand": {"geprüft"}}
	h.post("/mitteilungen/text", text).is(http.StatusUnprocessableEntity).says("Platzhalter")
	text.Set("text", "Alles wird aufbewahrt.")
	at = h.post("/mitteilungen/text", text).is(http.StatusSeeOther).location
	form = formOf(h.get(at).says("Alles wird aufbewahrt."), at)
	form.Set("als", "lead")
	form.Set("nein", "1")
	h.post(at, form).is(http.StatusUnprocessableEntity).says("Grund")
	form.Set("grund", "zu früh")
	h.post(at, form).is(http.StatusSeeOther)
	h.get(at).says("✕ abgelehnt", "zu früh")
	h.stranger("/oeffentlich").never("Alles wird aufbewahrt.")
}

func TestSignalsAndClearancesAreDecidedByForms(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	id := crisis(h)
	var forms []string
	for _, f := range h.get("/signale").all("form") {
		if a := attr(f, "action"); strings.HasPrefix(a, "/signale/") {
			forms = append(forms, a)
		}
	}
	if len(forms) != 2 {
		t.Fatalf("%d signals can be decided, want 2", len(forms))
	}
	h.post(forms[0], url.Values{"als": {"operator"}}).is(http.StatusUnprocessableEntity)
	h.post(forms[0], url.Values{"als": {"operator"}, "verwerfen": {"1"}}).is(http.StatusUnprocessableEntity).says("Grund")
	h.post(forms[0], url.Values{"als": {"operator"}, "uebernehmen": {"1"}}).is(http.StatusSeeOther)
	h.get("/signale").says("in Arbeit")
	h.post(forms[0], url.Values{"als": {"operator"}, "zuordnen": {"1"}, "vorfall": {id}}).is(http.StatusSeeOther)
	h.post(forms[1], url.Values{"als": {"operator"}, "verwerfen": {"1"}, "grund": {"Wartung"}}).is(http.StatusSeeOther)
	h.get("/signale").says("gehört zu einem Vorfall", "verworfen", "Wartung", "Kein Signal wartet")
	h.post(forms[1], url.Values{"als": {"operator"}, "uebernehmen": {"1"}}).is(http.StatusConflict)

	clearances := h.room.Operation.Current().Clearances()
	at := "/freigaben/" + clearances[0].ID
	h.post(at, url.Values{"als": {"examiner"}}).is(http.StatusUnprocessableEntity)
	h.post(at, url.Values{"als": {"examiner"}, "grund": {"neue Spur"}}).is(http.StatusSeeOther)
	h.get("/freigaben").says("widerrufen", "neue Spur")
	env := h.room.Catalogue.Environments[1]
	form := url.Values{"als": {"examiner"}, "grund": {"geprüft"}, "umfang": {"environment:" + string(env.ID)}, "pruefung": {"cleaned"}, "beleg": {"bericht.pdf"}, "groesse": {"120"}, "bis": {"2023-06-01T12:00"}}
	h.post("/freigaben", form).is(http.StatusUnprocessableEntity).says("Ohne Beleg keine Freigabe")
	form.Set("hash", strings.Repeat("0f", 32))
	p := h.post("/freigaben", form).is(http.StatusSeeOther)
	h.get(p.location).says("bericht.pdf", "untersucht und bereinigt", "01.06.2023, 12:00 MESZ", "Kassenumgebung").never("Seit der Anfrage")
}

func TestAnApprovalIsRefusedWhenTheSituationHasMoved(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	i := must[incident.Incident](h, "lead", "incident.declare", map[string]string{"title": "Angriff"})
	first, second := measure(h, i.ID), measure(h, i.ID)
	consent(h, first)
	p := h.get(second).says("Seit der Anfrage hat sich die Lage geändert")
	for _, b := range p.all("button") {
		if attr(b, "name") == "ja" && !has(b, "disabled") {
			t.Error("the button of consent is not shut though the request is out of date")
		}
	}
	form := formOf(p, second)
	form.Set("als", "lead")
	form.Set("ja", "1")
	h.post(second, form).is(http.StatusConflict)
	open, err := access.Open(h.ctx(), h.room.Store)
	if err != nil || len(open) != 1 {
		t.Errorf("%d requests wait (%v), want the one that was refused", len(open), err)
	}
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// off lists the placements that are cut.
func off(h *house) []catalogue.PlacementID {
	var out []catalogue.PlacementID
	for _, p := range h.room.Operation.Current().Placements() {
		if p.Regular == operation.Cut {
			out = append(out, p.ID)
		}
	}
	return out
}

// formOf is what a browser would send of the form with an action: its hidden fields.
func formOf(p page, action string) url.Values {
	p.t.Helper()
	out := url.Values{}
	for _, f := range p.all("form") {
		if attr(f, "action") != action {
			continue
		}
		for n := range f.Descendants() {
			if n.Data == "input" && attr(n, "type") == "hidden" {
				out.Add(attr(n, "name"), attr(n, "value"))
			}
		}
		return out
	}
	p.t.Fatalf("%s has no form for %q", p.path, action)
	return nil
}

// handOver takes a role that was offered, on the page that shows what is taken.
func handOver(h *house) {
	c := must[access.Consent](h, "operator2", "role.handover", map[string]any{"to": "lead2", "roles": []string{"operator"}, "reason": "Schichtende"})
	path := "/entscheidungen/" + c.ID
	p := h.get(path).is(http.StatusOK).sound().says("Übergabe von Rollen", "Schichtende", "lead2")
	if strings.Contains(p.raw, " disabled>") {
		h.t.Error("the page takes the request for a changed one")
	}
	form := formOf(p, path)
	form.Set("ja", "1")
	form.Set("als", "lead2")
	h.post(path, form).is(http.StatusSeeOther)
	if p, err := access.Get(h.ctx(), h.room.Store, "lead2"); err != nil || !slices.Contains(p.Roles, access.Operator) {
		h.t.Errorf("lead2 has the roles %v (%v), want the operator's as well", p.Roles, err)
	}
}
