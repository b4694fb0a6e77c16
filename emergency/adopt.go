package emergency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Foreign is an item of another copy of this journal: a machine that went on
// alone after it was taken over has accepted it, and this journal has not.
type Foreign struct {
	Number Number // over there; here it gets another
	Kind   Kind
	State  State // over there
	ID     string
	Known  bool // the same key with the same content came here too

	item     itemRow
	standing Standing
}

// Alone lists what another copy of this journal has accepted and this one has
// not, by its numbers. It opens nothing.
func (j *Journal) Alone(ctx context.Context, other db.Querier) ([]Foreign, error) {
	type mine struct{ id, key, content string }
	ids, keys := map[string]bool{}, map[string]string{}
	_, err := db.Collect(ctx, j.store, func(r *sql.Rows) (m mine, err error) {
		err = r.Scan(&m.id, &m.key, &m.content)
		ids[m.id], keys[m.key] = true, m.content
		return m, err
	}, `select id, key_hash, content from journal_item`)
	if err != nil {
		return nil, fmt.Errorf("reading the items of Kasse %s: %w", j.kasse, err)
	}
	var out []Foreign
	_, err = db.Collect(ctx, other, func(r *sql.Rows) (struct{}, error) {
		var f Foreign
		var deadline int64
		v, s := &f.item, &f.standing
		err := r.Scan(&f.Number, &v.ID, &v.KeyHash, &v.Content, &v.Epoch, &v.Received, &v.Source, &v.Media, &v.Size, &v.Commitment, &v.Sealed,
			&s.Placement, &s.Kind, &s.State, &s.Reason, &s.Owner, &deadline, &s.Subject, &s.Amount)
		s.Deadline = db.Time(deadline)
		f.ID, f.Kind, f.State = v.ID, s.Kind, s.State
		content, known := keys[v.KeyHash]
		f.Known = known && content == v.Content
		if !ids[f.ID] {
			out = append(out, f)
		}
		return struct{}{}, err
	}, `select i.number, i.id, i.key_hash, i.content, i.epoch, i.received, i.source, i.media, i.size, i.commitment, i.sealed,
		s.placement, s.kind, s.state, s.reason, s.owner, s.deadline, s.subject, s.amount
		from journal_item i join journal_standing s on s.number = i.number order by i.number`)
	if err != nil {
		return nil, fmt.Errorf("reading the items of the other copy of Kasse %s: %w", j.kasse, err)
	}
	return out, nil
}

// Adoption says how foreign items come into a journal.
type Adoption struct {
	At       time.Time
	Actor    string
	Reason   string
	Owner    string    // of items that a person must look at
	Deadline time.Time // for that
	// Also takes over what services keep beside the items: numbers here by
	// numbers there. It returns its rows for the ledger, and whether the item
	// is to be read again by its service.
	Also func(ctx context.Context, tx *db.Tx, numbers map[Number]Number) ([]ledger.Row, map[Number]bool, error)
}

// Adopted is what came of it.
type Adopted struct {
	Items     int               `json:"items"`
	Known     int               `json:"known"`     // accepted on both sides with the same content: once is enough
	Conflicts int               `json:"conflicts"` // the same key with another content: held, nothing overwritten
	Numbers   map[string]string `json:"numbers"`   // label there: label here
}

// Adopt takes foreign items into this journal: sealed as they are, with their id
// for life and a new number, in one transaction with one entry. Repeating it
// changes nothing. What may have been handed over already over there is handed
// over again: the receiver knows its id. ErrNotOpen when a placement's book takes nothing.
func (j *Journal) Adopt(ctx context.Context, other db.Querier, a Adoption, items []Foreign) (Adopted, error) {
	var out Adopted
	err := j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		out = Adopted{Numbers: map[string]string{}}
		w, err := newWrite(ctx, tx)
		if err != nil {
			return err
		}
		numbers := map[Number]Number{}
		for _, f := range items {
			n, err := j.adopt(ctx, tx, other, w, a, f, &out)
			if err != nil {
				return fmt.Errorf("item %s of the other copy: %w", f.Number.Label(j.kasse), err)
			}
			if n > 0 {
				numbers[f.Number] = n
				out.Numbers[f.Number.Label(j.kasse)] = n.Label(j.kasse)
			}
		}
		if len(numbers) == 0 {
			return nil
		}
		return j.finishAdoption(ctx, tx, w, a, numbers, &out)
	})
	if err != nil {
		return Adopted{}, err
	}
	return out, nil
}

func (j *Journal) finishAdoption(ctx context.Context, tx *db.Tx, w *write, a Adoption, numbers map[Number]Number, out *Adopted) error {
	var rows []ledger.Row
	if a.Also != nil {
		found, again, err := a.Also(ctx, tx, numbers)
		if err != nil {
			return err
		}
		rows = found
		for i, s := range w.standings {
			if again[s.Number] && s.State != Held {
				w.standings[i] = Standing{Number: s.Number, Placement: s.Placement, Kind: KindMail, State: Unread}
			}
		}
	}
	for i, s := range w.standings {
		w.rows[2*i+1] = s.row() // add put the item's row before it
	}
	w.rows = append(w.rows, rows...)
	out.Items = len(w.items)
	return w.flushAs(ctx, tx, ledger.Entry{
		At: a.At, Actor: a.Actor, Kind: "item.adopted", Subject: string(j.kasse), Reason: a.Reason, Data: out, Rows: w.rows,
	})
}

// adopt puts one item into the write; 0 when there is nothing to do.
func (j *Journal) adopt(ctx context.Context, tx *db.Tx, other db.Querier, w *write, a Adoption, f Foreign, out *Adopted) (Number, error) {
	book, err := readBook(ctx, tx, f.standing.Placement)
	if err != nil {
		return 0, err
	}
	if book.State != BookOpen && book.State != BookDraining {
		return 0, book.refused("adopting into", book.Epoch, ErrNotOpen)
	}
	var have int64
	if err := tx.QueryRow(ctx, `select count(*) from journal_item where id = $1`, f.ID).Scan(&have); err != nil || have > 0 {
		return 0, err
	}
	known, err := knownKeys(ctx, tx, []Sealed{{item: f.item}})
	if err != nil {
		return 0, err
	}
	d := Sealed{item: f.item, standing: adoptedStanding(f, a)}
	if k, ok := known[f.item.KeyHash]; ok {
		if k.content == f.item.Content {
			out.Known++
			return 0, nil
		}
		out.Conflicts++
		sum := sha256.Sum256([]byte("adopted\x00" + f.ID))
		d.item.KeyHash = hex.EncodeToString(sum[:16])
		d.standing = heldStanding(d.standing, a, "derselbe Schlüssel kam hier mit anderem Inhalt ("+k.number.Label(j.kasse)+")")
	}
	err = other.QueryRow(ctx, `select sealed from journal_body where number = $1`, int64(f.Number)).Scan(&d.envelope)
	if err != nil {
		return 0, fmt.Errorf("reading its body: %w", err)
	}
	if sum := sha256.Sum256(d.envelope); hex.EncodeToString(sum[:]) != f.item.Sealed {
		return 0, fmt.Errorf("its body was altered")
	}
	d.item.Epoch = book.Epoch
	return w.add(d), nil
}

// adoptedStanding is where an adopted item begins.
func adoptedStanding(f Foreign, a Adoption) Standing {
	s := Standing{Placement: f.standing.Placement, Kind: f.Kind, State: Pending, Subject: f.standing.Subject, Amount: f.standing.Amount}
	switch f.State {
	case Pending, Sent, Receipted, Applied, Known:
		return s
	case Held:
		s.State, s.Reason, s.Owner, s.Deadline = Held, f.standing.Reason, f.standing.Owner, f.standing.Deadline
		return s
	case Unread, Duplicate, Rejected, Reconciled:
	}
	return heldStanding(s, a, "auf dem anderen Rechner "+string(f.State))
}

func heldStanding(s Standing, a Adoption, why string) Standing {
	s.State, s.Reason, s.Owner, s.Deadline = Held, "Nach einer Übernahme zusammengeführt: "+why, a.Owner, db.Trim(a.Deadline)
	return s
}
