package exercise

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

var testKassen = []KasseSpec{
	{IK: "109938503", Name: "BAHN-BKK", Insured: 586_000},
	{IK: "108534160", Name: "Audi BKK", Insured: 700_000},
	{IK: "103501080", Name: "BIG direkt gesund"},
}

var (
	testFrom  = time.Date(2023, 4, 24, 6, 0, 0, 0, time.FixedZone("CEST", 2*3600))
	testUntil = testFrom.AddDate(0, 0, 4)
)

// testMailFor is a mail server with the maildrops of the test Kassen.
func testMailFor(t *testing.T) *mailServer {
	t.Helper()
	c := MailConfig{Dir: t.TempDir(), Password: "geheim", Maildrops: []string{PracticeDomain}}
	for _, k := range testKassen {
		c.Maildrops = append(c.Maildrops, KasseAddress(k.IK))
	}
	return mailHere(t, c)
}

func testPractices(t *testing.T, s *mailServer, change func(*PracticesConfig)) *practiceWorld {
	t.Helper()
	c := PracticesConfig{
		Seed: 7, Dir: t.TempDir(), SMTP: s.smtpAddr, POP3: s.pop3.Addr().String(), Password: "geheim",
		Kassen: testKassen, From: testFrom, Until: testUntil, Notes: 300,
	}
	if change != nil {
		change(&c)
	}
	w, err := startPractices(t.Context(), c)
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

func TestPracticesSendTheSameForTheSameSeed(t *testing.T) {
	var books [2][]byte
	for i := range books {
		w := testPractices(t, testMailFor(t), nil)
		for at := testFrom; !at.After(testUntil); at = at.Add(time.Duration(3+4*i) * time.Hour) {
			if err := w.advance(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.advance(t.Context(), testUntil); err != nil {
			t.Fatal(err)
		}
		c := w.counts()
		want := Counts{
			"sent": 300 + 5 + 1 + 4 + 7, "notes": 300, "twice": 5, "same_id": 1 + 7 /* seven after a call */, "faulty": 3, "storno": 4,
			"files": 0, "resent": 0, "refused": 0, "strange": 0, "unsure": 0, "pending": 0, "to_send": 0,
		}
		if diff := cmp.Diff(want, c); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		var err error
		if books[i], err = os.ReadFile(filepath.Join(w.config.Dir, SentBook)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(books[0], books[1]) {
		t.Error("two runs with the same seed wrote different books")
	}
}

// TestWhatPracticesSendIsWhatTheirBookSays reads the mails from the maildrops
// as a Kasse would, and compares with sent.csv.
func TestWhatPracticesSendIsWhatTheirBookSays(t *testing.T) {
	s := testMailFor(t)
	w := testPractices(t, s, nil)
	if err := w.advance(t.Context(), testUntil); err != nil {
		t.Fatal(err)
	}
	sent, err := ReadSent(filepath.Join(w.config.Dir, SentBook))
	if err != nil {
		t.Fatal(err)
	}
	booked := make(map[string]Sent)
	for _, l := range sent {
		booked[l.MessageID] = l
		if l.Time.Before(testFrom) || l.Time.After(testUntil) {
			t.Errorf("mail %s was sent at %v, outside the exercise", l.MessageID, l.Time)
		}
	}
	if len(booked) != len(sent) {
		t.Errorf("%d different message ids for %d mails", len(booked), len(sent))
	}
	faulty := 0
	for _, k := range testKassen {
		mails, err := fetchAll(t.Context(), s.pop3.Addr().String(), KasseAddress(k.IK))
		if err != nil || len(mails) < 5 {
			t.Fatalf("%s got %d mails, %v", k.Name, len(mails), err)
		}
		for _, raw := range mails {
			m, err := kimmail.Parse(raw, kimmail.DefaultLimits())
			if err != nil || len(m.Documents) != 1 {
				t.Fatalf("a mail cannot be read: %v\n%.500s", err, raw)
			}
			line := booked[m.MessageID]
			delete(booked, m.MessageID)
			if !checkPosted(t, k, m, line) {
				faulty++
			}
		}
	}
	if len(booked) > 0 {
		t.Errorf("%d mails of the book reached no maildrop", len(booked))
	}
	if faulty != 3 {
		t.Errorf("%d documents are faulty, want 3", faulty)
	}
}

// checkPosted compares a mail with its line in the book; false means that its document is faulty.
func checkPosted(t *testing.T, k KasseSpec, m *kimmail.Message, line Sent) bool {
	t.Helper()
	xml := m.Documents[0].XML
	sum := sha256.Sum256(xml)
	if hex.EncodeToString(sum[:]) != line.SHA256 || line.Kasse != k.IK {
		t.Errorf("mail %s at %s is not what the book says: %+v", m.MessageID, k.Name, line)
	}
	sub, ok := kimmail.ParseSubject(m.Subject)
	if !ok || !sub.Test || m.Header.Get("X-Uebung") == "" || !strings.Contains(m.Parts[0].Text(), "ÜBUNG") {
		t.Errorf("mail %q is not marked as a test", m.Subject)
	}
	doc, err := eau.Read(xml)
	spoilt := strings.Contains(line.Note, "faulty:")
	if err != nil || doc.Kind == eau.KindUnknown || doc.Kind == eau.KindEAU && doc.Certificate.Until == "" {
		if !spoilt {
			t.Errorf("document %s is faulty, the book says %q: %v", line.ID, line.Note, err)
		}
		return false
	}
	if spoilt {
		t.Errorf("document %s is sound, the book says %q", line.ID, line.Note)
	}
	if doc.Identifier != "urn:uuid:"+line.ID || sub.ID != line.ID {
		t.Errorf("document %s says %q, subject %q", line.ID, doc.Identifier, m.Subject)
	}
	if doc.Kind == eau.KindEAU && doc.Certificate.Coverage.PayorIK != k.IK {
		t.Errorf("a sick note for %s was sent to %s", doc.Certificate.Coverage.PayorIK, k.IK)
	}
	return true
}

// TestRefusedNotesAreMadeAnewAndResent plays the policy of 2023: an error
// message makes the practice send a new document, not before its time.
func TestRefusedNotesAreMadeAnewAndResent(t *testing.T) {
	s := testMailFor(t)
	from := testFrom.AddDate(0, 0, 6)
	w := testPractices(t, s, func(c *PracticesConfig) { c.Notes = 40; c.ResendFrom = from })
	if err := w.advance(t.Context(), testUntil); err != nil {
		t.Fatal(err)
	}
	first := w.counts()["sent"]
	refused := make(map[string]bool)
	for _, k := range testKassen {
		mails, err := fetchAll(t.Context(), s.pop3.Addr().String(), KasseAddress(k.IK))
		if err != nil {
			t.Fatal(err)
		}
		for i, raw := range mails {
			m, err := kimmail.Parse(raw, kimmail.DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			answer, to, err := refusal(k.IK, m, i%2 == 0, testUntil)
			if err != nil {
				t.Fatal(err)
			}
			if err := sendOne(s.smtpAddr, to, answer); err != nil {
				t.Fatal(err)
			}
			sub, _ := kimmail.ParseSubject(m.Subject)
			refused[sub.ID] = true
		}
	}
	if err := sendOne(s.smtpAddr, practiceAddress(3), []byte("Subject: Werbung\r\n\r\nkein Fehler\r\n")); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{testUntil, from.Add(-time.Second)} {
		if err := w.advance(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	if c := w.counts(); c["sent"] != first || c["refused"] != first || c["strange"] != 1 {
		t.Fatalf("before the time: %v", c)
	}
	if err := w.advance(t.Context(), from); err != nil {
		t.Fatal(err)
	}
	c := w.counts()
	if c["resent"] != int64(len(refused)) || c["sent"] != first+c["resent"] {
		t.Errorf("%d documents refused, counts %v", len(refused), c)
	}
	sent, err := ReadSent(filepath.Join(w.config.Dir, SentBook))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range sent[first:] {
		if refused[l.ID] || !strings.HasSuffix(l.Note, "resent") {
			t.Errorf("resent under the refused identifier: %+v", l)
		}
	}
}

func TestPracticesGoOnWhenTheMailServerComesBack(t *testing.T) {
	dir := t.TempDir()
	mc := MailConfig{Dir: dir, Password: "geheim", Maildrops: []string{PracticeDomain}}
	for _, k := range testKassen {
		mc.Maildrops = append(mc.Maildrops, KasseAddress(k.IK))
	}
	s, err := startMail(t.Context(), mc)
	if err != nil {
		t.Fatal(err)
	}
	w := testPractices(t, s, func(c *PracticesConfig) { c.Notes = 60 })
	const mails = 60 + 1 + 1 + 1 + 2 // one of each fate, two after a call
	middle := testFrom.Add(30 * time.Hour)
	if err := w.advance(t.Context(), middle); err != nil {
		t.Fatal(err)
	}
	mc.SMTP, mc.POP3 = s.smtpAddr, s.pop3.Addr().String()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := w.advance(t.Context(), testUntil); err != nil {
		t.Fatal(err)
	}
	if c := w.counts(); c["pending"] == 0 || c["sent"]+c["to_send"] != mails {
		t.Fatalf("without a mail server: %v", c)
	}
	again := mailHere(t, mc)
	if err := w.advance(t.Context(), testUntil); err != nil {
		t.Fatal(err)
	}
	c := w.counts()
	if c["pending"] != 0 || c["sent"] != mails || c["unsure"] != 0 {
		t.Errorf("with the mail server back: %v", c)
	}
	if n := again.counts()["mail_waiting"]; n != mails {
		t.Errorf("%d mails wait, want %d", n, mails)
	}
}

func TestFilesAreSentUnchanged(t *testing.T) {
	s := testMailFor(t)
	dir := t.TempDir()
	contents := map[string]string{"a.xml": "<Bundle", "b.xml": "no xml\x00\xff at all", "c.xml": "<Bundle", "sub/d.xml": ""}
	for name, content := range contents {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := testPractices(t, s, func(c *PracticesConfig) { c.EAUDir, c.EAUKasse = dir, testIK })
	if err := w.advance(t.Context(), testUntil); err != nil {
		t.Fatal(err)
	}
	mails, err := fetchAll(t.Context(), s.pop3.Addr().String(), KasseAddress(testIK))
	if err != nil || len(mails) != 4 {
		t.Fatalf("%d mails, %v", len(mails), err)
	}
	var got []string // connections are not ordered among each other
	for _, raw := range mails {
		m, err := kimmail.Parse(raw, kimmail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(m.Documents[0].XML))
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"", "<Bundle", "<Bundle", "no xml\x00\xff at all"}, got); diff != "" {
		t.Errorf("what arrived (-want +got):\n%s", diff)
	}
	if _, err := startPractices(t.Context(), PracticesConfig{SMTP: s.smtpAddr, POP3: s.smtpAddr, Kassen: testKassen, From: testFrom, Until: testUntil, EAUDir: dir, EAUKasse: "999999999"}); err == nil {
		t.Error("files for a Kasse that does not exist were accepted")
	}
}

func TestSharedFilesAre36With21Contents(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "data", "eau", "1.2.1", "bundles", "valid")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("../shared/data/eau is absent: suite left out: real eAU files through the exercise's mail")
	}
	s := testMailFor(t)
	w := testPractices(t, s, func(c *PracticesConfig) { c.EAUDir, c.EAUKasse = dir, testIK })
	if err := w.advance(t.Context(), testUntil); err != nil {
		t.Fatal(err)
	}
	sent, err := ReadSent(filepath.Join(w.config.Dir, SentBook))
	if err != nil {
		t.Fatal(err)
	}
	if c := CompareBooks(sent, nil); c.Sent != 36 || c.Documents != 21 || c.Lost != 21 {
		t.Errorf("sent %d files with %d contents, lost %d; want 36, 21, 21", c.Sent, c.Documents, c.Lost)
	}
}

func testRand() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }
