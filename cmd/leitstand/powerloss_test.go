//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// powerDisk is an ext4 in a file whose power can be cut.
type powerDisk struct{ file, dir, mkfs string }

func newPowerDisk(t *testing.T, size string) *powerDisk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("cutting power needs root for a loop mount: suite left out")
	}
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		if mkfs = "/sbin/mkfs.ext4"; exec.Command(mkfs, "-V").Run() != nil {
			t.Skip("mkfs.ext4 is not installed: suite left out")
		}
	}
	d := &powerDisk{file: filepath.Join(t.TempDir(), "disk"), dir: filepath.Join(t.TempDir(), "mnt"), mkfs: mkfs}
	check(t, os.Mkdir(d.dir, 0o700))
	for _, c := range [][]string{{"truncate", "-s", size, d.file}, {mkfs, "-q", "-F", d.file}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Skipf("making a disk: %v: %s: suite left out", err, out)
		}
	}
	if out, err := exec.Command("mount", "-o", "loop", d.file, d.dir).CombinedOutput(); err != nil {
		t.Skipf("no loop mounts here: %v: %s: suite left out", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", d.dir).Run() })
	return d
}

// cut takes the power away: what no fsync has brought to the disk is gone.
func (d *powerDisk) cut(t *testing.T) {
	t.Helper()
	const (
		ext4IOCShutdown = 0x8004587d // _IOR('X', 125, __u32), linux/fs/ext4/ext4.h
		noLogFlush      = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH
	)
	f, err := os.Open(d.dir)
	check(t, err)
	defer func() { _ = f.Close() }() // only read
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ext4IOCShutdown, noLogFlush); err != nil {
		t.Skipf("this kernel does not cut power (EXT4_IOC_SHUTDOWN): %v: suite left out", err)
	}
}

// back brings the power back. The mount plays ext4's journal.
func (d *powerDisk) back(t *testing.T) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		out, err := exec.Command("umount", d.dir).CombinedOutput()
		if err == nil {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("umount: %v: %s", err, out)
		}
	}
	if out, err := exec.Command("mount", "-o", "loop", d.file, d.dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
}

// powerLosses lets a room live through power losses and names what is lost.
func powerLosses(t *testing.T, helper, exe string, losses int) (*crashWorld, []string) {
	t.Helper()
	disk := newPowerDisk(t, "256M")
	w := newCrashWorld(t, helper, exe, filepath.Join(disk.dir, "room"), 40*losses)
	unix.Sync() // the room itself is old and lies on the disk
	var lost []string
	for n := range losses {
		w.life(t, n, func(cmd *exec.Cmd) {
			time.Sleep(300 * time.Millisecond)
			w.hear(false)
			disk.cut(t)
			check(t, cmd.Process.Kill())
			_ = cmd.Wait() // killed
		})
		disk.back(t)
		if lost = w.lost(t); len(lost) > 0 {
			break
		}
	}
	return w, lost
}

func TestPowerLossesLoseNothingAcknowledged(t *testing.T) {
	losses := 5
	if testing.Short() {
		losses = 1
	}
	exe := program(t, nil)
	w, lost := powerLosses(t, exe, exe, losses)
	for _, what := range lost {
		t.Error(what)
	}
	t.Logf("%d power losses; acknowledged and there: %d incidents, %d requests, %d confirmations", losses, len(w.incidents), len(w.asked), len(w.confirmed))
	if len(w.incidents) < losses || len(w.confirmed) < losses {
		t.Error("too little happened for this test to mean anything")
	}
}

// TestThePowerLossTestSeesALoss is its negative control: the same program built
// without waiting for the disk must lose what it acknowledged.
func TestThePowerLossTestSeesALoss(t *testing.T) {
	engine, err := filepath.Abs("../../base/db/engine.go")
	check(t, err)
	source, err := os.ReadFile(engine)
	check(t, err)
	hasty := bytes.ReplaceAll(source, []byte("synchronous(FULL)"), []byte("synchronous(OFF)"))
	if bytes.Equal(hasty, source) {
		t.Fatal("base/db/engine.go does not set synchronous(FULL) any more: this control controls nothing")
	}
	file := filepath.Join(t.TempDir(), "engine.go")
	check(t, os.WriteFile(file, hasty, 0o600))
	exe := program(t, map[string]string{engine: file})
	_, lost := powerLosses(t, program(t, nil), exe, 3)
	if len(lost) == 0 {
		t.Error("nothing was lost with synchronous=OFF: the test of power losses is blind")
		return
	}
	t.Logf("%d losses seen, the first: %s", len(lost), lost[0])
}
