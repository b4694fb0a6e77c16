package incident

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Note records a fact. A correction names the fact that it corrects; that one
// stays as it is.
func Note(ctx context.Context, tx *db.Tx, now time.Time, by access.Person, f Fact) (Fact, error) {
	f.Text, f.Source = strings.TrimSpace(f.Text), strings.TrimSpace(f.Source)
	if f.Text == "" || f.Source == "" || len(f.Text) > 4000 || len(f.Source) > 300 {
		return Fact{}, errors.New("a fact needs a text (up to 4000 bytes) and a source (up to 300 bytes)")
	}
	switch f.Certainty {
	case Proven, Suspected, Refuted:
	case "":
		f.Certainty = Suspected
	default:
		return Fact{}, fmt.Errorf("certainty %q: want %s, %s or %s", f.Certainty, Proven, Suspected, Refuted)
	}
	if _, err := Get(ctx, tx, f.Incident); err != nil {
		return Fact{}, err
	}
	if f.Corrects != "" {
		earlier, err := facts(ctx, tx, `where id = $1 and incident = $2`, f.Corrects, f.Incident)
		if err != nil {
			return Fact{}, err
		}
		if len(earlier) == 0 {
			return Fact{}, fmt.Errorf("fact %q, which this corrects, is not in incident %q", f.Corrects, f.Incident)
		}
	}
	f.ID, f.By, f.Known = "f-"+rand.Text()[:8], by.ID, db.Trim(now)
	if f.Happened.IsZero() {
		f.Happened = now
	}
	f.Happened = db.Trim(f.Happened)
	if _, err := tx.Exec(ctx, `insert into fact (id, incident, happened, known, source, certainty, body, corrects, by_person)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		f.ID, f.Incident, db.Micro(f.Happened), db.Micro(f.Known), f.Source, string(f.Certainty), f.Text, f.Corrects, f.By); err != nil {
		return Fact{}, fmt.Errorf("storing a fact: %w", err)
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: by.ID, Kind: "fact.noted", Subject: f.ID, Rows: []ledger.Row{f.row()},
	})
	return f, err
}

// Facts returns the facts of an incident in the order in which they became known:
// the ledger's, whatever the clock showed then.
func Facts(ctx context.Context, q db.Querier, incident string) ([]Fact, error) {
	return facts(ctx, q, `where incident = $1 order by
		(select min(seq) from ledger_entry where subject = fact.id), id`, incident)
}

func facts(ctx context.Context, q db.Querier, rest string, args ...any) ([]Fact, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (f Fact, err error) {
		var happened, known int64
		err = rows.Scan(&f.ID, &f.Incident, &happened, &known, &f.Source, &f.Certainty, &f.Text, &f.Corrects, &f.By)
		f.Happened, f.Known = db.Time(happened), db.Time(known)
		return f, err
	}, `select id, incident, happened, known, source, certainty, body, corrects, by_person from fact `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading facts: %w", err)
	}
	return out, nil
}

// row keeps free text out of the ledger: it holds the hash of what was written.
func (f Fact) row() ledger.Row {
	sum := sha256.Sum256([]byte(f.Text + "\x00" + f.Source))
	return ledger.Row{Table: "fact", Key: f.ID, Value: map[string]any{
		"incident": f.Incident, "happened": db.Micro(f.Happened), "known": db.Micro(f.Known), "certainty": f.Certainty,
		"text_sha256": hex.EncodeToString(sum[:]), "corrects": f.Corrects, "by": f.By,
	}}
}

// Keepers are the tables whose rows the ledger accounts for.
func Keepers() []ledger.Keeper {
	return []ledger.Keeper{
		ledger.KeepList("incident", Incident.row, list, `order by id`),
		ledger.KeepList("fact", Fact.row, facts, `order by id`),
	}
}
