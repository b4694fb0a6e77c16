package room

import (
	"bytes"
	"context"
	"crypto/rand"
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
	"leitstand/operation"
	"leitstand/pure/seal"
)

// Setup is what a new room begins with.
type Setup struct {
	Name      string
	Exercise  bool
	Catalogue *catalogue.Catalogue
	People    []access.Person
	// Passphrase locks the keys of all journals. An exercise room without one
	// makes its own and keeps it beside the room.
	Passphrase []byte
	Owner      string // person who owns every placement at first
	Spans      operation.Settings
}

// ErrExists says that a directory holds a room already.
var ErrExists = errors.New("there is a room here already")

// ErrHalf says that a directory holds stores of a room, but not what makes it one.
var ErrHalf = errors.New("stores of a room lie here, but " + settingsFile + " is missing: take it from a backup; a new room needs an empty directory")

// unfinished marks a directory in which Init has begun and not ended.
const unfinished = "init.unfinished"

// Init makes a room and opens it. It leaves nothing half-made that a second try
// would stumble over: the settings file, which makes a directory a room, is
// written last; what an interrupted try left is put aside, never removed.
func Init(ctx context.Context, opt Options, s Setup) (*Room, error) {
	if _, err := os.Stat(filepath.Join(opt.Data, settingsFile)); err == nil {
		return nil, fmt.Errorf("%q: %w", opt.Data, ErrExists)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opt.Data, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	if err := clearWay(opt.Data, opt.Clock()); err != nil {
		return nil, err
	}
	settings := Settings{Name: s.Name, Exercise: s.Exercise, Place: newPlace(), Spans: s.Spans}
	settings.Engine = place(opt, settings).Engine()
	if err := fill(ctx, opt, settings, s); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(settings, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding settings: %w", err)
	}
	if err := os.WriteFile(filepath.Join(opt.Data, settingsFile), append(b, '\n'), 0o600); err != nil {
		return nil, fmt.Errorf("writing settings: %w", err)
	}
	if err := os.Remove(filepath.Join(opt.Data, unfinished)); err != nil {
		return nil, fmt.Errorf("finishing the room: %w", err)
	}
	return Open(ctx, opt)
}

// newPlace is a prefix of schemas that no other room has.
func newPlace() string { return "r" + strings.ToLower(rand.Text()[:8]) + "_" }

// clearWay marks the directory as unfinished. What an earlier try left is moved
// into a directory of its own. Stores without that mark belong to a room that
// lost its settings: they are nobody's to move.
func clearWay(dir string, now time.Time) error {
	mark := filepath.Join(dir, unfinished)
	stores, err := filepath.Glob(filepath.Join(dir, "*.db*"))
	if err != nil {
		return fmt.Errorf("looking for stores: %w", err)
	}
	switch _, err := os.Stat(mark); {
	case err == nil:
		aside := filepath.Join(dir, "unfinished-"+now.UTC().Format("20060102150405.000"))
		if err := os.Mkdir(aside, 0o700); err != nil {
			return fmt.Errorf("putting an unfinished room aside: %w", err)
		}
		for _, name := range append(stores, "ledger.key", "ledger.pub", "index.key", masterFile, passphraseFile) {
			err := os.Rename(filepath.Join(dir, filepath.Base(name)), filepath.Join(aside, filepath.Base(name)))
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("putting an unfinished room aside: %w", err)
			}
		}
		return nil
	case !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("looking at the data directory: %w", err)
	case len(stores) > 0:
		return fmt.Errorf("%q: %w", dir, ErrHalf)
	}
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return fmt.Errorf("beginning the room: %w", err)
	}
	return nil
}

func (s Setup) check() error {
	if s.Catalogue == nil || len(s.People) < 2 {
		return errors.New("a room needs a catalogue and at least two people: no act of weight is done alone")
	}
	if err := s.Catalogue.Validate(); err != nil {
		return err
	}
	owner := false
	for _, p := range s.People {
		if err := p.Check(); err != nil {
			return err
		}
		owner = owner || p.ID == s.Owner
	}
	if !owner {
		return fmt.Errorf("owner %q is none of the people", s.Owner)
	}
	if len(s.Passphrase) == 0 && !s.Exercise {
		return errors.New("a room needs a passphrase: it locks the keys of all journals")
	}
	return nil
}

// fill makes keys and stores: people, catalogue, first states, journals.
func fill(ctx context.Context, opt Options, settings Settings, s Setup) (err error) {
	release, err := db.LockDir(opt.Data)
	if err != nil {
		return err
	}
	r := &Room{opt: opt, release: release, Settings: settings, Catalogue: s.Catalogue}
	defer func() { err = errors.Join(err, r.Close()) }()
	master, err := makeMaster(opt.Data, s)
	if err != nil {
		return err
	}
	defer master.Destroy()
	if r.key, err = ledger.LoadKey(opt.Data); err != nil {
		return err
	}
	place := place(opt, settings)
	if r.Store, err = place.Open(ctx, "room", migrations()...); err != nil {
		return err
	}
	if err := ledger.Attach(r.Store, r.key); err != nil {
		return err
	}
	if err := r.openJournals(place); err != nil {
		return err
	}
	now := r.Now()
	first := s.People[0].ID
	if err := r.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, p := range s.People {
			if err := access.Put(ctx, tx, now, first, p); err != nil {
				return err
			}
		}
		return catalogue.Save(ctx, tx, now, first, s.Catalogue)
	}); err != nil {
		return err
	}
	return r.adopt(ctx, s, master)
}

// adopt gives everything its first state and every Kasse its journal.
func (r *Room) adopt(ctx context.Context, s Setup, master *seal.Master) error {
	now := r.Now()
	store, err := operation.NewStore(ctx, r.Store, s.Catalogue, operation.Options{Settings: s.Spans, Journal: operation.FromEmergency(r.Journals)})
	if err != nil {
		return err
	}
	cmd := &operation.Adopt{Owner: s.Owner}
	cmd.Reason = "Einrichtung des Raums"
	cmd.Sign(now, s.People[0], s.People[1])
	if _, err := store.Do(ctx, cmd); err != nil {
		return err
	}
	if s.Exercise {
		if err := prepareSickNotes(ctx, store, s, now); err != nil {
			return err
		}
	}
	for _, k := range s.Catalogue.Kassen {
		if err := r.Journals.Provision(ctx, k.ID, now, s.People[0].ID, master); err != nil {
			return err
		}
	}
	return nil
}

// prepareSickNotes makes the one emergency service that a practice room brings
// with it ready for every Kasse.
func prepareSickNotes(ctx context.Context, store *operation.Store, s Setup, now time.Time) error {
	cmd := &operation.PrepareEmergency{}
	for _, p := range s.Catalogue.Placements {
		if p.Service == sickNotes {
			cmd.Placements = append(cmd.Placements, p.ID)
		}
	}
	if len(cmd.Placements) == 0 {
		return nil
	}
	cmd.Reason = "Übungsraum: eAU-Annahme im Notbetrieb ist vorbereitet"
	cmd.Sign(now, s.People[0], s.People[1])
	_, err := store.Do(ctx, cmd)
	return err
}

// sickNotes is the service whose emergency operation package sicknote is.
const sickNotes catalogue.ServiceID = "eau"

func makeMaster(dir string, s Setup) (*seal.Master, error) {
	pass := s.Passphrase
	if len(pass) == 0 { // an exercise: the passphrase lies beside the room, as screens and docs say
		pass = []byte(rand.Text())
		if err := os.WriteFile(filepath.Join(dir, passphraseFile), pass, 0o600); err != nil {
			return nil, fmt.Errorf("writing the passphrase of the exercise: %w", err)
		}
	}
	master := seal.NewMaster()
	locked, err := master.Lock(pass)
	if err != nil {
		return nil, fmt.Errorf("locking the master key: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, masterFile), locked, 0o600); err != nil {
		return nil, fmt.Errorf("writing the locked master key: %w", err)
	}
	return master, nil
}

// PracticePeople are the fictitious people of practice and exercise rooms.
func PracticePeople(kassen ...catalogue.KasseID) []access.Person {
	people := []access.Person{
		{ID: "lead", Name: "Ines Übungsleiter", Roles: []access.Role{access.CrisisLead}},
		{ID: "lead2", Name: "Jan Vertreter", Roles: []access.Role{access.CrisisLead}},
		{ID: "operator", Name: "Olga Betrieb", Roles: []access.Role{access.Operator}},
		{ID: "operator2", Name: "Paul Nachtdienst", Roles: []access.Role{access.Operator}},
		{ID: "examiner", Name: "Emil Forensik", Roles: []access.Role{access.Examiner}},
		{ID: "examiner2", Name: "Frida Forensik", Roles: []access.Role{access.Examiner}},
		{ID: "press", Name: "Petra Sprecherin", Roles: []access.Role{access.Press}},
		{ID: "payments", Name: "Zora Zahlung", Roles: []access.Role{access.PaymentReleaser}},
		{ID: "auditor", Name: "Rita Revision", Roles: []access.Role{access.Auditor}},
	}
	for _, k := range kassen {
		people = append(people, access.Person{ID: "kasse-" + string(k), Name: "Vertretung " + string(k), Roles: []access.Role{access.KasseDelegate}, Kasse: k})
	}
	for i := range people {
		people[i].Active = true
	}
	return people
}

// ParsePeople reads a JSON list of people; unknown fields are errors.
func ParsePeople(b []byte) ([]access.Person, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var out []access.Person
	if err := dec.Decode(&out); err != nil {
		return nil, fmt.Errorf("reading people: %w", err)
	}
	for i := range out {
		out[i].Active = true
		if err := out[i].Check(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Exists says whether a directory holds a room.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, settingsFile))
	return err == nil
}
