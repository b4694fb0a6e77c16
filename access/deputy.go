package access

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// reachSchema holds what helps when people are out of reach: who stands in for
// whom, and the codes that are read over the telephone. Of a code only a keyed
// hash is kept.
const reachSchema = `
	create table deputy (
		id     text primary key,
		person text not null,
		deputy text not null,
		roles  text not null,
		state  text not null,
		until  bigint not null,
		reason text not null
	);
	create index deputy_active on deputy (deputy, state);
	create table code (
		person  text not null,
		number  bigint not null,
		sheet   text not null,
		mac     text not null,
		state   text not null,
		consent text not null,
		hash    text not null,
		expires bigint not null,
		tries   bigint not null,
		primary key (person, number)
	);
	create index code_consent on code (consent, person);
`

// DeputyState is how far standing in has come.
type DeputyState string

// The states. Only Active gives roles.
const (
	Named  DeputyState = "named"
	Active DeputyState = "active"
	Ended  DeputyState = "ended"
)

// Deputy says who may stand in for whom, with which roles.
type Deputy struct {
	ID     string      `json:"id"`
	Person string      `json:"person"` // who is out of reach
	Deputy string      `json:"deputy"` // who stands in
	Roles  []Role      `json:"roles"`
	State  DeputyState `json:"state"`
	Until  time.Time   `json:"until,omitzero"` // end of an active one
	Reason string      `json:"reason"`
}

// Errors a person decides on.
var (
	ErrNoDeputy  = errors.New("no such deputyship in this state")
	ErrNotTheirs = errors.New("the person does not hold that role, so nobody can stand in for it")
)

// maxStandIn is how long a deputy acts before it must be said again.
const maxStandIn = 72 * time.Hour

// Name says beforehand who may stand in for person, with some of that person's
// own roles. It gives no rights yet.
func Name(ctx context.Context, tx *db.Tx, now time.Time, actor string, d Deputy) (Deputy, error) {
	people, err := list(ctx, tx, `where id = $1 or id = $2 order by id`, d.Person, d.Deputy)
	if err != nil {
		return d, err
	}
	if len(people) != 2 || !people[0].Active || !people[1].Active {
		return d, fmt.Errorf("%q for %q: %w", d.Deputy, d.Person, ErrUnknownPerson)
	}
	of, by := people[0], people[1]
	if of.ID != d.Person {
		of, by = by, of
	}
	if len(d.Roles) == 0 {
		return d, errors.New("a deputy needs at least one role to stand in with")
	}
	for _, r := range d.Roles {
		if !of.Has(r) {
			return d, fmt.Errorf("%q, role %q: %w", d.Person, r, ErrNotTheirs)
		}
		if r == KasseDelegate && by.Kasse != "" && by.Kasse != of.Kasse {
			return d, fmt.Errorf("%q speaks for Kasse %s already and cannot for %s", by.ID, by.Kasse, of.Kasse)
		}
	}
	d.ID, d.State, d.Until = "v-"+rand.Text()[:8], Named, time.Time{}
	return d, putDeputy(ctx, tx, now, actor, "deputy.named", d)
}

// Begin lets a named deputy act until a time, at most three days away.
func Begin(ctx context.Context, tx *db.Tx, now time.Time, actor, id string, until time.Time, reason string) (Deputy, error) {
	d, err := deputyIn(ctx, tx, id, Named, Ended)
	if err != nil {
		return d, err
	}
	if !until.After(now) || until.After(now.Add(maxStandIn)) {
		return d, fmt.Errorf("standing in ends after at most %v: give a time between now and then", maxStandIn)
	}
	if strings.TrimSpace(reason) == "" {
		return d, errors.New("standing in needs a reason")
	}
	d.State, d.Until, d.Reason = Active, db.Trim(until), reason
	return d, putDeputy(ctx, tx, now, actor, "deputy.began", d)
}

// End takes the roles from a deputy again.
func End(ctx context.Context, tx *db.Tx, now time.Time, actor, id, reason string) (Deputy, error) {
	d, err := deputyIn(ctx, tx, id, Named, Active)
	if err != nil {
		return d, err
	}
	d.State, d.Until, d.Reason = Ended, time.Time{}, reason
	return d, putDeputy(ctx, tx, now, actor, "deputy.ended", d)
}

// EndDue ends deputyships whose time is over. It only ever takes rights away.
func EndDue(ctx context.Context, tx *db.Tx, now time.Time) (int, error) {
	due, err := deputies(ctx, tx, `where state = 'active' and until <= $1 order by id`, now.UnixMicro())
	if err != nil {
		return 0, err
	}
	for _, d := range due {
		d.State, d.Until = Ended, time.Time{}
		if err := putDeputy(ctx, tx, now, ledger.System, "deputy.ended", d); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}

// DeputyByID returns one.
func DeputyByID(ctx context.Context, q db.Querier, id string) (Deputy, error) {
	return deputyIn(ctx, q, id, Named, Active, Ended)
}

// Deputies lists all, by person.
func Deputies(ctx context.Context, q db.Querier) ([]Deputy, error) {
	return deputies(ctx, q, `order by person, id`)
}

// standingIn adds the roles with which p acts for others now.
func standingIn(ctx context.Context, q db.Querier, p Person) (Person, error) {
	all, err := deputies(ctx, q, `where deputy = $1 and state = 'active'`, p.ID)
	if err != nil || len(all) == 0 {
		return p, err
	}
	p.Roles = slices.Clone(p.Roles)
	for _, d := range all {
		people, err := list(ctx, q, `where id = $1`, d.Person)
		if err != nil {
			return p, err
		}
		for _, r := range d.Roles {
			// Who loses a role, or leaves, has no deputy in it any more.
			if len(people) == 0 || !people[0].Has(r) {
				continue
			}
			if r == KasseDelegate && p.Kasse == "" {
				p.Kasse = people[0].Kasse
			}
			if !slices.Contains(p.Roles, r) {
				p.Roles = append(p.Roles, r)
			}
		}
	}
	return p, nil
}

func deputyIn(ctx context.Context, q db.Querier, id string, states ...DeputyState) (Deputy, error) {
	found, err := deputies(ctx, q, `where id = $1`, id)
	if err != nil {
		return Deputy{}, err
	}
	if len(found) == 0 || !slices.Contains(states, found[0].State) {
		return Deputy{}, fmt.Errorf("%q: %w", id, ErrNoDeputy)
	}
	return found[0], nil
}

func putDeputy(ctx context.Context, tx *db.Tx, now time.Time, actor, kind string, d Deputy) error {
	if _, err := tx.Exec(ctx, `insert into deputy (id, person, deputy, roles, state, until, reason) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (id) do update set state = excluded.state, until = excluded.until, reason = excluded.reason`,
		d.ID, d.Person, d.Deputy, joinRoles(d.Roles), string(d.State), db.Micro(d.Until), d.Reason); err != nil {
		return fmt.Errorf("storing deputy %q: %w", d.ID, err)
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: actor, Kind: kind, Subject: d.Person, Reason: d.Reason, Rows: []ledger.Row{d.row()}})
	return err
}

func (d Deputy) row() ledger.Row { return ledger.Row{Table: "deputy", Key: d.ID, Value: d} }

func joinRoles(roles []Role) string {
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = string(r)
	}
	return strings.Join(out, " ")
}

func deputies(ctx context.Context, q db.Querier, rest string, args ...any) ([]Deputy, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (Deputy, error) {
		var d Deputy
		var roles string
		var until int64
		err := rows.Scan(&d.ID, &d.Person, &d.Deputy, &roles, &d.State, &until, &d.Reason)
		for r := range strings.FieldsSeq(roles) {
			d.Roles = append(d.Roles, Role(r))
		}
		d.Until = db.Time(until)
		return d, err
	}, `select id, person, deputy, roles, state, until, reason from deputy `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading deputies: %w", err)
	}
	return out, nil
}

func reachKeepers() []ledger.Keeper {
	return []ledger.Keeper{
		ledger.KeepList("deputy", Deputy.row, deputies, `order by id`),
		ledger.KeepList("code", code.row, codes, `order by person, number`),
	}
}
