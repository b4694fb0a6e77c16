package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/operation"
	"leitstand/pure/seal"
)

// escrowFile holds every key of the room, closed by a key that exists only in
// shares on paper. It may lie anywhere, and goes into every backup.
const (
	escrowFile = "escrow.locked"
	nextMaster = "master.next" // of a rotation that is under way
	keySubject = "keys"
)

// escrowed are the files that an escrow brings back besides the master key.
func escrowed() []string { return []string{"ledger.key", "ledger.pub", "index.key"} }

type escrowBundle struct {
	Master []byte            `json:"master"`
	Files  map[string][]byte `json:"files"`
}

type escrowArgs struct {
	Second string `json:"second"`
	Need   int    `json:"need"`
	Shares int    `json:"shares"`
}

// Escrow are the shares of a new escrow. They exist once, on paper.
type Escrow struct {
	Need   int      `json:"need"`
	Shares []string `json:"shares"`
}

// escrow closes all keys under a new key and splits that. Older shares open older
// bundles only. Two people are there when the shares are printed.
func escrow(ctx context.Context, r *Room, as access.Person, a escrowArgs) (Escrow, error) {
	second, err := access.Get(ctx, r.Store, a.Second)
	if err != nil {
		return Escrow{}, err
	}
	if second.ID == as.ID {
		return Escrow{}, access.ErrSamePerson
	}
	if err := mayKeep(as, second); err != nil {
		return Escrow{}, err
	}
	if a.Need < 2 {
		return Escrow{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Niemand öffnet die Hinterlegung allein: mindestens zwei Anteile sind nötig."}
	}
	key := seal.NewKey()
	shares, err := key.Split(a.Need, a.Shares)
	if err != nil {
		return Escrow{}, err
	}
	if err := r.writeEscrow(key); err != nil {
		return Escrow{}, err
	}
	out := Escrow{Need: a.Need}
	for _, s := range shares {
		out.Shares = append(out.Shares, s.String())
	}
	return out, r.noteKeys(ctx, as.ID, "keys.escrowed", "", map[string]any{"second": second.ID, "need": a.Need, "shares": a.Shares})
}

func (r *Room) writeEscrow(key seal.Key) error {
	r.keyMu.Lock()
	master := r.master
	r.keyMu.Unlock()
	if master == nil {
		return emergency.ErrLocked
	}
	b := escrowBundle{Master: master.Marshal(), Files: map[string][]byte{}}
	for _, name := range escrowed() {
		content, err := os.ReadFile(filepath.Join(r.opt.Data, name))
		if err != nil {
			return fmt.Errorf("reading what is put in escrow: %w", err)
		}
		b.Files[name] = content
	}
	plain, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encoding the escrow: %w", err)
	}
	closed, err := key.Close(plain)
	if err == nil {
		_, err = writeDurable(filepath.Join(r.opt.Data, escrowFile), closed, nil)
	}
	if err != nil {
		return fmt.Errorf("writing the escrow: %w", err)
	}
	return nil
}

func (r *Room) noteKeys(ctx context.Context, actor, kind, reason string, data any) error {
	return r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{At: r.Now(), Actor: actor, Kind: kind, Subject: keySubject, Reason: reason, Data: data})
		return err
	})
}

// RecoverKeys brings missing key files back from an escrow, and locks the master
// key with a new passphrase. Files that are there are left as they are. Nobody may
// serve the room meanwhile.
func RecoverKeys(data, bundle string, shares []string, passphrase []byte) (restored []string, err error) {
	release, err := db.LockDir(data)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	b, err := openEscrow(bundle, shares)
	if err != nil {
		return nil, err
	}
	master, err := seal.ParseMaster(b.Master)
	if err != nil {
		return nil, err
	}
	defer master.Destroy()
	locked, err := master.Lock(passphrase)
	if err != nil {
		return nil, err
	}
	if err := b.fits(data); err != nil {
		return nil, err
	}
	for _, name := range escrowed() {
		file := filepath.Join(data, name)
		if _, err := os.Stat(file); err == nil {
			continue
		}
		if _, err := writeDurable(file, b.Files[name], nil); err != nil {
			return restored, fmt.Errorf("bringing %s back: %w", name, err)
		}
		restored = append(restored, name)
	}
	if _, err := writeDurable(filepath.Join(data, masterFile), locked, nil); err != nil {
		return restored, fmt.Errorf("locking the master key anew: %w", err)
	}
	return append(restored, masterFile), nil
}

// fits refuses to bring back the key of a ledger that has another one since: what
// it signed would be worth nothing.
func (b escrowBundle) fits(data string) error {
	if _, err := os.Stat(filepath.Join(data, "ledger.key")); err == nil {
		return nil
	}
	public, err := ledger.LoadPublic(data)
	if errors.Is(err, os.ErrNotExist) || err == nil && strings.TrimSpace(string(b.Files["ledger.pub"])) == public {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.New("the ledger's key was changed after these shares were printed: take ledger.key from a backup made since, or begin a new one with leitstand keys rotate-ledger --lost, then repeat this")
}

func openEscrow(bundle string, shares []string) (escrowBundle, error) {
	var b escrowBundle
	parsed := make([]seal.Share, 0, len(shares))
	for _, text := range shares {
		s, err := seal.ParseShare(text)
		if err != nil {
			return b, err
		}
		parsed = append(parsed, s)
	}
	key, err := seal.Combine(parsed)
	if err != nil {
		return b, err
	}
	closed, err := os.ReadFile(bundle)
	if err != nil {
		return b, fmt.Errorf("reading the escrow: %w", err)
	}
	plain, err := key.Open(closed)
	if err != nil {
		return b, fmt.Errorf("opening the escrow: %w", err)
	}
	if err := json.Unmarshal(plain, &b); err != nil {
		return b, errors.New("the escrow opens and holds something unknown: use the program that made it") // the cause could quote a key
	}
	return b, nil
}

// askRotate is the kind of consent to a new key pair of a Kasse.
const askRotate = "key.rotate"

type rotateArgs struct {
	Kasse  catalogue.KasseID `json:"kasse"`
	Reason string            `json:"reason"`
}

func rotateKey(ctx context.Context, r *Room, as access.Person, a rotateArgs) (access.Consent, error) {
	if err := mayKeep(as); err != nil {
		return access.Consent{}, err
	}
	if r.Journals.Locked() {
		return access.Consent{}, emergency.ErrLocked
	}
	if _, err := r.Journals.Open(ctx, a.Kasse); err != nil {
		return access.Consent{}, err
	}
	return ask(ctx, r, as, access.Question{Kind: askRotate, Payload: a, Shown: a, Summary: "Neuer Schlüssel für Kasse " + string(a.Kasse)})
}

// approveRotate uses the consent first: the new key lies in the Kasse's store,
// and one too many does no harm.
func approveRotate(ctx context.Context, r *Room, c access.Consent, first, second access.Person) (Outcome, error) {
	if err := mayKeep(first, second); err != nil {
		return Outcome{}, err
	}
	var a rotateArgs
	if err := json.Unmarshal(c.Payload, &a); err != nil {
		return Outcome{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	j, err := r.Journals.Open(ctx, a.Kasse)
	if err != nil {
		return Outcome{}, err
	}
	if r.Journals.Locked() {
		return Outcome{}, emergency.ErrLocked
	}
	out, err := write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return a, nil })
		return out, err
	})
	if err != nil {
		return out, err
	}
	id, err := j.Rotate(ctx, r.Now(), first.ID, a.Reason)
	if err != nil {
		return out, err
	}
	out.Done = map[string]string{"kasse": string(a.Kasse), "key": id.String()}
	return out, r.noteKeys(ctx, first.ID, "keys.kasse_rotated", a.Reason, map[string]string{"kasse": string(a.Kasse), "key": id.String(), "second": second.ID})
}
