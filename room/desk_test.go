package room_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency"
	"leitstand/gateway"
	"leitstand/incident"
	"leitstand/operation"
	"leitstand/room"
)

// inEmergency cuts a placement behind the room's gateway and starts its emergency operation.
func inEmergency(t *testing.T, r *room.Room, d *room.Doors, p *catalogue.Placement) (*emergency.Journal, int64) {
	t.Helper()
	prepare := &operation.PrepareEmergency{}
	for _, all := range r.Catalogue.PlacementsOf(p.Kasse, p.Service) {
		if row, _ := r.Operation.Current().Placement(all.ID); row.Emergency == operation.None {
			prepare.Placements = append(prepare.Placements, all.ID)
		}
	}
	if len(prepare.Placements) > 0 {
		prepare.Reason = "Test"
		prepare.Sign(r.Now(), access.Person{ID: "operator", Roles: []access.Role{access.Operator}, Active: true})
		if _, err := r.Operation.Do(t.Context(), prepare); err != nil {
			t.Fatal(err)
		}
	}
	inc := do[incident.Incident](t, r, "lead", "incident.declare", map[string]string{"title": "Test", "grade": "notfall"})
	o := do[room.Ordered](t, r, "lead", "measure.order", containment.Plan{
		Incident: inc.ID, Title: "Trennen", Stage: 1, Reason: "Test", Emergency: []catalogue.ServiceID{p.Service},
		Selection: containment.Selection{Kassen: []catalogue.KasseID{p.Kasse}, Services: []catalogue.ServiceID{p.Service}},
	})
	do[room.Outcome](t, r, "operator", "approve", map[string]string{"id": o.Consent.ID})
	for range 3 { // closed, proven, emergency
		if err := errors.Join(d.Step(t.Context()), d.Report(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	door, _ := r.Operation.Current().Door(p.ID)
	if door.Mode != operation.ModeEmergency {
		t.Fatalf("the door is %s, want emergency", door.Answer)
	}
	j, err := r.Journals.Open(t.Context(), p.Kasse)
	if err != nil {
		t.Fatal(err)
	}
	return j, door.Epoch
}

func openDoors(t *testing.T, r *room.Room, p *catalogue.Placement) *room.Doors {
	t.Helper()
	d, err := r.OpenDoors(t.Context(), doorsConfig(p, "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // its books are compared in the test
	return d
}

func atDoor(t *testing.T, h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, "http://kasse.test"+target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func TestWhatIsWrittenAtAnEmergencyDoorIsAnItemOfTheJournal(t *testing.T) {
	r, p := practice(t)
	d := openDoors(t, r, p)
	j, epoch := inEmergency(t, r, d, p)
	form := gateway.FormField + "=1&name=Erika&anliegen=Krankengeld"
	for _, tc := range []struct {
		body   string
		header []string
		code   int
	}{
		{"antrag", []string{"Idempotency-Key", "k1", "Cookie", "geheim"}, 202},
		{"antrag", []string{"Idempotency-Key", "k1", "Cookie", "anders"}, 202}, // sent again: the same item
		{"anderes", []string{"Idempotency-Key", "k1"}, 422},
		{form, []string{"Content-Type", "application/x-www-form-urlencoded"}, 202},
	} {
		w := atDoor(t, d.Gateway, http.MethodPost, "/antrag?x=1", tc.body, append(tc.header, "Accept", "application/json")...)
		if w.Code != tc.code {
			t.Fatalf("%q: %d %s", tc.body, w.Code, w.Body)
		}
	}
	items, err := j.Items(t.Context(), emergency.Filter{Placement: p.ID, Limit: 10})
	if err != nil || len(items) != 2 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	if items[0].Kind != emergency.KindRequest || items[1].Kind != emergency.KindMessage || items[0].Epoch != epoch {
		t.Errorf("%+v", items)
	}
	body, err := j.Body(t.Context(), items[0])
	if err != nil || !strings.HasPrefix(string(body), "POST /antrag?x=1 HTTP/1.1\r\n") || !strings.HasSuffix(string(body), "\r\n\r\nantrag") ||
		strings.Contains(string(body), "geheim") {
		t.Errorf("%q %v", body, err)
	}
	if kept := d.Spool.Counts()[p.ID].Kept; kept != 0 {
		t.Errorf("%d requests in the spool", kept)
	}
	page := atDoor(t, d.Gateway, http.MethodGet, "/", "", "Accept", "text/html")
	if page.Code != 503 || !strings.Contains(page.Body.String(), "Notbetrieb") || !strings.Contains(page.Body.String(), `name="anliegen"`) {
		t.Errorf("the page: %d %s", page.Code, page.Body)
	}
	if program := atDoor(t, d.Gateway, http.MethodGet, "/", "", "Accept", "application/json"); program.Code != 503 || strings.Contains(program.Body.String(), "<form") {
		t.Errorf("a program: %d %s", program.Code, program.Body)
	}
}

// A request that began under one epoch must not be written under the next: the
// journal asks for the epoch in the transaction of the write.
func TestAWriteUnderAnOldEpochIsNoItemAndNotLost(t *testing.T) {
	r, p := practice(t)
	d := openDoors(t, r, p)
	j, epoch := inEmergency(t, r, d, p)
	if w := atDoor(t, d.Gateway, http.MethodPost, "/antrag", "in time"); w.Code != 202 {
		t.Fatal(w.Code)
	}
	if err := j.OpenBook(t.Context(), p.ID, epoch+1, r.Now(), "test"); err != nil { // the right has moved on, this door has not heard of it
		t.Fatal(err)
	}
	if w := atDoor(t, d.Gateway, http.MethodPost, "/antrag", "too late"); w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	c, err := j.CountsOf(t.Context(), p.ID)
	if err != nil || c.Accepted != 1 {
		t.Errorf("the journal took %d items, want the one of its epoch (%v)", c.Accepted, err)
	}
	if got := d.Spool.Counts()[p.ID]; got.Kept != 1 || got.Open != 1 {
		t.Errorf("the late request is lost: %+v", got)
	}
	if err := j.DrainBook(t.Context(), p.ID, epoch+1, r.Now(), ledger.System); err != nil {
		t.Fatal(err)
	}
	atDoor(t, d.Gateway, http.MethodPost, "/antrag", "after the end")
	if got := d.Spool.Counts()[p.ID]; got.Kept != 2 {
		t.Errorf("the request after the end is lost: %+v", got)
	}
}

func TestEmployersAreAnsweredBehindAnEmergencyDoorUnderItsEpochOnly(t *testing.T) {
	r, _ := practice(t)
	p := &r.Catalogue.PlacementsOf(r.Catalogue.Kassen[0].ID, "eau")[0]
	if err := r.Connect(room.Connections{}, nil); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("geheim"))
	employers := fmt.Sprintf(`{"employers":[{"betriebsnummer":"12345678","token_sha256":%q}]}`, hex.EncodeToString(sum[:]))
	if err := os.WriteFile(filepath.Join(dataOf(t, r), "employers.json"), []byte(employers), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDoors(t, r, p)
	ask := func() int {
		const q = `{"datensatz_id":"r1","betriebsnummer":"12345678","versichertennummer":"A123456780","abwesenheit_ab":"2026-11-20"}`
		w := atDoor(t, d.Gateway, http.MethodPost, "/"+string(p.Kasse)+"/requests", q, "Authorization", "Bearer geheim", gateway.EpochHeader, "999")
		if w.Code == 200 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s", w.Body)
		}
		return w.Code
	}
	j, epoch := inEmergency(t, r, d, p)
	if code := ask(); code != 200 {
		t.Fatal(code)
	}
	if w := atDoor(t, d.Gateway, http.MethodPost, "/"+string(r.Catalogue.Kassen[len(r.Catalogue.Kassen)-1].ID)+"0/requests", "{}", "Authorization", "Bearer geheim"); w.Code != 404 {
		t.Errorf("another Kasse through this door: %d", w.Code)
	}
	if err := j.OpenBook(t.Context(), p.ID, epoch+1, r.Now(), "test"); err != nil {
		t.Fatal(err)
	}
	if code := ask(); code != 503 {
		t.Errorf("under an old epoch: %d", code)
	}
}
