package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Shared is a master key that nobody opens alone: it is closed under a key that
// exists only in shares, each locked by the passphrase of the person who holds it.
type Shared struct {
	Need    int      `json:"need"` // how many of the holders together
	Closed  []byte   `json:"closed"`
	Holders []Holder `json:"holders"`
}

// Holder is one person's share, locked.
type Holder struct {
	Person string `json:"person"`
	Set    []byte `json:"set"`
	Index  byte   `json:"index"`
	Locked []byte `json:"locked"`
}

// Passphrase is what a person knows.
type Passphrase struct {
	Person string
	Secret []byte
}

const (
	kindShare   byte = 's'
	sharedTitle      = `{"leitstand":"shared master key",`
	// maxShared bounds what is read as a shared master key.
	maxShared = 64 << 10
)

// ErrNotHolder says that a person holds no share.
var ErrNotHolder = errors.New("this person holds no share of the key")

// Share closes the master key so that need of these people open it together.
// Two with the same passphrase would be one person, and are refused.
func (m *Master) Share(need int, people ...Passphrase) (Shared, error) {
	if need < 2 {
		return Shared{}, fmt.Errorf("sharing the master key: %d of %d people: at least two open it together", need, len(people))
	}
	for i, p := range people {
		for _, o := range people[:i] {
			if p.Person == o.Person {
				return Shared{}, fmt.Errorf("sharing the master key: %q is named twice", p.Person)
			}
			if bytes.Equal(p.Secret, o.Secret) {
				return Shared{}, fmt.Errorf("sharing the master key: %q and %q gave the same passphrase", o.Person, p.Person)
			}
		}
	}
	key := NewKey()
	defer clear(key[:])
	shares, err := key.Split(need, len(people))
	if err != nil {
		return Shared{}, err
	}
	out := Shared{Need: need}
	if out.Closed, err = key.Close(m.key[:]); err != nil {
		return Shared{}, err
	}
	for i, s := range shares {
		locked, err := lock(s.value[:], kindShare, people[i].Secret, defaultCost())
		if err != nil {
			return Shared{}, fmt.Errorf("the passphrase of %q: %w", people[i].Person, err)
		}
		out.Holders = append(out.Holders, Holder{Person: people[i].Person, Set: s.Set[:], Index: s.Index, Locked: locked})
	}
	return out, nil
}

// Unlock opens one person's share; ErrPassphrase when the passphrase does not fit.
func (s Shared) Unlock(p Passphrase) (Share, error) {
	for _, h := range s.Holders {
		if h.Person != p.Person {
			continue
		}
		out := Share{Need: byte(s.Need), Index: h.Index}
		if copy(out.Set[:], h.Set) != len(out.Set) {
			return Share{}, fmt.Errorf("the share of %q: %w", p.Person, ErrFormat)
		}
		secret, err := unlock(h.Locked, kindShare, p.Secret)
		if err != nil {
			return Share{}, fmt.Errorf("unlocking the share of %q: %w", p.Person, err)
		}
		defer clear(secret)
		copy(out.value[:], secret)
		return out, nil
	}
	return Share{}, fmt.Errorf("%q: %w", p.Person, ErrNotHolder)
}

// Combine gives the master key of enough shares.
func (s Shared) Combine(shares ...Share) (*Master, error) {
	key, err := Combine(shares)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	plain, err := key.Open(s.Closed)
	if err != nil {
		return nil, fmt.Errorf("opening the shared master key: %w", err)
	}
	defer clear(plain)
	return ParseMaster(plain)
}

// Marshal gives the form that is kept: no secret is readable in it.
func (s Shared) Marshal() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding the shared master key: %w", err)
	}
	return append([]byte(sharedTitle), b[1:]...), nil
}

// IsShared says whether a locked master key is one that several people share.
func IsShared(locked []byte) bool { return bytes.HasPrefix(locked, []byte(sharedTitle)) }

// ParseShared reads what Marshal gave.
func ParseShared(b []byte) (Shared, error) {
	var s Shared
	if !IsShared(b) || len(b) > maxShared {
		return s, fmt.Errorf("reading the shared master key: %w", ErrFormat)
	}
	if err := json.Unmarshal(b, &s); err != nil || s.Need < 2 || s.Need > 255 || len(s.Holders) < s.Need {
		return s, fmt.Errorf("reading the shared master key: %w", ErrFormat) // the cause could quote a key
	}
	return s, nil
}
