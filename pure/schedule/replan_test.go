package schedule

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// chain is three tasks of one team after one another, and one of another team.
func chain() *Problem {
	return &Problem{
		Horizon:   60,
		Resources: []Resource{{ID: "A", Capacity: Always(1)}, {ID: "B", Capacity: Always(1)}},
		Tasks: []Task{
			{ID: "one", Modes: []Mode{{Duration: 5, Needs: []Need{{0, 1}}}}},
			{ID: "two", Modes: []Mode{{Duration: 5, Needs: []Need{{0, 1}}}}},
			{ID: "three", Modes: []Mode{{Duration: 5, Needs: []Need{{0, 1}}}}},
			{ID: "other", Modes: []Mode{{Duration: 7, Needs: []Need{{1, 1}}}}, Release: 8},
		},
		Links: []Link{{From: 0, To: 1}, {From: 1, To: 2}},
	}
}

func TestReplanKeepsWhatHasBegunAndMovesOnlyWhatMust(t *testing.T) {
	p := chain()
	o := Options{Objective: Objective{Goal: ShortestPlan, Stability: 0.1, Touch: 2}, Schedules: 200}
	first, err := Solve(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	// In slot 7 it is known that task two takes until 14.
	news := []Progress{{Task: 1, Started: 5, Until: 14}}
	q, r, d, err := Replan(t.Context(), p, &first.Plan, 7, news, o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 5, 14, 8}, r.Plan.Start); diff != "" {
		t.Errorf("starts (-want +got)\n%s", diff)
	}
	if !q.Tasks[0].Fixed || q.Tasks[0].FixedUntil != 5 || !q.Tasks[1].Fixed || q.Tasks[3].Fixed {
		t.Errorf("pinned: %+v", q.Tasks)
	}
	want := &Difference{Compared: 2, Moved: []Move{{Task: 2, From: 10, To: 14}}, Stability: 0.5, Shift: 2}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("difference (-want +got)\n%s", diff)
	}
	// A clearance is revoked: task one is to be done again, and what had come after.
	_, r, _, err = Replan(t.Context(), p, &first.Plan, 12, []Progress{{Task: 0, Undone: true}, {Task: 1, Undone: true}}, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Plan.Start[0] < 12 || r.Plan.Start[1] < r.Plan.Finish[0] {
		t.Errorf("undone tasks start at %v", r.Plan.Start)
	}
	if _, err := Continue(p, &first.Plan, 7, []Progress{{Task: 9}}); !errors.Is(err, ErrProblem) {
		t.Errorf("news of a task that is not there: %v", err)
	}
}

// Without news nothing moves, whatever the goal, if leaving the plan costs enough.
func TestWithoutNewsAStablePlanStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := small{tasks: 3 + rapid.IntRange(0, 9).Draw(t, "tasks"), horizon: 80, calendars: true, modes: true, pausing: true, kinds: true}
		p := kind.draw(func(n int) int { return rapid.IntRange(0, max(0, n-1)).Draw(t, "n") })
		o := Options{Objective: Objective{Goal: ShortestPlan, Stability: 1e6, Touch: 5}, Schedules: 20}
		first, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 20})
		if errors.Is(err, ErrNoRoom) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		now := rapid.IntRange(0, first.Plan.Makespan).Draw(t, "now")
		_, _, d, err := Replan(t.Context(), p, &first.Plan, now, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		if d.Stability != 1 || len(d.Moved) > 0 {
			t.Fatalf("at %d without news: %+v", now, d)
		}
	})
}

func TestStabilityIsTradedForTheGoal(t *testing.T) {
	p := wayBack(3, 5, 2)
	first, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: LeastLoss}, Schedules: 150})
	if err != nil {
		t.Fatal(err)
	}
	var news []Progress
	for i, s := range first.Plan.Start {
		if s < 90 && first.Plan.Finish[i] > 90 && len(news) == 0 {
			news = append(news, Progress{Task: i, Started: s, Mode: first.Plan.Mode[i], Until: first.Plan.Finish[i] + 20})
		}
	}
	last := -1.0
	for _, stability := range []float64{0, 100} {
		o := Options{Objective: Objective{Goal: LeastLoss, Stability: stability, Touch: 12}, Schedules: 150}
		_, r, d, err := Replan(t.Context(), p, &first.Plan, 90, news, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("stability %v: loss %.0f, %.0f %% unmoved, %.1f slots a task", stability, r.Plan.Loss, 100*d.Stability, d.Shift)
		if d.Stability <= last {
			t.Errorf("%.2f of the tasks stay with stability %v, %.2f without", d.Stability, stability, last)
		}
		last = d.Stability
	}
	if last < 0.6 {
		t.Errorf("only %.2f of the tasks stay although moving is dear", last)
	}
}

func TestWhatWaitsForSomethingThatMovesStaysIfItCan(t *testing.T) {
	p := &Problem{
		Horizon:   60,
		Resources: []Resource{{ID: "A", Capacity: Always(1)}, {ID: "B", Capacity: Always(1)}},
		Tasks: []Task{
			{ID: "late", Modes: []Mode{{Duration: 5}}, Fixed: true, FixedUntil: 10},
			{ID: "next", Modes: []Mode{{Duration: 2, Needs: []Need{{0, 1}}}}},
			{ID: "long", Modes: []Mode{{Duration: 5, Needs: []Need{{1, 1}}}}},
			{ID: "agreed", Modes: []Mode{{Duration: 4, Needs: []Need{{1, 1}}}}},
		},
		Links: []Link{{From: 0, To: 1}, {From: 1, To: 2}, {From: 1, To: 3}},
	}
	before := &Plan{Start: []int{0, 5, 7, 14}, Finish: []int{5, 7, 12, 18}, Mode: make([]int, 4)}
	r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan, Keep: before, Stability: 10, Touch: 20}, Schedules: 50})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 10, 18, 14}, r.Plan.Start); diff != "" {
		t.Errorf("starts (-want +got)\n%s", diff)
	}
	b := newBuilder(newModel(p))
	if !b.patch([]int32{0, 1, 2, 3}, make([]int32, 4), []int32{0, 5, 7, 14}) || b.start[3] != 14 {
		t.Errorf("patched starts %v: the last one could stay at 14", b.start)
	}
	if n := Unavoidable(p, before); n != 2 {
		t.Errorf("%d tasks cannot stay, want 2", n)
	}
}
