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

// world is an intake on a store; again is a new one, as after a restart.
type world struct {
	t  *testing.T
	d  *db.DB
	in *warning.Intake
	at time.Time
}

func newWorld(t *testing.T, p db.Place) *world {
	t.Helper()
	d, err := p.Open(t.Context(), "room", ledger.Schema, warning.Schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	w := &world{t: t, d: d, at: t0}
	w.again()
	return w
}

func rules(t *testing.T) *warning.Rules {
	t.Helper()
	r, err := warning.CompileRules(warning.RuleFiles{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) again() { w.in = warning.NewIntake(w.options()) }

func (w *world) options() warning.IntakeOptions {
	return warning.IntakeOptions{
		Rules: rules(w.t), Duty: warning.Duty{Owner: "anna"}, Now: func() time.Time { return w.at },
		Place: func(host string) catalogue.EnvironmentID {
			if host == "kasse1-app" {
				return "109034270@munich"
			}
			return ""
		},
	}
}

func (w *world) step() []warning.Signal {
	w.t.Helper()
	var all []warning.Signal
	for more := true; more; {
		got, again, err := w.in.Step(w.t.Context(), w.d, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		all, more = append(all, got...), again
	}
	return all
}

func (w *world) follow(file string) []warning.Signal {
	w.t.Helper()
	if err := w.in.Follow(file); err != nil {
		w.t.Fatal(err)
	}
	return w.step()
}

func TestBuiltInRulesHitWhatTheySayAndNothingElse(t *testing.T) {
	tests := map[string]int{
		"2023-04-21T16:00:00Z kasse1-app sshd[12]: Accepted publickey for root from 203.0.113.9 port 4711 ssh2": 1,
		"2023-04-21T16:00:00Z kasse1-app sshd[12]: Accepted publickey for root from 10.1.2.3 port 4711 ssh2":    0,
		"2023-04-21T16:00:00Z kasse1-app cron[12]: Accepted publickey for root from 203.0.113.9 port 4711 ssh2": 0,
		"2023-04-21T16:00:00Z kasse1-app sshd[12]: Accepted password for eva from 203.0.113.9 port 4711 ssh2":   1,
		"2023-04-21T16:00:00Z kasse1-app sshd[12]: Accepted password for eva from 10.2.3.4 port 4711 ssh2":      0,
		"2023-04-21T16:00:00Z backup sudo: admin : COMMAND=/sbin/zfs destroy -r backup/kassen":                  1,
		"2023-04-21T16:00:00Z kasse1-app systemd[1]: Stopped Endpoint Protection.":                              1,
		"2023-04-21T16:00:00Z kasse1-app systemd[1]: Started Endpoint Protection.":                              0,
		"no shape at all": 0,
		"":                0,
	}
	d := rules(t).NewDetector(warning.DetectorOptions{})
	for text, want := range tests {
		got := d.Line([]byte(text), t0)
		if len(got) != want {
			t.Errorf("%d signals from %q, want %d", len(got), text, want)
		}
		for _, h := range got {
			if h.Rule.ID == "" || h.Rule.Version() == "" || h.License != "Apache-2.0" || len(h.Matched) == 0 || h.Host == "" || h.Events[0] != text {
				t.Errorf("hit without what a signal needs: %+v", h)
			}
		}
	}
}

func TestALogIsFollowedAcrossRestartsHalfLinesAndRotation(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		w := newWorld(t, p)
		file := filepath.Join(t.TempDir(), "auth.log")
		follow := func(now time.Time) []warning.Signal {
			t.Helper()
			w.at = now
			w.again() // nothing is remembered in memory
			return w.follow(file)
		}
		if got := follow(t0); len(got) != 0 {
			t.Errorf("signals from a missing file: %v", got)
		}
		hit := func(n string) string { return "2023-04-21T16:00:0" + n + "Z kasse1-app systemd[1]: Stopped auditd\n" }
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
		write(hit("1")+hit("2")[:20], os.O_APPEND)
		got := follow(t0)
		if len(got) != 1 || got[0].Environment != "109034270@munich" || got[0].Kasse != "109034270" || got[0].Count != 1 {
			t.Fatalf("signals %+v, want one in the environment", got)
		}
		write(hit("2")[20:], os.O_APPEND)
		if again := follow(t0.Add(time.Minute)); len(again) != 1 || again[0].ID != got[0].ID || again[0].Count != 2 {
			t.Errorf("signals %+v, want the same one counted twice", again)
		}
		write(hit("3"), os.O_TRUNC)
		if again := follow(t0.Add(2 * time.Minute)); len(again) != 1 || again[0].Count != 3 {
			t.Errorf("after it was cut to nothing %+v, want a third hit", again)
		}
		write(hit("4"), os.O_APPEND) // written after the last look, then rotated away
		if err := os.Rename(file, file+".1"); err != nil {
			t.Fatal(err)
		}
		write(hit("5")+hit("6"), os.O_APPEND)
		if again := follow(t0.Add(3 * time.Minute)); len(again) != 1 || again[0].Count != 6 {
			t.Errorf("after rotation %+v, want the one left in the old file and both of the new", again)
		}
		if again := follow(t0.Add(4 * time.Minute)); len(again) != 0 {
			t.Errorf("lines were read twice: %+v", again)
		}
		if f := w.in.Figures(); len(f) != 1 || f[0].Events != 6 || f[0].Gaps != 1 || f[0].Waiting != 0 {
			t.Errorf("figures %+v, want 6 events, and the cut as a gap", f)
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
				due, err := warning.Duty{Owner: "anna", Deputies: []string{"bert"}}.EscalateDue(ctx, tx, at)
				if len(due) != min(n, 1) {
					t.Errorf("%d escalated at %v", len(due), at)
				}
				if n == 2 && (due[0].Escalated != 2 || due[0].Owner != "bert" || len(due[0].Asked) != 1) {
					t.Errorf("%+v, want the deputy to own it, and no further one", due[0])
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
		must(decide(warning.Acknowledged, ""))
		must(write(func(ctx context.Context, tx *db.Tx) error { // taken on and left lying
			due, err := warning.Duty{Owner: "anna"}.EscalateDue(ctx, tx, t0.Add(24*time.Hour))
			if len(due) != 1 || due[0].State != warning.Open || due[0].Owner != "anna" {
				t.Errorf("%+v, want it open again after a day", due)
			}
			return err
		}))
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
