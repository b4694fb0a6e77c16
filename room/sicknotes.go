package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
	"leitstand/operation"
)

// errNoIntake says that a room has no mailboxes.
var errNoIntake = errors.New("this room has no mailboxes: name them under mail in " + ConfigFile)

// sickNoteStatus are the figures of every Kasse's intake.
func sickNoteStatus(ctx context.Context, r *Room, _ none) ([]sicknote.Status, error) {
	out := []sicknote.Status{}
	if r.Intake == nil {
		return out, nil
	}
	for _, k := range r.Catalogue.Kassen {
		s, err := r.Intake.Status(ctx, k.ID, r.Now())
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

type sickNoteArgs struct {
	Kasse    catalogue.KasseID `json:"kasse"`
	Number   string            `json:"number,omitempty"`
	Class    sicknote.Class    `json:"class,omitempty"`
	Code     string            `json:"code,omitempty"`
	After    string            `json:"after,omitempty"`
	Limit    int               `json:"limit,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	Owner    string            `json:"owner,omitempty"`
	Deadline time.Time         `json:"deadline,omitzero"`
}

func listSickNotes(ctx context.Context, r *Room, a sickNoteArgs) ([]sicknote.Mail, error) {
	if r.Intake == nil {
		return nil, errNoIntake
	}
	var after emergency.Number
	if a.After != "" {
		var err error
		if after, err = emergency.ParseNumber(a.Kasse, a.After); err != nil {
			return nil, err
		}
	}
	if a.Limit <= 0 || a.Limit > 1000 {
		a.Limit = 100
	}
	out, err := r.Intake.List(ctx, a.Kasse, a.Class, after, a.Limit)
	for i := range out {
		out[i].Light = out[i].LightAt(r.Now())
	}
	if out == nil {
		out = []sicknote.Mail{}
	}
	return out, err
}

// Shown is an item with its content, read for a person and on record as such.
type Shown struct {
	Number string `json:"number"`
	Media  string `json:"media"`
	Body   []byte `json:"body"`
}

// showSickNote opens one item. Who read it and why stands in the Kasse's ledger
// before it is shown.
func showSickNote(ctx context.Context, r *Room, as access.Person, a sickNoteArgs) (Shown, error) {
	if a.Reason == "" {
		return Shown{}, errors.New("reading a sick note needs a reason: it is put on record")
	}
	if !r.mayRead(as, a.Kasse) {
		return Shown{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Medizinische Angaben liest nur die Vertretung der Kasse."}
	}
	n, err := emergency.ParseNumber(a.Kasse, a.Number)
	if err != nil {
		return Shown{}, err
	}
	j, err := r.Journals.Open(ctx, a.Kasse)
	if err != nil {
		return Shown{}, err
	}
	it, body, err := j.ReadBody(ctx, n, r.Now(), as.ID, a.Reason)
	if err != nil {
		return Shown{}, err
	}
	c, err := r.Intake.DescribeFor(a.Kasse)(ctx, it, body)
	return Shown{Number: a.Number, Media: c.Media, Body: c.Body}, err
}

func (r *Room) mayRead(as access.Person, k catalogue.KasseID) bool {
	return as.Has(access.KasseDelegate) && as.Kasse == k
}

func acceptHeld(ctx context.Context, r *Room, as access.Person, a sickNoteArgs) (string, error) {
	return onHeld(ctx, r, as, a, func(n emergency.Number, act sicknote.Act) error { return r.Intake.Accept(ctx, a.Kasse, n, act) })
}

func assignHeld(ctx context.Context, r *Room, as access.Person, a sickNoteArgs) (string, error) {
	return onHeld(ctx, r, as, a, func(n emergency.Number, act sicknote.Act) error {
		return r.Intake.Assign(ctx, a.Kasse, n, a.Owner, a.Deadline, act)
	})
}

// Reread is how many held mails were read after all.
type Reread struct {
	Read int `json:"read"`
}

// rereadHeld opens mails again that are held because their keys were away.
func rereadHeld(ctx context.Context, r *Room, as access.Person, a sickNoteArgs) (Reread, error) {
	if r.Intake == nil {
		return Reread{}, errNoIntake
	}
	if err := r.overHeld(as, a.Kasse); err != nil {
		return Reread{}, err
	}
	n, err := r.Intake.RereadHeld(ctx, a.Kasse, sicknote.Act{At: r.Now(), Actor: as.ID, Reason: a.Reason})
	return Reread{Read: n}, err
}

// overHeld is nil for who decides about held mail of a Kasse.
func (r *Room) overHeld(as access.Person, k catalogue.KasseID) error {
	if !as.Has(access.Operator) && !r.mayRead(as, k) {
		return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Über Zurückgelegtes entscheiden der Betrieb oder die Kasse."}
	}
	return nil
}

func onHeld(_ context.Context, r *Room, as access.Person, a sickNoteArgs, do func(n emergency.Number, act sicknote.Act) error) (string, error) {
	if r.Intake == nil {
		return "", errNoIntake
	}
	if err := r.overHeld(as, a.Kasse); err != nil {
		return "", err
	}
	n, err := emergency.ParseNumber(a.Kasse, a.Number)
	if err != nil {
		return "", err
	}
	return a.Number, do(n, sicknote.Act{At: r.Now(), Actor: as.ID, Reason: a.Reason})
}

// Prepared are answers to practices that wait for two people.
type Prepared struct {
	Answers []sicknote.PreparedAnswer `json:"answers"`
	Hash    string                    `json:"hash"`
}

func preparedAnswers(ctx context.Context, r *Room, a sickNoteArgs) (p Prepared, err error) {
	if r.Intake == nil {
		return p, errNoIntake
	}
	p.Answers, p.Hash, err = r.Intake.Prepared(ctx, a.Kasse, a.Code)
	if p.Answers == nil {
		p.Answers = []sicknote.PreparedAnswer{}
	}
	return p, err
}

const askAnswers = "answers"

// releaseAnswers asks a second person to let prepared answers go.
func releaseAnswers(ctx context.Context, r *Room, as access.Person, a sickNoteArgs) (access.Consent, error) {
	if !as.Has(access.CrisisLead) && !r.mayRead(as, a.Kasse) {
		return access.Consent{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Fehlermeldungen an Praxen geben die Kasse und die Leitung des Stabs frei."}
	}
	p, err := preparedAnswers(ctx, r, a)
	if err != nil {
		return access.Consent{}, err
	}
	if len(p.Answers) == 0 {
		return access.Consent{}, errors.New("no answer waits")
	}
	return ask(ctx, r, as, access.Question{
		Kind: askAnswers, Payload: a, Shown: p,
		Summary: catalogue.Counted(len(p.Answers), "Eine Fehlermeldung", "%s Fehlermeldungen") + " der Kasse " + r.kasseWords(a.Kasse) + " an Praxen",
	})
}

// approveAnswers releases what both people saw. The consent is in the room's
// store, the answers in the Kasse's: the consent comes first, and the release,
// which names its hash, is repeated until it is done.
func (r *Room) approveAnswers(ctx context.Context, c access.Consent, first, second access.Person) (Outcome, error) {
	var a sickNoteArgs
	if err := json.Unmarshal(c.Payload, &a); err != nil {
		return Outcome{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	delegate := r.mayRead(first, a.Kasse) || r.mayRead(second, a.Kasse)
	if lead := first.Has(access.CrisisLead) || second.Has(access.CrisisLead); !delegate || !lead {
		return Outcome{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Fehlermeldungen an Praxen geben die Kasse und die Leitung des Stabs gemeinsam frei."}
	}
	shown, err := preparedAnswers(ctx, r, a)
	if err != nil {
		return Outcome{}, err
	}
	out, err := write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return shown, nil })
		return out, err
	})
	if err != nil {
		return out, err
	}
	out.Done, err = r.Intake.Release(ctx, a.Kasse, sicknote.Release{
		Decision: c.ID, By: [2]string{first.ID, second.ID}, Code: a.Code, Hash: shown.Hash, Reason: a.Reason, At: r.Now(),
	})
	return out, err
}

// dueAnswers is the timed work beside polling: released answers leave, deadlines
// of held mail come near, employers get what they were promised.
func (r *Room) dueAnswers(ctx context.Context, now time.Time) error {
	_, err := r.Intake.SendAnswers(ctx, now)
	errs := []error{err}
	for _, k := range r.Catalogue.Kassen {
		errs = append(errs, r.escalateHeld(ctx, k.ID, now))
		_, err = r.Intake.FollowUps(ctx, k.ID, now)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
