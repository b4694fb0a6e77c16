package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/room"
)

// TestTheWayBackIsPlannedExplainedAskedAndPrintedOnPages plans with nothing but
// pages and forms.
func TestTheWayBackIsPlannedExplainedAskedAndPrintedOnPages(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	h.get("/wiederherstellung").is(http.StatusOK).sound().says("nichts wiederherzustellen").never("Planen und in Kraft")
	h.post("/wiederherstellung", url.Values{"als": {"lead"}, "grund": {"x"}, "art": {"ganz"}}).is(http.StatusConflict).says("nichts wiederherzustellen")
	o := must[room.Ordered](h, "operator", "measure.order", containment.Plan{
		Title: "Nord", Stage: 3, Reason: "Spuren", Selection: containment.Selection{Sites: []catalogue.SiteID{"nord"}},
	})
	h.approve("lead", o.Consent.ID)
	h.get("/wiederherstellung").is(http.StatusOK).sound().says("noch keinen Plan", "Planen und in Kraft setzen")

	h.post("/wiederherstellung", url.Values{"als": {"press"}, "grund": {"x"}, "art": {"ganz"}}).is(http.StatusConflict).says("Leitung oder Betrieb")
	h.post("/wiederherstellung", url.Values{"als": {"lead"}, "art": {"ganz"}}).is(http.StatusUnprocessableEntity).says("warum")
	h.post("/wiederherstellung", url.Values{"als": {"lead"}, "grund": {"<b>Rückkehr</b>"}, "art": {"ganz"}}).is(http.StatusSeeOther)
	h.get("/wiederherstellung").is(http.StatusOK).sound().says("P50", "P90", "wie gemeldet", "Angenommen", "Übungskasse Ahorn", "Tagesplan").never("<b>Rückkehr", "ZgotmplZ", "%!")

	kasse := string(h.room.Catalogue.Kassen[0].ID)
	h.get("/wiederherstellung/kasse/"+kasse).is(http.StatusOK).sound().says("Fachprobe", "wartet auf", "Rückführung").never("ZgotmplZ", "%!")
	h.get("/wiederherstellung/kasse/123").is(http.StatusNotFound)
	h.get("/wiederherstellung/tag?datum=2023-04-26").is(http.StatusOK).sound().says("Forensik", "Untersuchen")
	h.get("/wiederherstellung/tag?datum=gestern").is(http.StatusUnprocessableEntity)
	h.get("/wiederherstellung/tag?team=nobody").is(http.StatusNotFound)
	if pdf := h.get("/wiederherstellung/tagesplan.pdf?datum=2023-04-26&team=forensik").is(http.StatusOK); !strings.HasPrefix(pdf.raw, "%PDF-") {
		t.Errorf("the day plan is no PDF: %q", pdf.raw[:min(20, len(pdf.raw))])
	}
	asked(h, kasse)
	reported(h, kasse)
}

// asked asks what if, and sees that nothing changes.
func asked(h *house, kasse string) {
	before := must[room.PlanView](h, "", "plan.show", struct{}{}).ID
	h.get("/wiederherstellung/waswaere?team=forensik&mehr=3").is(http.StatusOK).sound().says("Stunden ohne Dienst", "Übungskasse Ahorn")
	h.get("/wiederherstellung/waswaere?standort=sued").is(http.StatusOK).sound().says("keinen Weg zurück")
	h.get("/wiederherstellung/waswaere?zuerst="+kasse+"&dienst=eau&gewicht=20").is(http.StatusOK).says("zuerst", "Gewicht 20")
	for _, q := range []string{"", "team=forensik", "team=nobody&mehr=1", "dienst=eau&gewicht=viel", "widerruf=nichts", "standort=nirgends"} {
		h.get("/wiederherstellung/waswaere?" + q).is(http.StatusUnprocessableEntity).sound()
	}
	if after := must[room.PlanView](h, "", "plan.show", struct{}{}).ID; after != before {
		h.t.Errorf("a question put plan %s in force", after)
	}
}

// reported reports on a task and plans anew.
func reported(h *house, kasse string) {
	env := string(h.room.Catalogue.Environments[0].ID)
	h.post("/wiederherstellung/meldung", url.Values{"als": {"examiner"}, "aufgabe": {"examine:" + env}, "stand": {"late"}, "kasse": {kasse}}).is(http.StatusUnprocessableEntity).says("Grund")
	h.post("/wiederherstellung/meldung", url.Values{"als": {"examiner"}, "aufgabe": {"examine:" + env}, "stand": {"done"}, "kasse": {kasse}}).is(http.StatusSeeOther)
	h.post("/wiederherstellung", url.Values{"als": {"operator"}, "grund": {"untersucht"}, "art": {"neu"}, "vertrauen": {"ja"}}).is(http.StatusSeeOther)
	h.get("/wiederherstellung").is(http.StatusOK).sound().says("Was sich geändert hat", "Stabilität")
	v := must[room.PlanView](h, "", "plan.show", struct{}{})
	if v.Change == nil || len(v.Change.Gone) == 0 {
		h.t.Errorf("the change of plans does not name what is done: %+v", v.Change)
	}
}
