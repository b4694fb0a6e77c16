package room

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
	"leitstand/emergency/sicknote/token"
	"leitstand/operation"
	"leitstand/pure/eau"
)

// Connections are a room's ways to the outside: mailboxes to fetch, regular
// systems to hand over to, and how environments are taken off the network.
// An exercise sets them itself.
type Connections struct {
	Mailboxes []MailboxConfig `json:"mailboxes"`
	Regular   []RegularConfig `json:"regular"`
	// Trust are certificate files (DER or PEM) of CAs that signatures on mails and
	// documents must lead to, Intermediates those in between. Without any, signatures
	// are checked and trust is not: no mail is called trusted.
	Trust         []string `json:"trust,omitempty"`
	Intermediates []string `json:"intermediates,omitempty"`
	// LookSeconds is the pause between two looks into a mailbox; 0 is a minute,
	// more than ten minutes are refused.
	LookSeconds float64 `json:"look_seconds,omitempty"`
}

// MailboxConfig is one Kasse's mailbox.
type MailboxConfig struct {
	Kasse     catalogue.KasseID     `json:"kasse"`
	Placement catalogue.PlacementID `json:"placement"` // whose door it obeys
	Address   string                `json:"address"`
	POP3      string                `json:"pop3"`     // host:port
	Security  sicknote.Security     `json:"security"` // plain (loopback only), stls or tls
	User      string                `json:"user"`
	Password  string                `json:"password"`
	SMTP      string                `json:"smtp,omitempty"` // for answers
	// Keys is a PKCS#12 file for mail that comes encrypted; empty behind a Clientmodul.
	Keys         string `json:"keys,omitempty"`
	KeysPassword string `json:"keys_password,omitempty"`
	// Token holds the keys instead: a PKCS#11 token behind a helper process.
	Token *TokenConfig `json:"token,omitempty"`
	// CA is a PEM file of the mail servers' CA; empty: the system's.
	CA string `json:"ca,omitempty"`
}

// TokenConfig is a PKCS#11 token with a mailbox's keys.
type TokenConfig struct {
	Module string `json:"module"`          // PKCS#11 library
	Label  string `json:"label,omitempty"` // of the token; empty: the first
	PIN    string `json:"pin"`
	Helper string `json:"helper,omitempty"` // empty: leitstand-token beside this program
}

// RegularConfig is the adapter of one Kasse's regular system.
type RegularConfig struct {
	Placement catalogue.PlacementID `json:"placement"`
	URL       string                `json:"url"`
	Token     string                `json:"token"`
	Key       ed25519.PublicKey     `json:"key"` // signs receipts

	Channel   string      `json:"channel,omitempty"`   // https when empty; sftp, stick or kim
	Recipient string      `json:"recipient,omitempty"` // age public key of the regular system, for all but https
	SFTP      *SFTPConfig `json:"sftp,omitempty"`
	KIM       *KIMConfig  `json:"kim,omitempty"`
	Stick     string      `json:"stick,omitempty"` // folder where it is mounted
}

// Isolator carries out on the outside what was ordered, and proves it.
type Isolator interface {
	// Isolate takes the regular side of placements, and shared components, off;
	// repeating it changes nothing.
	Isolate(ctx context.Context, placements []catalogue.PlacementID, components []catalogue.ComponentID) error
	// Connect brings it back on.
	Connect(ctx context.Context, placements []catalogue.PlacementID) error
	// Closed says from outside whether the regular side accepts no writes, and
	// names the record of the probe.
	Closed(ctx context.Context, p catalogue.PlacementID) (closed bool, ref string, err error)
}

// ConnectionsFile holds the connections of a room whose configuration names none.
const ConnectionsFile = "connections.json"

// ErrTwice says that two files say the same: nobody should edit the one that
// does not count.
var ErrTwice = errors.New("this is in the room's configuration as well: keep it there and remove this file")

// loadConnections takes the connections of the configuration, or reads the file
// if there is one.
func (r *Room) loadConnections() error {
	c := r.opt.Connections
	if c == nil {
		if _, err := os.Stat(filepath.Join(r.opt.Data, ConnectionsFile)); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		c = &Connections{}
	}
	if err := r.older(ConnectionsFile, r.opt.Connections != nil, c); err != nil {
		return err
	}
	return r.Connect(*c, nil)
}

// OlderFiles are the files of a data directory from before there was one
// configuration. They are read as long as the configuration does not say the same.
func OlderFiles(data string) []string {
	names := []string{}
	for _, n := range [...]string{ConnectionsFile, EmployersFile, GatewayFile, WarningFile} {
		if _, err := os.Stat(filepath.Join(data, n)); err == nil {
			names = append(names, n)
		}
	}
	return names
}

// older reads a file that said a part of the configuration before it was one;
// without the file into stays as it is. said tells that the configuration has
// that part as well.
func (r *Room) older(file string, said bool, into any) error {
	name := filepath.Join(r.opt.Data, file)
	b, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && said {
		err = ErrTwice
	}
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields() // a typing mistake must not leave anything out
		err = dec.Decode(into)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// Connect sets the ways to the outside. An exercise room dials loopback only,
// which the packages that dial see to.
func (r *Room) Connect(c Connections, i Isolator) error {
	r.isolator = i
	r.channels.closeAll()
	r.regular = map[catalogue.PlacementID]RegularConfig{}
	for _, t := range c.Regular {
		r.regular[t.Placement] = t
	}
	boxes := make([]sicknote.Mailbox, 0, len(c.Mailboxes))
	r.mailboxes = nil
	var tokens []*token.Keys
	for _, m := range c.Mailboxes {
		r.mailboxes = append(r.mailboxes, m.Address)
		kasse, ok := r.Catalogue.Kasse(m.Kasse)
		if !ok {
			return fmt.Errorf("mailbox %q: Kasse %q is not in the catalogue", m.Address, m.Kasse)
		}
		box := sicknote.Mailbox{
			Kasse: m.Kasse, Placement: m.Placement, IKs: kasse.OtherIK, Address: m.Address, Addr: m.POP3, Security: m.Security,
			User: m.User, Password: m.Password, SMTP: sicknote.SMTP{Addr: m.SMTP, Security: m.Security},
		}
		if err := r.equip(&box, m); err != nil {
			return fmt.Errorf("mailbox %q: %w", m.Address, err)
		}
		if keys, ok := box.Keys.(*token.Keys); ok {
			tokens = append(tokens, keys)
		}
		boxes = append(boxes, box)
	}
	trust, err := r.trust(c)
	if err != nil {
		return err
	}
	in, err := sicknote.New(sicknote.Config{
		Trust:    trust,
		Journals: r.Journals, Mailboxes: boxes, Door: emergencyDoor{r.Operation}, Owner: r.heldBy,
		Exercise: r.Settings.Exercise, Check: r.checkBundle, Log: r.opt.Log, Location: berlin(),
		Interval: time.Duration(c.LookSeconds * float64(time.Second)),
	})
	if err != nil {
		return err
	}
	if r.Intake != nil {
		r.Intake.Close()
	}
	r.closeTokens()
	r.Intake, r.tokens = in, tokens
	return nil
}

// heldBy is who looks after held mail of a Kasse: its delegate, or the operator on duty.
func (r *Room) heldBy(k catalogue.KasseID) string {
	for _, p := range r.delegates {
		if p.Kasse == k {
			return p.ID
		}
	}
	return defaultOwner
}

// berlin is the zone of working days; without zone data it is UTC.
func berlin() *time.Location {
	l, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		return time.UTC
	}
	return l
}

// checkBundle is the full check of a bundle by the rules in force on the day of
// receipt. Only errors hold a note back. An exercise plays other years with
// today's profiles: there, the version's own dates are no fault.
func (r *Room) checkBundle(xml []byte, at time.Time) []sicknote.Fault {
	opt := eau.Options{At: at.Format(time.DateOnly)}
	if r.Settings.Exercise {
		opt.At = ""
	}
	var out []sicknote.Fault
	for _, f := range eau.Check(xml, opt).Findings {
		if f.Severity != eau.SeverityError || r.Settings.Exercise && f.Key == "version-date" {
			continue
		}
		out = append(out, sicknote.Fault{Text: f.Text, Code: f.Code})
	}
	return out
}

// emergencyDoor lets the poller of mailboxes obey the same table as the gateways.
type emergencyDoor struct{ store *operation.Store }

// EmergencyDoor says whether a placement is in emergency operation.
func (d emergencyDoor) EmergencyDoor(p catalogue.PlacementID) (open bool, epoch int64) {
	row, ok := d.store.Current().Placement(p)
	if !ok {
		return false, 0
	}
	return row.Emergency == operation.Active && row.Writing.Writer == operation.EmergencySide, row.Writing.Epoch
}

// Isolate carries out what was ordered and is not proven yet: it takes the
// regular sides off, probes them, and records the proof, with which emergency
// operation begins. What it cannot prove stays open and is tried again; nothing
// is taken for done that was not seen.
func (r *Room) Isolate(ctx context.Context) error {
	if r.isolator == nil {
		return nil
	}
	var open []catalogue.PlacementID
	for _, p := range r.Operation.Current().Placements() {
		if !p.Regular.Connected() && p.Writing.Closing && p.Writing.Writer == operation.RegularSide {
			open = append(open, p.ID)
		}
	}
	components, err := r.unprovenComponents(ctx)
	if err != nil {
		return err
	}
	if len(open)+len(components) == 0 {
		return nil
	}
	if err := r.isolator.Isolate(ctx, open, components); err != nil {
		return fmt.Errorf("taking %d placements and %d components off: %w", len(open), len(components), err)
	}
	now := r.Now()
	byRef := map[string][]catalogue.PlacementID{}
	for _, p := range open {
		closed, ref, err := r.isolator.Closed(ctx, p)
		if err != nil {
			return fmt.Errorf("probing %q: %w", p, err)
		}
		if closed {
			byRef[ref] = append(byRef[ref], p)
		}
	}
	for ref, placements := range byRef {
		cmd := &operation.ReportClosed{Placements: placements, Proof: operation.Proof{Kind: operation.ByProbe, Ref: ref, At: now}}
		cmd.Reason = "Probe von außen"
		cmd.Sign(now, access.Person{ID: ledger.System})
		if _, err := r.act(ctx, cmd, nil); err != nil {
			return err
		}
	}
	return nil
}

// Reconnect lets the regular sides of placements that passed the gate be reached
// again. What may write there is the doors' business.
func (r *Room) Reconnect(ctx context.Context, placements []catalogue.PlacementID) error {
	if r.isolator == nil {
		return nil
	}
	for _, p := range placements {
		if row, ok := r.Operation.Current().Placement(p); !ok || !row.Regular.Connected() {
			return fmt.Errorf("%q has not passed the gate: it stays off", p)
		}
	}
	if err := r.isolator.Connect(ctx, placements); err != nil {
		return fmt.Errorf("reconnecting %d placements: %w", len(placements), err)
	}
	return nil
}

type runHandoverArgs struct {
	Placements []catalogue.PlacementID `json:"placements"`
}

// runHandover hands over what emergency operation accepted, until nothing is
// open or the other side fails, and compares both sides' books.
func runHandover(ctx context.Context, r *Room, as access.Person, a runHandoverArgs) ([]HandedOver, error) {
	if !as.Has(access.CrisisLead) && !as.Has(access.Operator) && !as.Has(access.KasseDelegate) {
		return nil, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Die Übergabe führen Betrieb, Leitung oder die Kasse aus."}
	}
	if len(a.Placements) == 0 {
		for _, p := range r.Operation.Current().Placements() {
			if p.Emergency == operation.HandingOver {
				a.Placements = append(a.Placements, p.ID)
			}
		}
	}
	if err := r.inOrder(ctx, a.Placements); err != nil {
		return nil, err
	}
	out := []HandedOver{}
	for _, p := range a.Placements {
		h, err := r.handOver(ctx, as, p)
		if err != nil {
			h.Error = err.Error()
		}
		out = append(out, h)
	}
	return out, nil
}

// reportBooks lets operation know the journal's books.
func (r *Room) reportBooks(ctx context.Context, p catalogue.PlacementID, epoch int64, c emergency.Counts) error {
	row, ok := r.Operation.Current().Placement(p)
	if !ok {
		return nil
	}
	counts := toCounts(c, row.Journal.State, row.Journal.Epoch)
	if counts == row.Journal {
		return nil
	}
	cmd := &operation.ReportJournal{Reports: []operation.JournalReport{{Placement: p, Counts: counts}}}
	cmd.Reason = fmt.Sprintf("Stand des Notbetriebsbuchs, Epoche %d", epoch)
	cmd.Sign(r.Now(), access.Person{ID: ledger.System})
	_, err := r.act(ctx, cmd, nil)
	return err
}
