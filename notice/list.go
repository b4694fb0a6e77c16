// Package notice tells the public, partners and authorities.
//
// Promises: there is one public list, in versions; each says what was added,
// removed and changed since the one before, and why; a Kasse and service stands
// in it once. It is drawn from the same state that the doors obey. Nothing is
// published without two people.
package notice

import (
	"context"
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
	"leitstand/catalogue"
)

// Entry is one line of the public list: a service of a Kasse that does not run as usual.
type Entry struct {
	Kasse     catalogue.KasseID   `json:"kasse"`
	KasseName string              `json:"kasse_name"`
	Service   catalogue.ServiceID `json:"service"`
	Name      string              `json:"name"`
	State     string              `json:"state"` // running, limited, … as the cell's
	Word      string              `json:"word"`  // the same in German
	Advice    string              `json:"advice,omitempty"`
}

// Change is one difference between two versions.
type Change struct {
	Kasse     catalogue.KasseID   `json:"kasse"`
	KasseName string              `json:"kasse_name"`
	Service   catalogue.ServiceID `json:"service"`
	Name      string              `json:"name"`
	Kind      string              `json:"kind"` // added, removed, changed
	From      string              `json:"from,omitempty"`
	To        string              `json:"to,omitempty"`
}

// List is one published version.
type List struct {
	Version     int       `json:"version"`
	At          time.Time `json:"at"`
	Reason      string    `json:"reason"`
	PublishedBy string    `json:"published_by"`
	SecondBy    string    `json:"second_by"`
	Entries     []Entry   `json:"entries"`
	Changes     []Change  `json:"changes"`
}

// Schema is the package's part of the room's store.
var Schema = db.Migrations{Package: "notice", Steps: []string{`
	create table public_list (version bigint primary key, at bigint not null, body text not null);
	create table notice (
		id text primary key, incident text not null, audience text not null, title text not null, body text not null,
		certainty text not null, released_by text not null, second_by text not null, released_at bigint not null
	);
`}}

// ErrTwice says that a Kasse and service stand in a list more than once, as in 2023.
var ErrTwice = errors.New("stands in the list twice")

// ErrNoChange says that a new version would say what the last one says.
var ErrNoChange = errors.New("the published list says this already")

// Prepare makes the next version from what holds now: it sorts, refuses doubles
// and works out the differences. Entries of the version before are prev.
func Prepare(prev List, entries []Entry, reason string) (List, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" {
		return List{}, errors.New("a new version of the public list needs a reason")
	}
	entries = slices.Clone(entries)
	slices.SortFunc(entries, compareEntries)
	for i := 1; i < len(entries); i++ {
		if compareEntries(entries[i-1], entries[i]) == 0 {
			return List{}, fmt.Errorf("%s, %s: %w", entries[i].KasseName, entries[i].Name, ErrTwice)
		}
	}
	l := List{Version: prev.Version + 1, Reason: reason, Entries: entries, Changes: diff(prev.Entries, entries)}
	if l.Entries == nil {
		l.Entries = []Entry{}
	}
	if len(l.Changes) == 0 && prev.Version > 0 {
		return List{}, ErrNoChange
	}
	return l, nil
}

func compareEntries(a, b Entry) int {
	if c := strings.Compare(string(a.Kasse), string(b.Kasse)); c != 0 {
		return c
	}
	return strings.Compare(string(a.Service), string(b.Service))
}

// diff walks two sorted lists.
func diff(was, is []Entry) []Change {
	out := []Change{}
	change := func(e Entry, kind, from, to string) {
		out = append(out, Change{e.Kasse, e.KasseName, e.Service, e.Name, kind, from, to})
	}
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && compareEntries(was[0], is[0]) < 0:
			change(was[0], "removed", was[0].Word, "")
			was = was[1:]
		case len(was) == 0 || compareEntries(is[0], was[0]) < 0:
			change(is[0], "added", "", is[0].Word)
			is = is[1:]
		default:
			if was[0].Word != is[0].Word {
				change(is[0], "changed", was[0].Word, is[0].Word)
			}
			was, is = was[1:], is[1:]
		}
	}
	return out
}

// Publish stores a prepared version. Its number must be the next one: if
// somebody else published meanwhile, prepare it again.
func Publish(ctx context.Context, tx *db.Tx, now time.Time, l List) (List, error) {
	last, err := Newest(ctx, tx)
	if err != nil {
		return List{}, err
	}
	if l.Version != last.Version+1 {
		return List{}, fmt.Errorf("version %d of the public list is not the next after %d: prepare it again", l.Version, last.Version)
	}
	if l.PublishedBy == "" || l.SecondBy == "" || l.PublishedBy == l.SecondBy {
		return List{}, errors.New("publishing needs two different people")
	}
	l.At = db.Trim(now)
	body, err := json.Marshal(l)
	if err != nil {
		return List{}, fmt.Errorf("encoding the public list: %w", err)
	}
	if _, err := tx.Exec(ctx, `insert into public_list (version, at, body) values ($1, $2, $3)`, l.Version, db.Micro(l.At), string(body)); err != nil {
		return List{}, fmt.Errorf("storing the public list: %w", err)
	}
	_, err = ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: l.PublishedBy, Kind: "list.published", Subject: fmt.Sprint(l.Version), Reason: l.Reason,
		Data: map[string]any{"second": l.SecondBy, "entries": len(l.Entries), "changes": len(l.Changes)},
		Rows: []ledger.Row{listRow(l.Version, body)},
	})
	return l, err
}

func listRow(version int, body []byte) ledger.Row {
	sum := sha256.Sum256(body)
	return ledger.Row{Table: "public_list", Key: fmt.Sprint(version), Value: map[string]string{"sha256": hex.EncodeToString(sum[:])}}
}

// Newest is the version that the public sees; its Version is 0 before the first.
func Newest(ctx context.Context, q db.Querier) (List, error) {
	all, err := lists(ctx, q, `order by version desc limit 1`)
	if err != nil || len(all) == 0 {
		return List{}, err
	}
	return all[0], nil
}

// Lists returns all versions, newest first.
func Lists(ctx context.Context, q db.Querier) ([]List, error) {
	return lists(ctx, q, `order by version desc`)
}

func lists(ctx context.Context, q db.Querier, rest string) ([]List, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (l List, err error) {
		var body string
		if err := rows.Scan(&body); err != nil {
			return l, err
		}
		err = json.Unmarshal([]byte(body), &l)
		return l, err
	}, `select body from public_list `+rest)
	if err != nil {
		return nil, fmt.Errorf("reading the public list: %w", err)
	}
	return out, nil
}
