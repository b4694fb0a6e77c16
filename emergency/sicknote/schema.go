package sicknote

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
	"leitstand/pure/eau"
)

// Schema is the package's part of each Kasse's store. message, document, content,
// cancels and person are hashes under the Kasse's index key; what names a person
// in clear is in the sealed bodies only. sicknote_leave is all that answers to
// employers are made from.
var Schema = db.Migrations{Package: "sicknote", Steps: []string{`
	create table sicknote_mail (
		number    bigint primary key,
		mailbox   text not null,
		uidl      text not null,
		fetched   bigint not null,
		class     text not null,
		kind      text not null,
		test      boolean not null,
		flags     text not null,
		message   text not null,
		document  text not null,
		content   text not null,
		cancels   text not null,
		payer     text not null,
		of_number bigint not null
	);
	create index sicknote_mail_content on sicknote_mail (content);
	create index sicknote_mail_document on sicknote_mail (document);
	create index sicknote_mail_message on sicknote_mail (message);
	create index sicknote_mail_cancels on sicknote_mail (cancels);
	create index sicknote_mail_class on sicknote_mail (class, kind, fetched);
	create table sicknote_leave (
		number     bigint primary key,
		person     text not null,
		since      text not null,
		until      text not null,
		determined text not null,
		type       text not null,
		marks      text not null,
		state      text not null
	);
	create index sicknote_leave_person on sicknote_leave (person, until);
	create table sicknote_tally (name text primary key, n bigint not null);
	create table sicknote_left (
		mailbox text not null,
		uidl    text not null,
		size    bigint not null,
		reason  text not null,
		owner   text not null,
		since   bigint not null,
		deadline bigint not null,
		primary key (mailbox, uidl)
	);
`, answerSchema, requestSchema, followSchema}}

// Class says how a mail was counted. Every mail that was read has exactly one.
type Class string

// The classes.
const (
	ClassUnread    Class = ""          // stored, not read yet
	ClassAccepted  Class = "accepted"  // a sick note, or a Storno of one
	ClassDuplicate Class = "duplicate" // the same document came before
	ClassHeld      Class = "held"      // waits for a person
	ClassRefused   Class = "refused"   // answered as faulty, released by two people
	ClassTest      Class = "test"      // test mail in a real room, filed apart
)

// mailRow is sicknote_mail, also as the ledger keeps it.
type mailRow struct {
	Number   emergency.Number `json:"-"`
	Mailbox  string           `json:"mailbox"`
	UIDL     string           `json:"uidl,omitempty"`
	Fetched  int64            `json:"fetched"`
	Class    Class            `json:"class,omitempty"`
	Kind     DocKind          `json:"kind,omitempty"`
	Test     bool             `json:"test,omitempty"`
	Flags    string           `json:"flags,omitempty"` // separated by spaces
	Message  string           `json:"message,omitempty"`
	Document string           `json:"document,omitempty"`
	Content  string           `json:"content,omitempty"`
	Cancels  string           `json:"cancels,omitempty"`
	Payer    string           `json:"payer,omitempty"` // only of a foreign payer
	Of       emergency.Number `json:"of,omitempty"`
}

func (m *mailRow) row() ledger.Row {
	return ledger.Row{Table: "sicknote_mail", Key: strconv.FormatInt(int64(m.Number), 10), Value: *m}
}

func (m *mailRow) has(flag string) bool {
	return slices.Contains(strings.Fields(m.Flags), flag)
}

func (m *mailRow) setFlag(flag string, on bool) {
	flags := strings.Fields(m.Flags)
	kept := flags[:0]
	for _, f := range flags {
		if f != flag {
			kept = append(kept, f)
		}
	}
	if on {
		kept = append(kept, flag)
	}
	m.Flags = strings.Join(kept, " ")
}

const mailColumns = `number, mailbox, uidl, fetched, class, kind, test, flags, message, document, content, cancels, payer, of_number`

func scanMail(r *sql.Rows) (*mailRow, error) {
	m := &mailRow{}
	err := r.Scan(&m.Number, &m.Mailbox, &m.UIDL, &m.Fetched, &m.Class, &m.Kind, &m.Test, &m.Flags,
		&m.Message, &m.Document, &m.Content, &m.Cancels, &m.Payer, &m.Of)
	return m, err
}

func putMail(ctx context.Context, tx *db.Tx, m *mailRow) error {
	_, err := tx.Exec(ctx, `insert into sicknote_mail (`+mailColumns+`)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
		on conflict (number) do update set class = excluded.class, kind = excluded.kind, test = excluded.test, flags = excluded.flags,
			message = excluded.message, document = excluded.document, content = excluded.content, cancels = excluded.cancels,
			payer = excluded.payer, of_number = excluded.of_number`,
		int64(m.Number), m.Mailbox, m.UIDL, m.Fetched, string(m.Class), string(m.Kind), m.Test, m.Flags,
		m.Message, m.Document, m.Content, m.Cancels, m.Payer, int64(m.Of))
	if err != nil {
		return fmt.Errorf("writing mail %d: %w", m.Number, err)
	}
	return nil
}

// States of a leave in the employers' index.
const (
	leaveValid     = "valid"
	leaveDoubt     = "doubt" // its mail is held
	leaveCancelled = "cancelled"
)

// Marks of a leave.
const (
	markWorkAccident   = "work_accident"
	markAccident       = "accident"
	markAccidentDoctor = "d_arzt"
)

// leaveRow is sicknote_leave, also as the ledger keeps it: without the person.
type leaveRow struct {
	Number     emergency.Number `json:"-"`
	Person     string           `json:"-"`
	Since      string           `json:"since"`
	Until      string           `json:"until"`
	Determined string           `json:"determined"`
	Type       eau.AUType       `json:"type"`
	Marks      string           `json:"marks,omitempty"`
	State      string           `json:"state"`
}

func (l *leaveRow) row() ledger.Row {
	return ledger.Row{Table: "sicknote_leave", Key: strconv.FormatInt(int64(l.Number), 10), Value: *l}
}

func newLeave(n emergency.Number, person string, l leave, state string) *leaveRow {
	var marks []string
	for _, m := range []struct {
		set  bool
		name string
	}{{l.workAccident, markWorkAccident}, {l.accident, markAccident}, {l.accidentDoctor, markAccidentDoctor}} {
		if m.set {
			marks = append(marks, m.name)
		}
	}
	return &leaveRow{
		Number: n, Person: person, Since: l.since, Until: l.until, Determined: l.determined, Type: l.kind,
		Marks: strings.Join(marks, " "), State: state,
	}
}

const leaveColumns = `number, person, since, until, determined, type, marks, state`

func scanLeave(r *sql.Rows) (*leaveRow, error) {
	l := &leaveRow{}
	err := r.Scan(&l.Number, &l.Person, &l.Since, &l.Until, &l.Determined, &l.Type, &l.Marks, &l.State)
	return l, err
}

func putLeave(ctx context.Context, tx *db.Tx, l *leaveRow) error {
	_, err := tx.Exec(ctx, `insert into sicknote_leave (`+leaveColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (number) do update set state = excluded.state`,
		int64(l.Number), l.Person, l.Since, l.Until, l.Determined, string(l.Type), l.Marks, l.State)
	if err != nil {
		return fmt.Errorf("writing leave %d: %w", l.Number, err)
	}
	return nil
}

// leftRow is sicknote_left: a mail that stays on the server because it is too large.
type leftRow struct {
	Mailbox  string    `json:"mailbox"`
	UIDL     string    `json:"uidl"`
	Size     int64     `json:"size"`
	Reason   string    `json:"reason"`
	Owner    string    `json:"owner"`
	Since    time.Time `json:"since"`
	Deadline time.Time `json:"deadline"`
}

func (l *leftRow) row() ledger.Row {
	return ledger.Row{Table: "sicknote_left", Key: l.Mailbox + " " + l.UIDL, Value: *l}
}

func scanLeft(r *sql.Rows) (*leftRow, error) {
	l := &leftRow{}
	var since, deadline int64
	err := r.Scan(&l.Mailbox, &l.UIDL, &l.Size, &l.Reason, &l.Owner, &since, &deadline)
	l.Since, l.Deadline = db.Time(since), db.Time(deadline)
	return l, err
}

const leftQuery = `select mailbox, uidl, size, reason, owner, since, deadline from sicknote_left `

// Notes are the letters to practices that lie sealed in each Kasse's store.
func Notes() []emergency.NoteSource {
	return []emergency.NoteSource{{Query: `select 'answer ' || id, sealed from sicknote_answer where length(sealed) > 0 order by id`}}
}

// Keepers are the tables whose rows the ledger accounts for.
func Keepers() []ledger.Keeper {
	return []ledger.Keeper{
		keeper("sicknote_mail", scanMail, `select `+mailColumns+` from sicknote_mail`),
		keeper("sicknote_leave", scanLeave, `select `+leaveColumns+` from sicknote_leave`),
		keeper("sicknote_left", scanLeft, leftQuery),
		keeper("sicknote_answer", scanAnswer, answerQuery),
		keeper("sicknote_request", scanRequest, requestQuery),
		keeper("sicknote_report", scanReport, reportQuery),
	}
}

func keeper[T interface{ row() ledger.Row }](table string, scan func(*sql.Rows) (T, error), query string) ledger.Keeper {
	return ledger.KeepQuery(table, T.row, scan, query)
}
