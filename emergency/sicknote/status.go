package sicknote

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/emergency"
)

// Status is what a Kasse's intake has done. sent = accepted + duplicates + held +
// refused (+ test in a real room) when everything sent was fetched and read.
type Status struct {
	Kasse      catalogue.KasseID `json:"kasse"`
	Fetched    int64             `json:"fetched"`    // from the server, refetched ones included
	Refetched  int64             `json:"refetched"`  // came again after a cut or crash, recognised
	Stored     int64             `json:"stored"`     // Fetched less Refetched
	Unread     int64             `json:"unread"`     // of Stored, not opened yet
	Accepted   int64             `json:"accepted"`   // sick notes and Stornos
	Duplicates int64             `json:"duplicates"` // the same document again
	Held       int64             `json:"held"`       // put before a person, whatever came of it
	Refused    int64             `json:"refused"`    // answered as faulty
	Test       int64             `json:"test"`       // test mail in a real room
	Storno     int64             `json:"storno"`     // of all, cancellations
	Waiting    int64             `json:"waiting"`    // of Held, Stornos whose eAU is not here
	Cancelled  int64             `json:"cancelled"`  // of Accepted, sick notes that were cancelled
	Reused     int64             `json:"id_reused"`
	Foreign    int64             `json:"foreign_payer"`
	Unverified int64             `json:"unverified"`
	Overdue    int64             `json:"overdue"`         // held and past their deadline: red
	DueSoon    int64             `json:"due_soon"`        // held and less than Ahead from it: escalated
	Left       int64             `json:"left_on_server"`  // too large
	Oldest     time.Time         `json:"oldest,omitzero"` // when the oldest open item came
	PerMinute  float64           `json:"per_minute"`      // stored in the last ten minutes
	Mailboxes  []BoxStatus       `json:"mailboxes"`
}

// BoxStatus is how polling one mailbox goes.
type BoxStatus struct {
	Mailbox  string    `json:"mailbox"`
	Last     time.Time `json:"last,omitzero"` // last success since the start
	Next     time.Time `json:"next,omitzero"`
	Failures int       `json:"failures"` // in a row
	Problem  string    `json:"problem,omitempty"`
}

// Add gives the sum of two Kassen's figures.
func (s Status) Add(t Status) Status {
	for _, f := range []struct {
		to   *int64
		from int64
	}{
		{&s.Fetched, t.Fetched},
		{&s.Refetched, t.Refetched},
		{&s.Stored, t.Stored},
		{&s.Unread, t.Unread},
		{&s.Accepted, t.Accepted},
		{&s.Duplicates, t.Duplicates},
		{&s.Held, t.Held},
		{&s.Refused, t.Refused},
		{&s.Test, t.Test},
		{&s.Storno, t.Storno},
		{&s.Waiting, t.Waiting},
		{&s.Cancelled, t.Cancelled},
		{&s.Reused, t.Reused},
		{&s.Foreign, t.Foreign},
		{&s.Unverified, t.Unverified},
		{&s.Overdue, t.Overdue},
		{&s.DueSoon, t.DueSoon},
		{&s.Left, t.Left},
	} {
		*f.to += f.from
	}
	if s.Oldest.IsZero() || !t.Oldest.IsZero() && t.Oldest.Before(s.Oldest) {
		s.Oldest = t.Oldest
	}
	s.PerMinute += t.PerMinute
	s.Mailboxes = append(append([]BoxStatus(nil), s.Mailboxes...), t.Mailboxes...)
	s.Kasse = ""
	return s
}

// Status reads the figures of one Kasse.
func (in *Intake) Status(ctx context.Context, k catalogue.KasseID, now time.Time) (Status, error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return Status{}, err
	}
	s := Status{Kasse: k}
	err = j.Store().Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		if err := s.classes(ctx, q); err != nil {
			return err
		}
		return s.rest(ctx, q, now)
	})
	if err != nil {
		return Status{}, fmt.Errorf("reading the figures of Kasse %s: %w", k, err)
	}
	for _, b := range in.boxes {
		if b.Kasse == k {
			s.Mailboxes = append(s.Mailboxes, b.status())
		}
	}
	return s, nil
}

// Boxes is how polling of all mailboxes goes, without a look into any store.
func (in *Intake) Boxes() []BoxStatus {
	out := make([]BoxStatus, len(in.boxes))
	for i, b := range in.boxes {
		out[i] = b.status()
	}
	return out
}

func (b *box) status() BoxStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return BoxStatus{Mailbox: b.Address, Last: b.last, Next: b.next, Failures: b.failures, Problem: b.problem}
}

func (s *Status) classes(ctx context.Context, q db.Querier) error {
	type tally struct {
		class Class
		kind  DocKind
		flags string
		n     int64
	}
	tallies, err := db.Collect(ctx, q, func(r *sql.Rows) (tally, error) {
		var t tally
		err := r.Scan(&t.class, &t.kind, &t.flags, &t.n)
		return t, err
	}, `select class, kind, flags, count(*) from sicknote_mail group by class, kind, flags`)
	if err != nil {
		return err
	}
	for _, t := range tallies {
		s.Stored += t.n
		if n := map[Class]*int64{
			ClassUnread: &s.Unread, ClassAccepted: &s.Accepted, ClassDuplicate: &s.Duplicates,
			ClassHeld: &s.Held, ClassRefused: &s.Refused, ClassTest: &s.Test,
		}[t.class]; n != nil {
			*n += t.n
		}
		if t.kind == DocStorno {
			s.Storno += t.n
		}
		for f := range strings.FieldsSeq(t.flags) {
			if n := map[string]*int64{
				FlagReused: &s.Reused, FlagForeign: &s.Foreign, FlagUnverified: &s.Unverified,
				FlagWaiting: &s.Waiting, FlagCancelled: &s.Cancelled,
			}[f]; n != nil {
				*n += t.n
			}
		}
	}
	return nil
}

func (s *Status) rest(ctx context.Context, q db.Querier, now time.Time) error {
	var recent, oldest int64
	for _, one := range []struct {
		to    *int64
		query string
		args  []any
	}{
		{&s.Refetched, `select coalesce(sum(n), 0) from sicknote_tally where name = 'refetched'`, nil},
		{&s.Left, `select count(*) from sicknote_left`, nil},
		{&recent, `select count(*) from sicknote_mail where fetched > $1`, []any{db.Micro(now.Add(-10 * time.Minute))}},
		{&s.Overdue, `select count(*) from journal_standing where state = 'held' and deadline <= $1`, []any{db.Micro(now)}},
		{&s.DueSoon, `select count(*) from journal_standing where state = 'held' and deadline > $1 and deadline <= $2`, []any{db.Micro(now), db.Micro(now.Add(Ahead))}},
		{&oldest, `select coalesce(min(m.fetched), 0) from sicknote_mail m join journal_standing s on s.number = m.number
			where s.state in ('unread', 'pending', 'held', 'sent', 'receipted')`, nil},
	} {
		if err := q.QueryRow(ctx, one.query, one.args...).Scan(one.to); err != nil {
			return err
		}
	}
	s.Fetched = s.Stored + s.Refetched
	s.PerMinute = float64(recent) / 10
	s.Oldest = db.Time(oldest)
	return nil
}

// Mail is one mail of the intake without its content.
type Mail struct {
	Number   emergency.Number `json:"-"`
	Label    string           `json:"number"`
	Mailbox  string           `json:"mailbox"`
	Fetched  time.Time        `json:"fetched"`
	Class    Class            `json:"class"`
	Kind     DocKind          `json:"kind"`
	Test     bool             `json:"test,omitempty"`
	Flags    []string         `json:"flags,omitempty"`
	Payer    string           `json:"payer,omitempty"` // of a foreign payer
	Of       string           `json:"of,omitempty"`    // what a duplicate repeats
	State    emergency.State  `json:"state"`
	Reason   string           `json:"reason,omitempty"`
	Owner    string           `json:"owner,omitempty"`
	Deadline time.Time        `json:"deadline,omitzero"`
	Light    Light            `json:"light,omitempty"` // of a held one, where somebody looks
}

// Light says how urgent a held mail is; empty means that it is not held.
type Light string

// The lights.
const (
	Green  Light = "green"
	Yellow Light = "yellow" // less than Ahead to its deadline: escalated
	Red    Light = "red"    // past its deadline
)

// Ahead is how long before its deadline a held mail escalates.
const Ahead = 4 * time.Hour

// LightAt is the light of a mail at a time.
func (m *Mail) LightAt(now time.Time) Light {
	switch {
	case m.State != emergency.Held:
		return ""
	case !now.Before(m.Deadline):
		return Red
	case !now.Add(Ahead).Before(m.Deadline):
		return Yellow
	}
	return Green
}

// Word is the light in words, for people who do not see its colour.
func (l Light) Word() string {
	switch l {
	case Green:
		return "in der Frist"
	case Yellow:
		return "! Frist läuft ab"
	case Red:
		return "✕ ROT: Frist vorbei"
	}
	return ""
}

// List returns mails by number, above after; an empty class means all.
func (in *Intake) List(ctx context.Context, k catalogue.KasseID, class Class, after emergency.Number, limit int) ([]Mail, error) {
	j, err := in.config.Journals.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	mails, err := db.Collect(ctx, j.Store(), func(r *sql.Rows) (Mail, error) {
		var m Mail
		var of emergency.Number
		var fetched, deadline int64
		var flags string
		err := r.Scan(&m.Number, &m.Mailbox, &fetched, &m.Class, &m.Kind, &m.Test, &flags, &m.Payer, &of, &m.State, &m.Reason, &m.Owner, &deadline)
		m.Label, m.Fetched, m.Deadline, m.Flags = m.Number.Label(k), db.Time(fetched), db.Time(deadline), strings.Fields(flags)
		if of > 0 {
			m.Of = of.Label(k)
		}
		return m, err
	}, `select m.number, m.mailbox, m.fetched, m.class, m.kind, m.test, m.flags, m.payer, m.of_number, s.state, s.reason, s.owner, s.deadline
		from sicknote_mail m join journal_standing s on s.number = m.number
		where m.number > $1 and ($2 = '' or m.class = $2) order by m.number limit $3`, int64(after), string(class), limit)
	if err != nil {
		return nil, fmt.Errorf("listing mails of Kasse %s: %w", k, err)
	}
	return mails, nil
}
