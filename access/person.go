// Package access holds the people of a room, their roles, and the one mechanism
// by which a second person agrees to an act.
//
// Promises: nobody is ever both the first and the second person of an act; a
// consent is bound to the hash of exactly what was shown, expires, and is used
// once; every change of a person, and every request and decision, is in the
// ledger in the same transaction.
package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// Role is what a person may do; the domain packages say which acts ask for which.
type Role string

// The roles of a room (BSI-Standard 200-4: BAO and Stab).
const (
	CrisisLead      Role = "crisis_lead"
	Operator        Role = "operator"
	Examiner        Role = "examiner"
	KasseDelegate   Role = "kasse_delegate"
	PaymentReleaser Role = "payment_releaser"
	Press           Role = "press"
	Auditor         Role = "auditor" // sees all, changes nothing
)

// Roles lists all roles in the order in which screens show them.
func Roles() []Role {
	return []Role{CrisisLead, Operator, Examiner, KasseDelegate, PaymentReleaser, Press, Auditor}
}

// Word names the role in German, for screens and paper.
func (r Role) Word() string {
	switch r {
	case CrisisLead:
		return "Leitung des Stabs"
	case Operator:
		return "Betrieb"
	case Examiner:
		return "Forensik"
	case KasseDelegate:
		return "Vertretung einer Kasse"
	case PaymentReleaser:
		return "Zahlungsfreigabe"
	case Press:
		return "Öffentlichkeitsarbeit"
	case Auditor:
		return "Revision"
	}
	return string(r)
}

// Person is somebody who acts in the room.
type Person struct {
	ID     string            `json:"id"`
	Name   string            `json:"name"`
	Roles  []Role            `json:"roles"`
	Kasse  catalogue.KasseID `json:"kasse,omitempty"` // of a Kasse's delegate
	Active bool              `json:"active"`
}

// Has says whether the person holds the role now.
func (p Person) Has(r Role) bool { return p.Active && slices.Contains(p.Roles, r) }

// Schema is the package's part of the room's store.
var Schema = db.Migrations{Package: "access", Steps: []string{`
	create table person (
		id     text primary key,
		name   text not null,
		roles  text not null,
		kasse  text not null,
		active boolean not null
	);
	create table consent (
		id         text primary key,
		kind       text not null,
		summary    text not null,
		hash       text not null,
		payload    text not null,
		asked_by   text not null,
		asked_at   bigint not null,
		expires_at bigint not null,
		state      text not null,
		decided_by text not null,
		decided_at bigint not null,
		reason     text not null
	);
	create index consent_state on consent (state, expires_at);
`, reachSchema}}

// ErrUnknownPerson says that nobody has that id, or that the person is inactive.
var ErrUnknownPerson = errors.New("no such active person")

var personID = regexp.MustCompile(`^[a-z][a-z0-9._-]{1,39}$`)

// CheckID says what is wrong with the id of a person.
func CheckID(id string) error {
	if !personID.MatchString(id) {
		return fmt.Errorf("person id %q: want 2 to 40 lower-case letters, digits, dot, dash or underscore, beginning with a letter", id)
	}
	if id == ledger.System {
		return fmt.Errorf("person id %q is reserved for the room itself", id)
	}
	return nil
}

// Check says what is wrong with a person before it is stored.
func (p Person) Check() error {
	if err := CheckID(p.ID); err != nil {
		return err
	}
	if strings.TrimSpace(p.Name) == "" || len(p.Name) > 200 {
		return fmt.Errorf("person %q: a name of 1 to 200 bytes is needed", p.ID)
	}
	for _, r := range p.Roles {
		if !slices.Contains(Roles(), r) {
			return fmt.Errorf("person %q: role %q is unknown (known: %v)", p.ID, r, Roles())
		}
	}
	if slices.Contains(p.Roles, KasseDelegate) && p.Kasse == "" {
		return fmt.Errorf("person %q: a delegate needs the Kasse he or she speaks for", p.ID)
	}
	return nil
}

// Put stores a new or changed person.
func Put(ctx context.Context, tx *db.Tx, now time.Time, actor string, p Person) error {
	if err := p.Check(); err != nil {
		return err
	}
	if len(p.Roles) == 0 {
		p.Roles = nil // as it comes back
	}
	roles := make([]string, len(p.Roles))
	for i, r := range p.Roles {
		roles[i] = string(r)
	}
	if _, err := tx.Exec(ctx, `insert into person (id, name, roles, kasse, active) values ($1, $2, $3, $4, $5)
		on conflict (id) do update set name = excluded.name, roles = excluded.roles, kasse = excluded.kasse, active = excluded.active`,
		p.ID, p.Name, strings.Join(roles, " "), string(p.Kasse), p.Active); err != nil {
		return fmt.Errorf("storing person %q: %w", p.ID, err)
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: actor, Kind: "person.stored", Subject: p.ID,
		Rows: []ledger.Row{{Table: "person", Key: p.ID, Value: p}},
	})
	return err
}

// Get returns an active person, with the roles of those for whom he or she stands in now.
func Get(ctx context.Context, q db.Querier, id string) (Person, error) {
	people, err := list(ctx, q, `where id = $1`, id)
	if err != nil {
		return Person{}, err
	}
	if len(people) == 0 || !people[0].Active {
		return Person{}, fmt.Errorf("%q: %w", id, ErrUnknownPerson)
	}
	return standingIn(ctx, q, people[0])
}

// List returns everybody, sorted by id.
func List(ctx context.Context, q db.Querier) ([]Person, error) { return list(ctx, q, `order by id`) }

func list(ctx context.Context, q db.Querier, rest string, args ...any) ([]Person, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (Person, error) {
		var p Person
		var roles string
		err := rows.Scan(&p.ID, &p.Name, &roles, &p.Kasse, &p.Active)
		for r := range strings.FieldsSeq(roles) {
			p.Roles = append(p.Roles, Role(r))
		}
		return p, err
	}, `select id, name, roles, kasse, active from person `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading people: %w", err)
	}
	return out, nil
}

// Keepers are the tables whose rows the ledger accounts for.
func Keepers() []ledger.Keeper {
	return append(reachKeepers(),
		ledger.Keep("person", Person.row, List),
		ledger.KeepList("consent", Consent.row, consents, `order by id`),
	)
}

func (p Person) row() ledger.Row { return ledger.Row{Table: "person", Key: p.ID, Value: p} }
