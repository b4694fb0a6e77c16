package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/recovery"
	"leitstand/room"
)

// TestStepsAreBegunFinishedAndLeftOutOnPages carries the plan out with nothing
// but pages and forms.
func TestStepsAreBegunFinishedAndLeftOutOnPages(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	h.get("/wiederherstellung/schritte").is(http.StatusNotFound).says("noch keinen Plan")
	o := must[room.Ordered](h, "operator", "measure.order", containment.Plan{
		Title: "Nord", Stage: 3, Reason: "Spuren", Selection: containment.Selection{Sites: []catalogue.SiteID{"nord"}},
	})
	h.approve("lead", o.Consent.ID)
	must[room.PlanView](h, "lead", "plan.make", map[string]any{"reason": "x", "schedules": 20})
	h.wait(time.Hour)
	env := string(h.room.Catalogue.Environments[0].ID)
	kasse, _, _ := strings.Cut(env, "@")
	h.get("/wiederherstellung/schritte").is(http.StatusOK).sound().says("Kann beginnen", "Wartet", "Spuren sichern")
	h.get("/wiederherstellung/schritte?kasse=" + kasse).is(http.StatusOK).sound().says("nach: Spuren sichern")
	at := func(id string) string { return "/wiederherstellung/schritt?" + url.Values{"id": {id}}.Encode() }
	post := func(id, act string, more ...string) page {
		v := url.Values{"id": {id}, "tat": {act}}
		for i := 0; i+1 < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return h.post("/wiederherstellung/schritt", v)
	}
	secure, examine := "secure:"+env, "examine:"+env
	h.get(at("nichts")).is(http.StatusNotFound)
	h.get(at(examine)).is(http.StatusOK).sound().says("Wartet auf").never("Erledigt melden", "ZgotmplZ")
	h.get(at(secure)).is(http.StatusOK).sound().says("Beginnen", "Auslassen", "zwei Personen")
	post(secure, "", "als", "examiner").is(http.StatusUnprocessableEntity)
	post(secure, "beginnen", "als", "press").is(http.StatusConflict).says("Forensik")
	post(secure, "beginnen", "als", "examiner", "wer", "<b>F.</b> Orensik").is(http.StatusSeeOther)
	h.get(at(secure)).is(http.StatusOK).sound().says("in Arbeit", "Orensik", "Erledigt melden").never("<b>F.")
	post(secure, "erledigt", "als", "examiner").is(http.StatusUnprocessableEntity).says("Nachweis")
	post(secure, "erledigt", "als", "examiner", "nachweis", "Beleg 7").is(http.StatusSeeOther)
	h.get(at(secure)).is(http.StatusOK).sound().says("erledigt", "Beleg 7")
	if pdf := h.get("/wiederherstellung/auftrag.pdf?id=" + url.QueryEscape(examine)).is(http.StatusOK); !strings.HasPrefix(pdf.raw, "%PDF-") {
		t.Errorf("the order is no PDF: %q", pdf.raw[:min(20, len(pdf.raw))])
	}
	where := post("rotate:"+env, "auslassen", "als", "operator", "grund", "Konten gelöscht").is(http.StatusSeeOther).location
	p := h.get(where).is(http.StatusOK).sound().says("Auslassen eines Schritts", "Konten gelöscht")
	yes := formOf(p, where)
	yes.Set("ja", "1")
	yes.Set("als", "lead")
	h.post(where, yes).is(http.StatusSeeOther)
	if d := must[room.StepDetail](h, "", "step.show", map[string]string{"task": "rotate:" + env}); d.State != recovery.StepSkipped {
		t.Errorf("after two agreed the step is %s", d.State)
	}
}
