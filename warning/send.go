package warning

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"leitstand/catalogue"
)

// Message is what a person is told: no raw events, which may name people.
type Message struct {
	Subject string        `json:"subject"`
	Text    string        `json:"text"`
	Signals []MessageItem `json:"signals"`
}

// MessageItem is one signal of a message, for machines.
type MessageItem struct {
	ID          string                  `json:"id"`
	Title       string                  `json:"title"`
	Level       string                  `json:"level"`
	Environment catalogue.EnvironmentID `json:"environment,omitempty"`
	Host        string                  `json:"host,omitempty"`
	Escalated   int                     `json:"escalated"`
	Deadline    time.Time               `json:"deadline"`
}

const maxListed = 20 // signals named in one message

func messageOf(person string, list []Signal) Message {
	var m Message
	var b strings.Builder
	for i, s := range list {
		m.Signals = append(m.Signals, MessageItem{s.ID, s.Title, s.Level, s.Environment, s.Host, s.Escalated, s.Deadline})
		if i == maxListed {
			fmt.Fprintf(&b, "… und %d weitere.\n", len(list)-i)
		}
		if i >= maxListed {
			continue
		}
		fmt.Fprintf(&b, "%s [%s] %s\n  Rechner %s, Umgebung %s\n  Frist %s", s.ID, s.Level, s.Title, cmp.Or(s.Host, "unbekannt"), cmp.Or(string(s.Environment), "unbekannt"), s.Deadline.Format(time.RFC3339))
		if s.Escalated > 0 {
			fmt.Fprintf(&b, ", %d-mal eskaliert", s.Escalated)
		}
		fmt.Fprintf(&b, "\n  Übernehmen: leitstand signal acknowledge %s --as %s\n", s.ID, person)
	}
	m.Text = b.String()
	m.Subject = "Leitstand: " + list[0].Title
	if len(list) > 1 {
		m.Subject = fmt.Sprintf("Leitstand: %d Signale warten", len(list))
	}
	return m
}

// MailWay sends by SMTP.
type MailWay struct {
	Addr     string `json:"addr"`     // host:port
	Security string `json:"security"` // tls, stls (or starttls), or plain for loopback only
	From     string `json:"from"`
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	CA       string `json:"ca,omitempty"` // PEM file of the server's CA; empty: the system's

	TLS *tls.Config `json:"-"` // nil: the system's roots
}

// Check says what is wrong with the settings.
func (w *MailWay) Check() error {
	host, _, err := net.SplitHostPort(w.Addr)
	if err != nil {
		return fmt.Errorf("mail: addr %q is no host:port", w.Addr)
	}
	switch w.Security {
	case "tls", "stls", "starttls":
	case "plain":
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("mail: plain to %q is not allowed, only to loopback: use tls or stls", w.Addr)
		}
	default:
		return fmt.Errorf("mail: security %q: want tls, stls or plain", w.Security)
	}
	if _, err := w.tls(); err != nil {
		return err
	}
	if w.From == "" || strings.ContainsAny(w.From, "\r\n<> ") {
		return fmt.Errorf("mail: from %q is no address", w.From)
	}
	return nil
}

// Send sends one mail.
func (w *MailWay) Send(ctx context.Context, to Contact, m Message) error {
	if strings.ContainsAny(to.Mail, "\r\n<> ") {
		return fmt.Errorf("%q is no mail address", to.Mail)
	}
	c, err := w.dial()
	if err != nil {
		return fmt.Errorf("sending mail: %w", err)
	}
	defer func() { _ = c.Close() }()                         // the answer to the mail decides
	defer context.AfterFunc(ctx, func() { _ = c.Close() })() // ends a server that does not answer
	c.CommandTimeout, c.SubmissionTimeout = sendFor, sendFor
	if w.User != "" {
		if err := c.Auth(sasl.NewPlainClient("", w.User, w.Password)); err != nil {
			return fmt.Errorf("sending mail: %w", err)
		}
	}
	if err := c.SendMail(w.From, []string{to.Mail}, bytes.NewReader(w.mail(to.Mail, m, time.Now()))); err != nil {
		return fmt.Errorf("sending mail: %w", err)
	}
	return nil
}

// tls is how the server proves who it is.
func (w *MailWay) tls() (*tls.Config, error) {
	if w.TLS != nil || w.CA == "" {
		return w.TLS, nil
	}
	b, err := os.ReadFile(w.CA)
	if err != nil {
		return nil, fmt.Errorf("mail: reading its CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("mail: %s holds no PEM certificate", w.CA)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, nil
}

func (w *MailWay) dial() (*smtp.Client, error) {
	config, err := w.tls()
	if err != nil {
		return nil, err
	}
	switch w.Security {
	case "tls":
		return smtp.DialTLS(w.Addr, config)
	case "stls", "starttls":
		return smtp.DialStartTLS(w.Addr, config)
	}
	return smtp.Dial(w.Addr)
}

func (w *MailWay) mail(to string, m Message, at time.Time) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nDate: %s\r\nSubject: %s\r\n", w.From, to, at.Format(time.RFC1123Z), mime.QEncoding.Encode("utf-8", m.Subject))
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\nAuto-Submitted: auto-generated\r\nX-Priority: 1\r\n\r\n")
	text := base64.StdEncoding.EncodeToString([]byte(m.Text))
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
	return b.Bytes()
}

// WebhookWay posts JSON, signed: Leitstand-Signature is "sha256=" and the
// HMAC-SHA-256 of Leitstand-Time, a dot and the body, in hexadecimal.
type WebhookWay struct {
	Secret string
	Client *http.Client
	Now    func() time.Time
}

// Send posts once; any answer but 2xx is a failure.
func (w *WebhookWay) Send(ctx context.Context, to Contact, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding the message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.Webhook, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("calling the webhook: %w", err)
	}
	at := strconv.FormatInt(w.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Leitstand-Time", at)
	req.Header.Set("Leitstand-Signature", "sha256="+SignWebhook(w.Secret, at, body))
	resp, err := w.Client.Do(req)
	if err != nil {
		return fmt.Errorf("calling the webhook: %w", err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("reading the webhook's answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answered %s", resp.Status)
	}
	return nil
}

// SignWebhook is the signature of a body at a time, for receivers too.
func SignWebhook(secret, at string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(at + "."))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// CommandWay runs a program; the text comes on its standard input.
type CommandWay struct{}

// Send runs the contact's command; exit code 0 means delivered.
func (CommandWay) Send(ctx context.Context, to Contact, m Message) error {
	cmd := exec.CommandContext(ctx, to.Command[0], to.Command[1:]...) //nolint:gosec // the owner of the room names it in its configuration
	cmd.Stdin = strings.NewReader(m.Subject + "\n" + m.Text)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s: %w: %s", to.Command[0], err, cut(strings.TrimSpace(out.String()), maxCheck))
	}
	return nil
}
