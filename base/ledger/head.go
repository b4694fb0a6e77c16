package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"leitstand/base/db"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Key signs the heads of one room's ledgers. It lies in the data directory,
// readable by its owner only; the public half is printed with every head.
type Key struct {
	secret string
	Public string // note verifier key: name+hash+base64; after changes of the key with their successions
}

// NewKey makes a key with a name such as "leitstand/room-3f9a".
func NewKey(name string) (Key, error) {
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return Key{}, fmt.Errorf("making a ledger key: %w", err)
	}
	return Key{secret: secret, Public: public}, nil
}

const (
	secretFile = "ledger.key"
	publicFile = "ledger.pub"
)

// LoadKey reads the key of a data directory, or makes one in a new directory.
func LoadKey(dir string) (Key, error) {
	if err := finishSuccession(dir); err != nil {
		return Key{}, err
	}
	secret, err := os.ReadFile(filepath.Join(dir, secretFile))
	if errors.Is(err, os.ErrNotExist) {
		return createKey(dir)
	}
	if err != nil {
		return Key{}, fmt.Errorf("reading the ledger key: %w", err)
	}
	public, err := LoadPublic(dir)
	if err != nil {
		return Key{}, err
	}
	return Key{secret: strings.TrimSpace(string(secret)), Public: public}, nil
}

// LoadPublic reads only the public half, which is all that verifying needs.
func LoadPublic(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, publicFile))
	if err != nil {
		return "", fmt.Errorf("reading the ledger's public key: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func createKey(dir string) (Key, error) {
	if stores, _ := filepath.Glob(filepath.Join(dir, "*.db")); len(stores) > 0 {
		return Key{}, fmt.Errorf("%s is missing in %q although stores exist: restore it from the backup or the escrow, a new key would break the ledger", secretFile, dir)
	}
	k, err := NewKey("leitstand-" + strings.ToLower(rand.Text()[:8]))
	if err != nil {
		return Key{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, publicFile), []byte(k.Public+"\n"), 0o600); err != nil {
		return Key{}, fmt.Errorf("writing the ledger's public key: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, secretFile), []byte(k.secret+"\n"), 0o600); err != nil {
		return Key{}, fmt.Errorf("writing the ledger key: %w", err)
	}
	return k, nil
}

// headSigner signs the heads of one store.
type headSigner struct {
	signer note.Signer
	origin string
}

// Attach makes a store sign its heads: from then on every commit that holds new
// entries holds a signed head over them as well. Call it once, before the first write.
func Attach(d *db.DB, k Key) error {
	signer, err := note.NewSigner(k.secret)
	if err != nil {
		return fmt.Errorf("reading the ledger key: %w", err)
	}
	d.BeforeCommit((&headSigner{signer: signer, origin: d.Name()}).sign)
	return nil
}

// sign runs in the writer before each commit.
func (l *headSigner) sign(ctx context.Context, tx *db.Tx) error {
	size, err := entries(ctx, tx)
	if err != nil {
		return err
	}
	if h, err := newestHead(ctx, tx); err != nil || h.Size == size {
		return err
	}
	root, err := tlog.TreeHash(size, stored(ctx, tx))
	if err != nil {
		return fmt.Errorf("hashing the ledger: %w", err)
	}
	now := time.Now().UTC()
	text := formatHead(l.origin, size, root, now)
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		return fmt.Errorf("signing the ledger's head: %w", err)
	}
	if _, err := tx.Exec(ctx, `insert into ledger_head (size, at, note) values ($1, $2, $3)
		on conflict (size) do update set at = excluded.at, note = excluded.note`, size, now.UnixMicro(), string(signed)); err != nil {
		return fmt.Errorf("storing the ledger's head: %w", err)
	}
	return nil
}

// Head is a signed statement: this many entries, this root.
type Head struct {
	Origin string
	Size   int64
	Root   tlog.Hash
	At     time.Time
	Note   string // as signed; keep it with a witness or on paper
}

func formatHead(origin string, size int64, root tlog.Hash, at time.Time) string {
	return fmt.Sprintf("leitstand ledger %s\n%d\n%s\n%s\n", origin, size, root, at.Format(time.RFC3339))
}

// ParseHead checks the signature of a head and reads it. The key is the
// public one of the room, from a source other than the store.
func ParseHead(text, public string) (Head, error) {
	t, err := parseTrust(public)
	if err != nil {
		return Head{}, err
	}
	return t.head(text)
}

// head reads a head that one of the room's keys signed while it counted.
func (t trust) head(text string) (Head, error) {
	signed, by, err := t.open(text)
	if err != nil {
		return Head{}, fmt.Errorf("checking the signature of a ledger head: %w", err)
	}
	lines := strings.Split(signed, "\n")
	if len(lines) != 5 {
		return Head{}, fmt.Errorf("ledger head has %d lines, want 4", len(lines)-1)
	}
	h := Head{Note: text, Origin: strings.TrimPrefix(lines[0], "leitstand ledger ")}
	if h.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return Head{}, fmt.Errorf("reading the size in a ledger head: %w", err)
	}
	if h.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return Head{}, fmt.Errorf("reading the root in a ledger head: %w", err)
	}
	if h.At, err = time.Parse(time.RFC3339, lines[3]); err != nil {
		return Head{}, fmt.Errorf("reading the time in a ledger head: %w", err)
	}
	if by.until != nil && h.Size > by.until[h.Origin] {
		return Head{}, fmt.Errorf("a head of %q over %d entries, with %d at the change: %w", h.Origin, h.Size, by.until[h.Origin], ErrReplaced)
	}
	return h, nil
}

// Newest returns the newest signed head as it was stored; an empty ledger has none.
func Newest(ctx context.Context, q db.Querier, public string) (Head, bool, error) {
	stored, err := newestHead(ctx, q)
	if err != nil || stored.Size == 0 {
		return Head{}, false, err
	}
	h, err := ParseHead(stored.Note, public)
	return h, err == nil, err
}

// newestHead reads without checking the signature.
func newestHead(ctx context.Context, q db.Querier) (Head, error) {
	var h Head
	err := q.QueryRow(ctx, `select size, note from ledger_head order by size desc limit 1`).Scan(&h.Size, &h.Note)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Head{}, fmt.Errorf("reading the newest ledger head: %w", err)
	}
	return h, nil
}
