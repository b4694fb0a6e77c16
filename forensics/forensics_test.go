package forensics_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/forensics"

	"github.com/google/go-cmp/cmp"
)

var t0 = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

func evidence(t *testing.T) []forensics.Evidence {
	t.Helper()
	e, err := forensics.Hash("bericht.pdf", strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	return []forensics.Evidence{e}
}

func application(t *testing.T) forensics.Application {
	t.Helper()
	return forensics.Application{
		Scope: forensics.Scope{Kind: forensics.Environment, ID: "109034270@munich"}, Check: forensics.Cleaned,
		Evidence: evidence(t), Until: t0.Add(24 * time.Hour), Conditions: "ohne Fernwartung",
	}
}

func TestNoClearanceWithoutEvidenceAndTwoPeople(t *testing.T) {
	type arg struct {
		a                forensics.Application
		examiner, second string
	}
	tests := map[string]struct {
		change func(*arg)
		good   bool
	}{
		"complete":               {func(*arg) {}, true},
		"no evidence":            {func(a *arg) { a.a.Evidence = nil }, false},
		"evidence without name":  {func(a *arg) { a.a.Evidence[0].Name = "" }, false},
		"hash of another length": {func(a *arg) { a.a.Evidence[0].SHA256 = "abcd" }, false},
		"hash in capitals":       {func(a *arg) { a.a.Evidence[0].SHA256 = strings.ToUpper(a.a.Evidence[0].SHA256) }, false},
		"one person twice":       {func(a *arg) { a.second = a.examiner }, false},
		"no second":              {func(a *arg) { a.second = "" }, false},
		"no examiner":            {func(a *arg) { a.examiner = "" }, false},
		"no end":                 {func(a *arg) { a.a.Until = time.Time{} }, false},
		"ended already":          {func(a *arg) { a.a.From, a.a.Until = t0.Add(-2*time.Hour), t0.Add(-time.Hour) }, false},
		"no examination":         {func(a *arg) { a.a.Check = "" }, false},
		"unknown scope":          {func(a *arg) { a.a.Scope.Kind = "planet" }, false},
		"nothing named":          {func(a *arg) { a.a.Scope.ID = "" }, false},
		"covers more":            {func(a *arg) { a.a.Covers = []string{"109034270@essen"} }, false},
	}
	for name, tt := range tests {
		a := arg{application(t), "eva", "anna"}
		tt.change(&a)
		c, err := forensics.Grant(t0, "F-0001", a.a, a.examiner, a.second)
		if (err == nil) != tt.good {
			t.Errorf("%s: %v, %v", name, c, err)
		}
	}
}

func TestARevokedClearanceNeverComesBackAndAnExpiredOneIsOnlyWarnedAbout(t *testing.T) {
	c, err := forensics.Grant(t0, "F-0001", application(t), "eva", "anna")
	if err != nil {
		t.Fatal(err)
	}
	end := t0.Add(24 * time.Hour)
	for _, tt := range []struct {
		at   time.Time
		want bool
	}{{t0.Add(-time.Second), false}, {t0, true}, {end.Add(-time.Second), true}, {end, false}} {
		if got := c.Valid(tt.at); got != tt.want {
			t.Errorf("valid at %v: %t", tt.at, got)
		}
	}
	if _, news := c.Warn(end.Add(-time.Second)); news {
		t.Error("warned before the end")
	}
	warned, news := c.Warn(end)
	if !news || warned.State != forensics.Warned {
		t.Errorf("at the end: %s, news %t", warned.State, news)
	}
	if _, news := warned.Warn(end.Add(time.Hour)); news {
		t.Error("warned twice")
	}
	revoked, err := warned.Revoke(end, "eva", "neuer Fund")
	if err != nil || revoked.Valid(t0) {
		t.Errorf("revoked: %v, %v", revoked, err)
	}
	if _, err := revoked.Revoke(end, "eva", "noch einmal"); !errors.Is(err, forensics.ErrRevoked) {
		t.Errorf("revoking twice: %v", err)
	}
	if _, err := c.Revoke(end, "eva", ""); err == nil {
		t.Error("revoked without a reason")
	}
}

func TestEvidenceIsHashedFromTheFileAndNeverEmpty(t *testing.T) {
	file := filepath.Join(t.TempDir(), "abbild.raw")
	if err := os.WriteFile(file, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := forensics.HashFile(file)
	want := forensics.Evidence{ // FIPS 180-4, example "abc"
		Name: "abbild.raw", SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Size: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e, err := forensics.HashFile(file); err == nil {
		t.Errorf("empty evidence was taken: %v", e)
	}
}

func TestScopesAreReadAsTheyAreWritten(t *testing.T) {
	for _, text := range []string{"environment:109034270@munich", "component:dns@munich", "backup:2023-04-20", "realm:intra.lan"} {
		if s, err := forensics.ParseScope(text); err != nil || s.String() != text {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "environment", "environment:", "kasse:1"} {
		if s, err := forensics.ParseScope(text); err == nil {
			t.Errorf("%q was read as %v", text, s)
		}
	}
}

func TestRowsComeBackAndAnAlteredOneIsFound(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", ledger.Schema, forensics.Schema)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		c, r, i := samples(t)
		err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := ledger.Append(ctx, tx, ledger.Entry{
				At: t0, Actor: "eva", Kind: "clearance.granted", Subject: c.ID, Rows: []ledger.Row{c.Row(), r.Row(), i.Row()},
			})
			return errors.Join(err, forensics.PutClearance(ctx, tx, c), forensics.PutRotation(ctx, tx, r), forensics.PutIndicator(ctx, tx, i))
		})
		if err != nil {
			t.Fatal(err)
		}
		checkStored(t, d, c, r, i)
		for _, alter := range []string{
			`update clearance set state = 'granted', reason = ''`, `update clearance set valid_until = valid_until + 1`,
			`update rotation set by_person = 'otto'`, `update indicator set subjects = '[]'`,
		} {
			if err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				_, err := tx.Exec(ctx, alter)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			problems, err := ledger.VerifyState(t.Context(), d, forensics.Keepers()...)
			if err != nil || len(problems) == 0 {
				t.Errorf("%s went unnoticed: %v", alter, err)
			}
		}
	})
}

func samples(t *testing.T) (c forensics.Clearance, r forensics.Rotation, i forensics.Indicator) {
	t.Helper()
	c, err := forensics.Grant(t0, "F-0001", application(t), "eva", "anna")
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.Revoke(t0.Add(time.Hour), "eva", "neuer Fund"); err != nil {
		t.Fatal(err)
	}
	c.Version = 3
	r, err = forensics.Prove(t0, forensics.Rotation{
		ID: "R-0001", Scope: forensics.Scope{Kind: forensics.Realm, ID: "intra.lan"}, Covers: []string{"109034270@munich"},
		Evidence: evidence(t), RotatedAt: t0.Add(-time.Hour), By: "eva", Version: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	i, err = forensics.Record(t0, forensics.Indicator{
		ID: "I-0001", Value: "domain:böse.example", Subjects: []string{"109034270@munich"}, Source: "Forensikbericht 3", By: "eva", Version: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, r, i
}

func checkStored(t *testing.T, d *db.DB, c forensics.Clearance, r forensics.Rotation, i forensics.Indicator) {
	t.Helper()
	cs, err1 := forensics.Clearances(t.Context(), d, 2)
	rs, err2 := forensics.Rotations(t.Context(), d, 3)
	is, err3 := forensics.Indicators(t.Context(), d, 4)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{[]forensics.Clearance{c}, []forensics.Rotation{r}, []forensics.Indicator{i}}, []any{cs, rs, is}); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if cs, err := forensics.Clearances(t.Context(), d, 3); err != nil || len(cs) != 0 {
		t.Errorf("clearances after the newest version: %v, %v", cs, err)
	}
	problems, err := ledger.VerifyState(t.Context(), d, forensics.Keepers()...)
	if err != nil || len(problems) != 0 {
		t.Errorf("state: %v, %v", problems, err)
	}
}
