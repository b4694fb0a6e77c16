package sicknote

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// Act is who does something about a mail, when and why.
type Act struct {
	At     time.Time
	Actor  string
	Reason string
	Right  *emergency.Right // of the door that an employer came through; nil for everybody else
}

// ErrNotHeld says that a mail is not held (any more).
var ErrNotHeld = errors.New("mail is not held")

// Accept lets a held mail pass as it is: it becomes an accepted sick note or
// Storno and is handed over without a remark.
func (in *Intake) Accept(ctx context.Context, k catalogue.KasseID, n emergency.Number, act Act) error {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return err
	}
	return j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, err := heldMail(ctx, tx, n)
		if err != nil {
			return err
		}
		if m.Kind != DocNote && m.Kind != DocStorno {
			return fmt.Errorf("mail %s holds no sick note that could be accepted: %w", n.Label(k), emergency.ErrIllegal)
		}
		m.Class = ClassAccepted
		m.setFlag(FlagWaiting, false)
		rows := []ledger.Row{m.row()}
		leaves, err := db.Collect(ctx, tx, scanLeave, `select `+leaveColumns+` from sicknote_leave where number = $1`, int64(n))
		if err != nil {
			return err
		}
		for _, l := range leaves {
			l.State = leaveValid
			if err := putLeave(ctx, tx, l); err != nil {
				return err
			}
			rows = append(rows, l.row())
		}
		if err := putMail(ctx, tx, m); err != nil {
			return err
		}
		if err := withdraw(ctx, tx, n, &rows); err != nil {
			return err
		}
		return j.ApplyTx(ctx, tx, emergency.Entry{At: act.At, Actor: act.Actor, Kind: "mail.accepted", Reason: act.Reason, Rows: rows},
			emergency.Change{Number: n, Apply: func(s emergency.Standing) (emergency.Standing, error) { return s.Ready(s.Kind, s.Subject) }})
	})
}

// Assign gives a held mail another owner or deadline.
func (in *Intake) Assign(ctx context.Context, k catalogue.KasseID, n emergency.Number, owner string, deadline time.Time, act Act) error {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return err
	}
	return j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		m, err := heldMail(ctx, tx, n)
		if err != nil {
			return err
		}
		m.setFlag(FlagEscalated, false)
		if err := putMail(ctx, tx, m); err != nil {
			return err
		}
		return j.ApplyTx(ctx, tx, emergency.Entry{At: act.At, Actor: act.Actor, Kind: "mail.assigned", Reason: act.Reason, Rows: []ledger.Row{m.row()}},
			emergency.Change{Number: n, Apply: func(s emergency.Standing) (emergency.Standing, error) {
				return s.Hold(s.Kind, s.Subject, s.Reason, owner, deadline)
			}})
	})
}

// heldMail reads a mail that is held here and not handed over yet.
func heldMail(ctx context.Context, tx *db.Tx, n emergency.Number) (*mailRow, error) {
	found, err := db.Collect(ctx, tx, scanMail, `select `+mailColumns+` from sicknote_mail where number = $1 and class = 'held'
		and exists (select 1 from journal_standing s where s.number = $1 and s.state = 'held')`, int64(n))
	if err != nil {
		return nil, fmt.Errorf("reading mail %d: %w", n, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("mail %d: %w", n, ErrNotHeld)
	}
	return found[0], nil
}

// withdraw takes back answers that were prepared for a mail and not released.
func withdraw(ctx context.Context, tx *db.Tx, n emergency.Number, rows *[]ledger.Row) error {
	answers, err := db.Collect(ctx, tx, scanAnswer, answerQuery+`where number = $1 and state = 'prepared'`, int64(n))
	if err != nil {
		return fmt.Errorf("reading answers to mail %d: %w", n, err)
	}
	for _, a := range answers {
		a.State = AnswerWithdrawn
		if _, err := tx.Exec(ctx, `update sicknote_answer set state = 'withdrawn' where id = $1`, a.ID); err != nil {
			return fmt.Errorf("withdrawing answer %s: %w", a.ID, err)
		}
		*rows = append(*rows, a.row())
	}
	return nil
}

// FlagEscalated marks a held mail whose deadline was near when nobody had acted.
const FlagEscalated = "escalated"

// Nearing are the held mails whose deadline is less than ahead away and that are not
// marked as escalated: the practice was told "delivered" and will not send again.
// Whoever escalates them says so afterwards with [Intake.Escalated]; what a crash
// leaves in between is found here again.
func (in *Intake) Nearing(ctx context.Context, k catalogue.KasseID, now time.Time, ahead time.Duration) ([]Mail, error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	near, err := db.Collect(ctx, j.Store(), scanMail, `select `+mailColumns+` from sicknote_mail where class = 'held' and flags not like '%escalated%'
		and number in (select number from journal_standing where state = 'held' and deadline <= $1) order by number`, db.Micro(now.Add(ahead)))
	if err != nil {
		return nil, fmt.Errorf("looking for deadlines of Kasse %s: %w", k, err)
	}
	out := make([]Mail, len(near))
	for i, m := range near {
		out[i] = Mail{Number: m.Number, Label: m.Number.Label(k), Mailbox: m.Mailbox, Fetched: db.Time(m.Fetched), Class: m.Class, Kind: m.Kind, Flags: strings.Fields(m.Flags)}
	}
	return out, nil
}

// Escalated marks mails as escalated, all in one transaction. Those that are held no
// more are left alone.
func (in *Intake) Escalated(ctx context.Context, k catalogue.KasseID, now time.Time, mails []Mail) error {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return err
	}
	return j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var rows []ledger.Row
		for _, one := range mails {
			m, err := heldMail(ctx, tx, one.Number)
			if errors.Is(err, ErrNotHeld) {
				continue
			}
			if err != nil {
				return err
			}
			m.setFlag(FlagEscalated, true)
			if err := putMail(ctx, tx, m); err != nil {
				return err
			}
			rows = append(rows, m.row())
		}
		if len(rows) == 0 {
			return nil
		}
		_, err := ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: ledger.System, Kind: "mail.escalated", Subject: string(k), Rows: rows})
		return err
	})
}

// PreparedAnswer is an error message that waits for two people.
type PreparedAnswer struct {
	ID     string           `json:"id"`
	Number emergency.Number `json:"-"`
	Label  string           `json:"number"`
	Code   string           `json:"code"`
	Reason string           `json:"reason"`
	Made   time.Time        `json:"made"`
}

// Prepared lists the answers that wait, of all codes or of one, and the hash that
// a release must name: it is of exactly this list.
func (in *Intake) Prepared(ctx context.Context, k catalogue.KasseID, code string) (answers []PreparedAnswer, hash string, err error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return nil, "", err
	}
	answers, err = preparedAnswers(ctx, j.Store(), k, code)
	return answers, hashPrepared(answers), err
}

func preparedAnswers(ctx context.Context, q db.Querier, k catalogue.KasseID, code string) ([]PreparedAnswer, error) {
	answers, err := db.Collect(ctx, q, func(r *sql.Rows) (PreparedAnswer, error) {
		var p PreparedAnswer
		var made int64
		err := r.Scan(&p.ID, &p.Number, &p.Code, &made, &p.Reason)
		p.Label, p.Made = p.Number.Label(k), db.Time(made)
		return p, err
	}, `select a.id, a.number, a.code, a.made, s.reason from sicknote_answer a join journal_standing s on s.number = a.number
		where a.state = 'prepared' and s.state = 'held' and ($1 = '' or a.code = $1) order by a.made, a.id`, code)
	if err != nil {
		return nil, fmt.Errorf("listing prepared answers of Kasse %s: %w", k, err)
	}
	return answers, nil
}

func hashPrepared(answers []PreparedAnswer) string {
	h := sha256.New()
	for _, a := range answers {
		h.Write([]byte(a.ID + " " + a.Code + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Release is the decision of two people to send prepared answers.
type Release struct {
	Decision string    // id of the decision in the room
	By       [2]string // two different people
	Code     string    // only answers with this code; "" releases all
	Hash     string    // of what they saw, see [Intake.Prepared]
	Reason   string
	At       time.Time
}

// ErrChanged says that the list is not the one that was shown.
var ErrChanged = errors.New("the prepared answers have changed since they were shown: look again")

// Release sends prepared answers on their way: their mails become refused, with
// the first of the two as owner.
func (in *Intake) Release(ctx context.Context, k catalogue.KasseID, r Release) (int, error) {
	if r.By[0] == "" || r.By[1] == "" || r.By[0] == r.By[1] {
		return 0, fmt.Errorf("releasing answers by decision %q: %w", r.Decision, ErrTwoPeople)
	}
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return 0, err
	}
	n := 0
	err = j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		answers, err := preparedAnswers(ctx, tx, k, r.Code)
		if err != nil {
			return err
		}
		if hashPrepared(answers) != r.Hash {
			return ErrChanged
		}
		if n = len(answers); n == 0 {
			return nil
		}
		return releaseTx(ctx, tx, j, k, r, answers)
	})
	return n, err
}

func releaseTx(ctx context.Context, tx *db.Tx, j *emergency.Journal, k catalogue.KasseID, r Release, answers []PreparedAnswer) error {
	var rows []ledger.Row
	changes := make([]emergency.Change, 0, len(answers))
	for _, p := range answers {
		m, err := heldMail(ctx, tx, p.Number)
		if err != nil {
			return err
		}
		m.Class = ClassRefused
		if err := putMail(ctx, tx, m); err != nil {
			return err
		}
		found, err := db.Collect(ctx, tx, scanAnswer, answerQuery+`where id = $1`, p.ID)
		if err != nil || len(found) != 1 {
			return errors.Join(fmt.Errorf("reading answer %s of Kasse %s", p.ID, k), err)
		}
		found[0].State = AnswerReleased
		if _, err := tx.Exec(ctx, `update sicknote_answer set state = 'released', next = 0 where id = $1`, p.ID); err != nil {
			return fmt.Errorf("releasing answer %s: %w", p.ID, err)
		}
		rows = append(rows, m.row(), found[0].row())
		changes = append(changes, emergency.Change{Number: p.Number, Apply: func(s emergency.Standing) (emergency.Standing, error) {
			return s.Refuse("mit Fehlercode "+p.Code+" beantwortet: "+s.Reason, r.By[0])
		}})
	}
	return j.ApplyTx(ctx, tx, emergency.Entry{
		At: r.At, Actor: r.By[0], Kind: "answer.released", Reason: r.Reason,
		Data: map[string]any{"decision": r.Decision, "by": r.By, "shown": r.Hash, "answers": len(answers)}, Rows: rows,
	}, changes...)
}

// ResolveAnswer is a person's word about an answer of which nobody knows whether
// it arrived: it did (sent), or it is to be sent again.
func (in *Intake) ResolveAnswer(ctx context.Context, k catalogue.KasseID, id string, again bool, act Act) error {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return err
	}
	return j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		found, err := db.Collect(ctx, tx, scanAnswer, answerQuery+`where id = $1`, id)
		if err != nil {
			return fmt.Errorf("reading answer %s: %w", id, err)
		}
		if len(found) == 0 || !slices.Contains([]AnswerState{AnswerUnknown, AnswerFailed}, found[0].State) {
			return fmt.Errorf("answer %q is not one whose outcome is open: %w", id, emergency.ErrIllegal)
		}
		found[0].State = AnswerSent
		if again {
			found[0].State = AnswerReleased
		}
		return putAnswers(ctx, tx, ledger.Entry{At: act.At, Actor: act.Actor, Kind: "answer.resolved", Subject: id, Reason: act.Reason}, found, act.At)
	})
}

// SentAnswer is an error message, whatever has become of it.
type SentAnswer struct {
	PreparedAnswer
	State AnswerState `json:"state"`
	Error string      `json:"error,omitempty"` // why it could not be sent
}

// Answers lists all error messages of a Kasse, oldest first.
func (in *Intake) Answers(ctx context.Context, k catalogue.KasseID) ([]SentAnswer, error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	answers, err := db.Collect(ctx, j.Store(), func(r *sql.Rows) (SentAnswer, error) {
		var a SentAnswer
		var made int64
		err := r.Scan(&a.ID, &a.Number, &a.Code, &made, &a.Reason, &a.State, &a.Error)
		a.Label, a.Made = a.Number.Label(k), db.Time(made)
		return a, err
	}, `select a.id, a.number, a.code, a.made, s.reason, a.state, a.error
		from sicknote_answer a join journal_standing s on s.number = a.number order by a.made, a.id`)
	if err != nil {
		return nil, fmt.Errorf("listing answers of Kasse %s: %w", k, err)
	}
	return answers, nil
}
