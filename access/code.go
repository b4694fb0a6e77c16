package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// A person who is out of reach of the room agrees over the telephone: from a
// sheet of paper that only he or she has, the person reads the code with the
// number that the room asks for. The room chooses the number when it is told what
// is to be approved, and from then on the code holds for that request with that
// hash alone, once, and not for long.

// Limits of codes.
const (
	SheetSize     = 40
	codeDigits    = 8
	CodeValidity  = 30 * time.Minute // from asking for a code to typing it in
	codeTries     = 5                // wrong ones until the number is burnt
	codesPerSpell = 3                // numbers asked for and not used, per person and CodeValidity
)

// Errors a person decides on.
var (
	ErrWrongCode = errors.New("the code does not fit this request and this person")
	ErrNoCodes   = errors.New("the person has no unused codes: a new sheet is needed")
	ErrTooMany   = errors.New("too many codes were asked for without being used: wait half an hour")
)

// CodeKey makes the stored hashes useless without the room's key files.
type CodeKey []byte

func (k CodeKey) mac(person, sheet string, number int64, code string) string {
	m := hmac.New(sha256.New, k)
	_, _ = fmt.Fprintf(m, "%s\x00%s\x00%d\x00%s", person, sheet, number, code) // a hash never fails to write
	return hex.EncodeToString(m.Sum(nil))
}

// Sheet is a new sheet of codes. It exists once, on paper.
type Sheet struct {
	ID     string   `json:"id"`
	Person string   `json:"person"`
	Codes  []string `json:"codes"` // the code with number n is Codes[n-1]
}

// IssueSheet makes a new sheet for a person; what was left of the old one is void.
func IssueSheet(ctx context.Context, tx *db.Tx, now time.Time, person string, key CodeKey) (Sheet, error) {
	if _, err := Get(ctx, tx, person); err != nil {
		return Sheet{}, err
	}
	s := Sheet{ID: rand.Text()[:6], Person: person}
	old, err := codes(ctx, tx, `where person = $1 order by number`, person)
	if err != nil {
		return s, err
	}
	e := ledger.Entry{At: now, Actor: person, Kind: "codes.issued", Subject: person, Data: map[string]any{"sheet": s.ID, "codes": SheetSize}}
	for _, c := range old {
		e.Rows = append(e.Rows, ledger.Row{Table: "code", Key: c.key()})
	}
	if _, err := tx.Exec(ctx, `delete from code where person = $1`, person); err != nil {
		return s, fmt.Errorf("removing the old sheet: %w", err)
	}
	for n := int64(1); n <= SheetSize; n++ {
		number, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
		if err != nil {
			return s, fmt.Errorf("making a code: %w", err)
		}
		text := fmt.Sprintf("%0*d", codeDigits, number)
		s.Codes = append(s.Codes, text)
		c := code{person: person, number: n, sheet: s.ID, mac: key.mac(person, s.ID, n, text), state: "unused"}
		if err := c.put(ctx, tx); err != nil {
			return s, err
		}
		e.Rows = append(e.Rows, c.row())
	}
	_, err = ledger.Append(ctx, tx, e)
	return s, err
}

// CodeAsked is what the person on the telephone is told.
type CodeAsked struct {
	Consent string    `json:"consent"`
	Summary string    `json:"summary"`
	Person  string    `json:"person"`
	Sheet   string    `json:"sheet"`
	Number  int64     `json:"number"`
	Word    string    `json:"word"` // begins the hash; the person writes it beside the number
	Expires time.Time `json:"expires"`
}

// AskCode reserves the next unused code of a person for one request.
func AskCode(ctx context.Context, tx *db.Tx, now time.Time, actor, consent, person string) (CodeAsked, error) {
	c, err := pending(ctx, tx, now, consent)
	if err != nil {
		return CodeAsked{}, err
	}
	if c.AskedBy == person {
		return CodeAsked{}, ErrSamePerson
	}
	if _, err := Get(ctx, tx, person); err != nil {
		return CodeAsked{}, err
	}
	open, err := codes(ctx, tx, `where person = $1 and state in ('reserved', 'burnt') and expires > $2 order by number`, person, now.UnixMicro())
	if err != nil {
		return CodeAsked{}, err
	}
	if len(open) >= codesPerSpell {
		return CodeAsked{}, ErrTooMany
	}
	free, err := codes(ctx, tx, `where person = $1 and state = 'unused' order by number limit 1`, person)
	if err != nil {
		return CodeAsked{}, err
	}
	if len(free) == 0 {
		return CodeAsked{}, fmt.Errorf("%q: %w", person, ErrNoCodes)
	}
	k := free[0]
	k.state, k.consent, k.hash, k.expires = "reserved", c.ID, c.Hash, db.Trim(now.Add(CodeValidity))
	if err := k.change(ctx, tx, now, actor, "code.asked"); err != nil {
		return CodeAsked{}, err
	}
	return CodeAsked{Consent: c.ID, Summary: c.Summary, Person: person, Sheet: k.sheet, Number: k.number, Word: strings.ToUpper(c.Hash[:8]), Expires: k.expires}, nil
}

// RedeemCode checks what was read over the telephone. fits is false for a wrong
// code, and the caller commits nevertheless: the try is counted. A code that fits
// is used up, whatever becomes of the act.
func RedeemCode(ctx context.Context, tx *db.Tx, now time.Time, actor, consent, person, given string, key CodeKey) (fits bool, err error) {
	c, err := pending(ctx, tx, now, consent)
	if err != nil {
		return false, err
	}
	reserved, err := codes(ctx, tx, `where consent = $1 and person = $2 and state = 'reserved' order by number desc limit 1`, consent, person)
	if err != nil {
		return false, err
	}
	if len(reserved) == 0 || !now.Before(reserved[0].expires) || reserved[0].hash != c.Hash {
		return false, fmt.Errorf("no code is expected for %q from %q, or it has expired: %w", consent, person, ErrWrongCode)
	}
	k := reserved[0]
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, given)
	kind := "code.used"
	fits = hmac.Equal([]byte(key.mac(person, k.sheet, k.number, digits)), []byte(k.mac))
	if fits {
		k.state = "used"
	} else {
		kind, k.tries = "code.failed", k.tries+1
		if k.tries >= codeTries {
			k.state = "burnt"
		}
	}
	return fits, k.change(ctx, tx, now, actor, kind)
}

// code is one line of a sheet.
type code struct {
	person  string
	number  int64
	sheet   string
	mac     string
	state   string // unused, reserved, used, burnt
	consent string
	hash    string
	expires time.Time
	tries   int64
}

func (c code) key() string { return fmt.Sprintf("%s/%d", c.person, c.number) }

// row leaves the hash of the code out: who reads the ledger could try all codes
// with the key.
func (c code) row() ledger.Row {
	return ledger.Row{Table: "code", Key: c.key(), Value: map[string]any{
		"sheet": c.sheet, "state": c.state, "consent": c.consent, "hash": c.hash, "expires": db.Micro(c.expires), "tries": c.tries,
	}}
}

func (c code) put(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `insert into code (person, number, sheet, mac, state, consent, hash, expires, tries)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (person, number) do update set
		state = excluded.state, consent = excluded.consent, hash = excluded.hash, expires = excluded.expires, tries = excluded.tries`,
		c.person, c.number, c.sheet, c.mac, c.state, c.consent, c.hash, db.Micro(c.expires), c.tries)
	if err != nil {
		return fmt.Errorf("storing code %d of %q: %w", c.number, c.person, err)
	}
	return nil
}

func (c code) change(ctx context.Context, tx *db.Tx, now time.Time, actor, kind string) error {
	if err := c.put(ctx, tx); err != nil {
		return err
	}
	_, err := ledger.Append(ctx, tx, ledger.Entry{
		At: now, Actor: actor, Kind: kind, Subject: c.consent, Data: map[string]any{"person": c.person, "number": c.number}, Rows: []ledger.Row{c.row()},
	})
	return err
}

func codes(ctx context.Context, q db.Querier, rest string, args ...any) ([]code, error) {
	out, err := db.Collect(ctx, q, func(rows *sql.Rows) (code, error) {
		var c code
		var expires int64
		err := rows.Scan(&c.person, &c.number, &c.sheet, &c.mac, &c.state, &c.consent, &c.hash, &expires, &c.tries)
		c.expires = db.Time(expires)
		return c, err
	}, `select person, number, sheet, mac, state, consent, hash, expires, tries from code `+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading codes: %w", err)
	}
	return out, nil
}
