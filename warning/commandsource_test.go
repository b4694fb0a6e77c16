package warning

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// journalctl is a program that writes what a journal does and what it was asked.
const fakeJournal = `#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked"
echo '{"__CURSOR":"s=1;i=7","MESSAGE":"Stopped auditd","SYSLOG_IDENTIFIER":"systemd","_HOSTNAME":"h","__REALTIME_TIMESTAMP":"1777885200000000"}'
`

func TestAProgramsLinesAreASourceAndAJournalGoesOnWhereItWas(t *testing.T) {
	bin, dir := t.TempDir(), t.TempDir()
	program := filepath.Join(bin, "journal")
	if err := os.WriteFile(program, []byte(fakeJournal), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		in, d := testIntake(t), testStore(t)
		if err := in.Open(SourceConfig{Name: "journal", Kind: "journal", Command: []string{"/bin/sh", program, "--follow"}}, dir, nil); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { in.Listen(ctx) })
		var found []Signal
		for deadline := time.Now().Add(time.Minute); len(found) == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			found = append(found, stepAll(t, in, d)...)
		}
		for deadline := time.Now().Add(time.Minute); in.Figures()[0].Error == "" && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		}
		if e := in.Figures()[0].Error; !strings.Contains(e, "has ended") {
			t.Errorf("that the program ended is not said: %q", e)
		}
		stop()
		wg.Wait()
		if len(found) == 0 || found[0].Host != "h" {
			t.Errorf("got %+v, want a signal of the journal's line", found)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	asked, err := os.ReadFile(filepath.Join(bin, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(asked)), "\n")
	if lines[0] != "--follow --lines=0" || lines[len(lines)-1] != "--follow --no-tail --after-cursor=s=1;i=7" {
		t.Errorf("the journal was asked for %q", lines)
	}
}

func TestAProgramThatFailsSaysWhy(t *testing.T) {
	in := testIntake(t)
	if err := in.Open(SourceConfig{Name: "none", Kind: "command"}, t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "command is missing") {
		t.Errorf("no command: %v", err)
	}
	q, err := openSpool(t.TempDir(), 0, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	s, err := newCommandSource(SourceConfig{Name: "x", Kind: "command", Command: []string{"/bin/sh", "-c", "echo no such journal >&2; exit 3"}}, q, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "no such journal") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
}
