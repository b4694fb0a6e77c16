package warning

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// recorder is a way that keeps what was sent, and fails while told to.
type recorder struct {
	fail bool
	sent []Message
	to   []Contact
}

func (r *recorder) Send(_ context.Context, to Contact, m Message) error {
	if r.fail {
		return errors.New("no line")
	}
	r.sent, r.to = append(r.sent, m), append(r.to, to)
	return nil
}

func raiseOne(t *testing.T, d *db.DB, host string) (s Signal) {
	t.Helper()
	err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
		s, err = Raise(ctx, tx, noon, Signal{Rule: "r", Title: "Etwas", Level: "high", Host: host, Owner: "anna"}, "secret event text")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnOwnerIsToldUntilSomebodyTakesItOnAndThenTheDeputy(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", ledger.Schema, Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		way := &recorder{fail: true}
		a := &Alerter{Contacts: map[string]Contact{"anna": {Mail: "anna@example.org"}, "bert": {Mail: "bert@example.org"}}, Ways: map[string]Sender{"mail": way}}
		due := func(at time.Time, failing int) {
			t.Helper()
			if n, err := a.Due(t.Context(), d, at); err != nil || n != failing {
				t.Errorf("at %v: %d failing (%v), want %d", at, n, err, failing)
			}
		}
		one, two := raiseOne(t, d, "h1"), raiseOne(t, d, "h2")
		due(noon, 0)
		due(noon.Add(10*time.Second), 2) // known to have failed; tried again later
		way.fail = false
		due(noon.Add(time.Minute), 2)
		due(noon.Add(2*time.Minute), 0)
		if len(way.sent) != 1 || len(way.sent[0].Signals) != 2 || way.to[0].Mail != "anna@example.org" || strings.Contains(way.sent[0].Text, "secret") {
			t.Fatalf("sent %+v, want one message with both signals, without raw events", way.sent)
		}
		duty := Duty{Owner: "anna", Deputies: []string{"bert", "carla"}}
		write := func(fn func(ctx context.Context, tx *db.Tx) error) {
			t.Helper()
			if err := d.Write(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		write(func(ctx context.Context, tx *db.Tx) error {
			_, err := Decide(ctx, tx, noon, access.Person{ID: "anna"}, two.ID, Acknowledged, "", "")
			return err
		})
		write(func(ctx context.Context, tx *db.Tx) error {
			_, err := duty.EscalateDue(ctx, tx, noon.Add(time.Hour))
			return err
		})
		due(noon.Add(time.Hour), 0)
		if len(way.sent) != 3 || len(way.sent[1].Signals) != 1 || way.sent[1].Signals[0].ID != one.ID || way.to[2].Mail != "bert@example.org" {
			t.Fatalf("sent %+v to %+v, want the owner and the deputy told of the one that nobody took on", way.sent, way.to)
		}
		// The next deputy has no contact: that is on record, not passed over.
		write(func(ctx context.Context, tx *db.Tx) error {
			_, err := duty.EscalateDue(ctx, tx, noon.Add(2*time.Hour))
			return err
		})
		due(noon.Add(2*time.Hour), 1)
		all, err := Alerts(t.Context(), d, one.ID)
		if err != nil || !slices.ContainsFunc(all, func(x Alert) bool { return x.Person == "carla" && x.Channel == noContact && x.State == AlertWaiting }) {
			t.Errorf("alerts %+v (%v), want one for carla that has no way", all, err)
		}
		write(func(ctx context.Context, tx *db.Tx) error {
			_, err := Decide(ctx, tx, noon, access.Person{ID: "bert"}, one.ID, Dismissed, "", "Übung")
			return err
		})
		due(noon.Add(2*time.Hour), 0)
		if problems, err := ledger.VerifyState(t.Context(), d, Keepers()...); err != nil || len(problems) != 0 {
			t.Errorf("state %v %v", problems, err)
		}
	})
}

func TestWebhooksAreSignedAndCommandsGetTheText(t *testing.T) {
	m := messageOf("anna", []Signal{{ID: "s-1", Title: "Etwas", Level: "high", Deadline: noon}})
	var status int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Leitstand-Signature") != "sha256="+SignWebhook("geheim", r.Header.Get("Leitstand-Time"), body) {
			t.Errorf("signature does not fit (%v)", err)
		}
		var got Message
		if err := json.Unmarshal(body, &got); err != nil || got.Signals[0].ID != "s-1" {
			t.Errorf("got %+v (%v)", got, err)
		}
		w.WriteHeader(status)
	}))
	defer srv.Close()
	way := &WebhookWay{Secret: "geheim", Client: srv.Client(), Now: func() time.Time { return noon }}
	for _, status = range []int{200, 204, 302, 500} {
		err := way.Send(t.Context(), Contact{Webhook: srv.URL}, m)
		if (err == nil) != (status < 300) {
			t.Errorf("status %d: %v", status, err)
		}
	}
	out := filepath.Join(t.TempDir(), "sms")
	if err := (CommandWay{}).Send(t.Context(), Contact{Command: []string{"tee", out}}, m); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(out); err != nil || !strings.Contains(string(text), "s-1") {
		t.Errorf("the command got %q (%v)", text, err)
	}
	if err := (CommandWay{}).Send(t.Context(), Contact{Command: []string{"false"}}, m); err == nil {
		t.Error("a command that fails counts as delivered")
	}
}

type mailbox struct {
	mu   sync.Mutex
	mail []string
}

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (b *mailbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (b *mailbox) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (b *mailbox) Reset()                                      {}
func (b *mailbox) Logout() error                               { return nil }
func (b *mailbox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mail = append(b.mail, string(text))
	return err
}

func TestMailGoesOutBySMTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := &mailbox{}
	srv := smtp.NewServer(box)
	srv.AllowInsecureAuth = true
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	defer func() {
		_ = srv.Close() // the test is over
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	}()
	w := &MailWay{Addr: l.Addr().String(), Security: "plain", From: "leitstand@example.org"}
	if err := w.Check(); err != nil {
		t.Fatal(err)
	}
	m := messageOf("anna", []Signal{{ID: "s-1", Title: "Schlüssel für alles", Level: "high", Deadline: noon}})
	if err := w.Send(t.Context(), Contact{Mail: "anna@example.org"}, m); err != nil {
		t.Fatal(err)
	}
	if len(box.mail) != 1 || !strings.Contains(box.mail[0], "Subject: =?utf-8?q?") || !strings.Contains(box.mail[0], "To: <anna@example.org>") {
		t.Errorf("mail %q", box.mail)
	}
	if err := w.Send(t.Context(), Contact{Mail: "anna@example.org>\r\nRCPT TO:<x"}, m); err == nil {
		t.Error("an address with more than one line was taken")
	}
	for _, bad := range []MailWay{{Addr: "mail.example.org:25", Security: "plain", From: "a@b"}, {Addr: "x", Security: "tls", From: "a@b"}, {Addr: "127.0.0.1:25", From: "a@b"}, {Addr: "127.0.0.1:25", Security: "tls"}} {
		if bad.Check() == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
