package schedule

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asPlanned is the serial plan of a problem.
func asPlanned(t testing.TB, p *Problem) *Plan {
	t.Helper()
	r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 50})
	if err != nil {
		t.Fatal(err)
	}
	return &r.Plan
}

func simulated(t testing.TB, p *Problem, o ForecastOptions) *Forecast {
	t.Helper()
	f, err := Simulate(p, asPlanned(t, p), o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCertainTasksEndAsPlanned(t *testing.T) {
	p := chain()
	plan := asPlanned(t, p)
	f := simulated(t, p, ForecastOptions{Runs: 10})
	for i, end := range plan.Finish {
		if f.Tasks[i] != (Span{end, end}) {
			t.Errorf("task %d: %+v, planned %d", i, f.Tasks[i], end)
		}
	}
	if f.Makespan != (Span{plan.Makespan, plan.Makespan}) || f.Unfinished != 0 {
		t.Errorf("makespan %+v, planned %d", f.Makespan, plan.Makespan)
	}
}

func TestThreePointDurationsGiveTheTrianglesPercentiles(t *testing.T) {
	p := &Problem{Tasks: []Task{{ID: "a", Group: "g", Modes: []Mode{{Duration: 2000, Low: 1000, High: 6000}}}}}
	f := simulated(t, p, ForecastOptions{Runs: 20_000, Seed: 3})
	// Above the top of the triangle: high - sqrt((1-u)(high-low)(high-mode)).
	for percent, got := range map[float64]int{50: f.Tasks[0].P50, 90: f.Tasks[0].P90} {
		want := 6000 - math.Sqrt((1-percent/100)*5000*4000)
		if math.Abs(float64(got)-want) > 60 {
			t.Errorf("P%.0f is %d, the triangle's %.0f", percent, got, want)
		}
	}
	if diff := cmp.Diff([]GroupSpan{{"g", f.Tasks[0]}}, f.Groups); diff != "" {
		t.Errorf("groups (-want +got)\n%s", diff)
	}
}

func TestLoopsRepeatTheirBody(t *testing.T) {
	p := &Problem{
		Horizon:   500,
		Resources: []Resource{{ID: "R", Capacity: Always(1)}},
		Tasks: []Task{
			{ID: "clean", Modes: []Mode{{Duration: 3, Needs: []Need{{0, 1}}}}},
			{ID: "examine", Modes: []Mode{{Duration: 2}}},
			{ID: "after", Modes: []Mode{{Duration: 1}}},
			{ID: "aside", Modes: []Mode{{Duration: 50}}},
			{ID: "besides", Modes: []Mode{{Duration: 1}}},
		},
		Links: []Link{{From: 0, To: 1}, {From: 1, To: 2}, {From: 0, To: 4}, {From: 3, To: 4}},
		Loops: []Loop{{Test: 1, Body: []int{0, 1}, Probability: 0.5, Most: 3}},
	}
	f := simulated(t, p, ForecastOptions{Runs: 4000, Seed: 1})
	// One round in half of the runs, ending at 5; four, the most there can be, in an
	// eighth, ending at 20.
	if p50 := f.Tasks[1].P50; p50 != 5 && p50 != 10 {
		t.Errorf("P50 of the test is %d", p50)
	}
	for i, want := range map[int]int{0: 18, 1: 20, 2: 21, 3: 50, 4: 51} {
		if f.Tasks[i].P90 != want {
			t.Errorf("P90 of %q is %d, want %d", p.Tasks[i].ID, f.Tasks[i].P90, want)
		}
	}
	p.Loops[0].Probability = 0
	if f := simulated(t, p, ForecastOptions{Runs: 50}); f.Tasks[1] != (Span{5, 5}) {
		t.Errorf("a test that never fails ends at %+v", f.Tasks[1])
	}
}

// Rounds of a loop are spread as a geometric distribution says.
func TestLoopsFailAsOftenAsSaid(t *testing.T) {
	p := &Problem{Horizon: 100, Tasks: []Task{{ID: "t", Modes: []Mode{{Duration: 1}}}}, Loops: []Loop{{Test: 0, Body: []int{0}, Probability: 0.3, Most: 50}}}
	plan := asPlanned(t, p)
	const runs = 20_000
	s := &simulation{m: newModel(p), o: ForecastOptions{Runs: runs, Workers: 1}, plan: plan, key: ranks(p, plan), least: make([]int32, 1)}
	s.run()
	ended := map[int32]int{}
	for _, f := range s.finish[0] {
		ended[f]++
	}
	for rounds, share := int32(1), 0.7; rounds <= 4; rounds, share = rounds+1, share*0.3 {
		if got := float64(ended[rounds]) / runs; math.Abs(got-share) > 0.015 {
			t.Errorf("%d rounds in %.3f of the runs, want %.3f", rounds, got, share)
		}
	}
}

func TestTheForecastDoesNotDependOnTheWorkers(t *testing.T) {
	p := wayBack(3, 4, 1)
	plan := asPlanned(t, p)
	var first *Forecast
	for _, workers := range []int{1, 3} {
		f, err := Simulate(p, plan, ForecastOptions{Runs: 60, Seed: 4, Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = f
		}
		if diff := cmp.Diff(first, f); diff != "" {
			t.Errorf("with %d workers (-first +now)\n%s", workers, diff)
		}
	}
	if first.Makespan.P90 < first.Makespan.P50 || first.Makespan.P50 < plan.Makespan/2 || len(first.Cells) != len(p.Cells) {
		t.Errorf("makespan %+v, planned %d", first.Makespan, plan.Makespan)
	}
}

func TestTheForecastKnowsThePast(t *testing.T) {
	uncertain := func(d int) []Mode { return []Mode{{Duration: d, Low: d / 2, High: 2 * d, Needs: []Need{{0, 1}}}} }
	p := &Problem{
		Horizon:   200,
		Resources: []Resource{{ID: "R", Capacity: Always(1)}},
		Tasks: []Task{
			{ID: "done", Modes: uncertain(10), Fixed: true, FixedUntil: 13},
			{ID: "under way", Modes: uncertain(20), Fixed: true, FixedAt: 13},
			{ID: "next", Modes: uncertain(10), Release: 40},
		},
	}
	f, err := Simulate(p, &Plan{Start: []int{0, 13, 40}, Finish: []int{13, 33, 50}, Mode: []int{0, 0, 0}}, ForecastOptions{Runs: 2000, Now: 40})
	if err != nil {
		t.Fatal(err)
	}
	if f.Tasks[0] != (Span{13, 13}) {
		t.Errorf("what is done ends at %+v", f.Tasks[0])
	}
	if f.Tasks[1].P50 < 41 || f.Tasks[1].P90 > 53 {
		t.Errorf("what has lasted 27 of at most 40 slots until slot 40 ends at %+v", f.Tasks[1])
	}
	if f.Tasks[2].P50 <= f.Tasks[1].P50 {
		t.Errorf("the next ends at %+v, the one before it at %+v", f.Tasks[2], f.Tasks[1])
	}
}

func TestWhatDoesNotEndBeforeTheHorizonIsCounted(t *testing.T) {
	p := &Problem{Horizon: 10, Tasks: []Task{{ID: "t", Modes: []Mode{{Duration: 8, Low: 2, High: 16}}}}}
	f, err := Simulate(p, &Plan{Start: []int{0}, Finish: []int{8}, Mode: []int{0}}, ForecastOptions{Runs: 500})
	if err != nil {
		t.Fatal(err)
	}
	if f.Unfinished < 50 || f.Unfinished > 450 || f.Tasks[0].P90 != 10 {
		t.Errorf("%d of 500 runs unfinished, P90 %d", f.Unfinished, f.Tasks[0].P90)
	}
}

func TestSimulateRefuses(t *testing.T) {
	p := chain()
	if _, err := Simulate(p, &Plan{Start: []int{0, 0, 0, 8}, Mode: []int{0, 0, 0, 0}}, ForecastOptions{}); !errors.Is(err, ErrPlan) {
		t.Errorf("a plan that breaks links: %v", err)
	}
	if _, err := Simulate(p, asPlanned(t, p), ForecastOptions{Runs: mostRuns + 1}); !errors.Is(err, ErrProblem) {
		t.Errorf("too many runs: %v", err)
	}
}
