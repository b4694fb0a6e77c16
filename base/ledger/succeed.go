package ledger

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"leitstand/base/db"

	"golang.org/x/mod/sumdb/note"
)

// nextFile holds a new key and its succession from the moment on that they count
// until both files of the key say so.
const nextFile = "ledger.next"

type nextKey struct {
	Secret string `json:"secret"`
	Public string `json:"public"`
}

// ErrNotLost says that a key is there after all.
var ErrNotLost = errors.New("the key is there: it has to sign for the new one")

// Size is the number of entries of a ledger.
func Size(ctx context.Context, q db.Querier) (int64, error) { return entries(ctx, q) }

// Succeed gives a data directory a new key, for which the old one signs. Nobody
// may write to the room's ledgers meanwhile: s.Sizes says how long they are. It
// happens at once, when the file ledger.next gets its name; interrupted after that,
// the next [LoadKey] finishes it, before that nothing has changed.
func Succeed(dir string, s Succession) (Key, error) {
	public, err := LoadPublic(dir)
	if err != nil {
		return Key{}, err
	}
	secret, err := os.ReadFile(filepath.Join(dir, secretFile))
	switch {
	case err == nil && s.Lost:
		return Key{}, fmt.Errorf("%s: %w", secretFile, ErrNotLost)
	case err != nil && (!s.Lost || !errors.Is(err, os.ErrNotExist)):
		return Key{}, fmt.Errorf("reading the ledger key: %w", err)
	}
	if err := oneLiners(s.First, s.Second, strings.Join(strings.Fields(s.Reason), " ")); err != nil {
		return Key{}, err
	}
	name, _, _ := strings.Cut(CurrentKey(public), "+")
	next, err := NewKey(name)
	if err != nil {
		return Key{}, err
	}
	s.Old, s.New = CurrentKey(public), next.Public
	signers := []string{next.secret}
	if !s.Lost {
		signers = append(signers, strings.TrimSpace(string(secret)))
	}
	if next.Public, err = s.extend(public, signers); err != nil {
		return Key{}, err
	}
	b, err := json.Marshal(nextKey{next.secret, next.Public}) //nolint:gosec // it goes into a file of mode 0600 beside the key that it replaces
	if err == nil {
		err = replace(filepath.Join(dir, nextFile), b)
	}
	if err != nil {
		return Key{}, fmt.Errorf("writing the new ledger key: %w", err)
	}
	return next, finishSuccession(dir)
}

func oneLiners(all ...string) error {
	for _, v := range all {
		if v == "" || strings.ContainsAny(v, "\r\n") {
			return errors.New("a new ledger key is decided by two people with a reason")
		}
	}
	return nil
}

// extend signs the succession and adds it to the public half.
func (s Succession) extend(public string, secrets []string) (string, error) {
	signers := make([]note.Signer, len(secrets))
	for i, secret := range secrets {
		var err error
		if signers[i], err = note.NewSigner(secret); err != nil {
			return "", fmt.Errorf("reading the ledger key: %w", err)
		}
	}
	signed, err := note.Sign(&note.Note{Text: s.text()}, signers...)
	if err != nil {
		return "", fmt.Errorf("signing the succession of keys: %w", err)
	}
	_, before, _ := strings.Cut(strings.TrimSpace(public)+"\n", "\n")
	out := s.New + "\n" + before + successionLine + base64.StdEncoding.EncodeToString(signed)
	_, err = parseTrust(out) // what is written must be readable, or nobody opens this room again
	return out, err
}

// finishSuccession puts a new key that counts already into its two files.
// Repeating it changes nothing.
func finishSuccession(dir string) error {
	file := filepath.Join(dir, nextFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var next nextKey
	if err == nil {
		err = json.Unmarshal(b, &next)
	}
	if err == nil {
		err = replace(filepath.Join(dir, publicFile), []byte(next.Public+"\n"))
	}
	if err == nil {
		err = replace(filepath.Join(dir, secretFile), []byte(next.Secret+"\n"))
	}
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("finishing the change of the ledger key: %w", err)
	}
	return nil
}

// replace gives a file new content at once, also when the power goes.
func replace(file string, content []byte) error {
	f, err := os.OpenFile(file+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
