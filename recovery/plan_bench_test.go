package recovery_test

import (
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/recovery"
)

// listed is the case of 2023 with 36 Kassen and 18 services.
func listed() *catalogue.Catalogue { return few(catalogue.Case2023(1), 36) }

// BenchmarkMake is a first plan of 36 Kassen × 18 services with all machinery,
// "as reported" beside it: from the catalogue to the checked plan.
func BenchmarkMake(b *testing.B) {
	c := listed()
	g := cutOff(c, sitesOf(c)...)
	for b.Loop() {
		p, err := recovery.Make(b.Context(), g, recovery.Search{Schedules: 1, Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(p.Tasks)), "tasks")
		b.ReportMetric(p.Value/p.Bound, "loss/bound")
		b.ReportMetric(p.Schedule.Loss/p.AsReported.Loss, "loss/reported")
	}
}

// BenchmarkMakeDefault is the same, improved as far as a plan is unless asked for more.
func BenchmarkMakeDefault(b *testing.B) {
	c := listed()
	g := cutOff(c, sitesOf(c)...)
	for b.Loop() {
		p, err := recovery.Make(b.Context(), g, recovery.Search{Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(p.Value/p.Bound, "loss/bound")
		b.ReportMetric(p.Schedule.Loss/p.AsReported.Loss, "loss/reported")
	}
}

// BenchmarkRemake is a new plan after three days of which nobody reported
// anything but two delays.
func BenchmarkRemake(b *testing.B) {
	c := listed()
	g := cutOff(c, sitesOf(c)...)
	before, err := recovery.Make(b.Context(), g, recovery.Search{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	g.Now = monday.Add(72 * time.Hour)
	for b.Loop() {
		p, err := recovery.Remake(b.Context(), g, before, true, recovery.Search{Schedules: 30, Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(p.Change.Stability, "stability")
		b.ReportMetric(p.Change.Shift, "hours/task")
	}
}

// BenchmarkForetell is a forecast by 2,000 runs.
func BenchmarkForetell(b *testing.B) {
	c := listed()
	g := cutOff(c, sitesOf(c)...)
	p, err := recovery.Make(b.Context(), g, recovery.Search{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := recovery.Foretell(p, monday, 0, 1)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(f.Last.P50.Sub(monday).Hours(), "p50_h")
		b.ReportMetric(f.Last.P90.Sub(monday).Hours(), "p90_h")
	}
}
