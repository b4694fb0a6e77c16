package forensics

import (
	"context"
	"database/sql"
	"fmt"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Schema is the package's part of the room's store. Lists are JSON; versions
// are those of package operation's state.
var Schema = db.Migrations{Package: "forensics", Steps: []string{`
	create table clearance (
		id         text primary key,
		scope_kind text not null,
		scope_id   text not null,
		covers     text not null,
		check_kind text not null,
		evidence   text not null,
		examiner   text not null,
		second     text not null,
		valid_from bigint not null,
		valid_until bigint not null,
		conditions text not null,
		state      text not null,
		granted_at bigint not null,
		revoked_at bigint not null,
		revoked_by text not null,
		reason     text not null,
		version    bigint not null
	);
	create table rotation (
		id         text primary key,
		scope_kind text not null,
		scope_id   text not null,
		covers     text not null,
		evidence   text not null,
		rotated_at bigint not null,
		by_person  text not null,
		recorded_at bigint not null,
		version    bigint not null
	);
	create table indicator (
		id         text primary key,
		value      text not null,
		subjects   text not null,
		source     text not null,
		by_person  text not null,
		recorded_at bigint not null,
		version    bigint not null
	);
`, checklistTable}}

// PutClearance stores a new or changed clearance. The caller's ledger entry
// must hold its Row.
func PutClearance(ctx context.Context, tx *db.Tx, c Clearance) error {
	lists, err := db.JSON(c.Covers, c.Evidence)
	if err != nil {
		return fmt.Errorf("storing clearance %q: %w", c.ID, err)
	}
	if _, err := tx.Exec(ctx, `insert into clearance (id, scope_kind, scope_id, covers, check_kind, evidence, examiner, second,
			valid_from, valid_until, conditions, state, granted_at, revoked_at, revoked_by, reason, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		on conflict (id) do update set state = excluded.state, revoked_at = excluded.revoked_at,
			revoked_by = excluded.revoked_by, reason = excluded.reason, version = excluded.version`,
		c.ID, string(c.Scope.Kind), c.Scope.ID, lists[0], string(c.Check), lists[1], c.Examiner, c.Second,
		db.Micro(c.From), db.Micro(c.Until), c.Conditions, string(c.State), db.Micro(c.GrantedAt),
		db.Micro(c.RevokedAt), c.RevokedBy, c.Reason, c.Version); err != nil {
		return fmt.Errorf("storing clearance %q: %w", c.ID, err)
	}
	return nil
}

// Clearances reads what was written after the given version, sorted by id.
func Clearances(ctx context.Context, q db.Querier, after int64) ([]Clearance, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (c Clearance, err error) {
		var covers, evidence string
		var from, until, granted, revoked int64
		if err := rows.Scan(&c.ID, &c.Scope.Kind, &c.Scope.ID, &covers, &c.Check, &evidence, &c.Examiner, &c.Second,
			&from, &until, &c.Conditions, &c.State, &granted, &revoked, &c.RevokedBy, &c.Reason, &c.Version); err != nil {
			return c, err
		}
		c.From, c.Until, c.GrantedAt, c.RevokedAt = db.Time(from), db.Time(until), db.Time(granted), db.Time(revoked)
		return c, db.FromJSON([]string{covers, evidence}, &c.Covers, &c.Evidence)
	}, `select id, scope_kind, scope_id, covers, check_kind, evidence, examiner, second, valid_from, valid_until, conditions,
		state, granted_at, revoked_at, revoked_by, reason, version from clearance where version > $1 order by id`, after)
	if err != nil {
		return nil, fmt.Errorf("reading clearances: %w", err)
	}
	return out, nil
}

// PutRotation stores a proof. The caller's ledger entry must hold its Row.
func PutRotation(ctx context.Context, tx *db.Tx, r Rotation) error {
	lists, err := db.JSON(r.Covers, r.Evidence)
	if err != nil {
		return fmt.Errorf("storing rotation %q: %w", r.ID, err)
	}
	if _, err := tx.Exec(ctx, `insert into rotation (id, scope_kind, scope_id, covers, evidence, rotated_at, by_person, recorded_at, version)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		r.ID, string(r.Scope.Kind), r.Scope.ID, lists[0], lists[1], db.Micro(r.RotatedAt), r.By, db.Micro(r.RecordedAt), r.Version); err != nil {
		return fmt.Errorf("storing rotation %q: %w", r.ID, err)
	}
	return nil
}

// Rotations reads what was written after the given version, sorted by id.
func Rotations(ctx context.Context, q db.Querier, after int64) ([]Rotation, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (r Rotation, err error) {
		var covers, evidence string
		var rotated, recorded int64
		if err := rows.Scan(&r.ID, &r.Scope.Kind, &r.Scope.ID, &covers, &evidence, &rotated, &r.By, &recorded, &r.Version); err != nil {
			return r, err
		}
		r.RotatedAt, r.RecordedAt = db.Time(rotated), db.Time(recorded)
		return r, db.FromJSON([]string{covers, evidence}, &r.Covers, &r.Evidence)
	}, `select id, scope_kind, scope_id, covers, evidence, rotated_at, by_person, recorded_at, version
		from rotation where version > $1 order by id`, after)
	if err != nil {
		return nil, fmt.Errorf("reading rotations: %w", err)
	}
	return out, nil
}

// PutIndicator stores an indicator. The caller's ledger entry must hold its Row.
func PutIndicator(ctx context.Context, tx *db.Tx, i Indicator) error {
	lists, err := db.JSON(i.Subjects)
	if err != nil {
		return fmt.Errorf("storing indicator %q: %w", i.ID, err)
	}
	if _, err := tx.Exec(ctx, `insert into indicator (id, value, subjects, source, by_person, recorded_at, version)
		values ($1, $2, $3, $4, $5, $6, $7)`,
		i.ID, i.Value, lists[0], i.Source, i.By, db.Micro(i.RecordedAt), i.Version); err != nil {
		return fmt.Errorf("storing indicator %q: %w", i.ID, err)
	}
	return nil
}

// Indicators reads what was written after the given version, sorted by id.
func Indicators(ctx context.Context, q db.Querier, after int64) ([]Indicator, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (i Indicator, err error) {
		var subjects string
		var recorded int64
		if err := rows.Scan(&i.ID, &i.Value, &subjects, &i.Source, &i.By, &recorded, &i.Version); err != nil {
			return i, err
		}
		i.RecordedAt = db.Time(recorded)
		return i, db.FromJSON([]string{subjects}, &i.Subjects)
	}, `select id, value, subjects, source, by_person, recorded_at, version from indicator where version > $1 order by id`, after)
	if err != nil {
		return nil, fmt.Errorf("reading indicators: %w", err)
	}
	return out, nil
}

// Keepers are the tables whose rows the ledger accounts for.
func Keepers() []ledger.Keeper {
	return []ledger.Keeper{
		keepAll("clearance", Clearance.Row, Clearances),
		keepAll("rotation", Rotation.Row, Rotations),
		keepAll("indicator", Indicator.Row, Indicators),
		ledger.Keep("checklist", Checklist.Row, Checklists),
	}
}

// keepAll keeps a table whose reader takes the version after which it begins.
func keepAll[T any](table string, row func(T) ledger.Row, read func(context.Context, db.Querier, int64) ([]T, error)) ledger.Keeper {
	return ledger.Keep(table, row, func(ctx context.Context, q db.Querier) ([]T, error) { return read(ctx, q, -1) })
}
