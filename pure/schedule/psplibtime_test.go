package schedule

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

// TestPSPLIBSecondsLong reports what a second and ten seconds on all processors
// reach for the sample of 30 instances, and how many schedules that is. It judges
// only that plans are feasible: the clock of a busy machine proves nothing.
func TestPSPLIBSecondsLong(t *testing.T) {
	if os.Getenv("LEITSTAND_LONG") == "" {
		t.Skip("LEITSTAND_LONG not set: the sample with 1 s and 10 s takes five and a half minutes")
	}
	for _, s := range psplibSets {
		for _, limit := range []time.Duration{time.Second, 10 * time.Second} {
			t.Run(fmt.Sprintf("%s in %v", s.set, limit), func(t *testing.T) {
				best := references(t, s.table)
				var o outcome
				built := int64(0)
				for k := range 10 {
					key := Key{1 + k*s.cells/10 + k%2, 1 + 2*(k%5)}
					built += o.solveFor(t, s.set, key, best[key], limit)
				}
				t.Logf("%d instances: %.3f %% above the best known, %.3f %% above the critical path, %d schedules", o.n, o.aboveBest/10, o.aboveCP/10, built)
			})
		}
	}
}

func (o *outcome) solveFor(t *testing.T, set string, k Key, best int, limit time.Duration) int64 {
	t.Helper()
	p := instance(t, set, fmt.Sprintf("%s%d_%d.sm", set, k.Parameter, k.Instance))
	ctx, stop := context.WithTimeout(t.Context(), limit)
	defer stop()
	r, err := Solve(ctx, p, Options{Objective: Objective{Goal: ShortestPlan}, Seed: 1})
	if err != nil {
		t.Fatalf("%s %v: %v", set, k, err)
	}
	if broken, err := Check(p, r.Plan.Start, r.Plan.Mode); err != nil || len(broken) > 0 {
		t.Errorf("%s %v: %v %v", set, k, broken, err)
	}
	o.n++
	o.aboveBest += 100 * float64(r.Plan.Makespan-best) / float64(best)
	o.aboveCP += 100 * float64(r.Plan.Makespan-r.Critical) / float64(r.Critical)
	return r.Schedules
}
