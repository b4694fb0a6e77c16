package ledger

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"leitstand/base/db"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof says that an entry is not in the ledger that a head was signed over.
var ErrProof = errors.New("the proof does not lead to the signed head")

// Prove gives the inclusion proof (RFC 6962 §2.1.1) of an entry in the ledger
// under a head of that size: hashes in base64, from the leaf up. It trusts the
// stored hashes; [Verify] does not.
func Prove(ctx context.Context, q db.Querier, size, seq int64) ([]string, error) {
	p, err := tlog.ProveRecord(size, seq-1, stored(ctx, q))
	if err != nil {
		return nil, fmt.Errorf("proving ledger entry %d: %w", seq, err)
	}
	out := make([]string, len(p))
	for i, h := range p {
		out[i] = h.String()
	}
	return out, nil
}

// Leaf is the hash of an entry's body, in base64: all that has to be known of an
// entry to prove that it is there.
func Leaf(body string) string { return tlog.RecordHash([]byte(body)).String() }

// Includes checks that an entry with this leaf stands at number seq under the head.
func (h Head) Includes(seq int64, leaf string, proof []string) error {
	hash, err := tlog.ParseHash(leaf)
	if err != nil {
		return fmt.Errorf("entry %d: %w: its hash is none (%w)", seq, ErrProof, err)
	}
	path := make(tlog.RecordProof, len(proof))
	for i, text := range proof {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(b) != tlog.HashSize {
			return fmt.Errorf("entry %d: %w: part %d is no hash", seq, ErrProof, i+1)
		}
		copy(path[i][:], b)
	}
	if err := tlog.CheckRecord(path, h.Size, h.Root, seq-1, hash); err != nil {
		return fmt.Errorf("entry %d: %w (%w)", seq, ErrProof, err)
	}
	return nil
}
