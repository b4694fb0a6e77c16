package sicknote

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// scriptedConn is a server that says fixed bytes, then hangs up, and takes everything.
type scriptedConn struct {
	net.Conn
	answers *bytes.Reader
}

func (c *scriptedConn) Read(b []byte) (int, error)       { return c.answers.Read(b) }
func (c *scriptedConn) Write(b []byte) (int, error)      { return len(b), nil }
func (c *scriptedConn) Close() error                     { return nil }
func (c *scriptedConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptedConn) SetWriteDeadline(time.Time) error { return nil }

func scripted(answers []byte, maxMail int64) popConfig {
	return popConfig{
		addr: "127.0.0.1:1", security: PlainText, user: "u", password: "p", idle: time.Second, total: time.Second, maxMail: maxMail,
		dial: func(context.Context, string, string) (net.Conn, error) {
			return &scriptedConn{answers: bytes.NewReader(answers)}, nil
		},
	}
}

// converse plays a whole session and returns the mails it got.
func converse(ctx context.Context, c popConfig) (raws [][]byte, err error) {
	p, err := dialPOP(ctx, c)
	if err != nil {
		return nil, err
	}
	defer p.abandon()
	mails, err := p.list()
	if err != nil {
		return nil, err
	}
	if len(mails) > 50 {
		mails = mails[:50]
	}
	if err := p.retrieve(mails, func(_ listed, raw []byte, _ error) { raws = append(raws, raw) }); err != nil {
		return raws, err
	}
	if _, err := p.delete(mails); err != nil {
		return raws, err
	}
	return raws, p.quit()
}

const login = "+OK hi\r\n+OK\r\nUIDL\r\nPIPELINING\r\n.\r\n+OK\r\n+OK\r\n"

func TestConversations(t *testing.T) {
	for name, tc := range map[string]struct {
		answers string
		want    []string
		err     error // nil accepts any error when fails
		fails   bool
	}{
		"two mails with dots": {
			answers: login + "+OK\r\n1 10\r\n2 5\r\n.\r\n+OK\r\n1 a\r\n2 b\r\n.\r\n" +
				"+OK\r\n..hidden\r\nx..y\r\n...\r\n.\r\n+OK\r\nbare\nline\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n",
			want: []string{".hidden\r\nx..y\r\n..\r\n", "bare\nline\r\n"},
		},
		"empty mailbox":        {answers: login + "+OK\r\n.\r\n+OK\r\n.\r\n+OK\r\n"},
		"empty mail":           {answers: login + "+OK\r\n1 0\r\n.\r\n+OK\r\n1 a\r\n.\r\n+OK\r\n.\r\n+OK\r\n+OK\r\n", want: []string{""}},
		"refused mail goes on": {answers: login + "+OK\r\n1 1\r\n2 1\r\n.\r\n-ERR no\r\n-ERR gone\r\n+OK\r\nhi\r\n.\r\n-ERR\r\n+OK\r\n+OK\r\n", want: []string{"", "hi\r\n"}},
		"wrong password":       {answers: "+OK\r\n-ERR\r\n+OK\r\n-ERR [AUTH] no\r\n", fails: true},
		"no POP3":              {answers: "220 smtp\r\n", err: errProtocol, fails: true},
		"numbers twice":        {answers: login + "+OK\r\n1 1\r\n1 1\r\n.\r\n", err: errProtocol, fails: true},
		"number zero":          {answers: login + "+OK\r\n0 1\r\n.\r\n", err: errProtocol, fails: true},
		"negative size":        {answers: login + "+OK\r\n1 -5\r\n.\r\n", err: errProtocol, fails: true},
		"UIDL of no mail":      {answers: login + "+OK\r\n1 1\r\n.\r\n+OK\r\n2 a\r\n.\r\n", err: errProtocol, fails: true},
		"endless line":         {answers: "+OK " + strings.Repeat("x", 70_000) + "\r\n", fails: true},
		"long line":            {answers: "+OK " + strings.Repeat("x", 2_000) + "\r\n", err: errProtocol, fails: true},
		"mail too large":       {answers: login + "+OK\r\n1 9\r\n.\r\n+OK\r\n1 a\r\n.\r\n+OK\r\n" + strings.Repeat("x", 5000) + "\r\n.\r\n", err: errTooLarge, fails: true},
		"cut in a mail":        {answers: login + "+OK\r\n1 9\r\n.\r\n+OK\r\n1 a\r\n.\r\n+OK\r\nhalf", fails: true},
		"silent":               {answers: "", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := scripted([]byte(tc.answers), 4096)
			got, err := converse(t.Context(), c)
			if (err != nil) != tc.fails || tc.err != nil && !errors.Is(err, tc.err) {
				t.Fatalf("error %v", err)
			}
			if tc.fails {
				return
			}
			if len(got) != len(tc.want) {
				t.Fatalf("got %q", got)
			}
			for i, w := range tc.want {
				if string(got[i]) != w {
					t.Errorf("mail %d: %q, want %q", i, got[i], w)
				}
			}
		})
	}
}

func TestTwoMailsWithOneUIDLAreNotTakenForOne(t *testing.T) {
	c := scripted([]byte(login+"+OK\r\n1 1\r\n2 1\r\n.\r\n+OK\r\n1 same\r\n2 same\r\n.\r\n"), 4096)
	p, err := dialPOP(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	mails, err := p.list()
	if err != nil || mails[0].uidl != "same" || mails[1].uidl != "" {
		t.Errorf("%+v %v", mails, err)
	}
}

func TestPlainTextStaysOnTheMachine(t *testing.T) {
	for addr, ok := range map[string]bool{"127.0.0.1:110": true, "[::1]:110": true, "localhost:110": true, "10.0.0.1:110": false, "kim.example:110": false, "nonsense": false} {
		if err := (popConfig{addr: addr, security: PlainText}).check(); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if err := (popConfig{addr: "kim.example:995", security: TLS, password: "a\r\nDELE 1"}).check(); err == nil {
		t.Error("a line break in a password was accepted")
	}
}

func TestPasswordsDoNotReachErrors(t *testing.T) {
	c := scripted([]byte("+OK\r\n-ERR\r\n-ERR unknown user topsecret\r\n"), 4096)
	c.user, c.password = "secretuser", "secretpassword"
	_, err := dialPOP(t.Context(), c)
	if err == nil || strings.Contains(err.Error(), "secretuser") || strings.Contains(err.Error(), "secretpassword") {
		t.Errorf("%v", err)
	}
}

func TestMailKeepsLongLinesAcrossBuffers(t *testing.T) {
	body := strings.Repeat("y", 200_000) + "\r\n.x\r\n"
	stuffed := strings.ReplaceAll(body, "\n.", "\n..")
	p := &popConn{r: bufio.NewReaderSize(strings.NewReader(stuffed+".\r\n"), 64<<10), max: 1 << 20}
	got, err := p.mail(10)
	if err != nil || string(got) != body {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// FuzzConversation lets a hostile server say anything: no panic, no hang, no
// memory beyond the limits, and a mail is only what stood between reply and dot.
func FuzzConversation(f *testing.F) {
	f.Add([]byte(login + "+OK\r\n1 10\r\n2 5\r\n.\r\n+OK\r\n1 a\r\n2 b\r\n.\r\n+OK\r\n..hidden\r\n.\r\n+OK\r\nline\r\n.\r\n+OK\r\n+OK\r\n+OK\r\n"))
	f.Add([]byte("+OK\r\n-ERR\r\n+OK\r\n+OK\r\n+OK\r\n.\r\n-ERR\r\n+OK\r\n"))
	f.Add([]byte(login + "+OK\r\n1 999999999999\r\n.\r\n"))
	f.Fuzz(func(t *testing.T, answers []byte) {
		c := scripted(answers, 2048)
		got, err := converse(t.Context(), c)
		for _, raw := range got {
			if len(raw) > 2048 {
				t.Errorf("a mail of %d bytes passed the limit", len(raw))
			}
		}
		if err == nil && !bytes.HasPrefix(answers, []byte("+OK")) {
			t.Errorf("a session succeeded with %.40q", answers)
		}
	})
}
