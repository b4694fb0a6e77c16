package access_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
)

func TestADeputyActsOnlyWithTheRolesOfTheAbsentOneAndOnlyForATime(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := openRoom(t, p)
		has := func() bool {
			bert, err := access.Get(t.Context(), d, "bert")
			if err != nil {
				t.Fatal(err)
			}
			return bert.Has(access.CrisisLead)
		}
		in := func(fn func(ctx context.Context, tx *db.Tx) error) error { return d.Write(t.Context(), fn) }
		name := func(r access.Role) (v access.Deputy, err error) {
			err = in(func(ctx context.Context, tx *db.Tx) (err error) {
				v, err = access.Name(ctx, tx, t0, "anna", access.Deputy{Person: "anna", Deputy: "bert", Roles: []access.Role{r}, Reason: "Urlaub"})
				return err
			})
			return v, err
		}
		if _, err := name(access.Press); !errors.Is(err, access.ErrNotTheirs) {
			t.Errorf("a role nobody had was handed on: %v", err)
		}
		v, err := name(access.CrisisLead)
		if err != nil || has() {
			t.Fatalf("named: %v, acts already: %v", err, has())
		}
		begin := func(until time.Time) error {
			return in(func(ctx context.Context, tx *db.Tx) error {
				_, err := access.Begin(ctx, tx, t0, "bert", v.ID, until, "nicht erreichbar")
				return err
			})
		}
		if err := begin(t0.Add(100 * time.Hour)); err == nil {
			t.Error("standing in without end")
		}
		if err := begin(t0.Add(time.Hour)); err != nil || !has() {
			t.Fatalf("began: %v, has the role: %v", err, has())
		}
		write(t, d, func(ctx context.Context, tx *db.Tx) error {
			n, err := access.EndDue(ctx, tx, t0.Add(time.Hour))
			if n != 1 {
				t.Errorf("%d ended", n)
			}
			return err
		})
		if has() {
			t.Error("the role outlives its time")
		}
		sound(t, d)
	})
}

func sound(t *testing.T, d *db.DB) {
	t.Helper()
	problems, err := ledger.VerifyState(t.Context(), d, access.Keepers()...)
	if err != nil || len(problems) != 0 {
		t.Errorf("state: %v %v", problems, err)
	}
}

func TestACodeHoldsForOneRequestOnePersonOnceAndNotForLong(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := openRoom(t, p)
		key := access.CodeKey("secret beside the stores")
		var sheet access.Sheet
		write(t, d, func(ctx context.Context, tx *db.Tx) (err error) {
			sheet, err = access.IssueSheet(ctx, tx, t0, "bert", key)
			return err
		})
		asked := func(consent, person string) (a access.CodeAsked, err error) {
			err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				a, err = access.AskCode(ctx, tx, t0, "anna", consent, person)
				return err
			})
			return a, err
		}
		redeem := func(now time.Time, consent, person, code string) (fits bool, err error) {
			err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) (err error) {
				fits, err = access.RedeemCode(ctx, tx, now, "anna", consent, person, code, key)
				return err
			})
			return fits, err
		}
		one, two := ask(t, d), ask(t, d)
		if _, err := asked(one.ID, "anna"); !errors.Is(err, access.ErrSamePerson) {
			t.Errorf("the first person by telephone: %v", err)
		}
		a, err := asked(one.ID, "bert")
		if err != nil {
			t.Fatal(err)
		}
		good := sheet.Codes[a.Number-1]
		if fits, err := redeem(t0, two.ID, "bert", good); fits || !errors.Is(err, access.ErrWrongCode) {
			t.Errorf("for another request: %v %v", fits, err)
		}
		if fits, err := redeem(t0.Add(access.CodeValidity), one.ID, "bert", good); fits || !errors.Is(err, access.ErrWrongCode) {
			t.Errorf("too late: %v %v", fits, err)
		}
		if fits, err := redeem(t0, one.ID, "bert", sheet.Codes[a.Number]); fits || err != nil {
			t.Errorf("the next code of the sheet: %v %v", fits, err)
		}
		if fits, err := redeem(t0, one.ID, "bert", good[:4]+" "+good[4:]); !fits || err != nil {
			t.Errorf("the right code: %v %v", fits, err)
		}
		if fits, _ := redeem(t0, one.ID, "bert", good); fits {
			t.Error("a code was used twice")
		}
		a, err = asked(two.ID, "bert")
		if err != nil {
			t.Fatal(err)
		}
		good = sheet.Codes[a.Number-1]
		for try := range 5 {
			n, err := strconv.Atoi(good)
			if err != nil {
				t.Fatal(err)
			}
			if fits, err := redeem(t0, two.ID, "bert", fmt.Sprintf("%08d", (n+1+try)%100_000_000)); fits || err != nil {
				t.Errorf("guess %d: %v %v", try, fits, err)
			}
		}
		if fits, err := redeem(t0, two.ID, "bert", good); fits || !errors.Is(err, access.ErrWrongCode) {
			t.Errorf("after five guesses the right one: %v %v", fits, err)
		}
		for range 2 {
			if _, err := asked(two.ID, "bert"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := asked(two.ID, "bert"); !errors.Is(err, access.ErrTooMany) {
			t.Errorf("codes without end: %v", err)
		}
		sound(t, d)
	})
}
