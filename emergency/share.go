package emergency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/pure/seal"
)

// SharedItem is an item in a Kasse's share: what its ledger last says of it. No
// health data is in it.
type SharedItem struct {
	Number   Number          `json:"number"`
	Label    string          `json:"label"`
	Item     json.RawMessage `json:"item"`             // journal_item, as in the ledger
	Standing json.RawMessage `json:"standing"`         // journal_standing
	Erased   int64           `json:"erased,omitempty"` // microseconds UTC; 0 while its body is there
}

// SharedBody is what was accepted, opened. With the salt the commitment in the
// ledger proves that it is what was accepted.
type SharedBody struct {
	Number  Number `json:"number"`
	Media   string `json:"media"`
	Salt    []byte `json:"salt"`
	Content []byte `json:"content"`
}

// SharedNote is something small that was sealed beside the items: a remark or
// version of the regular system, a receipt, a letter.
type SharedNote struct {
	Name    string `json:"name"` // such as "note <item id>" or "receipt <batch>"
	Content []byte `json:"content"`
}

// NoteSource lists what a package keeps sealed in a Kasse's store beside the
// bodies: a query for the purpose it was sealed with, and the sealed bytes.
type NoteSource struct{ Query string }

func noteSources() []NoteSource {
	return []NoteSource{
		{`select 'note ' || i.id, n.sealed from journal_note n join journal_item i on i.number = n.number order by n.number, n.at`},
		{`select 'theirs ' || i.id, t.sealed from journal_theirs t join journal_item i on i.number = t.number order by t.number`},
		{`select 'receipt ' || id, receipt from journal_batch where length(receipt) > 0 order by id`},
	}
}

// ShareTo gets the parts of a share, one by one.
type ShareTo struct {
	Item func(SharedItem) error
	Body func(SharedBody) error
	Note func(SharedNote) error
}

// Share reads every item of a journal on one state of its store, opens every
// body that is there, and what services keep beside. It needs an unlock.
func (j *Journal) Share(ctx context.Context, q db.Querier, o Opener, to ShareTo) error {
	for after := int64(0); ; {
		const page = 200
		rows, err := sharedItems(ctx, q, after, page)
		if err != nil {
			return fmt.Errorf("reading items of Kasse %s: %w", j.kasse, err)
		}
		for _, r := range rows {
			after = int64(r.number)
			if err := j.share(ctx, q, o, r, to); err != nil {
				return err
			}
		}
		if len(rows) < page {
			break
		}
	}
	for _, s := range append(noteSources(), j.journals.config.Notes...) {
		if err := j.shareNotes(ctx, q, o, s, to.Note); err != nil {
			return err
		}
	}
	return nil
}

type sharedRow struct {
	number   Number
	standing Standing
	item     itemRow
	erased   int64
}

const sharedQuery = `select i.number, i.id, i.key_hash, i.content, i.epoch, i.received, i.source, i.media, i.size, i.commitment, i.sealed, i.basis,
	coalesce((select e.at from journal_erased e where e.number = i.number), 0)
	from journal_item i where i.number > $1 order by i.number limit $2`

func scanShared(r *sql.Rows) (s sharedRow, err error) {
	v := &s.item
	err = r.Scan(&s.number, &v.ID, &v.KeyHash, &v.Content, &v.Epoch, &v.Received, &v.Source, &v.Media, &v.Size, &v.Commitment, &v.Sealed, &v.Basis, &s.erased)
	return s, err
}

// sharedItems reads a page of items with their standings.
func sharedItems(ctx context.Context, q db.Querier, after int64, most int) ([]sharedRow, error) {
	rows, err := db.Collect(ctx, q, scanShared, sharedQuery, after, most)
	if err != nil {
		return nil, err
	}
	numbers := make([]Number, len(rows))
	for i, r := range rows {
		numbers[i] = r.number
	}
	standings, err := loadStandings(ctx, q, numbers)
	if err != nil {
		return nil, err
	}
	if len(standings) != len(rows) {
		return nil, fmt.Errorf("%d items have %d standings (run: leitstand ledger verify --state)", len(rows), len(standings))
	}
	for i := range rows {
		rows[i].standing = standings[i] // both by number
	}
	return rows, nil
}

func (j *Journal) share(ctx context.Context, q db.Querier, o Opener, r sharedRow, to ShareTo) error {
	n := r.standing.Number
	item, err := json.Marshal(r.item)
	if err != nil {
		return fmt.Errorf("encoding item %s: %w", n.Label(j.kasse), err)
	}
	standing, err := json.Marshal(r.standing.row().Value)
	if err != nil {
		return fmt.Errorf("encoding item %s: %w", n.Label(j.kasse), err)
	}
	if err := to.Item(SharedItem{Number: n, Label: n.Label(j.kasse), Item: item, Standing: standing, Erased: r.erased}); err != nil {
		return err
	}
	var sealed []byte
	err = q.QueryRow(ctx, `select sealed from journal_body where number = $1`, int64(n)).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // deleted, or gone: the check says which
	}
	if err != nil {
		return fmt.Errorf("reading the body of item %s: %w", n.Label(j.kasse), err)
	}
	salt, content, err := j.openEnvelope(o, r.item.ID, r.item.Commitment, sealed)
	if err != nil {
		return err
	}
	return to.Body(SharedBody{Number: n, Media: r.item.Media, Salt: salt[:], Content: content})
}

func (j *Journal) shareNotes(ctx context.Context, q db.Querier, o Opener, s NoteSource, to func(SharedNote) error) error {
	rows, err := q.Query(ctx, s.Query)
	if err != nil {
		return fmt.Errorf("reading what lies beside the items of Kasse %s: %w", j.kasse, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	for rows.Next() {
		var purpose string
		var sealed []byte
		if err := rows.Scan(&purpose, &sealed); err != nil {
			return fmt.Errorf("reading what lies beside the items of Kasse %s: %w", j.kasse, err)
		}
		plain, err := o.Open(sealed, j.aad(purpose))
		if err != nil {
			return fmt.Errorf("opening %q of Kasse %s: %w", purpose, j.kasse, err)
		}
		if err := to(SharedNote{Name: purpose, Content: plain}); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ShareCheck compares a share with the ledger that came with it: every item with
// what the ledger last said of it, every body with its commitment. It is fed in
// this order: Entry for the whole ledger, Item, Body; then Done.
type ShareCheck struct {
	kasse     catalogue.KasseID
	items     map[Number]*checkedItem
	erased    map[Number]int64
	problems  []ledger.Problem
	shared    int // items seen in the share
	bodies    int
	unchecked bool
}

type checkedItem struct {
	item, standing json.RawMessage
	shared, body   bool
}

// NewShareCheck begins the check of one Kasse's share.
func NewShareCheck(k catalogue.KasseID) *ShareCheck {
	return &ShareCheck{kasse: k, items: map[Number]*checkedItem{}, erased: map[Number]int64{}}
}

func (c *ShareCheck) add(n Number, kind, format string, args ...any) {
	c.problems = append(c.problems, ledger.Problem{From: 0, To: 0, Kind: kind, Text: "item " + n.Label(c.kasse) + " " + fmt.Sprintf(format, args...)})
}

func (c *ShareCheck) of(n Number) *checkedItem {
	it := c.items[n]
	if it == nil {
		it = &checkedItem{}
		c.items[n] = it
	}
	return it
}

// Entry takes the rows that one entry of the Kasse's ledger wrote.
func (c *ShareCheck) Entry(rec ledger.Record) error {
	for _, row := range rec.Rows {
		n, err := strconv.ParseInt(row.Key, 10, 64)
		if err != nil {
			continue // of a table with other keys
		}
		switch row.Table {
		case "journal_item":
			c.of(Number(n)).item = row.Value
		case "journal_standing":
			c.of(Number(n)).standing = row.Value
		case "journal_erased":
			var at int64
			if err := json.Unmarshal(row.Value, &at); err != nil {
				return fmt.Errorf("entry %d, row %s %s: %w", rec.Seq, row.Table, row.Key, err)
			}
			c.erased[Number(n)] = at
		}
	}
	return nil
}

// Item compares an item with the ledger.
func (c *ShareCheck) Item(it SharedItem) {
	have := c.items[it.Number]
	switch {
	case have == nil:
		c.add(it.Number, "item", "is in no entry of the ledger")
		return
	case have.shared:
		c.add(it.Number, "item", "is there twice")
		return
	case !sameJSON(have.item, it.Item):
		c.add(it.Number, "item", "is not what the ledger says: %s, the ledger says %s", it.Item, have.item)
	case !sameJSON(have.standing, it.Standing):
		c.add(it.Number, "item", "does not stand as the ledger says: %s, the ledger says %s", it.Standing, have.standing)
	case c.erased[it.Number] != it.Erased:
		c.add(it.Number, "item", "is not deleted when the ledger says")
	}
	have.shared = true
	c.shared++
}

// Body compares an opened body with the commitment in the ledger.
func (c *ShareCheck) Body(b SharedBody) {
	have := c.items[b.Number]
	var row itemRow
	if have == nil || json.Unmarshal(have.item, &row) != nil {
		c.add(b.Number, "body", "has a body and is in no entry of the ledger")
		return
	}
	commitment, err := seal.ParseCommitment(row.Commitment)
	var salt seal.Salt
	digest := sha256.Sum256(b.Content)
	if err != nil || copy(salt[:], b.Salt) != len(salt) || !commitment.Opens(digest[:], salt) {
		c.add(b.Number, "body", "has a body that is not what was accepted")
	}
	if c.erased[b.Number] != 0 {
		c.add(b.Number, "body", "has a body although the ledger says that it was deleted")
	}
	have.body = true
	c.bodies++
}

// Unchecked says that bodies could not be opened, so that missing ones are not told.
func (c *ShareCheck) Unchecked() { c.unchecked = true }

// ShareCounts is what a check saw.
type ShareCounts struct {
	Items  int `json:"items"`
	Bodies int `json:"bodies"`
	Erased int `json:"erased"`
	Open   int `json:"open"` // neither handed over nor rejected
}

// Done returns everything that is wrong, what is missing included.
func (c *ShareCheck) Done() (ShareCounts, []ledger.Problem) {
	out := ShareCounts{Items: c.shared, Bodies: c.bodies, Erased: len(c.erased)}
	for _, n := range slices.Sorted(maps.Keys(c.items)) {
		it := c.items[n]
		var s standingRow
		if json.Unmarshal(it.standing, &s) == nil && State(s.State).Open() {
			out.Open++
		}
		switch {
		case it.item == nil || it.standing == nil:
			c.add(n, "item", "is told of by half in the ledger")
		case !it.shared:
			c.add(n, "item", "is missing")
		case !it.body && c.erased[n] == 0 && !c.unchecked:
			c.add(n, "body", "has no body, and the ledger does not say that it was deleted")
		}
	}
	return out, c.problems
}

// sameJSON compares values, not how they are written.
func sameJSON(a, b json.RawMessage) bool {
	x, errA := ledger.Canonical(a)
	y, errB := ledger.Canonical(b)
	return errA == nil && errB == nil && string(x) == string(y)
}
