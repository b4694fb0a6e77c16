package recovery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/recovery"
)

// fakeDriver is an outside that counts what is done to it.
type fakeDriver struct {
	mu     sync.Mutex
	acts   []string // ids, in order
	held   map[string]bool
	failed error // Execute: nothing happens
	lies   bool  // Execute: says it did, and did not
	during func(ctx context.Context)
}

func (d *fakeDriver) Name() string { return "fake" }

func (d *fakeDriver) DryRun(_ context.Context, a recovery.StepAct) (recovery.StepPreview, error) {
	return recovery.StepPreview{Driver: "fake", Words: a.Task.Label}, nil
}

func (d *fakeDriver) Execute(ctx context.Context, a recovery.StepAct) error {
	if d.during != nil {
		d.during(ctx)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acts = append(d.acts, a.ID)
	if d.failed != nil {
		return d.failed
	}
	d.held[a.Task.ID] = !d.lies
	return nil
}

func (d *fakeDriver) Probe(_ context.Context, a recovery.StepAct) (bool, string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held[a.Task.ID], "gesehen", nil
}

func (d *fakeDriver) Undo(_ context.Context, a recovery.StepAct) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.held, a.Task.ID)
	return nil
}

// stepRoom is a store with the ground of a small way back.
func stepRoom(t *testing.T, place db.Place) (*db.DB, *recovery.StepRunner, recovery.Ground, *recovery.Plan) {
	t.Helper()
	store := openSteps(t, place)
	c := few(catalogue.Example(1), 1)
	g := cutOff(c, sitesOf(c)...)
	return store, &recovery.StepRunner{Store: store, Now: func() time.Time { return monday.Add(time.Hour) }}, g, made(t, g)
}

func openSteps(t *testing.T, place db.Place) *db.DB {
	t.Helper()
	store, err := place.Open(t.Context(), "room", ledger.Schema, recovery.PlanSchema, recovery.ReturnSchema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// board is every step as it stands.
func board(t *testing.T, store *db.DB, g recovery.Ground, p *recovery.Plan, gate recovery.StepGate) *recovery.StepBoard {
	t.Helper()
	var err error
	if g.Reports, err = recovery.Reports(t.Context(), store); err != nil {
		t.Fatal(err)
	}
	steps, err := recovery.Steps(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	b, err := recovery.NewStepBoard(g, p, steps, gate)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func firstReady(t *testing.T, b *recovery.StepBoard, kind recovery.TaskKind) recovery.StepView {
	t.Helper()
	for _, v := range b.Views {
		if v.Kind == kind && v.Ready() {
			return v
		}
	}
	t.Fatalf("no %s is ready", kind)
	return recovery.StepView{}
}

func TestAStepByADriverIsOnRecordBeforeItActsAndTellsThePlan(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, place db.Place) {
		store, x, g, p := stepRoom(t, place)
		v := firstReady(t, board(t, store, g, p, nil), recovery.Secure)
		d := &fakeDriver{held: map[string]bool{}, during: func(ctx context.Context) {
			s, err := recovery.StepOf(ctx, store, v.Task)
			if err != nil || s.State != recovery.StepIntent || s.Act == "" {
				t.Errorf("while the driver acts the record says %q (%v)", s.State, err)
			}
		}}
		s, err := x.Run(t.Context(), v, d, "operator")
		if err != nil || s.State != recovery.StepDone || len(d.acts) != 1 || d.acts[0] != s.Act {
			t.Fatalf("step %+v, acts %v: %v", s, d.acts, err)
		}
		if _, err := x.Run(t.Context(), v, d, "operator"); !errors.Is(err, recovery.ErrStepState) || len(d.acts) != 1 {
			t.Errorf("a finished step was carried out again: %v", err)
		}
		g.Reports, err = recovery.Reports(t.Context(), store)
		if err != nil || len(g.Reports) != 2 || g.Reports[1].What != recovery.Done {
			t.Fatalf("the plan knows %+v: %v", g.Reports, err)
		}
		after := remade(t, g, p, false)
		if slices.ContainsFunc(after.Tasks, func(x recovery.Task) bool { return x.ID == v.ID }) {
			t.Errorf("%s is planned again although it is done", v.ID)
		}
		var kinds []string
		entries, err := ledger.Read(t.Context(), store, 0, 100)
		for _, e := range entries {
			kinds = append(kinds, e.Kind)
		}
		if want := "step.intended step.acted step.probed step.settled"; err != nil || strings.Join(kinds, " ") != want {
			t.Errorf("the ledger says %v (%v), want %s", kinds, err, want)
		}
	})
}

func TestAStepWaitsForWhatComesBeforeItAndForItsGate(t *testing.T) {
	store, x, g, p := stepRoom(t, db.InDir(t.TempDir()))
	b := board(t, store, g, p, nil)
	secure := firstReady(t, b, recovery.Secure)
	examine, err := b.Step("examine:" + secure.Subject)
	if err != nil || !errors.Is(examine.MayBegin(), recovery.ErrStepWaits) || !slices.Contains(examine.After, secure.ID) {
		t.Fatalf("%+v may begin before evidence is secured: %v", examine, err)
	}
	begin := func(s recovery.Step, now time.Time) (recovery.Step, error) {
		return s.Begin(now, "A. Muster", "operator", 0)
	}
	if _, err := x.Change(t.Context(), secure.Task, "operator", "step.started", begin); err != nil {
		t.Fatal(err)
	}
	if v, _ := board(t, store, g, p, nil).Step(secure.ID); v.State != recovery.StepStarted || v.Said != "" {
		t.Errorf("%+v", v)
	}
	finish := func(evidence string) error {
		_, err := x.Change(t.Context(), secure.Task, "operator", "step.done", func(s recovery.Step, now time.Time) (recovery.Step, error) {
			return s.Finish(now, "", evidence, "operator")
		})
		return err
	}
	if err := finish(" "); err == nil {
		t.Error("done without evidence")
	}
	if err := finish("Protokoll 7"); err != nil {
		t.Fatal(err)
	}
	gate := func(t recovery.Task) []string { return []string{"Tor: " + t.ID} }
	if v, _ := board(t, store, g, p, gate).Step(examine.ID); len(v.Waits) != 1 || !strings.HasPrefix(v.Waits[0], "Tor: ") {
		t.Errorf("with evidence secured the examination waits for %v, want the gate alone", v.Waits)
	}
	if v, _ := board(t, store, g, p, nil).Step(examine.ID); !v.Ready() {
		t.Errorf("the examination waits for %v", v.Waits)
	}
	// The clearance is revoked later: what was done before does not count.
	g.Situation.Uncleared[secure.Subject] = monday.Add(2 * time.Hour)
	if v, _ := board(t, store, g, p, nil).Step(secure.ID); v.State != recovery.StepOpen || v.Round != 2 || len(v.Past) != 1 {
		t.Errorf("after a revocation: %+v", v.Step)
	}
}

func TestNothingThatActedOutsideIsRepeatedWithoutAPersonsWord(t *testing.T) {
	store, x, g, p := stepRoom(t, db.InDir(t.TempDir()))
	v := firstReady(t, board(t, store, g, p, nil), recovery.Secure)
	d := &fakeDriver{held: map[string]bool{}, lies: true}
	s, err := x.Run(t.Context(), v, d, "operator")
	if !errors.Is(err, recovery.ErrStepUnproven) || s.State != recovery.StepUnclear {
		t.Fatalf("a driver that did nothing: %q, %v", s.State, err)
	}
	d.lies = false
	if _, err := x.Run(t.Context(), v, d, "operator"); !errors.Is(err, recovery.ErrStepWord) || len(d.acts) != 1 {
		t.Fatalf("an unclear step was carried out again: %v", err)
	}
	if s, err = x.Confirm(t.Context(), v.Task, d, "Augenschein", "operator"); !errors.Is(err, recovery.ErrStepUnproven) || s.State != recovery.StepUnclear {
		t.Errorf("a person's word against the probe: %q, %v", s.State, err)
	}
	repeat := func(s recovery.Step, now time.Time) (recovery.Step, error) {
		return s.Repeat(now, "nachgesehen: nichts geschehen", "lead")
	}
	if s, err = x.Change(t.Context(), v.Task, "lead", "step.repeated", repeat); err != nil || s.Round != 2 {
		t.Fatalf("%+v: %v", s, err)
	}
	v, err = board(t, store, g, p, nil).Step(v.ID)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = x.Run(t.Context(), v, d, "operator"); err != nil || s.State != recovery.StepDone || len(d.acts) != 2 || d.acts[0] == d.acts[1] {
		t.Fatalf("repeated on a person's word: %q %v: %v", s.State, d.acts, err)
	}
	if s, err = x.Undo(t.Context(), v.Task, d, "falsches Konto", "lead"); err != nil || s.State != recovery.StepUndone {
		t.Fatalf("taken back: %q: %v", s.State, err)
	}
	if v, _ = board(t, store, g, p, nil).Step(v.ID); v.State != recovery.StepOpen && v.State != recovery.StepUndone || !v.Needed {
		t.Errorf("what was taken back is %q, needed %v", v.State, v.Needed)
	}
}

func TestSkippingAndStoppingNeedAReasonAndSometimesTwo(t *testing.T) {
	store, x, g, p := stepRoom(t, db.InDir(t.TempDir()))
	v := firstReady(t, board(t, store, g, p, nil), recovery.Secure)
	skip := func(reason string, by ...string) error {
		_, err := x.Change(t.Context(), v.Task, by[0], "step.skipped", func(s recovery.Step, now time.Time) (recovery.Step, error) {
			return s.Skip(now, reason, by...)
		})
		return err
	}
	if skip("", "lead", "operator") == nil || skip("nicht nötig", "lead") == nil {
		t.Error("securing evidence was left out without reason, or by one person")
	}
	stop := func(reason string) error { _, err := x.Stop(t.Context(), v.Task, reason, "lead"); return err }
	if stop("") == nil {
		t.Error("stopped without reason")
	}
	if err := stop("Befund"); err != nil {
		t.Fatal(err)
	}
	d := &fakeDriver{held: map[string]bool{}}
	if _, err := x.Run(t.Context(), v, d, "operator"); err == nil || len(d.acts) > 0 {
		t.Errorf("a stopped step was begun: %v", err)
	}
	if err := skip("Systeme verschrottet, Bescheid 4", "lead", "operator"); err != nil {
		t.Fatal(err)
	}
	if v, _ := board(t, store, g, p, nil).Step(v.ID); v.State != recovery.StepSkipped || v.Needed {
		t.Errorf("%+v", v)
	}
	if !recovery.Switch.SkipNeedsTwo() || recovery.Backlog.SkipNeedsTwo() || !recovery.Join.Reconnects() || recovery.Build.Reconnects() {
		t.Error("who must be two")
	}
}

func TestADriverThatIsStoppedIsLookedAtFirst(t *testing.T) {
	store, x, g, p := stepRoom(t, db.InDir(t.TempDir()))
	v := firstReady(t, board(t, store, g, p, nil), recovery.Secure)
	began := make(chan struct{})
	d := &fakeDriver{held: map[string]bool{}, failed: errors.New("abgebrochen"), during: func(ctx context.Context) {
		close(began)
		<-ctx.Done()
	}}
	ran := make(chan error, 1)
	go func() {
		_, err := x.Run(t.Context(), v, d, "operator")
		ran <- err
	}()
	<-began
	if _, err := x.Run(t.Context(), v, d, "operator"); !errors.Is(err, recovery.ErrStepBusy) {
		t.Errorf("a second driver on one step: %v", err)
	}
	s, err := x.Stop(t.Context(), v.Task, "falsche Umgebung", "lead")
	if err != nil || s.State != recovery.StepStopped {
		t.Errorf("%q: %v", s.State, err)
	}
	if err := <-ran; err == nil || !strings.Contains(err.Error(), "held by a person") {
		t.Errorf("the driver came back with %v", err)
	}
}

// TestADriverObeysWhoHoldsItThroughAnotherNode runs a driver on one node of a room
// and stops its step on another.
func TestADriverObeysWhoHoldsItThroughAnotherNode(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, place db.Place) {
		store, x, g, p := stepRoom(t, place)
		other := &recovery.StepRunner{Store: store, Now: x.Now}
		v := firstReady(t, board(t, store, g, p, nil), recovery.Secure)
		began := make(chan struct{})
		d := &fakeDriver{held: map[string]bool{}, failed: errors.New("abgebrochen"), during: func(ctx context.Context) {
			close(began)
			<-ctx.Done()
		}}
		ran := make(chan error, 1)
		go func() {
			_, err := x.Run(t.Context(), v, d, "operator")
			ran <- err
		}()
		<-began
		heed := func(x *recovery.StepRunner) {
			t.Helper()
			if err := x.Heed(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		heed(x) // nobody has said anything: it goes on
		if !x.Busy(v.ID) {
			t.Fatal("the driver gave up without being told to")
		}
		s, err := other.Stop(t.Context(), v.Task, "falsche Umgebung", "lead")
		if err != nil || s.State != recovery.StepStopped {
			t.Fatalf("%q: %v", s.State, err)
		}
		heed(other) // the node without the driver has nothing to do
		heed(x)
		if err := <-ran; err == nil || !strings.Contains(err.Error(), "held by a person") {
			t.Errorf("the driver came back with %v", err)
		}
		if s, err = recovery.StepOf(t.Context(), store, v.Task); err != nil || s.State != recovery.StepUnclear {
			t.Errorf("nobody knows what the driver left behind, and the step is %q: %v", s.State, err)
		}
	})
}

func TestAnObservationLastsAndEndsOnAPersonsWordOnly(t *testing.T) {
	store := openSteps(t, db.InDir(t.TempDir()))
	now := monday
	x := &recovery.StepRunner{Store: store, Now: func() time.Time { return now }}
	watch := recovery.Task{ID: "observe:1/eau", Kind: recovery.Observe, Subject: "1/eau", Label: "Beobachten"}
	if _, err := x.Change(t.Context(), watch, "operator", "step.started", func(s recovery.Step, now time.Time) (recovery.Step, error) {
		return s.Begin(now, "Betrieb", "operator", 72*time.Hour)
	}); err != nil {
		t.Fatal(err)
	}
	finish := func(s recovery.Step, now time.Time) (recovery.Step, error) {
		return s.Finish(now, "", "ruhig", "operator")
	}
	now = monday.Add(71 * time.Hour)
	if _, err := x.Change(t.Context(), watch, "operator", "step.done", finish); !errors.Is(err, recovery.ErrObserving) {
		t.Errorf("ended after 71 of 72 hours: %v", err)
	}
	due := func() (next time.Time, told []recovery.Step) {
		t.Helper()
		if err := store.Write(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
			next, told, err = recovery.DueSteps(ctx, tx, now)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return next, told
	}
	if next, told := due(); len(told) > 0 || !next.Equal(monday.Add(72*time.Hour)) {
		t.Errorf("due at %v, told %v", next, told)
	}
	now = monday.Add(100 * time.Hour)
	if next, told := due(); len(told) != 1 || !next.IsZero() {
		t.Errorf("due at %v, told %v", next, told)
	}
	if _, told := due(); len(told) > 0 {
		t.Error("told twice")
	}
	s, err := recovery.StepOf(t.Context(), store, watch)
	if err != nil || s.State != recovery.StepStarted || !s.Passed {
		t.Errorf("a clock ended an observation: %+v, %v", s, err)
	}
	if s, err = x.Change(t.Context(), watch, "operator", "step.done", finish); err != nil || s.State != recovery.StepDone {
		t.Errorf("%+v: %v", s, err)
	}
}
