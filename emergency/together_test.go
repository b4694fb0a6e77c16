package emergency_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/db/dbtest"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// groups are the numbers of items by the encapsulation that they were closed with.
func groups(t *testing.T, j *emergency.Journal) map[string][]int64 {
	t.Helper()
	out := map[string][]int64{}
	_, err := db.Collect(t.Context(), j.Store(), func(r *sql.Rows) (struct{}, error) {
		var n int64
		var sealed []byte
		err := r.Scan(&n, &sealed)
		group := string(sealed[:4+16+1120])
		out[group] = append(out[group], n)
		return struct{}{}, err
	}, `select number, sealed from journal_body order by number`)
	must(t, err)
	return out
}

func TestWhatComesInTogetherSharesAnEncapsulationAndNothingElseDoes(t *testing.T) {
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	accept(t, j, "a", "b", "c") // in one call
	if g := groups(t, j); len(g) != 1 {
		t.Errorf("one call made %d encapsulations", len(g))
	}
	accept(t, j, "d") // nobody was taking anything in meanwhile
	if g := groups(t, j); len(g) != 2 {
		t.Errorf("what came after all was quiet shares what came before: %v", g)
	}
	_, err := j.Rotate(t.Context(), t0, actor, "Wechsel")
	must(t, err)
	accept(t, j, "e")
	var many []emergency.Draft
	for i := range 150 {
		many = append(many, draft(fmt.Sprint("many", i)))
	}
	_, err = j.Accept(t.Context(), place, 1, t0, ledger.System, many...)
	must(t, err)
	g := groups(t, j)
	if len(g) != 6 { // abc, d, e, and 150 in groups of 64 at most
		t.Errorf("%d encapsulations: %v", len(g), g)
	}
	for _, numbers := range g {
		if len(numbers) > 64 {
			t.Errorf("%d bodies share an encapsulation", len(numbers))
		}
	}
	drain(t, newRegular(t).handover(j))
	verify(t, j)
}

func TestAKeyRotatedWhileItemsComeInOpensAllOfThem(t *testing.T) {
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	var wg sync.WaitGroup
	errs := make([]error, 9)
	for s := range 8 {
		wg.Go(func() {
			for i := 0; i < 10 && errs[s] == nil; i++ {
				_, errs[s] = j.Accept(context.WithoutCancel(t.Context()), place, 1, t0, actor, draft(fmt.Sprint(s, "-", i)))
			}
		})
	}
	wg.Go(func() {
		for i := 0; i < 3 && errs[8] == nil; i++ {
			_, errs[8] = j.Rotate(context.WithoutCancel(t.Context()), t0, actor, "Wechsel")
		}
	})
	wg.Wait()
	for _, err := range errs {
		must(t, err)
	}
	reg := newRegular(t)
	drain(t, reg.handover(j))
	if len(reg.order) != 80 {
		t.Errorf("%d of 80 arrived", len(reg.order))
	}
}

// The next batch is opened ahead. What a person does to one of its items in the
// meantime must be in what leaves.
func TestABatchLeavesAsItsItemsAreWhenItLeaves(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, where db.Place) {
		j := newRoom(t, where).journal(t)
		accept(t, j, "a", "b")
		held := draft("held")
		held.Hold = &emergency.Hold{Reason: "XML nicht lesbar", Owner: "Postkorb eAU", Deadline: t0.Add(24 * time.Hour)}
		_, err := j.Accept(t.Context(), place, 1, t0, actor, held)
		must(t, err)
		reg := newRegular(t)
		reason := ""
		reg.judge = func(it emergency.ParcelItem) (emergency.State, string) {
			reason = it.Held
			return emergency.Applied, ""
		}
		h := reg.handover(j)
		h.MaxItems = 2
		h.Hook = func(point string) error {
			if point != "settled" || reason != "" {
				return nil
			}
			return j.Apply(t.Context(), emergency.Entry{At: t0, Actor: actor, Kind: "item.held"}, emergency.Change{
				Number: 3, Apply: func(s emergency.Standing) (emergency.Standing, error) {
					s.Reason = "nachgesehen: Praxis rufen"
					return s, nil
				},
			})
		}
		drain(t, h)
		if reason != "nachgesehen: Praxis rufen" {
			t.Errorf("the item left with the reason %q", reason)
		}
		verify(t, j)
	})
}
