package sicknote

import (
	"context"
	"fmt"
	"slices"
	"time"

	"leitstand/catalogue"
)

// Probe is what a first look into a mailbox finds.
type Probe struct {
	Mailbox    string `json:"mailbox"`
	Reached    bool   `json:"reached"` // log-in, list and reading went well
	Mails      int    `json:"mails"`
	Bytes      int64  `json:"bytes"` // as the server says
	TooLarge   int    `json:"too_large"`
	UIDL       bool   `json:"uidl"`
	Pipelining bool   `json:"pipelining"`
	Readable   int    `json:"readable"` // of up to three mails that were fetched and opened
	Tried      int    `json:"tried"`
	Keys       string `json:"keys,omitempty"`    // why its keys cannot be used; "" when they can or none are needed
	Problem    string `json:"problem,omitempty"` // of the first that could not be read
	// Certificate is when the first certificate of the server's chain ends; zero without TLS.
	Certificate time.Time `json:"certificate_end,omitzero"`
}

// ProbeAll tries all mailboxes of a Kasse, or of all Kassen with an empty one, one
// after the other. A mailbox that cannot be tried says why in Problem.
func (in *Intake) ProbeAll(ctx context.Context, k catalogue.KasseID, now time.Time) []Probe {
	out := []Probe{}
	for _, address := range in.mailboxes(k) {
		p, err := in.Probe(ctx, address, now)
		if err != nil {
			p.Problem = err.Error()
		}
		out = append(out, p)
	}
	return out
}

// Probe tries a mailbox without storing or deleting anything, whatever its door
// says: log-in, listing, and reading of up to three mails.
func (in *Intake) Probe(ctx context.Context, address string, now time.Time) (Probe, error) {
	out := Probe{Mailbox: address}
	at := slices.IndexFunc(in.boxes, func(b *box) bool { return b.Address == address })
	if at < 0 {
		return out, fmt.Errorf("mailbox %q: %w", address, ErrNoMailbox)
	}
	mb := in.boxes[at].Mailbox
	if keys, ok := mb.Keys.(interface{ Check() error }); ok { // a token may be out of reach
		if err := keys.Check(); err != nil {
			out.Keys = err.Error()
		}
	}
	p, err := dialPOP(ctx, in.pop(mb))
	if err != nil {
		return out, err
	}
	defer p.abandon() // no QUIT: the server deletes nothing
	out.Certificate = p.certificateEnd()
	mails, err := p.list()
	if err != nil {
		return out, err
	}
	out.Mails, out.Pipelining = len(mails), p.pipes
	out.UIDL = len(mails) > 0
	var try []listed
	for _, m := range mails {
		out.Bytes += m.size
		out.UIDL = out.UIDL && m.uidl != ""
		switch {
		case m.size > in.config.MaxMail:
			out.TooLarge++
		case len(try) < 3:
			try = append(try, m)
		}
	}
	err = p.retrieve(try, func(_ listed, raw []byte, err error) {
		if err != nil {
			return
		}
		out.Tried++
		r := in.reader.read(raw, mb.Keys, now)
		if r.problem == "" {
			out.Readable++
		} else if out.Problem == "" {
			out.Problem = r.problem
		}
	})
	out.Reached = err == nil
	return out, err
}
