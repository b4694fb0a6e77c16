package sicknote

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Security says how a POP3 connection is protected.
type Security string

// The ways. Without protection only a loopback address is dialled, which is
// where a Clientmodul sits.
const (
	PlainText Security = "plain"
	StartTLS  Security = "stls"
	TLS       Security = "tls"
)

// Errors of a POP3 conversation that the poller decides on.
var (
	errTooLarge = errors.New("mail is larger than the limit")
	errLies     = errors.New("server sends far more than it announced")
	errProtocol = errors.New("server does not speak POP3")
	errGone     = errors.New("server refuses to give the mail")
)

// serverError is a refusal (-ERR). Its text is shortened and holds no control characters.
type serverError struct {
	command string
	text    string
}

func (e *serverError) Error() string { return fmt.Sprintf("%s: server says %q", e.command, e.text) }

// Bounds of what a server may make us keep, see RFC 1939 §3 and RFC 2449 §4.
const (
	maxLine    = 1024    // of a reply or listing, octets
	maxListing = 500_000 // mails in a mailbox; more are seen when these are fetched
	maxCapas   = 200
)

// popConfig is what a connection needs to know.
type popConfig struct {
	addr     string
	security Security
	tls      *tls.Config
	user     string
	password string
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	idle     time.Duration // longest silence of the server
	total    time.Duration // longest session
	maxMail  int64
}

// popConn is one session. After any error but a *serverError it is of no use.
type popConn struct {
	conn  net.Conn
	r     *bufio.Reader
	idle  time.Duration
	end   time.Time // of the session
	max   int64
	pipes bool // RFC 2449 §6.6
}

// dialPOP connects and logs in: greeting, CAPA, TLS where asked for, USER and PASS.
func dialPOP(ctx context.Context, c popConfig) (*popConn, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, "tcp", c.addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", c.addr, err)
	}
	p := &popConn{conn: conn, idle: c.idle, end: time.Now().Add(c.total), max: c.maxMail}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // wakes a waiting read
	defer stop()
	if err := p.login(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("logging in to %s: %w", c.addr, err), ctx.Err(), conn.Close())
	}
	return p, nil
}

func (c popConfig) check() error {
	if strings.ContainsAny(c.user+c.password, "\r\n\x00") {
		return errors.New("user or password holds a line break")
	}
	switch c.security {
	case StartTLS, TLS:
		return nil
	case PlainText:
		host, _, err := net.SplitHostPort(c.addr)
		if err != nil {
			return fmt.Errorf("address %q: %w", c.addr, err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("%s is no loopback address: use tls or stls", c.addr)
		}
		return nil
	}
	return fmt.Errorf("security %q is none of plain, stls, tls", c.security)
}

func (p *popConn) login(ctx context.Context, c popConfig) error {
	if c.security == TLS {
		if err := p.startTLS(ctx, c); err != nil {
			return err
		}
	}
	p.reader()
	if _, err := p.reply("greeting"); err != nil {
		return err
	}
	caps, err := p.capabilities()
	if err != nil {
		return err
	}
	if c.security == StartTLS {
		if _, err := p.command("STLS"); err != nil {
			return err
		}
		if p.r.Buffered() > 0 { // what came before the handshake is not the server's word
			return fmt.Errorf("bytes after the answer to STLS: %w", errProtocol)
		}
		if err := p.startTLS(ctx, c); err != nil {
			return err
		}
		p.reader()
		if caps, err = p.capabilities(); err != nil { // RFC 2595 §4: forget what was said in clear
			return err
		}
	}
	p.pipes = caps["PIPELINING"]
	if _, err := p.command("USER " + c.user); err != nil {
		return hide(err, "USER")
	}
	_, err = p.command("PASS " + c.password)
	return hide(err, "PASS")
}

// hide keeps user and password out of errors.
func hide(err error, command string) error {
	if e, ok := errors.AsType[*serverError](err); ok {
		return &serverError{command: command, text: e.text}
	}
	return err
}

func (p *popConn) startTLS(ctx context.Context, c popConfig) error {
	config := c.tls.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(c.addr)
		if err != nil {
			return fmt.Errorf("address %q: %w", c.addr, err)
		}
		config.ServerName = host
	}
	conn := tls.Client(p.conn, config)
	ctx, cancel := context.WithTimeout(ctx, p.idle)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	p.conn = conn
	return nil
}

// certificateEnd is when the first certificate that the server showed ends.
func (p *popConn) certificateEnd() (end time.Time) {
	conn, ok := p.conn.(*tls.Conn)
	if !ok {
		return end
	}
	for _, c := range conn.ConnectionState().PeerCertificates {
		if end.IsZero() || c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

func (p *popConn) reader() { p.r = bufio.NewReaderSize(&idleReader{p}, 64<<10) }

// idleReader gives every read a deadline: the server may not be silent for long,
// and the session not go on for ever, byte by byte.
type idleReader struct{ p *popConn }

func (r *idleReader) Read(b []byte) (int, error) {
	deadline := time.Now().Add(r.p.idle)
	if r.p.end.Before(deadline) {
		deadline = r.p.end
	}
	if err := r.p.conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return r.p.conn.Read(b)
}

func (p *popConn) send(text string) error {
	if err := p.conn.SetWriteDeadline(time.Now().Add(p.idle)); err != nil {
		return err
	}
	_, err := p.conn.Write([]byte(text))
	return err
}

// command sends a line and reads the one-line reply.
func (p *popConn) command(line string) (string, error) {
	if err := p.send(line + "\r\n"); err != nil {
		return "", fmt.Errorf("%s: %w", verb(line), err)
	}
	return p.reply(verb(line))
}

func verb(line string) string {
	v, _, _ := strings.Cut(line, " ")
	return v
}

// reply reads "+OK …" or "-ERR …".
func (p *popConn) reply(command string) (string, error) {
	line, err := p.line()
	if err != nil {
		return "", fmt.Errorf("%s: %w", command, err)
	}
	if text, ok := strings.CutPrefix(line, "+OK"); ok {
		return strings.TrimSpace(text), nil
	}
	if text, ok := strings.CutPrefix(line, "-ERR"); ok {
		return "", &serverError{command: command, text: printable(text)}
	}
	return "", fmt.Errorf("%s: reply %q: %w", command, printable(line), errProtocol)
}

// line reads one line without its end.
func (p *popConn) line() (string, error) {
	b, err := p.r.ReadSlice('\n')
	if err != nil {
		return "", err // ErrBufferFull is a line far too long
	}
	if len(b) > maxLine {
		return "", fmt.Errorf("line of %d octets: %w", len(b), errProtocol)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, strings.TrimSpace(s))
	return s[:min(len(s), 120)]
}

// multi reads the lines of a multi-line reply, up to a number of them.
func (p *popConn) multi(command string, most int, each func(line string) error) error {
	for n := 0; ; n++ {
		line, err := p.line()
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		if line == "." {
			return nil
		}
		if n >= most {
			return fmt.Errorf("%s: more than %d lines: %w", command, most, errProtocol)
		}
		if err := each(strings.TrimPrefix(line, ".")); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
	}
}

// capabilities asks with CAPA; a server without the command has none (RFC 2449 §5).
func (p *popConn) capabilities() (map[string]bool, error) {
	caps := map[string]bool{}
	_, err := p.command("CAPA")
	if refused := (*serverError)(nil); errors.As(err, &refused) {
		return caps, nil
	}
	if err != nil {
		return nil, err
	}
	return caps, p.multi("CAPA", maxCapas, func(line string) error {
		caps[strings.ToUpper(verb(line))] = true
		return nil
	})
}

// listed is a mail on the server.
type listed struct {
	number int
	size   int64  // as the server says; it may lie
	uidl   string // "" when the server has no UIDL
}

// list returns the mails of the mailbox by number.
func (p *popConn) list() ([]listed, error) {
	if _, err := p.command("LIST"); err != nil {
		return nil, err
	}
	var mails []listed
	at := map[int]int{}
	err := p.multi("LIST", maxListing, func(line string) error {
		number, rest, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		size, err2 := strconv.ParseInt(verb(rest), 10, 64)
		if _, twice := at[n]; err != nil || err2 != nil || n < 1 || size < 0 || twice {
			return fmt.Errorf("line %q: %w", printable(line), errProtocol)
		}
		at[n] = len(mails)
		mails = append(mails, listed{number: n, size: size})
		return nil
	})
	if err != nil {
		return nil, err
	}
	_, err = p.command("UIDL")
	if refused := (*serverError)(nil); errors.As(err, &refused) {
		return mails, nil // optional in RFC 1939 §7
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	return mails, p.multi("UIDL", maxListing, func(line string) error {
		number, uidl, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		i, known := at[n]
		if err != nil || !known || uidl == "" || len(uidl) > 200 {
			return fmt.Errorf("line %q: %w", printable(line), errProtocol)
		}
		if !seen[uidl] { // a UIDL that two mails share names neither
			mails[i].uidl, seen[uidl] = uidl, true
		}
		return nil
	})
}

// retrieve reads mails in order and hands each to fn; with pipelining all
// commands leave together. fn gets errGone when the server refuses one mail. Any
// error ends the session; the mails already handed over are whole.
func (p *popConn) retrieve(mails []listed, fn func(m listed, raw []byte, err error)) error {
	announced := int64(0)
	for _, m := range mails {
		announced += m.size
	}
	budget := 2*announced + 1<<20 // dots and line ends add little; more is a lie
	read := func(m listed) error {
		if _, err := p.reply("RETR"); err != nil {
			if refused := (*serverError)(nil); errors.As(err, &refused) {
				fn(m, nil, fmt.Errorf("%w: %w", errGone, err))
				return nil
			}
			return err
		}
		raw, err := p.mail(m.size)
		if err != nil {
			return fmt.Errorf("RETR %d: %w", m.number, err)
		}
		fn(m, raw, nil)
		if budget -= int64(len(raw)); budget < 0 && len(mails) > 1 {
			return fmt.Errorf("RETR: %w", errLies)
		}
		return nil
	}
	return p.each("RETR", mails, read)
}

// delete marks mails as deleted; the server does it at QUIT. A refusal leaves
// the mail there, it is recognised when it comes again.
func (p *popConn) delete(mails []listed) (deleted int, err error) {
	err = p.each("DELE", mails, func(listed) error {
		_, err := p.reply("DELE")
		if refused := (*serverError)(nil); errors.As(err, &refused) {
			return nil
		}
		if err == nil {
			deleted++
		}
		return err
	})
	return deleted, err
}

// each sends one command per mail and lets read take the reply, pipelined if possible.
func (p *popConn) each(command string, mails []listed, read func(listed) error) error {
	line := func(m listed) string { return command + " " + strconv.Itoa(m.number) + "\r\n" }
	if p.pipes {
		var all strings.Builder
		for _, m := range mails {
			all.WriteString(line(m))
		}
		if err := p.send(all.String()); err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
	}
	for _, m := range mails {
		if !p.pipes {
			if err := p.send(line(m)); err != nil {
				return fmt.Errorf("%s: %w", command, err)
			}
		}
		if err := read(m); err != nil {
			return err
		}
	}
	return nil
}

// mail reads the lines of a mail up to the final dot, with dot-stuffing undone.
// Line ends stay as they came.
func (p *popConn) mail(announced int64) ([]byte, error) {
	raw := make([]byte, 0, min(max(announced, 512)+256, 128<<10))
	start := true // of a line
	for {
		b, err := p.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		whole := err == nil
		if start && len(b) > 0 && b[0] == '.' {
			if whole && (len(b) == 2 || len(b) == 3 && b[1] == '\r') {
				return raw, nil
			}
			b = b[1:]
		}
		if int64(len(raw)+len(b)) > p.max {
			return nil, errTooLarge
		}
		raw = append(raw, b...)
		start = whole
	}
}

// quit ends the session; the server deletes what was marked. A *serverError
// says that some of it is still there (RFC 1939 §6).
func (p *popConn) quit() error {
	_, err := p.command("QUIT")
	_ = p.conn.Close() // the server has said goodbye already, or the session is broken
	return err
}

// abandon ends the session without deleting anything.
func (p *popConn) abandon() { _ = p.conn.Close() } // nothing depends on it
