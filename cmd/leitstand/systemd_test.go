package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTheUnitIsAcceptedAndShut has systemd itself read the unit, and judge how
// much it leaves open.
func TestTheUnitIsAcceptedAndShut(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: suite left out")
	}
	exe, err := os.Executable()
	check(t, err)
	for name, args := range map[string][]string{"plain": nil, "passphrase": {"--passphrase", "/etc/leitstand/pass"}, "drivers": {"--drivers", "--also", "/tmp"}} {
		t.Run(name, func(t *testing.T) {
			unit := filepath.Join(t.TempDir(), "leitstand.service")
			var out strings.Builder
			args := append([]string{"systemd", "-o", unit, "--user", "root", "--program", exe, "--data", t.TempDir()}, args...)
			if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != 0 {
				t.Fatal(out.String())
			}
			b, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
			for line := range strings.SplitSeq(string(b), "\n") {
				if strings.Contains(line, "leitstand.service") {
					t.Errorf("systemd: %s (%v)", line, err)
				}
			}
			b, err = exec.Command(analyze, "security", "--offline=true", "--no-pager", unit).CombinedOutput()
			m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(b)
			if m == nil {
				t.Skipf("systemd-analyze security does not work here: %v: suite left out", err)
			}
			if exposure, err := strconv.ParseFloat(string(m[1]), 64); err != nil || exposure > 3 {
				t.Errorf("exposure %s, want at most 3.0 (0 is shut, 10 open)\n%s", m[1], b)
			} else {
				t.Logf("exposure %.1f of 10", exposure)
			}
		})
	}
}

func TestAUnitTakesNoNamesThatItWouldMisread(t *testing.T) {
	for _, args := range [][]string{{"--data", "room"}, {"--data", "/var/lib/mit leerzeichen"}, {"--user", "x\nExecStart=/bin/sh"}, {"--program", "/usr/bin/%n"}, {"--also", "relativ"}} {
		var out strings.Builder
		if code := run(t.Context(), append([]string{"systemd"}, args...), strings.NewReader(""), &out, &out); code == 0 {
			t.Errorf("%q: made a unit", args)
		}
	}
}
