package operation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/operation"
)

// walk is one random sequence of commands on the pure state, beside the model
// and the world.
type walk struct {
	g     *generator
	m     *model
	s     *operation.State
	said  map[string]string // what the ledger last said of every row, when it is looked at
	look  bool
	stats *stats

	looks  int
	looked map[string]looked
}

// looked is what a node was when it was compared last.
type looked struct {
	m *mnode
	p *operation.Placement
	c *operation.Component
	d *operation.DoorRow
}

// stats counts what a property test has seen, to prove that it is not blind.
type stats struct {
	mu            sync.Mutex
	done, refused map[string]int
	rules         map[operation.Rule]int
	states        map[string]int
}

func newStats() *stats {
	return &stats{done: map[string]int{}, refused: map[string]int{}, rules: map[operation.Rule]int{}, states: map[string]int{}}
}

func newWalk(seed uint64, s *operation.State, look bool, st *stats) (*walk, error) {
	m := newModel()
	w := &walk{g: newGenerator(seed, m), m: m, s: s, look: look, said: map[string]string{}, stats: st, looked: map[string]looked{}}
	adopt := &operation.Adopt{Owner: "betrieb"}
	adopt.Sign(w.g.now, operator)
	for _, n := range m.order {
		w.g.w.regularOpen[n] = true
	}
	return w, w.step(adopt)
}

// step applies one command to the state and to the model and compares.
func (w *walk) step(c operation.Command) error {
	before, watch := "", w.look && w.g.chance(1)
	if watch {
		before = digest(w.s)
	}
	ch, err := operation.Apply(w.s, c)
	if watch && digest(w.s) != before {
		return errors.New("Apply changed the state it was given")
	}
	if err := w.judge(c, ch != nil, err); err != nil || ch == nil {
		return err
	}
	if ch.Entry.Kind != c.Kind() || ch.Entry.Actor == "" || len(ch.Entry.Rows) != rowsOf(ch) {
		return fmt.Errorf("the ledger entry %+v does not hold all %d rows", ch.Entry, rowsOf(ch))
	}
	w.s.Commit(ch)
	if w.look {
		if err := w.record(ch); err != nil {
			return err
		}
	}
	if err := w.happen(ch); err != nil {
		return err
	}
	if err := w.same(); err != nil {
		return err
	}
	return w.invariants()
}

// judge compares what the package says of a command with what the model says.
func (w *walk) judge(c operation.Command, changed bool, err error) error {
	act := operation.Act{}
	act.At, act.By, act.Reason = w.g.now, peopleOf(c), reasonOf(c)
	broken, want := w.m.do(c, act)
	var refused *operation.Refused
	switch {
	case err == nil && len(broken) > 0:
		return fmt.Errorf("done, but it breaks rules %v", slices.Sorted(maps.Keys(broken)))
	case err == nil && changed != want:
		return fmt.Errorf("changed: %t, want %t", changed, want)
	case err != nil && len(broken) == 0:
		return fmt.Errorf("refused, but it breaks no rule: %w", err)
	case errors.As(err, &refused) && !broken[refused.Rule]:
		return fmt.Errorf("refused by rule %d (%s), but it breaks rules %v", refused.Rule, refused.Text, slices.Sorted(maps.Keys(broken)))
	case err != nil && refused == nil && !broken[0]:
		return fmt.Errorf("refused without a rule: %w", err)
	}
	switch {
	case refused != nil:
		w.stats.refused[c.Kind()]++
		w.stats.rules[refused.Rule]++
	case err == nil && changed:
		w.stats.done[c.Kind()]++
	}
	return nil
}

// happen lets the world do what the change says, and looks whether two sides
// accept writes for one placement.
func (w *walk) happen(ch *operation.Change) error {
	for _, p := range ch.Placements {
		if p.Writing.Writer == operation.RegularSide && !p.Writing.Closing {
			w.g.w.regularOpen[string(p.ID)] = true
		}
	}
	for _, o := range ch.Journals {
		b := w.g.w.books[string(o.Placement)]
		if o.Epoch < b.Epoch {
			return fmt.Errorf("the journal of %s is told epoch %d after %d", o.Placement, o.Epoch, b.Epoch)
		}
		b.State, b.Epoch = o.State, o.Epoch
		w.g.w.books[string(o.Placement)] = b
	}
	for _, p := range ch.Placements {
		if p.Emergency == operation.Closed {
			w.g.w.books[string(p.ID)] = p.Journal
		}
	}
	return w.writers()
}

func (w *walk) writers() error {
	for name, open := range w.g.w.regularOpen {
		if b := w.g.w.books[name]; open && b.State == operation.JournalOpen {
			return fmt.Errorf("two writers: both the regular system and the emergency path of %s accept writes", name)
		}
	}
	return nil
}

// same compares every node of the state with the model. Where neither was
// replaced since the last look it looks only now and then.
func (w *walk) same() error {
	w.looks++
	for i, name := range w.m.order {
		n := *w.m.list[i]
		w.stats.states[n.reg+" "+n.em]++
		p, _ := w.s.Placement(one0(name))
		c, _ := w.s.Component(component(name))
		d, _ := w.s.Door(one0(name))
		now := looked{w.m.list[i], p, c, d}
		if w.looked[name] == now && w.looks%50 != 0 {
			continue
		}
		w.looked[name] = now
		if got, want := w.seen(name), n.view(); got != want {
			return fmt.Errorf("%s differs from the model:\n got %+v\nwant %+v", name, got, want)
		}
	}
	if int(w.s.Version()) != w.m.version {
		return fmt.Errorf("version %d, want %d", w.s.Version(), w.m.version)
	}
	return nil
}

// view is what of a node can be seen from outside.
func (n mnode) view() mnode {
	n.kasse, n.env, n.service, n.paths, n.testers = "", "", "", "", ""
	n.downAt, n.flagBy, n.observe = time.Time{}, time.Time{}, time.Time{}
	n.cut = mcut{
		measure: n.cut.measure, former: n.cut.former, barred: n.cut.barred, told: n.cut.told, until: n.cut.until, confirmBy: n.cut.confirmBy,
	}
	return n
}

func (w *walk) seen(name string) mnode {
	var t *operation.Track
	n := mnode{}
	if strings.Contains(name, "/") {
		p, _ := w.s.Placement(one0(name))
		if p == nil {
			return n
		}
		t = &p.Track
		n.em, n.writer, n.epoch, n.closing = p.Emergency.String(), string(p.Writing.Writer), int(p.Writing.Epoch), p.Writing.Closing
		n.starting, n.behaviour, n.book = string(p.Starting), p.Behaviour.String(), p.Journal
		if p.Undoing != 0 {
			n.undo = p.Undoing.String()
		}
		d, _ := w.s.Door(p.ID)
		n.door, n.doorEpoch, n.doorVersion = d.String(), int(d.Epoch), int(d.Version)
		if d.Mode == operation.ModeLimited {
			n.door += " " + strings.Join(d.Paths, ",")
		}
		if d.Testers || d.Marked {
			n.door += " " + strings.Join(d.People, ",")
		}
	} else {
		c, _ := w.s.Component(component(name))
		if c == nil {
			return n
		}
		t = &c.Track
	}
	n.reg, n.owner, n.confirmed, n.gateOnly, n.passed, n.down = t.Regular.String(), t.Owner, t.Confirmed, t.GateOnly, t.Passed, int(t.Down)
	if t.Flag != nil {
		n.flagged, n.flagOf, n.flagTold = true, t.Flag.Clearance, t.Flag.Escalated
	}
	if t.Cut != nil {
		n.cut = mcut{measure: t.Cut.Measure, former: t.Cut.Former.String(), barred: t.Cut.Barred, told: t.Cut.Escalated, until: t.Cut.UndoUntil, confirmBy: t.Cut.ConfirmBy}
	}
	return n
}

// invariants looks for broken rules; that nobody decided in time is expected.
func (w *walk) invariants() error {
	for _, v := range operation.CheckInvariants(w.s, w.g.now) {
		if v.Rule == operation.RuleRevocation && w.m.node(v.Subject).flagged && !w.g.now.Before(w.m.node(v.Subject).flagBy) {
			continue
		}
		return invariantError{v}
	}
	return nil
}

type invariantError struct{ operation.Violation }

func (e invariantError) Error() string { return fmt.Sprintf("invariant: %+v", e.Violation) }

// record keeps what the entry says of each row.
func (w *walk) record(ch *operation.Change) error {
	for _, r := range ch.Entry.Rows {
		b, err := json.Marshal(r.Value)
		if err != nil {
			return err
		}
		w.said[r.Table+" "+r.Key] = string(b)
	}
	return nil
}

// accounted compares what the entries said with what is.
func (w *walk) accounted() error {
	if !w.look {
		return nil
	}
	rows := 0
	check := func(table, key string, v any) error {
		rows++
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if said := w.said[table+" "+key]; said != string(b) {
			return fmt.Errorf("the ledger says of %s %s: %s, but it is %s", table, key, said, b)
		}
		return nil
	}
	var errs []error
	for _, p := range w.s.Placements() {
		errs = append(errs, check("placement", string(p.ID), p))
	}
	for _, p := range w.s.Components() {
		errs = append(errs, check("component_state", string(p.ID), p))
	}
	for _, p := range w.s.Doors(-1) {
		errs = append(errs, check("door", string(p.Placement), p))
	}
	for _, p := range w.s.Clearances() {
		errs = append(errs, check("clearance", p.ID, p))
	}
	for _, p := range w.s.Rotations() {
		errs = append(errs, check("rotation", p.ID, p))
	}
	for _, p := range w.s.Indicators() {
		errs = append(errs, check("indicator", p.ID, p))
	}
	for _, p := range w.s.Trails() {
		errs = append(errs, check("trail", p.Subject, p))
	}
	for _, p := range w.s.Gateways() {
		errs = append(errs, check("gateway_node", p.Node, p))
	}
	if err := errors.Join(errs...); err != nil || rows != len(w.said) {
		return fmt.Errorf("%d rows, the ledger speaks of %d: %w", rows, len(w.said), err)
	}
	return nil
}

func rowsOf(ch *operation.Change) int {
	return len(ch.Placements) + len(ch.Components) + len(ch.Doors) + len(ch.Clearances) + len(ch.Rotations) +
		len(ch.Indicators) + len(ch.Trails) + len(ch.Gateways)
}

func digest(s *operation.State) string {
	b, err := json.Marshal(contents(s))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// run makes n steps and returns the first mismatch, with what led to it.
func (w *walk) run(n int) error {
	for i := range n {
		c := w.g.next()
		if err := w.step(c); err != nil {
			text, _ := json.Marshal(c)
			return fmt.Errorf("step %d, %s %s by %v: %w", i, c.Kind(), text, idsOf(c), err)
		}
	}
	return w.accounted()
}

func TestRandomCommandsDoWhatTheRulesSay(t *testing.T) {
	walks, steps := 100, 2000
	if testing.Short() {
		walks = 10
	}
	st := newStats()
	t.Run("walks", func(t *testing.T) {
		for part := range 4 {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				mine := newStats()
				for seed := part; seed < walks; seed += 4 {
					s := operation.NewState(testCatalogue(), operation.Settings{})
					w, err := newWalk(uint64(seed), s, seed%10 == 0, mine)
					if err == nil {
						err = w.run(steps)
					}
					if err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
				}
				st.add(mine)
			})
		}
	})
	if !t.Failed() {
		st.check(t, walks)
	}
}

func (st *stats) add(o *stats) {
	st.mu.Lock()
	defer st.mu.Unlock()
	sum(st.done, o.done)
	sum(st.refused, o.refused)
	sum(st.rules, o.rules)
	sum(st.states, o.states)
}

func sum[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

// check proves that the walks went everywhere.
func (st *stats) check(t *testing.T, walks int) {
	t.Helper()
	for _, c := range operation.Commands() {
		kind := c.Kind()
		if st.done[kind] < walks/10 {
			t.Errorf("%s was done %d times only", kind, st.done[kind])
		}
		if st.refused[kind] < walks/10 {
			t.Errorf("%s was refused %d times only", kind, st.refused[kind])
		}
	}
	for r := operation.RuleGate; r <= operation.RuleRevocation; r++ {
		if st.rules[r] < walks {
			t.Errorf("rule %d refused %d times only", r, st.rules[r])
		}
	}
	for cell, door := range doorTable {
		if legal := !strings.HasPrefix(door.plain, "illegal"); legal != (st.states[cell] > 0) {
			t.Errorf("%s was seen %d times", cell, st.states[cell])
		}
	}
	t.Logf("done %v\nrefused %v\nby rule %v\nstates %v", st.done, st.refused, st.rules, st.states)
}

func TestEveryRuleSwitchedOffIsNoticedByTheModel(t *testing.T) {
	for r := operation.RuleGate; r <= operation.RuleRevocation; r++ {
		t.Run(fmt.Sprint("rule ", int(r)), func(t *testing.T) {
			for seed := range uint64(20) {
				s := operation.NewState(testCatalogue(), operation.Settings{}).SwitchOff(r)
				w, err := newWalk(seed, s, false, newStats())
				if err == nil {
					err = w.run(2000)
				}
				if err != nil {
					t.Log(err)
					return
				}
			}
			t.Errorf("40,000 commands without rule %d, and nobody noticed", r)
		})
	}
}

// The model refuses what the rules forbid, so it notices a missing rule at the
// first attempt. This test asks less of the observer: nobody knows the rules, but
// CheckInvariants looks at every state, the world at who writes, and the books at
// the entries. With all rules on they must be silent.
func TestEveryRuleSwitchedOffIsNoticedByTheInvariants(t *testing.T) {
	for r := operation.Rule(0); r <= operation.RuleRevocation; r++ {
		t.Run(fmt.Sprint("rule ", int(r)), func(t *testing.T) {
			var found error
			for seed := uint64(100); seed < 110 && found == nil; seed++ {
				s := operation.NewState(testCatalogue(), operation.Settings{})
				if r > 0 {
					s = s.SwitchOff(r)
				}
				found = freeWalk(t, seed, s).runFree(1000, r)
			}
			switch {
			case r == 0 && found != nil:
				t.Errorf("all rules are kept, and yet: %v", found)
			case r > 0 && found == nil:
				t.Errorf("10,000 commands without rule %d, and nobody noticed", r)
			case r > 0:
				t.Log(found)
			}
		})
	}
}

// freeWalk begins a walk in which nobody judges what is adopted.
func freeWalk(t *testing.T, seed uint64, s *operation.State) *walk {
	t.Helper()
	m := newModel()
	w := &walk{g: newGenerator(seed, m), m: m, s: s, look: true, said: map[string]string{}, stats: newStats()}
	adopt := &operation.Adopt{Owner: "betrieb"}
	adopt.Sign(w.g.now, operator)
	ch, err := operation.Apply(s, adopt)
	if err != nil {
		t.Fatal(err)
	}
	s.Commit(ch)
	for _, n := range m.order {
		w.g.w.regularOpen[n] = true
	}
	if err := w.record(ch); err != nil {
		t.Fatal(err)
	}
	return w
}

// runFree makes n steps without the model's judgement: the model only follows
// the state, so that the generator has something to go by.
func (w *walk) runFree(n int, off operation.Rule) error {
	for range n {
		w.m.follow(w.s)
		ch, err := operation.Apply(w.s, w.g.next())
		if err != nil || ch == nil {
			continue // a refusal or a contradiction that went no further
		}
		w.s.Commit(ch)
		if err := w.record(ch); err != nil {
			return err
		}
		w.m.follow(w.s)
		if err := w.happen(ch); err != nil {
			return err
		}
		if err := w.invariants(); err != nil {
			var v invariantError
			if errors.As(err, &v) && off != 0 && v.Rule != off {
				return fmt.Errorf("rule %d is off, but rule %d was found broken: %w", off, v.Rule, err)
			}
			return err
		}
	}
	return w.accounted()
}
