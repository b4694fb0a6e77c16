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
		b.ReportMetric(p.Schedule.Loss/p.Bound, "loss/bound")
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
		b.ReportMetric(p.Schedule.Loss/p.Bound, "loss/bound")
		b.ReportMetric(p.Schedule.Loss/p.AsReported.Loss, "loss/reported")
	}
}

// BenchmarkRemake is a new plan after six days: every fifth position
// that is under way takes eight hours longer.
func BenchmarkRemake(b *testing.B) {
	c := listed()
	g := cutOff(c, sitesOf(c)...)
	before, err := recovery.Make(b.Context(), g, recovery.Search{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	g.Now = monday.Add(150 * time.Hour)
	n := 0
	for i, task := range before.Tasks {
		if before.Schedule.Start[i] >= 150 || before.Schedule.Finish[i] <= 150 {
			continue
		}
		if n++; n%5 == 1 {
			g.Reports = append(g.Reports, recovery.Report{Task: task.ID, What: recovery.Late, At: before.At(before.Schedule.Finish[i] + 8), Known: g.Now, Reason: "Verzug"})
		}
	}
	for b.Loop() {
		p, err := recovery.Remake(b.Context(), g, before, true, recovery.Search{Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(g.Reports)), "late")
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

// BenchmarkAsk is a question answered: both sides planned with the usual effort.
func BenchmarkAsk(b *testing.B) {
	c := listed()
	g := cutOff(c, sitesOf(c)...)
	before, err := recovery.Make(b.Context(), g, recovery.Search{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		a, err := recovery.Ask(b.Context(), g, before, recovery.WhatIf{People: map[string]int{"forensik": 3}}, recovery.Search{Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(a.After.CellHours-a.Before.CellHours, "cell-hours")
	}
}

// BenchmarkImprove is how much ten seconds more make of a plan.
func BenchmarkImprove(b *testing.B) {
	c := listed()
	g := cutOff(c, sitesOf(c)...)
	for b.Loop() {
		p, err := recovery.Make(b.Context(), g, recovery.Search{For: 10 * time.Second, Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(p.Schedule.Loss/p.Bound, "loss/bound")
		b.ReportMetric(p.Schedule.Loss/p.AsReported.Loss, "loss/reported")
		b.ReportMetric(float64(p.Schedules), "schedules")
	}
}

// late8 is a ground in the night in which the directory of a site is rebuilt, on
// which everything there waits: it takes eight hours longer.
func late8(tb testing.TB, g recovery.Ground, before *recovery.Plan, site catalogue.SiteID) recovery.Ground {
	tb.Helper()
	for i, task := range before.Tasks {
		if task.ID != "build:directory@"+string(site) {
			continue
		}
		g.Now = before.At(before.Schedule.Start[i] + 1)
		g.Reports = []recovery.Report{{Task: task.ID, What: recovery.Late, At: before.At(before.Schedule.Finish[i] + 8), Known: g.Now, Reason: "Verzug"}}
		return g
	}
	tb.Fatalf("no directory is rebuilt at %s", site)
	return g
}

// BenchmarkRemakeShared is a new plan after shared machinery slipped.
func BenchmarkRemakeShared(b *testing.B) {
	c := listed()
	ground := cutOff(c, sitesOf(c)...)
	before, err := recovery.Make(b.Context(), ground, recovery.Search{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	for _, site := range []catalogue.SiteID{"essen", "munich"} {
		b.Run(string(site), func(b *testing.B) {
			g := late8(b, ground, before, site)
			for b.Loop() {
				p, err := recovery.Remake(b.Context(), g, before, true, recovery.Search{Seed: 1})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(p.Change.Moved)), "moved")
				b.ReportMetric(float64(p.Change.Must), "unavoidable")
				b.ReportMetric(p.Change.Stability, "stability")
				b.ReportMetric(p.Schedule.Loss/before.Schedule.Loss, "loss/before")
			}
		})
	}
}
