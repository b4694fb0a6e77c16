package warning

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// row keeps raw events out of the ledger: it holds their hash. What older
// versions did not have is left out when it is empty, so that their entries
// still say the same.
func (s Signal) row() ledger.Row {
	sum := sha256.Sum256([]byte(strings.Join(s.Events, "\n")))
	v := map[string]any{
		"rule": s.Rule, "rule_version": s.RuleVersion, "level": s.Level, "host": s.Host, "environment": s.Environment,
		"first": db.Micro(s.First), "last": db.Micro(s.Last), "count": s.Count, "events_sha256": hex.EncodeToString(sum[:]),
		"owner": s.Owner, "deadline": db.Micro(s.Deadline), "escalated": s.Escalated, "state": s.State, "incident": s.Incident,
	}
	if s.Group != s.Host {
		v["group"] = s.Group
	}
	if len(s.Asked) > 0 {
		v["asked"] = s.Asked
	}
	if s.DecidedBy != "" {
		v["decided_by"], v["decided_at"] = s.DecidedBy, db.Micro(s.DecidedAt)
	}
	return ledger.Row{Table: "signal", Key: s.ID, Value: v}
}

// store writes the signal and its entry in the ledger, together with more rows
// that changed with it.
func store(ctx context.Context, tx *db.Tx, now time.Time, actor, kind string, s Signal, more ...ledger.Row) error {
	var lists [3]string
	for i, list := range [...][]string{s.Events, s.Matched, s.Asked} {
		b, err := json.Marshal(append([]string{}, list...))
		if err != nil {
			return fmt.Errorf("encoding signal %q: %w", s.ID, err)
		}
		lists[i] = string(b)
	}
	if _, err := tx.Exec(ctx, `insert into signal (id, rule, rule_version, title, level, author, license, host, environment,
			first_at, last_at, n, events, owner, deadline, escalated, state, incident, reason,
			description, kasse, grp, happened, matched, asked, decided_by, decided_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27)
		on conflict (id) do update set last_at = excluded.last_at, n = excluded.n, events = excluded.events, owner = excluded.owner,
			deadline = excluded.deadline, escalated = excluded.escalated, state = excluded.state,
			incident = excluded.incident, reason = excluded.reason, asked = excluded.asked,
			decided_by = excluded.decided_by, decided_at = excluded.decided_at`,
		s.ID, s.Rule, s.RuleVersion, s.Title, s.Level, s.Author, s.License, s.Host, string(s.Environment),
		db.Micro(s.First), db.Micro(s.Last), s.Count, lists[0], s.Owner, db.Micro(s.Deadline), s.Escalated,
		string(s.State), s.Incident, s.Reason,
		s.Description, string(s.Kasse), s.Group, db.Micro(s.Happened), lists[1], lists[2], s.DecidedBy, db.Micro(s.DecidedAt)); err != nil {
		return fmt.Errorf("storing signal %q: %w", s.ID, err)
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: actor, Kind: kind, Subject: s.ID, Reason: s.Reason, Rows: append([]ledger.Row{s.row()}, more...),
	})
	return err
}

func signals(ctx context.Context, q db.Querier, rest string, args ...any) ([]Signal, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (s Signal, err error) {
		var first, last, deadline, happened, decided int64
		var events, matched, asked string
		if err := rows.Scan(&s.ID, &s.Rule, &s.RuleVersion, &s.Title, &s.Level, &s.Author, &s.License, &s.Host, &s.Environment,
			&first, &last, &s.Count, &events, &s.Owner, &deadline, &s.Escalated, &s.State, &s.Incident, &s.Reason,
			&s.Description, &s.Kasse, &s.Group, &happened, &matched, &asked, &s.DecidedBy, &decided); err != nil {
			return s, err
		}
		s.First, s.Last, s.Deadline = db.Time(first), db.Time(last), db.Time(deadline)
		s.Happened, s.DecidedAt = db.Time(happened), db.Time(decided)
		return s, errors.Join(json.Unmarshal([]byte(events), &s.Events), json.Unmarshal([]byte(matched), &s.Matched), json.Unmarshal([]byte(asked), &s.Asked))
	}, `select id, rule, rule_version, title, level, author, license, host, environment, first_at, last_at, n, events,
		owner, deadline, escalated, state, incident, reason, description, kasse, grp, happened, matched, asked, decided_by, decided_at
		from signal `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading signals: %w", err)
	}
	return out, nil
}

// Keepers are the tables whose rows the ledger accounts for.
func Keepers() []ledger.Keeper {
	return []ledger.Keeper{
		ledger.KeepList("signal", Signal.row, signals, `order by id`),
		ledger.KeepList("alert", Alert.row, alerts, `order by id`),
		ledger.KeepList("exception", Exception.row, exceptions, `order by id`),
	}
}
