package room

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Schema holds what is about the room as a whole: settings that people decide
// while it runs, and who has been allowed to write since when.
var Schema = db.Migrations{Package: "room", Steps: []string{`
	create table room_setting (name text primary key, value text not null);
	create table room_generation (
		number bigint primary key,
		node   text not null,
		at     bigint not null,
		first  text not null,
		second text not null,
		reason text not null,
		source text not null
	);
`}}

// keepers are the room's own tables whose rows the ledger accounts for.
func keepers() []ledger.Keeper {
	return []ledger.Keeper{
		{Table: "room_setting", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
			return db.Collect(ctx, q, func(rows *sql.Rows) (ledger.Row, error) {
				var name, value string
				err := rows.Scan(&name, &value)
				return settingRow(name, value), err
			}, `select name, value from room_setting`)
		}},
		ledger.Keep("room_generation", Generation.row, generations),
	}
}

func settingRow(name, value string) ledger.Row {
	return ledger.Row{Table: "room_setting", Key: name, Value: json.RawMessage(value)}
}

// setting reads a setting into v; it stays as it is when nobody has decided.
func setting(ctx context.Context, q db.Querier, name string, v any) error {
	var value string
	err := q.QueryRow(ctx, `select value from room_setting where name = $1`, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(value), v)
	}
	if err != nil {
		return fmt.Errorf("reading the setting %q: %w", name, err)
	}
	return nil
}

// putSetting stores a setting and returns the row for the caller's ledger entry.
func putSetting(ctx context.Context, tx *db.Tx, name string, v any) (ledger.Row, error) {
	value, err := json.Marshal(v)
	if err != nil {
		return ledger.Row{}, fmt.Errorf("encoding the setting %q: %w", name, err)
	}
	if _, err := tx.Exec(ctx, `insert into room_setting (name, value) values ($1, $2)
		on conflict (name) do update set value = excluded.value`, name, string(value)); err != nil {
		return ledger.Row{}, fmt.Errorf("storing the setting %q: %w", name, err)
	}
	return settingRow(name, string(value)), nil
}

// Generation says who may write: each take-over begins a new one.
type Generation struct {
	Number int64     `json:"number"`
	Node   string    `json:"node"` // name of the machine
	At     time.Time `json:"at"`
	First  string    `json:"first"`
	Second string    `json:"second"`
	Reason string    `json:"reason"`
	Source string    `json:"source"` // what was taken over: head of the copied room's ledger
}

func (g Generation) row() ledger.Row {
	return ledger.Row{Table: "room_generation", Key: fmt.Sprint(g.Number), Value: map[string]any{
		"node": g.Node, "at": db.Micro(g.At), "first": g.First, "second": g.Second, "reason": g.Reason, "source": g.Source,
	}}
}

func generations(ctx context.Context, q db.Querier) ([]Generation, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (Generation, error) {
		var g Generation
		var at int64
		err := rows.Scan(&g.Number, &g.Node, &at, &g.First, &g.Second, &g.Reason, &g.Source)
		g.At = db.Time(at)
		return g, err
	}, `select number, node, at, first, second, reason, source from room_generation order by number`)
	if err != nil {
		return nil, fmt.Errorf("reading who may write: %w", err)
	}
	return out, nil
}

// generation is the newest; 1 while nobody has taken over.
func generation(ctx context.Context, q db.Querier) (int64, error) {
	all, err := generations(ctx, q)
	if err != nil || len(all) == 0 {
		return 1, err
	}
	return all[len(all)-1].Number, nil
}
