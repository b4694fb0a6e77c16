package exercise

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// smtpClient sends mail as practice software does: one connection, commands of a
// mail pipelined where RFC 2920 allows it. It is not the library behind the
// server, so that the two cannot share a mistake.
type smtpClient struct {
	conn net.Conn
	text *textproto.Reader
	w    *bufio.Writer
}

// smtpTimeout bounds each answer.
const smtpTimeout = time.Minute

// smtpRefusal is an answer other than the one that was hoped for.
type smtpRefusal struct {
	Code int
	Text string
}

func (e *smtpRefusal) Error() string { return fmt.Sprintf("%d %s", e.Code, e.Text) }

// temporary tells that the same mail may be taken later.
func (e *smtpRefusal) temporary() bool { return e.Code/100 == 4 }

// dialSMTP connects and greets.
func dialSMTP(ctx context.Context, addr, name string) (*smtpClient, error) {
	conn, err := dialLoopback(ctx, addr)
	if err != nil {
		return nil, err
	}
	c := &smtpClient{conn: conn, text: textproto.NewReader(bufio.NewReader(conn)), w: bufio.NewWriterSize(conn, 64<<10)}
	if err = c.deadline(); err == nil {
		_, err = c.answer(220)
	}
	if err == nil {
		err = c.say("EHLO " + name + "\r\n")
	}
	var extensions string
	if err == nil {
		extensions, err = c.answer(250)
	}
	if err == nil && !strings.Contains(extensions, "PIPELINING") {
		err = errors.New("the mail server does not take pipelined commands")
	}
	if err != nil {
		return nil, fmt.Errorf("greeting mail server %q: %w", addr, errors.Join(err, conn.Close()))
	}
	return c, nil
}

// send sends one mail. unsure is true when the answer to the whole mail got
// lost: the server may have it. An error that is no *smtpRefusal leaves the
// connection unusable.
func (c *smtpClient) send(from, to string, mail []byte) (unsure bool, err error) {
	if strings.ContainsAny(from+to, "<>\r\n ") {
		return false, fmt.Errorf("%q or %q is no mail address", from, to)
	}
	if err := c.say("MAIL FROM:<" + from + ">\r\nRCPT TO:<" + to + ">\r\nDATA\r\n"); err != nil {
		return false, err
	}
	// All three are answered, whatever the first says (RFC 2920 §3.1).
	_, err = c.answer(250)
	_, err2 := c.answer(250)
	_, err3 := c.answer(354)
	var refusal *smtpRefusal
	if err := firstError(err, err2, err3); err != nil {
		if err3 == nil { // it waits for a mail now: give the connection up
			return false, fmt.Errorf("the mail server wants a mail although it said %q", err.Error())
		}
		if !errors.As(err, &refusal) || !errors.As(err3, &refusal) {
			return false, err
		}
		return false, errors.Join(c.reset(), err)
	}
	c.stuff(mail)
	if err := c.say(".\r\n"); err != nil {
		return false, err // without the last line the server cannot have taken it
	}
	if _, err := c.answer(250); err != nil {
		return !errors.As(err, &refusal), err
	}
	return false, nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// reset clears a half-accepted envelope, so that the connection can go on.
func (c *smtpClient) reset() error {
	if err := c.say("RSET\r\n"); err != nil {
		return err
	}
	_, err := c.answer(250)
	return err
}

// stuff writes the mail with a dot before every dot that begins a line, and ends
// its last line (RFC 5321 §4.5.2). say reports the error.
func (c *smtpClient) stuff(mail []byte) {
	rest := mail
	if bytes.HasPrefix(rest, []byte(".")) {
		_ = c.w.WriteByte('.')
	}
	for {
		at := bytes.Index(rest, []byte("\n."))
		if at < 0 {
			break
		}
		_, _ = c.w.Write(rest[:at+1])
		_ = c.w.WriteByte('.')
		rest = rest[at+1:]
	}
	_, _ = c.w.Write(rest)
	if !bytes.HasSuffix(mail, []byte("\r\n")) {
		_, _ = c.w.WriteString("\r\n")
	}
}

func (c *smtpClient) deadline() error { return c.conn.SetDeadline(time.Now().Add(smtpTimeout)) }

func (c *smtpClient) say(text string) error {
	if err := c.deadline(); err != nil {
		return err
	}
	if _, err := c.w.WriteString(text); err != nil {
		return err
	}
	return c.w.Flush()
}

func (c *smtpClient) answer(want int) (string, error) {
	code, text, err := c.text.ReadResponse(0)
	var protocol *textproto.Error
	switch {
	case errors.As(err, &protocol), err == nil && code != want:
		return "", &smtpRefusal{Code: code, Text: text}
	case err != nil:
		return "", err
	}
	return text, nil
}

func (c *smtpClient) close() { _ = c.conn.Close() } // nothing is under way, or it is given up
