package containment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

// loopback is a service that a program of the test takes off by a file: while the
// file is there, nothing listens.
type loopback struct {
	dir  string
	addr string
	up   string
	stop chan struct{}
	done chan struct{}
}

func newLoopback(t *testing.T) *loopback {
	t.Helper()
	l := &loopback{dir: t.TempDir(), stop: make(chan struct{}), done: make(chan struct{})}
	listen := func(addr string) net.Listener {
		var lc net.ListenConfig
		got, err := lc.Listen(context.WithoutCancel(t.Context()), "tcp", addr)
		if err != nil {
			return nil
		}
		return got
	}
	always, service := listen("127.0.0.1:0"), listen("127.0.0.1:0")
	l.up, l.addr = always.Addr().String(), service.Addr().String()
	go func() {
		defer close(l.done)
		for {
			select {
			case <-l.stop:
				_ = always.Close()
				if service != nil {
					_ = service.Close()
				}
				return
			case <-time.After(2 * time.Millisecond):
			}
			_, err := os.Stat(filepath.Join(l.dir, "cut"))
			switch {
			case err == nil && service != nil:
				_ = service.Close()
				service = nil
			case err != nil && service == nil:
				service = listen(l.addr)
			}
		}
	}()
	t.Cleanup(func() { close(l.stop); <-l.done })
	return l
}

func (l *loopback) config(t *testing.T, execute string, more string) *Drivers {
	t.Helper()
	text := strings.NewReplacer("DIR", l.dir, "DOWN", "tcp://"+l.addr, "UP", "tcp://"+l.up, "EXECUTE", execute, "MORE", more).Replace(`
probing: {timeout: 200ms, attempts: 1, settle: 400ms, refused_is_down: true}
evidence: {command: [cat, DIR/memory], directory: DIR/evidence}
drivers:
  - name: border
    exec: {execute: [EXECUTE, DIR/cut], undo: [rm, -f, DIR/cut], probe: [test, -e, DIR/cut]}
  - name: power
    exec: {execute: [touch, DIR/off], undo: [rm, -f, DIR/off], probe: [test, -e, DIR/off]}
  - name: paper
    manual: {directory: DIR/orders}
environments:
  - id: 109034270@munich
    addresses: [10.1.0.0/16]
    steps: [{driver: border}MORE]
    probe: {down: ["DOWN"], up: ["UP"]}
`)
	c, err := ParseDrivers([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	d, err := c.Build(Wiring{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const munich = "109034270@munich"

func order() Order { return Order{Measure: "m-1", By: []string{"anna", "otto"}, Reason: "Übung"} }

func kinds(t *testing.T, store *db.DB) []string {
	t.Helper()
	records, err := ledger.Read(t.Context(), store, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range records {
		out = append(out, r.Kind)
	}
	return out
}

func TestTheLedgerHoldsIntentActProbeOutcomeInThisOrder(t *testing.T) {
	l := newLoopback(t)
	store, x := newExecutor(t, l.config(t, "touch", ""))
	acts, err := x.Cut(t.Context(), order(), munich)
	if err != nil || len(acts) != 1 || !acts[0].Proven() || acts[0].Probe.Blind {
		t.Fatalf("%+v %v", acts, err)
	}
	if again, err := x.Cut(t.Context(), order(), munich); err != nil || again[0].ID != acts[0].ID {
		t.Errorf("cutting twice: %+v %v", again, err)
	}
	if _, err := x.Undo(t.Context(), order(), munich); err != nil {
		t.Fatal(err)
	}
	want := []string{
		kindIntended, kindExecuted, kindProbed, kindDone, // the cut; the second try adds nothing
		kindIntended, kindExecuted, kindProbed, kindUndone, kindUndone, // the way back, and the act it took back
	}
	if got := kinds(t, store); !slices.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	all, err := Acts(t.Context(), store)
	if err != nil || len(InForce(all)) != 0 || ProvenBy(all, munich) != "" {
		t.Errorf("in force: %v %v", all, err)
	}
}

func TestAContradictionIsAnAlarmAndProvesNothing(t *testing.T) {
	l := newLoopback(t)
	store, x := newExecutor(t, l.config(t, "true", "")) // says that it is done and does nothing
	var alarms []Act
	x.Recorder = &StoreRecorder{Store: store, Now: x.Now, Alarm: func(_ context.Context, _ *db.Tx, _ time.Time, a Act) error {
		alarms = append(alarms, a)
		return nil
	}}
	_, err := x.Cut(t.Context(), order(), munich)
	all, _ := Acts(t.Context(), store)
	if !errors.Is(err, ErrUnproven) || len(alarms) != 1 || all[0].State != Unclear || ProvenBy(all, munich) != "" {
		t.Fatalf("%v, alarms %d, %+v", err, len(alarms), all)
	}
	n := len(kinds(t, store))
	if err := x.Verify(t.Context()); err == nil || len(kinds(t, store)) != n {
		t.Errorf("looking again: %v, %d entries more", err, len(kinds(t, store))-n)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "cut"), nil, 0o600); err != nil { // somebody did it by hand
		t.Fatal(err)
	}
	if err := x.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, _ = Acts(t.Context(), store); ProvenBy(all, munich) == "" {
		t.Errorf("what is seen now is not believed: %+v", all)
	}
	if err := os.Remove(filepath.Join(l.dir, "cut")); err != nil { // and somebody takes it away again
		t.Fatal(err)
	}
	if err := x.Verify(t.Context()); !errors.Is(err, ErrUnproven) || len(alarms) != 2 {
		t.Errorf("a cut that went away: %v, %d alarms", err, len(alarms))
	}
}

func TestAfterACrashAnIntentIsShownAndNeverRepeatedBlindly(t *testing.T) {
	for _, point := range []string{kindIntended, kindExecuted, kindProbed} {
		for _, d := range []Decision{Repeat, IsDone, IsNotDone} {
			t.Run(point+" then "+string(d), func(t *testing.T) {
				l := newLoopback(t)
				store, x := newExecutor(t, l.config(t, "touch", ""))
				real := x.Recorder
				x.Recorder = &dying{Recorder: real, after: point}
				if _, err := x.Cut(t.Context(), order(), munich); !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				x = &Executor{Drivers: x.Drivers, Recorder: real, Now: x.Now} // the next process
				open, err := x.Open(t.Context())
				if err != nil || len(open) != 1 {
					t.Fatalf("%v %v", open, err)
				}
				if _, err := x.Cut(t.Context(), order(), munich); !errors.Is(err, ErrOpen) {
					t.Fatalf("repeated blindly: %v", err)
				}
				_, err = x.Resolve(t.Context(), open[0].ID, "otto", d, "nachgesehen")
				_, cutErr := os.Stat(filepath.Join(l.dir, "cut"))
				switch {
				case d == IsDone && cutErr != nil:
					if !errors.Is(err, ErrUnproven) {
						t.Fatalf("a word against what is seen: %v", err)
					}
				case err != nil:
					t.Fatal(err)
				}
				all, err := Acts(t.Context(), store)
				if err != nil {
					t.Fatal(err)
				}
				if proven := ProvenBy(all, munich) != ""; proven != (d == Repeat || d == IsDone && cutErr == nil) {
					t.Errorf("proven %t: %+v", proven, all)
				}
				if open, _ := x.Open(t.Context()); len(open) > 0 {
					t.Errorf("still open: %+v", open)
				}
			})
		}
	}
}

var errKilled = errors.New("killed")

// dying records up to a kind of entry and then fails, as a process that is killed.
type dying struct {
	Recorder
	after string
	dead  bool
}

func (d *dying) Record(ctx context.Context, kind, reason string, acts ...Act) error {
	if d.dead {
		return errKilled
	}
	if err := d.Recorder.Record(ctx, kind, reason, acts...); err != nil {
		return err
	}
	if d.dead = kind == d.after; d.dead {
		return errKilled
	}
	return nil
}

func TestIsolateThenEvidenceThenPowerAndNoPowerWithoutEvidence(t *testing.T) {
	const more = ", {driver: power, powers_off: true}"
	l := newLoopback(t)
	store, x := newExecutor(t, l.config(t, "touch", more))
	if _, err := x.Cut(t.Context(), order(), munich); err == nil { // there is no memory to read
		t.Fatal("evidence was secured of nothing")
	}
	if _, err := os.Stat(filepath.Join(l.dir, "off")); err == nil {
		t.Error("it was switched off without evidence")
	}
	all, _ := Acts(t.Context(), store)
	if ProvenBy(all, munich) == "" {
		t.Errorf("it does not stay isolated: %+v", all)
	}
	l = newLoopback(t)
	if err := os.WriteFile(filepath.Join(l.dir, "memory"), []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, x = newExecutor(t, l.config(t, "touch", more))
	acts, err := x.Cut(t.Context(), order(), munich)
	if err != nil || len(acts) != 2 || acts[0].Evidence.SHA256 != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Fatalf("%+v %v", acts, err)
	}
	want := []string{kindIntended, kindExecuted, kindProbed, kindDone, kindEvidence, kindIntended, kindExecuted, kindProbed, kindDone}
	if got := kinds(t, store); !slices.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

func TestAPrintedOrderWaitsForItsConfirmationAndTheProbe(t *testing.T) {
	l := newLoopback(t)
	store, x := newExecutor(t, l.config(t, "touch", ", {driver: paper}"))
	if _, err := x.Cut(t.Context(), order(), munich); err != nil {
		t.Fatal(err)
	}
	open, err := x.Open(t.Context())
	i := slices.IndexFunc(open, func(a Act) bool { return a.Waits })
	if err != nil || len(open) != 2 || i < 0 {
		t.Fatalf("%+v %v", open, err)
	}
	if _, err := x.Resolve(t.Context(), open[i].ID, "otto", IsDone, "unterschrieben 14:02"); err != nil {
		t.Fatal(err)
	}
	all, _ := Acts(t.Context(), store)
	if open, _ := x.Open(t.Context()); ProvenBy(all, munich) == "" || len(open) > 0 {
		t.Errorf("%+v, open %v", all, open)
	}
}

func TestTheKillSwitchNeedsNoDatabaseAndItsLogShowsEveryChange(t *testing.T) {
	l := newLoopback(t)
	key, err := ledger.NewKey("leitstand-test")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(l.dir, "killswitch.log")
	now := func() time.Time { return time.Now().UTC() }
	log, err := OpenLocalLog(file, key, now)
	if err != nil {
		t.Fatal(err)
	}
	x := &Executor{Drivers: l.config(t, "touch", ""), Recorder: log, Now: now}
	if acts, err := x.Cut(t.Context(), order(), munich); err != nil || !acts[0].Proven() {
		t.Fatalf("%+v %v", acts, err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	records, err := ReadLog(b, key.Public)
	if err != nil || len(records) != 4 {
		t.Fatalf("%d %v", len(records), err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n")
	for name, text := range map[string]string{
		"altered": strings.Replace(string(b), "otto", "udo", 1), "first line gone": strings.Join(lines[1:], "") + "\n",
		"middle line gone": lines[0] + lines[2], "swapped": lines[1] + lines[0],
	} {
		if _, err := ReadLog([]byte(text), key.Public); !errors.Is(err, ErrLog) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(file, b[:len(b)-20], 0o600); err != nil { // torn by a crash
		t.Fatal(err)
	}
	if log, err = OpenLocalLog(file, key, now); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if acts, _ := log.Acts(t.Context()); len(acts) != 1 || acts[0].State != Intended {
		t.Errorf("a torn log: %+v", acts)
	}
}

func TestCommunicationAndEvidenceGoLast(t *testing.T) {
	got := classes([]planned{{last: lastEvidence}, {last: lastCommunication}, {}, {}})
	if len(got[0]) != 2 || len(got[1]) != 1 || got[1][0].last != lastCommunication || got[2][0].last != lastEvidence {
		t.Errorf("%+v", got)
	}
}

func TestACutIsNeverWidenedToWhatNobodyOrdered(t *testing.T) {
	c, err := ParseDrivers([]byte(`
always: [10.8.0.0/16]
drivers: [{name: border, nftables: {}}]
environments:
  - id: 1@a
    addresses: [10.1.0.0/24]
    steps: [{driver: border}]
    probe: {down: ["tcp://10.1.0.5:443"], up: ["tcp://10.8.0.1:22"]}
    systems: [{placement: 1/eau/a, addresses: [10.1.0.5], probe: {down: ["tcp://10.1.0.5:443"], up: ["tcp://10.8.0.1:22"]}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Build(Wiring{})
	if err != nil {
		t.Fatal(err)
	}
	all := []catalogue.Placement{{ID: "1/eau/a", Environment: "1@a"}, {ID: "1/kim/a", Environment: "1@a"}}
	for _, tt := range []struct {
		off           string
		targets, left string
	}{{"1/eau/a", "[1/eau/a]", "[]"}, {"1/kim/a", "[]", "[1/kim/a]"}, {"1/eau/a 1/kim/a", "[1@a]", "[]"}, {"", "[]", "[]"}} {
		off := map[catalogue.PlacementID]bool{}
		for p := range strings.FieldsSeq(tt.off) {
			off[catalogue.PlacementID(p)] = true
		}
		targets, left := d.Cover(all, off)
		if fmt.Sprint(targets) != tt.targets || fmt.Sprint(left) != tt.left {
			t.Errorf("%q: %v %v", tt.off, targets, left)
		}
	}
}

func TestEveryMistakeInTheConfigurationIsNamed(t *testing.T) {
	const good = `
drivers: [{name: border, nftables: {}}, {name: k, kubernetes: {server: "https://127.0.0.1", token_file: t}}]
environments:
  - id: 1@a
    addresses: [10.1.0.0/24]
    steps: [{driver: border}]
    probe: {down: ["tcp://10.1.0.5:443"], up: ["tcp://10.8.0.1:22"]}
`
	if _, err := ParseDrivers([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, replacement, want string }{
		{"addresses:", "adresses:", "[5:5]"},
		{"border, nftables: {}", "border", "want one block"},
		{"{driver: border}", "{driver: boarder}", "not defined"},
		{"{driver: border}", "{driver: border, powers_off: true}", "isolate first"},
		{"{driver: border}", "{driver: border}, {driver: border, powers_off: true}", "no evidence"},
		{"{driver: border}", "{driver: k}", "namespace"},
		{"steps: [{driver: border}]", "steps: []", "no steps"},
		{"up: [\"tcp://10.8.0.1:22\"]", "up: []", "at least one"},
		{"tcp://10.1.0.5:443", "tcp://dns.example:443", "not a name"},
		{"tcp://10.1.0.5:443", "udp://10.1.0.5:443", "want tcp"},
		{"10.1.0.0/24", "10.1.0.1/24", "first address"},
		{"\ndrivers", "\nalways: [10.1.0.0/30]\ndrivers", "hole"},
		{"id: 1@a", "id: -x", "an id"},
		{"{name: border", "{name: k, exec: {}}, {name: border", "twice"},
	} {
		text := strings.Replace(good, tt.old, tt.replacement, 1)
		if text == good {
			t.Fatalf("%q is not in the text", tt.old)
		}
		if _, err := ParseDrivers([]byte(text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v", tt.replacement, err)
		}
	}
}
