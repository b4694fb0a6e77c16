package logbus

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/pure/sigma"
	"leitstand/warning"
)

// TestMain lets the test program be a worker process.
func TestMain(m *testing.M) {
	if os.Getenv("LOGBUS_WORKER") == "" {
		os.Exit(m.Run())
	}
	if err := beWorker(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// beWorker works until it is killed, or kills itself at a point.
func beWorker() error {
	rules, err := warning.CompileRules(warning.RuleFiles{Files: []sigma.File{{Name: "test.yml", Data: []byte(testRules)}}}, nil)
	if err != nil {
		return err
	}
	b, err := Connect(Config{URL: os.Getenv("LOGBUS_URL"), Prefix: os.Getenv("LOGBUS_PREFIX")}, true)
	if err != nil {
		return err
	}
	point, after, _ := strings.Cut(os.Getenv("LOGBUS_DIE"), "@")
	left, _ := strconv.Atoi(after)
	die := func(at string) {
		if at != point {
			return
		}
		if left--; left == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	w, err := b.NewWorker(Options{Name: os.Getenv("LOGBUS_WORKER"), Rules: rules, Lease: testLease, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), step: die})
	if err != nil {
		return err
	}
	return w.Run(context.Background())
}

const testLease = 2 * time.Second

const testRules = `
title: Failed
name: failed
id: 00000000-0000-4000-8000-000000000001
logsource: {product: linux, service: sshd}
detection: {s: {outcome: failed}, condition: s}
---
title: Accepted
name: accepted
id: 00000000-0000-4000-8000-000000000002
logsource: {product: linux, service: sshd}
detection: {s: {outcome: accepted}, condition: s}
---
title: Many failures
name: many
id: many
level: high
correlation: {type: event_count, rules: [failed], group-by: [src_ip], timespan: 1m, condition: {gte: 4}}
---
title: Spraying
id: spraying
level: high
correlation: {type: value_count, rules: [failed], group-by: [src_ip], timespan: 2m, condition: {field: user, gte: 4}}
---
title: Failed then accepted
id: then
level: critical
correlation: {type: temporal_ordered, rules: [failed, accepted], group-by: [user], timespan: 20s}
---
title: Few in a window
id: few
level: low
correlation: {type: event_count, rules: [failed], group-by: [user], timespan: 30s, condition: {lte: 1}}
---
title: Spreads
id: spreads
level: critical
generate: true
correlation: {type: event_count, rules: [many], timespan: 5m, condition: {gte: 6}}
---
title: New address
id: new
level: medium
correlation: {type: new_value, rules: [accepted], group-by: [user], timespan: 10m, condition: {field: src_ip, learn: 20s}}
---
title: Root
id: 00000000-0000-4000-8000-000000000003
level: high
logsource: {product: linux, service: sshd}
detection: {s: {user: root, outcome: accepted}, condition: s}
`

// traffic is what many hosts log: each line with a time of its own, so that
// there is one right order, and for each host not quite in that order.
func traffic(n int) (inOrder, asSent []testLine) {
	r := rand.New(rand.NewPCG(7, 2023))
	at := time.Date(2023, 4, 26, 1, 0, 0, 0, time.UTC)
	for i := range n {
		at = at.Add(time.Duration(20+r.IntN(60)) * time.Millisecond)
		host, ip := fmt.Sprintf("host%02d", r.IntN(30)), fmt.Sprintf("192.0.2.%d", r.IntN(80))
		user := fmt.Sprintf("user%d", r.IntN(60))
		what := "Failed password"
		switch {
		case i%211 == 0:
			user, what = "root", "Accepted password"
		case r.IntN(3) == 0:
			what = "Accepted password"
		}
		line := fmt.Sprintf("%s %s sshd[1]: %s for %s from %s port 1 ssh2", at.Format("2006-01-02T15:04:05.000000Z"), host, what, user, ip)
		inOrder = append(inOrder, testLine{host, line})
	}
	asSent = slices.Clone(inOrder)
	for i := 0; i+5 < len(asSent); i += 5 { // within the lateness of two seconds
		r.Shuffle(5, func(a, b int) { asSent[i+a], asSent[i+b] = asSent[i+b], asSent[i+a] })
	}
	return inOrder, asSent
}

type testLine struct{ host, text string }

// alone is what one process finds that reads all lines in their order.
func alone(t *testing.T, lines []testLine) map[string]int {
	t.Helper()
	rules, err := warning.CompileRules(warning.RuleFiles{Files: []sigma.File{{Name: "test.yml", Data: []byte(testRules)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := rules.NewDetector(warning.DetectorOptions{Early: true})
	out := map[string]int{}
	count := func(hits []warning.Hit) {
		for _, h := range hits {
			out[describe(hitOf("", h))]++
		}
	}
	for _, l := range lines {
		count(d.Line([]byte(l.text), time.Now()))
	}
	count(d.Advance(time.Now()))
	return out
}

// describe is all that a hit says, without its id.
func describe(h hit) string {
	h.ID = ""
	text, _ := json.Marshal(h)
	return string(text)
}

// natsServer is the program, when it is there.
func natsServer(t *testing.T) string {
	t.Helper()
	program := os.Getenv("LEITSTAND_NATS")
	if program == "" {
		var err error
		if program, err = exec.LookPath("nats-server"); err != nil {
			t.Skip("suite left out: no nats-server (Debian package nats-server)")
		}
	}
	return program
}

// server starts a NATS server of its own and returns where it listens.
func server(t *testing.T, more ...string) string {
	t.Helper()
	program, dir := natsServer(t), t.TempDir()
	cmd := exec.Command(program, append([]string{"-a", "127.0.0.1", "-p", "-1", "-js", "-sd", dir, "--ports_file_dir", dir}, more...)...)
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has nothing to lose
		_ = cmd.Wait()
	})
	name := filepath.Join(dir, fmt.Sprintf("%s_%d.ports", filepath.Base(program), cmd.Process.Pid))
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var ports struct {
			Nats []string `json:"nats"`
		}
		if data, err := os.ReadFile(name); err == nil && json.Unmarshal(data, &ports) == nil && len(ports.Nats) > 0 {
			return ports.Nats[0]
		}
		if time.Now().After(deadline) {
			t.Fatal("the NATS server does not say where it listens")
		}
	}
}

// fill makes a bus under a prefix and puts the lines on it.
func fill(t *testing.T, url, prefix string, lines []testLine) *Bus {
	t.Helper()
	b, err := Connect(Config{URL: url, Prefix: prefix}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Make(t.Context(), Setup{Partitions: 6, Replicas: 1, Keep: 24 * time.Hour, Late: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	s, err := b.NewSender(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if err := s.Add(t.Context(), l.host, []byte(l.text)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Flush(t.Context()); err != nil || n != len(lines) {
		t.Fatal(n, err)
	}
	return b
}

// process starts a worker process; with an outage of the bus it may complain.
func process(t *testing.T, url, prefix, name, die string, outage ...bool) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOGBUS_WORKER="+name, "LOGBUS_URL="+url, "LOGBUS_PREFIX="+prefix, "LOGBUS_DIE="+die)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // perhaps it is dead already
		_ = cmd.Wait()
		if len(outage) == 0 && strings.Contains(said.String(), "level=ERROR") {
			t.Errorf("%s complains", name)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.String())
		}
	})
	return cmd
}

// until waits for a condition, however slow the machine is.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s", what)
		}
	}
}

// settled: everything on the bus is worked on, and every group was told that the end is reached.
func settled(t *testing.T, b *Bus) bool {
	t.Helper()
	s, err := b.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]PartitionStatus{s.Logs, s.Groups} {
		for _, p := range list {
			if p.Waiting > 60 { // promises of silent partitions keep coming
				return false
			}
		}
	}
	return true
}

// got reads all hits, as the room would.
func got(t *testing.T, url, prefix string) (found map[string]int, ids map[string]bool) {
	t.Helper()
	src := NewSource(Config{URL: url, Prefix: prefix}, nil)
	defer func() { _ = src.Close() }()
	found, ids = map[string]int{}, map[string]bool{}
	var at warning.Position
	for {
		p, err := src.Read(t.Context(), at, 1000, func(e warning.RawEvent) {
			if ids[e.Hit.ID] { // the room knows it
				return
			}
			ids[e.Hit.ID] = true
			h := hitOf("", *e.Hit)
			found[describe(h)]++
		})
		if err != nil {
			t.Fatal(err)
		}
		if p.Events == 0 {
			return found, ids
		}
		at = p.To
	}
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func TestThreeWorkersFindWhatOneFindsAlsoWhenOneIsKilled(t *testing.T) {
	url := server(t)
	long := os.Getenv("LEITSTAND_LONG") != ""
	lines := 3000
	if long {
		lines = 60_000
	}
	inOrder, asSent := traffic(lines)
	want := alone(t, inOrder)
	byRule, count := map[string]int{}, 0
	for text, n := range want {
		var h hit
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			t.Fatal(err)
		}
		if h.Early {
			continue // nothing is under observation here
		}
		byRule[h.Title] += n
		count += n
	}
	if count == sum(want) {
		t.Error("the traffic shows nothing that comes early")
	}
	for _, title := range []string{"Many failures", "Spraying", "Failed then accepted", "Few in a window", "Spreads", "New address", "Root"} {
		if byRule[title] == 0 {
			t.Errorf("the traffic shows nothing of %q: %v", title, byRule)
		}
	}
	for _, c := range []struct {
		name, die string
		workers   int
	}{
		{"one", "", 1},
		{"killed", "", 3}, // from outside, at random
		{"sent", "observations sent@3", 3},
		{"passed", "all passed on@4", 3},
		{"hits", "hits passed on@5", 3},
		{"written", "memory written@2", 3},
		{"counts", "memory counts@2", 3},
	} {
		if !long && c.name != "killed" && c.name != "passed" && (testing.Short() || c.name != "written") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			b := fill(t, url, c.name, asSent)
			procs := make([]*exec.Cmd, c.workers)
			for i := range procs {
				die := ""
				if i == 0 {
					die = c.die
				}
				procs[i] = process(t, url, c.name, fmt.Sprint("w", i), die)
			}
			switch {
			case c.die != "":
				if err := procs[0].Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
					t.Fatalf("the worker did not die at %q: %v", c.die, err)
				}
			case c.workers > 1:
				until(t, "work has begun", func() bool {
					s, err := b.Status(t.Context())
					return err == nil && len(s.Workers) == c.workers && s.Groups[0].Events > 0
				})
				if err := procs[rand.IntN(c.workers)].Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			var found map[string]int
			until(t, "all hits are there", func() bool {
				found, _ = got(t, url, c.name)
				return sum(found) >= sum(want)
			})
			until(t, "nothing waits", func() bool { return settled(t, b) })
			found, _ = got(t, url, c.name)
			if d := cmp.Diff(want, found); d != "" {
				t.Errorf("found %d, want %d (-one process +workers):\n%.4000s", sum(found), sum(want), d)
			}
			if c.die == "" {
				raisedOnce(t, url, c.name, count)
			}
		})
	}
}

// raisedOnce: a room that takes the hits in, is started anew and hears all of
// them a second time, counts each once.
func raisedOnce(t *testing.T, url, prefix string, want int) {
	t.Helper()
	rules, err := warning.CompileRules(warning.RuleFiles{}, nil) // without the rules of the workers
	if err != nil {
		t.Fatal(err)
	}
	d, err := db.InDir(t.TempDir()).Open(t.Context(), "room", ledger.Schema, warning.Schema)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	for _, name := range []string{"bus", "bus-again"} {
		in := warning.NewIntake(warning.IntakeOptions{Rules: rules, Duty: warning.Duty{Owner: "anna"}, Now: time.Now, Place: func(string) catalogue.EnvironmentID { return "" }, Bus: func(c warning.SourceConfig) warning.Source {
			return NewSource(Config{URL: c.URL, Prefix: c.Prefix}, rules)
		}})
		if err := in.Open(warning.SourceConfig{Name: name, Kind: "bus", URL: url, Prefix: prefix}, t.TempDir(), nil); err != nil {
			t.Fatal(err)
		}
		for more := true; more; {
			if _, more, err = in.Step(t.Context(), d, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		all, err := warning.List(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, s := range all {
			n += s.Count
			if s.Title == "" || s.Level == "" || len(s.Events) == 0 {
				t.Errorf("signal %s says too little: %+v", s.ID, s)
			}
		}
		if n != want {
			t.Errorf("%s: signals count %d hits, want %d", name, n, want)
		}
	}
}
