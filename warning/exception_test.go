package warning

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
)

const manyHosts = "6d1c4a0e-6a0b-4c52-9f3c-0a7f1f7a2028"

func TestAnExceptionIsForOneRuleUntilADayAndCannotBlindIt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", ledger.Schema, Schema)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.Close() }()
		cases, err := MustMatch("")
		if err != nil {
			t.Fatal(err)
		}
		in := testIntake(t)
		now := time.Now()
		add := func(rule string, tests map[string]string, until time.Time, reason string, untested bool) (x Exception, err error) {
			sel, err := Selection(tests)
			if err != nil {
				return x, err
			}
			err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				x, err = AddException(ctx, tx, now, access.Person{ID: "anna"}, Exception{Rule: rule, Selection: sel, Reason: reason, Until: until}, in.Rules(), cases, untested)
				return err
			})
			return x, err
		}
		month := now.AddDate(0, 1, 0)
		for name, try := range map[string]func() error{
			"for everything": func() error {
				_, err := add(manyHosts, map[string]string{"ls.account": "*"}, month, "x", false)
				return err
			},
			"no reason": func() error {
				_, err := add(manyHosts, map[string]string{"ls.account": "a"}, month, " ", false)
				return err
			},
			"for ever": func() error {
				_, err := add(manyHosts, map[string]string{"ls.account": "a"}, now.AddDate(2, 0, 0), "x", false)
				return err
			},
			"in the past": func() error {
				_, err := add(manyHosts, map[string]string{"ls.account": "a"}, now, "x", false)
				return err
			},
			"unknown rule": func() error {
				_, err := add("nothing", map[string]string{"ls.account": "a"}, month, "x", false)
				return err
			},
			"bad modifier": func() error {
				_, err := add(manyHosts, map[string]string{"ls.account|sounds": "a"}, month, "x", false)
				return err
			},
		} {
			if try() == nil {
				t.Errorf("taken: %s", name)
			}
		}
		if _, err := add(manyHosts, map[string]string{"ls.outside": "true"}, month, "stört", false); !errors.Is(err, ErrBlinds) {
			t.Errorf("an exception that hides the attack: %v", err)
		}
		newNetwork := "Konto zum ersten Mal aus einem neuen Netz"
		if _, err := add(newNetwork, map[string]string{"ls.outside": "true"}, month, "x", false); !errors.Is(err, ErrBlinds) {
			t.Errorf("an exception that hides the new network: %v", err)
		}
		all := cases
		cases = slices.DeleteFunc(slices.Clone(all), func(c Case) bool { return c.Rule == manyHosts })
		if _, err := add(manyHosts, map[string]string{"ls.account": "a"}, month, "x", false); !errors.Is(err, ErrUntested) {
			t.Errorf("a rule without a case: %v", err)
		}
		cases = all
		x, err := add(manyHosts, map[string]string{"ls.account": "ansible", "ls.address|cidr": "10.1.1.0/28"}, month, "Betriebsautomat", false)
		if err != nil || x.Checked != "1 must-match cases" {
			t.Fatalf("%+v (%v)", x, err)
		}
		file := filepath.Join(t.TempDir(), "auth.log")
		from := 0
		logins := func(user, addr string) []Signal {
			t.Helper()
			f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 12 {
				fmt.Fprintf(f, "2026-05-04T%02d:00:%02dZ h%d sshd[1]: Accepted publickey for %s from %s port 1 ssh2\n", from, i, i, user, addr)
			}
			from++
			_ = f.Close()
			if err := in.Follow(file); err != nil {
				t.Fatal(err)
			}
			in.Refresh()
			return stepAll(t, in, d)
		}
		if got := logins("ansible", "10.1.1.5"); len(got) != 0 {
			t.Errorf("excepted and raised: %+v", got)
		}
		if got := logins("ansible", "10.9.9.9"); len(got) != 1 {
			t.Errorf("%d signals from another address, want one", len(got))
		}
		inForce, err := Exceptions(t.Context(), d)
		if err != nil || len(inForce) != 1 || inForce[0].Hits != 1 || inForce[0].By != "anna" {
			t.Errorf("%+v (%v), want what it hid counted", inForce, err)
		}
		if err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := EndException(ctx, tx, now, access.Person{ID: "bert"}, x.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := logins("ansible", "10.1.1.5"); len(got) != 1 {
			t.Errorf("%d signals after the exception ended, want one", len(got))
		}
		if problems, err := ledger.VerifyState(t.Context(), d, Keepers()...); err != nil || len(problems) != 0 {
			t.Errorf("state %v %v", problems, err)
		}
	})
}

func TestEveryMustMatchCaseIsFound(t *testing.T) {
	cases, err := MustMatch("")
	if err != nil {
		t.Fatal(err)
	}
	r := testIntake(t).Rules()
	covered := map[string]bool{}
	for _, c := range cases {
		tried, _, err := Exception{ID: "x", Rule: c.Rule, Selection: `{"nobody": "has this"}`, Until: time.Now().Add(time.Hour)}.test(r, []Case{c})
		if err != nil || tried != 1 {
			t.Errorf("%s: the rule does not find its case, so no exception is tested against it (%v)", c.Name, err)
		}
		covered[c.Rule] = true
	}
	for _, rule := range r.All() {
		if !covered[ruleID(rule)] {
			t.Errorf("rule %q has no must-match case", rule.Title)
		}
	}
}

func TestMustMatchCasesComeAsEventLogsJSONAndLines(t *testing.T) {
	const regression = "../../shared/data/detect/sigma-regression"
	if _, err := os.Stat(regression); err != nil {
		t.Skip("suite left out: shared detection data is not here")
	}
	rules := RuleFiles{}
	if err := rules.Add("../../shared/data/detect/sigmahq-rules.zip"); err != nil {
		t.Fatal(err)
	}
	r, err := CompileRules(rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	cases, err := MustMatch(regression)
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]int{}
	for _, c := range cases {
		if _, foreign := r.Find(c.Rule); !foreign || !strings.HasPrefix(c.Name, regression) {
			continue
		}
		d := r.NewDetector(DetectorOptions{})
		if !c.play(d, time.Now(), func(h Hit) bool { return ruleID(h.Rule) == c.Rule }) {
			t.Errorf("%s is not found by its rule", c.Name)
		}
		tried[filepath.Ext(c.Name)]++
	}
	if tried[".evtx"] != 130 || tried[".json"] != 130 || tried[".raw"] != 1 {
		t.Errorf("played %v", tried)
	}
}
