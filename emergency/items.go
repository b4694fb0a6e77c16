package emergency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// ErrNoItem says that no item has that number.
var ErrNoItem = errors.New("no such item")

// Item is one accepted item without its body.
type Item struct {
	Standing
	ID       string
	Epoch    int64
	Received time.Time
	Source   string
	Media    string
	Size     int64
	Basis    string // version of the regular data that it changes

	commitment string
}

// Filter chooses items. Zero fields choose all.
type Filter struct {
	Placement catalogue.PlacementID
	States    []State
	Kind      Kind
	After     Number // numbers above
	Subject   string // keyed hash of the person, as [Journal.Subject] makes it
	Source    string // what the source begins with
	Since     time.Time
	Limit     int // 0 means 100
}

const itemQuery = `select s.number, s.placement, s.kind, s.state, s.result, s.reason, s.owner, s.deadline, s.batch, s.of_number,
	s.position, s.subject, s.amount, s.settled, i.id, i.epoch, i.received, i.source, i.media, i.size, i.basis, i.commitment
	from journal_standing s join journal_item i on i.number = s.number `

func scanItem(r *sql.Rows) (Item, error) {
	var it Item
	var deadline, received, settled int64
	err := r.Scan(&it.Number, &it.Placement, &it.Kind, &it.State, &it.Result, &it.Reason, &it.Owner, &deadline, &it.Batch, &it.Of,
		&it.Position, &it.Subject, &it.Amount, &settled, &it.ID, &it.Epoch, &received, &it.Source, &it.Media, &it.Size, &it.Basis, &it.commitment)
	it.Deadline, it.Received, it.Settled = db.Time(deadline), db.Time(received), db.Time(settled)
	return it, err
}

// Subject is how items name a person: by a hash that only this journal can make.
func (j *Journal) Subject(person string) string { return j.Index("person", person) }

// Items lists items by number.
func (j *Journal) Items(ctx context.Context, f Filter) ([]Item, error) {
	return j.ItemsIn(ctx, j.store, f)
}

// ItemsIn is Items in a transaction of the journal's store.
func (j *Journal) ItemsIn(ctx context.Context, q db.Querier, f Filter) ([]Item, error) {
	where, args := []string{"s.number > $1"}, []any{int64(f.After)}
	add := func(text string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(text, len(args)))
	}
	if f.Placement != "" {
		add("s.placement = $%d", string(f.Placement))
	}
	if f.Kind != "" {
		add("s.kind = $%d", string(f.Kind))
	}
	if len(f.States) > 0 {
		where = append(where, "s.state in ("+inList(len(args)+1, len(f.States))+")")
		for _, s := range f.States {
			args = append(args, string(s))
		}
	}
	if f.Subject != "" {
		add("s.subject = $%d", f.Subject)
	}
	if f.Source != "" {
		add(fmt.Sprintf("substr(i.source, 1, %d) = $%%d", len(f.Source)), f.Source)
	}
	if !f.Since.IsZero() {
		add("i.received >= $%d", db.Micro(f.Since))
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	args = append(args, limit)
	items, err := db.Collect(ctx, q, scanItem,
		itemQuery+"where "+strings.Join(where, " and ")+fmt.Sprintf(" order by s.number limit $%d", len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("listing items of Kasse %s: %w", j.kasse, err)
	}
	return items, nil
}

// Item returns one item.
func (j *Journal) Item(ctx context.Context, n Number) (Item, error) {
	items, err := db.Collect(ctx, j.store, scanItem, itemQuery+"where s.number = $1", int64(n))
	if err != nil {
		return Item{}, fmt.Errorf("reading item %s: %w", n.Label(j.kasse), err)
	}
	if len(items) == 0 {
		return Item{}, fmt.Errorf("item %s of Kasse %s: %w", n.Label(j.kasse), j.kasse, ErrNoItem)
	}
	return items[0], nil
}

// Body opens the content of an item. Reading for a person goes through
// [Journal.ReadBody], which puts it on record.
func (j *Journal) Body(ctx context.Context, it Item) ([]byte, error) {
	o, err := j.Opener(ctx)
	if err != nil {
		return nil, err
	}
	return j.body(ctx, j.store, o, it)
}

func (j *Journal) body(ctx context.Context, q db.Querier, o Opener, it Item) ([]byte, error) {
	var sealed []byte
	err := q.QueryRow(ctx, `select sealed from journal_body where number = $1`, int64(it.Number)).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("body of item %s: %w", it.Number.Label(j.kasse), ErrErased)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the body of item %s: %w", it.Number.Label(j.kasse), err)
	}
	return j.unseal(o, it.ID, it.commitment, sealed)
}

// ErrErased says that a body was deleted when its retention ended.
var ErrErased = errors.New("deleted after its retention")

// ReadBody opens the content of an item for a person and enters in the ledger
// who read it and why, before it is shown.
func (j *Journal) ReadBody(ctx context.Context, n Number, at time.Time, actor, reason string) (Item, []byte, error) {
	it, err := j.Item(ctx, n)
	if err != nil {
		return Item{}, nil, err
	}
	body, err := j.Body(ctx, it)
	if err != nil {
		return Item{}, nil, err
	}
	err = j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{At: at, Actor: actor, Kind: "item.read", Subject: n.Label(j.kasse), Reason: reason})
		return err
	})
	if err != nil {
		return Item{}, nil, fmt.Errorf("recording that item %s is read: %w", n.Label(j.kasse), err)
	}
	return it, body, nil
}

// SumSince adds up the amounts of a kind that came since an instant and were not rejected, in cents.
func (j *Journal) SumSince(ctx context.Context, q db.Querier, kind Kind, since time.Time) (int64, error) {
	var sum int64
	err := q.QueryRow(ctx, `select cast(coalesce(sum(s.amount), 0) as bigint) from journal_standing s join journal_item i on i.number = s.number
		where s.kind = $1 and i.received >= $2 and s.result <> $3`, string(kind), db.Micro(since), string(Rejected)).Scan(&sum)
	if err != nil {
		return 0, fmt.Errorf("adding up what Kasse %s took in: %w", j.kasse, err)
	}
	return sum, nil
}

// DueBefore counts held items of a kind that are due before an instant, or at it with a
// smaller number.
func (j *Journal) DueBefore(ctx context.Context, kind Kind, deadline time.Time, number Number) (int, error) {
	var n int
	err := j.store.QueryRow(ctx, `select count(*) from journal_standing
		where kind = $1 and state = $2 and (deadline < $3 or deadline = $3 and number < $4)`,
		string(kind), string(Held), db.Micro(deadline), int64(number)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting what waits at Kasse %s: %w", j.kasse, err)
	}
	return n, nil
}
