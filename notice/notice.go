package notice

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Audience is who a notice is for.
type Audience string

// The audiences. Partners are practices, pharmacies, employers and their associations.
const (
	Public      Audience = "public"
	Partners    Audience = "partners"
	Kassen      Audience = "kassen"
	Authorities Audience = "authorities"
)

// Notice is a released statement. It carries how sure what it says is, as of when.
type Notice struct {
	ID         string    `json:"id"`
	Incident   string    `json:"incident"`
	Audience   Audience  `json:"audience"`
	Title      string    `json:"title"`
	Text       string    `json:"text"`
	Certainty  string    `json:"certainty"` // Erkenntnisstand in words
	ReleasedBy string    `json:"released_by"`
	SecondBy   string    `json:"second_by"`
	ReleasedAt time.Time `json:"released_at"`
}

// Check says what a notice lacks before two people may release it.
func (n Notice) Check() error {
	if !slices.Contains([]Audience{Public, Partners, Kassen, Authorities}, n.Audience) {
		return fmt.Errorf("audience %q: want %s, %s, %s or %s", n.Audience, Public, Partners, Kassen, Authorities)
	}
	if strings.TrimSpace(n.Title) == "" || strings.TrimSpace(n.Text) == "" || len(n.Text) > 20_000 || len(n.Title) > 300 {
		return errors.New("a notice needs a title (up to 300 bytes) and a text (up to 20000 bytes)")
	}
	if strings.TrimSpace(n.Certainty) == "" {
		return errors.New("a notice needs its Erkenntnisstand: what is known, as of when")
	}
	return nil
}

// Release stores a notice that two people agreed on.
func Release(ctx context.Context, tx *db.Tx, now time.Time, n Notice) (Notice, error) {
	if err := n.Check(); err != nil {
		return Notice{}, err
	}
	if n.ReleasedBy == "" || n.SecondBy == "" || n.ReleasedBy == n.SecondBy {
		return Notice{}, errors.New("releasing a notice needs two different people")
	}
	n.ID, n.ReleasedAt = "n-"+rand.Text()[:8], db.Trim(now)
	if _, err := tx.Exec(ctx, `insert into notice (id, incident, audience, title, body, certainty, released_by, second_by, released_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		n.ID, n.Incident, string(n.Audience), n.Title, n.Text, n.Certainty, n.ReleasedBy, n.SecondBy, db.Micro(n.ReleasedAt)); err != nil {
		return Notice{}, fmt.Errorf("storing a notice: %w", err)
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: n.ReleasedBy, Kind: "notice.released", Subject: n.ID,
		Data: map[string]any{"audience": n.Audience, "second": n.SecondBy}, Rows: []ledger.Row{n.row()},
	})
	return n, err
}

func (n Notice) row() ledger.Row {
	sum := sha256.Sum256([]byte(strings.Join([]string{n.Title, n.Text, n.Certainty}, "\x00")))
	return ledger.Row{Table: "notice", Key: n.ID, Value: map[string]any{
		"incident": n.Incident, "audience": n.Audience, "sha256": hex.EncodeToString(sum[:]),
		"released_by": n.ReleasedBy, "second_by": n.SecondBy, "released_at": db.Micro(n.ReleasedAt),
	}}
}

// Notices returns all released notices, newest first.
func Notices(ctx context.Context, q db.Querier) ([]Notice, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (n Notice, err error) {
		var at int64
		err = rows.Scan(&n.ID, &n.Incident, &n.Audience, &n.Title, &n.Text, &n.Certainty, &n.ReleasedBy, &n.SecondBy, &at)
		n.ReleasedAt = db.Time(at)
		return n, err
	}, `select id, incident, audience, title, body, certainty, released_by, second_by, released_at from notice order by released_at desc, id`)
	if err != nil {
		return nil, fmt.Errorf("reading notices: %w", err)
	}
	return out, nil
}

// Keepers are the tables whose rows the ledger accounts for.
func Keepers() []ledger.Keeper {
	return []ledger.Keeper{
		ledger.Keep("notice", Notice.row, Notices),
		{Table: "public_list", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
			out, err := db.Collect(ctx, q, func(rows *sql.Rows) (ledger.Row, error) {
				var version int
				var body string
				err := rows.Scan(&version, &body)
				return listRow(version, []byte(body)), err
			}, `select version, body from public_list order by version`)
			if err != nil {
				return nil, fmt.Errorf("reading the public list: %w", err)
			}
			return out, nil
		}},
	}
}
