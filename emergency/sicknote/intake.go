package sicknote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/kimmail"
)

// Mailbox is one Kasse's mailbox on a mail server or Clientmodul.
type Mailbox struct {
	Kasse     catalogue.KasseID
	Placement catalogue.PlacementID // of its eAU intake: whose door is obeyed
	IKs       []string              // all IK of the Kasse; the main one need not be named
	Address   string                // the Kasse's KIM address, sender of answers

	Addr     string // host:port of POP3
	Security Security
	TLS      *tls.Config // nil: the system's trust
	User     string
	Password string

	SMTP SMTP // for answers; may be empty as long as none is released

	Keys kimmail.Decrypter // opens enveloped mail; nil behind a Clientmodul
}

func (m *Mailbox) iks() []string { return append([]string{string(m.Kasse)}, m.IKs...) }

// Door says whether a placement is in emergency operation, and under which epoch.
type Door interface {
	EmergencyDoor(p catalogue.PlacementID) (open bool, epoch int64)
}

// Config is what an intake needs. Zero values of the optional fields work.
type Config struct {
	Journals  *emergency.Journals
	Mailboxes []Mailbox
	Door      Door
	Owner     func(catalogue.KasseID) string // who looks after held mail, by name

	Exercise bool           // an exercise room takes test data only, a real one files it apart
	Location *time.Location // of working days; nil is UTC
	Trust    *kimmail.Trust // nil: signatures are checked, signers not
	Check    func(xml []byte, at time.Time) []Fault

	Interval    time.Duration // between two looks into a mailbox; 0 is a minute, more than ten are refused
	Connections int           // most mailboxes at once, 0 is 128
	Idle        time.Duration // longest silence of a server, 0 is 30 s
	Session     time.Duration // longest session, 0 is 5 min
	MaxMail     int64         // larger mails stay on the server; 0 is what KIM admits
	BatchMails  int           // mails per commit, 0 is 32
	BatchBytes  int64         // octets per commit, 0 is 2 MiB

	Log  *slog.Logger
	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil dials TCP

	// Hook is called at the durable steps: "stored", "deleted", "quit", "read",
	// "sending", "sent". An error stops there, as a crash would.
	Hook func(point string) error
}

// Intake fetches, keeps and reads the sick notes of all Kassen.
type Intake struct {
	config Config
	reader reader
	boxes  []*box
	slots  chan struct{} // connections of mailboxes that work
	spare  chan struct{} // connections of mailboxes that failed last time
	cpus   *turns        // of mails being opened and sealed
	stages stages

	mu      sync.Mutex
	refusal *Refusal
	closed  bool
	polls   sync.WaitGroup
}

// New checks the configuration. It opens nothing.
func New(c Config) (*Intake, error) {
	if c.Journals == nil || c.Door == nil || c.Owner == nil {
		return nil, errors.New("intake: journals, door and owner are needed")
	}
	if c.Interval > 10*time.Minute {
		return nil, fmt.Errorf("intake: interval %s: a Kasse looks into its mailbox at least every ten minutes (Technische Anlage zur eAU)", c.Interval)
	}
	c.defaults()
	lim := kimmail.DefaultLimits()
	if c.MaxMail > int64(lim.MailBytes) || c.MaxMail <= 0 {
		c.MaxMail = int64(lim.MailBytes)
	}
	in := &Intake{
		config: c,
		reader: reader{limits: lim, trust: c.Trust, check: c.Check},
		slots:  make(chan struct{}, c.Connections),
		spare:  make(chan struct{}, max(c.Connections/4, 1)),
		cpus:   newTurns(runtime.GOMAXPROCS(0)),
	}
	seen := map[string]bool{}
	for i := range c.Mailboxes {
		m := &c.Mailboxes[i]
		if k, _, _, ok := m.Placement.Split(); !ok || k != m.Kasse {
			return nil, fmt.Errorf("mailbox %q: placement %q is not one of Kasse %s", m.Address, m.Placement, m.Kasse)
		}
		if seen[m.Address] || m.Address == "" {
			return nil, fmt.Errorf("mailbox %q is empty or named twice", m.Address)
		}
		if err := in.pop(m).check(); err != nil {
			return nil, fmt.Errorf("mailbox %q: %w", m.Address, err)
		}
		seen[m.Address] = true
		in.boxes = append(in.boxes, &box{Mailbox: m})
	}
	return in, nil
}

func (c *Config) defaults() {
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Interval <= 0 {
		c.Interval = time.Minute
	}
	if c.Connections <= 0 {
		c.Connections = 128
	}
	if c.Idle <= 0 {
		c.Idle = 30 * time.Second
	}
	if c.Session <= 0 {
		c.Session = 5 * time.Minute
	}
	if c.BatchMails <= 0 {
		c.BatchMails = 32
	}
	if c.BatchBytes <= 0 {
		c.BatchBytes = 2 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: c.Idle}).DialContext
	}
}

func (in *Intake) pop(m *Mailbox) popConfig {
	c := &in.config
	return popConfig{
		addr: m.Addr, security: m.Security, tls: m.TLS, user: m.User, password: m.Password,
		dial: c.Dial, idle: c.Idle, total: c.Session, maxMail: c.MaxMail,
	}
}

func (in *Intake) policy() policy {
	in.mu.Lock()
	defer in.mu.Unlock()
	return policy{exercise: in.config.Exercise, refusal: in.refusal}
}

func (in *Intake) hook(point string) error {
	if in.config.Hook == nil {
		return nil
	}
	return in.config.Hook(point)
}

// parallel runs fn for 0 to n-1, on as many processors as all mailboxes share; what
// ends a mail goes first, see [turns].
func (in *Intake) parallel(n int, ending bool, fn func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			in.cpus.take(ending)
			defer in.cpus.give()
			for i := range next {
				fn(i)
			}
		})
	}
	wg.Wait()
}

// keysOf are the keys of a Kasse's first mailbox; nil behind a Clientmodul.
func (in *Intake) keysOf(k catalogue.KasseID) kimmail.Decrypter {
	for _, b := range in.boxes {
		if b.Kasse == k {
			return b.Keys
		}
	}
	return nil
}

// MaxMail is the size up to which a mail is taken.
func (in *Intake) MaxMail() int64 { return in.config.MaxMail }
