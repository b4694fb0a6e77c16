package ledger

import (
	"context"
	"fmt"

	"leitstand/base/db"

	"golang.org/x/mod/sumdb/tlog"
)

// Common is how many entries two ledgers have in common from the first on. What
// one of them has beyond is what it took down alone. Both must verify: this
// trusts the stored hashes.
func Common(ctx context.Context, a, b db.Querier) (int64, error) {
	inA, err := entries(ctx, a)
	if err != nil {
		return 0, err
	}
	inB, err := entries(ctx, b)
	if err != nil {
		return 0, err
	}
	same, differ := int64(0), min(inA, inB)+1 // the root over same entries agrees, over differ it does not
	for differ-same > 1 {
		size := same + (differ-same)/2
		rootA, err := tlog.TreeHash(size, stored(ctx, a))
		if err != nil {
			return 0, fmt.Errorf("comparing ledgers: %w", err)
		}
		rootB, err := tlog.TreeHash(size, stored(ctx, b))
		if err != nil {
			return 0, fmt.Errorf("comparing ledgers: %w", err)
		}
		if rootA == rootB {
			same = size
		} else {
			differ = size
		}
	}
	return same, nil
}
