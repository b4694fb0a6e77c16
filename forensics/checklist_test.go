package forensics_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/forensics"

	"github.com/google/go-cmp/cmp"
)

func TestEveryKindOfListHasUniquePointsAndSomeOfRotation(t *testing.T) {
	seen := map[string]bool{}
	scopes := map[forensics.Kind]forensics.Scope{
		forensics.WindowsDomain: {Kind: forensics.Environment, ID: "109034270@munich"},
		forensics.LinuxServer:   {Kind: forensics.Component, ID: "dns@munich"},
		forensics.BackupSet:     {Kind: forensics.Backup, ID: "2023-04-20"},
	}
	for _, k := range forensics.Kinds() {
		l, err := forensics.NewChecklist(t0, k, scopes[k], "eva")
		if err != nil {
			t.Fatal(err)
		}
		rotation := 0
		for _, p := range l.Points {
			if seen[p.ID] || p.Text == "" {
				t.Errorf("%s: point %q twice or empty", k, p.ID)
			}
			seen[p.ID] = true
			if p.Rotation {
				rotation++
			}
		}
		if rotation < 2 {
			t.Errorf("%s: %d points of rotation", k, rotation)
		}
	}
	if _, err := forensics.NewChecklist(t0, forensics.BackupSet, scopes[forensics.WindowsDomain], "eva"); err == nil {
		t.Error("a list for backups was taken for an environment")
	}
	if _, err := forensics.NewChecklist(t0, "mainframe", scopes[forensics.WindowsDomain], "eva"); !errors.Is(err, forensics.ErrNoKind) {
		t.Errorf("unknown kind: %v", err)
	}
}

func TestAListIsCompleteOnlyWhenEveryPointHasEvidenceOrAReason(t *testing.T) {
	l, err := forensics.NewChecklist(t0, forensics.LinuxServer, forensics.Scope{Kind: forensics.Environment, ID: "109034270@munich"}, "eva")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		point, by, not string
		evidence       []forensics.Evidence
	}{
		{"ls-01", "eva", "", nil},
		{"ls-01", "", "weg", nil},
		{"ls-99", "eva", "weg", nil},
		{"ls-01", "eva", "weg", evidence(t)},
		{"ls-01", "eva", "  ", nil},
		{"ls-01", "eva", "", []forensics.Evidence{{Name: "x", SHA256: "ab"}}},
	} {
		if _, err := l.Settle(t0, bad.point, bad.by, bad.evidence, bad.not); err == nil {
			t.Errorf("taken: %+v", bad)
		}
	}
	for i, p := range l.Points {
		if _, err := l.Proof(); !errors.Is(err, forensics.ErrIncomplete) || !strings.Contains(err.Error(), p.ID) {
			t.Fatalf("with %d points: %v", i, err)
		}
		if i == 3 {
			l, err = l.Settle(t0, p.ID, "eva", nil, "Paketverwaltung ist nicht vertrauenswürdig, neu aufgesetzt")
		} else {
			l, err = l.Settle(t0, p.ID, "eva", evidence(t), "")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := l.Proof()
	if err != nil || e.Size == 0 || len(l.Doubts()) != 1 {
		t.Fatalf("%+v %v %v", e, l.Doubts(), err)
	}
	other, err := l.Settle(t0, "ls-01", "otto", evidence(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := other.Proof(); err != nil || again.SHA256 == e.SHA256 {
		t.Errorf("another content has the same hash: %v", err)
	}
	if l.Points[0].DoneBy != "eva" {
		t.Error("settling a copy changed the list")
	}
}

func TestListsComeBackAndAnAlteredOneIsFound(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d, err := p.Open(t.Context(), "room", ledger.Schema, forensics.Schema)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		l, err := forensics.NewChecklist(t0, forensics.BackupSet, forensics.Scope{Kind: forensics.Backup, ID: "2023-04-20"}, "eva")
		if err != nil {
			t.Fatal(err)
		}
		write := func(fn func(ctx context.Context, tx *db.Tx) error) {
			t.Helper()
			if err := d.Write(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		write(func(ctx context.Context, tx *db.Tx) error {
			return forensics.PutChecklist(ctx, tx, t0, "eva", "checklist.opened", "", l)
		})
		if l, err = l.Settle(t0, "bs-01", "eva", evidence(t), ""); err != nil {
			t.Fatal(err)
		}
		write(func(ctx context.Context, tx *db.Tx) error {
			return forensics.PutChecklist(ctx, tx, t0, "eva", "checklist.point_settled", "", l)
		})
		got, err := forensics.ChecklistByID(t.Context(), d, l.ID)
		if diff := cmp.Diff(l, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
		if problems, err := ledger.VerifyState(t.Context(), d, forensics.Keepers()...); err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
		write(func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update checklist set body = replace(body, 'eva', 'udo')`)
			return err
		})
		if problems, err := ledger.VerifyState(t.Context(), d, forensics.Keepers()...); err != nil || len(problems) == 0 {
			t.Errorf("an altered list went unnoticed: %v", err)
		}
	})
}
