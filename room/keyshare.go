package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/pure/seal"
)

// halfWait is how long the first of two people waits for the second one.
const halfWait = 15 * time.Minute

// ErrShared says that one passphrase is not enough.
var ErrShared = errors.New("the room's key is shared: people open it together (leitstand keys unlock, one after the other, or --holder PERSON=FILE for each)")

// Opening is what opens the master key: one passphrase, or those of several
// people. The zero value opens nothing.
type Opening struct {
	Passphrase []byte
	Holders    map[string][]byte // person → passphrase, for a shared key
	Need       int               // of a new shared key: how many together; 0: two
}

func (o Opening) empty() bool { return o.Passphrase == nil && len(o.Holders) == 0 }

// openMaster opens a locked master key, of either form.
func (o Opening) openMaster(locked []byte) (*seal.Master, error) {
	if !seal.IsShared(locked) {
		if o.Passphrase == nil {
			return nil, fmt.Errorf("the room's key is not shared, one passphrase opens it: %w", seal.ErrPassphrase)
		}
		return seal.Unlock(locked, o.Passphrase)
	}
	s, err := seal.ParseShared(locked)
	if err != nil {
		return nil, err
	}
	if len(o.Holders) == 0 {
		return nil, ErrShared
	}
	var shares []seal.Share
	for _, person := range slices.Sorted(maps.Keys(o.Holders)) {
		share, err := s.Unlock(seal.Passphrase{Person: person, Secret: o.Holders[person]})
		if err != nil {
			return nil, err
		}
		shares = append(shares, share)
	}
	if len(shares) < s.Need {
		return nil, fmt.Errorf("%d of %d people: %w", len(shares), s.Need, ErrShared)
	}
	return s.Combine(shares...)
}

// lockMaster gives the form in which a master key is kept.
func (o Opening) lockMaster(m *seal.Master) ([]byte, error) {
	if len(o.Holders) == 0 {
		return m.Lock(o.Passphrase)
	}
	people := make([]seal.Passphrase, 0, len(o.Holders))
	for _, person := range slices.Sorted(maps.Keys(o.Holders)) {
		people = append(people, seal.Passphrase{Person: person, Secret: o.Holders[person]})
	}
	s, err := m.Share(max(2, o.Need), people...)
	if err != nil {
		return nil, err
	}
	return s.Marshal()
}

type shareKeyArgs struct {
	Second  string            `json:"second"`
	Need    int               `json:"need"`
	Holders map[string]string `json:"holders"` // person → passphrase
}

// shareKey closes the master key so that several people open it together, and no
// single passphrase does any more. Two people decide it; the room is unlocked.
func shareKey(ctx context.Context, r *Room, as access.Person, a shareKeyArgs) (KeyStatus, error) {
	if err := r.twoKeepers(ctx, as, a.Second); err != nil {
		return KeyStatus{}, err
	}
	if a.Need < 2 {
		return KeyStatus{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Ein geteilter Schlüssel braucht mindestens zwei Personen zum Öffnen."}
	}
	o := Opening{Need: a.Need, Holders: map[string][]byte{}}
	for id, pass := range a.Holders {
		if _, err := access.Get(ctx, r.Store, id); err != nil {
			return KeyStatus{}, err
		}
		o.Holders[id] = []byte(pass)
	}
	if len(o.Holders) < a.Need {
		return KeyStatus{}, fmt.Errorf("%d people hold the key, %d are to open it together: name more with --holder", len(o.Holders), a.Need)
	}
	return r.lockAgain(ctx, as, o, "keys.shared", map[string]any{"second": a.Second, "need": a.Need, "holders": slices.Sorted(maps.Keys(o.Holders))})
}

type singleArgs struct {
	Second     string `json:"second"`
	Passphrase string `json:"passphrase"`
}

// singleKey goes back to one passphrase for the room.
func singleKey(ctx context.Context, r *Room, as access.Person, a singleArgs) (KeyStatus, error) {
	if err := r.twoKeepers(ctx, as, a.Second); err != nil {
		return KeyStatus{}, err
	}
	return r.lockAgain(ctx, as, Opening{Passphrase: []byte(a.Passphrase)}, "keys.single", map[string]any{"second": a.Second})
}

// twoKeepers says that two different people who may keep the room are there.
func (r *Room) twoKeepers(ctx context.Context, as access.Person, second string) error {
	other, err := access.Get(ctx, r.Store, second)
	if err != nil {
		return err
	}
	if other.ID == as.ID {
		return access.ErrSamePerson
	}
	return mayKeep(as, other)
}

// lockAgain replaces the locked form of the master key at once. First the entry:
// an interruption in between leaves the old form, and the act is repeated.
func (r *Room) lockAgain(ctx context.Context, as access.Person, o Opening, kind string, data any) (KeyStatus, error) {
	r.keyMu.Lock()
	defer r.keyMu.Unlock()
	if r.master == nil {
		return KeyStatus{}, emergency.ErrLocked
	}
	if _, err := os.Stat(filepath.Join(r.opt.Data, nextMaster)); err == nil {
		return KeyStatus{}, errors.New("a rotation of the room's key was interrupted: finish it first (leitstand keys rotate-room)")
	}
	locked, err := o.lockMaster(r.master)
	if err != nil {
		return KeyStatus{}, err
	}
	if err := r.noteKeys(ctx, as.ID, kind, "", data); err != nil {
		return KeyStatus{}, err
	}
	if _, err := writeDurable(filepath.Join(r.opt.Data, masterFile), locked, nil); err != nil {
		return KeyStatus{}, fmt.Errorf("writing the locked master key: %w", err)
	}
	return r.keyStatusLocked(ctx)
}

// halves are shares that people have unlocked while others are waited for.
type halves struct {
	began  time.Time
	of     []byte // locked form they belong to
	shares map[string]seal.Share
}

// unlockShared takes one person's share of a shared key, and opens the room when
// there are enough. The caller holds keyMu.
func (r *Room) unlockShared(ctx context.Context, as access.Person, locked []byte, pass string) (*seal.Master, error) {
	s, err := seal.ParseShared(locked)
	if err != nil {
		return nil, err
	}
	share, err := s.Unlock(seal.Passphrase{Person: as.ID, Secret: []byte(pass)})
	if errors.Is(err, seal.ErrNotHolder) {
		return nil, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Diesen Raum öffnen gemeinsam: " + strings.Join(holderNames(s), ", ") + ".", err: err}
	}
	if err != nil {
		return nil, err
	}
	h := &r.halves
	if h.shares == nil || r.Now().Sub(h.began).Abs() > halfWait || !bytes.Equal(h.of, locked) {
		*h = halves{began: r.Now(), of: locked, shares: map[string]seal.Share{}}
	}
	h.shares[as.ID] = share
	if len(h.shares) < s.Need {
		return nil, r.noteKeys(ctx, as.ID, "keys.unlock_begun", "", map[string]int{"have": len(h.shares), "need": s.Need})
	}
	m, err := s.Combine(slices.Collect(maps.Values(h.shares))...)
	*h = halves{}
	return m, err
}

func holderNames(s seal.Shared) []string {
	out := make([]string, len(s.Holders))
	for i, h := range s.Holders {
		out[i] = h.Person
	}
	return out
}

// waiting are the people whose share is there already.
func (h *halves) waiting(now time.Time) []string {
	if h.shares == nil || now.Sub(h.began).Abs() > halfWait {
		return nil
	}
	return slices.Sorted(maps.Keys(h.shares))
}
