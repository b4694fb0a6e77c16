package containment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/catalogue"
)

// cutShared takes the directory off that all environments use, together with one of them.
func (w *world) cutShared(t *testing.T) {
	shared := sharedNet + ".12:" + servicePort
	reach := func(ns string) error {
		conn, err := Prober{NetNS: ns}.dialFor(t.Context(), shared, 150*time.Millisecond)
		if err != nil {
			return err
		}
		defer conn.Close()
		return echo(conn, 2*time.Second)
	}
	if err := reach(w.env(2)); err != nil {
		t.Fatalf("before: %v", err)
	}
	held, err := Prober{NetNS: w.env(2)}.dialFor(t.Context(), shared, 2*time.Second)
	if err != nil || echo(held, 2*time.Second) != nil {
		t.Fatalf("before: %v", err)
	}
	defer held.Close()
	w.cut(t, sharedID, envID(5))
	before := w.counted(t, w.router(0), "csh")
	if err := echo(held, 300*time.Millisecond); err == nil {
		t.Error("an environment's established connection to the directory lives on")
	}
	for _, ns := range []string{w.env(2), w.env(5), w.prefix + "out"} {
		if err := reach(ns); err == nil {
			t.Errorf("%s still reaches the directory", ns)
		}
	}
	if err := w.fromShared(t); err == nil {
		t.Error("the directory reaches an environment")
	}
	if after := w.counted(t, w.router(0), "csh"); after != before {
		t.Errorf("packets of the directory passed after the cut: %s, before %s", after, before)
	}
	if conn, err := w.dial(t, "mg", shared); err != nil || echo(conn, 2*time.Second) != nil {
		t.Errorf("the management path: %v", err)
	}
	for _, i := range []int{0, 2, 3, 4, 6, 11} {
		if conn, err := w.dial(t, "out", host(i, 0)+":"+servicePort); err != nil || echo(conn, 2*time.Second) != nil {
			t.Errorf("environment %d, which was not ordered off: %v", i, err)
		}
	}
	w.undo(t, sharedID)
	if err := reach(w.env(2)); err != nil {
		t.Errorf("after undoing: %v", err)
	}
	if err := reach(w.env(5)); err == nil {
		t.Error("undoing the cut of the directory reconnected an environment")
	}
	w.undo(t, envID(5))
}

// fromShared tries to get from the directory to an environment.
func (w *world) fromShared(t *testing.T) error {
	conn, err := Prober{NetNS: w.prefix + "sh"}.dialFor(t.Context(), host(1, 0)+":"+servicePort, 60*time.Millisecond)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

// sharing is a catalogue in which two Kassen rest on one directory, one of them with a
// second one elsewhere, and a third Kasse on nothing shared.
func sharing(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	c, err := catalogue.Import(
		catalogue.File{Name: "k.csv", Data: []byte("ik;name;versicherte\n108433248;SBK;1000\n103170002;hkk;500\n109034270;BMW BKK;10\n")},
		catalogue.File{Name: "s.csv", Data: []byte("standort;name\nmunich;München\nessen;Essen\n")},
		catalogue.File{Name: "d.csv", Data: []byte("dienst;name;mtpd_h\nzahl;Zahlungen;120\n")},
		catalogue.File{Name: "c.csv", Data: []byte("komponente;name\nad@munich;Verzeichnis\nad@essen;Verzeichnis\nbackup@munich;Sicherung\n")},
		catalogue.File{Name: "p.csv", Data: []byte("kasse;standort;dienst;haengt_ab_von\n108433248;munich;zahl;ad@munich\n" +
			"103170002;munich;zahl;ad@munich | ad@essen\n109034270;munich;zahl;\n")},
	)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestThePreviewOfASharedComponentSaysWhichKassenItHits(t *testing.T) {
	c := sharing(t)
	now := time.Date(2023, 4, 24, 20, 0, 0, 0, time.UTC)
	s := adopted(t, c, now)
	plan := Plan{Title: "t", Reason: "r", Stage: 2, From: now, Selection: Selection{Components: []catalogue.ComponentID{"ad@munich"}}}
	preview := func() Preview {
		t.Helper()
		pre, err := MakePreview(c, s, plan)
		if err != nil {
			t.Fatal(err)
		}
		return pre
	}
	pre := preview()
	want := "Eine gemeinsame Komponente (ad@munich) geht vom Netz. Das trifft eine Kasse mit 1.000 Versicherten. " +
		"Außerdem trifft es Dienste, die darauf beruhen: einer fällt aus, einer läuft über einen Ersatzweg. " +
		"Zuerst untragbar: Zahlungen nach 5 Tagen, am Sa 29.04.2023, 22:00 Uhr."
	if pre.Sentence != want {
		t.Errorf("got  %s\nwant %s", pre.Sentence, want)
	}
	if len(pre.ByKasse) != 2 || pre.ByKasse[0].Kasse != "108433248" || pre.ByKasse[0].Stopped != 1 || pre.ByKasse[1].OnAlternative != 1 {
		t.Errorf("%+v", pre.ByKasse)
	}
	if cut := pre.Command(c, "m-1"); !slices.Equal(cut.Nodes, []string{"ad@munich"}) {
		t.Errorf("the cut is of %v", cut.Nodes)
	}

	plan.Selection.Dependents = true
	if pre = preview(); !slices.Equal(pre.Placements, []catalogue.PlacementID{"108433248/zahl/munich"}) || pre.Beyond.Stopped != 0 {
		t.Errorf("with what stops: %v %+v", pre.Placements, pre.Beyond)
	}
	if cut := pre.Command(c, "m-1"); !slices.Equal(cut.Nodes, []string{"ad@munich", "108433248/zahl/munich"}) {
		t.Errorf("the cut is of %v", cut.Nodes)
	}
	plan.Selection.Except = []string{"108433248"}
	if pre = preview(); len(pre.Placements) != 0 {
		t.Errorf("an exception is cut: %v", pre.Placements)
	}

	plan.Selection = Selection{Sites: []catalogue.SiteID{"munich"}, Shared: true, Except: []string{"backup@munich"}}
	if pre = preview(); !slices.Equal(pre.Components, []catalogue.ComponentID{"ad@munich"}) || len(pre.Placements) != 3 {
		t.Errorf("the site with what is shared: %v %v", pre.Components, pre.Placements)
	}
	plan.Selection = Selection{Components: []catalogue.ComponentID{"backup@munich"}}
	if pre = preview(); !strings.Contains(pre.Sentence, "Kein Dienst beruht auf dem, was geht.") || len(pre.ByKasse) != 0 {
		t.Errorf("%s %v", pre.Sentence, pre.ByKasse)
	}
	for _, bad := range []Selection{
		{Components: []catalogue.ComponentID{"ad@minuch"}},
		{Shared: true, Kassen: []catalogue.KasseID{"108433248"}},
		{Dependents: true, Kassen: []catalogue.KasseID{"108433248"}},
		{Components: []catalogue.ComponentID{"ad@munich"}, Except: []string{"ad@munich"}},
	} {
		plan.Selection = bad
		if _, err := MakePreview(c, s, plan); err == nil {
			t.Errorf("taken: %+v", bad)
		}
	}
}

// componentConfig is a directory that programs of the test take off.
func componentConfig(l *loopback, more string) string {
	return strings.NewReplacer("DIR", l.dir, "DOWN", "tcp://"+l.addr, "UP", "tcp://"+l.up, "MORE", more).Replace(`
always: [10.8.0.0/16]
probing: {timeout: 200ms, attempts: 1, settle: 400ms, refused_is_down: true}
drivers:
  - name: border
    exec: {execute: [sh, -c, 'echo "$1 $2" >> DIR/log; touch DIR/cut', x, "{environment}", "{addresses}"], undo: [rm, -f, DIR/cut], probe: [test, -e, DIR/cut]}
  - name: paper
    manual: {directory: DIR/orders}
  - name: doors
    gateway: {}
environments:
  - id: 109034270@munich
    addresses: [10.1.0.0/16]
    steps: [{driver: border}]
    probe: {down: ["DOWN"], up: ["UP"]}
components:
  - id: ad@munich
    addresses: [10.2.0.5, 10.1.0.9]
    steps: [{driver: border}MORE]
    probe: {down: ["DOWN"], up: ["UP"]}
`)
}

func componentDrivers(t *testing.T, l *loopback, more string) *Drivers {
	t.Helper()
	c, err := ParseDrivers([]byte(componentConfig(l, more)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Build(Wiring{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAComponentIsCutProvenOnRecordAndTakenBackLikeAnEnvironment(t *testing.T) {
	l := newLoopback(t)
	store, x := newExecutor(t, componentDrivers(t, l, ""))
	acts, err := x.Cut(t.Context(), order(), "ad@munich")
	if err != nil || len(acts) != 1 || !acts[0].Proven() || acts[0].Component != "ad@munich" || acts[0].Environment != "" {
		t.Fatalf("%+v %v", acts, err)
	}
	if said, err := os.ReadFile(filepath.Join(l.dir, "log")); err != nil || string(said) != "ad@munich 10.2.0.5,10.1.0.9\n" {
		t.Errorf("the driver was told %q, %v", said, err)
	}
	if _, err := x.Undo(t.Context(), order(), "ad@munich"); err != nil {
		t.Fatal(err)
	}
	want := []string{kindIntended, kindExecuted, kindProbed, kindDone, kindIntended, kindExecuted, kindProbed, kindUndone, kindUndone}
	if got := kinds(t, store); !slices.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

func TestAnIntentAboutAComponentThatACrashLeftIsNotRepeated(t *testing.T) {
	l := newLoopback(t)
	store, x := newExecutor(t, componentDrivers(t, l, ""))
	if err := x.Recorder.Record(t.Context(), kindIntended, "", Act{ID: "a-1", Target: "ad@munich", Component: "ad@munich", Driver: "border", State: Intended, By: []string{"anna"}, StartedAt: x.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Cut(t.Context(), order(), "ad@munich"); !errors.Is(err, ErrOpen) {
		t.Errorf("repeated blindly: %v", err)
	}
	acts, err := x.Resolve(t.Context(), "a-1", "otto", Repeat, "nachgesehen: nicht geschehen")
	if err != nil || len(acts) != 1 || !acts[0].Proven() {
		t.Errorf("%+v %v", acts, err)
	}
	if all, err := Acts(t.Context(), store); err != nil || !slices.Equal(InForce(all), []string{"ad@munich"}) {
		t.Errorf("in force: %v %v", all, err)
	}
}

func TestEveryKindOfDriverKnowsTheComponent(t *testing.T) {
	l := newLoopback(t)
	d := componentDrivers(t, l, ", {driver: paper}")
	x := &Executor{Drivers: d}
	dry, err := x.DryRun(t.Context(), []string{"ad@munich"})
	if err != nil || len(dry) != 2 || !strings.Contains(strings.Join(dry[1].Exact, "\n"), "Komponente") {
		t.Errorf("%+v %v", dry, err)
	}
	for _, format := range []string{FormatNFT, FormatIPTables, FormatCisco, FormatCSV} {
		if text, err := d.Rules("ad@munich", format); err != nil || !strings.Contains(text, "10.2.0.5") || strings.Contains(text, "10.1.0.0") {
			t.Errorf("%s: %v\n%s", format, err, text)
		}
	}
	hook := &webhookDriver{name: "hook"}
	body, err := hook.order("execute", Target{ID: "ad@munich", Component: "ad@munich"})
	if err != nil || !strings.Contains(string(body), `"component":"ad@munich"`) {
		t.Errorf("%s %v", body, err)
	}
	targets, left := d.CoverComponents([]catalogue.ComponentID{"backup@munich", "ad@munich"})
	if fmt.Sprint(targets, left) != "[ad@munich] [backup@munich]" {
		t.Errorf("%v %v", targets, left)
	}
}

func TestEveryMistakeAboutAComponentIsNamed(t *testing.T) {
	good := componentConfig(&loopback{dir: "/x", addr: "10.2.0.5:443", up: "10.8.0.1:22"}, "")
	if _, err := ParseDrivers([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, replacement, want string }{
		{"10.2.0.5, 10.1.0.9", "10.0.0.0/8", "hole"},
		{"10.2.0.5, 10.1.0.9", "10.1.0.0/16", "takes in environment"},
		{"10.2.0.5, 10.1.0.9", "10.0.0.0/15", "takes in environment"},
		{"id: ad@munich", "id: 109034270@munich", "once"},
		{"10.1.0.9]\n    steps: [{driver: border}]", "10.1.0.9]\n    steps: [{driver: doors}]", "has none"},
		{"10.1.0.9]\n    steps: [{driver: border}]", "10.1.0.9]\n    steps: []", "no steps"},
		{"components:", "component:", "unknown field"},
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

// recording keeps the order in which targets are first intended to be cut.
type recording struct{ targets []string }

func (r *recording) Record(_ context.Context, kind, _ string, acts ...Act) error {
	for _, a := range acts {
		if kind == kindIntended {
			r.targets = append(r.targets, a.Target)
		}
	}
	return nil
}

func (r *recording) Acts(context.Context) ([]Act, error) { return nil, nil }

func TestTheBackupServerGoesAfterEverythingElse(t *testing.T) {
	l := newLoopback(t)
	text := strings.Replace(componentConfig(l, ""), "components:\n", `components:
  - id: backup@munich
    addresses: [10.2.0.7]
    steps: [{driver: border}]
    last: evidence
    probe: {down: ["tcp://`+l.addr+`"], up: ["tcp://`+l.up+`"]}
  - id: kim@munich
    addresses: [10.2.0.8]
    steps: [{driver: border}]
    last: communication
    probe: {down: ["tcp://`+l.addr+`"], up: ["tcp://`+l.up+`"]}
`, 1)
	c, err := ParseDrivers([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Build(Wiring{})
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{}
	x := &Executor{Drivers: d, Recorder: r, Now: time.Now}
	if _, err := x.Cut(t.Context(), order(), "backup@munich", "kim@munich", "ad@munich"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"ad@munich", "kim@munich", "backup@munich"}; !slices.Equal(r.targets, want) {
		t.Errorf("in the order %v, want %v", r.targets, want)
	}
}
