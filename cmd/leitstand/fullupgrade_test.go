//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"leitstand/room"
)

// TestAnUpgradeOnAFullDiskIsRefusedInWordsAndGoesOnWithMoreRoom opens a kept room of
// an earlier program on a full disk, then with a little more room each time. Until it
// succeeds each try says what to do, leaves nothing half made, and takes no more room for
// backups than the first; then everything is there, and the way back works.
func TestAnUpgradeOnAFullDiskIsRefusedInWordsAndGoesOnWithMoreRoom(t *testing.T) {
	kept, err := filepath.Glob("../../room/testdata/old/01-*.tgz")
	if err != nil || len(kept) != 1 {
		t.Fatalf("%q %v", kept, err)
	}
	disk := newPowerDisk(t, "32M")
	if out, err := exec.Command("tar", "-xzf", kept[0], "-C", disk.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data := filepath.Join(disk.dir, "room")
	free := disk.fill(t)
	filler := filepath.Join(disk.dir, "filler")
	before, after := 0, 0 // tries that failed before the backup was whole, and after it
	for {
		out, code := command(t, "incident", "list", "--data", data)
		if code == 0 {
			break
		}
		made, err := room.UpgradeBackups(data)
		check(t, err)
		switch {
		case len(made) > 1:
			t.Fatalf("each try makes a backup: %q", made)
		case len(made) == 0:
			before++
			if !strings.Contains(out, "nothing was changed") {
				t.Errorf("without a backup: %s", out)
			}
		default:
			after++
			if half := strings.Contains(out, "the upgrade was interrupted"); half && (!strings.Contains(out, "start again when the cause is gone") || !strings.Contains(out, made[0])) {
				t.Errorf("with a backup: %s", out)
			}
		}
		if !strings.Contains(out, "disk is full") && !strings.Contains(out, "no space left on device") {
			t.Errorf("a full disk is not named: %s", out)
		}
		if left, err := filepath.Glob(filepath.Join(data, "*.partial")); err != nil || len(left) > 0 {
			t.Errorf("left half made: %q %v", left, err)
		}
		more(t, filler, len(made) == 0)
	}
	if before == 0 {
		t.Error("the disk was never too full for the backup: this test means nothing")
	}
	free()
	t.Logf("%d tries failed before the backup was whole, %d after it", before, after)
	if out, code := command(t, "ledger", "verify", "--state", "--data", data); code != 0 || !strings.Contains(out, " 0 problems") {
		t.Errorf("upgraded: %s", out)
	}
	made, err := room.UpgradeBackups(data)
	if err != nil || len(made) != 1 {
		t.Fatalf("backups %q %v", made, err)
	}
	if out, code := command(t, "restore", made[0], "--data", filepath.Join(t.TempDir(), "back")); code != 0 || !strings.Contains(out, "0 Auffälligkeiten") {
		t.Errorf("the way back: %s", out)
	}
}

// more gives some room back: much until the backup is whole, then little.
func more(t *testing.T, filler string, much bool) {
	t.Helper()
	step := int64(64 << 10)
	if much {
		step = 384 << 10
	}
	st, err := os.Stat(filler)
	check(t, err)
	if st.Size() < step {
		t.Fatal("the whole disk is not enough")
	}
	check(t, os.Truncate(filler, st.Size()-step))
}

// command runs the program in this process.
func command(t *testing.T, args ...string) (said string, code int) {
	t.Helper()
	var out strings.Builder
	code = run(t.Context(), args, strings.NewReader(""), &out, &out)
	return out.String(), code
}
