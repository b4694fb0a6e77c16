package emergency_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// intake takes items in as they come in emergency operation: many senders at
// once, each waiting for the acknowledgement of its one item. It returns items a second.
func intake(t *testing.T, j *emergency.Journal, from, items, senders int) float64 {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, senders)
	began := time.Now()
	for s := range senders {
		wg.Go(func() {
			for i := s; i < items && errs[s] == nil; i += senders {
				_, errs[s] = j.Accept(context.WithoutCancel(t.Context()), place, 1, t0, ledger.System, draft(fmt.Sprint("k", from+i)))
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	for _, err := range errs {
		must(t, err)
	}
	return float64(items) / took.Seconds()
}

// bulk takes items in 50 at a time from 4 callers, which nobody who waits for an
// acknowledgement does: what the journal can store at most.
func bulk(t *testing.T, j *emergency.Journal, from, items int) float64 {
	t.Helper()
	const callers, most = 4, 50
	var wg sync.WaitGroup
	errs := make([]error, callers)
	began := time.Now()
	for c := range callers {
		wg.Go(func() {
			for i := c * most; i < items && errs[c] == nil; i += callers * most {
				var drafts []emergency.Draft
				for k := i; k < min(i+most, items); k++ {
					drafts = append(drafts, draft(fmt.Sprint("k", from+k)))
				}
				_, errs[c] = j.Accept(context.WithoutCancel(t.Context()), place, 1, t0, ledger.System, drafts...)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	for _, err := range errs {
		must(t, err)
	}
	return float64(items) / took.Seconds()
}

// TestLongDrainBesideIntake measures both in one run, on the same store: intake
// by as many senders at once as make it fastest, then handing over. With
// LEITSTAND_LONG=1 it takes 16,000 items by each number of senders and asks for a
// drain at least twice as fast as the fastest of them; the short run only prints.
// Bulk storing is printed beside it.
func TestLongDrainBesideIntake(t *testing.T) {
	items, long := 500, os.Getenv("LEITSTAND_LONG") != ""
	if long {
		items = 16_000
	}
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	fastest, best, taken := 0.0, 0, 0
	for _, senders := range []int{16, 64, 256} {
		in := intake(t, j, taken, items, senders)
		t.Logf("intake with %d senders %.0f/s", senders, in)
		taken += items
		if in > fastest {
			fastest, best = in, senders
		}
	}
	most := bulk(t, j, taken, items)
	taken += items
	h := newRegular(t).handover(j)
	h.MaxItems = 0 // as in a room
	began := time.Now()
	drain(t, h)
	out := float64(taken) / time.Since(began).Seconds()
	t.Logf("fastest intake %.0f/s with %d senders, drain %.0f/s, ratio %.2f (bulk storing %.0f/s)", fastest, best, out, out/fastest, most)
	if long && out < 2*fastest {
		t.Errorf("the drain is %.2f times as fast as the fastest intake, want 2", out/fastest)
	}
	if c := counts(t, j); c.HandedOver != int64(taken) {
		t.Errorf("%+v", c)
	}
}
