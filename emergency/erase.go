package emergency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Erase deletes the bodies of items that both sides have reconciled, and of their
// duplicates, received before a day. What stays is the record that they existed:
// number, times, states, commitment. The ledger proves the deletion; Verify
// reports any other body that is gone. It returns how many it deleted.
func (j *Journal) Erase(ctx context.Context, before, at time.Time, actor, reason string) (int, error) {
	const perStep = 500
	total := 0
	for {
		n := 0
		err := j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			numbers, err := db.Collect(ctx, tx, func(r *sql.Rows) (int64, error) {
				var n int64
				err := r.Scan(&n)
				return n, err
			}, `select b.number from journal_body b
				join journal_item i on i.number = b.number
				join journal_standing s on s.number = b.number
				left join journal_standing o on o.number = s.of_number
				where i.received < $1 and (s.state = 'reconciled' or s.state = 'duplicate' and o.state = 'reconciled')
				order by b.number limit $2`, db.Micro(before), perStep)
			if err != nil || len(numbers) == 0 {
				return err
			}
			n = len(numbers)
			return eraseTx(ctx, tx, numbers, ledger.Entry{At: at, Actor: actor, Kind: "item.erased", Reason: reason})
		})
		if err != nil {
			return total, fmt.Errorf("erasing items of Kasse %s: %w", j.kasse, err)
		}
		if total += n; n < perStep {
			return total, nil
		}
	}
}

func eraseTx(ctx context.Context, tx *db.Tx, numbers []int64, e ledger.Entry) error {
	args := make([]any, len(numbers))
	rows := make([][]any, len(numbers))
	for i, n := range numbers {
		args[i], rows[i] = n, []any{n, db.Micro(e.At)}
		e.Rows = append(e.Rows, erasedRow(n, db.Micro(e.At)))
	}
	for _, table := range []string{"journal_body", "journal_note", "journal_theirs"} {
		if _, err := tx.Exec(ctx, `delete from `+table+` where number in (`+inList(1, len(numbers))+`)`, args...); err != nil {
			return err
		}
	}
	if err := insertMany(ctx, tx, `insert into journal_erased (number, at)`, rows, ""); err != nil {
		return err
	}
	_, err := ledger.Append(ctx, tx, e)
	return err
}

// ErrNotReconciled says that something of a journal still has to be handed over
// or compared: nothing of it is deleted as a whole.
var ErrNotReconciled = errors.New("not everything is reconciled with the regular system")

// Reconciled says whether a journal is done with: every book closed, every item
// reconciled or the duplicate of one that is.
func (j *Journal) Reconciled(ctx context.Context) error {
	books, err := j.Books(ctx)
	if err != nil {
		return fmt.Errorf("reading the books of Kasse %s: %w", j.kasse, err)
	}
	for _, b := range books {
		if b.State != BookClosed {
			return fmt.Errorf("the book of %s is %s: %w", b.Placement, b.State, ErrNotReconciled)
		}
	}
	var left int64
	if err := j.store.QueryRow(ctx, `select count(*) from journal_standing s left join journal_standing o on o.number = s.of_number
		where not (s.state = 'reconciled' or s.state = 'duplicate' and coalesce(o.state, '') = 'reconciled')`).Scan(&left); err != nil {
		return fmt.Errorf("counting what Kasse %s has not reconciled: %w", j.kasse, err)
	}
	if left > 0 {
		return fmt.Errorf("%d items of Kasse %s: %w", left, j.kasse, ErrNotReconciled)
	}
	return nil
}

// Erased counts the items whose bodies were deleted, ever.
func (j *Journal) Erased(ctx context.Context) (n int, err error) {
	if err := j.store.QueryRow(ctx, `select count(*) from journal_erased`).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting what Kasse %s has deleted: %w", j.kasse, err)
	}
	return n, nil
}

// EraseRest deletes what was kept about handing over: receipts, which name what
// became of each item, and a question that is on its way. The ledger keeps their hashes.
func (j *Journal) EraseRest(ctx context.Context, at time.Time, actor, reason string) (receipts int64, err error) {
	err = j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		if receipts, err = tx.Exec(ctx, `update journal_batch set receipt = $1 where length(receipt) > 0`, []byte{}); err != nil {
			return err
		}
		asked, err := tx.Exec(ctx, `delete from journal_asked`)
		if err != nil || receipts+asked == 0 {
			return err
		}
		_, err = ledger.Append(ctx, tx, ledger.Entry{
			At: at, Actor: actor, Kind: "receipts.erased", Subject: string(j.kasse), Reason: reason, Data: map[string]int64{"receipts": receipts},
		})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("erasing the receipts of Kasse %s: %w", j.kasse, err)
	}
	return receipts, nil
}

// DestroyKeys gives the journal a new key pair and destroys the private keys before
// it: what was sealed to them is erased in this store, wherever its bytes still lie.
// Nothing that has to be read again may be sealed to them. It gives the ids of the
// keys that are gone. ErrLocked while nobody has unlocked the room.
func (j *Journal) DestroyKeys(ctx context.Context, at time.Time, actor, reason string) ([]string, error) {
	if _, err := j.Rotate(ctx, at, actor, reason); err != nil {
		return nil, err
	}
	var ids []string
	err := j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if ids, err = db.Collect(ctx, tx, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
			`select id from journal_key where seq < (select max(seq) from journal_key) order by seq`); err != nil || len(ids) == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from journal_key where seq < (select max(seq) from journal_key)`); err != nil {
			return err
		}
		_, err = ledger.Append(ctx, tx, ledger.Entry{
			At: at, Actor: actor, Kind: "journal.keys_destroyed", Subject: string(j.kasse), Reason: reason, Data: map[string]any{"keys": ids},
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("destroying the keys of Kasse %s: %w", j.kasse, err)
	}
	j.journals.mu.Lock()
	defer j.journals.mu.Unlock()
	j.ring = nil
	return ids, nil
}
