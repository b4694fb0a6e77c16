package room

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/emergency"
	"leitstand/emergency/sicknote"
	"leitstand/emergency/sicknote/token"
	"leitstand/forensics"
	"leitstand/gateway"
	"leitstand/incident"
	"leitstand/notice"
	"leitstand/operation"
	"leitstand/pure/seal"
	"leitstand/recovery"
	"leitstand/warning"
)

// Options say where a room lies and how it is opened.
type Options struct {
	Data       string            // directory with stores and keys
	Database   string            // postgres://… instead of SQLite files in Data
	Passphrase []byte            // unlocks the room: bodies can be opened; nil leaves it locked
	Holders    map[string][]byte // person → passphrase: unlock a room whose key is shared
	Clock      func() time.Time  // nil: the real clock
	Log        *slog.Logger      // nil: silent

	Connections *Connections     // nil: from connections.json, if there is one
	Doors       *DoorsConfig     // nil: from gateway.json, if there is one
	Warning     *WarningConfig   // nil: from warning.json, if there is one
	Employers   *EmployersConfig // nil: from employers.json, if there is one
	Desks       *DesksConfig     // nil: no typed emergency services
	Heartbeat   Heartbeat        // the dead-man's signal of a room that is served
	Limits      Limits           // when the room warns; zero values take the defaults
	// Certificates are files (PEM) whose end the room watches.
	Certificates []string
	Identities   []age.Identity // open what a backup sealed, when restoring
	CopyTo       string         // second place, which is copied to all the time and asked who may write; "" for none
	Guard        db.Hook        // asked before every commit to every store; nil: nobody is asked
	Alone        *Alone         // begin although the second place cannot be asked

	restored bool // a copy was just unpacked here: it is its own way back
	// Uptime is the clock that nobody sets; nil: this machine's, or none with a Clock given.
	Uptime Uptime
}

// Room is an open room. It belongs to one process: the data directory is locked.
type Room struct {
	opt     Options
	release func() error
	key     ledger.Key

	Store     *db.DB
	Catalogue *catalogue.Catalogue
	Operation *operation.Store
	Journals  *emergency.Journals
	Warning   *warning.Intake
	Intake    *sicknote.Intake // nil until Connect
	Settings  Settings
	Links     Links // who may enter the control room

	isolator    Isolator
	drivers     driverSet
	steps       *recovery.StepRunner
	regular     map[catalogue.PlacementID]RegularConfig
	channels    channelSet
	delegates   []access.Person
	forecasts   kept[foretold, *recovery.Forecast]
	comparisons kept[compared, *recovery.Answer]
	backlogs    backlogCache
	duty        warning.Duty
	hosts       []hostRule
	sources     []warning.SourceConfig
	alarm       alarm
	regression  string // folder of must-match events for foreign rules

	keyMu     sync.Mutex
	master    *seal.Master // nil while locked
	lockedWhy string
	halves    halves // of a shared key, while people are waited for

	fence     fence
	alone     func() error  // keeps other nodes from leading while the room is upgraded; nil otherwise
	copier    *copier       // nil without a second place
	mailboxes []string      // addresses, set by Connect
	tokens    []*token.Keys // of mailboxes, likewise
	pulse     pulse
	doors     atomic.Pointer[Doors] // this room's gateway, while it is open
	life      lifeSigns

	clock        clockWatch
	foreignClock bool // the clock is not this machine's
	timeSource   func() (synced bool, off time.Duration, err error)
}

// Settings of a room lie in room.json and are written once, by Init.
type Settings struct {
	Name     string `json:"name"`
	Exercise bool   `json:"exercise"` // marked ÜBUNG everywhere, loopback only, for life
	Place    string `json:"place"`    // prefix of the schemas in PostgreSQL
	Engine   string `json:"engine"`   // SQLite or PostgreSQL: where the rows lie
	// Spans are how long things may take; zero values take the defaults.
	Spans operation.Settings `json:"spans"`
}

const (
	settingsFile   = "room.json"
	masterFile     = "master.locked"
	passphraseFile = "passphrase" // of practice rooms only
)

// ErrNoRoom says that a directory holds no room.
var ErrNoRoom = errors.New("there is no room here: run leitstand init first")

// migrations of the room's store, in the order of what refers to what.
func migrations() []db.Migrations {
	return []db.Migrations{
		ledger.Schema, catalogue.Schema, access.Schema, warning.Schema, incident.Schema,
		forensics.Schema, operation.Schema, containment.Schema, notice.Schema,
		recovery.ReturnSchema, recovery.PlanSchema, gateway.Schema, Schema,
	}
}

// Keepers are all tables of the room whose rows the ledger accounts for.
func (r *Room) Keepers() []ledger.Keeper {
	var out []ledger.Keeper
	for _, k := range [][]ledger.Keeper{
		{catalogue.Keeper()},
		access.Keepers(), warning.Keepers(), incident.Keepers(), forensics.Keepers(),
		operation.Keepers(), containment.Keepers(), notice.Keepers(), recovery.ReturnKeepers(), recovery.PlanKeepers(), keepers(),
	} {
		out = append(out, k...)
	}
	return out
}

// Open opens a room that Init made.
func Open(ctx context.Context, opt Options) (_ *Room, err error) {
	settings, err := readSettings(opt.Data)
	if err != nil {
		return nil, err
	}
	foreign := opt.Clock != nil
	if !foreign {
		opt.Clock = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	opt.Limits = opt.Limits.withDefaults()
	if err := settings.fits(opt); err != nil {
		return nil, err
	}
	r := &Room{opt: opt, pulse: pulse{opened: opt.Clock().UTC()}, Settings: settings, foreignClock: foreign, timeSource: timeSource}
	if r.release, err = db.LockDir(opt.Data); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if err := removeScratch(opt.Data); err != nil {
		return nil, err
	}
	if r.key, err = ledger.LoadKey(opt.Data); err != nil {
		return nil, err
	}
	place := place(opt, settings)
	if err := mustHold(ctx, place); err != nil {
		return nil, err
	}
	upgraded, err := r.upgrade(ctx, place)
	if err != nil {
		return nil, err
	}
	if r.Store, err = place.Open(ctx, "room", migrations()...); err != nil {
		return nil, r.interrupted(upgraded, err)
	}
	if err := r.knowsNewestKey(ctx); err != nil {
		return nil, err
	}
	if err := ledger.Attach(r.Store, r.key); err != nil {
		return nil, err
	}
	r.fence.also = opt.Guard
	r.Store.BeforeCommit(r.fence.hook)
	r.steps = &recovery.StepRunner{Store: r.Store, Now: r.Now}
	if err := r.openJournals(place); err != nil {
		return nil, err
	}
	noteUpgrade := func(ctx context.Context) error { return r.upgraded(ctx, upgraded) }
	for _, step := range []func(context.Context) error{r.openFence, r.startClock, noteUpgrade, r.noteSuccessions} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r, r.start(ctx)
}

func place(opt Options, s Settings) db.Place {
	if opt.Database != "" {
		return db.InPostgres(opt.Database, s.Place)
	}
	return db.InDir(opt.Data)
}

// fits refuses to look for a room's rows where they are not: an empty room would
// be made there.
func (s Settings) fits(opt Options) error {
	switch have := place(opt, s).Engine(); {
	case s.Engine == have || s.Engine == "":
		return nil
	case opt.Database == "":
		return fmt.Errorf("the rows of this room lie in %s: say where with --db postgres://… or LEITSTAND_DB", s.Engine)
	}
	return fmt.Errorf("the rows of this room lie in %s files in %q: leave --db out", s.Engine, opt.Data)
}

func (r *Room) openJournals(place db.Place) error {
	index, err := emergency.LoadIndexSecret(r.opt.Data)
	if err != nil {
		return err
	}
	r.Journals = emergency.NewJournals(emergency.Config{
		Place: place, Key: r.key, Index: index, Guard: r.fence.hook,
		Migrations: journalServices(), Keepers: sicknote.Keepers(), Notes: sicknote.Notes(),
	})
	return nil
}

// start reads the catalogue and the state, and checks the invariants.
func (r *Room) start(ctx context.Context) error {
	var err error
	if r.Catalogue, err = catalogue.Load(ctx, r.Store); err != nil {
		return err
	}
	if r.Operation, err = operation.NewStore(ctx, r.Store, r.Catalogue, operation.Options{Settings: r.Settings.Spans, Journal: operation.FromEmergency(r.Journals)}); err != nil {
		return err
	}
	if err := r.startWarning(); err != nil {
		return err
	}
	if err := r.Operation.Settle(ctx, r.Now()); err != nil && !errors.Is(err, operation.ErrUnsettled) && !errors.Is(err, ErrFenced) {
		return err
	}
	for _, v := range operation.CheckInvariants(r.Operation.Current(), r.Now()) {
		r.opt.Log.Error("a rule is violated", slog.Int("rule", int(v.Rule)), slog.String("what", v.Text))
	}
	people, err := access.List(ctx, r.Store)
	if err != nil {
		return err
	}
	for _, p := range people {
		if p.Has(access.KasseDelegate) {
			r.delegates = append(r.delegates, p)
		}
	}
	if err := r.loadConnections(); err != nil {
		return err
	}
	return r.unlock()
}

// unlock makes bodies readable when a passphrase was given, or lies beside a
// practice room.
func (r *Room) unlock() error {
	o := r.opt.opening()
	if o.empty() && r.Settings.Exercise {
		b, err := os.ReadFile(filepath.Join(r.opt.Data, passphraseFile))
		if err != nil {
			return nil //nolint:nilerr // it stays locked, which the screens say
		}
		o.Passphrase = b
	}
	locked, err := os.ReadFile(filepath.Join(r.opt.Data, masterFile))
	shared := err == nil && seal.IsShared(locked)
	if shared {
		r.lockedWhy = "der Raumschlüssel ist geteilt: die Personen, die ihn halten, öffnen ihn zusammen (leitstand keys unlock)"
	}
	if o.empty() || shared && len(o.Holders) == 0 { // a passphrase alone opens no shared key
		return nil
	}
	if _, err := os.Stat(filepath.Join(r.opt.Data, nextMaster)); err == nil {
		// Some keys are wrapped by the old master, some by the new: accepting goes on.
		r.lockedWhy = "der Wechsel des Raumschlüssels wurde unterbrochen: Raum anhalten und leitstand keys rotate-room mit denselben Passphrasen wiederholen"
		r.opt.Log.Error("the room stays locked: a rotation of its key was interrupted; stop the room and repeat: leitstand keys rotate-room")
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the locked master key: %w", err)
	}
	m, err := o.openMaster(locked)
	if errors.Is(err, seal.ErrPassphrase) && r.opt.opening().empty() {
		r.lockedWhy = "die Passphrase neben dem Übungsraum passt nicht mehr: sie wurde gewechselt"
		return nil
	}
	if err != nil {
		return fmt.Errorf("unlocking the room: %w", err)
	}
	r.master, r.lockedWhy = m, ""
	r.Journals.Unlock(m)
	return nil
}

func (o Options) opening() Opening { return Opening{Passphrase: o.Passphrase, Holders: o.Holders} }

// Close closes everything that is open and gives the directory free.
func (r *Room) Close() error {
	var errs []error
	r.channels.closeAll()
	if r.Intake != nil {
		r.Intake.Close()
	}
	r.closeTokens()
	if r.Warning != nil {
		errs = append(errs, r.Warning.Close())
	}
	if r.Journals != nil {
		errs = append(errs, r.Journals.Close())
	}
	if r.Store != nil {
		r.keepClock()
		errs = append(errs, r.Store.Close())
	}
	if r.release != nil {
		errs = append(errs, r.release())
	}
	return errors.Join(errs...)
}

// Now is the room's clock.
func (r *Room) Now() time.Time { return r.opt.Clock().UTC() }

// Public is the key with which heads of this room's ledgers are checked.
func (r *Room) Public() string { return r.key.Public }

// ErrNoStore says that the room's store is gone although the room was made.
var ErrNoStore = errors.New("the room's store (room.db, or its schema) is missing: stop, look where it went, or restore from a backup")

// mustHold refuses to make an empty store where a room was.
func mustHold(ctx context.Context, p db.Place) error {
	names, err := p.Stores(ctx, "room")
	if err != nil {
		return fmt.Errorf("looking for the room's store: %w", err)
	}
	if !slices.Contains(names, "room") {
		return ErrNoStore
	}
	return nil
}

func readSettings(dir string) (Settings, error) {
	var s Settings
	b, err := os.ReadFile(filepath.Join(dir, settingsFile))
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "room.db")); err == nil {
			return s, fmt.Errorf("%q: %w", dir, ErrHalf)
		}
		return s, fmt.Errorf("%q: %w", dir, ErrNoRoom)
	}
	if err != nil {
		return s, fmt.Errorf("opening the room: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("reading %s: %w: take it from a backup", filepath.Join(dir, settingsFile), err)
	}
	return s, nil
}

// defaultOwner gets signals until duties are distributed.
const defaultOwner = "operator"

// now is the clock of a room that is not open.
func (o Options) now() time.Time {
	if o.Clock == nil {
		return time.Now().UTC()
	}
	return o.Clock().UTC()
}
