package sicknote_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"leitstand/base/db"
)

// smallDisk mounts a fresh ext4 of 64 MB from a loop file.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root: suite left out")
	}
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		if mkfs = "/sbin/mkfs.ext4"; exec.Command(mkfs, "-V").Run() != nil {
			t.Skip("mkfs.ext4 is not installed: suite left out")
		}
	}
	file, dir := filepath.Join(t.TempDir(), "disk"), filepath.Join(t.TempDir(), "mnt")
	must(t, os.Mkdir(dir, 0o755))
	for _, c := range [][]string{
		{"truncate", "-s", "64M", file}, {mkfs, "-q", "-F", "-m", "0", file},
	} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Skipf("making a small disk: %v: %s: suite left out", err, out)
		}
	}
	if out, err := exec.Command("mount", "-o", "loop", file, dir).CombinedOutput(); err != nil {
		t.Skipf("no loop mounts here: %v: %s: suite left out", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

func TestAFullDiskLosesNothing(t *testing.T) {
	dir := smallDisk(t)
	r := newRoom(t, db.InDir(filepath.Join(dir, "room")))
	ballast := filepath.Join(dir, "ballast")
	var disk syscall.Statfs_t
	must(t, syscall.Statfs(dir, &disk))
	must(t, os.WriteFile(ballast, make([]byte, int64(disk.Bavail)*disk.Bsize-2<<20), 0o600))
	const mails = 200
	for n := range mails {
		r.server.put(address, noteMail(t, n))
	}
	err := r.intake.PollAll(t.Context(), t0)
	if !errors.Is(err, db.ErrDiskFull) {
		t.Fatalf("got %v", err)
	}
	t.Log(err)
	if !strings.Contains(err.Error(), "make room") {
		t.Errorf("the message does not say what to do: %v", err)
	}
	s, serr := r.intake.Status(t.Context(), kasse, t0)
	must(t, serr)
	left := r.server.left(address)
	if s.Stored == 0 || left == 0 || int(s.Stored)+left < mails {
		t.Errorf("%d stored, %d left of %d", s.Stored, left, mails)
	}
	// Nothing that the server deleted is missing here.
	r.server.mu.Lock()
	gone := len(r.server.drops[address].gone)
	r.server.mu.Unlock()
	if int64(gone) > s.Stored {
		t.Errorf("%d deleted on the server, %d stored", gone, s.Stored)
	}
	must(t, os.Remove(ballast))
	now := t0.Add(time.Hour)
	if err := r.intake.PollAll(t.Context(), now); err != nil { // it goes on by itself
		t.Fatal(err)
	}
	if s := r.status(t); s.Accepted != mails || r.server.left(address) != 0 {
		t.Errorf("%+v, left %d", s, r.server.left(address))
	}
}
