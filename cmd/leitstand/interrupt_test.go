//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCtrlCStopsAnExerciseCleanly interrupts an exercise while mail flows.
func TestCtrlCStopsAnExerciseCleanly(t *testing.T) {
	exe, data := program(t, nil), filepath.Join(t.TempDir(), "room")
	cmd := exec.Command(exe, "exercise", "--fast", "--notes", "100", "--scenario", "../../exercise/testdata/kurz.yml", "--data", data)
	said, err := cmd.StderrPipe()
	check(t, err)
	check(t, cmd.Start())
	var children []int
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if children == nil && strings.Contains(lines.Text(), "Vorfall erklärt") {
			children = childrenOf(t, cmd.Process.Pid)
			check(t, cmd.Process.Signal(syscall.SIGINT))
		}
	}
	_ = cmd.Wait() // the exit code is looked at
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d, want 130; last words: %s", code, lines.Text())
	}
	if len(children) != 4 {
		t.Errorf("%d child processes, want mail, practices, regular and employers", len(children))
	}
	for began := time.Now(); slices.ContainsFunc(children, alive); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 5*time.Second {
			t.Fatalf("some of the processes %v live on", children)
		}
	}
	var out, errs strings.Builder
	if code := run(t.Context(), []string{"ledger", "verify", "--state", "--data", data}, strings.NewReader(""), &out, &errs); code != 0 {
		t.Errorf("the room is no valid room any more: %s%s", out.String(), errs.String())
	}
}

func childrenOf(t *testing.T, parent int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	check(t, err)
	var out []int
	for _, name := range stats {
		if pid, ppid, _ := processStat(name); ppid == parent {
			out = append(out, pid)
		}
	}
	return out
}

func alive(pid int) bool {
	_, _, state := processStat(fmt.Sprintf("/proc/%d/stat", pid))
	return state != "" && state != "Z"
}

// processStat reads "pid (name) state ppid …" (proc(5)); a process that is gone has no state.
func processStat(name string) (pid, ppid int, state string) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, 0, ""
	}
	pid, _ = strconv.Atoi(strings.Fields(string(b))[0])
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 2 {
		return 0, 0, ""
	}
	ppid, _ = strconv.Atoi(f[1])
	return pid, ppid, f[0]
}
