//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/base/db/dbtest"
	"leitstand/room"
)

// copiedServer is a room in PostgreSQL that a process serves and copies to a second
// place until it is killed.
type copiedServer struct {
	keeping
	opt   room.Options
	known int      // incidents that were acknowledged
	safe  []string // those that the copy held, as the process said
}

func newCopiedServer(t *testing.T) *copiedServer {
	t.Helper()
	dsn := dbtest.URL(t)
	s := &copiedServer{keeping: keeping{exe: program(t, nil), dir: t.TempDir()}}
	s.data = filepath.Join(s.dir, "room")
	s.opt = room.Options{Data: s.data, Database: dsn}
	s.must(t, "init", "--example", "--data", s.data, "--db", dsn)
	prefix := placeIn(t, s.data)
	t.Cleanup(func() { dbtest.Drop(t, dsn, prefix) })
	s.must(t, "copy", "init", filepath.Join(s.dir, "second"), "--data", s.data)
	return s
}

// serve starts the process and waits until it takes commands.
func (s *copiedServer) serve(t *testing.T) *exec.Cmd {
	t.Helper()
	_ = os.Remove(filepath.Join(s.data, "room.sock")) // of the process that died
	cmd := exec.Command(s.exe, "serve", "--data", s.data, "--db", s.opt.Database, "--listen", "127.0.0.1:0", "--copy-to", filepath.Join(s.dir, "second"))
	var said strings.Builder
	cmd.Stderr = &said
	check(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := room.CallServed(t.Context(), s.data, room.Act{Name: "copy.status"}); err == nil {
			return cmd
		}
		if time.Since(began) > 60*time.Second {
			t.Fatalf("it does not take commands: %s", said.String())
		}
	}
}

// declare has the process acknowledge one more incident.
func (s *copiedServer) declare(t *testing.T) string {
	t.Helper()
	title := fmt.Sprintf("Nummer %04d.", s.known)
	args, err := json.Marshal(map[string]string{"title": title})
	check(t, err)
	_, err = room.CallServed(t.Context(), s.data, room.Act{Name: "incident.declare", As: "lead", Args: args})
	check(t, err)
	s.known++
	return title
}

// copied waits until the copy holds what was acknowledged before.
func (s *copiedServer) copied(t *testing.T, titles []string) {
	t.Helper()
	for began, now := time.Now(), time.Now(); ; time.Sleep(20 * time.Millisecond) {
		raw, err := room.CallServed(t.Context(), s.data, room.Act{Name: "copy.status"})
		check(t, err)
		var c room.CopyStatus
		check(t, json.Unmarshal(raw, &c))
		if c.At.After(now) {
			s.safe = append(s.safe, titles...)
			return
		}
		if time.Since(began) > 60*time.Second {
			t.Fatalf("the copy does not come: %+v", c)
		}
	}
}

// holds says what of the copied incidents a room does not know.
func (s *copiedServer) holds(t *testing.T, data string) {
	t.Helper()
	list := s.must(t, "incident", "list", "--data", data)
	for _, title := range s.safe {
		if !strings.Contains(list, title) {
			t.Errorf("%q was in the copy and is not in what came of it", title)
		}
	}
	if out := s.must(t, "ledger", "verify", "--state", "--data", data); !strings.Contains(out, " 0 problems") {
		t.Errorf("%s: %s", data, out)
	}
}

// TestAServerThatIsKilledWhileItCopiesIsTakenOver kills the process that serves a room in
// PostgreSQL while it acts and copies. Whatever the second place holds then is whole and
// has what it was said to have; at last a laptop takes over, the server that comes back
// writes no more, and what it accepted alone before it looked is shown.
func TestAServerThatIsKilledWhileItCopiesIsTakenOver(t *testing.T) {
	rounds := 1
	if os.Getenv("LEITSTAND_LONG") != "" {
		rounds = 20
	}
	s := newCopiedServer(t)
	rng := rand.New(rand.NewPCG(11, uint64(rounds)))
	second := filepath.Join(s.dir, "second")
	for n := range rounds {
		cmd := s.serve(t)
		s.copied(t, []string{s.declare(t), s.declare(t)})
		for range rng.IntN(12) { // the copy is under way
			s.declare(t)
			time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
		}
		check(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		if n == rounds-1 {
			break
		}
		back := filepath.Join(s.dir, fmt.Sprintf("back%d", n))
		s.must(t, "restore", second, "--data", back)
		s.holds(t, back)
	}
	if _, err := os.Stat(filepath.Join(s.data, "following")); err != nil {
		t.Errorf("the killed process left nothing: this test means nothing: %v", err)
	}
	laptop := filepath.Join(s.dir, "laptop")
	s.must(t, "takeover", "run", second, "--data", laptop, "--as", "operator", "--second", "lead", "--reason", "Server steht")
	s.holds(t, laptop)
	if _, err := s.run(t, "incident", "declare", "allein", "--as", "lead", "--data", s.data, "--db", s.opt.Database); err != nil {
		t.Errorf("the server, which has not looked at its second place yet: %v", err)
	}
	cmd := s.serve(t) // comes back, and looks
	if out, err := s.run(t, "incident", "declare", "zu spät", "--as", "lead", "--data", s.data); err == nil || !strings.Contains(out, "Generation 2") {
		t.Errorf("the server that came back: %v %s", err, out)
	}
	check(t, cmd.Process.Signal(os.Interrupt))
	check(t, cmd.Wait())
	left, err := os.ReadDir(filepath.Join(s.data, "following"))
	if err == nil && len(left) > 0 {
		t.Errorf("files in clear that the killed process left are still there: %v", left)
	}
	out := s.must(t, "takeover", "compare", s.data, "--first-db", s.opt.Database, "--data", laptop)
	if !strings.Contains(out, "Gemeinsam bis Eintrag") || !strings.Contains(out, "incident.declared") {
		t.Error(out)
	}
}
