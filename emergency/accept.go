package emergency

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// Draft is an item as an emergency service hands it in.
type Draft struct {
	// Key makes accepting idempotent: it names the same item for ever. It may
	// hold identifiers; the journal keeps only a keyed hash of it.
	Key      string
	Kind     Kind
	Source   string // where it came from, such as "pop3:eau@…"; nothing that names a person
	Received time.Time
	Media    string // media type of Body
	Body     []byte
	Person   string // number of the insured person, "" if unknown; kept as a keyed hash
	Amount   int64  // in cents, for payments
	Basis    string // version of the regular data that it changes, as the service read it; names no person
	Unread   bool   // somebody will read it and say what it is
	Hold     *Hold  // hold it from the start
}

// Hold says why an item waits for a person, for whom, and until when.
type Hold struct {
	Reason   string
	Owner    string
	Deadline time.Time
}

// Accepted is what the sender may be told.
type Accepted struct {
	Number Number
	ID     string // for life; the receiver of the handover keeps it too
	Known  bool   // the key was there already, with the same content
}

// ErrKeyReused says that a key came back with another content.
var ErrKeyReused = errors.New("the same key was used for another content")

// Sealed is a draft ready for the transaction: sealing takes too long to do it
// where all writers wait.
type Sealed struct {
	item     itemRow
	standing Standing
	envelope []byte
}

// Seal prepares a draft. It needs no secret and writes nothing.
func (j *Journal) Seal(d Draft) (Sealed, error) {
	if d.Key == "" || d.Kind == "" || d.Received.IsZero() {
		return Sealed{}, fmt.Errorf("accepting an item of kind %q: key, kind and time are needed", d.Kind)
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails, see crypto/rand
	digest := sha256.Sum256(d.Body)
	s := Sealed{item: itemRow{
		ID: hex.EncodeToString(id), KeyHash: j.Index("key", d.Key), Content: j.Index("content", string(digest[:])),
		Received: db.Micro(d.Received), Source: d.Source, Media: d.Media, Size: int64(len(d.Body)), Basis: d.Basis,
	}}
	var err error
	if s.envelope, s.item.Commitment, err = j.envelope(s.item.ID, d.Body); err != nil {
		return Sealed{}, fmt.Errorf("sealing an item for Kasse %s: %w", j.kasse, err)
	}
	sum := sha256.Sum256(s.envelope)
	s.item.Sealed = hex.EncodeToString(sum[:])
	s.standing, err = firstStanding(d)
	if d.Person != "" {
		s.standing.Subject = j.Index("person", d.Person)
	}
	return s, err
}

// Held is the draft held for another reason than it was sealed with: what is seen only in
// the transaction.
func (s Sealed) Held(h Hold) (Sealed, error) {
	var err error
	s.standing, err = s.standing.Hold(s.standing.Kind, s.standing.Subject, h.Reason, h.Owner, h.Deadline)
	return s, err
}

func firstStanding(d Draft) (Standing, error) {
	s := Standing{Kind: d.Kind, State: Unread, Amount: d.Amount}
	switch {
	case d.Unread:
		return s, nil
	case d.Hold != nil:
		return s.Hold(d.Kind, "", d.Hold.Reason, d.Hold.Owner, d.Hold.Deadline)
	}
	return s.Ready(d.Kind, "")
}

// Accept stores items durably, in one commit with others that wait, and returns
// what to tell the sender, in the order of drafts. It refuses all of them when
// the book is not open, the epoch is not the current one (ErrNotOpen, ErrEpoch)
// or a key was used for another content (ErrKeyReused).
func (j *Journal) Accept(ctx context.Context, p catalogue.PlacementID, epoch int64, at time.Time, actor string, drafts ...Draft) ([]Accepted, error) {
	j.together.enter()
	defer j.together.leave()
	sealed := make([]Sealed, 0, len(drafts))
	for _, d := range drafts {
		s, err := j.Seal(d)
		if err != nil {
			return nil, err
		}
		sealed = append(sealed, s)
	}
	var out []Accepted
	err := j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		out, err = j.AcceptTx(ctx, tx, p, epoch, at, actor, sealed)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// AcceptTx is Accept in a transaction of the journal's store, with prepared
// drafts. It makes one ledger entry, none when all items were known.
func (j *Journal) AcceptTx(ctx context.Context, tx *db.Tx, p catalogue.PlacementID, epoch int64, at time.Time, actor string, drafts []Sealed) ([]Accepted, error) {
	book, err := readBook(ctx, tx, p)
	if err != nil {
		return nil, err
	}
	if err := book.admits(epoch); err != nil {
		return nil, err
	}
	known, err := knownKeys(ctx, tx, drafts)
	if err != nil {
		return nil, err
	}
	w, err := newWrite(ctx, tx)
	if err != nil {
		return nil, err
	}
	out := make([]Accepted, len(drafts))
	for i, d := range drafts {
		if k, ok := known[d.item.KeyHash]; ok {
			if k.content != d.item.Content {
				return nil, fmt.Errorf("item %s: %w", k.number.Label(j.kasse), ErrKeyReused)
			}
			out[i] = Accepted{Number: k.number, ID: k.id, Known: true}
			continue
		}
		d.item.Epoch, d.standing.Placement = epoch, p
		n := w.add(d)
		out[i] = Accepted{Number: n, ID: d.item.ID}
		known[d.item.KeyHash] = knownItem{number: n, id: d.item.ID, content: d.item.Content}
	}
	if len(w.rows) == 0 {
		return out, nil
	}
	return out, w.flush(ctx, tx, at, actor, string(p))
}

type knownItem struct {
	number  Number
	id      string
	content string
}

func knownKeys(ctx context.Context, q db.Querier, drafts []Sealed) (map[string]knownItem, error) {
	known := map[string]knownItem{}
	err := chunks(drafts, func(part []Sealed) error {
		args := make([]any, len(part))
		for i, d := range part {
			args[i] = d.item.KeyHash
		}
		_, err := db.Collect(ctx, q, func(r *sql.Rows) (struct{}, error) {
			var key string
			var k knownItem
			err := r.Scan(&key, &k.number, &k.id, &k.content)
			known[key] = k
			return struct{}{}, err
		}, `select key_hash, number, id, content from journal_item where key_hash in (`+inList(1, len(part))+`)`, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for known items: %w", err)
	}
	return known, nil
}

// Known looks whether an item was accepted under the draft's key, open or not as the
// book may be now. The same key with another content is ErrKeyReused.
func (j *Journal) Known(ctx context.Context, d Draft) (a Accepted, known bool, err error) {
	digest := sha256.Sum256(d.Body)
	s := Sealed{item: itemRow{KeyHash: j.Index("key", d.Key), Content: j.Index("content", string(digest[:]))}}
	found, err := knownKeys(ctx, j.store, []Sealed{s})
	if err != nil {
		return a, false, err
	}
	k, known := found[s.item.KeyHash]
	if known && k.content != s.item.Content {
		return a, true, fmt.Errorf("item %s: %w", k.number.Label(j.kasse), ErrKeyReused)
	}
	return Accepted{Number: k.number, ID: k.id, Known: known}, known, nil
}

// write collects the rows of one acceptance.
type write struct {
	number    int64
	position  int64
	items     [][]any
	bodies    [][]any
	standings []Standing
	rows      []ledger.Row
}

func newWrite(ctx context.Context, tx *db.Tx) (*write, error) {
	w := &write{}
	err := tx.QueryRow(ctx, `select coalesce(max(number), 0) from journal_item`).Scan(&w.number)
	if err == nil {
		w.position, err = lastPosition(ctx, tx)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal's last number: %w", err)
	}
	return w, nil
}

func lastPosition(ctx context.Context, q db.Querier) (int64, error) {
	var n int64
	err := q.QueryRow(ctx, `select coalesce(max(position), 0) from journal_standing`).Scan(&n)
	return n, err
}

func (w *write) add(d Sealed) Number {
	w.number++
	n, v, s := w.number, d.item, d.standing
	s.Number = Number(n)
	if s.State != Unread {
		w.position++
		s.Position = w.position
	}
	w.items = append(w.items, []any{n, v.ID, v.KeyHash, v.Content, v.Epoch, v.Received, v.Source, v.Media, v.Size, v.Commitment, v.Sealed, v.Basis})
	w.bodies = append(w.bodies, []any{n, d.envelope})
	w.standings = append(w.standings, s)
	w.rows = append(w.rows, v.row(n), s.row())
	return s.Number
}

func (w *write) flush(ctx context.Context, tx *db.Tx, at time.Time, actor, subject string) error {
	return w.flushAs(ctx, tx, ledger.Entry{
		At: at, Actor: actor, Kind: "item.accepted", Subject: subject,
		Data: map[string]int{"items": len(w.items)}, Rows: w.rows,
	})
}

func (w *write) flushAs(ctx context.Context, tx *db.Tx, e ledger.Entry) error {
	if err := insertMany(ctx, tx, `insert into journal_item
		(number, id, key_hash, content, epoch, received, source, media, size, commitment, sealed, basis)`, w.items, ""); err != nil {
		return fmt.Errorf("storing items: %w", err)
	}
	if err := insertMany(ctx, tx, `insert into journal_body (number, sealed)`, w.bodies, ""); err != nil {
		return fmt.Errorf("storing bodies: %w", err)
	}
	if err := putStandings(ctx, tx, w.standings); err != nil {
		return fmt.Errorf("storing the state of items: %w", err)
	}
	_, err := ledger.Append(ctx, tx, e)
	return err
}
