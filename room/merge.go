package room

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
)

// compareArgs name the room of the first machine: its data directory, or a
// backup or continuous copy of it. Nothing in it is changed.
type compareArgs struct {
	From       string   `json:"from"`
	Database   string   `json:"database,omitempty"` // without a password, when the data directory's room lies in PostgreSQL; "" for the database of this room
	Identities []string `json:"identities,omitempty"`
}

// AloneReport is what the first machine took down after this one had taken over.
type AloneReport struct {
	From    string          `json:"from"`
	Common  int64           `json:"common"` // entries of the room that both have
	Entries []ledger.Record `json:"entries"`
	Kassen  []AloneKasse    `json:"kassen"` // those with anything of their own
	Hash    string          `json:"hash"`   // of all of it
}

// AloneKasse is the same for one Kasse.
type AloneKasse struct {
	Kasse   catalogue.KasseID `json:"kasse"`
	Common  int64             `json:"common"`
	Entries int64             `json:"entries"`
	Items   []AloneItem       `json:"items"`
}

// AloneItem is an item that only the first machine has.
type AloneItem struct {
	Label string          `json:"label"` // its number over there
	ID    string          `json:"id"`
	Kind  emergency.Kind  `json:"kind"`
	State emergency.State `json:"state"`
	Known bool            `json:"known"` // this room got the same by another way
}

// maxAlone bounds how many entries a report lists.
const maxAlone = 10000

// firstMachine is the opened room of the first machine.
type firstMachine struct {
	place  db.Place
	public string // its own: what it signed under a key that was changed here since still counts there
	remove func() error
}

// openFirst opens a data directory where it is, for reading; a copy is unpacked first.
func (r *Room) openFirst(ctx context.Context, a compareArgs) (*firstMachine, error) {
	if public, err := ledger.LoadPublic(a.From); err == nil {
		if !ledger.SameRoom(public, r.Public()) {
			return nil, fmt.Errorf("%q is another room (%s)", a.From, public)
		}
		place, release, err := r.ownFirst(ctx, a)
		if err != nil {
			return nil, err
		}
		return &firstMachine{place: place, public: public, remove: release}, nil
	}
	ids, err := ReadIdentities(a.Identities...)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(r.opt.Data, scratchFirst)
	if err != nil {
		return nil, fmt.Errorf("making room for what the first machine has: %w", err)
	}
	m, err := unpack(ctx, a.From, filepath.Join(dir, "room"), ids)
	if err == nil && !ledger.SameRoom(m.Public, r.Public()) {
		err = fmt.Errorf("%q is of another room (%s)", a.From, m.Public)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &firstMachine{place: db.InDir(filepath.Join(dir, "room")), public: m.Public, remove: func() error { return os.RemoveAll(dir) }}, nil
}

// with opens one store of the first machine, checks its ledger and calls fn.
func (f *firstMachine) with(ctx context.Context, name string, fn func(d *db.DB) error) error {
	d, err := f.place.Open(ctx, name)
	if err != nil {
		return err
	}
	rep, err := ledger.Verify(ctx, d, f.public)
	if err == nil && len(rep.Problems) > 0 {
		err = fmt.Errorf("the ledger %q of the first machine: %s: %w", name, rep.Problems[0].Text, ErrProblems)
	}
	if err == nil {
		err = fn(d)
	}
	return errors.Join(err, d.Close())
}

func compareFirst(ctx context.Context, r *Room, a compareArgs) (rep AloneReport, err error) {
	f, err := r.openFirst(ctx, a)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, f.remove()) }()
	return r.compareWith(ctx, f, a.From)
}

func (r *Room) compareWith(ctx context.Context, f *firstMachine, from string) (AloneReport, error) {
	rep := AloneReport{From: from, Entries: []ledger.Record{}, Kassen: []AloneKasse{}}
	err := f.with(ctx, "room", func(d *db.DB) (err error) {
		if rep.Common, err = ledger.Common(ctx, r.Store, d); err != nil {
			return err
		}
		rep.Entries, err = ledger.Read(ctx, d, rep.Common, maxAlone)
		return err
	})
	if err != nil {
		return rep, err
	}
	names, err := f.place.Stores(ctx, "kasse_")
	if err != nil {
		return rep, err
	}
	err = r.eachJournal(ctx, func(j *emergency.Journal) error {
		if !slices.Contains(names, j.Store().Name()) {
			return nil
		}
		return f.with(ctx, j.Store().Name(), func(d *db.DB) error {
			k, err := aloneKasse(ctx, j, d)
			if k.Entries > 0 {
				rep.Kassen = append(rep.Kassen, k)
			}
			return err
		})
	})
	if err != nil {
		return rep, err
	}
	b, err := json.Marshal(struct {
		C int64
		E []ledger.Record
		K []AloneKasse
	}{rep.Common, rep.Entries, rep.Kassen})
	if err != nil {
		return rep, fmt.Errorf("hashing what the first machine took down: %w", err)
	}
	sum := sha256.Sum256(b)
	rep.Hash = hex.EncodeToString(sum[:])
	return rep, nil
}

func aloneKasse(ctx context.Context, j *emergency.Journal, d *db.DB) (AloneKasse, error) {
	k := AloneKasse{Kasse: j.Kasse(), Items: []AloneItem{}}
	var err error
	if k.Common, err = ledger.Common(ctx, j.Store(), d); err != nil {
		return k, err
	}
	if err := d.QueryRow(ctx, `select count(*) from ledger_entry where seq > $1`, k.Common).Scan(&k.Entries); err != nil {
		return k, fmt.Errorf("counting what the first machine took down: %w", err)
	}
	if k.Entries == 0 {
		return k, nil
	}
	items, err := j.Alone(ctx, d)
	for _, f := range items {
		k.Items = append(k.Items, AloneItem{Label: f.Number.Label(k.Kasse), ID: f.ID, Kind: f.Kind, State: f.State, Known: f.Known})
	}
	return k, err
}

// askMerge is the kind of consent to taking in what the first machine accepted alone.
const askMerge = "merge"

type mergeArgs struct {
	compareArgs
	Hash   string `json:"hash"` // of the report that was looked at
	Reason string `json:"reason"`
}

// askToMerge asks a second person to agree to what compare shows.
func askToMerge(ctx context.Context, r *Room, as access.Person, a mergeArgs) (access.Consent, error) {
	if err := mayKeep(as); err != nil {
		return access.Consent{}, err
	}
	rep, err := compareFirst(ctx, r, a.compareArgs)
	if err != nil {
		return access.Consent{}, err
	}
	if a.Hash != "" && a.Hash != rep.Hash {
		return access.Consent{}, access.ErrChanged
	}
	a.Hash = rep.Hash
	items := 0
	for _, k := range rep.Kassen {
		items += len(k.Items)
	}
	return ask(ctx, r, as, access.Question{
		Kind: askMerge, Payload: a, Shown: rep.Hash,
		Summary: fmt.Sprintf("Zusammenführen: %d Vorgänge und %d Einträge, die der erste Rechner allein hat", items, len(rep.Entries)),
	})
}

// Merged is what came of it.
type Merged struct {
	Entries int                                     `json:"entries"` // of the room, kept as evidence and done by nobody
	Kept    string                                  `json:"kept"`    // file with the first machine's ledger
	Kassen  map[catalogue.KasseID]emergency.Adopted `json:"kassen"`
	Waiting map[catalogue.KasseID]string            `json:"waiting,omitempty"` // why a Kasse's items could not come in yet: merge again later
}

// approveMerge takes items in and keeps the other ledger as evidence. Decisions
// of the first machine are shown and not repeated: people take them again. The
// steps can be repeated, so the consent is used first and the outcome follows.
func approveMerge(ctx context.Context, r *Room, c access.Consent, first, second access.Person) (out Outcome, err error) {
	if err := mayKeep(first, second); err != nil {
		return Outcome{}, err
	}
	var a mergeArgs
	if err := json.Unmarshal(c.Payload, &a); err != nil {
		return Outcome{}, fmt.Errorf("reading the request %q: %w", c.ID, err)
	}
	f, err := r.openFirst(ctx, a.compareArgs)
	if err != nil {
		return Outcome{}, err
	}
	defer func() { err = errors.Join(err, f.remove()) }()
	rep, err := r.compareWith(ctx, f, a.From)
	if err != nil {
		return Outcome{}, err
	}
	out, err = write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return rep.Hash, nil })
		return out, err
	})
	if err != nil {
		return out, err
	}
	done, err := r.merge(ctx, f, rep, first, second, a.Reason)
	out.Done = done
	return out, err
}

func (r *Room) merge(ctx context.Context, f *firstMachine, rep AloneReport, first, second access.Person, reason string) (Merged, error) {
	now := r.Now()
	done := Merged{Entries: len(rep.Entries), Kassen: map[catalogue.KasseID]emergency.Adopted{}, Waiting: map[catalogue.KasseID]string{}}
	kept, sum, err := r.keepFirstLedger(ctx, f, rep)
	if err != nil {
		return done, err
	}
	done.Kept = kept
	for _, k := range rep.Kassen {
		got, err := r.mergeKasse(ctx, f, k.Kasse, emergency.Adoption{
			At: now, Actor: first.ID, Reason: reason, Owner: first.ID, Deadline: now.Add(24 * time.Hour),
		})
		if errors.Is(err, emergency.ErrNotOpen) {
			done.Waiting[k.Kasse] = err.Error()
			continue
		}
		if err != nil {
			return done, err
		}
		done.Kassen[k.Kasse] = got
	}
	return done, r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: now, Actor: first.ID, Kind: "takeover.merged", Subject: "room", Reason: reason,
			Data: map[string]any{"second": second.ID, "common": rep.Common, "entries": done.Entries, "kept_sha256": sum, "kassen": done.Kassen, "waiting": done.Waiting},
		})
		return err
	})
}

func (r *Room) mergeKasse(ctx context.Context, f *firstMachine, k catalogue.KasseID, a emergency.Adoption) (out emergency.Adopted, err error) {
	j, err := r.Journals.Open(ctx, k)
	if err != nil {
		return out, err
	}
	err = f.with(ctx, j.Store().Name(), func(d *db.DB) error {
		items, err := j.Alone(ctx, d)
		if err != nil {
			return err
		}
		a.Also = func(ctx context.Context, tx *db.Tx, numbers map[emergency.Number]emergency.Number) ([]ledger.Row, map[emergency.Number]bool, error) {
			return sicknote.Adopt(ctx, tx, d, numbers)
		}
		out, err = j.Adopt(ctx, d, a, items)
		return err
	})
	return out, err
}

// keepFirstLedger writes the ledger of the first machine beside the room.
func (r *Room) keepFirstLedger(ctx context.Context, f *firstMachine, rep AloneReport) (name, sum string, err error) {
	name = "first-machine-" + rep.Hash[:16] + ".jsonl"
	err = f.with(ctx, "room", func(d *db.DB) error {
		out, err := createDurable(filepath.Join(r.opt.Data, name), nil)
		if err != nil {
			return err
		}
		if err := ledger.Export(ctx, d, f.public, out); err != nil {
			return errors.Join(err, out.abort())
		}
		kept, err := out.finish()
		sum = kept.SHA256
		return err
	})
	return name, sum, err
}
