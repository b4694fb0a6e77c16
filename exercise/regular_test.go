package exercise

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/eau"
)

const testPlacement = testIK + "/eau/munich"

func testRegularConfig(t *testing.T, s *mailServer) RegularConfig {
	t.Helper()
	c := RegularConfig{Dir: t.TempDir(), POP3: s.pop3.Addr().String(), SMTP: s.smtpAddr, Password: "geheim", Token: "token"}
	for _, k := range testKassen {
		c.Kassen = append(c.Kassen, RegularKasse{KasseSpec: k, Pages: map[string]string{k.IK + "/app/munich": "App"}})
	}
	return c
}

func regularHere(t *testing.T, c RegularConfig) *regularWorld {
	t.Helper()
	w, err := startRegular(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// compareDirs compares the books of practices and regular systems.
func compareDirs(t *testing.T, sentDir, receivedDir string) Comparison {
	t.Helper()
	sent, err := ReadSent(filepath.Join(sentDir, SentBook))
	if err != nil {
		t.Fatal(err)
	}
	received, err := ReadReceived(receivedDir)
	if err != nil {
		t.Fatal(err)
	}
	return CompareBooks(sent, received)
}

func TestRegularSystemsTakeEveryDocumentOnce(t *testing.T) {
	s := testMailFor(t)
	practices := testPractices(t, s, nil)
	c := testRegularConfig(t, s)
	regular := regularHere(t, c)
	for _, at := range []time.Time{testFrom.Add(30 * time.Hour), testUntil} {
		if err := practices.advance(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		if err := regular.advance(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	got := compareDirs(t, practices.config.Dir, c.Dir)
	want := Comparison{Sent: 317, Documents: 312, Accepted: 309, Duplicates: 5, Held: 3}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
	if n := s.counts()["mail_waiting"]; n != 0 {
		t.Errorf("%d mails were left behind", n)
	}
}

// TestAMailThatIsFetchedAgainIsNotBookedAgain lets QUIT fail: the mails stay on
// the server although they are booked.
func TestAMailThatIsFetchedAgainIsNotBookedAgain(t *testing.T) {
	s := testMailFor(t)
	c := testRegularConfig(t, s)
	w := regularHere(t, c)
	for i := range 3 {
		if err := sendOne(s.smtpAddr, KasseAddress(testIK), testMail(i, 500)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.setFault(MailFault{Maildrop: KasseAddress(testIK), CutAt: "QUIT", Times: 1}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.advance(t.Context(), testFrom); err != nil {
			t.Fatal(err)
		}
		waitFree(t, s.drops[KasseAddress(testIK)])
	}
	got := w.counts()
	if got["held"] != 3 || got["unfetched"] != 1 || got["refetched"] != 3 || s.counts()["mail_waiting"] != 0 {
		t.Errorf("counts %v, %v", got, s.counts())
	}
}

func TestThePolicyOf2023RefusesAndEverythingComesAgain(t *testing.T) {
	s := testMailFor(t)
	practices := testPractices(t, s, func(c *PracticesConfig) { c.Notes = 50 })
	c := testRegularConfig(t, s)
	c.Fetchers = FetchRefuse
	regular := regularHere(t, c)
	step := func(at time.Time) {
		t.Helper()
		for _, w := range []party{practices, regular, practices} {
			if err := w.advance(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
	}
	step(testUntil)
	refused := practices.counts()["refused"]
	if refused != 55 || regular.counts()["answered"] != 55 {
		t.Fatalf("refused: practices %v, regular %v", practices.counts(), regular.counts())
	}
	if err := regular.switchFetcher(FetcherCommand{Mode: FetchOn}); err != nil {
		t.Fatal(err)
	}
	step(testUntil.Add(time.Hour))
	step(testUntil.Add(2 * time.Hour))
	got := compareDirs(t, practices.config.Dir, c.Dir)
	// 54 documents were refused, each counted for every copy; 51 came anew: a
	// corrected one replaces both versions under one identifier.
	if got.Refused != 55 || got.Accepted+got.Held != 51 || got.Lost != 0 || got.Doubled != 0 || got.Unknown != 0 {
		t.Errorf("books: %+v", got)
	}
}

func TestTheFetcherCanProveThatItIsOff(t *testing.T) {
	s := testMailFor(t)
	c := testRegularConfig(t, s)
	w := regularHere(t, c)
	w.now.Store(testFrom.Unix())
	command, err := json.Marshal(Command{Do: "fetcher", Config: json.RawMessage(`{"kasse":"` + testIK + `","mode":"off"}`)})
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + w.listen.Addr().String()
	if status, _ := ask(t, http.MethodPost, url+"/control", "wrong", string(command)); status != http.StatusUnauthorized {
		t.Errorf("a wrong token got %d", status)
	}
	if status, body := ask(t, http.MethodPost, url+"/control", "token", string(command)); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	var states [2]FetcherState
	for i, k := range testKassen[:2] {
		_, body := ask(t, http.MethodGet, url+"/"+k.IK+"/fetcher", "", "")
		if err := json.Unmarshal([]byte(body), &states[i]); err != nil {
			t.Fatal(err)
		}
	}
	want := [2]FetcherState{{Kasse: testKassen[0].IK, Mode: FetchOff, Since: testFrom.UTC()}, {Kasse: testKassen[1].IK, Mode: FetchOn}}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if err := sendOne(s.smtpAddr, KasseAddress(testIK), testMail(1, 100)); err != nil {
		t.Fatal(err)
	}
	if err := w.advance(t.Context(), testFrom); err != nil {
		t.Fatal(err)
	}
	if n := s.counts()["mail_waiting"]; n != 1 {
		t.Error("a fetcher that is off fetched")
	}
	for _, bad := range []string{`{"mode":"later"}`, `{"kasse":"1","mode":"on"}`, `{"mode":"on","more":1}`} {
		if err := w.command(t.Context(), "fetcher", json.RawMessage(bad)); err == nil {
			t.Errorf("command %s was taken", bad)
		}
	}
}

// ask makes one request; status 0 means that the connection was cut.
func ask(t *testing.T, method, url, token, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := loopbackClient(5 * time.Second).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestARegularPageNamesItsKasseUntilItIsCut(t *testing.T) {
	c := testRegularConfig(t, testMailFor(t))
	w := regularHere(t, c)
	url := "http://" + w.listen.Addr().String() + "/" + testIK + "/app/munich/"
	for _, path := range []string{"", "tief/unten"} {
		status, body := ask(t, http.MethodGet, url+path, "", "")
		if status != http.StatusOK || !strings.Contains(body, "BAHN-BKK") || !strings.Contains(body, "ÜBUNG") || !strings.Contains(body, "Regelbetrieb") {
			t.Errorf("page %q: %d %s", path, status, body)
		}
	}
	if status, _ := ask(t, http.MethodGet, strings.Replace(url, "munich", "essen", 1), "", ""); status != http.StatusNotFound {
		t.Errorf("a page of an unknown placement answered %d", status)
	}
	ask(t, http.MethodPost, url, "", "antrag=1")
	if c := w.counts(); c["page_reads"] != 2 || c["page_writes"] != 1 {
		t.Errorf("counts %v", c)
	}
	for _, target := range []string{testIK, testIK + "/app", testIK + "/app/munich", testIK + "@munich", "@munich"} {
		if err := w.reach(ReachCommand{Target: target}); err != nil {
			t.Fatal(err)
		}
		if status, _ := ask(t, http.MethodGet, url, "", ""); status != 0 {
			t.Errorf("with %q cut the page answered %d", target, status)
		}
		if status, _ := ask(t, http.MethodPost, HandoverURL(w.listen.Addr().String(), testIK+"/app/munich")+"/list", "token", "{}"); status != 0 {
			t.Errorf("with %q cut the handover answered %d", target, status)
		}
		if err := w.reach(ReachCommand{Target: target, Up: true}); err != nil {
			t.Fatal(err)
		}
	}
	if status, _ := ask(t, http.MethodGet, url, "", ""); status != http.StatusOK {
		t.Errorf("reconnected, the page answered %d", status)
	}
	if err := w.reach(ReachCommand{Target: "999/app"}); err == nil {
		t.Error("an unknown target was cut")
	}
}

func testParcel(batch int, docs ...[]byte) emergency.Parcel {
	p := emergency.Parcel{Version: emergency.WireVersion, Kasse: testIK, Placement: catalogue.PlacementID(testPlacement), Batch: fmt.Sprintf("b%d", batch)}
	for i, d := range docs {
		sum := sha256.Sum256(d)
		p.Items = append(p.Items, emergency.ParcelItem{
			ID: fmt.Sprintf("%02x%d", batch, i), Kind: emergency.KindSickNote, Received: testFrom,
			Media: "application/fhir+xml", SHA256: hex.EncodeToString(sum[:]), Body: d,
		})
	}
	return p
}

func testDocument(t *testing.T, n int) []byte {
	t.Helper()
	people, err := NewPopulation(7, testKassen)
	if err != nil {
		t.Fatal(err)
	}
	p := &plan{people: people, space: "test", notes: make([]note, n+1)}
	p.notes[n] = note{person: n, issued: testFrom}
	xml, err := eau.Write(p.certificate(n, false))
	if err != nil {
		t.Fatal(err)
	}
	return xml
}

func receiverKey(t *testing.T, addr string) ed25519.PublicKey {
	t.Helper()
	key, err := ReceiptKey(t.Context(), addr, testIK)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAHandoverIsFiledItemByItem(t *testing.T) {
	s := testMailFor(t)
	w := regularHere(t, testRegularConfig(t, s))
	channel := &emergency.HTTPS{URL: HandoverURL(w.listen.Addr().String(), testPlacement), Client: loopbackClient(5 * time.Second), Token: "token"}
	sound, other := testDocument(t, 1), testDocument(t, 2)
	p := testParcel(1, sound, sound, other[:400], []byte{}, other, []byte("Rechnung"))
	p.Items[4].Held = "Absender unbekannt"
	p.Items[5].Kind = emergency.KindRequest
	signed, err := channel.Deliver(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := emergency.ReadReceipt(receiverKey(t, w.listen.Addr().String()), signed)
	if err != nil {
		t.Fatal(err)
	}
	var results []emergency.State
	for i, it := range receipt.Items {
		results = append(results, it.Result)
		if it.ID != p.Items[i].ID || it.SHA256 != p.Items[i].SHA256 {
			t.Errorf("the receipt names %+v for %+v", it, p.Items[i])
		}
	}
	want := []emergency.State{emergency.Applied, emergency.Known, emergency.Applied, emergency.Rejected, emergency.Applied, emergency.Applied}
	if diff := cmp.Diff(want, results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	rows, err := ReadReceived(w.config.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var status []string
	for _, r := range rows {
		status = append(status, r.Status+" "+r.Via)
	}
	if diff := cmp.Diff([]string{"accepted handover", "held handover", "held handover", "duplicate handover"}, status); diff != "" {
		t.Errorf("books (-want +got):\n%s", diff)
	}
	again := p
	again.Items = append([]emergency.ParcelItem(nil), p.Items...)
	again.Items[0].Body, again.Items[0].SHA256 = p.Items[5].Body, p.Items[5].SHA256
	if _, err := channel.Deliver(t.Context(), again); err == nil {
		t.Error("an id with another content was filed")
	}
	again.Kasse = "108534160"
	if _, err := channel.Deliver(t.Context(), again); err == nil {
		t.Error("a parcel for another Kasse was filed")
	}
	list, err := channel.List(t.Context(), emergency.ListQuery{Kasse: testIK, Placement: catalogue.PlacementID(testPlacement)})
	if err != nil || len(list) != 6 {
		t.Errorf("the list has %d entries, %v", len(list), err)
	}
}

// TestAHandoverIsExactlyOnceUnderLostAnswersAndKills hands over 300 documents in
// 30 parcels while answers get lost, parcels arrive twice and the receiver is
// killed. Each document is in the book once, and the results never change.
func TestAHandoverIsExactlyOnceUnderLostAnswersAndKills(t *testing.T) {
	s := testMailFor(t)
	c := testRegularConfig(t, s)
	c.Fault = RegularFault{LoseAnswers: 0.4, Duplicate: 0.3}
	c.Fetchers = FetchOff
	kills := 4
	if testing.Short() {
		kills = 1
	}
	p := startTestPart(t, PartRegular, c)
	c.Listen = p.Addr("http")
	key := receiverKey(t, c.Listen)
	client := loopbackClient(2 * time.Second)
	channel := &emergency.HTTPS{URL: HandoverURL(c.Listen, testPlacement), Client: client, Token: "token"}
	results := make(map[string]emergency.State)
	attempts := 0
	for batch := range 30 {
		var docs [][]byte
		for i := range 10 {
			docs = append(docs, testDocument(t, 10*batch+i))
		}
		if batch > 0 {
			docs = append(docs, testDocument(t, 10*batch-1)) // has been handed over before
		}
		parcel := testParcel(batch, docs...)
		for try := 0; ; try++ {
			if attempts++; attempts > 400 {
				t.Fatal("the handover never ends")
			}
			if kills > 0 && batch%7 == 3 && try == 0 {
				kills--
				p = killDuring(t, p, c, func(ctx context.Context) { _, _ = channel.Deliver(ctx, parcel) }, time.Duration(batch)*300*time.Microsecond)
			}
			signed, err := channel.Deliver(t.Context(), parcel)
			if err != nil {
				continue
			}
			receipt, err := emergency.ReadReceipt(key, signed)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range receipt.Items {
				if before, ok := results[it.ID]; ok && before != it.Result {
					t.Errorf("item %s was %s and is %s now", it.ID, before, it.Result)
				}
				results[it.ID] = it.Result
			}
			if try > 0 || batch%5 > 0 {
				break
			}
		}
	}
	counts, err := p.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d attempts for 30 parcels, counts since the last kill %v", attempts, counts)
	rows, err := ReadReceived(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	once := make(map[string]int)
	for _, r := range rows {
		if r.Status == StatusAccepted {
			once[r.SHA256]++
		} else if r.Status != StatusDuplicate {
			t.Errorf("unexpected line %+v", r)
		}
	}
	for sum, n := range once {
		if n != 1 {
			t.Errorf("document %s was filed %d times", sum, n)
		}
	}
	if len(once) != 300 || len(rows) != 329 || len(results) != 329 {
		t.Errorf("%d documents, %d lines and %d results; want 300, 329, 329", len(once), len(rows), len(results))
	}
}

// killDuring kills the part a moment after act began, and starts it again.
func killDuring(t *testing.T, p *Part, c RegularConfig, act func(context.Context), after time.Duration) *Part {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); act(t.Context()) }()
	time.Sleep(after)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	<-done
	return startTestPart(t, PartRegular, c)
}

func TestAShelfMakesGoodWhatACrashCutOff(t *testing.T) {
	dir := t.TempDir()
	s, err := openShelf(dir)
	if err != nil {
		t.Fatal(err)
	}
	row := receivedRow{
		entry: emergency.ListEntry{ID: "aa1", Kind: emergency.KindSickNote, Result: emergency.Applied, SHA256: "s1"}, kasse: testIK, placement: testPlacement, batch: "b",
		row: Received{ID: "doc", SHA256: "d1", Kasse: testIK, Time: testFrom, Via: ViaHandover, Status: StatusAccepted, Item: "aa1"},
	}
	s.items.add(row.fields()...) // and then the crash
	if err := s.items.sync(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.received.f.WriteString("torn line without an e"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		again, err := openShelf(dir)
		if err != nil {
			t.Fatal(err)
		}
		if c := again.counts(); c["accepted_handover"] != 1 || c["items"] != 1 {
			t.Errorf("counts %v", c)
		}
		if got, ok := again.item(testIK, "aa1"); !ok || cmp.Diff(row.entry, got.entry) != "" {
			t.Errorf("item %+v, %v", got, ok)
		}
		if err := again.close(); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := ReadReceived(dir)
	if err != nil || len(rows) != 1 || !rows[0].Time.Equal(testFrom) {
		t.Errorf("books: %+v, %v", rows, err)
	}
}
