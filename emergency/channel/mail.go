package channel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mailbox is a [Post] over SMTP and POP3 (RFC 5321, RFC 1939), normally of a
// Clientmodul in the same room. Without TLS only loopback is dialled.
type Mailbox struct {
	SMTP, POP3     string // host:port
	User, Password string // of both
	TLS            *tls.Config
	Plain          bool // no TLS; loopback only
	Dial           func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Bounds of one session.
const (
	mailTimeout = 2 * time.Minute
	maxMail     = 64 << 20
)

// ErrMailServer says that a server refused or did not keep to the protocol.
var ErrMailServer = errors.New("the mail server refused")

func (m *Mailbox) dial(ctx context.Context, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); m.Plain && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%s is no loopback address: use TLS", addr)
	}
	dial := m.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	conn, err := dial(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", addr, err)
	}
	_ = conn.SetDeadline(time.Now().Add(mailTimeout))
	if m.Plain {
		return conn, nil
	}
	config := m.TLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	return tls.Client(conn, config), nil
}

// Send hands one mail to the server.
func (m *Mailbox) Send(ctx context.Context, from, to string, mail []byte) error {
	conn, err := m.dial(ctx, m.SMTP)
	if err != nil {
		return err
	}
	c := smtp.NewClient(conn)
	defer func() { _ = c.Close() }() // after QUIT, or broken
	if m.User != "" && !m.Plain {
		if err := c.Auth(sasl.NewPlainClient("", m.User, m.Password)); err != nil {
			return fmt.Errorf("logging in to %s: %w", m.SMTP, err)
		}
	}
	if err := c.SendMail(from, []string{to}, bytes.NewReader(mail)); err != nil {
		return fmt.Errorf("handing a mail to %s: %w", m.SMTP, err)
	}
	_ = c.Quit() // the mail has its reply
	return nil
}

// Fetch reads the mailbox. Mails are removed at the end of the session only, so
// that one cut off leaves them.
func (m *Mailbox) Fetch(ctx context.Context, keep func(mail []byte) error) error {
	conn, err := m.dial(ctx, m.POP3)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // wakes a waiting read
	defer stop()
	p := &pop{conn: conn, r: textproto.NewReader(bufio.NewReaderSize(conn, 64<<10))}
	err = p.session(m.User, m.Password, keep)
	return errors.Join(err, ctx.Err(), conn.Close())
}

type pop struct {
	conn net.Conn
	r    *textproto.Reader
}

func (p *pop) session(user, password string, keep func(mail []byte) error) error {
	if _, err := p.reply("greeting"); err != nil {
		return err
	}
	if strings.ContainsAny(user+password, "\r\n\x00") {
		return errors.New("user or password holds a line break")
	}
	if _, err := p.command("USER", user); err != nil {
		return err
	}
	if _, err := p.command("PASS", password); err != nil {
		return err
	}
	stat, err := p.command("STAT", "")
	if err != nil {
		return err
	}
	count, _, _ := strings.Cut(stat, " ")
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return fmt.Errorf("STAT answered %q: %w", stat, ErrMailServer)
	}
	for i := 1; i <= n; i++ {
		mail, err := p.retrieve(i)
		if err != nil {
			return err
		}
		if keep(mail) != nil {
			continue // not ours, or not kept: it stays
		}
		if _, err := p.command("DELE", strconv.Itoa(i)); err != nil {
			return err
		}
	}
	_, err = p.command("QUIT", "") // with it the server removes
	return err
}

// command sends a line and reads its status. What was sent is in no error.
func (p *pop) command(verb, arg string) (string, error) {
	line := verb
	if arg != "" {
		line += " " + arg
	}
	if _, err := io.WriteString(p.conn, line+"\r\n"); err != nil {
		return "", fmt.Errorf("sending %s: %w", verb, err)
	}
	return p.reply(verb)
}

func (p *pop) reply(verb string) (string, error) {
	line, err := p.r.ReadLine()
	if err != nil {
		return "", fmt.Errorf("reading the answer to %s: %w", verb, err)
	}
	status, rest, _ := strings.Cut(line, " ")
	if status != "+OK" {
		return "", fmt.Errorf("%s was answered %.100q: %w", verb, line, ErrMailServer)
	}
	return rest, nil
}

func (p *pop) retrieve(i int) ([]byte, error) {
	if _, err := p.command("RETR", strconv.Itoa(i)); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(p.r.DotReader(), maxMail+1))
	if err == nil && len(b) > maxMail {
		err = fmt.Errorf("it is larger than %d bytes", maxMail)
	}
	if err != nil {
		return nil, fmt.Errorf("reading mail %d: %w", i, err)
	}
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")), nil // DotReader gives bare line feeds
}
