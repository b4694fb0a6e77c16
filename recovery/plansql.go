package recovery

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
)

// PlanSchema is the part of the room's store that plans lie in.
var PlanSchema = db.Migrations{Package: "recovery_plan", Steps: []string{`
	create table recovery_terms (
		version bigint primary key, at bigint not null, by_person text not null, second_by text not null,
		reason text not null, body text not null
	);
	create table recovery_plan (
		version bigint primary key, id text not null unique, at bigint not null, by_person text not null,
		reason text not null, replaces text not null, body bytea not null
	);
	create table recovery_report (
		id text primary key, task text not null, what text not null, at bigint not null, since bigint not null,
		known bigint not null, by_person text not null, reason text not null
	);
`}}

// PlanKeepers are the tables whose rows the ledger accounts for.
func PlanKeepers() []ledger.Keeper {
	return []ledger.Keeper{
		{Table: "recovery_terms", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
			return db.Collect(ctx, q, func(rows *sql.Rows) (ledger.Row, error) {
				var version int64
				var body string
				err := rows.Scan(&version, &body)
				return bodyRow("recovery_terms", fmt.Sprint(version), []byte(body)), err
			}, `select version, body from recovery_terms order by version`)
		}},
		{Table: "recovery_plan", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
			return db.Collect(ctx, q, func(rows *sql.Rows) (ledger.Row, error) {
				var id string
				var body []byte
				err := rows.Scan(&id, &body)
				return bodyRow("recovery_plan", id, body), err
			}, `select id, body from recovery_plan order by version`)
		}},
		ledger.Keep("recovery_report", Report.row, reports),
	}
}

func bodyRow(table, key string, body []byte) ledger.Row {
	sum := sha256.Sum256(body)
	return ledger.Row{Table: table, Key: key, Value: map[string]string{"sha256": hex.EncodeToString(sum[:])}}
}

// ErrNoPlan says that a room has no plan yet.
var ErrNoPlan = errors.New("there is no plan yet: make one with leitstand plan make")

// maxPlan bounds a plan as it is read back, unpacked.
const maxPlan = 256 << 20

// PutPlan stores a plan as the one in force, with its ledger entry. Plan and
// version are set here.
func PutPlan(ctx context.Context, tx *db.Tx, now time.Time, by access.Person, reason string, p *Plan) error {
	if !by.Has(access.CrisisLead) && !by.Has(access.Operator) {
		return fmt.Errorf("%q: %w", by.ID, ErrMayNotPlan)
	}
	if len(reason) > 1000 {
		return errors.New("a reason has up to 1000 bytes")
	}
	var last sql.NullInt64
	if err := tx.QueryRow(ctx, `select max(version) from recovery_plan`).Scan(&last); err != nil {
		return fmt.Errorf("reading the last plan's version: %w", err)
	}
	p.Version, p.MadeBy, p.Reason, p.MadeAt = last.Int64+1, by.ID, reason, db.Trim(p.MadeAt)
	body, err := pack(p)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `insert into recovery_plan (version, id, at, by_person, reason, replaces, body) values ($1, $2, $3, $4, $5, $6, $7)`,
		p.Version, p.ID, db.Micro(p.MadeAt), by.ID, reason, p.Replaces, body); err != nil {
		return fmt.Errorf("storing plan %q: %w", p.ID, err)
	}
	kind := "plan.made"
	if p.Replaces != "" {
		kind = "plan.replaced"
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: by.ID, Kind: kind, Subject: p.ID, Reason: reason, Data: p.brief(), Rows: []ledger.Row{bodyRow("recovery_plan", p.ID, body)},
	})
	return err
}

// ErrMayNotPlan says who puts plans in force.
var ErrMayNotPlan = errors.New("plans are put in force by the crisis lead or an operator")

// brief is what the ledger says about a plan.
func (p *Plan) brief() map[string]any {
	out := map[string]any{
		"version": p.Version, "tasks": len(p.Tasks), "cells": len(p.Cells()), "terms": p.Terms, "lost": len(p.Lost),
		"loss_of_reported": ratio(p.Schedule.Loss, p.AsReported.Loss),
	}
	if c := p.Change; c != nil {
		out["replaces"], out["moved"], out["stability"] = p.Replaces, len(c.Moved), c.Stability
	}
	return out
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 1
	}
	return float64(int(1000*a/b+0.5)) / 1000
}

func pack(p *Plan) ([]byte, error) {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if err := errors.Join(json.NewEncoder(z).Encode(p), z.Close()); err != nil {
		return nil, fmt.Errorf("packing plan %q: %w", p.ID, err)
	}
	return buf.Bytes(), nil
}

func unpack(body []byte) (*Plan, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("unpacking a plan: %w", err)
	}
	p := &Plan{}
	if err := json.NewDecoder(io.LimitReader(z, maxPlan)).Decode(p); err != nil {
		return nil, fmt.Errorf("reading a plan: %w", err)
	}
	return p, nil
}

// PlanHead is a stored plan without its content.
type PlanHead struct {
	ID       string    `json:"id"`
	Version  int64     `json:"version"`
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Reason   string    `json:"reason"`
	Replaces string    `json:"replaces,omitempty"`
}

// PlanHeads lists the stored plans, newest first: that is the one in force.
func PlanHeads(ctx context.Context, q db.Querier) ([]PlanHead, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (h PlanHead, err error) {
		var at int64
		err = rows.Scan(&h.ID, &h.Version, &at, &h.By, &h.Reason, &h.Replaces)
		h.At = db.Time(at)
		return h, err
	}, `select id, version, at, by_person, reason, replaces from recovery_plan order by version desc`)
	if err != nil {
		return nil, fmt.Errorf("reading plans: %w", err)
	}
	return out, nil
}

// GetPlan reads a stored plan; an empty id means the one in force.
func GetPlan(ctx context.Context, q db.Querier, id string) (*Plan, error) {
	var body []byte
	err := q.QueryRow(ctx, `select body from recovery_plan where id = $1 or $1 = '' order by version desc limit 1`, id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) && id == "" {
		return nil, ErrNoPlan
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("plan %q: %w", id, ErrNoSuchPlan)
	}
	if err != nil {
		return nil, fmt.Errorf("reading plan %q: %w", id, err)
	}
	return unpack(body)
}

// ErrNoSuchPlan says that there is no plan with that id.
var ErrNoSuchPlan = errors.New("no such plan")

// PutTerms stores the terms for all plans to come, agreed by two people.
func PutTerms(ctx context.Context, tx *db.Tx, now time.Time, by, second, reason string, t Terms) (Terms, error) {
	if err := t.Check(); err != nil {
		return t, err
	}
	last, err := CurrentTerms(ctx, tx)
	if err != nil {
		return t, err
	}
	t.Version = last.Version + 1
	body, err := json.Marshal(t)
	if err != nil {
		return t, fmt.Errorf("encoding terms: %w", err)
	}
	if _, err := tx.Exec(ctx, `insert into recovery_terms (version, at, by_person, second_by, reason, body) values ($1, $2, $3, $4, $5, $6)`,
		t.Version, db.Micro(now), by, second, reason, string(body)); err != nil {
		return t, fmt.Errorf("storing terms: %w", err)
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: by, Kind: "plan.terms_agreed", Subject: fmt.Sprintf("terms-%d", t.Version), Reason: reason,
		Data: map[string]any{"second": second, "priorities": t.Priorities}, Rows: []ledger.Row{bodyRow("recovery_terms", fmt.Sprint(t.Version), body)},
	})
	return t, err
}

// CurrentTerms are the newest terms, or the assumed ones.
func CurrentTerms(ctx context.Context, q db.Querier) (Terms, error) {
	var body string
	err := q.QueryRow(ctx, `select body from recovery_terms order by version desc limit 1`).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return DefaultTerms(), nil
	}
	var t Terms
	if err == nil {
		err = json.Unmarshal([]byte(body), &t)
	}
	if err != nil {
		return t, fmt.Errorf("reading the terms of plans: %w", err)
	}
	return t, nil
}

// PutReports stores what somebody reports on tasks: one entry for all.
func PutReports(ctx context.Context, tx *db.Tx, now time.Time, by string, rs []Report) ([]Report, error) {
	rows, err := putReports(ctx, tx, now, by, rs)
	if err != nil {
		return nil, err
	}
	subject := ""
	if len(rs) == 1 {
		subject = rs[0].Task
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: by, Kind: "plan.reported", Subject: subject, Data: map[string]int{"reports": len(rs)}, Rows: rows,
	})
	return rs, err
}

// putReports stores reports and returns their rows for the caller's entry.
func putReports(ctx context.Context, tx *db.Tx, now time.Time, by string, rs []Report) ([]ledger.Row, error) {
	rows := make([]ledger.Row, 0, len(rs))
	for i := range rs {
		r := &rs[i]
		r.Known, r.By, r.At, r.Since = db.Trim(now), by, db.Trim(r.At), db.Trim(r.Since)
		if err := r.Check(); err != nil {
			return nil, err
		}
		var last sql.NullInt64
		if err := tx.QueryRow(ctx, `select max(known) from recovery_report where task = $1`, r.Task).Scan(&last); err != nil {
			return nil, fmt.Errorf("reading the last report on %q: %w", r.Task, err)
		}
		if last.Valid && !db.Time(last.Int64).Before(r.Known) { // a clock that stands still must not hide which is newer
			r.Known = db.Time(last.Int64 + 1)
		}
		key := "pr-" + rand.Text()[:12]
		if _, err := tx.Exec(ctx, `insert into recovery_report (id, task, what, at, since, known, by_person, reason) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
			key, r.Task, string(r.What), db.Micro(r.At), db.Micro(r.Since), db.Micro(r.Known), r.By, r.Reason); err != nil {
			return nil, fmt.Errorf("storing a report on %q: %w", r.Task, err)
		}
		r.key = key
		rows = append(rows, r.row())
	}
	return rows, nil
}

// row keeps free text out of the ledger: it holds the hash of what was written.
func (r Report) row() ledger.Row {
	sum := sha256.Sum256([]byte(r.Reason))
	return ledger.Row{Table: "recovery_report", Key: r.key, Value: map[string]any{
		"task": r.Task, "what": r.What, "at": db.Micro(r.At), "since": db.Micro(r.Since), "known": db.Micro(r.Known), "by": r.By,
		"reason_sha256": hex.EncodeToString(sum[:]),
	}}
}

// Reports lists everything that was reported, oldest first.
func Reports(ctx context.Context, q db.Querier) ([]Report, error) { return reports(ctx, q) }

func reports(ctx context.Context, q db.Querier) ([]Report, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (r Report, err error) {
		var at, since, known int64
		err = rows.Scan(&r.key, &r.Task, &r.What, &at, &since, &known, &r.By, &r.Reason)
		r.At, r.Since, r.Known = db.Time(at), db.Time(since), db.Time(known)
		return r, err
	}, `select id, task, what, at, since, known, by_person, reason from recovery_report order by known, id`)
	if err != nil {
		return nil, fmt.Errorf("reading reports: %w", err)
	}
	return out, nil
}
