package emergency

import (
	"context"
	"database/sql"
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
