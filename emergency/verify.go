package emergency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strconv"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// Verify checks the whole journal on one state of the store: the ledger with its
// signed heads (outside are heads kept elsewhere), every row against the ledger,
// every sealed body against its item, batches with their receipts, remarks, public
// keys, and rule 3. It needs no unlock.
func (j *Journal) Verify(ctx context.Context, outside ...string) (ledger.Report, error) {
	var rep ledger.Report
	err := j.store.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		var err error
		if rep, err = ledger.Verify(ctx, q, j.key, outside...); err != nil {
			return err
		}
		keepers := append(Keepers(), j.journals.config.Keepers...)
		found, err := ledger.VerifyState(ctx, q, keepers...)
		if err != nil {
			return err
		}
		bodies, err := verifyBodies(ctx, q)
		if err != nil {
			return err
		}
		rep.Problems = append(append(rep.Problems, found...), bodies...)
		for _, check := range []func(context.Context, db.Querier) ([]ledger.Problem, error){verifyBatches, verifyNotes, verifyKeys} {
			found, err := check(ctx, q)
			if err != nil {
				return err
			}
			rep.Problems = append(rep.Problems, found...)
		}
		c, err := count(ctx, q, countQuery)
		if err != nil {
			return err
		}
		if err := c.Check(); err != nil {
			rep.Problems = append(rep.Problems, ledger.Problem{Kind: "books", Text: err.Error()})
		}
		return nil
	})
	if err != nil {
		return rep, fmt.Errorf("verifying the journal of Kasse %s: %w", j.kasse, err)
	}
	return rep, nil
}

// verifyBodies compares every envelope with the hash in its item. A body may be
// gone only when the journal says that it was erased.
func verifyBodies(ctx context.Context, q db.Querier) ([]ledger.Problem, error) {
	var problems []ledger.Problem
	_, err := db.Collect(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var n, erased int64
		var want string
		var sealed []byte
		if err := r.Scan(&n, &want, &sealed, &erased); err != nil {
			return struct{}{}, err
		}
		sum := sha256.Sum256(sealed)
		switch {
		case sealed == nil && erased == 0:
			problems = append(problems, bodyProblem(n, "is missing"))
		case sealed != nil && hex.EncodeToString(sum[:]) != want:
			problems = append(problems, bodyProblem(n, "was altered"))
		}
		return struct{}{}, nil
	}, `select i.number, i.sealed, b.sealed, (select count(*) from journal_erased e where e.number = i.number)
		from journal_item i left join journal_body b on b.number = i.number order by i.number`)
	if err != nil {
		return nil, fmt.Errorf("reading bodies: %w", err)
	}
	return problems, nil
}

func bodyProblem(n int64, what string) ledger.Problem {
	return ledger.Problem{Kind: "body", Text: "body of item " + strconv.FormatInt(n, 10) + " " + what}
}
