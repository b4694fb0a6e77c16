package emergency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/pure/seal"
)

// Config says where journals lie and what signs and indexes them.
type Config struct {
	Place      db.Place
	Key        ledger.Key
	Index      IndexSecret
	Migrations []db.Migrations // of the emergency services that keep rows in the same stores
	Keepers    []ledger.Keeper // of those rows
	Notes      []NoteSource    // what services keep sealed beside the bodies, for a Kasse's share
	Guard      db.Hook         // asked before every commit to a journal; nil: nobody is asked
}

// Journals opens the journal of each Kasse when it is first needed.
type Journals struct {
	config Config

	mu     sync.Mutex
	open   map[catalogue.KasseID]*Journal
	master *seal.Master // nil while locked
	closed bool
}

// NewJournals opens nothing yet.
func NewJournals(c Config) *Journals {
	return &Journals{config: c, open: map[catalogue.KasseID]*Journal{}}
}

// Provision sets up the journal of a Kasse: its store, its key pair, wrapped by
// master. Repeating it changes nothing.
func (js *Journals) Provision(ctx context.Context, k catalogue.KasseID, at time.Time, actor string, master *seal.Master) error {
	js.mu.Lock()
	defer js.mu.Unlock()
	if _, ok := js.open[k]; ok {
		return nil
	}
	j, err := js.openStore(ctx, k)
	if err != nil {
		return err
	}
	if err := j.setup(ctx, at, actor, master); err != nil {
		return errors.Join(err, j.store.Close())
	}
	return js.keep(ctx, j)
}

// Open returns the journal of a Kasse; ErrNoKey when it was never provisioned.
func (js *Journals) Open(ctx context.Context, k catalogue.KasseID) (*Journal, error) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if j, ok := js.open[k]; ok {
		return j, nil
	}
	if names, err := js.config.Place.Stores(ctx, StoreOf(k)); err != nil {
		return nil, fmt.Errorf("opening the journal of Kasse %s: %w", k, err)
	} else if !slices.Contains(names, StoreOf(k)) { // opening would make it
		return nil, fmt.Errorf("opening the journal of Kasse %s: %w", k, ErrNoKey)
	}
	j, err := js.openStore(ctx, k)
	if err != nil {
		return nil, err
	}
	if err := js.keep(ctx, j); err != nil {
		return nil, err
	}
	return j, nil
}

// openStore is called with the lock held.
func (js *Journals) openStore(ctx context.Context, k catalogue.KasseID) (*Journal, error) {
	if js.closed {
		return nil, fmt.Errorf("opening the journal of Kasse %s: %w", k, db.ErrClosed)
	}
	migrations := append([]db.Migrations{ledger.Schema, Schema}, js.config.Migrations...)
	store, err := js.config.Place.Open(ctx, StoreOf(k), migrations...)
	if err != nil {
		return nil, fmt.Errorf("opening the journal of Kasse %s: %w", k, err)
	}
	if err := ledger.Attach(store, js.config.Key); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if js.config.Guard != nil {
		store.BeforeCommit(js.config.Guard)
	}
	return &Journal{journals: js, kasse: k, store: store, key: js.config.Key.Public}, nil
}

// keep is called with the lock held; it closes the store when the journal cannot be used.
func (js *Journals) keep(ctx context.Context, j *Journal) error {
	if err := j.loadKeys(ctx, js.config.Index); err != nil {
		return errors.Join(fmt.Errorf("opening the journal of Kasse %s: %w", j.kasse, err), j.store.Close())
	}
	js.open[j.kasse] = j
	return nil
}

// List names the Kassen that have a journal, open or not, sorted.
func (js *Journals) List(ctx context.Context) ([]catalogue.KasseID, error) {
	names, err := js.config.Place.Stores(ctx, storePrefix)
	if err != nil {
		return nil, fmt.Errorf("listing journals: %w", err)
	}
	var out []catalogue.KasseID
	for _, n := range names {
		if k, ok := KasseOf(n); ok {
			out = append(out, k)
		}
	}
	return out, nil
}

// Unlock makes bodies readable until Lock. The journals use the master key but
// do not own it.
func (js *Journals) Unlock(m *seal.Master) {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.master = m
}

// Lock forgets all private keys. Accepting goes on.
func (js *Journals) Lock() {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.master = nil
	for _, j := range js.open {
		j.ring = nil
	}
}

// Locked reports whether bodies cannot be opened.
func (js *Journals) Locked() bool {
	js.mu.Lock()
	defer js.mu.Unlock()
	return js.master == nil
}

// Close closes every journal. It may be called twice.
func (js *Journals) Close() error {
	js.mu.Lock()
	defer js.mu.Unlock()
	js.closed = true
	var errs []error
	for k, j := range js.open {
		errs = append(errs, j.store.Close())
		delete(js.open, k)
	}
	return errors.Join(errs...)
}
