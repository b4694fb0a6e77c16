package emergency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/pure/seal"
)

// Journal is what one Kasse accepted. All methods may be called from several
// goroutines; writes take turns and share commits.
type Journal struct {
	journals *Journals
	kasse    catalogue.KasseID
	store    *db.DB
	public   atomic.Pointer[seal.PublicKey] // newest: what bodies are sealed to
	together together
	index    []byte
	key      string // public half of the ledger key

	ring *seal.Ring // guarded by journals.mu; nil while locked
}

// Kasse is whose journal it is.
func (j *Journal) Kasse() catalogue.KasseID { return j.kasse }

// Store gives emergency services the store for their own rows beside the journal.
func (j *Journal) Store() *db.DB { return j.store }

// Head is the newest signed head of the journal's ledger, which the room enters
// in its own ledger; ok is false while the journal is empty.
func (j *Journal) Head(ctx context.Context) (head ledger.Head, ok bool, err error) {
	return ledger.Newest(ctx, j.store, j.key)
}

// Opener opens the bodies of this journal; ErrLocked while nobody has unlocked the room.
func (j *Journal) Opener(ctx context.Context) (Opener, error) {
	ring, err := j.keys(ctx)
	if err != nil {
		return nil, err
	}
	return ring, nil
}

func (j *Journal) keys(ctx context.Context) (*seal.Ring, error) {
	j.journals.mu.Lock()
	defer j.journals.mu.Unlock()
	if j.journals.master == nil {
		return nil, ErrLocked
	}
	if j.ring == nil {
		ring, err := j.openWith(ctx, j.journals.master)
		if err != nil {
			return nil, err
		}
		j.ring = ring
	}
	return j.ring, nil
}

// Book returns the state of a placement's book; one that was never opened is BookNew.
func (j *Journal) Book(ctx context.Context, p catalogue.PlacementID) (Book, error) {
	return readBook(ctx, j.store, p)
}

// Books lists all books, by placement.
func (j *Journal) Books(ctx context.Context) ([]Book, error) {
	return db.Collect(ctx, j.store, scanBook, bookQuery)
}

const bookQuery = `select placement, state, epoch from journal_book order by placement`

func scanBook(r *sql.Rows) (Book, error) {
	var b Book
	err := r.Scan(&b.Placement, &b.State, &b.Epoch)
	return b, err
}

// OpenBook makes the journal take items of a placement under an epoch. A lower
// epoch than any before is refused; repeating the call changes nothing.
func (j *Journal) OpenBook(ctx context.Context, p catalogue.PlacementID, epoch int64, at time.Time, actor string) error {
	return j.changeBook(ctx, p, at, actor, "journal.opened", func(_ context.Context, _ *db.Tx, b Book) (Book, error) {
		return b.open(epoch)
	})
}

// DrainBook stops acceptance: what is there is handed over, nothing comes in.
func (j *Journal) DrainBook(ctx context.Context, p catalogue.PlacementID, epoch int64, at time.Time, actor string) error {
	return j.changeBook(ctx, p, at, actor, "journal.draining", func(_ context.Context, _ *db.Tx, b Book) (Book, error) {
		return b.drain(epoch)
	})
}

// CloseBook ends the emergency path's right to write. ErrNotEmpty while items
// are open. Repeating the call changes nothing.
func (j *Journal) CloseBook(ctx context.Context, p catalogue.PlacementID, epoch int64, at time.Time, actor string) error {
	return j.changeBook(ctx, p, at, actor, "journal.closed", func(ctx context.Context, tx *db.Tx, b Book) (Book, error) {
		c, err := countPlacement(ctx, tx, p)
		if err != nil {
			return b, err
		}
		return b.close(epoch, c.Open)
	})
}

func (j *Journal) changeBook(ctx context.Context, p catalogue.PlacementID, at time.Time, actor, kind string,
	apply func(context.Context, *db.Tx, Book) (Book, error),
) error {
	if k, _, _, ok := p.Split(); !ok || k != j.kasse {
		return fmt.Errorf("placement %q is not one of Kasse %s", p, j.kasse)
	}
	return j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		b, err := readBook(ctx, tx, p)
		if err != nil {
			return err
		}
		next, err := apply(ctx, tx, b)
		if err != nil || next == b {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into journal_book (placement, state, epoch) values ($1, $2, $3)
			on conflict (placement) do update set state = excluded.state, epoch = excluded.epoch`,
			string(next.Placement), string(next.State), next.Epoch); err != nil {
			return fmt.Errorf("writing the book of %s: %w", p, err)
		}
		_, err = ledger.Append(ctx, tx, ledger.Entry{
			At: at, Actor: actor, Kind: kind, Subject: string(p), Rows: []ledger.Row{next.row()},
		})
		return err
	})
}

func readBook(ctx context.Context, q db.Querier, p catalogue.PlacementID) (Book, error) {
	b := Book{Placement: p}
	err := q.QueryRow(ctx, `select state, epoch from journal_book where placement = $1`, string(p)).Scan(&b.State, &b.Epoch)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return b, fmt.Errorf("reading the book of %s: %w", p, err)
	}
	return b, nil
}

// Write runs fn in a transaction of the journal's store, for services that
// change their rows together with the journal's ([Journal.AcceptTx], [Journal.ChangeTx]).
func (j *Journal) Write(ctx context.Context, fn func(ctx context.Context, tx *db.Tx) error) error {
	return j.store.Write(ctx, fn)
}
