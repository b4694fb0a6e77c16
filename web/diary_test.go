package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"leitstand/catalogue"
	"leitstand/incident"
	"leitstand/room"
)

func TestAWrongEntryIsCorrectedByFormAndBothStayVisible(t *testing.T) {
	h := newHouse(t, catalogue.Example(1), true)
	if _, err := room.Do[incident.Incident](t.Context(), h.room, "operator", "incident.declare", map[string]string{"title": "Ausfall in Nord"}); err != nil {
		t.Fatal(err)
	}
	all, err := room.Do[[]room.EntryView](t.Context(), h.room, "", "ledger.entries", map[string]int{"limit": 1})
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("/tagebuch/%d", all[0].Seq)
	h.get("/").says("Ausfall in Nord")
	h.get(at).is(http.StatusOK).says("Berichtigen", "bleibt, wie er ist").never("Berichtigungen").sound()
	form := url.Values{"als": {"operator"}, "richtig": {"Ausfall in Süd"}}
	h.post(at, form).is(http.StatusUnprocessableEntity).says("Grund")
	form.Set("grund", "verlesen")
	form.Set("als", "press")
	h.post(at, form).is(http.StatusConflict).says("von wem er ist")
	form.Set("als", "operator")
	h.post(at, form).is(http.StatusSeeOther)
	h.get(at).says("Ausfall in Nord", "Berichtigt: Ausfall in Süd", "verlesen").sound()
	h.get("/tagebuch").says("Ausfall in Nord", "Berichtigt: Ausfall in Süd", "Eintrag berichtigt").sound()
	h.get("/").says("berichtigt").sound()
	h.get(fmt.Sprintf("/tagebuch/%d", all[0].Seq+1)).says(fmt.Sprintf("Berichtigt Eintrag %d", all[0].Seq)).sound()
	h.post("/tagebuch/99999", form).is(http.StatusNotFound)
}
