package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
)

const (
	// ledgerKeySubject is the subject of entries about the key that signs heads.
	ledgerKeySubject = "ledger.key"
	ledgerKeyRotated = "keys.ledger_rotated"
)

// ErrOldKey says that this data directory has a key that was replaced elsewhere.
var ErrOldKey = errors.New("the key of this room's ledger was changed on another machine: copy ledger.key and ledger.pub from there, or from a backup made since")

// RotateLedgerArgs say who gives a room's ledgers a new key.
type RotateLedgerArgs struct {
	First, Second string
	Reason        string
	Lost          bool // the old key is gone: it signs nothing, the two people vouch for the new one
}

// RotateLedgerKey gives the room a new key, which signs the heads of all its
// ledgers from now on. The old key signs for the new one and how long each ledger
// is; what it signs later is worth nothing. Nobody may serve the room meanwhile.
// Interrupted, it has happened or it has not: the next start puts it on record.
func RotateLedgerKey(ctx context.Context, opt Options, a RotateLedgerArgs) error {
	if a.First == a.Second {
		return access.ErrSamePerson
	}
	if strings.TrimSpace(a.Reason) == "" {
		return errors.New("a new key needs a reason")
	}
	settings, err := readSettings(opt.Data)
	if err == nil {
		err = settings.fits(opt)
	}
	if err != nil {
		return err
	}
	if !a.Lost { // finishes what was interrupted, and looks whether this machine may write
		r, err := Open(ctx, opt)
		if err == nil {
			err = errors.Join(r.fence.err(), r.Close())
		}
		if err != nil {
			return err
		}
	}
	if err := whileNobodyLeads(ctx, opt, func() error { return succeed(ctx, opt, place(opt, settings), a) }); err != nil {
		return err
	}
	opt.CopyTo = ""
	r, err := Open(ctx, opt) // puts it on record
	if err != nil {
		return err
	}
	return r.Close()
}

// whileNobodyLeads calls fn while no other node leads the room.
func whileNobodyLeads(ctx context.Context, opt Options, fn func() error) error {
	if opt.Database == "" {
		return fn()
	}
	wait, stop := context.WithTimeout(ctx, leadWait)
	defer stop()
	lease, err := Lead(wait, opt)
	if err != nil {
		return fmt.Errorf("a node leads this room: stop all nodes, change the key on one, copy ledger.key and ledger.pub to the others: %w", err)
	}
	return errors.Join(fn(), lease.Close())
}

// leadWait is how long another node may take to give the lead away.
const leadWait = 15 * time.Second

func succeed(ctx context.Context, opt Options, p db.Place, a RotateLedgerArgs) (err error) {
	release, err := db.LockDir(opt.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := mustHold(ctx, p); err != nil {
		return err
	}
	names, err := p.Stores(ctx, "kasse_") // see emergency.Journals
	if err != nil {
		return err
	}
	names = append(names, "room")
	s := ledger.Succession{First: a.First, Second: a.Second, Reason: a.Reason, Lost: a.Lost, Sizes: map[string]int64{}}
	s.At = opt.now()
	for _, name := range names {
		err := readStore(ctx, p, name, func(d *db.DB) (err error) {
			if name == "room" {
				if err := mayRotate(ctx, d, a.First, a.Second); err != nil {
					return err
				}
			}
			s.Sizes[name], err = ledger.Size(ctx, d)
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = ledger.Succeed(opt.Data, s)
	return err
}

// readStore opens a store as it is and only reads it.
func readStore(ctx context.Context, p db.Place, name string, fn func(d *db.DB) error) error {
	d, err := p.Open(ctx, name)
	if err != nil {
		return err
	}
	return errors.Join(fn(d), d.Close())
}

func mayRotate(ctx context.Context, q db.Querier, ids ...string) error {
	for _, id := range ids {
		p, err := access.Get(ctx, q, id)
		if err != nil {
			return err
		}
		if err := mayKeep(p); err != nil {
			return err
		}
	}
	return nil
}

// rotated is what the ledger holds about a change of its key.
type rotated struct {
	Second string `json:"second"`
	Old    string `json:"old"`
	New    string `json:"new"`
	Lost   bool   `json:"lost,omitempty"`
}

// knowsNewestKey refuses to sign with a key that was replaced: on PostgreSQL by
// another node, or in a data directory that was put back from an older copy.
func (r *Room) knowsNewestKey(ctx context.Context) error {
	noted, err := notedKeys(ctx, r.Store)
	if err != nil {
		return err
	}
	have, err := ledger.Successions(r.key.Public)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, s := range have {
		known[s.New] = true
	}
	for key := range noted {
		if !known[key] {
			return ErrOldKey
		}
	}
	return nil
}

// notedKeys are the keys whose beginning the room's ledger holds.
func notedKeys(ctx context.Context, q db.Querier) (map[string]bool, error) {
	entries, err := ledger.About(ctx, q, ledgerKeySubject, 1000)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, e := range entries {
		var d rotated
		if err := json.Unmarshal(e.Data, &d); err != nil {
			return nil, fmt.Errorf("reading entry %d about the ledger's key: %w", e.Seq, err)
		}
		out[d.New] = true
	}
	return out, nil
}

// noteSuccessions puts changes of the key on record that are not yet: they have
// happened when their file got its name.
func (r *Room) noteSuccessions(ctx context.Context) error {
	have, err := ledger.Successions(r.key.Public)
	if err != nil || len(have) == 0 {
		return err
	}
	noted, err := notedKeys(ctx, r.Store)
	if err != nil {
		return err
	}
	for _, s := range have {
		if noted[s.New] {
			continue
		}
		err := r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := ledger.Append(ctx, tx, ledger.Entry{
				At: r.Now(), Actor: s.First, Kind: ledgerKeyRotated, Subject: ledgerKeySubject, Reason: s.Reason,
				Data: rotated{Second: s.Second, Old: s.Old, New: s.New, Lost: s.Lost},
			})
			return err
		})
		if errors.Is(err, ErrFenced) {
			return nil // whoever may write has it on record
		}
		if err != nil {
			return err
		}
	}
	return nil
}
