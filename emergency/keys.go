package emergency

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/pure/seal"
)

// ErrLocked says that bodies cannot be opened: nobody has unlocked the room.
// Accepting goes on meanwhile.
var ErrLocked = errors.New("the room is locked: accepting goes on, opening needs an unlock")

// ErrNoKey says that a Kasse's journal was never set up.
var ErrNoKey = errors.New("the journal of this Kasse has no key: set it up first")

// Opener opens sealed bodies: a [seal.Ring] or [seal.PrivateKey].
type Opener interface {
	Open(sealed, aad []byte) ([]byte, error)
}

// IndexSecret makes look-up keys out of numbers that name people. It lies beside
// the stores, not in them: who copies only a store cannot try out all numbers of
// insured people against its hashes.
type IndexSecret [32]byte

const indexFile = "index.key"

// LoadIndexSecret reads the secret of a data directory, or makes one while no
// journal exists there.
func LoadIndexSecret(dir string) (IndexSecret, error) {
	var s IndexSecret
	b, err := os.ReadFile(filepath.Join(dir, indexFile))
	if errors.Is(err, os.ErrNotExist) {
		if stores, _ := filepath.Glob(filepath.Join(dir, storePrefix+"*.db")); len(stores) > 0 {
			return s, fmt.Errorf("%s is missing in %q although journals exist: restore it from the backup or the escrow, a new one would find nobody", indexFile, dir)
		}
		_, _ = rand.Read(s[:]) // never fails, see crypto/rand
		if err := os.WriteFile(filepath.Join(dir, indexFile), []byte(hex.EncodeToString(s[:])+"\n"), 0o600); err != nil {
			return s, fmt.Errorf("writing the index secret: %w", err)
		}
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("reading the index secret: %w", err)
	}
	if len(b) < 2*len(s) {
		return s, fmt.Errorf("reading the index secret: %d bytes, want %d hexadecimal digits", len(b), 2*len(s))
	}
	if _, err := hex.Decode(s[:], b[:2*len(s)]); err != nil {
		return s, fmt.Errorf("reading the index secret: %w", err)
	}
	return s, nil
}

// indexKey is the key of one Kasse. The salt lies in the Kasse's store: without
// either half nothing can be looked up any more.
func indexKey(s IndexSecret, salt []byte, k catalogue.KasseID) ([]byte, error) {
	return hkdf.Key(sha256.New, s[:], salt, "leitstand index "+string(k), 32)
}

// Index is the keyed hash under which the journal keeps what it must find again
// but not show, such as an insured person's number. Different purposes never
// give the same hash.
func (j *Journal) Index(purpose, value string) string {
	m := hmac.New(sha256.New, j.index)
	m.Write([]byte(purpose))
	m.Write([]byte{0})
	m.Write([]byte(value))
	return hex.EncodeToString(m.Sum(nil)[:16])
}

// setup makes the first key pair and the index salt of a new journal.
func (j *Journal) setup(ctx context.Context, at time.Time, actor string, master *seal.Master) error {
	private, public, err := seal.GenerateKey()
	if err != nil {
		return fmt.Errorf("making the key of Kasse %s: %w", j.kasse, err)
	}
	wrapped, err := master.Wrap(private)
	if err != nil {
		return fmt.Errorf("wrapping the key of Kasse %s: %w", j.kasse, err)
	}
	return j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		var n int64
		if err := tx.QueryRow(ctx, `select count(*) from journal_key`).Scan(&n); err != nil || n > 0 {
			return err // set up already
		}
		salt := make([]byte, 32)
		_, _ = rand.Read(salt) // never fails, see crypto/rand
		if _, err := tx.Exec(ctx, `insert into journal_meta (name, value) values ('index_salt', $1)`, salt); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into journal_key (seq, id, public, wrapped, at) values (1, $1, $2, $3, $4)`,
			public.ID().String(), public.Marshal(), wrapped, db.Micro(at)); err != nil {
			return err
		}
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: at, Actor: actor, Kind: "journal.provisioned", Subject: string(j.kasse),
			Data: map[string]string{"key": public.ID().String()},
		})
		return err
	})
}

// loadKeys reads the newest public key and the index key.
func (j *Journal) loadKeys(ctx context.Context, secret IndexSecret) error {
	var public, salt []byte
	err := j.store.QueryRow(ctx, `select public from journal_key order by seq desc limit 1`).Scan(&public)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNoKey
	}
	if err != nil {
		return fmt.Errorf("reading the key of Kasse %s: %w", j.kasse, err)
	}
	key, err := seal.ParsePublicKey(public)
	if err != nil {
		return fmt.Errorf("reading the key of Kasse %s: %w", j.kasse, err)
	}
	j.public.Store(key)
	if err := j.store.QueryRow(ctx, `select value from journal_meta where name = 'index_salt'`).Scan(&salt); err != nil {
		return fmt.Errorf("reading the index salt of Kasse %s: %w", j.kasse, err)
	}
	j.index, err = indexKey(secret, salt, j.kasse)
	return err
}

// openWith unwraps all keys of the journal.
func (j *Journal) openWith(ctx context.Context, master *seal.Master) (*seal.Ring, error) {
	wrapped, err := db.Collect(ctx, j.store, func(r *sql.Rows) ([]byte, error) {
		var b []byte
		err := r.Scan(&b)
		return b, err
	}, `select wrapped from journal_key order by seq`)
	if err != nil {
		return nil, fmt.Errorf("reading the keys of Kasse %s: %w", j.kasse, err)
	}
	var ring seal.Ring
	for _, w := range wrapped {
		k, err := master.Unwrap(w)
		if err != nil {
			return nil, fmt.Errorf("unwrapping a key of Kasse %s: %w", j.kasse, err)
		}
		ring.Add(k)
	}
	return &ring, nil
}

// envelope is the sealed form of a body: the salt of its commitment, then the
// content. What it is sealed with binds it to its Kasse and item.
func (j *Journal) envelope(id string, content []byte) (sealed []byte, commitment string, err error) {
	digest := sha256.Sum256(content)
	c, salt := seal.Commit(digest[:])
	plain := make([]byte, 0, len(salt)+len(content))
	plain = append(append(plain, salt[:]...), content...)
	j.together.enter()
	defer j.together.leave()
	sealed, err = j.together.seal(j.public.Load(), plain, j.aad(id))
	return sealed, c.String(), err
}

func (j *Journal) aad(id string) []byte {
	return []byte("leitstand journal 1\x00" + string(j.kasse) + "\x00" + id)
}

// unseal opens an envelope and checks the content against its commitment.
func (j *Journal) unseal(o Opener, id, commitment string, sealed []byte) ([]byte, error) {
	_, content, err := j.openEnvelope(o, id, commitment, sealed)
	return content, err
}

// openEnvelope is unseal that gives the salt of the commitment as well.
func (j *Journal) openEnvelope(o Opener, id, commitment string, sealed []byte) (salt seal.Salt, content []byte, err error) {
	plain, err := o.Open(sealed, j.aad(id))
	if err != nil {
		return salt, nil, fmt.Errorf("opening the body of item %s: %w", id, err)
	}
	if len(plain) < len(salt) {
		return salt, nil, fmt.Errorf("opening the body of item %s: %w", id, seal.ErrFormat)
	}
	copy(salt[:], plain)
	content = plain[len(salt):]
	c, err := seal.ParseCommitment(commitment)
	if err != nil {
		return salt, nil, fmt.Errorf("body of item %s: %w", id, err)
	}
	if digest := sha256.Sum256(content); !c.Opens(digest[:], salt) {
		return salt, nil, fmt.Errorf("body of item %s does not fit its commitment: %w", id, seal.ErrTampered)
	}
	return salt, content, nil
}

// SealNote closes something small that belongs to the journal but is no item,
// such as a letter. The purpose binds it to its place.
func (j *Journal) SealNote(purpose string, plain []byte) ([]byte, error) {
	j.together.enter()
	defer j.together.leave()
	return j.together.seal(j.public.Load(), plain, j.aad(purpose))
}

// OpenNote opens what SealNote closed; ErrLocked while nobody has unlocked the room.
func (j *Journal) OpenNote(ctx context.Context, purpose string, sealed []byte) ([]byte, error) {
	o, err := j.Opener(ctx)
	if err != nil {
		return nil, err
	}
	return o.Open(sealed, j.aad(purpose))
}
