package db_test

import (
	"errors"
	"os"
	"testing"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
)

// programs of two neighbouring versions: the step between them is harmless to the
// older in harmless, and not in strict.
func programs(oldest int) (older, newer db.Migrations) {
	one, two := `create table a (id text primary key)`, `create table b (id text primary key)`
	return db.Migrations{Package: "a", Steps: []string{one}}, db.Migrations{Package: "a", Steps: []string{one, two}, Oldest: oldest}
}

func TestAnOlderProgramUsesANewerStoreOnlyWhenItsStepsAreHarmlessToIt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, p db.Place) {
		for name, oldest := range map[string]int{"strict": 0, "harmless": 1} {
			older, newer := programs(oldest)
			versions := func() db.Version {
				all, broken, err := p.Versions(t.Context(), name)
				if err != nil || len(broken) > 0 {
					t.Fatal(err, broken)
				}
				return all[name]["a"]
			}
			reopen := func(m db.Migrations) error {
				d, err := p.Open(t.Context(), name, m)
				if err != nil {
					return err
				}
				return d.Close()
			}
			if err := reopen(older); err != nil || versions() != (db.Version{Steps: 1}) {
				t.Fatalf("%v, %+v", err, versions())
			}
			if _, err := p.AsIs(t.Context(), name, newer); !errors.Is(err, db.ErrOlder) {
				t.Errorf("%s: a newer follower on an older store: %v", name, err)
			}
			if versions().Steps != 1 {
				t.Errorf("%s: a follower migrated the store", name)
			}
			if err := reopen(newer); err != nil || versions() != (db.Version{Steps: 2, Oldest: oldest}) {
				t.Fatalf("%v, %+v", err, versions())
			}
			follower, err := p.AsIs(t.Context(), name, older)
			if oldest == 0 {
				if !errors.Is(err, db.ErrNewer) || !errors.Is(reopen(older), db.ErrNewer) {
					t.Errorf("an older program uses what it may not: %v", err)
				}
			} else {
				if err != nil || follower.Close() != nil || reopen(older) != nil {
					t.Errorf("an older program may not use what is harmless: %v", err)
				}
			}
			// Whatever the older did, the newer's steps are still there, once.
			if err := reopen(newer); err != nil || versions().Steps != 2 {
				t.Errorf("%s: back to the newer program: %v %+v", name, err, versions())
			}
		}
		if _, err := p.AsIs(t.Context(), "nowhere"); err == nil {
			t.Error("a store that does not exist was opened")
		}
	})
}

func TestAStoreThatCannotBeReadIsNamed(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir+"/kasse_1.db", "this is no database, and long enough to be looked at as one")
	older, _ := programs(0)
	d, err := db.InDir(dir).Open(t.Context(), "kasse_2", older)
	if err != nil || d.Close() != nil {
		t.Fatal(err)
	}
	all, broken, err := db.InDir(dir).Versions(t.Context(), "kasse_")
	if err != nil || len(all) != 1 || !errors.Is(broken["kasse_1"], db.ErrDamaged) {
		t.Errorf("%v %v %v", all, broken, err)
	}
	if got := all["kasse_2"].Missing(older, db.Migrations{Package: "b", Steps: []string{"x"}}); len(got) != 1 || got[0] != (db.Step{Package: "b", To: 1}) {
		t.Errorf("%+v", got)
	}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
