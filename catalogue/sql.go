package catalogue

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Schema is the catalogue's part of a room's store: every version that ever
// held, as the JSON of Snapshot.
var Schema = db.Migrations{Package: "catalogue", Steps: []string{`
	create table catalogue (
		version bigint primary key,
		at      bigint not null,
		sha256  text not null,
		body    text not null
	)`}}

// ErrNone says that a store holds no catalogue yet.
var ErrNone = errors.New("there is no catalogue yet")

// ErrChanged says that a stored catalogue is not what was saved.
var ErrChanged = errors.New("stored catalogue does not match its hash: stop, keep the store as evidence")

// Version is one version of the catalogue in a store.
type Version struct {
	Number int64     `json:"version"`
	At     time.Time `json:"at"`
	SHA256 string    `json:"sha256"`
}

// Change says who saves a catalogue, when and why.
type Change struct {
	At     time.Time
	Actor  string // a person's id, or ledger.System
	Reason string
}

// Save makes c the newest version, as SaveVersion does.
func Save(ctx context.Context, tx *db.Tx, at time.Time, actor string, c *Catalogue) error {
	_, err := SaveVersion(ctx, tx, c, Change{At: at, Actor: actor})
	return err
}

// SaveVersion makes c the newest version, with one ledger entry in the same
// transaction. It refuses what Validate refuses. Saving what holds already
// changes nothing and gives the present version.
func SaveVersion(ctx context.Context, tx *db.Tx, c *Catalogue, by Change) (Version, error) {
	if err := c.Validate(); err != nil {
		return Version{}, fmt.Errorf("saving the catalogue: %w", err)
	}
	body, err := c.Snapshot()
	if err != nil {
		return Version{}, err
	}
	newest, err := Newest(ctx, tx)
	if err != nil && !errors.Is(err, ErrNone) {
		return Version{}, err
	}
	v := Version{Number: newest.Number + 1, At: db.Trim(by.At), SHA256: hashOf(body)}
	if v.SHA256 == newest.SHA256 {
		return newest, nil
	}
	if _, err := tx.Exec(ctx, `insert into catalogue (version, at, sha256, body) values ($1, $2, $3, $4)`,
		v.Number, db.Micro(v.At), v.SHA256, string(body)); err != nil {
		return Version{}, fmt.Errorf("saving the catalogue: %w", err)
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: v.At, Actor: by.Actor, Kind: "catalogue.saved", Subject: "catalogue", Reason: by.Reason,
		Data: map[string]any{
			"version": v.Number, "sha256": v.SHA256, "kassen": len(c.Kassen), "services": len(c.Services),
			"components": len(c.Components), "placements": len(c.Placements),
		},
		Rows: []ledger.Row{v.row()},
	})
	if err != nil {
		return Version{}, fmt.Errorf("saving the catalogue: %w", err)
	}
	return v, nil
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func (v Version) row() ledger.Row {
	return ledger.Row{
		Table: "catalogue", Key: fmt.Sprint(v.Number),
		Value: map[string]any{"at": db.Micro(v.At), "sha256": v.SHA256},
	}
}

// Newest names the newest version; ErrNone when there is none.
func Newest(ctx context.Context, q db.Querier) (Version, error) {
	return scanVersion(q.QueryRow(ctx, `select version, at, sha256 from catalogue order by version desc limit 1`))
}

func scanVersion(row interface{ Scan(...any) error }) (Version, error) {
	var v Version
	var at int64
	switch err := row.Scan(&v.Number, &at, &v.SHA256); {
	case errors.Is(err, sql.ErrNoRows):
		return v, ErrNone
	case err != nil:
		return v, fmt.Errorf("reading the catalogue's version: %w", err)
	}
	v.At = db.Time(at)
	return v, nil
}

// Load reads the newest catalogue. The error is ErrNone when there is none,
// and ErrChanged when the stored text was altered.
func Load(ctx context.Context, q db.Querier) (*Catalogue, error) {
	v, err := Newest(ctx, q)
	if err != nil {
		return nil, err
	}
	return LoadVersion(ctx, q, v.Number)
}

// LoadVersion reads one version, with the same errors as Load.
func LoadVersion(ctx context.Context, q db.Querier, number int64) (*Catalogue, error) {
	var want, body string
	err := q.QueryRow(ctx, `select sha256, body from catalogue where version = $1`, number).Scan(&want, &body)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("reading version %d of the catalogue: %w", number, ErrNone)
	case err != nil:
		return nil, fmt.Errorf("reading version %d of the catalogue: %w", number, err)
	case hashOf([]byte(body)) != want:
		return nil, fmt.Errorf("reading version %d of the catalogue: %w", number, ErrChanged)
	}
	return ReadSnapshot([]byte(body))
}

// Versions lists every version, oldest first.
func Versions(ctx context.Context, q db.Querier) ([]Version, error) {
	return db.Collect(ctx, q, func(rows *sql.Rows) (Version, error) { return scanVersion(rows) },
		`select version, at, sha256 from catalogue order by version`)
}

// Keeper lets ledger.VerifyState compare the stored catalogues with the ledger.
// The hash is computed from the stored text, so that an altered text is found.
func Keeper() ledger.Keeper {
	return ledger.Keeper{Table: "catalogue", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
		return db.Collect(ctx, q, func(rows *sql.Rows) (ledger.Row, error) {
			var v Version
			var at int64
			var body string
			if err := rows.Scan(&v.Number, &at, &body); err != nil {
				return ledger.Row{}, err
			}
			v.At, v.SHA256 = db.Time(at), hashOf([]byte(body))
			return v.row(), nil
		}, `select version, at, body from catalogue order by version`)
	}}
}
