package sicknote

import (
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// SMTP is where answers go out, normally the Clientmodul.
type SMTP struct {
	Addr     string
	Security Security
	TLS      *tls.Config
	User     string // "" sends without login
	Password string
}

const answerQuery = `select id, number, mailbox, code, state, made, attempts, sealed from sicknote_answer `

func scanAnswer(r *sql.Rows) (*answerRow, error) {
	a := &answerRow{}
	err := r.Scan(&a.ID, &a.Number, &a.Mailbox, &a.Code, &a.State, &a.Made, &a.attempts, &a.sealed)
	return a, err
}

// perMail bounds one SMTP connection.
const answersPerConnection = 50

// SendAnswers sends released answers that are due, of all mailboxes that have an
// SMTP server, and returns how many left. Each is put on record before and after.
// What was cut off after its last byte may have arrived: it becomes unknown and is
// never sent again without a person's word ([Intake.ResolveAnswer]).
func (in *Intake) SendAnswers(ctx context.Context, now time.Time) (sent int, err error) {
	var errs []error
	for _, b := range in.boxes {
		if b.SMTP.Addr == "" {
			continue
		}
		n, err := in.sendFrom(ctx, b.Mailbox, now)
		sent += n
		if err != nil {
			errs = append(errs, fmt.Errorf("sending answers of %s: %w", b.Address, err))
		}
	}
	return sent, errors.Join(errs...)
}

func (in *Intake) sendFrom(ctx context.Context, mb *Mailbox, now time.Time) (sent int, err error) {
	j, err := in.config.Journals.Open(ctx, mb.Kasse)
	if err != nil {
		return 0, err
	}
	if err := in.findCutOff(ctx, j, mb, now); err != nil {
		return 0, err
	}
	for {
		answers, letters, err := in.takeReleased(ctx, j, mb, now)
		if err != nil || len(answers) == 0 {
			return sent, err
		}
		if err := in.hook("sending"); err != nil {
			return sent, err
		}
		outcomes, cause := in.transmit(ctx, mb.SMTP, letters)
		n, err := in.recordSent(ctx, j, answers, outcomes, now)
		sent += n
		if err := errors.Join(cause, err); err != nil {
			return sent, err
		}
		if err := in.hook("sent"); err != nil {
			return sent, err
		}
	}
}

// findCutOff finds answers that a process was sending when it ended. Nobody can
// tell whether they arrived.
func (in *Intake) findCutOff(ctx context.Context, j *emergency.Journal, mb *Mailbox, now time.Time) error {
	return j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		cut, err := db.Collect(ctx, tx, scanAnswer, answerQuery+`where state = 'sending' and mailbox = $1 order by made, id`, mb.Address)
		if err != nil || len(cut) == 0 {
			return err
		}
		for _, a := range cut {
			a.State = AnswerUnknown
		}
		return putAnswers(ctx, tx, ledger.Entry{At: now, Actor: ledger.System, Kind: "answer.unknown", Subject: mb.Address}, cut, now)
	})
}

// takeReleased marks the next answers as being sent. This is the intent in the ledger.
func (in *Intake) takeReleased(ctx context.Context, j *emergency.Journal, mb *Mailbox, now time.Time) ([]*answerRow, []letter, error) {
	answers, err := db.Collect(ctx, j.Store(), scanAnswer,
		answerQuery+`where state = 'released' and mailbox = $1 and next <= $2 order by made, id limit $3`, mb.Address, db.Micro(now), answersPerConnection)
	if err != nil || len(answers) == 0 {
		return nil, nil, err
	}
	letters := make([]letter, len(answers))
	for i, a := range answers {
		plain, err := j.OpenNote(ctx, "answer "+a.ID, a.sealed)
		if err != nil {
			return nil, nil, err
		}
		if err := json.Unmarshal(plain, &letters[i]); err != nil {
			return nil, nil, fmt.Errorf("reading answer %s: %w", a.ID, err)
		}
		a.State = AnswerSending
		a.attempts++
	}
	return answers, letters, j.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		return putAnswers(ctx, tx, ledger.Entry{At: now, Actor: ledger.System, Kind: "answer.sending", Subject: mb.Address}, answers, now)
	})
}

func putAnswers(ctx context.Context, tx *db.Tx, e ledger.Entry, answers []*answerRow, next time.Time) error {
	for _, a := range answers {
		if _, err := tx.Exec(ctx, `update sicknote_answer set state = $1, attempts = $2, next = $3 where id = $4`,
			string(a.State), a.attempts, db.Micro(next), a.ID); err != nil {
			return fmt.Errorf("writing answer %s: %w", a.ID, err)
		}
		e.Rows = append(e.Rows, a.row())
	}
	_, err := ledger.Append(ctx, tx, e)
	return err
}

// outcome is what became of one letter.
type outcome struct {
	state AnswerState
	text  string
}

// transmit sends letters over one connection. The error says why the rest was not tried.
func (in *Intake) transmit(ctx context.Context, server SMTP, letters []letter) ([]outcome, error) {
	outcomes := make([]outcome, len(letters))
	for i := range outcomes {
		outcomes[i].state = AnswerReleased // not tried: it stays released
	}
	c, err := in.dialSMTP(ctx, server)
	if err != nil {
		return outcomes, err
	}
	defer func() { _ = c.Close() }() // after QUIT, or broken
	for i, l := range letters {
		var goOn bool
		if outcomes[i], goOn = deliver(c, l); !goOn {
			return outcomes, fmt.Errorf("SMTP: %s", outcomes[i].text)
		}
	}
	_ = c.Quit() // every letter has its reply
	return outcomes, nil
}

// deliver sends one letter. Before the final dot nothing was taken over, and it
// may be tried again; after it, without a reply, nobody knows.
func deliver(c *smtp.Client, l letter) (o outcome, goOn bool) {
	refused := func(err error) (outcome, bool) {
		var e *smtp.SMTPError
		switch {
		case !errors.As(err, &e):
			return outcome{AnswerReleased, err.Error()}, false
		case e.Code/100 == 5:
			_ = c.Reset() // a broken connection shows at the next letter
			return outcome{AnswerFailed, printable(e.Error())}, true
		}
		_ = c.Reset() // likewise
		return outcome{AnswerReleased, printable(e.Error())}, true
	}
	if err := c.Mail(l.From, nil); err != nil {
		return refused(err)
	}
	if err := c.Rcpt(l.To, nil); err != nil {
		return refused(err)
	}
	w, err := c.Data()
	if err != nil {
		return refused(err)
	}
	if _, err := w.Write(l.Mail); err != nil {
		return outcome{AnswerReleased, err.Error()}, false
	}
	if err := w.Close(); err != nil {
		if _, ok := errors.AsType[*smtp.SMTPError](err); ok {
			return refused(err)
		}
		return outcome{AnswerUnknown, err.Error()}, false
	}
	return outcome{state: AnswerSent}, true
}

func (in *Intake) dialSMTP(ctx context.Context, s SMTP) (*smtp.Client, error) {
	if err := (popConfig{addr: s.Addr, security: s.Security}).check(); err != nil {
		return nil, err
	}
	conn, err := in.config.Dial(ctx, "tcp", s.Addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", s.Addr, err)
	}
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("address %q: %w", s.Addr, err), conn.Close())
	}
	config := s.TLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	var c *smtp.Client
	switch s.Security {
	case TLS:
		c = smtp.NewClient(tls.Client(conn, config))
	case StartTLS:
		if c, err = smtp.NewClientStartTLS(conn, config); err != nil {
			return nil, errors.Join(fmt.Errorf("STARTTLS with %s: %w", s.Addr, err), conn.Close())
		}
	case PlainText:
		c = smtp.NewClient(conn)
	}
	c.CommandTimeout, c.SubmissionTimeout = in.config.Idle, in.config.Idle
	if s.User == "" {
		return c, nil
	}
	if err := c.Auth(sasl.NewPlainClient("", s.User, s.Password)); err != nil {
		return nil, errors.Join(fmt.Errorf("logging in to %s: %w", s.Addr, err), c.Close())
	}
	return c, nil
}

// recordSent is the outcome in the ledger. Letters that were not taken over are
// tried again after a pause that doubles up to ten minutes.
func (in *Intake) recordSent(ctx context.Context, j *emergency.Journal, answers []*answerRow, outcomes []outcome, now time.Time) (sent int, err error) {
	err = j.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx *db.Tx) error {
		sent = 0
		e := ledger.Entry{At: now, Actor: ledger.System, Kind: "answer.tried"}
		counts := map[AnswerState]int{}
		for i, a := range answers {
			a.State = outcomes[i].state
			counts[a.State]++
			pause := 30 * time.Second
			for range min(a.attempts, 5) {
				pause *= 2
			}
			text := outcomes[i].text
			if _, err := tx.Exec(ctx, `update sicknote_answer set state = $1, next = $2, error = $3 where id = $4`,
				string(a.State), db.Micro(now.Add(min(pause, 10*time.Minute))), text[:min(len(text), 300)], a.ID); err != nil {
				return fmt.Errorf("writing answer %s: %w", a.ID, err)
			}
			e.Rows = append(e.Rows, a.row())
		}
		sent = counts[AnswerSent]
		e.Data = counts
		_, err := ledger.Append(ctx, tx, e)
		return err
	})
	return sent, err
}
