package emergency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/pure/seal"
)

// Rotate gives the journal a new key pair: from now on bodies are sealed to it.
// Older bodies stay readable with the older keys, which are kept. ErrLocked while
// nobody has unlocked the room.
func (j *Journal) Rotate(ctx context.Context, at time.Time, actor, reason string) (seal.KeyID, error) {
	j.journals.mu.Lock()
	defer j.journals.mu.Unlock()
	if j.journals.master == nil {
		return seal.KeyID{}, ErrLocked
	}
	private, public, err := seal.GenerateKey()
	if err != nil {
		return seal.KeyID{}, fmt.Errorf("making a key for Kasse %s: %w", j.kasse, err)
	}
	wrapped, err := j.journals.master.Wrap(private)
	if err != nil {
		return seal.KeyID{}, fmt.Errorf("wrapping the key of Kasse %s: %w", j.kasse, err)
	}
	err = j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `insert into journal_key (seq, id, public, wrapped, at)
			select coalesce(max(seq), 0) + 1, $1, $2, $3, $4 from journal_key`,
			public.ID().String(), public.Marshal(), wrapped, db.Micro(at)); err != nil {
			return err
		}
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: at, Actor: actor, Kind: "journal.key_rotated", Subject: string(j.kasse), Reason: reason,
			Data: map[string]string{"key": public.ID().String()},
		})
		return err
	})
	if err != nil {
		return seal.KeyID{}, fmt.Errorf("rotating the key of Kasse %s: %w", j.kasse, err)
	}
	j.public.Store(public)
	j.ring = nil
	return public.ID(), nil
}

// Keys is how many key pairs the journal has had.
func (j *Journal) Keys(ctx context.Context) (n int, newest time.Time, err error) {
	var at int64
	err = j.store.QueryRow(ctx, `select count(*), max(at) from journal_key`).Scan(&n, &at)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("counting the keys of Kasse %s: %w", j.kasse, err)
	}
	return n, db.Time(at), nil
}

// Rewrap wraps all keys of the journal by another master. Repeating it after an
// interruption goes on: keys that the new master wraps already are left alone.
func (j *Journal) Rewrap(ctx context.Context, at time.Time, actor, reason string, from, to *seal.Master) error {
	type row struct {
		seq     int64
		wrapped []byte
	}
	err := j.store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		keys, err := db.Collect(ctx, tx, func(r *sql.Rows) (k row, err error) {
			err = r.Scan(&k.seq, &k.wrapped)
			return k, err
		}, `select seq, wrapped from journal_key order by seq`)
		if err != nil {
			return err
		}
		done := 0
		for _, k := range keys {
			private, err := from.Unwrap(k.wrapped)
			if errors.Is(err, seal.ErrTampered) {
				if _, err := to.Unwrap(k.wrapped); err == nil {
					continue
				}
			}
			if err != nil {
				return err
			}
			wrapped, err := to.Wrap(private)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `update journal_key set wrapped = $1 where seq = $2`, wrapped, k.seq); err != nil {
				return err
			}
			done++
		}
		if done == 0 {
			return nil
		}
		_, err = ledger.Append(ctx, tx, ledger.Entry{
			At: at, Actor: actor, Kind: "journal.keys_rewrapped", Subject: string(j.kasse), Reason: reason, Data: map[string]int{"keys": done},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("wrapping the keys of Kasse %s anew: %w", j.kasse, err)
	}
	return nil
}
