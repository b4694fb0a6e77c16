package warning

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Contact is how a person is reached outside the room.
type Contact struct {
	Mail    string   `json:"mail,omitempty"`
	Webhook string   `json:"webhook,omitempty"` // https address
	Command []string `json:"command,omitempty"` // program and arguments: a pager, an SMS modem; the text comes on its standard input
}

// AlertState says whether a person was told.
type AlertState string

// The states of an alert.
const (
	AlertWaiting AlertState = "waiting" // tried again until it is sent or nobody needs it any more
	AlertSent    AlertState = "sent"
	AlertMoot    AlertState = "moot" // decided before it could be sent
)

// Alert is one message to one person about one signal, on one way.
type Alert struct {
	ID      string     `json:"id"`
	Signal  string     `json:"signal"`
	Round   int        `json:"round"` // 0: raised; n: the n-th escalation
	Person  string     `json:"person"`
	Channel string     `json:"channel"` // mail, webhook, command; none: the person has no contact
	State   AlertState `json:"state"`
	Tries   int        `json:"tries"`
	Due     time.Time  `json:"due"`
	Sent    time.Time  `json:"sent,omitzero"`
	Error   string     `json:"error,omitempty"` // of the last try
}

// Sender carries a text to a contact on one way.
type Sender interface {
	Send(ctx context.Context, to Contact, m Message) error
}

// Alerter tells owners of signals outside the room, until somebody takes them on.
type Alerter struct {
	Contacts map[string]Contact
	Ways     map[string]Sender // by channel
	Log      *slog.Logger
}

const (
	firstRetry = 30 * time.Second
	lastRetry  = 10 * time.Minute
	lease      = 3 * time.Minute // while a message is under way
	sendFor    = 30 * time.Second
	noContact  = "none"
)

// Due writes down who has to be told, and tells them. Alerts of one person on
// one way go in one message. It returns how many could not be sent.
func (a *Alerter) Due(ctx context.Context, d *db.DB, now time.Time) (failing int, err error) {
	if err := d.Write(ctx, func(ctx context.Context, tx *db.Tx) error { return a.plan(ctx, tx, now) }); err != nil {
		return 0, fmt.Errorf("writing down who has to be told: %w", err)
	}
	waiting, err := alerts(ctx, d, `where state = 'waiting' order by id`)
	if err != nil {
		return 0, err
	}
	groups := map[[2]string][]Alert{}
	for _, x := range waiting {
		if x.Tries > 0 || x.Channel == noContact {
			failing++
		}
		if !x.Due.After(now) && x.Channel != noContact {
			groups[[2]string{x.Person, x.Channel}] = append(groups[[2]string{x.Person, x.Channel}], x)
		}
	}
	var errs []error
	for _, key := range slices.SortedFunc(maps.Keys(groups), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		errs = append(errs, a.deliver(ctx, d, now, groups[key]))
	}
	return failing, errors.Join(errs...)
}

// plan makes the alerts of open signals that are missing, and ends those that
// nobody needs any more.
func (a *Alerter) plan(ctx context.Context, tx *db.Tx, now time.Time) error {
	open, err := signals(ctx, tx, `where state = 'open' order by id`)
	if err != nil {
		return err
	}
	for _, s := range open {
		have, err := alerts(ctx, tx, `where signal = $1 and round = $2`, s.ID, s.Escalated)
		if err != nil {
			return err
		}
		if len(have) > 0 {
			continue
		}
		var rows []ledger.Row
		for _, person := range append([]string{s.Owner}, s.Asked...) {
			for _, channel := range a.channels(person) {
				x := Alert{ID: "al-" + rand.Text()[:10], Signal: s.ID, Round: s.Escalated, Person: person, Channel: channel, State: AlertWaiting, Due: db.Trim(now)}
				if err := x.put(ctx, tx); err != nil {
					return err
				}
				rows = append(rows, x.row())
			}
		}
		if _, err := ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: ledger.System, Kind: "signal.alert", Subject: s.ID, Rows: rows}); err != nil {
			return err
		}
	}
	moot, err := alerts(ctx, tx, `where state = 'waiting' and signal not in (select id from signal where state = 'open') order by id`)
	if err != nil {
		return err
	}
	for _, x := range moot {
		x.State = AlertMoot
		if err := x.store(ctx, tx, now, "alert.moot"); err != nil {
			return err
		}
	}
	return nil
}

// Reaches says whether there is a way to a person outside the room.
func (a *Alerter) Reaches(person string) bool { return a.channels(person)[0] != noContact }

func (a *Alerter) channels(person string) []string {
	c := a.Contacts[person]
	var out []string
	for _, w := range []struct {
		name string
		has  bool
	}{{"mail", c.Mail != ""}, {"webhook", c.Webhook != ""}, {"command", len(c.Command) > 0}} {
		if w.has && a.Ways[w.name] != nil {
			out = append(out, w.name)
		}
	}
	if len(out) == 0 {
		return []string{noContact}
	}
	return out
}

// deliver sends one message for alerts of one person on one way. It is leased
// before: a second process, or a crash, does not send it at the same time.
func (a *Alerter) deliver(ctx context.Context, d *db.DB, now time.Time, group []Alert) error {
	var list []Signal
	for i := range group {
		x := &group[i]
		taken := false
		err := d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			n, err := tx.Exec(ctx, `update alert set due = $1, tries = tries + 1 where id = $2 and state = 'waiting' and due = $3`,
				db.Micro(now.Add(lease)), x.ID, db.Micro(x.Due))
			taken = n == 1
			return err
		})
		if err != nil {
			return fmt.Errorf("taking alert %q: %w", x.ID, err)
		}
		if !taken {
			return nil // another one is at it
		}
		x.Tries++
		s, err := Get(ctx, d, x.Signal)
		if err != nil {
			return err
		}
		list = append(list, s)
	}
	sending, stop := context.WithTimeout(ctx, sendFor)
	err := a.Ways[group[0].Channel].Send(sending, a.Contacts[group[0].Person], messageOf(group[0].Person, list))
	stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && a.Log != nil {
		a.Log.Error("somebody could not be told of a signal", slog.String("person", group[0].Person), slog.String("channel", group[0].Channel), slog.Any("error", err))
	}
	return d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, x := range group {
			if err != nil {
				x.Error, x.Due = cut(err.Error(), maxCheck), db.Trim(now.Add(min(lastRetry, firstRetry<<min(x.Tries-1, 10))))
				if err := x.put(ctx, tx); err != nil {
					return err
				}
				continue
			}
			x.State, x.Sent, x.Error = AlertSent, db.Trim(now), ""
			if err := x.store(ctx, tx, now, "alert.sent"); err != nil {
				return err
			}
		}
		return nil
	})
}

// row leaves out how often it was tried.
func (x Alert) row() ledger.Row {
	return ledger.Row{Table: "alert", Key: x.ID, Value: map[string]any{
		"signal": x.Signal, "round": x.Round, "person": x.Person, "channel": x.Channel, "state": x.State, "sent": db.Micro(x.Sent),
	}}
}

func (x Alert) store(ctx context.Context, tx *db.Tx, now time.Time, kind string) error {
	if err := x.put(ctx, tx); err != nil {
		return err
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: ledger.System, Kind: kind, Subject: x.Signal, Rows: []ledger.Row{x.row()}})
	return err
}

func (x Alert) put(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `insert into alert (id, signal, round, person, channel, state, tries, due, sent_at, error)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		on conflict (id) do update set state = excluded.state, tries = excluded.tries, due = excluded.due, sent_at = excluded.sent_at, error = excluded.error`,
		x.ID, x.Signal, x.Round, x.Person, x.Channel, string(x.State), x.Tries, db.Micro(x.Due), db.Micro(x.Sent), x.Error)
	if err != nil {
		return fmt.Errorf("storing alert %q: %w", x.ID, err)
	}
	return nil
}

// Alerts are all messages about a signal, "" for all signals.
func Alerts(ctx context.Context, q db.Querier, signal string) ([]Alert, error) {
	return alerts(ctx, q, `where signal = $1 or $1 = '' order by due, id`, signal)
}

func alerts(ctx context.Context, q db.Querier, rest string, args ...any) ([]Alert, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (x Alert, err error) {
		var due, sent int64
		err = rows.Scan(&x.ID, &x.Signal, &x.Round, &x.Person, &x.Channel, &x.State, &x.Tries, &due, &sent, &x.Error)
		x.Due, x.Sent = db.Time(due), db.Time(sent)
		return x, err
	}, `select id, signal, round, person, channel, state, tries, due, sent_at, error from alert `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading alerts: %w", err)
	}
	return out, nil
}
