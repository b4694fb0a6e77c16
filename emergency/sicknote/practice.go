package sicknote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

// Practice is a sender whose mail is held: the KIM server has told it
// "delivered", so it will not send again by itself. There is no insured person
// in it; a practice finds its certificate by the document's name.
type Practice struct {
	Name    string         `json:"name,omitempty"` // as the document says, else empty
	Address []string       `json:"address,omitempty"`
	Phone   string         `json:"phone,omitempty"`
	Mail    string         `json:"mail,omitempty"` // KIM address for answers
	Items   []PracticeItem `json:"items"`
}

// PracticeItem is one held mail of a practice.
type PracticeItem struct {
	Label    string    `json:"number"`
	Document string    `json:"document,omitempty"` // identifier, without "urn:uuid:"
	Received time.Time `json:"received"`
	Reason   string    `json:"reason"`
	Code     string    `json:"code,omitempty"` // of the prepared error message: a sure fault of the sender
	Owner    string    `json:"owner"`
	Deadline time.Time `json:"deadline"`
}

// mostPractices is how many held mails one call list takes.
const mostPractices = 1000

// Practices opens the held mails of a Kasse and says whom to call about which, the
// nearest deadline first. What is wrong with our own side (a missing key, a
// Konnektor out of reach) is in it as well, with its reason. That they were opened,
// by whom and why is put on record before anything is returned.
func (in *Intake) Practices(ctx context.Context, k catalogue.KasseID, act Act) ([]Practice, error) {
	if act.Reason == "" {
		return nil, errors.New("a call list opens held mails and needs a reason: it is put on record")
	}
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	opener, err := j.Opener(ctx)
	if err != nil || opener == nil {
		return nil, err
	}
	held, err := in.List(ctx, k, ClassHeld, 0, mostPractices)
	if err != nil {
		return nil, err
	}
	held = slices.DeleteFunc(held, func(m Mail) bool { return m.State != emergency.Held || m.Kind == DocPaper })
	if err := recordOpened(ctx, j, held, act); err != nil {
		return nil, err
	}
	codes, err := in.preparedCodes(ctx, k)
	if err != nil {
		return nil, err
	}
	found := map[string]*Practice{}
	for _, m := range held {
		p, id, err := in.practiceOf(ctx, j, m)
		if err != nil {
			return nil, err
		}
		key := strings.ToLower(cmp.Or(p.Mail, p.Name+p.Phone, m.Label))
		if have := found[key]; have == nil {
			found[key] = &p
		} else if have.Name == "" {
			have.Name, have.Address, have.Phone = p.Name, p.Address, p.Phone
		}
		found[key].Items = append(found[key].Items, PracticeItem{
			Label: m.Label, Document: id, Received: m.Fetched, Reason: m.Reason, Code: codes[m.Label], Owner: m.Owner, Deadline: m.Deadline,
		})
	}
	return sortPractices(found), nil
}

func recordOpened(ctx context.Context, j *emergency.Journal, held []Mail, act Act) error {
	labels := make([]string, len(held))
	for i, m := range held {
		labels[i] = m.Label
	}
	err := j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: act.At, Actor: act.Actor, Kind: "practices.listed", Subject: string(j.Kasse()), Reason: act.Reason, Data: map[string]any{"items": labels},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("recording that held mails of Kasse %s are opened: %w", j.Kasse(), err)
	}
	return nil
}

func (in *Intake) preparedCodes(ctx context.Context, k catalogue.KasseID) (map[string]string, error) {
	prepared, _, err := in.Prepared(ctx, k, "")
	if err != nil {
		return nil, err
	}
	codes := make(map[string]string, len(prepared))
	for _, p := range prepared {
		codes[p.Label] = p.Code
	}
	return codes, nil
}

// practiceOf reads who sent a mail: the document says it best; of a mail without a
// readable one there is the address for answers.
func (in *Intake) practiceOf(ctx context.Context, j *emergency.Journal, m Mail) (p Practice, document string, err error) {
	raw, err := in.rawMail(ctx, j, m.Number)
	if errors.Is(err, emergency.ErrLocked) || ctx.Err() != nil {
		return p, "", err
	}
	if err != nil {
		return p, "", nil //nolint:nilerr // damaged: its owner is told so by its reason
	}
	read := in.reader.read(raw, in.keysOf(j.Kasse()), m.Fetched)
	p.Mail = read.answerTo
	if p.Mail == "" {
		if msg, err := kimmail.Parse(raw, in.reader.limits); err == nil && len(msg.From) > 0 {
			p.Mail = msg.From[0].Addr
		}
	}
	if doc, err := eau.Read(read.document); err == nil {
		switch {
		case doc.Certificate != nil:
			p.office(&doc.Certificate.Organization)
		case doc.Storno != nil:
			p.office(&doc.Storno.Organization)
		}
	}
	return p, read.id, nil
}

func (p *Practice) office(o *eau.Organization) {
	p.Name, p.Phone = o.Name, o.Phone
	for _, line := range []string{o.Address.Extra, strings.TrimSpace(o.Address.Street + " " + o.Address.House), o.Address.PostBox, strings.TrimSpace(o.Address.ZIP + " " + o.Address.City)} {
		if line != "" {
			p.Address = append(p.Address, line)
		}
	}
}

func sortPractices(found map[string]*Practice) []Practice {
	out := make([]Practice, 0, len(found))
	for _, p := range found {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b Practice) int {
		return cmp.Or(a.first().Compare(b.first()), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Mail, b.Mail))
	})
	return out
}

// first is the nearest deadline of a practice.
func (p *Practice) first() time.Time {
	out := p.Items[0].Deadline
	for _, it := range p.Items {
		if it.Deadline.Before(out) {
			out = it.Deadline
		}
	}
	return out
}
