package containment

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// ActState is where one act on the outside world stands.
type ActState string

// The states of an act.
const (
	Intended ActState = "intent"  // about to be carried out; after a crash nobody knows how far it came
	Done     ActState = "done"    // carried out, and nothing seen contradicts it
	Failed   ActState = "failed"  // not carried out
	Taken    ActState = "undone"  // taken back
	Unclear  ActState = "unclear" // carried out or not: what was seen contradicts it
)

// Act is one act of one driver on one target.
type Act struct {
	ID          string                  `json:"id"`
	Measure     string                  `json:"measure"`
	Driver      string                  `json:"driver"`
	Target      string                  `json:"target"` // environment, placement or component
	Environment catalogue.EnvironmentID `json:"environment"`
	Component   catalogue.ComponentID   `json:"component,omitempty"`
	Placements  []catalogue.PlacementID `json:"placements,omitempty"`
	Back        bool                    `json:"back,omitempty"` // takes back instead of off
	State       ActState                `json:"state"`
	Waits       bool                    `json:"waits,omitempty"` // for a person who carries it out and confirms
	By          []string                `json:"by"`
	Signed      []string                `json:"signed,omitempty"` // signatures of By, in this order, on doors moved without the room
	Probe       *ProbeRecord            `json:"probe,omitempty"`
	Evidence    *Evidence               `json:"evidence,omitempty"`
	Detail      string                  `json:"detail,omitempty"`
	StartedAt   time.Time               `json:"started_at"`
	ExecutedAt  time.Time               `json:"executed_at,omitzero"`
	FinishedAt  time.Time               `json:"finished_at,omitzero"`
}

// Evidence is what was secured before something was switched off.
type Evidence struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"` // lower-case hex
	Size   int64  `json:"size"`   // bytes
}

// Proven reports whether probes from outside have shown that the target is off.
func (a Act) Proven() bool {
	return a.State == Done && !a.Back && a.Probe != nil && a.Probe.Proven
}

// The kinds of ledger entries about acts, in the order in which they come.
const (
	kindIntended     = "act.intended"
	kindWaiting      = "act.handed_to_person"
	kindExecuted     = "act.executed"
	kindProbed       = "act.probed"
	kindDone         = "act.done"
	kindFailed       = "act.failed"
	kindContradicted = "act.contradicted"
	kindUndone       = "act.undone"
	kindEvidence     = "evidence.secured"
	kindResolved     = "act.resolved"
)

func newActID() string { return "a-" + rand.Text()[:10] }

const actTable = `
	create table act (
		id          text primary key,
		measure     text not null,
		driver      text not null,
		target      text not null,
		environment text not null,
		state       text not null,
		body        text not null,
		started_at  bigint not null
	);
	create index act_target on act (target, started_at);
	create index act_state on act (state);
`

// Recorder keeps what happens to acts, durably and before the next step: the
// room's store with its ledger, or the local log of the kill switch.
type Recorder interface {
	// Record keeps the acts as they are now, under one kind of entry each.
	Record(ctx context.Context, kind, reason string, acts ...Act) error
	// Acts returns all acts, oldest first.
	Acts(ctx context.Context) ([]Act, error)
}

// StoreRecorder records acts in the room's store, one ledger entry for each.
type StoreRecorder struct {
	Store *db.DB
	Now   func() time.Time
	// Alarm, if set, is called in the transaction that records a contradiction.
	Alarm func(ctx context.Context, tx *db.Tx, now time.Time, a Act) error
}

// Record stores the acts and appends one entry for each, in one transaction.
func (s *StoreRecorder) Record(ctx context.Context, kind, reason string, acts ...Act) error {
	now := s.Now()
	err := s.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, a := range acts {
			if err := PutAct(ctx, tx, now, kind, reason, a); err != nil {
				return err
			}
			if kind == kindContradicted && s.Alarm != nil {
				if err := s.Alarm(ctx, tx, now, a); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("recording %q: %w", kind, err)
	}
	return nil
}

// Acts returns all acts, oldest first.
func (s *StoreRecorder) Acts(ctx context.Context) ([]Act, error) { return Acts(ctx, s.Store) }

// PutAct stores an act as it is and appends its ledger entry.
func PutAct(ctx context.Context, tx *db.Tx, now time.Time, kind, reason string, a Act) error {
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encoding act %q: %w", a.ID, err)
	}
	if _, err := tx.Exec(ctx, `insert into act (id, measure, driver, target, environment, state, body, started_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (id) do update set state = excluded.state, body = excluded.body`,
		a.ID, a.Measure, a.Driver, a.Target, string(a.Environment), string(a.State), string(body), db.Micro(a.StartedAt)); err != nil {
		return fmt.Errorf("storing act %q: %w", a.ID, err)
	}
	actor := ledger.System
	if len(a.By) > 0 {
		actor = a.By[0]
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: actor, Kind: kind, Subject: a.ID, Reason: reason, Rows: []ledger.Row{a.row()},
		Data: map[string]any{"measure": a.Measure, "target": a.Target, "driver": a.Driver},
	})
	return err
}

func (a Act) row() ledger.Row { return ledger.Row{Table: "act", Key: a.ID, Value: a} }

// Acts returns all acts of a store, oldest first.
func Acts(ctx context.Context, q db.Querier) ([]Act, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (a Act, err error) {
		var body, state string
		if err := rows.Scan(&body, &state); err != nil {
			return a, err
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil {
			return a, err
		}
		a.State = ActState(state)
		return a, nil
	}, `select body, state from act order by started_at, id`)
	if err != nil {
		return nil, fmt.Errorf("reading acts: %w", err)
	}
	return out, nil
}
