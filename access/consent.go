package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// ConsentState is how far a request for a second person's consent has come.
type ConsentState string

// The states of a consent. Only Pending changes again.
const (
	Pending   ConsentState = "pending"
	Given     ConsentState = "given"
	Declined  ConsentState = "declined"
	Withdrawn ConsentState = "withdrawn"
	Expired   ConsentState = "expired"
)

// Consent is a request for a second person to agree to one act.
type Consent struct {
	ID        string          `json:"id"`
	Kind      string          `json:"kind"`
	Summary   string          `json:"summary"`
	Hash      string          `json:"hash"` // of what was shown, see Ask
	Payload   json.RawMessage `json:"payload"`
	AskedBy   string          `json:"asked_by"`
	AskedAt   time.Time       `json:"asked_at"`
	Expires   time.Time       `json:"expires"`
	State     ConsentState    `json:"state"`
	DecidedBy string          `json:"decided_by,omitempty"`
	DecidedAt time.Time       `json:"decided_at,omitzero"`
	Reason    string          `json:"reason,omitempty"`
}

// Errors a person decides on: look again, ask somebody else, ask anew.
var (
	ErrSamePerson = errors.New("the second person must be another than the first")
	ErrChanged    = errors.New("what was to be approved has changed since it was shown: order it again")
	ErrExpired    = errors.New("the request has expired: order it again")
	ErrDecided    = errors.New("the request is decided already")
	ErrNoConsent  = errors.New("no such request for consent")
)

// DefaultValidity is how long a request waits for its second person.
const DefaultValidity = 4 * time.Hour

// Question is what a first person wants a second person to agree to. Shown is
// everything the second person is shown (the preview, for a measure); consent
// is to its hash together with kind and payload.
type Question struct {
	Kind     string
	Summary  string // one line, no health data
	Payload  any    // what the act needs when it is carried out
	Shown    any
	By       string
	Validity time.Duration // zero: DefaultValidity
}

// Ask stores a request and returns it.
func Ask(ctx context.Context, tx *db.Tx, now time.Time, q Question) (Consent, error) {
	if _, err := Get(ctx, tx, q.By); err != nil {
		return Consent{}, err
	}
	payload, err := json.Marshal(q.Payload)
	if err != nil {
		return Consent{}, fmt.Errorf("encoding what is asked (%s): %w", q.Kind, err)
	}
	hash, err := HashShown(q.Kind, payload, q.Shown)
	if err != nil {
		return Consent{}, err
	}
	if q.Validity == 0 {
		q.Validity = DefaultValidity
	}
	c := Consent{
		ID: "c-" + rand.Text()[:8], Kind: q.Kind, Summary: q.Summary, Hash: hash, Payload: payload,
		AskedBy: q.By, AskedAt: db.Trim(now), Expires: db.Trim(now.Add(q.Validity)), State: Pending,
	}
	return c, store(ctx, tx, now, q.By, "consent.asked", c)
}

// HashShown is the hash a consent is bound to.
func HashShown(kind string, payload json.RawMessage, shown any) (string, error) {
	s, err := json.Marshal(shown)
	if err != nil {
		return "", fmt.Errorf("encoding what is shown (%s): %w", kind, err)
	}
	h := sha256.New()
	for _, part := range [][]byte{[]byte(kind), payload, s} {
		_, _ = fmt.Fprintf(h, "%d:", len(part)) // a hash never fails to write
		_, _ = h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Give records that by agrees. shown is what the act would show now; if that is
// not what the first person ordered, the consent is refused. The caller carries
// the act out in the same transaction, so that a consent is used exactly once.
func Give(ctx context.Context, tx *db.Tx, now time.Time, id, by string, shown func(Consent) (any, error)) (Consent, error) {
	c, err := pending(ctx, tx, now, id)
	if err != nil {
		return Consent{}, err
	}
	if _, err := Get(ctx, tx, by); err != nil {
		return Consent{}, err
	}
	if by == c.AskedBy {
		return Consent{}, ErrSamePerson
	}
	s, err := shown(c)
	if err != nil {
		return Consent{}, err
	}
	hash, err := HashShown(c.Kind, c.Payload, s)
	if err != nil {
		return Consent{}, err
	}
	if hash != c.Hash {
		return Consent{}, ErrChanged
	}
	c.State, c.DecidedBy, c.DecidedAt = Given, by, db.Trim(now)
	return c, store(ctx, tx, now, by, "consent.given", c)
}

// Decline ends a request: by somebody else it is declined, by the first person withdrawn.
func Decline(ctx context.Context, tx *db.Tx, now time.Time, id, by, reason string) (Consent, error) {
	c, err := pending(ctx, tx, now, id)
	if err != nil {
		return Consent{}, err
	}
	if _, err := Get(ctx, tx, by); err != nil {
		return Consent{}, err
	}
	c.State, c.DecidedBy, c.DecidedAt, c.Reason = Declined, by, db.Trim(now), reason
	kind := "consent.declined"
	if by == c.AskedBy {
		c.State, kind = Withdrawn, "consent.withdrawn"
	}
	return c, store(ctx, tx, now, by, kind, c)
}

// ExpireDue marks requests whose time is over. Nothing else follows from it.
func ExpireDue(ctx context.Context, tx *db.Tx, now time.Time) (int, error) {
	due, err := consents(ctx, tx, `where state = 'pending' and expires_at <= $1 order by id`, now.UnixMicro())
	if err != nil {
		return 0, err
	}
	for _, c := range due {
		c.State, c.DecidedAt = Expired, db.Trim(now)
		if err := store(ctx, tx, now, ledger.System, "consent.expired", c); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}

// Open lists the requests that wait, oldest first.
func Open(ctx context.Context, q db.Querier) ([]Consent, error) {
	return consents(ctx, q, `where state = 'pending' order by asked_at, id`)
}

// ConsentByID returns one request by id, whatever its state.
func ConsentByID(ctx context.Context, q db.Querier, id string) (Consent, error) {
	found, err := consents(ctx, q, `where id = $1`, id)
	if err != nil {
		return Consent{}, err
	}
	if len(found) == 0 {
		return Consent{}, fmt.Errorf("%q: %w", id, ErrNoConsent)
	}
	return found[0], nil
}

func pending(ctx context.Context, tx *db.Tx, now time.Time, id string) (Consent, error) {
	c, err := ConsentByID(ctx, tx, id)
	if err != nil {
		return Consent{}, err
	}
	if c.State == Expired || c.State == Pending && !now.Before(c.Expires) {
		return Consent{}, fmt.Errorf("%q: %w", id, ErrExpired)
	}
	if c.State != Pending {
		return Consent{}, fmt.Errorf("%q is %s: %w", id, c.State, ErrDecided)
	}
	return c, nil
}

// row is the consent as the ledger keeps it: the payload by its hash only.
func (c Consent) row() ledger.Row {
	sum := sha256.Sum256(c.Payload)
	v := map[string]any{
		"kind": c.Kind, "summary": c.Summary, "hash": c.Hash, "payload_sha256": hex.EncodeToString(sum[:]),
		"asked_by": c.AskedBy, "asked_at": c.AskedAt.UnixMicro(), "expires_at": c.Expires.UnixMicro(),
		"state": c.State, "decided_by": c.DecidedBy, "decided_at": db.Micro(c.DecidedAt), "reason": c.Reason,
	}
	return ledger.Row{Table: "consent", Key: c.ID, Value: v}
}

func store(ctx context.Context, tx *db.Tx, now time.Time, actor, kind string, c Consent) error {
	if _, err := tx.Exec(ctx, `insert into consent
		(id, kind, summary, hash, payload, asked_by, asked_at, expires_at, state, decided_by, decided_at, reason)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		on conflict (id) do update set state = excluded.state, decided_by = excluded.decided_by,
			decided_at = excluded.decided_at, reason = excluded.reason`,
		c.ID, c.Kind, c.Summary, c.Hash, string(c.Payload), c.AskedBy, c.AskedAt.UnixMicro(), c.Expires.UnixMicro(),
		string(c.State), c.DecidedBy, db.Micro(c.DecidedAt), c.Reason); err != nil {
		return fmt.Errorf("storing consent %q: %w", c.ID, err)
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: actor, Kind: kind, Subject: c.ID, Reason: c.Reason, Rows: []ledger.Row{c.row()},
	})
	return err
}

func consents(ctx context.Context, q db.Querier, rest string, args ...any) ([]Consent, error) {
	out, err := db.Collect(ctx, q, scanConsent, `select id, kind, summary, hash, payload, asked_by, asked_at, expires_at, state,
		decided_by, decided_at, reason from consent `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading consents: %w", err)
	}
	return out, nil
}

func scanConsent(rows *sql.Rows) (Consent, error) {
	var c Consent
	var payload string
	var asked, expires, decided int64
	err := rows.Scan(&c.ID, &c.Kind, &c.Summary, &c.Hash, &payload, &c.AskedBy, &asked, &expires,
		&c.State, &c.DecidedBy, &decided, &c.Reason)
	c.Payload = json.RawMessage(payload)
	c.AskedAt, c.Expires, c.DecidedAt = db.Time(asked), db.Time(expires), db.Time(decided)
	return c, err
}
