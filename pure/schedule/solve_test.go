package schedule

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func seeded(seed uint64) func(int) int {
	r := newRNG(seed)
	return func(n int) int { return int(r.below(int32(max(1, n)))) }
}

func TestTheSameSeedGivesTheSamePlan(t *testing.T) {
	general := small{tasks: 25, horizon: 300, calendars: true, modes: true, pausing: true, kinds: true, maxLags: true}.draw(seeded(5))
	for name, c := range map[string]struct {
		p *Problem
		o Objective
	}{
		"textbook": {textbook(40, 1, seeded(3)), Objective{Goal: ShortestPlan}},
		"general":  {general, Objective{Goal: ShortestPlan}},
		"loss":     {general, Objective{Goal: LeastLoss, Fairness: 1}},
	} {
		var first *Result
		for _, workers := range []int{1, 4, 2} {
			r, err := Solve(t.Context(), c.p, Options{Objective: c.o, Schedules: 700, Seed: 9, Workers: workers})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if r.Schedules > 700 && name == "textbook" {
				t.Errorf("%s: %d schedules, 700 allowed", name, r.Schedules)
			}
			if first == nil {
				first = r
			}
			if diff := cmp.Diff(first, r); diff != "" {
				t.Errorf("%s: a second run differs (-first +second)\n%s", name, diff)
			}
		}
	}
}

// The figure is pinned so that a change of the search, or of the generator under
// it, on any machine or release of Go, is noticed.
func TestResultsDoNotChangeUnnoticed(t *testing.T) {
	p := textbook(60, 1, seeded(11))
	r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 300, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for i, s := range r.Plan.Start {
		sum += (i + 1) * s
	}
	if r.Plan.Makespan != 164 || sum != 161266 {
		t.Errorf("makespan %d, sum of starts %d", r.Plan.Makespan, sum)
	}
}

func TestABudgetIsKept(t *testing.T) {
	hard := textbook(60, 1, seeded(2))
	general := small{tasks: 12, horizon: 200, calendars: true, modes: true}.draw(seeded(8))
	for _, p := range []*Problem{hard, general} {
		for _, budget := range []int64{1, 2, 3, 10, 97} {
			r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: budget})
			if err != nil {
				t.Fatal(err)
			}
			if r.Schedules > budget || r.Schedules < 1 {
				t.Errorf("%d schedules built, %d allowed", r.Schedules, budget)
			}
		}
	}
}

// The textbook path and the general one are two ways to the same schedules.
func TestBothPathsBuildTheSameSchedules(t *testing.T) {
	for seed := range uint64(30) {
		p := textbook(30, 1, seeded(seed))
		c, ok := newClassic(p)
		if !ok {
			t.Fatal("not taken for the textbook form")
		}
		m := newModel(p)
		d, b := newDecoder(c), newBuilder(m)
		r := newRNG(seed)
		key, gene, rank, finish := make([]int32, m.n), make([]int32, m.n), make([]int64, m.n), make([]int32, m.n)
		for range 10 {
			for i := range key {
				key[i] = r.below(100)
				rank[i] = int64(key[i])
			}
			order := slices.Clone(d.byKey(&c.forward, key))
			d.serial(&c.forward, order, finish)
			if !b.serial(order, gene, nil) || !slices.Equal(finish, b.finish) {
				t.Fatalf("seed %d: serial: %v and %v", seed, finish, b.finish)
			}
			d.parallel(&c.forward, key, finish)
			if !b.dispatch(rank, gene, nil) || !slices.Equal(finish, b.finish) {
				t.Fatalf("seed %d: parallel: %v and %v", seed, finish, b.finish)
			}
		}
	}
}

func TestTheGeneralPathKeepsUpOnTextbookProblems(t *testing.T) {
	for seed := range uint64(6) {
		p := textbook(32, 1, seeded(seed))
		o := Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 3000, Seed: 1}
		fast, err := Solve(t.Context(), p, o)
		if err != nil {
			t.Fatal(err)
		}
		p.Horizon = p.slots() // given a horizon, it is no longer of the textbook form
		slow, err := Solve(t.Context(), p, o)
		if err != nil {
			t.Fatal(err)
		}
		if slow.Plan.Makespan > fast.Plan.Makespan+1 {
			t.Errorf("seed %d: general %d, textbook %d", seed, slow.Plan.Makespan, fast.Plan.Makespan)
		}
	}
}

func TestSolveStopsWhenTheContextEndsAndStillHasAPlan(t *testing.T) {
	hard := textbook(90, 1, seeded(4))
	general := small{tasks: 30, horizon: 400, calendars: true, modes: true}.draw(seeded(4))
	for name, p := range map[string]*Problem{"textbook": hard, "general": general} {
		for _, goal := range []Goal{ShortestPlan, LeastLoss} {
			if goal == LeastLoss && len(p.Cells) == 0 {
				continue
			}
			ended, stop := context.WithCancel(t.Context())
			stop()
			r, err := Solve(ended, p, Options{Objective: Objective{Goal: goal}, Workers: 2})
			if err != nil {
				t.Fatalf("%s: with an ended context: %v", name, err)
			}
			if _, err := Check(p, r.Plan.Start, r.Plan.Mode); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			// The first improvement ends the search from within.
			running, stop := context.WithCancel(t.Context())
			heard := 0
			_, err = Solve(running, p, Options{Objective: Objective{Goal: goal}, Workers: 2, Improved: func(plan Plan) {
				heard++
				if heard == 2 {
					stop()
				}
			}})
			stop()
			if err != nil || heard == 0 {
				t.Errorf("%s: %d improvements, %v", name, heard, err)
			}
		}
	}
}

func TestEveryImprovementIsBetterThanTheLast(t *testing.T) {
	p := textbook(60, 1, seeded(12))
	var spans []int
	r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 2000, Improved: func(plan Plan) { spans = append(spans, plan.Makespan) }})
	if err != nil {
		t.Fatal(err)
	}
	for k := 1; k < len(spans); k++ {
		if spans[k] >= spans[k-1] {
			t.Errorf("makespans heard: %v", spans)
		}
	}
	if spans[len(spans)-1] != r.Plan.Makespan {
		t.Errorf("the last plan heard has makespan %d, the result %d", spans[len(spans)-1], r.Plan.Makespan)
	}
}

func TestSolveRefuses(t *testing.T) {
	team := []Need{{0, 2}}
	p := &Problem{Resources: []Resource{{ID: "team", Capacity: Always(1)}}, Tasks: []Task{{ID: "a", Modes: []Mode{{Duration: 1, Needs: team}}}}}
	if _, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 5}); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a need above all capacity: %v", err)
	}
	if _, err := FirstCome(p); !errors.Is(err, ErrNoRoom) {
		t.Errorf("first come: %v", err)
	}
	p.Resources[0].Capacity = Always(2)
	for name, o := range map[string]Objective{
		"no goal":            {},
		"loss without cells": {Goal: LeastLoss},
		"another's plan":     {Goal: ShortestPlan, Keep: &Plan{}},
		"negative fairness":  {Goal: ShortestPlan, Fairness: -1},
	} {
		if _, err := Solve(t.Context(), p, Options{Objective: o, Schedules: 5}); !errors.Is(err, ErrProblem) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Solve(t.Context(), &Problem{}, Options{}); !errors.Is(err, ErrProblem) {
		t.Errorf("nothing to plan: %v", err)
	}
}

func TestFirstComeServesWhoHasWaitedLongest(t *testing.T) {
	one := []Need{{0, 1}}
	p := &Problem{
		Resources: []Resource{{ID: "team", Capacity: Always(1)}},
		Tasks: []Task{
			{ID: "long", Modes: []Mode{{Duration: 9, Needs: one}}, Release: 2},
			{ID: "urgent", Modes: []Mode{{Duration: 1, Needs: one}}, Release: 3},
			{ID: "early", Modes: []Mode{{Duration: 4, Needs: one}}},
		},
	}
	plan, err := FirstCome(p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{4, 13, 0}, plan.Start); diff != "" {
		t.Errorf("starts (-want +got)\n%s", diff)
	}
}

// A shift ends, pausable work goes on in the next one; other work waits for a
// shift that is long enough.
func TestShifts(t *testing.T) {
	day := Weekly(7*24*2, 7*24, 0, Shift{8, 16, 1}, Shift{32, 40, 1}, Shift{56, 64, 1})
	p := &Problem{
		Horizon:   7 * 24 * 2,
		Resources: []Resource{{ID: "team", Capacity: day}},
		Tasks: []Task{
			{ID: "long", Modes: []Mode{{Duration: 12, Needs: []Need{{0, 1}}, Pausable: true}}},
			{ID: "whole", Modes: []Mode{{Duration: 6, Needs: []Need{{0, 1}}}}},
		},
		Links: []Link{{From: 0, To: 1}},
	}
	r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 50})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][2]int{{8, 36}, {56, 62}}, [][2]int{{r.Plan.Start[0], r.Plan.Finish[0]}, {r.Plan.Start[1], r.Plan.Finish[1]}}); diff != "" {
		t.Errorf("start and finish (-want +got)\n%s", diff)
	}
	if !r.Proven {
		t.Error("the only plan is not called proven")
	}
}

func TestFairnessCostsTheManyToSpareTheFew(t *testing.T) {
	// One team; the small Kasse's cell takes longest and weighs least, so that the
	// sum alone puts it last.
	one := []Need{{0, 1}}
	p := &Problem{Resources: []Resource{{ID: "team", Capacity: Always(1)}}}
	for k := range 4 {
		p.Tasks = append(p.Tasks, Task{ID: "big", Modes: []Mode{{Duration: 5, Needs: one}}})
		p.Cells = append(p.Cells, Cell{ID: "big", Group: string(rune('A' + k)), Weight: 100, Levels: []Level{{k, 1}}})
	}
	p.Tasks = append(p.Tasks, Task{ID: "small", Modes: []Mode{{Duration: 6, Needs: one}}})
	p.Cells = append(p.Cells, Cell{ID: "small", Group: "klein", Weight: 1, Levels: []Level{{4, 1}}})
	plan := func(o Objective) *Plan {
		r, err := Solve(t.Context(), p, Options{Objective: o, Schedules: 400})
		if err != nil {
			t.Fatal(err)
		}
		return &r.Plan
	}
	sum, fair := plan(Objective{Goal: LeastLoss}), plan(Objective{Goal: LeastLoss, Fairness: 2})
	if sum.Start[4] != 20 || sum.WorstGroup != "klein" || sum.Worst != 26 {
		t.Errorf("by sum alone the small one starts at %d, worst is %q with %v", sum.Start[4], sum.WorstGroup, sum.Worst)
	}
	limited := plan(Objective{Goal: LeastLoss, WorstLimit: 26})
	if !limited.Feasible() || limited.Loss != sum.Loss {
		t.Errorf("a limit that is kept anyway changes the plan: %+v", limited)
	}
	if fair.Worst > sum.Worst {
		t.Errorf("fairness makes the worst %v worse than %v", fair.Worst, sum.Worst)
	}
	if impossible := plan(Objective{Goal: LeastLoss, WorstLimit: 3}); impossible.Feasible() {
		t.Error("a limit that nobody can keep is not called broken")
	}
}

// With a deadline the search shares out the time, and ends with it.
func TestSolveEndsAtTheDeadline(t *testing.T) {
	general := small{tasks: 30, horizon: 400, calendars: true, modes: true}.draw(seeded(4))
	for _, p := range []*Problem{textbook(90, 1, seeded(4)), general} {
		ctx, stop := context.WithTimeout(t.Context(), 150*time.Millisecond)
		r, err := Solve(ctx, p, Options{Objective: Objective{Goal: ShortestPlan}, Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		if ctx.Err() == nil && !r.Proven {
			t.Errorf("ended after %d schedules with time left", r.Schedules)
		}
		stop()
	}
}
