package containment

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// Signers are the people whose orders at a door count, with the public keys by
// which they are known there beforehand: without a room there is nobody to ask.
// Without any, people are named, and the record says no more than that.
type Signers map[string]ssh.PublicKey

// ErrSigned says that an order at a door is not proven to be of whom it names.
var ErrSigned = errors.New("the order is not signed by whom it names")

// ParseSigners reads keys as in authorized_keys, Ed25519 only, by person.
func ParseSigners(keys map[string]string) (Signers, error) {
	s := Signers{}
	for person, line := range keys {
		k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)) //nolint:dogsled // that is its form
		if err != nil {
			return nil, fmt.Errorf("key of %q: %w", person, err)
		}
		if person == "" || k.Type() != ssh.KeyAlgoED25519 {
			return nil, fmt.Errorf("key of %q: want a person and an %s key, this one is %s", person, ssh.KeyAlgoED25519, k.Type())
		}
		s[person] = k
	}
	return s, nil
}

// SignWith makes the signature of one person under an order.
func SignWith(key ssh.Signer, text []byte) (string, error) {
	sig, err := key.Sign(nil, text) // Ed25519 needs no randomness
	if err != nil {
		return "", fmt.Errorf("signing the order: %w", err)
	}
	return base64.StdEncoding.EncodeToString(ssh.Marshal(sig)), nil
}

// moveText is what each person signs: this door, this way, once.
func moveText(a Act, reason string) ([]byte, error) {
	b, err := json.Marshal(struct {
		What, ID, Measure string
		Placement         catalogue.PlacementID
		To                string
		By                []string
		Reason            string
		At                int64 // Unix microseconds
	}{"leitstand door move 1", a.ID, a.Measure, catalogue.PlacementID(a.Target), a.Detail, a.By, reason, db.Micro(a.StartedAt)})
	if err != nil {
		return nil, fmt.Errorf("encoding the order about %s: %w", a.Target, err)
	}
	return b, nil
}

// Verify says whether a record of a moved door is signed by everybody whom it
// names. Other records, and all where nobody's key is known, are not its subject.
func (s Signers) Verify(rec LogRecord) error {
	if _, moved := rec.Act.Move(); !moved || len(s) == 0 {
		return nil
	}
	text, err := moveText(rec.Act, rec.Reason)
	if err != nil {
		return err
	}
	if len(rec.Act.By) == 0 || len(rec.Act.Signed) != len(rec.Act.By) {
		return fmt.Errorf("order about the door of %s by %q: %w", rec.Act.Target, rec.Act.By, ErrSigned)
	}
	for i, person := range rec.Act.By {
		raw, err := base64.StdEncoding.DecodeString(rec.Act.Signed[i])
		var sig ssh.Signature
		if err == nil {
			err = ssh.Unmarshal(raw, &sig)
		}
		key, known := s[person]
		if err != nil || !known || key.Verify(text, &sig) != nil {
			return fmt.Errorf("order about the door of %s by %q: %w", rec.Act.Target, person, ErrSigned)
		}
	}
	return nil
}
