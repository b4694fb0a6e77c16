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
func intake(t *testing.T, j *emergency.Journal, items, senders int) float64 {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, senders)
	began := time.Now()
	for s := range senders {
		wg.Go(func() {
			for i := s; i < items && errs[s] == nil; i += senders {
				_, errs[s] = j.Accept(context.WithoutCancel(t.Context()), place, 1, t0, ledger.System, draft(fmt.Sprint("k", i)))
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

// TestLongDrainBesideIntake measures both in one run, on the same store: 64
// senders at once, then handing over. LEITSTAND_LONG=1 takes 20,000 items and
// asks for a drain at least twice as fast; the short run only prints.
func TestLongDrainBesideIntake(t *testing.T) {
	items, long := 1500, os.Getenv("LEITSTAND_LONG") != ""
	if long {
		items = 20_000
	}
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	in := intake(t, j, items, 64)
	h := newRegular(t).handover(j)
	h.MaxItems = 500
	began := time.Now()
	drain(t, h)
	out := float64(items) / time.Since(began).Seconds()
	t.Logf("intake with 64 senders %.0f/s, drain %.0f/s, ratio %.2f", in, out, out/in)
	if long && out < 2*in {
		t.Errorf("the drain is %.2f times as fast as the intake, want 2", out/in)
	}
	if c := counts(t, j); c.HandedOver != int64(items) {
		t.Errorf("%+v", c)
	}
}
