package exercise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
)

const testIK = "109938503"

func testMailConfig(dir string) MailConfig {
	return MailConfig{Dir: dir, Maildrops: []string{KasseAddress(testIK), PracticeDomain}, Password: "geheim"}
}

// mailHere runs a mail server inside the test.
func mailHere(t *testing.T, c MailConfig) *mailServer {
	t.Helper()
	s, err := startMail(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func testMail(n, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Subject: TEAU0_%d\r\nMessage-ID: <%d@%s>\r\n\r\n", n, n, PracticeDomain)
	for b.Len() < size {
		b.WriteString(".dots and words that fill a line of a mail as far as it goes\r\n")
	}
	return b.Bytes()
}

func sendOne(addr, to string, content []byte) error {
	c, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	err = c.SendMail("praxis-001@"+PracticeDomain, []string{to}, bytes.NewReader(content))
	return errors.Join(err, c.Close())
}

// fetchAll retrieves and deletes all mails of a maildrop.
func fetchAll(ctx context.Context, addr, user string) (mails [][]byte, err error) {
	c, err := dialPOP3(ctx, addr, user, "geheim")
	if err != nil {
		return nil, err
	}
	n, err := c.stat()
	if err == nil {
		err = c.retrieve(n, func(_ int, b []byte) error { mails = append(mails, b); return nil })
	}
	if err == nil {
		err = c.deleteAll(n)
	}
	if err != nil {
		c.abandon()
		return nil, err
	}
	return mails, c.quit()
}

func TestAMailComesOutAsItWentInWithTheMarkOfTheExercise(t *testing.T) {
	s := mailHere(t, testMailConfig(t.TempDir()))
	sent := testMail(7, 3000)
	if err := sendOne(s.smtpAddr, KasseAddress(testIK), sent); err != nil {
		t.Fatal(err)
	}
	got, err := fetchAll(t.Context(), s.pop3.Addr().String(), KasseAddress(testIK))
	if err != nil || len(got) != 1 {
		t.Fatalf("fetched %d mails, %v", len(got), err)
	}
	head, body, marked := bytes.Cut(got[0], []byte(exerciseHeader))
	if !marked || !bytes.Contains(head, []byte("Received: from [127.0.0.1] by mail.uebung.invalid")) {
		t.Errorf("the mark or the trace is missing in %q", head)
	}
	if diff := cmp.Diff(string(sent), string(body)); diff != "" {
		t.Errorf("the mail changed (-want +got):\n%s", diff)
	}
	want := Counts{"mail_received": 1, "mail_refused": 0, "mail_retrieved": 1, "mail_deleted": 1, "mail_waiting": 0}
	if diff := cmp.Diff(want, s.counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestTheMailServerKnowsOnlyTheExercise(t *testing.T) {
	s := mailHere(t, testMailConfig(t.TempDir()))
	for _, to := range []string{"someone@example.org", "eau@uebung.invalid.example.org", "eau@" + testIK, "eau@999999999." + MailDomain} {
		var answer *smtp.SMTPError
		if err := sendOne(s.smtpAddr, to, testMail(1, 100)); !errors.As(err, &answer) || answer.Code != 550 {
			t.Errorf("mail to %s: %v, want 550", to, err)
		}
	}
	c, err := smtp.Dial(s.smtpAddr)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Mail("real@kasse.example", nil); err == nil {
		t.Error("a foreign sender was taken")
	}
	_ = c.Close()
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:25", "localhost:0", "[::]:0"} {
		bad := testMailConfig(t.TempDir())
		bad.SMTP = addr
		if _, err := startMail(t.Context(), bad); err == nil {
			t.Errorf("the server listens on %s", addr)
		}
	}
	bad := testMailConfig(t.TempDir())
	bad.Maildrops = []string{"eau@kasse.example"}
	if _, err := startMail(t.Context(), bad); err == nil {
		t.Error("a foreign maildrop was opened")
	}
}

// converse sends lines and compares the first line of each answer by its beginning.
func converse(t *testing.T, addr string, steps [][2]string) *textproto.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	text := textproto.NewConn(c)
	t.Cleanup(func() { _ = text.Close() })
	for _, s := range steps {
		if s[0] != "" {
			if err := text.PrintfLine("%s", s[0]); err != nil {
				t.Fatal(err)
			}
		}
		for want := range strings.SplitSeq(s[1], "|") {
			got, err := text.ReadLine()
			if err != nil || !strings.HasPrefix(got, want) {
				t.Fatalf("%q: answer %q, %v, want %q", s[0], got, err, want)
			}
		}
	}
	return text
}

func TestPOP3FollowsRFC1939(t *testing.T) {
	s := mailHere(t, testMailConfig(t.TempDir()))
	user := KasseAddress(testIK)
	for i := range 3 {
		if err := sendOne(s.smtpAddr, user, []byte(fmt.Sprintf("Subject: %d\r\n\r\n.a\r\nb\r\nc\r\n", i))); err != nil {
			t.Fatal(err)
		}
	}
	size := s.drops[user].mails[0].size
	addr := s.pop3.Addr().String()
	login := [][2]string{{"", "+OK"}, {"USER " + user, "+OK"}, {"PASS geheim", "+OK"}}
	first := converse(t, addr, [][2]string{
		{"", "+OK"},
		{"STAT", "-ERR"},
		{"CAPA", "+OK|USER|UIDL|TOP|PIPELINING|RESP-CODES|AUTH|EXPIRE|IMPL|."},
		{"USER " + user, "+OK"},
		{"PASS wrong", "-ERR [AUTH]"},
		{"USER " + user, "+OK"},
		{"PASS geheim", "+OK"},
		{"STAT", fmt.Sprintf("+OK 3 %d", 3*size)},
		{"LIST 2", fmt.Sprintf("+OK 2 %d", size)},
		{"LIST 4", "-ERR"},
		{"RETR 0", "-ERR"},
		{"DELE 1", "+OK"},
		{"DELE 1", "-ERR"},
		{"RETR 1", "-ERR"},
		{"LIST", "+OK|2 |3 |."},
		{"STAT", "+OK 2"},
		{"RSET", "+OK"},
		{"STAT", "+OK 3"},
		{"TOP 1 1", "+OK|Return-Path|Received|Delivered-To|X-Uebung|Subject: 0||..a|."},
		{"NOOP", "+OK"},
		{"XTND", "-ERR"},
		{"DELE 2", "+OK"},
	})
	// The maildrop is held by the first session; without QUIT nothing is deleted.
	converse(t, addr, append(login[:2:2], [2]string{"PASS geheim", "-ERR [IN-USE]"}))
	_ = first.Close()
	waitFree(t, s.drops[user])
	uids := make(map[string]bool)
	for _, m := range s.drops[user].mails {
		uids[m.uid] = true
	}
	if len(uids) != 3 {
		t.Fatalf("after a lost connection %d mails remain, want 3", len(uids))
	}
	// Pipelined commands are answered in order; QUIT deletes.
	converse(t, addr, append(login, [2]string{"UIDL\r\nDELE 1\r\nDELE 3\r\nQUIT", "+OK|1 |2 |3 |.|+OK|+OK|+OK"}))
	waitFree(t, s.drops[user])
	if n := s.drops[user].waiting(); n != 1 {
		t.Errorf("after QUIT %d mails remain, want 1", n)
	}
	if err := sendOne(s.smtpAddr, user, testMail(1, 10)); err != nil {
		t.Fatal(err)
	}
	again, err := openMaildrop(s.drops[user].dir, startMark(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.drops[user].mails, again.mails, cmp.AllowUnexported(mail{})); diff != "" {
		t.Errorf("after a restart the maildrop differs (-before +after):\n%s", diff)
	}
}

func waitFree(t *testing.T, d *maildrop) {
	t.Helper()
	for range 200 {
		if _, err := d.lock(); err == nil {
			d.unlock()
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the maildrop stays locked")
}

func TestFaultsOfTheMailServer(t *testing.T) {
	s := mailHere(t, testMailConfig(t.TempDir()))
	user, addr := KasseAddress(testIK), s.pop3.Addr().String()
	if err := sendOne(s.smtpAddr, user, testMail(1, 5000)); err != nil {
		t.Fatal(err)
	}
	size := s.drops[user].mails[0].size
	login := [][2]string{{"", "+OK"}, {"USER " + user, "+OK"}, {"PASS geheim", "+OK"}}
	set := func(f MailFault) {
		t.Helper()
		f.Maildrop = user
		if err := s.setFault(f); err != nil {
			t.Fatal(err)
		}
	}
	set(MailFault{LieBy: 1000})
	converse(t, addr, append(login, [2]string{"STAT", fmt.Sprintf("+OK 1 %d", size+1000)}, [2]string{"QUIT", "+OK"}))
	for _, f := range []MailFault{{CutAt: "RETR", Times: 1}, {CutAfter: 2000, Times: 1}, {CutAt: "QUIT", Times: 1}, {CutAt: "PASS", Times: 1}} {
		set(f)
		waitFree(t, s.drops[user])
		if _, err := fetchAll(t.Context(), addr, user); err == nil {
			t.Errorf("fetching with %+v did not fail", f)
		}
		if n := s.drops[user].waiting(); n != 1 {
			t.Fatalf("after %+v the maildrop holds %d mails, want 1", f, n)
		}
	}
	set(MailFault{DelayMS: 30})
	waitFree(t, s.drops[user])
	begin := time.Now()
	if mails, err := fetchAll(t.Context(), addr, user); err != nil || len(mails) != 1 {
		t.Errorf("after the cuts: %d mails, %v", len(mails), err)
	}
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("the slow maildrop answered six commands in %v", took)
	}
	if err := s.setFault(MailFault{Maildrop: "nobody@uebung.invalid"}); err == nil {
		t.Error("a fault was set on an unknown maildrop")
	}
}

// TestAcknowledgedMailSurvivesSIGKILL sends on four connections and kills the
// server at a random moment, ten times. Every mail that was acknowledged is
// there afterwards, whole; at most those under way are there unacknowledged.
func TestAcknowledgedMailSurvivesSIGKILL(t *testing.T) {
	kills := 10
	if testing.Short() {
		kills = 2
	}
	dir := t.TempDir()
	acked := make(map[string]bool)
	for round := range kills {
		p := startTestPart(t, PartMail, testMailConfig(dir))
		enough := make(chan struct{}) // closed when this round has acknowledged some
		var mu sync.Mutex
		var wg sync.WaitGroup
		n := 0
		for w := range 4 {
			wg.Go(func() {
				c, err := smtp.Dial(p.Addr("smtp"))
				if err != nil {
					return
				}
				defer func() { _ = c.Close() }()
				for i := 0; ; i++ {
					id := fmt.Sprintf("%d-%d-%d", round, w, i)
					content := append([]byte("Message-ID: <"+id+">\r\n"), testMail(i, 20_000)...)
					if c.SendMail("", []string{KasseAddress(testIK)}, bytes.NewReader(content)) != nil {
						return
					}
					mu.Lock()
					acked[id] = true
					if n++; n == 20 {
						close(enough)
					}
					mu.Unlock()
				}
			})
		}
		<-enough
		time.Sleep(time.Duration(37*round%23) * time.Millisecond)
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	}
	s := mailHere(t, testMailConfig(dir))
	mails, err := fetchAll(t.Context(), s.pop3.Addr().String(), KasseAddress(testIK))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills, %d mails acknowledged, %d stored", kills, len(acked), len(mails))
	if len(acked) < 20*kills || len(mails) > len(acked)+4*kills {
		t.Errorf("%d acknowledged and %d stored: the test says nothing", len(acked), len(mails))
	}
	for _, m := range mails {
		_, rest, _ := strings.Cut(string(m), "Message-ID: <")
		id, _, _ := strings.Cut(rest, ">")
		if len(m) < 20_000 || !bytes.HasSuffix(m, []byte("as it goes\r\n")) {
			t.Errorf("mail %s is torn: %d octets", id, len(m))
		}
		delete(acked, id)
	}
	if len(acked) > 0 {
		t.Errorf("%d acknowledged mails are lost", len(acked))
	}
}

func startTestPart(t *testing.T, kind PartKind, config any) *Part {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := StartPart(t.Context(), exe, kind, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestPythonAgreesOnSMTPAndPOP3 lets a second implementation speak to the server.
func TestPythonAgreesOnSMTPAndPOP3(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is absent: suite left out: second implementation of SMTP and POP3")
	}
	s := mailHere(t, testMailConfig(t.TempDir()))
	script := filepath.Join("testdata", "mail.py")
	_, smtpPort, _ := net.SplitHostPort(s.smtpAddr)
	_, popPort, _ := net.SplitHostPort(s.pop3.Addr().String())
	out, err := exec.CommandContext(t.Context(), python, script, smtpPort, popPort, KasseAddress(testIK), "geheim").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// BenchmarkMailFlow is the total flow: by SMTP on eight connections into four
// maildrops, out by POP3, deleted. Every mail has 35 kB, as an eAU has as mail.
func BenchmarkMailFlow(b *testing.B) {
	c := MailConfig{Dir: b.TempDir(), Password: "geheim"}
	for i := range 4 {
		c.Maildrops = append(c.Maildrops, fmt.Sprintf("eau@%d.%s", i, MailDomain))
	}
	s, err := startMail(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.stop() })
	content := testMail(1, 35_000)
	var n int
	for b.Loop() {
		n += flow(b, s, c.Maildrops, content)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "mails/s")
}

// flow sends 400 mails while others fetch; it returns when all are fetched.
func flow(tb testing.TB, s *mailServer, drops []string, content []byte) int {
	tb.Helper()
	const connections, each = 8, 50
	var wg sync.WaitGroup
	for w := range connections {
		wg.Go(func() {
			c, err := dialSMTP(tb.Context(), s.smtpAddr, "test")
			if err != nil {
				tb.Error(err)
				return
			}
			defer c.close()
			for range each {
				if _, err := c.send("", drops[w%len(drops)], content); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	for _, d := range drops {
		wg.Go(func() {
			for got := 0; got < connections*each/len(drops); {
				mails, err := fetchAll(tb.Context(), s.pop3.Addr().String(), d)
				if err != nil {
					tb.Error(err)
					return
				}
				got += len(mails)
			}
		})
	}
	wg.Wait()
	return connections * each
}

// TestOurOwnSMTPClientIsUnderstood sends what is awkward: dots, no line end at the
// end, recipients that are refused, then goes on over the same connection.
func TestOurOwnSMTPClientIsUnderstood(t *testing.T) {
	s := mailHere(t, testMailConfig(t.TempDir()))
	c, err := dialSMTP(t.Context(), s.smtpAddr, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	from, to := practiceAddress(1), KasseAddress(testIK)
	mails := []string{".\r\n..\r\n.a\r\n\r\n.", "Subject: a\r\n\r\n", "x", ""}
	for _, m := range mails {
		for _, bad := range [][2]string{{"a@b.example", to}, {from, "a@b.example"}} {
			var refusal *smtpRefusal
			if _, err := c.send(bad[0], bad[1], []byte(m)); !errors.As(err, &refusal) || refusal.Code != 550 || refusal.temporary() {
				t.Fatalf("mail from %s to %s: %v", bad[0], bad[1], err)
			}
		}
		if unsure, err := c.send(from, to, []byte(m)); err != nil || unsure {
			t.Fatal(err)
		}
	}
	got, err := fetchAll(t.Context(), s.pop3.Addr().String(), to)
	if err != nil || len(got) != len(mails) {
		t.Fatalf("%d mails, %v", len(got), err)
	}
	for i, raw := range got {
		_, body, _ := bytes.Cut(raw, []byte(exerciseHeader))
		want := mails[i]
		if !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if string(body) != want {
			t.Errorf("sent %q, got %q", mails[i], body)
		}
	}
}

func TestTheMailFlowExceeds500MailsASecond(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("a measurement: not in short runs and not under the race detector")
	}
	c := MailConfig{Dir: t.TempDir(), Password: "geheim", Maildrops: []string{KasseAddress("1"), KasseAddress("2"), KasseAddress("3"), KasseAddress("4")}}
	s := mailHere(t, c)
	begin := time.Now()
	n := 0
	for range 3 {
		n += flow(t, s, c.Maildrops, testMail(1, 35_000))
	}
	rate := float64(n) / time.Since(begin).Seconds()
	t.Logf("%d mails in and out: %.0f mails/s", n, rate)
	if os.Getenv("LEITSTAND_LONG") != "" && rate < 500 {
		t.Errorf("%.0f mails/s, want more than 500", rate)
	}
}
