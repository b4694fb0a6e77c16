package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"golang.org/x/net/html"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/recovery"
	"leitstand/room"
)

// TestTermsAreChangedOnPagesByTwo types other terms, sees the difference for each
// Kasse, and has a second person agree after seeing it too.
func TestTermsAreChangedOnPagesByTwo(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	o := must[room.Ordered](h, "operator", "measure.order", containment.Plan{
		Title: "Nord", Stage: 3, Reason: "Spuren", Selection: containment.Selection{Sites: []catalogue.SiteID{"nord"}},
	})
	h.approve("lead", o.Consent.ID)
	const page, preview = "/wiederherstellung/vereinbarungen", "/wiederherstellung/vereinbarungen/vorschau"
	shown := h.get(page).is(http.StatusOK).sound().says("noch niemand vereinbart").never("%!", "ZgotmplZ")
	last := h.room.Catalogue.Kassen[1]
	typed := sentBy(shown, preview)
	if got := typed.Get("schichten-forensik"); got != "Mo-So 6-22 x6; Mo-So 22-24 x2; Mo-So 0-6 x2" {
		t.Errorf("the shifts of a team are shown as %q", got)
	}
	for name, value := range map[string]string{
		"zuerst-" + string(last.ID): "ja", "gewicht-eau": "20,5", "schichten-ti": "Mo-So 6-22 x9", "gerechtigkeit": "0,3", "geschlossen": "2026-12-25",
		"termindienst-0": "zahl", "terminzeit-0": "2026-06-30T12:00", "termingrund-0": "<b>Zahllauf</b>", "neu-kurz": "hilfe", "neu-name": "Hilfe", "neu-schichten": "Sa,So 8-16 x3",
	} {
		typed.Set(name, value)
	}
	h.post(preview, typed).is(http.StatusOK).sound().never("<b>Zahllauf", "%!", "ZgotmplZ").
		says("Noch ist nichts geschehen", "Gewicht, eAU", "20,5", "Mo-So 6-22 x9", "Hilfe: Sa,So 8-16 x3", "Gerechtigkeit", "Stunden ohne Dienst je Kasse", last.Name, "Beantragen")
	if got := must[recovery.Terms](h, "", "plan.terms", struct{}{}); got.Version != 0 {
		t.Errorf("a preview changed terms: version %d", got.Version)
	}
	refusedTerms(h, typed)

	ask := url.Values{"als": {"operator"}, "grund": {"Zahllauf am Monatsende"}}
	maps.Copy(ask, typed)
	at := h.post(page, ask).is(http.StatusSeeOther).location
	p := h.get(at).is(http.StatusOK).sound().says("Vereinbarungen der Wiederherstellung", "Zahllauf am Monatsende", "Gewicht, eAU", "Stunden ohne Dienst je Kasse", last.Name)
	if got := must[recovery.Terms](h, "", "plan.terms", struct{}{}); got.Version != 0 {
		t.Error("terms changed before the second person agreed")
	}
	overtaken := h.post(page, ask).is(http.StatusSeeOther).location
	yes := formOf(p, at)
	yes.Set("ja", "1")
	yes.Set("als", "lead")
	h.post(at, yes).is(http.StatusSeeOther)
	got := must[recovery.Terms](h, "", "plan.terms", struct{}{})
	if got.Version != 1 || got.Assumed || !slices.Equal(got.Priorities.First, []catalogue.KasseID{last.ID}) || got.Priorities.Services["eau"] != 20.5 || got.Fairness != 0.3 ||
		len(got.Deadlines) != 1 || got.Teams[len(got.Teams)-1].ID != "hilfe" || !slices.Equal(got.Closed, []string{"2026-12-25"}) {
		t.Errorf("terms after both agreed: %+v", got)
	}
	// What others have overtaken cannot be agreed to, nor typed on.
	h.get(overtaken).is(http.StatusOK).says("Inzwischen haben andere etwas vereinbart")
	h.post(page, ask).is(http.StatusConflict).says("Inzwischen haben andere etwas vereinbart")
	// The form says exactly what is in force.
	same := sentBy(h.get(page).is(http.StatusOK).sound().says("Fassung 1"), preview)
	h.post(preview, same).is(http.StatusUnprocessableEntity).sound().says("Nichts ist anders als bisher")
}

// refusedTerms types what cannot be; the page says what is wrong and keeps what was typed.
func refusedTerms(h *house, typed url.Values) {
	const page, preview = "/wiederherstellung/vereinbarungen", "/wiederherstellung/vereinbarungen/vorschau"
	for name, c := range map[string][2]string{
		"gewicht-eau":    {"viel", "Gewicht, eAU"},
		"schichten-ti":   {"immer", "Die Schichten „immer“ sind nicht lesbar"},
		"dauer-test":     {"3/2/1", "Dauer, Fachprobe"},
		"geschlossen":    {"Weihnachten", "kein Datum"},
		"terminzeit-0":   {"", "Bitte Zeit und Grund angeben"},
		"neu-schichten":  {"", "Das neue Team hilfe braucht"},
		"scheitert-test": {"100", "Scheitert, Fachprobe"},
		"notbetrieb-eau": {"180", "Notbetrieb leistet, eAU"},
		"schichten-netz": {"", "Das lässt sich so nicht vereinbaren"},
	} {
		bad := url.Values{}
		maps.Copy(bad, typed)
		bad.Set(name, c[0])
		p := h.post(preview, bad).is(http.StatusUnprocessableEntity).sound().says(c[1], "Geändert ist nichts")
		if got := sentBy(p, preview).Get("neu-name"); got != "Hilfe" {
			h.t.Errorf("what was typed is gone: %q", got)
		}
	}
	for name, want := range map[string]string{"grund": "begründen", "als": "wer handelt"} {
		bad := url.Values{"als": {"operator"}, "grund": {"x"}}
		maps.Copy(bad, typed)
		bad.Del(name)
		h.post(page, bad).is(http.StatusUnprocessableEntity).sound().says(want)
	}
	kasse := url.Values{"als": {"kasse-" + string(h.room.Catalogue.Kassen[0].ID)}, "grund": {"wir zuerst"}}
	maps.Copy(kasse, typed)
	h.post(page, kasse).is(http.StatusConflict).says("Teams, Dauern und Termine vereinbaren Leitung und Betrieb")
}

// sentBy is what a browser would send for a form as it is shown.
func sentBy(p page, action string) url.Values {
	p.t.Helper()
	out := url.Values{}
	for _, f := range p.all("form") {
		if attr(f, "action") != action {
			continue
		}
		for n := range f.Descendants() {
			switch {
			case n.Data == "input" && (attr(n, "type") != "checkbox" || slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "checked" })):
				out.Add(attr(n, "name"), attr(n, "value"))
			case n.Data == "option" && slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == "selected" }):
				out.Add(attr(n.Parent, "name"), attr(n, "value"))
			}
		}
	}
	return out
}
