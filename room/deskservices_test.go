package room_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/contact"
	"leitstand/emergency/desk"
	"leitstand/emergency/payment"
	"leitstand/emergency/record"
	"leitstand/operation"
	"leitstand/room"
	"leitstand/warning"
)

// typedDesk is a room with one cell in emergency operation, whose door leads to a typed service.
type typedDesk struct {
	*room.Room
	doors    *room.Doors
	place    *catalogue.Placement
	journal  *emergency.Journal
	epoch    int64
	delegate string
}

const (
	deskIBAN    = "DE89370400440532013000"
	deskBlocked = "GB29NWBK60161331926819"
	deskInsured = "A123456780"
)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func newTypedDesk(t *testing.T, service catalogue.ServiceID, what string) *typedDesk {
	t.Helper()
	r, _ := practice(t)
	k := r.Catalogue.Kassen[0].ID
	p := &r.Catalogue.PlacementsOf(k, service)[0]
	both := []string{"payment", "record"}
	r.SetDesks(room.DesksConfig{
		Services: map[catalogue.ServiceID]string{service: what},
		Payment:  payment.Limits{Most: 100000, Day: 250000, Blocked: []string{digest(deskBlocked)}},
		Clients: []desk.Client{
			{Name: "Platz-7", Kasse: k, For: both, Token: digest("sieben")},
			{Name: "Platz-8", Kasse: k, For: both, Token: digest("acht")},
			{Name: "Fremd", Kasse: r.Catalogue.Kassen[1].ID, For: both, Token: digest("fremd")},
		},
	})
	d := &typedDesk{Room: r, place: p, delegate: "kasse-" + string(k)}
	d.doors = openDoors(t, r, p)
	d.journal, d.epoch = inEmergency(t, r, d.doors, p)
	return d
}

func (d *typedDesk) send(t *testing.T, token, method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return atDoor(t, d.doors.Gateway, method, "/notbetrieb"+path, body, append(header, "Authorization", "Bearer "+token)...)
}

func answer[T any](t *testing.T, w *httptest.ResponseRecorder, code int) (v T) {
	t.Helper()
	if w.Code != code {
		t.Fatalf("%d, want %d: %s", w.Code, code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	return v
}

// refused checks that an act is refused by the rule of two people.
func (d *typedDesk) refused(t *testing.T, as, act string, args any) {
	t.Helper()
	_, err := room.Do[any](t.Context(), d.Room, as, act, args)
	if f, ok := errors.AsType[*room.Failure](err); !ok || f.Rule != int(operation.RuleTwoPeople) {
		t.Errorf("%s by %s: %v", act, as, err)
	}
}

func (d *typedDesk) args(reason string, numbers ...string) map[string]any {
	return map[string]any{"kasse": d.place.Kasse, "numbers": numbers, "reason": reason}
}

func (d *typedDesk) release(t *testing.T, first, second string, numbers ...string) {
	t.Helper()
	c := do[access.Consent](t, d.Room, first, "desk.release", d.args("geprüft", numbers...))
	do[room.Outcome](t, d.Room, second, "approve", map[string]string{"id": c.ID})
}

func order(change string) string {
	base := map[string]any{
		"auftrag_id": "a1", "art": "krankengeld", "versichertennummer": deskInsured, "empfaenger": "Erika Mustermann", "iban": deskIBAN,
		"betrag_cent": 50000, "von": "2026-11-01", "bis": "2026-11-14", "verwendungszweck": "Krankengeld November", "grund": "Miete ist fällig",
	}
	var with map[string]any
	if err := json.Unmarshal([]byte("{"+change+"}"), &with); err != nil {
		return "{"
	}
	maps.Copy(base, with)
	b, _ := json.Marshal(base) //nolint:errchkjson // a map of plain values
	return string(b)
}

func TestAPaymentIsCheckedWaitsForTwoAndIsHandedOverWithItsSum(t *testing.T) {
	d := newTypedDesk(t, "zahl", "payment")
	for _, tt := range []struct {
		token, body, field string
		code               int
	}{
		{"falsch", order(""), "Authorization", 401},
		{"fremd", order(""), "Authorization", 401},
		{"sieben", "kein json", "", 400},
		{"sieben", order(`"betragcent": 1`), "", 400},
		{"sieben", order(`"betrag_cent": "500"`), "betrag_cent", 400},
		{"sieben", order(`"auftrag_id": ""`), "auftrag_id", 422},
		{"sieben", order(`"art": "bonus"`), "art", 422},
		{"sieben", order(`"versichertennummer": "A123456789"`), "versichertennummer", 422},
		{"sieben", order(`"leistungserbringer_ik": "109034270"`), "versichertennummer", 422},
		{"sieben", order(`"iban": "DE89370400440532013001"`), "iban", 422},
		{"sieben", order(`"empfaenger": "<b>"`), "empfaenger", 422},
		{"sieben", order(`"betrag_cent": 0`), "betrag_cent", 422},
		{"sieben", order(`"betrag_cent": 100000000000`), "betrag_cent", 422},
		{"sieben", order(`"bis": "2026-10-31"`), "von", 422},
		{"sieben", order(`"grund": " "`), "grund", 422},
		{"sieben", order(`"verwendungszweck": ""`), "verwendungszweck", 422},
	} {
		got := answer[struct{ Feld, Fehler string }](t, d.send(t, tt.token, "POST", "/payments", tt.body), tt.code)
		if got.Feld != tt.field || got.Fehler == "" || strings.Contains(got.Fehler, deskInsured) {
			t.Errorf("%s: %+v", tt.body, got)
		}
	}
	take := func(change string) payment.Receipt {
		t.Helper()
		return answer[payment.Receipt](t, d.send(t, "sieben", "POST", "/payments", order(change)), 202)
	}
	plain := take("")
	if again := take(""); again != plain || plain.State != payment.Waits || plain.Cents != 50000 {
		t.Errorf("%+v, again %+v", plain, again)
	}
	if w := d.send(t, "sieben", "POST", "/payments", order(`"betrag_cent": 60000`)); w.Code != 422 {
		t.Errorf("another content under the same id: %d", w.Code)
	}
	double, large := take(`"auftrag_id": "a2"`), take(`"auftrag_id": "a3", "betrag_cent": 100001, "versichertennummer": "", "leistungserbringer_ik": "109034270", "art": "leistungserbringer"`)
	blocked, day := take(`"auftrag_id": "a4", "betrag_cent": 1, "iban": "`+deskBlocked+`"`), take(`"auftrag_id": "a5", "betrag_cent": 99999`)
	for state, want := range map[string]string{double.State: plain.Number, large.State: "Einzelgrenze", blocked.State: payment.Blocked, day.State: "Tagesgrenze"} {
		if !strings.Contains(state, want) {
			t.Errorf("%q does not name %q", state, want)
		}
	}
	if w := d.send(t, "acht", "GET", "/payments/"+plain.Number, ""); w.Code != 404 {
		t.Errorf("another workplace sees it: %d", w.Code)
	}

	waiting := do[[]room.DeskItem](t, d.Room, "", "desk.list", map[string]any{})
	if len(waiting) != 5 || waiting[0].From != "Platz-7" || waiting[0].Cents == 0 {
		t.Fatalf("%+v", waiting)
	}
	d.refused(t, "press", "desk.release", d.args("x", plain.Number))
	d.refused(t, "payments", "desk.release", d.args("x", blocked.Number))
	c := do[access.Consent](t, d.Room, "payments", "desk.release", d.args("geprüft", plain.Number))
	for _, who := range []string{"payments", "press", "operator"} {
		if _, err := room.Do[any](t.Context(), d.Room, who, "approve", map[string]string{"id": c.ID}); err == nil {
			t.Errorf("%s released it as second person", who)
		}
	}
	do[room.Outcome](t, d.Room, d.delegate, "approve", map[string]string{"id": c.ID})
	if got := answer[payment.Receipt](t, d.send(t, "sieben", "GET", "/payments/"+plain.Number, ""), 200); got.State != "freigegeben" {
		t.Errorf("%+v", got)
	}
	d.refused(t, "payments", "desk.release", d.args("noch einmal", plain.Number))
	c = do[access.Consent](t, d.Room, "payments", "desk.release", d.args("doppelt?", double.Number))
	d.refused(t, d.delegate, "approve", map[string]string{"id": c.ID}) // above the limits only with the crisis lead
	do[room.Outcome](t, d.Room, "lead", "approve", map[string]string{"id": c.ID})
	d.release(t, "lead", "payments", large.Number, day.Number)
	do[[]room.DeskItem](t, d.Room, "payments", "desk.refuse", d.args("Konto gesperrt", blocked.Number))
	if got := answer[payment.Receipt](t, d.send(t, "sieben", "GET", "/payments/"+blocked.Number, ""), 200); got.State != "abgelehnt: Konto gesperrt" {
		t.Errorf("%+v", got)
	}
	shown := do[room.Shown](t, d.Room, "payments", "desk.show", d.args("Rückfrage der Bank", plain.Number))
	if !strings.Contains(string(shown.Body), deskIBAN) {
		t.Errorf("%s", shown.Body)
	}
	d.refused(t, "operator", "desk.show", d.args("neugierig", plain.Number))
	handOver(t, d, emergency.KindPayment, 50000+50000+100001+99999)
}

// handOver gives everything to a regular system, and both sides agree about counts, sums
// and hash totals.
func handOver(t *testing.T, d *typedDesk, kind emergency.Kind, cents int64) {
	t.Helper()
	books := &regularBooks{have: map[string]emergency.ListEntry{}}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer((&emergency.Receiver{Name: "Regelsystem", Key: key, Token: "geheim", Receiving: books}).Handler())
	defer srv.Close()
	if err := d.journal.DrainBook(t.Context(), d.place.ID, d.epoch, d.Now(), "test"); err != nil {
		t.Fatal(err)
	}
	if w := d.send(t, "sieben", "POST", "/payments", order(`"auftrag_id": "zu spät"`)); w.Code == 202 || w.Code/100 == 4 && w.Code != 404 {
		t.Errorf("after the end: %d", w.Code)
	}
	public, _ := key.Public().(ed25519.PublicKey)
	h := &emergency.Handover{
		Journal: d.journal, Placement: d.place.ID, Receiver: public, Owner: "operator", Holder: "test",
		Channel: &emergency.HTTPS{URL: srv.URL, Token: "geheim", Client: srv.Client()},
	}
	for range 20 {
		next, err := h.Due(t.Context(), d.Now())
		if err != nil {
			t.Fatal(err)
		}
		if next.IsZero() {
			break
		}
	}
	var sum int64
	for _, e := range books.have {
		if e.Kind == kind {
			sum += e.Amount
		}
	}
	if sum != cents {
		t.Errorf("the regular side was given %d cents, want %d", sum, cents)
	}
	if cents > 0 {
		var one string
		books.change(func(have map[string]emergency.ListEntry) {
			for id, e := range have {
				one, e.Amount = id, e.Amount+1
				have[id] = e
				break
			}
		})
		if out, err := h.Reconcile(t.Context(), d.Now(), "operator"); err == nil && out.Agrees {
			t.Error("one cent more on their side, and the books agree")
		}
		books.change(func(have map[string]emergency.ListEntry) {
			e := have[one]
			e.Amount--
			have[one] = e
		})
	}
	if out, err := h.Reconcile(t.Context(), d.Now(), "operator"); err != nil || !out.Agrees {
		t.Errorf("%+v %v", out, err)
	}
	if _, err := d.journal.Erase(t.Context(), d.Now().Add(24*time.Hour), d.Now(), "operator", "Frist"); err != nil {
		t.Errorf("erasing: %v", err)
	}
	if report, err := d.journal.Verify(t.Context()); err != nil || len(report.Problems) > 0 {
		t.Errorf("%+v %v", report, err)
	}
}

func TestALatePaymentIsOurFaultAndNoItem(t *testing.T) {
	d := newTypedDesk(t, "zahl", "payment")
	if err := d.journal.OpenBook(t.Context(), d.place.ID, d.epoch+1, d.Now(), "test"); err != nil {
		t.Fatal(err)
	}
	w := d.send(t, "sieben", "POST", "/payments", order(""))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if c, err := d.journal.CountsOf(t.Context(), d.place.ID); err != nil || c.Accepted != 0 {
		t.Errorf("%+v %v", c, err)
	}
}

func TestWhatIsNoRequestOfTheTypedServiceIsTakenInAsItIs(t *testing.T) {
	d := newTypedDesk(t, "zahl", "payment")
	if w := atDoor(t, d.doors.Gateway, "POST", "/regulaer/zahlung", "<pain/>"); w.Code != 202 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := atDoor(t, d.doors.Gateway, "GET", "/regulaer", "", "Accept", "application/json"); w.Code != 503 {
		t.Errorf("a page of the regular service: %d", w.Code)
	}
}

func TestInsuredPeopleAreHeardAndCalledInOrder(t *testing.T) {
	d := newTypedDesk(t, "app", "contact")
	page := atDoor(t, d.doors.Gateway, "GET", "/meine/akte", "", "Accept", "text/html")
	if page.Code != 503 || !strings.Contains(page.Body.String(), `action="/notbetrieb/messages"`) {
		t.Fatalf("%d %s", page.Code, page.Body)
	}
	if w := d.send(t, "", "GET", "/", ""); w.Code != 200 || strings.Contains(w.Body.String(), "<script") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	const form = "application/x-www-form-urlencoded"
	back := d.send(t, "", "POST", "/messages", "thema=geld&name=Erika%3Cb%3E&text=Wo+bleibt&rueckruf=ja&telefon=0891234567", "Content-Type", form)
	if back.Code != 202 || !strings.Contains(back.Body.String(), "Platz 1") {
		t.Fatalf("%d %s", back.Code, back.Body)
	}
	if w := d.send(t, "", "POST", "/messages", "thema=geld&name=Erika%3Cb%3E&text=x&rueckruf=ja", "Content-Type", form); w.Code != 422 ||
		!strings.Contains(w.Body.String(), "Telefonnummer") || strings.Contains(w.Body.String(), "Erika<b>") || !strings.Contains(w.Body.String(), "Erika&lt;b&gt;") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, bad := range []string{
		`{"thema":"x","name":"E","text":"t","telefon":"0891234567"}`, `{"thema":"geld","name":"","text":"t","telefon":"0891234567"}`,
		`{"thema":"geld","name":"E","text":"","telefon":"0891234567"}`, `{"thema":"geld","name":"E","text":"t"}`,
		`{"thema":"geld","name":"E","text":"t","email":"a@b>"}`, `{"thema":"geld","name":"E","text":"t","versichertennummer":"A1"}`,
		`{"thema":"geld","name":"E","text":"t","telefon":"ruf an"}`, `{"thema":"geld","name":"E","text":"t","telefon":"0891234567","geburtsdatum":"1.1.70"}`,
	} {
		if w := d.send(t, "", "POST", "/messages", bad); w.Code != 422 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	urgent := answer[contact.Receipt](t, d.send(t, "", "POST", "/messages", `{"thema":"versorgung","name":"Max","text":"Sauerstoff","rueckruf":true,"telefon":"+49 89 1234","zeit":"abend"}`), 202)
	if urgent.Place != 1 || len(urgent.PIN) != 10 {
		t.Errorf("urgent care waits behind money: %+v", urgent)
	}
	quiet := answer[contact.Receipt](t, d.send(t, "", "POST", "/messages", `{"nachricht_id":"n1","thema":"sonstiges","name":"Max","text":"nur so","email":"max@example.org"}`), 202)
	if again := answer[contact.Receipt](t, d.send(t, "", "POST", "/messages", `{"nachricht_id":"n1","thema":"sonstiges","name":"Max","text":"nur so","email":"max@example.org"}`), 202); again != quiet {
		t.Errorf("sent twice is two: %+v %+v", quiet, again)
	}
	if w := d.send(t, "", "GET", "/messages/"+urgent.Number+"?pin="+quiet.PIN, ""); w.Code != 404 {
		t.Errorf("another's PIN: %d", w.Code)
	}
	calls := do[[]room.DeskItem](t, d.Room, "", "desk.list", map[string]any{"kasse": d.place.Kasse})
	if len(calls) != 2 || calls[0].Number != urgent.Number {
		t.Fatalf("%+v", calls)
	}
	if _, err := room.Do[any](t.Context(), d.Room, "operator", "desk.called", d.args("niemand da", urgent.Number)); err == nil {
		t.Error("not reached, and no next try")
	}
	next := d.args("niemand da", urgent.Number)
	next["deadline"] = d.Now().Add(48 * time.Hour)
	do[[]room.DeskItem](t, d.Room, "operator", "desk.called", next)
	if got := answer[contact.Receipt](t, d.send(t, "", "GET", "/messages/"+urgent.Number+"?pin="+strings.ToLower(urgent.PIN), ""), 200); got.Place != 2 || got.PIN != "" {
		t.Errorf("%+v", got)
	}
	reached := d.args("Sauerstoff zugesagt", urgent.Number)
	reached["reached"] = true
	do[[]room.DeskItem](t, d.Room, "operator", "desk.called", reached)
	if got := answer[contact.Receipt](t, d.send(t, "", "GET", "/messages/"+urgent.Number+"?pin="+urgent.PIN, ""), 200); got.State != "angenommen, wird bearbeitet" {
		t.Errorf("%+v", got)
	}
	handOver(t, d, emergency.KindMessage, 0)
}

func TestAccessToRecordsNeedsAReasonTwoPeopleAndEndsAndEveryReadIsOnRecord(t *testing.T) {
	d := newTypedDesk(t, "epa", "record")
	if w := d.send(t, "sieben", "GET", "/information/api/v1/ehr/"+deskInsured, ""); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("whether there is a record: %d", w.Code)
	}
	if w := d.send(t, "sieben", "GET", "/information/api/v1/ehr/A12", ""); w.Code != 400 {
		t.Errorf("no insured number: %d", w.Code)
	}
	document := func(id, insured string) string {
		return fmt.Sprintf(`{"dokument_id":%q,"versichertennummer":%q,"kategorie":"notfalldaten","medientyp":"text/plain","inhalt":"QWxsZXJnaWU="}`, id, insured)
	}
	own := answer[record.Receipt](t, d.send(t, "acht", "POST", "/documents", document("d1", deskInsured)), 202)
	other := answer[record.Receipt](t, d.send(t, "acht", "POST", "/documents", document("d2", "B123456782")), 202)
	for _, bad := range []string{document("", deskInsured), document("d3", "A1"), strings.Replace(document("d3", deskInsured), "QWxs", "***", 1), strings.Replace(document("d3", deskInsured), "text/plain", "<x>", 1)} {
		if w := d.send(t, "acht", "POST", "/documents", bad); w.Code != 422 {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
	const ask = `{"anfrage_id":"z1","versichertennummer":"` + deskInsured + `","wer":"1-2-ARZT-1","grund":"bewusstlos eingeliefert","patient_anwesend":true}`
	if w := d.send(t, "sieben", "POST", "/access", strings.Replace(ask, "bewusstlos eingeliefert", "", 1)); w.Code != 422 {
		t.Errorf("without a reason: %d", w.Code)
	}
	a := answer[record.Receipt](t, d.send(t, "sieben", "POST", "/access", ask), 202)
	read := func(number, doc string) *httptest.ResponseRecorder {
		return d.send(t, "sieben", "GET", "/access/"+number+"/documents/"+doc, "")
	}
	if w := read(a.Number, own.Number); w.Code != 403 {
		t.Errorf("before the decision: %d", w.Code)
	}
	c := do[access.Consent](t, d.Room, "lead", "desk.release", d.args("Notfall bestätigt", a.Number))
	d.refused(t, "lead2", "approve", map[string]string{"id": c.ID}) // without the Kasse
	do[room.Outcome](t, d.Room, d.delegate, "approve", map[string]string{"id": c.ID})
	if got := answer[record.Receipt](t, d.send(t, "sieben", "GET", "/access/"+a.Number, ""), 200); got.State != "gewährt" || got.Until.IsZero() {
		t.Errorf("%+v", got)
	}
	list := answer[[]record.Entry](t, d.send(t, "sieben", "GET", "/access/"+a.Number+"/documents", ""), 200)
	if len(list) != 1 || list[0].Number != own.Number {
		t.Errorf("%+v", list)
	}
	before, _, err := d.journal.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if w := read(a.Number, own.Number); w.Code != 200 || w.Body.String() != "Allergie" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if after, _, err := d.journal.Head(t.Context()); err != nil || after.Size != before.Size+1 {
		t.Errorf("a document was read, and the ledger grew by %d entries, %v", after.Size-before.Size, err)
	}
	if w := read(a.Number, other.Number); w.Code != 404 {
		t.Errorf("another person's document: %d", w.Code)
	}
	if w := d.send(t, "acht", "GET", "/access/"+a.Number+"/documents", ""); w.Code != 404 {
		t.Errorf("through another's access: %d", w.Code)
	}
	const objection = `{"vorgang_id":"w1","versichertennummer":"` + deskInsured + `","umfang":"akte","entscheidung":"widerspruch","eingegangen":"2020-01-01T10:00:00Z","weg":"schriftlich"}`
	if w := d.send(t, "sieben", "POST", "/objections", strings.Replace(objection, "akte", "alles", 1)); w.Code != 422 {
		t.Errorf("an unknown scope: %d", w.Code)
	}
	answer[record.Receipt](t, d.send(t, "sieben", "POST", "/objections", objection), 202)
	if w := read(a.Number, own.Number); w.Code != 403 {
		t.Errorf("after an objection: %d", w.Code)
	}
	answer[record.Receipt](t, d.send(t, "sieben", "POST", "/objections", strings.NewReplacer("w1", "w2", "widerspruch", "ruecknahme").Replace(objection)), 202)
	if w := read(a.Number, own.Number); w.Code != 200 {
		t.Errorf("after it was taken back: %d", w.Code)
	}
	do[[]room.DeskItem](t, d.Room, d.delegate, "desk.done", d.args("Brief vom selben Tag", a.Number))
	if w := read(a.Number, own.Number); w.Code != 403 {
		t.Errorf("after it ended: %d", w.Code)
	}
	handOver(t, d, emergency.KindRecord, 0)
}

func TestWhatWaitsPastItsDeadlineIsRaisedOnce(t *testing.T) {
	d := newTypedDesk(t, "zahl", "payment")
	answer[payment.Receipt](t, d.send(t, "sieben", "POST", "/payments", order("")), 202)
	overdue := func(after time.Duration) int {
		t.Helper()
		if err := room.EscalateDesks(t.Context(), d.Room, d.Now().Add(after)); err != nil {
			t.Fatal(err)
		}
		all := do[[]warning.Signal](t, d.Room, "", "signal.list", nil)
		return len(slices.DeleteFunc(all, func(s warning.Signal) bool { return s.Rule != "desk.overdue" }))
	}
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{time.Hour, 0}, {13 * time.Hour, 1}, {14 * time.Hour, 1}} {
		if got := overdue(tt.after); got != tt.want {
			t.Errorf("after %s: %d signals, want %d", tt.after, got, tt.want)
		}
	}
}

func TestEveryMistakeAboutDesksIsNamed(t *testing.T) {
	r, p := practice(t)
	client := func(name string, what, token string) room.DesksConfig {
		return room.DesksConfig{Clients: []desk.Client{{Name: name, Kasse: "1", For: []string{what}, Token: token}}}
	}
	same := client("a", "payment", digest("a"))
	same.Clients = append(same.Clients, same.Clients[0])
	for _, tt := range []struct {
		config room.DesksConfig
		want   string
	}{
		{room.DesksConfig{Services: map[catalogue.ServiceID]string{"zahlung": "payment"}}, "not in the catalogue"},
		{room.DesksConfig{Services: map[catalogue.ServiceID]string{"zahl": "bank"}}, "none of payment"},
		{room.DesksConfig{Payment: payment.Limits{Blocked: []string{"x"}}}, "64 hex"},
		{client("a b", "payment", digest("a")), "client 1"},
		{client("a", "contact", digest("a")), "needs no client"},
		{client("a", "payment", ""), "is needed"},
		{client("a", "payment", "ff"), "64 hex"},
		{same, "client 2"},
	} {
		r.SetDesks(tt.config)
		d, err := r.OpenDoors(t.Context(), doorsConfig(p, "http://127.0.0.1:1"))
		if err == nil {
			_ = d.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want %q: %v", tt.want, err)
		}
	}
}
