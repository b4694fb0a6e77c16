// Package warning turns log events into signals: something noticed, with an
// owner and a deadline.
//
// Promises: nothing disappears without a decision. A signal is open until a
// person acknowledges it, dismisses it with a reason, or attaches it to an
// incident; past its deadline it is escalated, again and again (continuity R1).
package warning

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// State is what has been decided about a signal.
type State string

// The states of a signal.
const (
	Open         State = "open"
	Acknowledged State = "acknowledged"
	Dismissed    State = "dismissed"
	Attached     State = "attached"
)

// Signal is something that the early warning noticed.
type Signal struct {
	ID          string                  `json:"id"`
	Rule        string                  `json:"rule"`
	RuleVersion string                  `json:"rule_version"`
	Title       string                  `json:"title"`
	Level       string                  `json:"level"`
	Author      string                  `json:"author"`
	License     string                  `json:"license"`
	Host        string                  `json:"host"`
	Environment catalogue.EnvironmentID `json:"environment,omitempty"`
	First       time.Time               `json:"first"`
	Last        time.Time               `json:"last"`
	Count       int                     `json:"count"`
	Events      []string                `json:"events"` // the first raw events, at most maxEvents
	Owner       string                  `json:"owner"`
	Deadline    time.Time               `json:"deadline"`
	Escalated   int                     `json:"escalated"`
	State       State                   `json:"state"`
	Incident    string                  `json:"incident,omitempty"`
	Reason      string                  `json:"reason,omitempty"`
}

const (
	maxEvents = 20
	// groupFor is how long repeated hits of a rule on a host count as one signal.
	groupFor = time.Hour
)

// Schema is the package's part of the room's store.
var Schema = db.Migrations{Package: "warning", Steps: []string{`
	create table signal (
		id text primary key, rule text not null, rule_version text not null, title text not null, level text not null,
		author text not null, license text not null, host text not null, environment text not null,
		first_at bigint not null, last_at bigint not null, n bigint not null, events text not null,
		owner text not null, deadline bigint not null, escalated bigint not null,
		state text not null, incident text not null, reason text not null
	);
	create index signal_open on signal (state, deadline);
	create table followed (file text primary key, position bigint not null);
`}}

// Errors that a person decides on.
var (
	ErrUnknown = errors.New("no such signal")
	ErrReason  = errors.New("dismissing a signal needs a reason")
	ErrDecided = errors.New("the signal is decided already")
)

// within is how long an owner has, by level; an unknown level is treated as high.
func within(level string) time.Duration {
	switch level {
	case "critical":
		return 15 * time.Minute
	case "medium":
		return 8 * time.Hour
	case "low", "informational":
		return 24 * time.Hour
	}
	return time.Hour
}

// Raise stores a hit: as a new signal, or as one more of an open signal of the
// same rule on the same host within the last hour.
func Raise(ctx context.Context, tx *db.Tx, now time.Time, s Signal, event string) (Signal, error) {
	same, err := signals(ctx, tx, `where rule = $1 and host = $2 and state = 'open' and last_at > $3 order by last_at desc`,
		s.Rule, s.Host, db.Micro(now.Add(-groupFor)))
	if err != nil {
		return Signal{}, err
	}
	kind := "signal.raised"
	if len(same) > 0 {
		s, kind = same[0], "signal.repeated"
	} else {
		s.ID, s.First, s.State = "s-"+rand.Text()[:8], db.Trim(now), Open
		s.Deadline = db.Trim(now.Add(within(s.Level)))
	}
	s.Last = db.Trim(now)
	s.Count++
	if len(s.Events) < maxEvents {
		s.Events = append(s.Events, event)
	}
	return s, store(ctx, tx, now, ledger.System, kind, s)
}

// Decide ends the openness of a signal: acknowledged, dismissed with a reason,
// or attached to an incident.
func Decide(ctx context.Context, tx *db.Tx, now time.Time, by access.Person, id string, to State, incident, reason string) (Signal, error) {
	s, err := Get(ctx, tx, id)
	if err != nil {
		return Signal{}, err
	}
	if s.State != Open && s.State != Acknowledged || s.State == to {
		return Signal{}, fmt.Errorf("%q is %s: %w", id, s.State, ErrDecided)
	}
	switch to {
	case Acknowledged:
		s.Owner = by.ID
	case Dismissed:
		if strings.TrimSpace(reason) == "" {
			return Signal{}, ErrReason
		}
	case Attached:
		if incident == "" {
			return Signal{}, errors.New("attaching a signal needs an incident")
		}
		s.Incident = incident
	case Open:
		return Signal{}, fmt.Errorf("%q cannot be opened again: raise it anew", id)
	default:
		return Signal{}, fmt.Errorf("decision %q: want %s, %s or %s", to, Acknowledged, Dismissed, Attached)
	}
	s.State, s.Reason = to, reason
	return s, store(ctx, tx, now, by.ID, "signal."+string(to), s)
}

// EscalateDue counts up and extends every open signal whose deadline has passed.
func EscalateDue(ctx context.Context, tx *db.Tx, now time.Time) ([]Signal, error) {
	due, err := signals(ctx, tx, `where state = 'open' and deadline <= $1 order by deadline, id`, db.Micro(now))
	if err != nil {
		return nil, err
	}
	for i := range due {
		due[i].Escalated++
		due[i].Deadline = db.Trim(now.Add(within(due[i].Level)))
		if err := store(ctx, tx, now, ledger.System, "signal.escalated", due[i]); err != nil {
			return nil, err
		}
	}
	return due, nil
}

// Get returns one signal.
func Get(ctx context.Context, q db.Querier, id string) (Signal, error) {
	found, err := signals(ctx, q, `where id = $1`, id)
	if err != nil {
		return Signal{}, err
	}
	if len(found) == 0 {
		return Signal{}, fmt.Errorf("%q: %w", id, ErrUnknown)
	}
	return found[0], nil
}

// List returns all signals, newest first.
func List(ctx context.Context, q db.Querier) ([]Signal, error) {
	return signals(ctx, q, `order by last_at desc, id`)
}

// row keeps raw events out of the ledger: it holds their hash.
func (s Signal) row() ledger.Row {
	sum := sha256.Sum256([]byte(strings.Join(s.Events, "\n")))
	return ledger.Row{Table: "signal", Key: s.ID, Value: map[string]any{
		"rule": s.Rule, "rule_version": s.RuleVersion, "level": s.Level, "host": s.Host, "environment": s.Environment,
		"first": db.Micro(s.First), "last": db.Micro(s.Last), "count": s.Count, "events_sha256": hex.EncodeToString(sum[:]),
		"owner": s.Owner, "deadline": db.Micro(s.Deadline), "escalated": s.Escalated, "state": s.State, "incident": s.Incident,
	}}
}

func store(ctx context.Context, tx *db.Tx, now time.Time, actor, kind string, s Signal) error {
	events, err := json.Marshal(s.Events)
	if err != nil {
		return fmt.Errorf("encoding events of signal %q: %w", s.ID, err)
	}
	if _, err := tx.Exec(ctx, `insert into signal (id, rule, rule_version, title, level, author, license, host, environment,
			first_at, last_at, n, events, owner, deadline, escalated, state, incident, reason)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
		on conflict (id) do update set last_at = excluded.last_at, n = excluded.n, events = excluded.events, owner = excluded.owner,
			deadline = excluded.deadline, escalated = excluded.escalated, state = excluded.state,
			incident = excluded.incident, reason = excluded.reason`,
		s.ID, s.Rule, s.RuleVersion, s.Title, s.Level, s.Author, s.License, s.Host, string(s.Environment),
		db.Micro(s.First), db.Micro(s.Last), s.Count, string(events), s.Owner, db.Micro(s.Deadline), s.Escalated,
		string(s.State), s.Incident, s.Reason); err != nil {
		return fmt.Errorf("storing signal %q: %w", s.ID, err)
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: actor, Kind: kind, Subject: s.ID, Reason: s.Reason, Rows: []ledger.Row{s.row()},
	})
	return err
}

func signals(ctx context.Context, q db.Querier, rest string, args ...any) ([]Signal, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (s Signal, err error) {
		var first, last, deadline int64
		var events string
		if err := rows.Scan(&s.ID, &s.Rule, &s.RuleVersion, &s.Title, &s.Level, &s.Author, &s.License, &s.Host, &s.Environment,
			&first, &last, &s.Count, &events, &s.Owner, &deadline, &s.Escalated, &s.State, &s.Incident, &s.Reason); err != nil {
			return s, err
		}
		s.First, s.Last, s.Deadline = db.Time(first), db.Time(last), db.Time(deadline)
		return s, json.Unmarshal([]byte(events), &s.Events)
	}, `select id, rule, rule_version, title, level, author, license, host, environment, first_at, last_at, n, events,
		owner, deadline, escalated, state, incident, reason from signal `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading signals: %w", err)
	}
	return out, nil
}

// Keepers are the tables whose rows the ledger accounts for.
func Keepers() []ledger.Keeper {
	return []ledger.Keeper{{Table: "signal", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
		all, err := signals(ctx, q, `order by id`)
		out := make([]ledger.Row, len(all))
		for i, s := range all {
			out[i] = s.row()
		}
		return out, err
	}}}
}
