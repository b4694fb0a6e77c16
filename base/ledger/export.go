package ledger

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"leitstand/base/db"
)

// Export writes a ledger so that a third party can check it without this
// program: JSON lines, first {"ledger","public_key"}, then {"succession"} per
// change of that key, oldest first, then {"seq","body"} per
// entry with the exact text that was hashed, then {"head"} per signed head.
// docs/ledger.md says how to check it.
func Export(ctx context.Context, d *db.DB, public string, w io.Writer) error {
	return ExportFrom(ctx, d, d.Name(), public, w)
}

// ExportFrom is Export of one state of the store with this name.
func ExportFrom(ctx context.Context, q db.Querier, name, public string, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]string{"ledger": name, "public_key": CurrentKey(public)}); err != nil {
		return fmt.Errorf("exporting the ledger: %w", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(public), "\n")[1:] {
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, successionLine))
		if err == nil {
			err = enc.Encode(map[string]string{"succession": string(b)})
		}
		if err != nil {
			return fmt.Errorf("exporting the ledger: %w", err)
		}
	}
	rows, err := q.Query(ctx, `select seq, body from ledger_entry order by seq`)
	if err != nil {
		return fmt.Errorf("exporting the ledger: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	for rows.Next() {
		var line struct {
			Seq  int64  `json:"seq"`
			Body string `json:"body"`
		}
		if err := rows.Scan(&line.Seq, &line.Body); err != nil {
			return fmt.Errorf("exporting the ledger: %w", err)
		}
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("exporting the ledger: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("exporting the ledger: %w", err)
	}
	heads, err := storedHeads(ctx, q)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if err := enc.Encode(map[string]string{"head": h}); err != nil {
			return fmt.Errorf("exporting the ledger: %w", err)
		}
	}
	return nil
}
