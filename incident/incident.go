// Package incident holds the declared incident with its facts.
//
// Promises: a fact is never overwritten; it carries event time, time of
// knowledge, source and certainty, and a correction names the fact it corrects
// (continuity R3). Every act is one ledger entry in the same transaction.
package incident

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Grade is the grade of BSI-Standard 200-4.
type Grade string

// The grades: a Notfall has plans that fit, a Krise has none.
const (
	Stoerung Grade = "stoerung"
	Notfall  Grade = "notfall"
	Krise    Grade = "krise"
)

// Certainty is how sure a fact is.
type Certainty string

// The certainties.
const (
	Proven    Certainty = "belegt"
	Suspected Certainty = "vermutet"
	Refuted   Certainty = "widerlegt"
)

// Incident is a declared incident.
type Incident struct {
	ID         string    `json:"id"`
	Title      string    `json:"title"`
	Grade      Grade     `json:"grade"`
	Signal     string    `json:"signal,omitempty"` // what started it
	DeclaredBy string    `json:"declared_by"`
	DeclaredAt time.Time `json:"declared_at"`
	ClosedAt   time.Time `json:"closed_at,omitzero"`
}

// Fact is something known, with when it happened and since when it is known.
type Fact struct {
	ID        string    `json:"id"`
	Incident  string    `json:"incident"`
	Happened  time.Time `json:"happened"`
	Known     time.Time `json:"known"`
	Source    string    `json:"source"`
	Certainty Certainty `json:"certainty"`
	Text      string    `json:"text"`
	Corrects  string    `json:"corrects,omitempty"`
	By        string    `json:"by"`
}

// Schema is the package's part of the room's store.
var Schema = db.Migrations{Package: "incident", Steps: []string{`
	create table incident (
		id          text primary key,
		title       text not null,
		grade       text not null,
		signal      text not null,
		declared_by text not null,
		declared_at bigint not null,
		closed_at   bigint not null
	);
	create table fact (
		id        text primary key,
		incident  text not null references incident (id),
		happened  bigint not null,
		known     bigint not null,
		source    text not null,
		certainty text not null,
		body      text not null,
		corrects  text not null,
		by_person text not null
	);
	create index fact_incident on fact (incident, known);
`}}

// Errors that a person decides on.
var (
	ErrNotAllowed = errors.New("declaring and closing an incident is for the crisis lead or an operator")
	ErrUnknown    = errors.New("no such incident")
	ErrClosed     = errors.New("the incident is closed")
)

// Declare opens an incident.
func Declare(ctx context.Context, tx *db.Tx, now time.Time, by access.Person, i Incident) (Incident, error) {
	if !by.Has(access.CrisisLead) && !by.Has(access.Operator) {
		return Incident{}, fmt.Errorf("%q: %w", by.ID, ErrNotAllowed)
	}
	i.Title = strings.TrimSpace(i.Title)
	if i.Title == "" || len(i.Title) > 300 {
		return Incident{}, errors.New("an incident needs a title of 1 to 300 bytes")
	}
	switch i.Grade {
	case Stoerung, Notfall, Krise:
	case "":
		i.Grade = Notfall
	default:
		return Incident{}, fmt.Errorf("grade %q: want %s, %s or %s", i.Grade, Stoerung, Notfall, Krise)
	}
	i.ID, i.DeclaredBy, i.DeclaredAt = "i-"+rand.Text()[:8], by.ID, db.Trim(now)
	return i, store(ctx, tx, now, by.ID, "incident.declared", i)
}

// Close ends an incident. What is open in it stays open.
func Close(ctx context.Context, tx *db.Tx, now time.Time, by access.Person, id string) (Incident, error) {
	if !by.Has(access.CrisisLead) {
		return Incident{}, fmt.Errorf("%q: %w", by.ID, ErrNotAllowed)
	}
	i, err := Get(ctx, tx, id)
	if err != nil {
		return Incident{}, err
	}
	if !i.ClosedAt.IsZero() {
		return Incident{}, fmt.Errorf("%q: %w", id, ErrClosed)
	}
	i.ClosedAt = db.Trim(now)
	return i, store(ctx, tx, now, by.ID, "incident.closed", i)
}

func store(ctx context.Context, tx *db.Tx, now time.Time, actor, kind string, i Incident) error {
	if _, err := tx.Exec(ctx, `insert into incident (id, title, grade, signal, declared_by, declared_at, closed_at)
		values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do update set closed_at = excluded.closed_at`,
		i.ID, i.Title, string(i.Grade), i.Signal, i.DeclaredBy, db.Micro(i.DeclaredAt), db.Micro(i.ClosedAt)); err != nil {
		return fmt.Errorf("storing incident %q: %w", i.ID, err)
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: actor, Kind: kind, Subject: i.ID, Rows: []ledger.Row{i.row()},
	})
	return err
}

func (i Incident) row() ledger.Row { return ledger.Row{Table: "incident", Key: i.ID, Value: i} }

// Get returns one incident.
func Get(ctx context.Context, q db.Querier, id string) (Incident, error) {
	found, err := list(ctx, q, `where id = $1`, id)
	if err != nil {
		return Incident{}, err
	}
	if len(found) == 0 {
		return Incident{}, fmt.Errorf("%q: %w", id, ErrUnknown)
	}
	return found[0], nil
}

// List returns all incidents, newest first.
func List(ctx context.Context, q db.Querier) ([]Incident, error) {
	return list(ctx, q, `order by declared_at desc, id`)
}

func list(ctx context.Context, q db.Querier, rest string, args ...any) ([]Incident, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (i Incident, err error) {
		var declared, closed int64
		err = rows.Scan(&i.ID, &i.Title, &i.Grade, &i.Signal, &i.DeclaredBy, &declared, &closed)
		i.DeclaredAt, i.ClosedAt = db.Time(declared), db.Time(closed)
		return i, err
	}, `select id, title, grade, signal, declared_by, declared_at, closed_at from incident `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading incidents: %w", err)
	}
	return out, nil
}
