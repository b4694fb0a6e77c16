package emergency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// CodeConflict is the receiver's code for an item whose object was changed in
// the regular system after the item's basis and before the cut. The regular
// system keeps its version until people have decided.
const CodeConflict = "conflict"

// Version is what the regular system has in place of an item that it rejected
// as a conflict.
type Version struct {
	At     time.Time `json:"at"` // when it was changed there
	Media  string    `json:"media"`
	SHA256 string    `json:"sha256"` // of Body
	Body   []byte    `json:"body"`
}

// check makes sure that a version is whole.
func (v Version) check() error {
	if sum := sha256.Sum256(v.Body); hex.EncodeToString(sum[:]) != v.SHA256 {
		return fmt.Errorf("the version named with a conflict does not have its hash: %w", ErrReceipt)
	}
	return nil
}

// Decision says which version of a conflict holds.
type Decision string

// The decisions. Merged means that a person wrote the result into the regular
// system by hand; like Theirs, nothing more is sent.
const (
	Undecided Decision = ""
	Ours      Decision = "ours"   // it is sent again, to replace exactly the version that was shown
	Theirs    Decision = "theirs" // the item stays rejected
	Merged    Decision = "merged"
)

// Conflict is an item that two sides changed, without contents.
type Conflict struct {
	Number   Number                `json:"number"`
	Label    string                `json:"label"` // the number as people read it
	Kind     Kind                  `json:"kind"`
	Place    catalogue.PlacementID `json:"placement"`
	Basis    string                `json:"basis,omitempty"`
	Received time.Time             `json:"received"`
	At       time.Time             `json:"at"` // when the receiver said so
	Decision Decision              `json:"decision,omitempty"`
	By       string                `json:"by,omitempty"`
	Decided  time.Time             `json:"decided,omitzero"`
}

// Both are the two versions of a conflict with their contents.
type Both struct {
	Conflict
	Media  string  `json:"media"`
	Ours   []byte  `json:"ours"`            // as the receiver got it
	Brief  string  `json:"brief,omitempty"` // Ours in a line, where somebody can say it
	Theirs Version `json:"theirs"`
}

// Errors a caller decides on.
var (
	ErrNoConflict = errors.New("no conflict of this item waits for a decision")
	ErrConflicts  = errors.New("conflicts wait for a decision")
)

// conflictRow is journal_conflict as the ledger keeps it.
type conflictRow struct {
	At       int64  `json:"at"`
	Decision string `json:"decision,omitempty"`
	By       string `json:"by,omitempty"`
	Decided  int64  `json:"decided,omitempty"`
}

func (v conflictRow) row(n int64) ledger.Row {
	return ledger.Row{Table: "journal_conflict", Key: strconv.FormatInt(n, 10), Value: v}
}

func conflictKeeper() ledger.Keeper {
	return ledger.Keeper{Table: "journal_conflict", Rows: func(ctx context.Context, q db.Querier) ([]ledger.Row, error) {
		return db.Collect(ctx, q, func(r *sql.Rows) (ledger.Row, error) {
			var n int64
			var v conflictRow
			err := r.Scan(&n, &v.At, &v.Decision, &v.By, &v.Decided)
			return v.row(n), err
		}, `select number, at, decision, decided_by, decided from journal_conflict`)
	}}
}

// putConflict notes that the receiver named another version; a newer one asks again.
func putConflict(ctx context.Context, tx *db.Tx, n Number, at time.Time, sealed []byte) (ledger.Row, error) {
	v := conflictRow{At: db.Micro(at)}
	if _, err := tx.Exec(ctx, `insert into journal_conflict (number, at, decision, decided_by, decided) values ($1, $2, '', '', 0)
		on conflict (number) do update set at = excluded.at, decision = '', decided_by = '', decided = 0`, int64(n), v.At); err != nil {
		return ledger.Row{}, fmt.Errorf("keeping a conflict: %w", err)
	}
	_, err := tx.Exec(ctx, `insert into journal_theirs (number, sealed) values ($1, $2)
		on conflict (number) do update set sealed = excluded.sealed`, int64(n), sealed)
	return v.row(int64(n)), err
}

// Conflicts lists the conflicts of a placement (empty: of all), undecided first.
func (j *Journal) Conflicts(ctx context.Context, p catalogue.PlacementID) ([]Conflict, error) {
	out, err := db.Collect(ctx, j.store, func(r *sql.Rows) (Conflict, error) {
		var c Conflict
		var at, received, decided int64
		err := r.Scan(&c.Number, &c.Kind, &c.Place, &c.Basis, &received, &at, &c.Decision, &c.By, &decided)
		c.Label, c.At, c.Received, c.Decided = c.Number.Label(j.kasse), db.Time(at), db.Time(received), db.Time(decided)
		return c, err
	}, `select c.number, s.kind, s.placement, i.basis, i.received, c.at, c.decision, c.decided_by, c.decided
		from journal_conflict c join journal_standing s on s.number = c.number join journal_item i on i.number = c.number
		where $1 = '' or s.placement = $1 order by case when c.decision = '' then 0 else 1 end, c.number`, string(p))
	if err != nil {
		return nil, fmt.Errorf("listing conflicts of Kasse %s: %w", j.kasse, err)
	}
	return out, nil
}

// undecided counts the conflicts of a placement that nobody has decided.
func (j *Journal) undecided(ctx context.Context, p catalogue.PlacementID) (n int64, err error) {
	err = j.store.QueryRow(ctx, `select count(*) from journal_conflict c join journal_standing s on s.number = c.number
		where s.placement = $1 and c.decision = ''`, string(p)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting conflicts of %s: %w", p, err)
	}
	return n, nil
}

// ReadConflict opens both versions for a person and enters in the ledger who
// read them and why, before they are shown. describe is that of the [Handover].
func (j *Journal) ReadConflict(ctx context.Context, n Number, at time.Time, actor, reason string,
	describe func(context.Context, Item, []byte) (Content, error),
) (Both, error) {
	var b Both
	all, err := j.Conflicts(ctx, "")
	if err != nil {
		return b, err
	}
	for _, c := range all {
		if c.Number == n {
			b.Conflict = c
		}
	}
	if b.Number == 0 {
		return b, fmt.Errorf("item %s: %w", n.Label(j.kasse), ErrNoConflict)
	}
	it, body, err := j.ReadBody(ctx, n, at, actor, reason)
	if err != nil {
		return b, err
	}
	c := Content{Media: it.Media, Body: body}
	if describe != nil {
		if c, err = describe(ctx, it, body); err != nil {
			return b, fmt.Errorf("describing item %s: %w", n.Label(j.kasse), err)
		}
	}
	b.Media, b.Ours = c.Media, c.Body
	b.Theirs, err = j.theirs(ctx, it)
	return b, err
}

func (j *Journal) theirs(ctx context.Context, it Item) (Version, error) {
	var sealed []byte
	var v Version
	err := j.store.QueryRow(ctx, `select sealed from journal_theirs where number = $1`, int64(it.Number)).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return v, fmt.Errorf("the regular system's version of item %s: %w", it.Number.Label(j.kasse), ErrErased)
	}
	if err != nil {
		return v, fmt.Errorf("reading the regular system's version of item %s: %w", it.Number.Label(j.kasse), err)
	}
	plain, err := j.OpenNote(ctx, "theirs "+it.ID, sealed)
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(plain, &v)
}

// Decide settles a conflict. Ours takes the item up again, so that it is handed
// over once more; the others leave it rejected.
func (j *Journal) Decide(ctx context.Context, at time.Time, actor, reason string, n Number, d Decision) error {
	switch d {
	case Ours, Theirs, Merged:
	case Undecided:
		return errors.New("deciding a conflict: say ours, theirs or merged")
	default:
		return fmt.Errorf("deciding a conflict: %q is none of ours, theirs, merged", d)
	}
	if reason == "" {
		return errors.New("deciding a conflict needs a reason")
	}
	return j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		v := conflictRow{Decision: string(d), By: actor, Decided: db.Micro(at)}
		err := tx.QueryRow(ctx, `update journal_conflict set decision = $1, decided_by = $2, decided = $3
			where number = $4 and decision = '' returning at`, v.Decision, v.By, v.Decided, int64(n)).Scan(&v.At)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("item %s: %w", n.Label(j.kasse), ErrNoConflict)
		}
		if err != nil {
			return fmt.Errorf("deciding the conflict of item %s: %w", n.Label(j.kasse), err)
		}
		var changes []Change
		if d == Ours {
			changes = append(changes, Change{Number: n, Apply: func(s Standing) (Standing, error) { return s.Reopen() }})
		}
		return j.ApplyTx(ctx, tx, Entry{
			At: at, Actor: actor, Kind: "conflict.decided", Reason: reason,
			Data: map[string]string{"item": n.Label(j.kasse), "decision": string(d)}, Rows: []ledger.Row{v.row(int64(n))},
		}, changes...)
	})
}

// contents reads the sealed bodies of items, and of those with a conflict that
// was decided for ours, the hash of the version that they replace.
func (j *Journal) contents(ctx context.Context, items []Item) (bodies map[Number][]byte, over map[Number]string, err error) {
	bodies, over = make(map[Number][]byte, len(items)), map[Number]string{}
	byNumber := make(map[Number]Item, len(items))
	for _, it := range items {
		byNumber[it.Number] = it
	}
	err = chunks(items, func(part []Item) error {
		numbers := make([]Number, len(part))
		for i, it := range part {
			numbers[i] = it.Number
		}
		where, args := numberIs("b.number", 1, numbers)
		var decided []Number
		_, err := db.Collect(ctx, j.store, func(r *sql.Rows) (struct{}, error) {
			var n Number
			var sealed []byte
			var decision string
			err := r.Scan(&n, &sealed, &decision)
			bodies[n] = sealed
			if Decision(decision) == Ours {
				decided = append(decided, n)
			}
			return struct{}{}, err
		}, `select b.number, b.sealed, coalesce(c.decision, '') from journal_body b left join journal_conflict c on c.number = b.number
			where `+where, args...)
		if err != nil {
			return fmt.Errorf("reading bodies: %w", err)
		}
		for _, n := range decided {
			v, err := j.theirs(ctx, byNumber[n])
			if err != nil {
				return err
			}
			over[n] = v.SHA256
		}
		return nil
	})
	return bodies, over, err
}
