package warning_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/warning"
)

var (
	t0   = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	anna = access.Person{ID: "anna", Name: "Anna", Roles: []access.Role{access.Operator}, Active: true}
)

func watcher(t *testing.T) *warning.Watcher {
	t.Helper()
	w, err := warning.NewWatcher("anna", func(host string) catalogue.EnvironmentID {
		if host == "kasse1-app" {
			return "109034270@munich"
		}
		return ""
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestBuiltInRulesHitWhatTheySayAndNothingElse(t *testing.T) {
	tests := map[string]int{
		"2023-04-21T16:00:00Z kasse1-app sshd[12]: Accepted publickey for root from 203.0.113.9 port 4711 ssh2": 1,
		"2023-04-21T16:00:00Z kasse1-app sshd[12]: Accepted publickey for root from 10.1.2.3 port 4711 ssh2":    0,
		"2023-04-21T16:00:00Z kasse1-app cron[12]: Accepted publickey for root from 203.0.113.9 port 4711 ssh2": 0,
		"2023-04-21T16:00:00Z backup sudo: admin : COMMAND=/sbin/zfs destroy -r backup/kassen":                  1,
		"2023-04-21T16:00:00Z kasse1-app systemd[1]: Stopped Endpoint Protection.":                              1,
		"2023-04-21T16:00:00Z kasse1-app systemd[1]: Started Endpoint Protection.":                              0,
		"no shape at all": 0,
		"":                0,
	}
	w := watcher(t)
	for text, want := range tests {
		if got := w.Line(text); len(got) != want {
			t.Errorf("%d signals from %q, want %d", len(got), text, want)
		}
	}
}

func TestALogIsFollowedAcrossRestartsHalfLinesAndRotation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", ledger.Schema, warning.Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		file := filepath.Join(t.TempDir(), "auth.log")
		follow := func(now time.Time) []warning.Signal {
			t.Helper()
			got, err := watcher(t).Follow(t.Context(), d, now, file, nil) // a new watcher: nothing is remembered in memory
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := follow(t0); len(got) != 0 {
			t.Errorf("signals from a missing file: %v", got)
		}
		hit := "2023-04-21T16:00:00Z kasse1-app systemd[1]: Stopped auditd\n"
		write := func(text string, flag int) {
			t.Helper()
			f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|flag, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(text); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
		}
		write(hit+hit[:20], os.O_APPEND)
		got := follow(t0)
		if len(got) != 1 || got[0].Environment != "109034270@munich" || got[0].Count != 1 {
			t.Fatalf("signals %+v, want one in the environment", got)
		}
		write(hit[20:], os.O_APPEND)
		if again := follow(t0.Add(time.Minute)); len(again) != 1 || again[0].ID != got[0].ID || again[0].Count != 2 {
			t.Errorf("signals %+v, want the same one counted twice", again)
		}
		write(hit, os.O_TRUNC)
		if again := follow(t0.Add(2 * time.Minute)); len(again) != 1 || again[0].Count != 3 {
			t.Errorf("after rotation %+v, want a third hit", again)
		}
		if again := follow(t0.Add(3 * time.Minute)); len(again) != 0 {
			t.Errorf("lines were read twice: %+v", again)
		}
	})
}

func TestASignalStaysOpenAndEscalatesUntilSomebodyDecides(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", ledger.Schema, warning.Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		var s warning.Signal
		write := func(fn func(ctx context.Context, tx *db.Tx) error) error { return d.Write(t.Context(), fn) }
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(write(func(ctx context.Context, tx *db.Tx) (err error) {
			s, err = warning.Raise(ctx, tx, t0, warning.Signal{Rule: "r", Level: "high", Host: "h", Owner: "anna"}, "event")
			return err
		}))
		for n, at := range []time.Time{t0.Add(59 * time.Minute), t0.Add(time.Hour), t0.Add(2 * time.Hour)} {
			must(write(func(ctx context.Context, tx *db.Tx) error {
				due, err := warning.EscalateDue(ctx, tx, at)
				if len(due) != min(n, 1) {
					t.Errorf("%d escalated at %v", len(due), at)
				}
				return err
			}))
		}
		decide := func(to warning.State, reason string) error {
			return write(func(ctx context.Context, tx *db.Tx) error {
				_, err := warning.Decide(ctx, tx, t0, anna, s.ID, to, "", reason)
				return err
			})
		}
		if err := decide(warning.Dismissed, " "); !errors.Is(err, warning.ErrReason) {
			t.Errorf("dismissed without a reason: %v", err)
		}
		must(decide(warning.Dismissed, "Wartung"))
		if err := decide(warning.Acknowledged, ""); !errors.Is(err, warning.ErrDecided) {
			t.Errorf("decided twice: %v", err)
		}
		problems, err := ledger.VerifyState(t.Context(), d, warning.Keepers()...)
		if err != nil || len(problems) != 0 {
			t.Errorf("state %v %v", problems, err)
		}
	})
}
