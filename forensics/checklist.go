package forensics

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Checklist is what was done to establish that a scope is clean. Each point ends
// with who did it and evidence, or with why it was not done.
type Checklist struct {
	ID       string    `json:"id"`
	Kind     Kind      `json:"kind"`
	Scope    Scope     `json:"scope"`
	OpenedBy string    `json:"opened_by"`
	OpenedAt time.Time `json:"opened_at"`
	Points   []Point   `json:"points"`
}

// Point is one line of a check list.
type Point struct {
	ID       string     `json:"id"`
	Text     string     `json:"text"`
	Rotation bool       `json:"rotation,omitempty"` // changes credentials
	DoneBy   string     `json:"done_by,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
	NotDone  string     `json:"not_done,omitempty"` // because
	At       time.Time  `json:"at,omitzero"`
}

// Settled reports whether the point has an answer.
func (p Point) Settled() bool { return p.DoneBy != "" && (len(p.Evidence) > 0 || p.NotDone != "") }

// Errors a caller decides on.
var (
	ErrNoList     = errors.New("no such check list")
	ErrIncomplete = errors.New("the check list is not complete")
	ErrNoKind     = errors.New("no such kind of check list")
)

const checklistTable = `
	create table checklist (
		id         text primary key,
		kind       text not null,
		scope_kind text not null,
		scope_id   text not null,
		body       text not null,
		opened_at  bigint not null
	);
	create index checklist_scope on checklist (scope_kind, scope_id);
`

// NewChecklist makes an empty list of a kind for a scope.
func NewChecklist(now time.Time, k Kind, s Scope, by string) (Checklist, error) {
	if err := s.check(); err != nil {
		return Checklist{}, err
	}
	if !slices.Contains(Kinds(), k) {
		return Checklist{}, fmt.Errorf("%q: %w (known: %v)", k, ErrNoKind, Kinds())
	}
	if !slices.Contains(s.fits(), k) {
		return Checklist{}, fmt.Errorf("a list of kind %q does not fit %s: want one of %v", k, s, s.fits())
	}
	l := Checklist{ID: "l-" + rand.Text()[:8], Kind: k, Scope: s, OpenedBy: by, OpenedAt: db.Trim(now)}
	for _, p := range k.points() {
		l.Points = append(l.Points, Point{ID: p.id, Text: p.text, Rotation: p.rotation})
	}
	return l, nil
}

// Settle answers one point: done by somebody with evidence, or not done with a
// reason. A point may be answered again; the ledger keeps what it said before.
func (l Checklist) Settle(now time.Time, point, by string, evidence []Evidence, notDone string) (Checklist, error) {
	i := slices.IndexFunc(l.Points, func(p Point) bool { return p.ID == point })
	if i < 0 {
		return l, fmt.Errorf("list %q has no point %q", l.ID, point)
	}
	notDone = strings.TrimSpace(notDone)
	switch {
	case by == "":
		return l, fmt.Errorf("point %q: a person is needed", point)
	case notDone != "" && len(evidence) > 0:
		return l, fmt.Errorf("point %q: done with evidence, or not done with a reason, not both", point)
	case notDone == "":
		if err := checkEvidence(evidence); err != nil {
			return l, fmt.Errorf("point %q: %w", point, err)
		}
	}
	l.Points = slices.Clone(l.Points)
	p := &l.Points[i]
	p.DoneBy, p.Evidence, p.NotDone, p.At = by, slices.Clone(evidence), notDone, db.Trim(now)
	return l, nil
}

// Missing lists the points without an answer.
func (l Checklist) Missing() []string {
	var out []string
	for _, p := range l.Points {
		if !p.Settled() {
			out = append(out, p.ID)
		}
	}
	return out
}

// Doubts lists the points that were not done, with why: the second signer reads them.
func (l Checklist) Doubts() []string {
	var out []string
	for _, p := range l.Points {
		if p.NotDone != "" {
			out = append(out, p.ID+" nicht erledigt: "+p.NotDone)
		}
	}
	return out
}

// Proof is the list as evidence of a clearance: the hash of its content. An
// incomplete list is none.
func (l Checklist) Proof() (Evidence, error) {
	if missing := l.Missing(); len(missing) > 0 {
		return Evidence{}, fmt.Errorf("list %q: %w, open: %s", l.ID, ErrIncomplete, strings.Join(missing, ", "))
	}
	b, err := json.Marshal(l)
	if err != nil {
		return Evidence{}, fmt.Errorf("encoding list %q: %w", l.ID, err)
	}
	h := sha256.Sum256(b)
	return Evidence{Name: "checklist-" + l.ID + ".json", SHA256: hex.EncodeToString(h[:]), Size: int64(len(b))}, nil
}

// Row is the list as the ledger keeps it.
func (l Checklist) Row() ledger.Row { return ledger.Row{Table: "checklist", Key: l.ID, Value: l} }

// PutChecklist stores a list and appends its entry.
func PutChecklist(ctx context.Context, tx *db.Tx, now time.Time, actor, kind, reason string, l Checklist) error {
	body, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encoding list %q: %w", l.ID, err)
	}
	if _, err := tx.Exec(ctx, `insert into checklist (id, kind, scope_kind, scope_id, body, opened_at) values ($1, $2, $3, $4, $5, $6)
		on conflict (id) do update set body = excluded.body`,
		l.ID, string(l.Kind), string(l.Scope.Kind), l.Scope.ID, string(body), db.Micro(l.OpenedAt)); err != nil {
		return fmt.Errorf("storing list %q: %w", l.ID, err)
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{At: now, Actor: actor, Kind: kind, Subject: l.ID, Reason: reason, Rows: []ledger.Row{l.Row()}})
	return err
}

// Checklists reads all lists, oldest first.
func Checklists(ctx context.Context, q db.Querier) ([]Checklist, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (l Checklist, err error) {
		var body string
		if err := rows.Scan(&body); err != nil {
			return l, err
		}
		return l, json.Unmarshal([]byte(body), &l)
	}, `select body from checklist order by opened_at, id`)
	if err != nil {
		return nil, fmt.Errorf("reading check lists: %w", err)
	}
	return out, nil
}

// ChecklistByID reads one list.
func ChecklistByID(ctx context.Context, q db.Querier, id string) (Checklist, error) {
	all, err := Checklists(ctx, q)
	if err != nil {
		return Checklist{}, err
	}
	i := slices.IndexFunc(all, func(l Checklist) bool { return l.ID == id })
	if i < 0 {
		return Checklist{}, fmt.Errorf("%q: %w", id, ErrNoList)
	}
	return all[i], nil
}

// ListsOf are the lists about a scope.
func ListsOf(all []Checklist, s Scope) []Checklist {
	return slices.DeleteFunc(slices.Clone(all), func(l Checklist) bool { return l.Scope != s })
}
