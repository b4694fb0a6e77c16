package schedule

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckRefusesWhatMustNeverBe(t *testing.T) {
	// A team of two by day (slots 0-3 of every 8), one at night.
	day := Sampled(32, func(t int) int { return 1 + b2i(t%8 < 4) })
	problem := func() *Problem {
		return &Problem{
			Horizon:   32,
			Resources: []Resource{{ID: "team", Capacity: day}},
			Tasks: []Task{
				{ID: "a", Modes: []Mode{{Duration: 3, Needs: []Need{{0, 1}}}}},
				{ID: "b", Modes: []Mode{{Duration: 6, Needs: []Need{{0, 2}}, Pausable: true}}, Release: 8},
				{ID: "c", Modes: []Mode{{Duration: 2}, {Duration: 5}}},
				{ID: "d", Modes: []Mode{{Duration: 2}}, Fixed: true, FixedAt: 1},
			},
			Links: []Link{
				{From: 0, To: 2, Min: 2},
				{From: 0, To: 1, Kind: StartStart, Min: 1},
				{From: 2, To: 1, Kind: FinishFinish, Min: 1},
			},
		}
	}
	start, mode := []int{0, 8, 5, 1}, []int{0, 0, 0, 0}
	if broken, err := Check(problem(), start, mode); err != nil || len(broken) > 0 {
		t.Fatalf("a good plan: %v, %v", broken, err)
	}
	for name, c := range map[string]struct {
		change func(p *Problem, start, mode []int)
		want   string
	}{
		"capacity":              {func(_ *Problem, s, _ []int) { s[0] = 7 }, "slot 8"},
		"a capacity that falls": {func(p *Problem, _, _ []int) { p.Resources[0].Capacity = Calendar{{0, 2}, {17, 1}, {20, 2}} }, "slot 17"},
		"release":               {func(p *Problem, _, _ []int) { p.Tasks[1].Release = 9 }, "released at 9"},
		"lag after a finish":    {func(_ *Problem, s, _ []int) { s[2] = 4 }, "task 0 to task 2"},
		"lag after a start":     {func(p *Problem, _, _ []int) { p.Links[1].Min = 9 }, "start-start"},
		"lag between finishes":  {func(_ *Problem, s, _ []int) { s[2] = 16 }, "finish-finish"},
		"pausable when closed":  {func(_ *Problem, s, _ []int) { s[1] = 13 }, "closed"},
		"pinned task moved":     {func(_ *Problem, s, _ []int) { s[3] = 2 }, "fixed"},
		"past the horizon":      {func(_ *Problem, s, _ []int) { s[2] = 31 }, "before slot 32"},
		"before time began":     {func(_ *Problem, s, _ []int) { s[0] = -1 }, "starts at -1"},
		"mode that is not":      {func(_ *Problem, _, m []int) { m[2] = 2 }, "no mode 2"},
	} {
		p, s, m := problem(), append([]int(nil), start...), append([]int(nil), mode...)
		if name == "a capacity that falls" { // works through now, so the fall counts
			p.Tasks[1].Modes[0].Pausable = false
			s[1] = 12
		}
		c.change(p, s, m)
		if _, err := Check(p, s, m); !errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want ErrPlan with %q", name, err, c.want)
		}
	}
	if _, err := Check(problem(), start[:3], mode); !errors.Is(err, ErrPlan) {
		t.Errorf("too few starts: %v", err)
	}
}

func TestCheckListsBrokenPromises(t *testing.T) {
	p := &Problem{
		Horizon: 9,
		Tasks: []Task{
			{ID: "a", Modes: []Mode{{Duration: 2}}},
			{ID: "b", Modes: []Mode{{Duration: 2}}, Deadline: 5},
		},
		Links: []Link{{From: 0, To: 1, Bounded: true, Max: 1}},
	}
	broken, err := Check(p, []int{0, 4}, []int{0, 0})
	if err != nil {
		t.Fatal(err)
	}
	if len(broken) != 2 || broken[0].By != 1 || broken[1].By != 1 {
		t.Errorf("deadline missed by one and lag by one, got %+v", broken)
	}
}

func TestPinnedTasksMayCrowdOutOthersOnly(t *testing.T) {
	team := []Need{{0, 1}}
	p := &Problem{
		Horizon:   20,
		Resources: []Resource{{ID: "team", Capacity: Always(1)}},
		Tasks: []Task{
			{ID: "a", Modes: []Mode{{Duration: 4, Needs: team}}, Fixed: true},
			{ID: "b", Modes: []Mode{{Duration: 4, Needs: team}}, Fixed: true, FixedAt: 2, FixedUntil: 8},
			{ID: "c", Modes: []Mode{{Duration: 1, Needs: team}}},
		},
	}
	if _, err := Check(p, []int{0, 2, 8}, []int{0, 0, 0}); err != nil {
		t.Errorf("two pinned tasks at once: %v", err)
	}
	if _, err := Check(p, []int{0, 2, 7}, []int{0, 0, 0}); !errors.Is(err, ErrPlan) {
		t.Errorf("a third task among them: %v", err)
	}
	r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 10})
	if err != nil || r.Plan.Start[2] != 8 {
		t.Errorf("the solver starts it at %v, %v; want 8", r.Plan.Start, err)
	}
}
