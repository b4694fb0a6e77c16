package access_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
)

var t0 = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

func openRoom(t *testing.T, p db.Place) *db.DB {
	t.Helper()
	d, err := p.Open(t.Context(), "room", ledger.Schema, access.Schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	for _, person := range []access.Person{
		{ID: "anna", Name: "Anna Beispiel", Roles: []access.Role{access.CrisisLead}, Active: true},
		{ID: "bert", Name: "Bert Beispiel", Roles: []access.Role{access.Operator}, Active: true},
		{ID: "gone", Name: "Nicht mehr da", Roles: []access.Role{access.Operator}},
	} {
		write(t, d, func(ctx context.Context, tx *db.Tx) error { return access.Put(ctx, tx, t0, "anna", person) })
	}
	return d
}

func write(t *testing.T, d *db.DB, fn func(ctx context.Context, tx *db.Tx) error) {
	t.Helper()
	if err := d.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, d *db.DB) access.Consent {
	t.Helper()
	var c access.Consent
	write(t, d, func(ctx context.Context, tx *db.Tx) (err error) {
		c, err = access.Ask(ctx, tx, t0, access.Question{
			Kind: "measure", Summary: "1 Umgebung trennen", Payload: []string{"x"}, Shown: "preview", By: "anna",
		})
		return err
	})
	return c
}

func give(t *testing.T, d *db.DB, now time.Time, id, by, shown string) error {
	t.Helper()
	return d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := access.Give(ctx, tx, now, id, by, func(access.Consent) (any, error) { return shown, nil })
		return err
	})
}

func TestConsentNeedsAnotherPersonTheSameContentAndItsTime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := openRoom(t, p)
		c := ask(t, d)
		tests := []struct {
			name, id, by, shown string
			now                 time.Time
			want                error
		}{
			{"the first person again", c.ID, "anna", "preview", t0, access.ErrSamePerson},
			{"somebody who has left", c.ID, "gone", "preview", t0, access.ErrUnknownPerson},
			{"somebody unknown", c.ID, "zoe", "preview", t0, access.ErrUnknownPerson},
			{"something else than was shown", c.ID, "bert", "other", t0, access.ErrChanged},
			{"too late", c.ID, "bert", "preview", t0.Add(access.DefaultValidity), access.ErrExpired},
			{"no such request", "c-NONE", "bert", "preview", t0, access.ErrNoConsent},
			{"all right", c.ID, "bert", "preview", t0.Add(time.Hour), nil},
			{"a second time", c.ID, "bert", "preview", t0.Add(time.Hour), access.ErrDecided},
		}
		for _, tt := range tests {
			if err := give(t, d, tt.now, tt.id, tt.by, tt.shown); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
		problems, err := ledger.VerifyState(t.Context(), d, access.Keepers()...)
		if err != nil || len(problems) != 0 {
			t.Errorf("state: %v %v", problems, err)
		}
	})
}

func TestAConsentThatIsNotCarriedOutIsNotUsedUp(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := openRoom(t, p)
		c := ask(t, d)
		refused := errors.New("the act was refused")
		err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := access.Give(ctx, tx, t0, c.ID, "bert", func(access.Consent) (any, error) { return "preview", nil }); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
		if err := give(t, d, t0, c.ID, "bert", "preview"); err != nil {
			t.Errorf("the consent is gone although nothing was done: %v", err)
		}
	})
}

func TestRequestsExpireAndCanBeDeclinedOrWithdrawn(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := openRoom(t, p)
		declined, withdrawn, late := ask(t, d), ask(t, d), ask(t, d)
		write(t, d, func(ctx context.Context, tx *db.Tx) error {
			if _, err := access.Decline(ctx, tx, t0, declined.ID, "bert", "zu groß"); err != nil {
				return err
			}
			_, err := access.Decline(ctx, tx, t0, withdrawn.ID, "anna", "Irrtum")
			return err
		})
		write(t, d, func(ctx context.Context, tx *db.Tx) error {
			n, err := access.ExpireDue(ctx, tx, t0.Add(5*time.Hour))
			if n != 1 {
				t.Errorf("%d expired, want 1", n)
			}
			return err
		})
		for id, want := range map[string]access.ConsentState{
			declined.ID: access.Declined, withdrawn.ID: access.Withdrawn, late.ID: access.Expired,
		} {
			c, err := access.ConsentByID(t.Context(), d, id)
			if err != nil || c.State != want {
				t.Errorf("%s is %s (%v), want %s", id, c.State, err, want)
			}
		}
		open, err := access.Open(t.Context(), d)
		if err != nil || len(open) != 0 {
			t.Errorf("open requests %v %v, want none", open, err)
		}
	})
}

func TestAPersonNeedsAnIDANameAndKnownRoles(t *testing.T) {
	for _, p := range []access.Person{
		{ID: "", Name: "x"},
		{ID: "Anna", Name: "x"},
		{ID: "system", Name: "x"},
		{ID: "anna"},
		{ID: "anna", Name: "x", Roles: []access.Role{"king"}},
		{ID: "anna", Name: "x", Roles: []access.Role{access.KasseDelegate}},
	} {
		if err := p.Check(); err == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
}
