package catalogue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/catalogue"
)

func openRoom(t *testing.T, p db.Place) *db.DB {
	t.Helper()
	d, err := p.Open(t.Context(), "room", ledger.Schema, catalogue.Schema)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func save(t *testing.T, d *db.DB, c *catalogue.Catalogue, by catalogue.Change) (v catalogue.Version, err error) {
	t.Helper()
	err = d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		v, err = catalogue.SaveVersion(ctx, tx, c, by)
		return err
	})
	return v, err
}

func TestACatalogueIsStoredInVersionsAndOnRecord(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		d := openRoom(t, p)
		if _, err := catalogue.Load(t.Context(), d); !errors.Is(err, catalogue.ErrNone) {
			t.Errorf("empty store: %v", err)
		}
		by := catalogue.Change{At: time.Date(2023, 4, 24, 20, 0, 0, 0, time.UTC), Actor: "p1", Reason: "Anlage"}
		first, second := catalogue.Case2023(1), catalogue.Case2023(2)
		for i, c := range []*catalogue.Catalogue{first, first, second} {
			v, err := save(t, d, c, by)
			if err != nil {
				t.Fatal(err)
			}
			if want := int64(max(i, 1)); v.Number != want || v.SHA256 != c.Hash() {
				t.Errorf("save %d gave %+v, want version %d", i, v, want)
			}
			by.At = by.At.Add(time.Hour)
		}
		got, err := catalogue.Load(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(second, got, equal()); diff != "" {
			t.Errorf("loaded (-saved +loaded):\n%s", diff)
		}
		old, err := catalogue.LoadVersion(t.Context(), d, 1)
		if err != nil || old.Hash() != first.Hash() {
			t.Errorf("version 1: %v", err)
		}
		if _, err := catalogue.LoadVersion(t.Context(), d, 9); !errors.Is(err, catalogue.ErrNone) {
			t.Errorf("version 9: %v", err)
		}
		if vs, err := catalogue.Versions(t.Context(), d); err != nil || len(vs) != 2 || !vs[0].At.Before(vs[1].At) {
			t.Errorf("%+v, %v", vs, err)
		}
		recs, err := ledger.About(t.Context(), d, "catalogue", 10)
		if err != nil || len(recs) != 2 || recs[0].Kind != "catalogue.saved" || recs[0].Reason != "Anlage" {
			t.Errorf("ledger: %+v, %v", recs, err)
		}
		if ps, err := ledger.VerifyState(t.Context(), d, catalogue.Keeper()); err != nil || len(ps) != 0 {
			t.Errorf("state: %v, %v", ps, err)
		}
	})
}

func TestAnInvalidCatalogueIsNotStored(t *testing.T) {
	d := openRoom(t, db.InDir(t.TempDir()))
	c := small()
	c.Kassen[0].Name = ""
	if _, err := save(t, d, c, catalogue.Change{At: time.Now(), Actor: "p1", Reason: "x"}); err == nil || !strings.Contains(err.Error(), "has no name") {
		t.Errorf("%v", err)
	}
	if _, err := catalogue.Newest(t.Context(), d); !errors.Is(err, catalogue.ErrNone) {
		t.Errorf("%v", err)
	}
}

func TestAnAlteredCatalogueIsFound(t *testing.T) {
	d := openRoom(t, db.InDir(t.TempDir()))
	if _, err := save(t, d, small(), catalogue.Change{At: time.Now(), Actor: "p1", Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	err := d.Write(t.Context(), func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `update catalogue set body = replace(body, 'SBK', 'SBX')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := catalogue.Load(t.Context(), d); !errors.Is(err, catalogue.ErrChanged) {
		t.Errorf("load: %v", err)
	}
	if ps, err := ledger.VerifyState(t.Context(), d, catalogue.Keeper()); err != nil || len(ps) != 1 {
		t.Errorf("state: %v, %v", ps, err)
	}
}
