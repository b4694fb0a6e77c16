package exercise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

// MailConfig configures the mail server.
type MailConfig struct {
	// Dir is where the maildrops lie, one directory each, all on one file system.
	Dir string `json:"dir"`
	// SMTP and POP3 are loopback addresses; empty means any free port.
	SMTP string `json:"smtp,omitempty"`
	POP3 string `json:"pop3,omitempty"`
	// Maildrops are named by a whole address, "eau@109938503.uebung.invalid", or
	// by a domain, which then takes all its addresses. The name is the POP3 user.
	Maildrops []string `json:"maildrops"`
	// Password opens every maildrop.
	Password string `json:"password"`
	// MaxBytes bounds one mail; 0 means 25 MiB.
	MaxBytes int64 `json:"max_bytes,omitempty"`
}

// MailFault makes the POP3 side of a maildrop misbehave (command "fault" of the
// mail server). The zero value, but for the name, ends all faults.
type MailFault struct {
	Maildrop string `json:"maildrop"`
	// DelayMS slows every answer down, milliseconds of real time.
	DelayMS int `json:"delay_ms,omitempty"`
	// CutAt cuts the connection instead of answering this command: "RETR", "QUIT" …
	CutAt string `json:"cut_at,omitempty"`
	// CutAfter cuts each mail after so many octets, and the connection with it.
	CutAfter int `json:"cut_after,omitempty"`
	// LieBy is added to every size in STAT, LIST and RETR.
	LieBy int64 `json:"lie_by,omitempty"`
	// Times is how often CutAt and CutAfter strike; 0 means always.
	Times int `json:"times,omitempty"`
}

// mailServer is the mail server of an exercise: it takes mail by SMTP for the
// maildrops it knows and gives it away by POP3. A mail is acknowledged when it
// is durable. It forwards nothing and knows no other server.
type mailServer struct {
	config MailConfig
	drops  map[string]*maildrop // by lower-case name; fixed after start

	smtp     *smtp.Server
	smtpIn   net.Listener
	smtpAddr string
	pop3     net.Listener
	wg       sync.WaitGroup
	stopped  chan struct{}

	mu     sync.Mutex
	faults map[string]*MailFault
	conns  map[net.Conn]bool

	received, refused, retrieved, deleted atomic.Int64
}

// startMail opens the maildrops and listens.
func startMail(ctx context.Context, c MailConfig) (*mailServer, error) {
	if c.Dir == "" || c.Password == "" || len(c.Maildrops) == 0 {
		return nil, errors.New("the mail server needs a directory, a password and maildrops")
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 25 << 20
	}
	s := &mailServer{
		config: c, drops: make(map[string]*maildrop, len(c.Maildrops)), stopped: make(chan struct{}),
		faults: make(map[string]*MailFault), conns: make(map[net.Conn]bool),
	}
	start := startMark()
	pool, err := openPool(filepath.Join(c.Dir, "pool"), start)
	if err != nil {
		return nil, err
	}
	for _, name := range c.Maildrops {
		name = strings.ToLower(name)
		if !inExercise(name) && !inExercise("any@"+name) || strings.ContainsAny(name, "/\\ \r\n") {
			return nil, fmt.Errorf("maildrop %q does not lie under %s", name, MailDomain)
		}
		drop, err := openMaildrop(filepath.Join(c.Dir, name), start, pool)
		if err != nil {
			return nil, err
		}
		s.drops[name] = drop
	}
	return s, s.listen(ctx)
}

func (s *mailServer) listen(ctx context.Context) error {
	in, err := listenLoopback(ctx, s.config.SMTP)
	if err != nil {
		return err
	}
	if s.pop3, err = listenLoopback(ctx, s.config.POP3); err != nil {
		return errors.Join(err, in.Close())
	}
	s.smtpIn, s.smtpAddr = in, in.Addr().String()
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.newSession))
	s.smtp.Domain = "mail." + MailDomain
	s.smtp.MaxMessageBytes = s.config.MaxBytes
	s.smtp.MaxRecipients = 10
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = 5*time.Minute, time.Minute
	s.smtp.EnableDSN = true // taken and not acted on: a durable 250 is all the proof an exercise needs
	s.smtp.ErrorLog = log.New(io.Discard, "", 0)
	s.wg.Go(func() { _ = s.smtp.Serve(in) }) // ends with an error when stopped, always
	s.wg.Go(s.servePOP3)
	return nil
}

// drop finds the maildrop of an address: the address itself, else its domain.
func (s *mailServer) drop(addr string) *maildrop {
	addr = strings.ToLower(addr)
	if d := s.drops[addr]; d != nil {
		return d
	}
	_, domain, _ := strings.Cut(addr, "@")
	return s.drops[domain]
}

func (s *mailServer) advance(context.Context, time.Time) error { return nil }

func (s *mailServer) command(_ context.Context, do string, config json.RawMessage) error {
	if do != "fault" {
		return errUnknownCommand
	}
	var f MailFault
	if err := decodeStrict(config, &f); err != nil {
		return err
	}
	return s.setFault(f)
}

func (s *mailServer) setFault(f MailFault) error {
	name := strings.ToLower(f.Maildrop)
	if s.drops[name] == nil {
		return fmt.Errorf("there is no maildrop %q", f.Maildrop)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[name] = &f
	return nil
}

// fault is what a maildrop suffers from now on.
func (s *mailServer) fault(name string) MailFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.faults[name]; f != nil {
		return *f
	}
	return MailFault{}
}

// struck counts a cut that happened.
func (s *mailServer) struck(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.faults[name]
	if f == nil || f.Times == 0 {
		return
	}
	if f.Times--; f.Times == 0 {
		f.CutAt, f.CutAfter = "", 0
	}
}

func (s *mailServer) counts() Counts {
	waiting := int64(0)
	for _, d := range s.drops {
		waiting += int64(d.waiting())
	}
	return Counts{
		"mail_received": s.received.Load(), "mail_refused": s.refused.Load(),
		"mail_retrieved": s.retrieved.Load(), "mail_deleted": s.deleted.Load(), "mail_waiting": waiting,
	}
}

func (s *mailServer) addresses() map[string]string {
	return map[string]string{"smtp": s.smtpAddr, "pop3": s.pop3.Addr().String()}
}

// stop closes all connections and waits. Mail under way was not acknowledged.
func (s *mailServer) stop() error {
	close(s.stopped)
	err := errors.Join(s.smtp.Close(), s.pop3.Close())
	// The SMTP server knows its listener only once it serves, which may not have begun.
	if e := s.smtpIn.Close(); !errors.Is(e, net.ErrClosed) {
		err = errors.Join(err, e)
	}
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close() // its session ends with the read that fails
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}
