package emergency_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// TestLongHandoverOfManyItems accepts, hands over and reconciles many small items
// and prints the rates. LEITSTAND_LONG=1 makes it a million.
func TestLongHandoverOfManyItems(t *testing.T) {
	items := 400
	if os.Getenv("LEITSTAND_LONG") != "" {
		items = 1_000_000
	}
	if n, err := strconv.Atoi(os.Getenv("LEITSTAND_ITEMS")); err == nil {
		items = n
	}
	j := newRoom(t, db.InDir(t.TempDir())).journal(t)
	step := func(what string, fn func()) float64 {
		began := time.Now()
		fn()
		took := time.Since(began)
		rate := float64(items) / took.Seconds()
		t.Logf("%s %d items: %s, %.0f/s", what, items, took.Round(time.Millisecond), rate)
		return rate
	}
	step("accepting", func() {
		for n := 0; n < items; n += 200 {
			drafts := make([]emergency.Draft, 200)
			for i := range drafts {
				drafts[i] = draft(fmt.Sprint("k", n+i))
			}
			if _, err := j.Accept(t.Context(), place, 1, t0, ledger.System, drafts...); err != nil {
				t.Fatal(err)
			}
		}
	})
	reg := newRegular(t)
	h := reg.handover(j)
	h.MaxItems = 500
	step("handing over", func() { drain(t, h) })
	step("reconciling", func() {
		out, err := h.Reconcile(t.Context(), t0, actor)
		if err != nil || !out.Agrees {
			t.Fatalf("%v, %d differences", err, len(out.Differences))
		}
	})
	if c := counts(t, j); c.Reconciled != int64(items) {
		t.Errorf("%+v", c)
	}
	step("verifying", func() { verify(t, j) })
}
