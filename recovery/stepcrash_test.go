package recovery_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/recovery"
)

// The variables by which the test starts itself as the process that is killed.
const (
	crashDir = "LEITSTAND_STEP_CRASH" // directory of store and outside
	crashAt  = "LEITSTAND_STEP_AT"    // where the driver stands still: before, after, probe; or nowhere
)

// fileDriver acts on an outside of files: one for each act, named by its id.
type fileDriver struct{ dir, at string }

func (d fileDriver) Name() string { return "files" }

func (d fileDriver) DryRun(context.Context, recovery.StepAct) (recovery.StepPreview, error) {
	return recovery.StepPreview{Driver: "files"}, nil
}

// stand tells the parent where the driver is, and waits there to be killed.
func (d fileDriver) stand(at string) {
	if d.at == at {
		fmt.Println("at " + at)
		select {}
	}
}

func (d fileDriver) Execute(_ context.Context, a recovery.StepAct) error {
	d.stand("before")
	name := filepath.Join(d.dir, a.ID)
	if err := os.WriteFile(d.dir+"."+a.ID, []byte(a.Task.ID), 0o600); err != nil {
		return err
	}
	if err := os.Link(d.dir+"."+a.ID, name); err != nil {
		return err // the same act twice
	}
	d.stand("after")
	return nil
}

func (d fileDriver) Probe(_ context.Context, a recovery.StepAct) (bool, string, error) {
	d.stand("probe")
	_, err := os.Stat(filepath.Join(d.dir, a.ID))
	return err == nil, "Datei", nil
}

func (d fileDriver) Undo(context.Context, recovery.StepAct) error { return errors.New("not here") }

// crashGround is the same way back in every process.
func crashGround() recovery.Ground {
	c := few(catalogue.Example(1), 1)
	g := cutOff(c, c.Sites[0].ID)
	g.Terms.Observe = 0
	return g
}

// TestStepProcess is no test: it is the process that TestStepsSurviveACrash kills.
func TestStepProcess(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("only as a part of TestStepsSurviveACrashAtAnyPoint")
	}
	store := openSteps(t, db.InDir(dir))
	x := &recovery.StepRunner{Store: store, Now: time.Now}
	g := crashGround()
	p := made(t, g)
	d := fileDriver{filepath.Join(dir, "outside"), os.Getenv(crashAt)}
	fmt.Println("ready")
	for {
		ready := slices.DeleteFunc(board(t, store, g, p, nil).Views, func(v recovery.StepView) bool { return !v.Ready() })
		if len(ready) == 0 {
			fmt.Println("nothing is ready")
			return
		}
		for _, v := range ready {
			if _, err := x.Run(t.Context(), v, d, "operator"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestStepsSurviveACrashAtAnyPoint kills the process that carries steps out, at
// chosen and at random points, and does what a person would do after each.
func TestStepsSurviveACrashAtAnyPoint(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	kills := 20
	if testing.Short() {
		kills = 4
	}
	rng := rand.New(rand.NewPCG(1, 2))
	repeats := map[string]int{}
	for k := range kills {
		at := []string{"before", "after", "probe", "anywhere"}[k%4]
		killSteps(t, dir, at, time.Duration(rng.IntN(40))*time.Millisecond)
		settleSteps(t, dir, outside, at, k%2 == 0, repeats)
	}
	killSteps(t, dir, "after", 0)
	killSteps(t, dir, "to the end", 0) // nobody has said a word: the rest goes on without it
	settleSteps(t, dir, outside, "after", false, repeats)
	killSteps(t, dir, "to the end", 0)
	store := openSteps(t, db.InDir(dir))
	checkSteps(t, store, outside, repeats)
	g := crashGround()
	g.Reports, _ = recovery.Reports(t.Context(), store)
	if _, err := recovery.Make(t.Context(), g, recovery.Search{Schedules: 1}); !errors.Is(err, recovery.ErrNothing) {
		t.Errorf("after all steps a plan is still to be made: %v", err)
	}
}

// killSteps starts the process and kills it where it stands, or after a pause.
func killSteps(t *testing.T, dir, at string, pause time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStepProcess$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashAt+"="+at)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said = append(said, lines.Text())
		if at == "anywhere" && lines.Text() == "ready" {
			time.Sleep(pause)
			break
		}
		if lines.Text() == "at "+at {
			break
		}
	}
	if at == "to the end" {
		if err := cmd.Wait(); err != nil || !slices.Contains(said, "nothing is ready") {
			t.Fatalf("the last process: %v\n%s", err, strings.Join(said, "\n"))
		}
		return
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out) // until it is dead
	_ = cmd.Wait()                  // killed: that is its error
}

// settleSteps checks what a crash left, and says a person's word on what is open.
func settleSteps(t *testing.T, dir, outside, at string, repeat bool, repeats map[string]int) {
	t.Helper()
	store := openSteps(t, db.InDir(dir))
	defer store.Close()
	checkSteps(t, store, outside, repeats)
	x := &recovery.StepRunner{Store: store, Now: time.Now}
	steps, err := recovery.Steps(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	open := slices.DeleteFunc(steps, func(s recovery.Step) bool { return !s.State.NeedsWord() })
	if at != "anywhere" && len(open) != 1 || len(open) > 1 {
		t.Fatalf("killed %s: %d steps wait for a word", at, len(open))
	}
	for _, s := range open {
		d := fileDriver{dir: outside}
		if !repeat {
			s, err = x.Confirm(t.Context(), s.Task, d, "nachgesehen", "operator")
			if err == nil && s.State == recovery.StepDone {
				continue
			}
			if at != "before" && at != "anywhere" || !errors.Is(err, recovery.ErrStepUnproven) {
				t.Fatalf("killed %s, a person says done: %q %v", at, s.State, err)
			}
		}
		repeats[s.ID]++
		if _, err := x.Change(t.Context(), s.Task, "lead", "step.repeated", func(s recovery.Step, now time.Time) (recovery.Step, error) {
			return s.Repeat(now, "Absturz", "lead")
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// checkSteps says that ledger, rows and outside agree.
func checkSteps(t *testing.T, store *db.DB, outside string, repeats map[string]int) {
	t.Helper()
	keepers := slices.Concat(recovery.PlanKeepers(), recovery.ReturnKeepers())
	problems, err := ledger.VerifyState(t.Context(), store, keepers...)
	if err != nil || len(problems) > 0 {
		t.Fatalf("ledger and rows: %+v %v", problems, err)
	}
	entries, err := ledger.Read(t.Context(), store, 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	intended := map[string]bool{}
	for _, e := range entries {
		var data struct {
			Act string `json:"act"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if e.Kind == "step.intended" {
			intended[data.Act] = true
		}
	}
	acts, err := os.ReadDir(outside)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for _, a := range acts {
		task, err := os.ReadFile(filepath.Join(outside, a.Name()))
		if err != nil {
			t.Fatal(err)
		}
		times[string(task)]++
		if !intended[a.Name()] {
			t.Errorf("act %s on %s was not on record", a.Name(), task)
		}
	}
	for task, n := range times {
		if n > 1+repeats[task] {
			t.Errorf("%s was carried out %d times, on %d words to repeat it", task, n, repeats[task])
		}
	}
	steps, err := recovery.Steps(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		if s.State == recovery.StepDone && times[s.ID] == 0 {
			t.Errorf("%s is done, and nothing happened outside", s.ID)
		}
	}
}
