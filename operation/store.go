package operation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// Store keeps the state in the room's store and in memory. Several processes may
// have one each on the same store: every write first looks whether another was
// faster.
type Store struct {
	db       *db.DB
	journal  Journal // nil: nothing obeys, orders wait
	settings Settings

	current atomic.Pointer[State] // newest that is known to be committed
	work    *State                // newest, perhaps not yet committed; only the store's writer goroutine touches it

	unsettled atomic.Bool // a journal step failed and is to be repeated
}

// Options of a Store.
type Options struct {
	Settings Settings
	Journal  Journal // the emergency path; nil in rooms without one
}

// Result is what a command did.
type Result struct {
	Seq    int64   // of the ledger entry; 0 when nothing was due
	Change *Change // nil when nothing was due
	State  *State  // with the change
}

// ErrUnsettled says that a change is committed and acknowledged, but a journal
// has not yet obeyed. [Store.Settle] repeats the step; nothing else is needed.
var ErrUnsettled = errors.New("the change is made, but a journal has not obeyed yet")

// NewStore reads the state. The store needs the schemas of ledger, forensics and
// this package.
func NewStore(ctx context.Context, d *db.DB, c *catalogue.Catalogue, o Options) (*Store, error) {
	s := &Store{db: d, journal: o.Journal, settings: o.Settings}
	err := d.Snapshot(ctx, func(ctx context.Context, q db.Querier) error {
		state, err := loadAll(ctx, q, c, o.Settings)
		s.current.Store(state)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Current is the newest committed state that this process knows. It is cheap and
// never changes; call again for a newer one.
func (s *Store) Current() *State { return s.current.Load() }

// Do carries out a command: one transaction with the rows and one ledger entry.
// When it returns without error the change is durable, Current has it, and the
// journals have obeyed. An error that is [ErrUnsettled] means that only the last
// is missing; with any other the change was not made.
func (s *Store) Do(ctx context.Context, c Command) (Result, error) {
	if err := s.Prepare(ctx, c); err != nil {
		return Result{}, err
	}
	var res Result
	err := s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		res, err = s.DoTx(ctx, tx, c)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	return res, s.Done(ctx, res)
}

// DoTx carries out a command in the caller's transaction; rows are further ones
// that the caller writes in it and that belong into the same ledger entry. After
// the commit the caller calls Done; before the transaction, Prepare. It must run
// in a Write of the store that was given to NewStore.
func (s *Store) DoTx(ctx context.Context, tx *db.Tx, c Command, rows ...ledger.Row) (Result, error) {
	base, err := s.base(ctx, tx)
	if err != nil {
		return Result{}, err
	}
	ch, err := Apply(base, c)
	if err != nil || ch == nil {
		return Result{State: base}, err
	}
	ch.Entry.Rows = append(ch.Entry.Rows, rows...)
	if err := ch.write(ctx, tx); err != nil {
		return Result{}, err
	}
	next := base.Clone()
	next.Commit(ch)
	next.stamp = rand.Text()[:16]
	if _, err := tx.Exec(ctx, `update operation_version set version = $1, stamp = $2 where id = 1`, next.version, next.stamp); err != nil {
		return Result{}, fmt.Errorf("storing the state's version: %w", err)
	}
	res := Result{Change: ch, State: next}
	if base.on(RuleOnRecord) {
		if res.Seq, err = ledger.Append(ctx, tx, ch.Entry); err != nil {
			return Result{}, err
		}
	}
	s.work = next
	return res, nil
}

// Prepare does what must be done on the outside before a command may be judged:
// before acceptance it closes the journals, which refuse while something is open.
// Doing it and then not accepting is harmless: the way back reopens them.
func (s *Store) Prepare(ctx context.Context, c Command) error {
	a, ok := c.(*Accept)
	if !ok || s.journal == nil {
		return nil
	}
	state := s.Current()
	if ch, err := Apply(state, a); ch != nil || !onlyBooksMissing(err) {
		return nil // the transaction judges it again and says so
	}
	a.Closed = nil
	for _, name := range a.Nodes {
		p, ok := state.Placement(catalogue.PlacementID(name))
		if !ok || p.Emergency != HandingOver {
			continue
		}
		counts, err := s.journal.Obey(ctx, JournalOrder{Placement: p.ID, State: JournalClosed, Epoch: p.Journal.Epoch, At: a.At})
		if err != nil {
			return refuse(RuleNothingLost, "Das Notbetriebsbuch von %s lässt sich nicht schließen: %v", p.ID, err)
		}
		a.Closed = append(a.Closed, JournalReport{Placement: p.ID, Counts: counts})
	}
	return nil
}

// onlyBooksMissing reports whether everything but the closed books is in order,
// so that no journal is closed for an act that is refused anyway.
func onlyBooksMissing(err error) bool {
	var r *Refused
	return errors.As(err, &r) && r.Rule == RuleNothingLost
}

// Done makes a committed result current and lets the journals obey.
func (s *Store) Done(ctx context.Context, r Result) error {
	if r.Change == nil {
		return nil
	}
	s.publish(r.State)
	return s.obey(ctx, r.Change.Journals)
}

// publish keeps the newest of the committed states: each contains those before it.
func (s *Store) publish(next *State) {
	for {
		old := s.current.Load()
		if old.version >= next.version || s.current.CompareAndSwap(old, next) {
			return
		}
	}
}

// obey tells journals what to do and notes that they stopped taking in.
func (s *Store) obey(ctx context.Context, orders []JournalOrder) error {
	if s.journal == nil {
		return nil
	}
	var reports []JournalReport
	var at time.Time
	var errs []error
	for _, o := range orders {
		counts, err := s.journal.Obey(ctx, o)
		if err != nil {
			errs = append(errs, fmt.Errorf("journal of %s (%s, epoch %d): %w: %w", o.Placement, o.State, o.Epoch, ErrUnsettled, err))
			continue
		}
		if o.State == JournalDraining {
			reports, at = append(reports, JournalReport{Placement: o.Placement, Counts: counts}), o.At
		}
	}
	if len(reports) > 0 {
		c := &ReportJournal{Reports: reports}
		c.Sign(at, access.Person{ID: ledger.System})
		if _, err := s.Do(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("noting that journals have stopped: %w: %w", ErrUnsettled, err))
		}
	}
	if len(errs) > 0 {
		s.unsettled.Store(true)
	}
	return errors.Join(errs...)
}

// Settle repeats every journal step that the state says should have been done.
// It is called at start, and whenever Do returned ErrUnsettled.
func (s *Store) Settle(ctx context.Context, now time.Time) error {
	var orders []JournalOrder
	for _, p := range s.Current().Placements() {
		o := JournalOrder{Placement: p.ID, Epoch: p.Journal.Epoch, At: now}
		switch p.Emergency {
		case Active:
			o.State = JournalOpen
		case HandingOver:
			if p.Writing.Writer != EmergencySide {
				continue // it has stopped, and we know
			}
			o.State = JournalDraining
		case Closed:
			o.State = JournalClosed
		case None, Ready:
			continue
		}
		orders = append(orders, o)
	}
	return s.obey(ctx, orders)
}

// Refresh looks whether another process or transaction was faster and makes the
// newest committed state current.
func (s *Store) Refresh(ctx context.Context) (*State, error) {
	var state *State
	err := s.db.Snapshot(ctx, func(ctx context.Context, q db.Querier) (err error) {
		state, err = s.newest(ctx, q, s.Current())
		return err
	})
	if err != nil {
		return nil, err
	}
	s.publish(state)
	return s.Current(), nil
}

// SetCatalogue puts another catalogue under the state. What is new in it has no
// state until it is adopted; what it drops keeps its state, and the gate stays
// shut for it.
func (s *Store) SetCatalogue(ctx context.Context, c *catalogue.Catalogue) error {
	var next *State
	err := s.db.Snapshot(ctx, func(ctx context.Context, q db.Querier) (err error) {
		next, err = loadAll(ctx, q, c, s.settings)
		return err
	})
	if err != nil {
		return err
	}
	// The writer goroutine must not go on with a state over the old catalogue.
	err = s.db.Write(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if next, err = s.newest(ctx, tx, next); err == nil {
			s.work = next
		}
		return err
	})
	if err != nil {
		return err
	}
	for { // a write since then built on it: that one stays
		old := s.current.Load()
		if old.version > next.version || s.current.CompareAndSwap(old, next) {
			return nil
		}
	}
}

// Due notes deadlines that have passed and repeats journal steps that failed.
// It returns when it wants to be called again; zero: not before something changes.
func (s *Store) Due(ctx context.Context, now time.Time) (time.Time, error) {
	if s.unsettled.CompareAndSwap(true, false) {
		if err := s.Settle(ctx, now); err != nil {
			return now.Add(retrySettle), err
		}
	}
	if due := s.Current().Due(); !due.IsZero() && !now.Before(due) {
		c := &Tick{}
		c.Sign(now, access.Person{ID: ledger.System})
		if _, err := s.Do(ctx, c); err != nil {
			return time.Time{}, err
		}
	}
	return s.Current().Due(), nil
}

// retrySettle is how long Due waits before it asks a journal again.
const retrySettle = 10 * time.Second

// base is the newest state inside a transaction: the one of the write before, or
// read anew when another process wrote or a group of writes was undone.
func (s *Store) base(ctx context.Context, tx *db.Tx) (*State, error) {
	if s.work != nil {
		version, stamp, err := readVersion(ctx, tx)
		if err != nil {
			return nil, err
		}
		if s.work.version == version && s.work.stamp == stamp {
			return s.work, nil
		}
	}
	return s.newest(ctx, tx, s.Current())
}

// newest brings a committed state up to what q sees.
func (s *Store) newest(ctx context.Context, q db.Querier, from *State) (*State, error) {
	version, stamp, err := readVersion(ctx, q)
	if err != nil {
		return nil, err
	}
	switch {
	case version == from.version && stamp == from.stamp:
		return from, nil
	case version <= from.version:
		return nil, fmt.Errorf("the stored state went back from version %d to %d: restart the program", from.version, version)
	}
	next := from.Clone()
	ch, err := loadSince(ctx, q, from.version)
	if err != nil {
		return nil, err
	}
	ch.Version = version
	if unknown := slices.ContainsFunc(ch.rows(), next.strange); unknown {
		return nil, errors.New("another process works with another catalogue: restart the program")
	}
	next.Commit(ch)
	next.stamp = stamp
	return next, nil
}

// strange reports whether a row belongs to a node that the topology lacks.
func (s *State) strange(r ledger.Row) bool {
	if r.Table != "placement" && r.Table != "component_state" {
		return false
	}
	_, ok := s.top.number[r.Key]
	return !ok
}
