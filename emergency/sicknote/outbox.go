package sicknote

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
	"leitstand/pure/eau"
	"leitstand/pure/kimmail"
)

// Refusal is the decision to answer every mail as faulty, which is what happened
// in 2023 without anybody having decided it. It exists for comparison.
type Refusal struct {
	Decision string    // id of the decision in the room
	Reason   string    // shown at every item
	By       [2]string // two different people
	At       time.Time
}

// ErrTwoPeople says that an answer leaves only when two people released it (rule 4).
var ErrTwoPeople = errors.New("two different people must release answers (rule 4)")

// Refuse makes the intake answer every mail read from now on as faulty; nil ends it.
func (in *Intake) Refuse(r *Refusal) error {
	if r != nil {
		if r.By[0] == "" || r.By[1] == "" || r.By[0] == r.By[1] {
			return fmt.Errorf("refusing mail by decision %q: %w", r.Decision, ErrTwoPeople)
		}
		if r.Decision == "" || r.Reason == "" || r.At.IsZero() {
			return errors.New("refusing mail: decision, reason and time are needed")
		}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.refusal = r
	return nil
}

// AnswerState is how far an error message to a practice has come.
type AnswerState string

// The states. Unknown is one whose delivery was cut off after its last byte: a
// person decides whether it is sent again.
const (
	AnswerPrepared  AnswerState = "prepared"
	AnswerReleased  AnswerState = "released"
	AnswerSending   AnswerState = "sending"
	AnswerSent      AnswerState = "sent"
	AnswerFailed    AnswerState = "failed"
	AnswerUnknown   AnswerState = "unknown"
	AnswerWithdrawn AnswerState = "withdrawn"
)

// answerSchema is added to [Schema].
const answerSchema = `
	create table sicknote_answer (
		id       text primary key,
		number   bigint not null,
		mailbox  text not null,
		code     text not null,
		state    text not null,
		made     bigint not null,
		attempts bigint not null,
		next     bigint not null,
		error    text not null,
		sealed   bytea not null
	);
	create index sicknote_answer_state on sicknote_answer (state, next);
	create index sicknote_answer_number on sicknote_answer (number);
`

// answerRow is sicknote_answer as the ledger keeps it.
type answerRow struct {
	ID      string           `json:"-"`
	Number  emergency.Number `json:"number"`
	Mailbox string           `json:"mailbox"`
	Code    string           `json:"code"`
	State   AnswerState      `json:"state"`
	Made    int64            `json:"made"`

	attempts int64
	sealed   []byte
}

func (a *answerRow) row() ledger.Row {
	return ledger.Row{Table: "sicknote_answer", Key: a.ID, Value: *a}
}

// letter is the sealed content of an answer.
type letter struct {
	From string `json:"from"`
	To   string `json:"to"`
	Mail []byte `json:"mail"`
}

// prepared is a mail that gets an answer.
type prepared struct {
	number  emergency.Number
	reading *reading
}

// compose writes the error message about a mail: in the version of the document,
// named by bundle identifier, or by Message-ID where the document has none or
// the code demands it (Technische Anlage, chapter 5.2).
func (in *Intake) compose(mb *Mailbox, id, code string, r *reading, at time.Time) (letter, error) {
	if r.answerTo == "" {
		return letter{}, errors.New("the mail names nobody to answer")
	}
	n := eau.ErrorNotice{ID: id, Test: r.test, Version: r.version, Code: code, BundleIdentifier: "urn:uuid:" + r.id}
	if byMessage := strings.Contains(" 301 307 313 314 ", " "+code+" "); byMessage || r.id == "" {
		if r.messageID == "" {
			return letter{}, errors.New("neither document nor mail can be named")
		}
		n.BundleIdentifier, n.MessageID = "", r.messageID
	}
	xml, err := eau.WriteError(n)
	if err != nil {
		return letter{}, err
	}
	domain := mb.Address[strings.LastIndexByte(mb.Address, '@')+1:]
	body := "Die gesandte Nachricht konnte nicht angenommen werden (Fehlercode " + code + ").\r\n"
	if in.config.Exercise {
		body = "ÜBUNG\r\n" + body
	}
	mail, err := kimmail.Compose(kimmail.Draft{
		Kind: kimmail.KindRejection, Test: r.test, ID: id, Version: dienstkennung(r.version), MessageID: "<" + id + "@" + domain + ">", Date: at,
		From: kimmail.Address{Addr: mb.Address}, ReplyTo: kimmail.Address{Addr: mb.Address}, To: []kimmail.Address{{Addr: r.answerTo}},
		Body: body, XML: xml, InReplyTo: r.messageID, Delivered: in.config.Exercise,
	})
	return letter{From: mb.Address, To: r.answerTo, Mail: mail}, err
}

func dienstkennung(version string) string {
	if version == "1.1.0" {
		return "V1.1"
	}
	return "V1.2"
}

// queueRefusals writes the answers of a refusal, already released by it.
func (in *Intake) queueRefusals(ctx context.Context, tx *db.Tx, j *emergency.Journal, mb *Mailbox, at time.Time, d Refusal, mails []prepared) error {
	var rows []ledger.Row
	mute := 0
	for _, m := range mails {
		code := m.reading.code
		if code == "" {
			code = "101"
			if m.reading.kind == DocStorno {
				code = "102"
			}
		}
		a, err := in.queue(ctx, tx, j, mb, at, code, AnswerReleased, m)
		if errors.Is(err, errCompose) {
			mute++ // it is refused all the same and has an owner
			continue
		}
		if err != nil {
			return err
		}
		rows = append(rows, a.row())
	}
	if len(mails) == 0 {
		return nil
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{
		At: at, Actor: d.By[0], Kind: "answer.released", Subject: d.Decision, Reason: d.Reason,
		Data: map[string]any{"by": d.By, "answers": len(rows), "unanswerable": mute}, Rows: rows,
	})
	return err
}

// prepare writes the answers that sure faults deserve. They wait for two people;
// a mail that nobody can be told about is held without one.
func (in *Intake) prepare(ctx context.Context, tx *db.Tx, j *emergency.Journal, mb *Mailbox, at time.Time, mails []prepared) ([]ledger.Row, error) {
	var rows []ledger.Row
	for _, m := range mails {
		a, err := in.queue(ctx, tx, j, mb, at, m.reading.code, AnswerPrepared, m)
		if errors.Is(err, errCompose) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, a.row())
	}
	return rows, nil
}

// errCompose says that no answer can be written for a mail.
var errCompose = errors.New("no answer can be written")

func (in *Intake) queue(ctx context.Context, tx *db.Tx, j *emergency.Journal, mb *Mailbox, at time.Time, code string, state AnswerState, m prepared) (*answerRow, error) {
	id := newUUID()
	l, err := in.compose(mb, id, code, m.reading, at)
	if err != nil {
		return nil, fmt.Errorf("mail %d: %w: %w", m.number, errCompose, err)
	}
	plain, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("mail %d: %w: %w", m.number, errCompose, err)
	}
	a := &answerRow{ID: id, Number: m.number, Mailbox: mb.Address, Code: code, State: state, Made: db.Micro(at)}
	if a.sealed, err = j.SealNote("answer "+id, plain); err != nil {
		return nil, err
	}
	_, err = tx.Exec(ctx, `insert into sicknote_answer (id, number, mailbox, code, state, made, attempts, next, error, sealed)
		values ($1, $2, $3, $4, $5, $6, 0, 0, '', $7)`, a.ID, int64(a.Number), a.Mailbox, a.Code, string(a.State), a.Made, a.sealed)
	return a, err
}

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
