//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"leitstand/incident"
	"leitstand/room"
)

// fill takes all room from a disk and returns how to give it back.
func (d *powerDisk) fill(t *testing.T) (free func()) {
	t.Helper()
	file := filepath.Join(d.dir, "filler")
	f, err := os.Create(file)
	check(t, err)
	for size := 1 << 20; size >= 512; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk does not become full: %v", err)
	}
	check(t, errors.Join(f.Sync(), f.Close()))
	return func() { check(t, os.Remove(file)) }
}

// declare has the room's process acknowledge an incident, or says why not.
func (w *crashWorld) declare(t *testing.T, title string) error {
	t.Helper()
	body, err := json.Marshal(map[string]string{"title": title, "grade": "stoerung"})
	check(t, err)
	raw, err := room.CallServed(t.Context(), w.data, room.Act{Name: "incident.declare", As: "lead", Args: body})
	if err != nil {
		return err
	}
	var in incident.Incident
	check(t, json.Unmarshal(raw, &in))
	w.incidents = append(w.incidents, in.ID)
	return nil
}

// until repeats acts until one answers as wanted.
func (w *crashWorld) until(t *testing.T, what string, good func(error) bool) error {
	t.Helper()
	var err error
	for i, began := 0, time.Now(); time.Since(began) < 40*time.Second; i++ {
		if err = w.declare(t, fmt.Sprintf("%s %d %s", what, i, strings.Repeat("x", 250))); good(err) {
			return err
		}
	}
	t.Fatalf("%s: the last answer is %v", what, err)
	return nil
}

func (w *crashWorld) vitals(t *testing.T) (v room.Vitals) {
	t.Helper()
	raw, err := room.CallServed(t.Context(), w.data, room.Act{Name: "vitals"})
	check(t, err)
	check(t, json.Unmarshal(raw, &v))
	return v
}

// TestAFullDiskStopsTheRoomInWordsAndLosesNothing fills the disk that a whole
// room lies on while mail comes in and people act.
func TestAFullDiskStopsTheRoomInWordsAndLosesNothing(t *testing.T) {
	disk := newPowerDisk(t, "64M")
	exe := program(t, nil)
	w := newCrashWorld(t, exe, exe, filepath.Join(disk.dir, "room"), 60)
	cmd := w.serve(t)
	defer func() { _ = cmd.Process.Kill() }() // when a check fails half-way
	check(t, w.declare(t, "vorher"))
	if v := w.vitals(t); !v.Ready {
		t.Fatalf("not ready from the start: %v", v.Problems)
	}
	free := disk.fill(t)
	err := w.until(t, "voll", func(err error) bool { return err != nil })
	if !strings.Contains(err.Error(), "disk is full: make room, then it goes on") {
		t.Errorf("what a person is told on a full disk: %v", err)
	}
	w.now = w.now.Add(48 * time.Hour)
	if _, err := w.practices.Advance(t.Context(), w.now); err != nil {
		t.Error(err)
	}
	time.Sleep(2 * time.Second) // many looks into the mailboxes
	if v := w.vitals(t); v.Ready || !strings.Contains(strings.Join(v.Problems, " "), "the disk is full: make room") {
		t.Errorf("a room on a full disk says: %+v", v)
	}
	counts, err := w.mail.Stats(t.Context())
	check(t, err)
	if counts["mail_waiting"] == 0 {
		t.Errorf("mails were taken from the server although nothing can be stored: %v", counts)
	}
	t.Logf("on the full disk %d mails wait on the server, %d were let go", counts["mail_waiting"], counts["mail_deleted"])
	free()
	_ = w.until(t, "wieder", func(err error) bool { return err == nil })
	for began := time.Now(); !w.vitals(t).Ready; time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("there is room again, and the room does not recover: %v", w.vitals(t).Problems)
		}
	}
	check(t, cmd.Process.Signal(os.Interrupt))
	check(t, cmd.Wait())
	for _, what := range w.lost(t) {
		t.Error(what)
	}
}

// TestAReadOnlyDiskIsNamed mounts the disk of a running room read-only, as a
// kernel does after an error.
func TestAReadOnlyDiskIsNamed(t *testing.T) {
	disk := newPowerDisk(t, "64M")
	exe := program(t, nil)
	w := newCrashWorld(t, exe, exe, filepath.Join(disk.dir, "room"), 10)
	cmd := w.serve(t)
	check(t, w.declare(t, "vorher"))
	check(t, cmd.Process.Signal(os.Interrupt))
	check(t, cmd.Wait())
	remount := func(how string) {
		if out, err := exec.Command("mount", "-o", "remount,"+how, disk.dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	remount("ro")
	out, err := exec.Command(exe, "incident", "list", "--data", w.data).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "read-only") {
		t.Errorf("starting on a read-only disk: %v: %s", err, out)
	}
	remount("rw")
	for _, what := range w.lost(t) {
		t.Error(what)
	}
}

// faulty makes a practice room, spoils it, and returns what a command says.
func faulty(t *testing.T, spoil func(dir string) error) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "room")
	for i, args := range [][]string{{"init", "--example"}, {"ledger", "verify", "--state"}} {
		if i == 1 {
			check(t, spoil(dir))
		}
		var out strings.Builder
		code := run(t.Context(), append(args, "--data", dir), strings.NewReader(""), &out, &out)
		if i == 1 {
			if code == 0 {
				t.Errorf("went on as if nothing were: %s", out.String())
			}
			return out.String()
		}
	}
	return ""
}

func TestLostAndDamagedFilesAreNamedWithWhatToDo(t *testing.T) {
	remove := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	for name, tt := range map[string]struct {
		spoil func(dir string) error
		want  []string
	}{
		"ledger.key lost": {remove("ledger.key"), []string{"ledger.key", "backup"}},
		"index.key lost":  {remove("index.key"), []string{"index.key", "backup"}},
		"room.json lost":  {remove("room.json"), []string{"room.json is missing: take it from a backup"}},
		"room.json torn":  {func(dir string) error { return os.Truncate(filepath.Join(dir, "room.json"), 10) }, []string{"room.json", "backup"}},
		"room.db: a page overwritten": {
			func(dir string) error { return overwrite(filepath.Join(dir, "room.db")) },
			[]string{"store is damaged: stop, keep the file as evidence, restore from backup"},
		},
		"a Kasse's book: a page overwritten": {
			func(dir string) error { return overwrite(filepath.Join(dir, "kasse_109900019.db")) },
			[]string{"kasse_109900019", "store is damaged: stop, keep the file as evidence, restore from backup"},
		},
		"room.db lost": {remove("room.db"), []string{"room.db", "backup"}},
	} {
		t.Run(name, func(t *testing.T) {
			said := faulty(t, tt.spoil)
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("said: %s\nwant: %q", said, want)
				}
			}
		})
	}
}

// overwrite damages every page of a store but the first four, as a failing disk
// might one of them: whichever is read, is damaged.
func overwrite(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.WriteAt([]byte(strings.Repeat("\xa5", int(size)-4*4096)), 4*4096)
	}
	return errors.Join(err, f.Close())
}
