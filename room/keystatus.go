package room

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/pure/seal"
)

// RotateMaster gives the room a new master key under a new passphrase: every
// journal's keys are wrapped by it, one journal after the other. Interrupted, it
// is called again with the same passphrases and goes on. Nobody may serve the
// room meanwhile; opt has the old passphrase or those of the holders, to the new.
func RotateMaster(ctx context.Context, opt Options, to Opening, actor, reason string) (err error) {
	old := opt.opening()
	opt.Passphrase, opt.Holders, opt.CopyTo = nil, nil, ""
	r, err := Open(ctx, opt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	as, err := access.Get(ctx, r.Store, actor)
	if err != nil {
		return err
	}
	if err := mayKeep(as); err != nil {
		return err
	}
	from, err := unlockFile(filepath.Join(opt.Data, masterFile), old)
	if err != nil {
		return err
	}
	defer from.Destroy()
	next := filepath.Join(opt.Data, nextMaster)
	master, err := nextKey(next, to)
	if err != nil {
		return fmt.Errorf("preparing the new master key: %w", err)
	}
	defer master.Destroy()
	err = r.eachJournal(ctx, func(j *emergency.Journal) error { return j.Rewrap(ctx, r.Now(), as.ID, reason, from, master) })
	if err == nil {
		err = r.noteKeys(ctx, as.ID, "keys.master_rotated", reason, nil)
	}
	if err == nil {
		err = errors.Join(os.Rename(next, filepath.Join(opt.Data, masterFile)), syncDir(opt.Data))
	}
	if err == nil { // its master key opens nothing any more
		if err = os.Remove(filepath.Join(opt.Data, escrowFile)); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	}
	return err
}

// nextKey is the master key of an interrupted rotation, or a new one.
func nextKey(file string, o Opening) (*seal.Master, error) {
	to, err := unlockFile(file, o)
	if !errors.Is(err, os.ErrNotExist) {
		return to, err
	}
	to = seal.NewMaster()
	locked, err := o.lockMaster(to)
	if err != nil {
		return nil, err
	}
	_, err = writeDurable(file, locked, nil)
	return to, err
}

func unlockFile(file string, o Opening) (*seal.Master, error) {
	locked, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the locked master key: %w", err)
	}
	return o.openMaster(locked)
}

// KeyStatus says what can be opened, and what works without.
type KeyStatus struct {
	Locked   bool                      `json:"locked"`
	Why      string                    `json:"why,omitempty"`
	Shared   int                       `json:"shared,omitempty"`  // how many people open it together; 0: one passphrase does
	Holders  []string                  `json:"holders,omitempty"` // who hold a shared key
	Waiting  []string                  `json:"waiting,omitempty"` // of them who have unlocked their share
	Escrow   time.Time                 `json:"escrow,omitzero"`   // when shares were last printed
	OldShare bool                      `json:"escrow_old"`        // the ledger's key was changed since: print new shares
	Ledger   LedgerKey                 `json:"ledger_key"`
	Kassen   map[catalogue.KasseID]int `json:"kassen"`    // key pairs each Kasse has had
	Works    []string                  `json:"works"`     // also while locked
	WorksNot []string                  `json:"works_not"` // only after an unlock
}

// LedgerKey is the key that signs the heads of the room's ledgers.
type LedgerKey struct {
	Public string              `json:"public"`
	Before []ledger.Succession `json:"before"` // the keys before it, oldest first
}

func keyStatus(ctx context.Context, r *Room, _ none) (KeyStatus, error) {
	r.keyMu.Lock()
	defer r.keyMu.Unlock()
	return r.keyStatusLocked(ctx)
}

// keyStatusLocked is called with keyMu held.
func (r *Room) keyStatusLocked(ctx context.Context) (KeyStatus, error) {
	s := KeyStatus{
		Locked: r.Journals.Locked(), Why: r.lockedWhy, Kassen: map[catalogue.KasseID]int{}, Waiting: r.halves.waiting(r.Now()),
		Works: worksLocked(), WorksNot: needsUnlock(), Ledger: LedgerKey{Public: ledger.CurrentKey(r.Public())},
	}
	var err error
	if s.Ledger.Before, err = ledger.Successions(r.Public()); err != nil {
		return s, err
	}
	if locked, err := os.ReadFile(filepath.Join(r.opt.Data, masterFile)); err == nil && seal.IsShared(locked) {
		shared, err := seal.ParseShared(locked)
		if err != nil {
			return s, err
		}
		s.Shared, s.Holders = shared.Need, holderNames(shared)
	}
	if err := r.escrowStatus(ctx, &s); err != nil {
		return s, err
	}
	return s, r.eachJournal(ctx, func(j *emergency.Journal) error {
		n, _, err := j.Keys(ctx)
		s.Kassen[j.Kasse()] = n
		return err
	})
}

// escrowStatus says when shares on paper were printed, and whether they are older
// than the ledger's key.
func (r *Room) escrowStatus(ctx context.Context, s *KeyStatus) error {
	if _, err := os.Stat(filepath.Join(r.opt.Data, escrowFile)); err != nil {
		return nil //nolint:nilerr // without the bundle the shares open nothing
	}
	last, err := ledger.About(ctx, r.Store, keySubject, 1000)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(last, func(e ledger.Record) bool { return e.Kind == "keys.escrowed" })
	if i < 0 {
		return nil
	}
	s.Escrow = last[i].At
	changed, err := ledger.About(ctx, r.Store, ledgerKeySubject, 1)
	if err == nil && len(changed) > 0 {
		s.OldShare = changed[0].Seq > last[i].Seq
	}
	return err
}

// worksLocked is what works while nobody has unlocked the room.
func worksLocked() []string {
	return []string{
		"Annehmen im Notbetrieb: versiegelt wird mit dem öffentlichen Schlüssel der Kasse",
		"Lage, Maßnahmen, Zustimmungen, Freigaben, Mitteilungen, öffentliche Liste, Türen",
		"Sicherung, laufende Kopie, Rückspielprobe, Übernahme",
		"Prüfen des Buchs und der versiegelten Inhalte auf Unversehrtheit",
		"Neuer Schlüssel des Buchs",
	}
}

// needsUnlock is what works only after an unlock.
func needsUnlock() []string {
	return []string{
		"Lesen, was angenommen wurde, auch durch den Leitstand selbst",
		"Übergabe an das reguläre System",
		"Neuer Schlüssel für eine Kasse, neue Hinterlegung, Schlüssel teilen",
	}
}

// unlockArgs carry a passphrase over the command socket.
type unlockArgs struct {
	Passphrase string `json:"passphrase"`
}

// unlockRoom opens a room that was started locked. Of a shared key it takes the
// share of the person who acts, and opens the room when there are enough.
func unlockRoom(ctx context.Context, r *Room, as access.Person, a unlockArgs) (KeyStatus, error) {
	r.keyMu.Lock()
	defer r.keyMu.Unlock()
	if _, err := os.Stat(filepath.Join(r.opt.Data, nextMaster)); err == nil {
		return KeyStatus{}, &Failure{Text: "Der Wechsel des Raumschlüssels wurde unterbrochen: Raum anhalten und leitstand keys rotate-room wiederholen."}
	}
	locked, err := os.ReadFile(filepath.Join(r.opt.Data, masterFile))
	if err != nil {
		return KeyStatus{}, fmt.Errorf("reading the locked master key: %w", err)
	}
	var m *seal.Master
	if seal.IsShared(locked) {
		m, err = r.unlockShared(ctx, as, locked, a.Passphrase)
	} else {
		m, err = seal.Unlock(locked, []byte(a.Passphrase))
	}
	if errors.Is(err, seal.ErrPassphrase) {
		if nerr := r.noteKeys(ctx, as.ID, "keys.unlock_failed", "", nil); nerr != nil {
			return KeyStatus{}, nerr
		}
		return KeyStatus{}, &Failure{Text: "Die Passphrase passt nicht.", err: seal.ErrPassphrase}
	}
	if err != nil {
		return KeyStatus{}, err
	}
	if m != nil {
		if err := r.noteKeys(ctx, as.ID, "keys.unlocked", "", nil); err != nil {
			return KeyStatus{}, err
		}
		r.master, r.lockedWhy = m, ""
		r.Journals.Unlock(m)
	}
	return r.keyStatusLocked(ctx)
}

// lockRoom forgets all keys; accepting goes on.
func lockRoom(ctx context.Context, r *Room, as access.Person, _ none) (KeyStatus, error) {
	r.keyMu.Lock()
	defer r.keyMu.Unlock()
	r.master, r.lockedWhy, r.halves = nil, "gesperrt durch "+as.ID, halves{}
	r.Journals.Lock()
	if err := r.noteKeys(ctx, as.ID, "keys.locked", "", nil); err != nil {
		return KeyStatus{}, err
	}
	return r.keyStatusLocked(ctx)
}
