package recovery

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// ReturnSchema is what the way back keeps in the room's store: the protocols of
// switching back, acceptances, steps and partners, each as one row with its body.
var ReturnSchema = db.Migrations{Package: "recovery_return", Steps: []string{`
	create table switchback (
		id      text primary key,
		kasse   text not null,
		service text not null,
		stage   text not null,
		at      bigint not null,
		body    text not null
	);
	create index switchback_cell on switchback (kasse, service, at);
`, `
	create table recovery_doc (
		kind text not null,
		id   text not null,
		at   bigint not null,
		body text not null,
		primary key (kind, id)
	);
`}}

// ReturnKeepers are the tables of [ReturnSchema] that the ledger accounts for.
func ReturnKeepers() []ledger.Keeper {
	return []ledger.Keeper{{Table: "recovery_doc", Rows: docRows}, ledger.Keep("switchback", Switchback.row, Switchbacks)}
}

// ErrNoSwitchback says that no protocol has that id.
var ErrNoSwitchback = errors.New("no such switch-back")

func (s Switchback) row() ledger.Row { return ledger.Row{Table: "switchback", Key: s.ID, Value: s} }

// PutSwitchback stores a protocol and appends its entry.
func PutSwitchback(ctx context.Context, tx *db.Tx, now time.Time, actor, kind, reason string, s Switchback) error {
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the protocol %q: %w", s.ID, err)
	}
	if _, err := tx.Exec(ctx, `insert into switchback (id, kasse, service, stage, at, body) values ($1, $2, $3, $4, $5, $6)
		on conflict (id) do update set stage = excluded.stage, body = excluded.body`,
		s.ID, string(s.Kasse), string(s.Service), string(s.Stage), db.Micro(s.At), string(body)); err != nil {
		return fmt.Errorf("storing the protocol %q: %w", s.ID, err)
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: actor, Kind: kind, Subject: s.ID, Reason: reason, Rows: []ledger.Row{s.row()}})
	return err
}

func scanSwitchback(r *sql.Rows) (s Switchback, err error) {
	var body string
	if err := r.Scan(&body); err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(body), &s)
}

// Switchbacks reads all protocols, oldest first.
func Switchbacks(ctx context.Context, q db.Querier) ([]Switchback, error) {
	out, err := db.Collect(ctx, q, scanSwitchback, `select body from switchback order by at, id`)
	if err != nil {
		return nil, fmt.Errorf("reading the protocols of switching back: %w", err)
	}
	return out, nil
}

// SwitchbackByID reads one protocol. A cell's name ("IK/service") stands for its
// protocol under way.
func SwitchbackByID(ctx context.Context, q db.Querier, id string) (Switchback, error) {
	if kasse, service, ok := strings.Cut(id, "/"); ok {
		s, found, err := OpenSwitchback(ctx, q, catalogue.KasseID(kasse), catalogue.ServiceID(service))
		if err == nil && !found {
			err = fmt.Errorf("cell %q: %w", id, ErrNoSwitchback)
		}
		return s, err
	}
	out, err := db.Collect(ctx, q, scanSwitchback, `select body from switchback where id = $1`, id)
	if err != nil {
		return Switchback{}, fmt.Errorf("reading the protocol %q: %w", id, err)
	}
	if len(out) == 0 {
		return Switchback{}, fmt.Errorf("%q: %w", id, ErrNoSwitchback)
	}
	return out[0], nil
}

// OpenSwitchback finds the protocol of a cell that is under way.
func OpenSwitchback(ctx context.Context, q db.Querier, k catalogue.KasseID, d catalogue.ServiceID) (Switchback, bool, error) {
	out, err := db.Collect(ctx, q, scanSwitchback, `select body from switchback
		where kasse = $1 and service = $2 and stage not in ('regular', 'returned') order by at desc`, string(k), string(d))
	if err != nil || len(out) == 0 {
		return Switchback{}, false, err
	}
	return out[0], true, nil
}
