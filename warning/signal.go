// Package warning turns log events into signals: something noticed, with an
// owner and a deadline.
//
// Promises: nothing disappears without a decision. A signal is open until a
// person acknowledges it, dismisses it with a reason, or attaches it to an
// incident; past its deadline it is escalated, again and again (continuity R1).
package warning

import (
	"cmp"
	"context"
	"crypto/rand"
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
	Description string                  `json:"description,omitempty"`
	Level       string                  `json:"level"` // severity as the rule says it
	Author      string                  `json:"author"`
	License     string                  `json:"license"`
	Host        string                  `json:"host"`
	Environment catalogue.EnvironmentID `json:"environment,omitempty"`
	Kasse       catalogue.KasseID       `json:"kasse,omitempty"`
	Group       string                  `json:"group"` // what repeated hits are grouped by, beside the rule
	First       time.Time               `json:"first"` // when the room noticed
	Last        time.Time               `json:"last"`
	Happened    time.Time               `json:"happened,omitzero"` // what the first event says
	Count       int                     `json:"count"`
	Events      []string                `json:"events"`            // the first raw events, at most maxEvents
	Matched     []string                `json:"matched,omitempty"` // what matched in the first hit, and why
	Owner       string                  `json:"owner"`
	Deadline    time.Time               `json:"deadline"`
	Escalated   int                     `json:"escalated"`
	Asked       []string                `json:"asked,omitempty"` // who owned it before it was escalated
	State       State                   `json:"state"`
	Incident    string                  `json:"incident,omitempty"`
	Reason      string                  `json:"reason,omitempty"`
	DecidedBy   string                  `json:"decided_by,omitempty"`
	DecidedAt   time.Time               `json:"decided_at,omitzero"`
}

const (
	maxEvents = 20
	// groupFor is how long repeated hits of a rule on a host count as one signal.
	groupFor = time.Hour
	// workFor is how long an acknowledged signal may stay without an end.
	workFor = 24 * time.Hour
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
`, `
	alter table signal add column description text not null default '';
	alter table signal add column kasse text not null default '';
	alter table signal add column grp text not null default '';
	alter table signal add column happened bigint not null default 0;
	alter table signal add column matched text not null default '[]';
	alter table signal add column asked text not null default '[]';
	alter table signal add column decided_by text not null default '';
	alter table signal add column decided_at bigint not null default 0;
	update signal set grp = host;
	create index signal_group on signal (rule, grp, last_at);
	-- One row a source: where its next event stands, and up to where the memory of correlations knows.
	create table source (
		name text primary key, position text not null, remembered text not null, events bigint not null, bytes bigint not null,
		undecodable bigint not null, dropped bigint not null, gaps bigint not null, last_at bigint not null
	);
	insert into source (name, position, remembered, events, bytes, undecodable, dropped, gaps, last_at)
		select 'file:' || file, '{"offset":' || cast(position as text) || '}', '', 0, 0, 0, 0, 0, 0 from followed;
	drop table followed;
	create table detector (name text primary key, state bytea not null, at bigint not null);
`, `
	-- One row for each way on which a person was, or is to be, told of a signal. round counts escalations.
	create table alert (
		id text primary key, signal text not null, round bigint not null, person text not null, channel text not null,
		state text not null, tries bigint not null, due bigint not null, sent_at bigint not null, error text not null,
		unique (signal, round, person, channel)
	);
	create index alert_due on alert (state, due);
	create table exception (
		id text primary key, rule text not null, selection text not null, reason text not null, by_person text not null,
		at bigint not null, until bigint not null, ended_by text not null, ended_at bigint not null, checked text not null,
		hits bigint not null, last_hit bigint not null
	);
`, `
	-- Hits that came over a log bus: what comes again is the same hit.
	create table bus_hit (id text primary key, at bigint not null);
	create index bus_hit_at on bus_hit (at);
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
// same rule and group within the last hour.
func Raise(ctx context.Context, tx *db.Tx, now time.Time, s Signal, event string) (Signal, error) {
	return raise(ctx, tx, now, s, 1, []string{event}, Open)
}

// raise is Raise for n hits at once, in one entry of the ledger; they join a
// signal that is open, or in the state also: somebody works on it already.
func raise(ctx context.Context, tx *db.Tx, now time.Time, s Signal, n int, events []string, also State) (Signal, error) {
	s.Group = cmp.Or(s.Group, s.Host)
	same, err := signals(ctx, tx, `where rule = $1 and grp = $2 and state in ('open', $4) and last_at > $3 order by last_at desc`,
		s.Rule, s.Group, db.Micro(now.Add(-groupFor)), string(also))
	if err != nil {
		return Signal{}, err
	}
	kind := "signal.raised"
	if len(same) > 0 {
		s, kind = same[0], "signal.repeated"
	} else {
		s.ID, s.First, s.State = "s-"+rand.Text()[:8], db.Trim(now), Open
		s.Deadline, s.Happened = db.Trim(now.Add(within(s.Level))), db.Trim(s.Happened)
		if s.Kasse == "" {
			s.Kasse, _, _ = s.Environment.Split()
		}
	}
	s.Last = db.Trim(now)
	s.Count += n
	s.Events = append(s.Events, events[:min(len(events), max(0, maxEvents-len(s.Events)))]...)
	return s, store(ctx, tx, now, ledger.System, kind, s)
}

// Decide ends the openness of a signal: acknowledged, dismissed with a reason,
// or attached to an incident. Who acknowledges it owns it, and has a day to
// bring it to an end.
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
		s.Owner, s.Deadline = by.ID, db.Trim(now.Add(workFor))
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
	s.State, s.Reason, s.DecidedBy, s.DecidedAt = to, reason, by.ID, db.Trim(now)
	return s, store(ctx, tx, now, by.ID, "signal."+string(to), s)
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
