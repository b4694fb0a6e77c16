//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keeping is a room that is kept by processes which are killed.
type keeping struct {
	exe, dir, data string
	kills          int
}

func (k *keeping) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(k.exe, args...).CombinedOutput()
	return string(out), err
}

func (k *keeping) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := k.run(t, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// kill starts a process and kills it as soon as the condition holds. It says
// whether the process was still at work then.
func (k *keeping) kill(t *testing.T, when func() bool, args ...string) bool {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(k.exe, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	check(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %v\n%s", args, err, out.String())
			}
			return false
		default:
		}
		if when() {
			_ = cmd.Process.Kill() // it may have ended just now
			if err := <-ended; err == nil {
				return false
			}
			k.kills++
			return true
		}
		time.Sleep(200 * time.Microsecond) // only to leave the processor to the other one
	}
}

// files is a condition: a directory holds at least n files.
func files(dir string, n int) func() bool {
	return func() bool {
		found, err := os.ReadDir(dir)
		return err == nil && len(found) >= n
	}
}

func (k *keeping) verified(t *testing.T, data string, more ...string) {
	t.Helper()
	out := k.must(t, append([]string{"ledger", "verify", "--state", "--data", data}, more...)...)
	list := k.must(t, append([]string{"incident", "list", "--data", data}, more...)...)
	if !strings.Contains(out, " 0 problems") || !strings.Contains(list, "vor den Abbrüchen") {
		t.Errorf("%s: %s%s", data, out, list)
	}
}

// TestKeepingARoomIsKilledAnywhereAndBegunAgain kills backup, restore, take-over
// and the change of both keys at random steps: what there is afterwards is whole or
// says that it is not, and the same command finishes the work.
func TestKeepingARoomIsKilledAnywhereAndBegunAgain(t *testing.T) {
	rounds := 1
	if os.Getenv("LEITSTAND_LONG") != "" {
		rounds = 20
	}
	dir := t.TempDir()
	k := &keeping{exe: program(t, nil), dir: dir, data: filepath.Join(dir, "room")}
	k.must(t, "init", "--example", "--data", k.data)
	k.must(t, "incident", "declare", "vor den Abbrüchen", "--as", "lead", "--data", k.data)
	pass := func(n int) string {
		file := filepath.Join(dir, fmt.Sprintf("pass%d", n))
		check(t, os.WriteFile(file, fmt.Appendf(nil, "Passphrase %d", n), 0o600))
		return file
	}
	old := filepath.Join(k.data, "passphrase")
	rng := rand.New(rand.NewPCG(7, uint64(rounds)))
	for n := range rounds {
		k.copies(t, n, rng)
		k.ledgerKey(t, n, rng)
		old = k.roomKey(t, old, pass(n))
	}
	if k.kills < rounds {
		t.Errorf("only %d processes were killed at work: this test means nothing", k.kills)
	}
	t.Logf("%d processes killed at work", k.kills)
}

// copies kills a backup, then restore and take-over of a whole one.
func (k *keeping) copies(t *testing.T, n int, rng *rand.Rand) {
	t.Helper()
	to := func(name string) string { return filepath.Join(k.dir, fmt.Sprintf("%s%d", name, n)) }
	if k.kill(t, files(to("half"), 1+rng.IntN(12)), "backup", to("half"), "--as", "operator", "--data", k.data) {
		_, missing := os.Stat(filepath.Join(to("half"), "backup.json")) // written last: killed after it, the backup is whole
		out, err := k.run(t, "restore", to("half"), "--data", to("none"))
		if missing != nil && (err == nil || !strings.Contains(out, "not whole")) || missing == nil && err != nil {
			t.Errorf("a backup that was killed, manifest %v: %v %s", missing, err, out)
		}
	}
	k.must(t, "backup", to("stick"), "--as", "operator", "--data", k.data)
	k.kill(t, files(to("again")+".partial", 1+rng.IntN(15)), "restore", to("stick"), "--data", to("again"))
	if _, err := os.Stat(to("again")); err != nil {
		k.must(t, "restore", to("stick"), "--data", to("again"))
	}
	k.verified(t, to("again"))
	takeover := []string{"takeover", "run", to("stick"), "--data", to("second"), "--as", "operator", "--second", "lead", "--reason", "Probe"}
	k.kill(t, files(to("second")+".partial", 1+rng.IntN(20)), takeover...)
	if _, err := os.Stat(to("second")); err != nil {
		k.must(t, takeover...)
	}
	k.verified(t, to("second"))
}

// ledgerKey kills the change of the ledger's key: it has happened or it has not.
func (k *keeping) ledgerKey(t *testing.T, n int, rng *rand.Rand) {
	t.Helper()
	names := []string{"ledger.next.new", "ledger.next", "ledger.pub.new", "ledger.key.new"}
	from := rng.IntN(len(names))
	seen := func() bool {
		for _, name := range names[from:] {
			if _, err := os.Stat(filepath.Join(k.data, name)); err == nil {
				return true
			}
		}
		return false
	}
	rotate := []string{"keys", "rotate-ledger", "--as", "operator", "--second", "lead", "--reason", fmt.Sprintf("Wechsel %d", n), "--data", k.data}
	before := strings.Count(k.must(t, "ledger", "list", "--limit", "1000", "--data", k.data), "keys.ledger_rotated")
	k.kill(t, seen, rotate...)
	status := k.must(t, "keys", "status", "--data", k.data) // finishes what counts already
	noted := strings.Count(k.must(t, "ledger", "list", "--limit", "1000", "--data", k.data), "keys.ledger_rotated")
	if had := strings.Count(status, "  davor "); had != noted || noted < before || noted > before+1 {
		t.Errorf("%d keys before the present one, %d changes on record, %d before this one", had, noted, before)
	}
	k.verified(t, k.data)
}

// roomKey kills the change of the room's key and finishes it.
func (k *keeping) roomKey(t *testing.T, old, next string) string {
	t.Helper()
	begun := func() bool { _, err := os.Stat(filepath.Join(k.data, "master.next")); return err == nil }
	rotate := []string{"keys", "rotate-room", "--as", "operator", "--reason", "Wechsel", "--data", k.data, "--passphrase-file", old, "--new-passphrase-file", next}
	k.kill(t, begun, rotate...)
	if begun() {
		if out := k.must(t, "keys", "status", "--data", k.data, "--passphrase-file", old); !strings.Contains(out, "gesperrt") || !strings.Contains(out, "unterbrochen") {
			t.Errorf("half-way between two keys: %s", out)
		}
		k.must(t, rotate...)
	}
	if out := k.must(t, "keys", "status", "--data", k.data, "--passphrase-file", next); !strings.Contains(out, "Der Raum ist entsperrt") {
		t.Error(out)
	}
	k.verified(t, k.data, "--passphrase-file", next)
	return next
}
