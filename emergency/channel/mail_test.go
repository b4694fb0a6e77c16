package channel_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"leitstand/emergency/channel"
)

// mailServer is a small mail server on loopback: SMTP in, POP3 out, one maildrop
// for each user, who is called like the address.
type mailServer struct {
	smtp, pop3 string
	mu         sync.Mutex
	boxes      map[string][]string
}

func (s *mailServer) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{server: s}, nil }

type session struct {
	server *mailServer
	to     string
}

func (s *session) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *session) Reset()                                    {}
func (s *session) Logout() error                             { return nil }
func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.boxes[s.to] = append(s.server.boxes[s.to], string(b))
	return err
}

func newMailServer(t *testing.T) *mailServer {
	t.Helper()
	s := &mailServer{boxes: map[string][]string{}}
	in, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	out, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.smtp, s.pop3 = in.Addr().String(), out.Addr().String()
	server := smtp.NewServer(s)
	server.Domain = "localhost"
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(in) })
	wg.Go(func() {
		for {
			conn, err := out.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.pop(conn) })
		}
	})
	t.Cleanup(func() {
		_ = server.Close()
		_ = out.Close()
		wg.Wait()
	})
	return s
}

// pop is one POP3 session: RFC 1939 as far as the client needs it.
func (s *mailServer) pop(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	c := textproto.NewConn(conn)
	user, gone := "", map[int]bool{}
	_ = c.PrintfLine("+OK")
	for {
		line, err := c.ReadLine()
		if err != nil {
			return // without QUIT nothing is removed
		}
		verb, arg, _ := strings.Cut(line, " ")
		s.mu.Lock()
		box := s.boxes[user]
		s.mu.Unlock()
		var n int
		_, _ = fmt.Sscan(arg, &n)
		switch {
		case verb == "USER":
			user = arg
			_ = c.PrintfLine("+OK")
		case verb == "PASS" && arg != "geheim":
			_ = c.PrintfLine("-ERR wrong")
		case verb == "STAT":
			_ = c.PrintfLine("+OK %d 1", len(box))
		case verb == "RETR" && n > 0 && n <= len(box):
			_ = c.PrintfLine("+OK")
			w := c.DotWriter()
			_, _ = io.WriteString(w, box[n-1])
			_ = w.Close()
		case verb == "DELE":
			gone[n] = true
			_ = c.PrintfLine("+OK")
		case verb == "QUIT":
			s.mu.Lock()
			var left []string
			for i, mail := range s.boxes[user] {
				if !gone[i+1] {
					left = append(left, mail)
				}
			}
			s.boxes[user] = left
			s.mu.Unlock()
			_ = c.PrintfLine("+OK")
			return
		default:
			_ = c.PrintfLine("+OK")
		}
	}
}

func TestKIMMailGoesOverSMTPAndPOP3(t *testing.T) {
	s := newMailServer(t)
	s.boxes[theirMail] = []string{"Subject: Werbung\r\n\r\nfremde Post\r\n"}
	w := newWorld(t, 10)
	ours, theirs := kims(t, w, &mailHouse{})
	ours.Post = &channel.Mailbox{SMTP: s.smtp, POP3: s.pop3, User: ourMail, Password: "geheim", Plain: true}
	theirs.Post = &channel.Mailbox{SMTP: s.smtp, POP3: s.pop3, User: theirMail, Password: "geheim", Plain: true}
	w.through(t, ours, theirs)
	if len(s.boxes[theirMail]) != 1 || len(s.boxes[ourMail]) != 0 {
		t.Errorf("left: %q", s.boxes)
	}
	wrong := &channel.Mailbox{SMTP: s.smtp, POP3: s.pop3, User: ourMail, Password: "falsch", Plain: true}
	err := wrong.Fetch(t.Context(), func([]byte) error { return nil })
	if err == nil || strings.Contains(err.Error(), "falsch") {
		t.Errorf("a wrong password: %v", err)
	}
	far := &channel.Mailbox{SMTP: "192.0.2.1:25", POP3: "192.0.2.1:110", Plain: true}
	if err := far.Send(t.Context(), ourMail, theirMail, nil); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("mail in clear beyond this machine: %v", err)
	}
}

func TestAMailboxThatBreaksOffLosesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(conn)
			_, _ = io.WriteString(conn, "+OK\r\n")
			for _, answer := range []string{"+OK", "+OK", "+OK 2 100", "+OK\r\nSubject: a\r\n\r\nhalb"} {
				_, _ = r.ReadString('\n')
				_, _ = io.WriteString(conn, answer+"\r\n")
			}
			_ = conn.Close()
		}
	}()
	box := &channel.Mailbox{POP3: l.Addr().String(), User: "a", Plain: true}
	kept := 0
	if err := box.Fetch(t.Context(), func([]byte) error { kept++; return nil }); err == nil || kept != 0 {
		t.Errorf("half a mail was kept: %d, %v", kept, err)
	}
}
