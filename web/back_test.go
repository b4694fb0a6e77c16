package web_test

import (
	"net/http"
	"net/url"
	"testing"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency"
	"leitstand/room"
)

// inEmergency brings one cell into emergency operation and lets it take items.
func inEmergency(h *house, items ...string) (kasse catalogue.KasseID, place catalogue.PlacementID) {
	h.t.Helper()
	kasse = h.room.Catalogue.Kassen[0].ID
	place = h.room.Catalogue.PlacementsOf(kasse, "eau")[0].ID
	o := must[room.Ordered](h, "lead", "measure.order", containment.Plan{
		Title: "eAU", Stage: 1, Reason: "Verdacht", Emergency: []catalogue.ServiceID{"eau"},
		Selection: containment.Selection{Placements: []catalogue.PlacementID{place}},
	})
	h.approve("operator", o.Consent.ID)
	must[room.Changed](h, "operator", "side.closed", map[string]any{"placements": []string{string(place)}, "probe": "1", "reason": "x"})
	row, _ := h.room.Operation.Current().Placement(place)
	j, err := h.room.Journals.Open(h.ctx(), kasse)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, k := range items {
		d := emergency.Draft{Key: k, Kind: emergency.KindMessage, Source: "test", Received: h.room.Now(), Media: "text/plain", Body: []byte("Fassung aus dem Notbetrieb <b>" + k), Basis: "42"}
		if _, err := j.Accept(h.ctx(), place, row.Writing.Epoch, h.room.Now(), "test", d); err != nil {
			h.t.Fatal(err)
		}
	}
	return kasse, place
}

func TestTheBacklogIsShownAndItsOrderChangedByTwo(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	h.get("/rueckstand").is(http.StatusOK).sound().says("keinen Rückstand", "Angenommen")
	kasse, _ := inEmergency(h, "a", "b", "c")
	h.get("/rueckstand").is(http.StatusOK).sound().says("3 von 3 offen", "existenzsichernd", "Kein Termin", "P90", "kein Fenster angekündigt").never("ZgotmplZ", "%!")
	h.get("/rueckstand?kasse=" + string(kasse)).is(http.StatusOK).says("3 von 3 offen")
	form := url.Values{"dienst-eau": {"medizinisch dringend"}, "dienst-zahl": {"existenzsichernd"}}
	h.post("/rueckstand", form).is(http.StatusUnprocessableEntity).says("wer handelt")
	form.Set("als", "operator")
	h.post("/rueckstand", form).is(http.StatusUnprocessableEntity).says("begründen")
	form.Set("grund", "Krankengeld <b>wartet")
	h.post("/rueckstand", url.Values{"als": {"operator"}, "grund": {"x"}}).is(http.StatusUnprocessableEntity).says("kein Dienst")
	at := h.post("/rueckstand", form).is(http.StatusSeeOther).location
	h.get("/rueckstand").says("Angenommen")
	yes := formOf(h.get(at).is(http.StatusOK).sound().says("Reihenfolge beim Abarbeiten", "Krankengeld <b>wartet", "Bisher", "medizinisch dringend: eAU"), at)
	yes.Set("als", "lead")
	yes.Set("ja", "1")
	h.post(at, yes).is(http.StatusSeeOther)
	h.get("/rueckstand").is(http.StatusOK).sound().says("Fassung 1", "Krankengeld <b>wartet").never("Angenommen:")
}
