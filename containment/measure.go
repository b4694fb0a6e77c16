package containment

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/operation"
)

// State is how far a measure has come.
type State string

// The states of a measure.
const (
	Unconfirmed State = "unconfirmed" // carried out by one person in immediate danger
	Ordered     State = "ordered"     // carried out by two people
	Undone      State = "undone"      // taken back within its window
)

// Measure is an ordered act on the outside world.
type Measure struct {
	ID         string                  `json:"id"`
	Incident   string                  `json:"incident"`
	Title      string                  `json:"title"`
	Stage      int                     `json:"stage"`
	State      State                   `json:"state"`
	Reason     string                  `json:"reason"`
	Placements []catalogue.PlacementID `json:"placements"`
	Components []catalogue.ComponentID `json:"components,omitempty"`
	OrderedBy  string                  `json:"ordered_by"`
	SecondBy   string                  `json:"second_by,omitempty"`
	OrderedAt  time.Time               `json:"ordered_at"`
	Hash       string                  `json:"hash"` // of the preview that was consented to
}

// Schema is the package's part of the room's store.
var Schema = db.Migrations{Package: "containment", Steps: []string{`
	create table measure (
		id text primary key, incident text not null, title text not null, stage bigint not null, state text not null,
		reason text not null, placements text not null, ordered_by text not null, second_by text not null,
		ordered_at bigint not null, hash text not null
	);
`, actTable, `alter table measure add column components text not null default '[]'`}}

// ErrUnknown says that no measure has that id.
var ErrUnknown = errors.New("no such measure")

// NewID makes the id of a measure before it is ordered.
func NewID() string { return "m-" + rand.Text()[:8] }

// Command is what a preview does to the state of the room: the doors' behaviour
// first, then the cut, then emergency operation.
func (pre Preview) Command(c *catalogue.Catalogue, id string) *operation.OrderCut {
	cut := &operation.OrderCut{Measure: id, Immediate: pre.Plan.Immediate}
	cut.Reason = pre.Plan.Reason
	cut.Behaviour = map[catalogue.PlacementID]catalogue.Behaviour{}
	emergency := map[catalogue.ServiceID]bool{}
	for _, v := range pre.Plan.Emergency {
		emergency[v] = true
	}
	for _, id := range pre.Components {
		cut.Nodes = append(cut.Nodes, string(id))
	}
	for _, id := range pre.Placements {
		cut.Nodes = append(cut.Nodes, string(id))
		p, ok := c.Placement(id)
		if !ok {
			continue // the preview was made from this catalogue
		}
		if b, ok := pre.Plan.Behaviour[p.Service]; ok {
			cut.Behaviour[id] = b
		}
		if emergency[p.Service] {
			cut.Start = append(cut.Start, id)
		}
	}
	return cut
}

// Record stores a measure that was carried out or changed.
func Record(ctx context.Context, tx *db.Tx, now time.Time, actor, kind string, m Measure) error {
	placements, err := json.Marshal(m.Placements)
	if err != nil {
		return fmt.Errorf("encoding measure %q: %w", m.ID, err)
	}
	components, err := json.Marshal(m.Components)
	if err != nil {
		return fmt.Errorf("encoding measure %q: %w", m.ID, err)
	}
	if _, err := tx.Exec(ctx, `insert into measure
		(id, incident, title, stage, state, reason, placements, ordered_by, second_by, ordered_at, hash, components)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		on conflict (id) do update set state = excluded.state, second_by = excluded.second_by`,
		m.ID, m.Incident, m.Title, m.Stage, string(m.State), m.Reason, string(placements), m.OrderedBy, m.SecondBy,
		db.Micro(m.OrderedAt), m.Hash, string(components)); err != nil {
		return fmt.Errorf("storing measure %q: %w", m.ID, err)
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: actor, Kind: kind, Subject: m.ID, Reason: m.Reason, Rows: []ledger.Row{m.row()},
	})
	return err
}

// Nodes are the names of everything that the measure took off.
func (m Measure) Nodes() []string {
	out := make([]string, 0, len(m.Components)+len(m.Placements))
	for _, id := range m.Components {
		out = append(out, string(id))
	}
	for _, id := range m.Placements {
		out = append(out, string(id))
	}
	return out
}

func (m Measure) row() ledger.Row { return ledger.Row{Table: "measure", Key: m.ID, Value: m} }

// Get returns one measure.
func Get(ctx context.Context, q db.Querier, id string) (Measure, error) {
	found, err := measures(ctx, q, `where id = $1`, id)
	if err != nil {
		return Measure{}, err
	}
	if len(found) == 0 {
		return Measure{}, fmt.Errorf("%q: %w", id, ErrUnknown)
	}
	return found[0], nil
}

// List returns all measures, newest first.
func List(ctx context.Context, q db.Querier) ([]Measure, error) {
	return measures(ctx, q, `order by ordered_at desc, id`)
}

func measures(ctx context.Context, q db.Querier, rest string, args ...any) ([]Measure, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (m Measure, err error) {
		var placements, components string
		var at int64
		if err := rows.Scan(&m.ID, &m.Incident, &m.Title, &m.Stage, &m.State, &m.Reason, &placements,
			&m.OrderedBy, &m.SecondBy, &at, &m.Hash, &components); err != nil {
			return m, err
		}
		m.OrderedAt = db.Time(at)
		if err := json.Unmarshal([]byte(components), &m.Components); err != nil {
			return m, err
		}
		err = json.Unmarshal([]byte(placements), &m.Placements)
		return m, err
	}, `select id, incident, title, stage, state, reason, placements, ordered_by, second_by, ordered_at, hash, components from measure `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading measures: %w", err)
	}
	return out, nil
}

// Keepers are the tables whose rows the ledger accounts for.
func Keepers() []ledger.Keeper {
	return []ledger.Keeper{ledger.KeepList("measure", Measure.row, measures, `order by id`), ledger.Keep("act", Act.row, Acts)}
}
