package web_test

import (
	"net/http"
	"net/url"
	"testing"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
)

func TestASharedComponentIsChosenPreviewedAndCutOnScreen(t *testing.T) {
	h := newHouse(t, catalogue.Example(7), true)
	const part catalogue.ComponentID = "dns@nord"
	h.get("/massnahmen/neu").is(http.StatusOK).sound().says("Gemeinsame Komponenten")
	form := url.Values{"titel": {"Namensdienst"}, "grund": {"fremde Anmeldungen"}, "stufe": {"1"}, "komponente": {string(part)}}
	h.post("/massnahmen/vorschau", form).is(http.StatusOK).sound().
		says("Eine gemeinsame Komponente (dns@nord) geht vom Netz", "Welche Kassen es trifft", "Keine Stelle wird selbst abgetrennt")
	h.post("/massnahmen/vorschau", url.Values{"titel": {"x"}, "grund": {"x"}, "stufe": {"1"}, "gemeinsame": {"ja"}}).is(http.StatusUnprocessableEntity).sound().says("Gemeinsame Komponenten welcher Standorte?")
	form.Set("als", "operator")
	asked := h.post("/massnahmen", form).is(http.StatusSeeOther).location
	h.get(asked).is(http.StatusOK).sound().says("Welche Kassen es trifft")
	if m, _ := h.room.Operation.Current().Component(part); m.Regular != operation.Running {
		t.Error("one person cut it")
	}
	agree(h, asked, "lead")
	if m, _ := h.room.Operation.Current().Component(part); m.Regular != operation.Cut {
		t.Errorf("it is %s", m.Regular)
	}
	all, err := containment.List(h.ctx(), h.room.Store)
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v %v", all, err)
	}
	h.get("/massnahmen").is(http.StatusOK).sound().says("Rücknahme ohne forensische Freigabe ist möglich bis", "0 Stellen", "Noch getrennt: eine Komponente")
	h.post("/massnahmen/vorschau", form).is(http.StatusOK).sound().says("schon abgetrennt")
	back := h.post("/massnahmen/"+all[0].ID, url.Values{"als": {"operator"}, "grund": {"Fehlalarm"}, "zuruecknehmen": {"1"}}).is(http.StatusSeeOther).location
	if back != "/entscheidungen" {
		t.Errorf("led to %s", back)
	}
	open, err := access.Open(h.ctx(), h.room.Store)
	if err != nil || len(open) != 1 {
		t.Fatalf("%+v %v", open, err)
	}
	agree(h, "/entscheidungen/"+open[0].ID, "lead")
	h.get("/massnahmen").is(http.StatusOK).sound().says("nichts mehr getrennt").never("Noch getrennt", "Rücknahme anfragen")
}
