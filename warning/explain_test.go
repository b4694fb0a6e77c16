package warning

import (
	"strings"
	"testing"
	"time"
)

func TestExplainSaysWhyARuleDidNotFindAnEvent(t *testing.T) {
	r := testIntake(t).Rules()
	now := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	hit := "2026-05-04T09:00:00Z h sshd[1]: Accepted password for gast from 203.0.113.9 port 1 ssh2"
	rule, ok := r.Find("Anmeldung nur mit Passwort von außen")
	if !ok {
		t.Fatal("the rule is gone")
	}
	x, err := r.Explain(rule.ID, hit, now, nil, nil)
	if err != nil || !x.Matched {
		t.Fatalf("%+v %v, want a match", x, err)
	}
	x, err = r.Explain(rule.Title, strings.Replace(hit, "203.0.113.9", "10.0.0.9", 1), now, nil, nil)
	if err != nil || x.Matched {
		t.Fatalf("%+v %v, want no match from inside", x, err)
	}
	missed := ""
	for _, c := range x.Checks {
		if !c.Holds {
			missed += c.Field + " "
		}
	}
	if !strings.Contains(missed, "ls.outside") {
		t.Errorf("that the address is inside is not said: %+v", x.Checks)
	}
	x, err = r.Explain(rule.ID, hit, now, nil, []Exception{{ID: "x-1", Rule: rule.ID, Selection: `{"ls.account": "gast"}`, Until: now.Add(time.Hour)}})
	if err != nil || x.Exception != "x-1" {
		t.Errorf("the exception is not said: %+v %v", x, err)
	}
	x, err = r.Explain("Ein Passwort für viele Konten (Passwort-Sprühen)", strings.Replace(hit, "Accepted", "Failed", 1), now, nil, nil)
	if err != nil || x.Matched || len(x.Parts) != 1 || !x.Parts[0].Matched {
		t.Errorf("a correlation explains its parts: %+v %v", x, err)
	}
	if _, err := r.Explain("nothing", hit, now, nil, nil); err == nil {
		t.Error("an unknown rule is explained")
	}
}

func TestAYearThatOldSyslogLeavesOutIsTheOneBeforeTheLineCame(t *testing.T) {
	d := testIntake(t).Rules().NewDetector(DetectorOptions{})
	for line, want := range map[string]string{
		"Dec 31 23:59:00 h sshd[1]: Accepted password for a from 10.0.0.1 port 1 ssh2":             "2026-12-31",
		"Jan  2 00:01:00 h sshd[1]: Accepted password for a from 10.0.0.1 port 1 ssh2":             "2027-01-02",
		"2029-05-04T09:00:00Z h sshd[1]: Accepted password for a from 10.0.0.1 port 1 ssh2 future": "2029-05-04",
	} {
		d.Line([]byte(line), time.Date(2027, 1, 2, 0, 5, 0, 0, time.UTC))
		if at, ok := d.When(); !ok || at.Format(time.DateOnly) != want {
			t.Errorf("%s: %v, want %s", line, at, want)
		}
	}
}
