package room

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
// room meanwhile; opt has the old passphrase.
func RotateMaster(ctx context.Context, opt Options, passphrase []byte, actor, reason string) (err error) {
	old := opt.Passphrase
	opt.Passphrase, opt.CopyTo = nil, ""
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
	to, err := nextKey(next, passphrase)
	if err != nil {
		return fmt.Errorf("preparing the new master key: %w", err)
	}
	defer to.Destroy()
	err = r.eachJournal(ctx, func(j *emergency.Journal) error { return j.Rewrap(ctx, r.Now(), as.ID, reason, from, to) })
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
func nextKey(file string, passphrase []byte) (*seal.Master, error) {
	to, err := unlockFile(file, passphrase)
	if !errors.Is(err, os.ErrNotExist) {
		return to, err
	}
	to = seal.NewMaster()
	locked, err := to.Lock(passphrase)
	if err != nil {
		return nil, err
	}
	_, err = writeDurable(file, locked, nil)
	return to, err
}

func unlockFile(file string, passphrase []byte) (*seal.Master, error) {
	locked, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the locked master key: %w", err)
	}
	return seal.Unlock(locked, passphrase)
}

// KeyStatus says what can be opened, and what works without.
type KeyStatus struct {
	Locked   bool                      `json:"locked"`
	Why      string                    `json:"why,omitempty"`
	Escrow   time.Time                 `json:"escrow,omitzero"` // when shares were last printed
	Kassen   map[catalogue.KasseID]int `json:"kassen"`          // key pairs each Kasse has had
	Works    []string                  `json:"works"`           // also while locked
	WorksNot []string                  `json:"works_not"`       // only after an unlock
}

func keyStatus(ctx context.Context, r *Room, _ none) (KeyStatus, error) {
	r.keyMu.Lock()
	why := r.lockedWhy
	r.keyMu.Unlock()
	s := KeyStatus{
		Locked: r.Journals.Locked(), Why: why, Kassen: map[catalogue.KasseID]int{},
		Works: []string{
			"Annehmen im Notbetrieb: versiegelt wird mit dem öffentlichen Schlüssel der Kasse",
			"Lage, Maßnahmen, Zustimmungen, Freigaben, Mitteilungen, öffentliche Liste, Türen",
			"Sicherung, laufende Kopie, Rückspielprobe, Übernahme",
			"Prüfen des Buchs und der versiegelten Inhalte auf Unversehrtheit",
		},
		WorksNot: []string{
			"Lesen, was angenommen wurde, auch durch den Leitstand selbst", "Übergabe an das reguläre System",
			"Neuer Schlüssel für eine Kasse, neue Hinterlegung",
		},
	}
	last, err := ledger.About(ctx, r.Store, keySubject, 100)
	if err != nil {
		return s, err
	}
	_, missing := os.Stat(filepath.Join(r.opt.Data, escrowFile))
	for _, e := range last {
		if e.Kind == "keys.escrowed" && missing == nil {
			s.Escrow = e.At
			break
		}
	}
	return s, r.eachJournal(ctx, func(j *emergency.Journal) error {
		n, _, err := j.Keys(ctx)
		s.Kassen[j.Kasse()] = n
		return err
	})
}

// unlockArgs carry a passphrase over the command socket.
type unlockArgs struct {
	Passphrase string `json:"passphrase"`
}

// unlockRoom opens a room that was started locked.
func unlockRoom(ctx context.Context, r *Room, as access.Person, a unlockArgs) (KeyStatus, error) {
	m, err := unlockFile(filepath.Join(r.opt.Data, masterFile), []byte(a.Passphrase))
	if errors.Is(err, seal.ErrPassphrase) {
		if nerr := r.noteKeys(ctx, as.ID, "keys.unlock_failed", "", nil); nerr != nil {
			return KeyStatus{}, nerr
		}
		return KeyStatus{}, &Failure{Text: "Die Passphrase passt nicht.", err: seal.ErrPassphrase}
	}
	if err != nil {
		return KeyStatus{}, err
	}
	if err := r.noteKeys(ctx, as.ID, "keys.unlocked", "", nil); err != nil {
		return KeyStatus{}, err
	}
	r.keyMu.Lock()
	r.master, r.lockedWhy = m, ""
	r.keyMu.Unlock()
	r.Journals.Unlock(m)
	return keyStatus(ctx, r, none{})
}

// lockRoom forgets all keys; accepting goes on.
func lockRoom(ctx context.Context, r *Room, as access.Person, _ none) (KeyStatus, error) {
	r.keyMu.Lock()
	r.master, r.lockedWhy = nil, "gesperrt durch "+as.ID
	r.keyMu.Unlock()
	r.Journals.Lock()
	if err := r.noteKeys(ctx, as.ID, "keys.locked", "", nil); err != nil {
		return KeyStatus{}, err
	}
	return keyStatus(ctx, r, none{})
}
