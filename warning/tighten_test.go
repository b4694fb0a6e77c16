package warning_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/warning"
)

// TestUnderObservationHalfOfALimitIsASignal renames files on a server: the rule asks
// for 300 in a minute.
func TestUnderObservationHalfOfALimitIsASignal(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		w := newWorld(t, p)
		var observed warning.Watched
		opt := w.options()
		opt.Watched = func(context.Context, db.Querier) (warning.Watched, error) { return observed, nil }
		w.in = warning.NewIntake(opt)
		dir, n := t.TempDir(), 0
		// renamed reads a log of its own: so many files renamed on one machine within a minute.
		renamed := func(files int) []warning.Signal {
			t.Helper()
			n++
			at := t0.Add(time.Duration(n) * 2 * time.Hour)
			w.at = at
			var log strings.Builder
			for i := range files {
				fmt.Fprintf(&log, "%s kasse1-app smbd_audit: svc|10.9.9.9|share|renameat|ok|%d.odt|%d.odt.x\n", at.Add(time.Duration(i)*10*time.Millisecond).Format(time.RFC3339Nano), i, i)
			}
			file := filepath.Join(dir, fmt.Sprint(n, ".log"))
			if err := os.WriteFile(file, []byte(log.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			return w.follow(file)
		}
		if got := renamed(200); len(got) != 0 {
			t.Errorf("half of the limit is a signal although nobody observes: %+v", got)
		}
		observed = warning.Watched{"109034270@munich": "observe:109034270/eau"}
		got := renamed(200)
		if len(got) != 1 || got[0].Level != "critical" || !strings.Contains(strings.Join(got[0].Matched, " "), "Schwelle halbiert") {
			t.Errorf("half of the limit under observation: %+v", got)
		}
		if got := renamed(140); len(got) != 0 {
			t.Errorf("less than half is a signal: %+v", got)
		}
		if got := renamed(320); len(got) != 1 || strings.Contains(strings.Join(got[0].Matched, " "), "Schwelle halbiert") {
			t.Errorf("the limit itself under observation: %+v", got)
		}
		observed = nil
		if got := renamed(200); len(got) != 0 {
			t.Errorf("half of the limit is a signal after the observation: %+v", got)
		}
	})
}
