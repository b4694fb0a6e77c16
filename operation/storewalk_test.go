package operation_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/operation"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// paper is a journal for tests: it keeps the books of the generator's world by
// the rules of a journal, and fails now and then.
type paper struct {
	g       *generator
	fails   int // percent
	drained []operation.JournalReport
}

var errNoPaper = errors.New("no paper")

// Obey implements operation.Journal.
func (j *paper) Obey(_ context.Context, o operation.JournalOrder) (operation.Counts, error) {
	id := string(o.Placement)
	b := j.g.w.books[id]
	if j.g.chance(j.fails) {
		return b, errNoPaper
	}
	draining := o.State == operation.JournalDraining
	running := b.State == operation.JournalOpen || b.State == operation.JournalDraining
	switch o.State {
	case operation.JournalOpen:
		if o.Epoch < b.Epoch || !running && o.Epoch == b.Epoch {
			return b, fmt.Errorf("opening %s with epoch %d after %d", id, o.Epoch, b.Epoch)
		}
	case operation.JournalDraining:
		if o.Epoch != b.Epoch || b.State == operation.JournalNone {
			return b, fmt.Errorf("draining %s in %s with epoch %d after %d", id, b.State, o.Epoch, b.Epoch)
		}
		if b.State == operation.JournalClosed {
			o.State = operation.JournalClosed
		}
	case operation.JournalClosed:
		if o.Epoch != b.Epoch || b.Open > 0 {
			return b, fmt.Errorf("closing %s with epoch %d after %d and %d open", id, o.Epoch, b.Epoch, b.Open)
		}
	case operation.JournalNone:
		return b, errors.New("no order")
	}
	if o.State != operation.JournalOpen && b.State == operation.JournalOpen {
		b = j.g.work(b)
	}
	b.State, b.Epoch = o.State, o.Epoch
	j.g.w.books[id] = b
	if draining {
		j.drained = append(j.drained, operation.JournalReport{Placement: o.Placement, Counts: b})
	}
	return b, nil
}

// storeWalk is a walk on a store: the same commands, model and world.
type storeWalk struct {
	*walk
	shop     *shop
	paper    *paper
	restarts bool
}

func newStoreWalk(t *testing.T, p db.Place, seed uint64) *storeWalk {
	t.Helper()
	m := newModel()
	w := &walk{g: newGenerator(seed, m), m: m, stats: newStats(), looked: map[string]looked{}}
	for _, n := range m.order {
		w.g.w.regularOpen[n] = true
	}
	paper := &paper{g: w.g, fails: 5}
	return &storeWalk{walk: w, shop: openShop(t, p, operation.Options{Journal: paper}), paper: paper, restarts: true}
}

// step carries out one command on the store and the model and compares.
func (w *storeWalk) step(c operation.Command) error {
	if a, ok := c.(*operation.Accept); ok {
		a.Closed = nil // the store asks the journals
	}
	w.paper.drained = nil
	res, err := w.shop.Do(w.shop.t.Context(), c)
	unsettled := errors.Is(err, operation.ErrUnsettled)
	if unsettled {
		err = nil
	}
	if err := w.judge(c, res.Change != nil, err); err != nil {
		return err
	}
	if res.Change == nil {
		return nil
	}
	for _, p := range res.Change.Placements {
		if p.Writing.Writer == operation.RegularSide && !p.Writing.Closing {
			w.g.w.regularOpen[string(p.ID)] = true
		}
	}
	if err := w.noted(); err != nil {
		return err
	}
	if unsettled && w.restarts && w.g.chance(50) { // as if killed between the two stores
		unsettled = false
		if err := w.restart(false); err != nil {
			return err
		}
	}
	for unsettled {
		if err := w.settle(); err != nil {
			if !errors.Is(err, operation.ErrUnsettled) {
				return err
			}
			continue
		}
		unsettled = false
	}
	w.s = w.shop.Current()
	return errors.Join(w.writers(), w.same(), w.invariants())
}

// settle repeats journal steps; it reports what noting them did.
func (w *storeWalk) settle() error {
	w.paper.drained = nil
	err := w.shop.Settle(w.shop.t.Context(), w.g.now)
	return errors.Join(w.noted(), err)
}

// noted tells the model what the store noted by itself: journals that stopped.
func (w *storeWalk) noted() error {
	if len(w.paper.drained) == 0 {
		return nil
	}
	c := &operation.ReportJournal{Reports: w.paper.drained}
	c.Sign(w.g.now, access.Person{ID: ledger.System})
	w.paper.drained = nil
	return w.judge(c, true, nil)
}

func (w *storeWalk) run(n int) error {
	adopt := &operation.Adopt{Owner: "betrieb"}
	adopt.Sign(w.g.now, operator)
	if err := w.step(adopt); err != nil {
		return err
	}
	for i := range n {
		c := w.g.next()
		if err := w.step(c); err != nil {
			return fmt.Errorf("step %d, %s %+v by %v: %w", i, c.Kind(), c, idsOf(c), err)
		}
		if w.restarts && i%97 == 96 {
			if err := w.restart(i%485 == 484); err != nil {
				return fmt.Errorf("after step %d: %w", i, err)
			}
		}
	}
	if !w.restarts {
		return nil
	}
	return w.restart(true)
}

// restart closes the store and opens it again: nothing may be different.
func (w *storeWalk) restart(verify bool) error {
	before := w.shop.Current()
	w.shop.restart()
	if diff := cmp.Diff(contents(before), contents(w.shop.Current()), cmpopts.EquateEmpty()); diff != "" {
		return fmt.Errorf("states differ after a restart (-want +got)\n%s", diff)
	}
	for err := w.settle(); err != nil; err = w.settle() {
		if !errors.Is(err, operation.ErrUnsettled) {
			return err
		}
	}
	if !verify {
		return nil
	}
	rep, err := ledger.Verify(w.shop.t.Context(), w.shop.db, w.shop.key.Public)
	if err != nil || len(rep.Problems) > 0 {
		return fmt.Errorf("verifying the ledger: %v, %w", rep.Problems, err)
	}
	if p := w.shop.problems(); len(p) > 0 {
		return fmt.Errorf("ledger and rows differ: %+v", p)
	}
	return nil
}

func TestRandomCommandsOnTheStoreDoWhatTheRulesSay(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		steps := map[string]int{"SQLite": 2000, "PostgreSQL": 500}[p.Engine()]
		if testing.Short() {
			steps /= 10
		}
		w := newStoreWalk(t, p, 42)
		if err := w.run(steps); err != nil {
			t.Fatal(err)
		}
	})
}

func TestEveryRuleSwitchedOffIsNoticedOnTheStore(t *testing.T) {
	for r := operation.RuleGate; r <= operation.RuleRevocation; r++ {
		t.Run(fmt.Sprint("rule ", int(r)), func(t *testing.T) {
			w := newStoreWalk(t, db.InDir(t.TempDir()), 43)
			w.restarts = false // what is switched off is so in memory only
			w.shop.SwitchOff(r)
			var err error
			if r == operation.RuleOnRecord {
				adopt := &operation.Adopt{Owner: "betrieb"}
				adopt.Sign(w.g.now, operator)
				err = errors.Join(w.step(adopt), w.restart(true))
			} else {
				err = w.run(700)
			}
			if err == nil {
				t.Errorf("700 commands without rule %d, and nobody noticed", r)
			}
			t.Log(err)
		})
	}
}
