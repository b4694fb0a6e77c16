package exercise

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"
)

// smtpSession takes mails on one connection.
type smtpSession struct {
	server *mailServer
	peer   string
	from   string
	to     []string
	drops  []*maildrop
}

func (s *mailServer) newSession(c *smtp.Conn) (smtp.Session, error) {
	peer := c.Conn().RemoteAddr().String()
	if err := checkLoopback(peer); err != nil {
		return nil, &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "exercise: loopback only"}
	}
	return &smtpSession{server: s, peer: peer}, nil
}

// Mail takes senders of the exercise and the empty sender of reports (RFC 5321 §4.5.5).
func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	if from != "" && !inExercise(from) {
		s.server.refused.Add(1)
		return foreign(from)
	}
	s.from = from
	return nil
}

// Rcpt takes addresses that have a maildrop here.
func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if !inExercise(to) {
		s.server.refused.Add(1)
		return foreign(to)
	}
	d := s.server.drop(to)
	if d == nil {
		s.server.refused.Add(1)
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "exercise: no such mailbox"}
	}
	s.to, s.drops = append(s.to, to), append(s.drops, d)
	return nil
}

func foreign(addr string) error {
	_, domain, _ := strings.Cut(addr, "@")
	return &smtp.SMTPError{
		Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1},
		Message: fmt.Sprintf("exercise: %q is a foreign domain, only %s is served", domain, MailDomain),
	}
}

// Data stores the mail in every maildrop; after nil it survives a power cut.
func (s *smtpSession) Data(r io.Reader) error {
	var b bytes.Buffer
	b.Grow(48 << 10)
	s.trace(&b)
	if _, err := b.ReadFrom(r); err != nil {
		return err // cut off, or too large: go-smtp knows the answer
	}
	if !bytes.HasSuffix(b.Bytes(), []byte("\r\n")) {
		b.WriteString("\r\n")
	}
	for _, d := range s.drops {
		if err := d.deliver(b.Bytes()); err != nil {
			return deliveryAnswer(err)
		}
	}
	s.server.received.Add(1)
	return nil
}

// trace writes the header lines of the server (RFC 5321 §4.4) and the mark of the exercise.
func (s *smtpSession) trace(b *bytes.Buffer) {
	fmt.Fprintf(b, "Return-Path: <%s>\r\nReceived: from %s by mail.%s with ESMTP; %s\r\n",
		s.from, "["+strings.Trim(s.peer[:strings.LastIndexByte(s.peer, ':')], "[]")+"]", MailDomain,
		time.Now().Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	for _, to := range s.to {
		fmt.Fprintf(b, "Delivered-To: %s\r\n", to)
	}
	b.WriteString(exerciseHeader)
}

// exerciseHeader marks every mail of an exercise, whatever its sender wrote.
const exerciseHeader = "X-Uebung: =?utf-8?q?=C3=9CBUNG=3A_Testdaten=2C_keine_echte_Bescheinigung?=\r\n"

// deliveryAnswer lets the sender try again: nothing here is the mail's fault.
func deliveryAnswer(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "exercise: the disk is full, try again later"}
	}
	return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "exercise: mail could not be stored, try again later"}
}

// Reset forgets the mail under way.
func (s *smtpSession) Reset() { s.from, s.to, s.drops = "", nil, nil }

// Logout has nothing to release.
func (s *smtpSession) Logout() error { return nil }
