package room_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/operation"
	"leitstand/room"
	"leitstand/warning"
)

// regularSide is a regular system on loopback that is off while a file lies there.
type regularSide struct {
	addr, file string
	served     atomic.Bool
}

func newRegularSide(t *testing.T) (side *regularSide, always string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	listen := func(addr string) net.Listener {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil
		}
		return l
	}
	mgmt, l := listen("127.0.0.1:0"), listen("127.0.0.1:0")
	side = &regularSide{addr: l.Addr().String(), file: filepath.Join(t.TempDir(), "cut")}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, err := os.Stat(side.file)
			if err == nil && l != nil {
				_ = l.Close()
				l = nil
			} else if err != nil && l == nil {
				l = listen(side.addr)
			}
			side.served.Store(l != nil)
			time.Sleep(2 * time.Millisecond)
		}
		_ = mgmt.Close()
		if l != nil {
			_ = l.Close()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return side, mgmt.Addr().String()
}

// realRoom is a room that is no exercise, with one environment that a driver takes off.
func realRoom(t *testing.T, execute string) (*room.Room, catalogue.EnvironmentID, *regularSide) {
	t.Helper()
	env := catalogue.Example(7).Environments[0].ID
	r, side := roomWithDrivers(t, execute, "environments:\n  - id: "+string(env))
	return r, env, side
}

// roomWithDrivers is a room that is no exercise, in which a driver takes one thing off.
func roomWithDrivers(t *testing.T, execute, what string) (*room.Room, *regularSide) {
	t.Helper()
	c := catalogue.Example(7)
	r, err := room.Init(t.Context(), room.Options{Data: t.TempDir() + "/room", Passphrase: []byte("acht Wörter")}, room.Setup{
		Name: "echt", Catalogue: c, People: room.PracticePeople(c.Kassen[0].ID), Owner: "operator", Passphrase: []byte("acht Wörter"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	side, always := newRegularSide(t)
	text := fmt.Sprintf(`
probing: {timeout: 200ms, attempts: 1, settle: 300ms, refused_is_down: true}
drivers:
  - name: border
    exec: {execute: [%[1]s, %[2]s], undo: [rm, -f, %[2]s], probe: [test, -e, %[2]s]}
%[3]s
    addresses: [10.1.0.0/16]
    steps: [{driver: border}]
    probe: {down: ["tcp://%[4]s"], up: ["tcp://%[5]s"]}
`, execute, side.file, what, side.addr, always)
	if err := os.WriteFile(filepath.Join(r.Data(), containment.DriversFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.UseDrivers(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r, side
}

func person(t *testing.T, r *room.Room, role access.Role) string {
	t.Helper()
	people, err := access.List(t.Context(), r.Store)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(people, func(p access.Person) bool { return p.Has(role) })
	if i < 0 {
		t.Fatalf("nobody is %s", role)
	}
	return people[i].ID
}

func orderCut(t *testing.T, r *room.Room, env catalogue.EnvironmentID) containment.Measure {
	t.Helper()
	o, err := room.Do[room.Ordered](t.Context(), r, person(t, r, access.Operator), "measure.order", containment.Plan{
		Title: "Probe", Stage: 2, Reason: "Übung am echten Raum", Immediate: true,
		Selection: containment.Selection{Environments: []catalogue.EnvironmentID{env}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return *o.Measure
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not in ten seconds: %s", what)
}

func writer(r *room.Room, env catalogue.EnvironmentID) (open, closed int) {
	for _, p := range r.Operation.Current().Placements() {
		switch {
		case p.Environment != env:
		case p.Writing.Writer == operation.RegularSide:
			open++
		case p.Writing.Proof != nil && p.Writing.Proof.Kind == operation.ByProbe && strings.HasPrefix(p.Writing.Proof.Ref, "a-"):
			closed++
		}
	}
	return open, closed
}

func TestWhatIsOrderedIsTakenOffProvenAndTakenBackByOrder(t *testing.T) {
	r, env, side := realRoom(t, "touch")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.RunDrivers(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	start := time.Now()
	m := orderCut(t, r, env)
	eventually(t, "the regular side is proven closed", func() bool { open, closed := writer(r, env); return open == 0 && closed > 0 })
	t.Logf("order to reported proof: %v", time.Since(start).Round(time.Millisecond))
	if side.served.Load() {
		t.Error("the regular side still answers")
	}
	lead := person(t, r, access.CrisisLead)
	if _, err := room.Do[containment.Measure](t.Context(), r, lead, "measure.confirm", map[string]string{"id": m.ID, "reason": "gesehen"}); err != nil {
		t.Fatal(err)
	}
	c, err := room.Do[access.Consent](t.Context(), r, person(t, r, access.Operator), "measure.undo", map[string]string{"id": m.ID, "reason": "Fehlalarm"})
	if err != nil {
		t.Fatal(err)
	}
	if side.served.Load() {
		t.Error("connected before the second person agreed")
	}
	if _, err := room.Do[room.Outcome](t.Context(), r, lead, "approve", map[string]string{"id": c.ID}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the regular side answers again", side.served.Load)
	eventually(t, "the act is on record as taken back", func() bool {
		acts, err := containment.Acts(t.Context(), r.Store)
		return err == nil && len(acts) == 2 && acts[0].State == containment.Taken
	})
	soundRecord(t, r)
}

func TestACutWithoutEffectRaisesASignalAndIsNotReportedClosed(t *testing.T) {
	r, env, side := realRoom(t, "true") // says that it is done and does nothing
	orderCut(t, r, env)
	if err := r.Isolate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if open, closed := writer(r, env); open == 0 || closed > 0 || !side.served.Load() {
		t.Errorf("%d open, %d closed", open, closed)
	}
	signals, err := warning.List(t.Context(), r.Store)
	if err != nil || len(signals) != 1 || signals[0].Level != "critical" || signals[0].Environment != env {
		t.Errorf("%+v %v", signals, err)
	}
}

func TestTheKillSwitchLogEntersTheLedgerOnceAndTheStateFollows(t *testing.T) {
	r, env, side := realRoom(t, "touch")
	args := pullKillSwitch(t, r, side, string(env))
	got, err := room.Do[room.ImportedLog](t.Context(), r, person(t, r, access.Operator), "driver.import-log", args)
	if err != nil || got.Placements == 0 {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err := room.Do[room.ImportedLog](t.Context(), r, person(t, r, access.Operator), "driver.import-log", args); !errors.Is(err, room.ErrImported) {
		t.Errorf("a second time: %v", err)
	}
	if err := r.Isolate(t.Context()); err != nil { // sees what is in force and reports it
		t.Fatal(err)
	}
	if open, closed := writer(r, env); open > 0 || closed == 0 {
		t.Errorf("%d open, %d closed", open, closed)
	}
	soundRecord(t, r)
}

func soundRecord(t *testing.T, r *room.Room) {
	t.Helper()
	problems, err := ledger.VerifyState(t.Context(), r.Store, r.Keepers()...)
	if err != nil || len(problems) > 0 {
		t.Errorf("the record: %v %v", problems, err)
	}
}

// pullKillSwitch cuts a target without the room, and returns what the room is told on return.
func pullKillSwitch(t *testing.T, r *room.Room, side *regularSide, target string) map[string]string {
	t.Helper()
	key, err := ledger.LoadKey(r.Data())
	if err != nil {
		t.Fatal(err)
	}
	config, err := containment.LoadDrivers(filepath.Join(r.Data(), containment.DriversFile))
	if err != nil {
		t.Fatal(err)
	}
	d, err := config.Build(containment.Wiring{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "killswitch.log")
	now := func() time.Time { return time.Now().UTC() }
	log, err := containment.OpenLocalLog(file, key, now)
	if err != nil {
		t.Fatal(err)
	}
	x := &containment.Executor{Drivers: d, Recorder: log, Now: now}
	lead, operator := person(t, r, access.CrisisLead), person(t, r, access.Operator)
	if _, err := x.Cut(t.Context(), containment.Order{Measure: containment.NewID(), By: []string{lead, operator}, Reason: "Gefahr"}, target); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil || side.served.Load() {
		t.Fatalf("%v, answers %t", err, side.served.Load())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"log": string(b), "reason": "Rückkehr"}
}
