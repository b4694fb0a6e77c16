package schedule

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestExplainSaysWhatHoldsATask(t *testing.T) {
	day := Sampled(80, func(t int) int { return b2i(t%24 >= 8 && t%24 < 16) })
	one := func(k int) []Need { return []Need{{k, 1}} }
	p := &Problem{
		Horizon:   80,
		Resources: []Resource{{ID: "forensics", Label: "Forensik", Capacity: Always(1)}, {ID: "kasse", Label: "Fachtest", Capacity: day}},
		Tasks: []Task{
			{ID: "secure", Label: "Spuren sichern", Modes: []Mode{{Duration: 4, Needs: one(0)}}},
			{ID: "examine", Label: "Untersuchen", Modes: []Mode{{Duration: 6, Needs: one(0)}}},
			{ID: "accept", Label: "Fachprobe", Modes: []Mode{{Duration: 3, Needs: one(1)}}},
			{ID: "later", Modes: []Mode{{Duration: 1}}, Release: 30},
			{ID: "kept", Modes: []Mode{{Duration: 1}}},
			{ID: "done", Modes: []Mode{{Duration: 2}}, Fixed: true, FixedAt: 1},
			{ID: "observe", Modes: []Mode{{Duration: 1}}},
		},
		Links: []Link{{From: 0, To: 2}, {From: 2, To: 6, Min: 24}},
	}
	plan := &Plan{Start: []int{0, 4, 8, 30, 5, 1, 35}, Mode: make([]int, 7), Finish: []int{4, 10, 11, 31, 6, 3, 36}}
	e, err := NewExplainer(p, plan)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]Reason{
		{{Why: WhyAtOnce}},
		{{Why: WhyBusy, Resource: 0, Tasks: []int{0}, Start: 4}},
		{{Why: WhyClosed, Resource: 1, Start: 8, Without: 4}},
		{{Why: WhyReleased, Start: 30}},
		{{Why: WhyKept, Start: 5}},
		{{Why: WhyPinned, Start: 1, Without: 1}},
		{{Why: WhyLink, Link: Link{From: 2, To: 6, Min: 24}, Tasks: []int{2}, Start: 35}},
	} {
		got, err := e.Explain(i)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("task %d (-want +got)\n%s", i, diff)
		}
	}
	reasons, err := e.Explain(1)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reasons[0].Words(p, func(s int) string { return fmt.Sprintf("%d Uhr", s) }), "„Forensik“ belegt durch „Spuren sichern“; sonst ginge es ab 0 Uhr"; got != want {
		t.Errorf("in words: %q, want %q", got, want)
	}
	if _, err := e.Explain(99); err == nil {
		t.Error("a task that is not there is explained")
	}
}

// What Without promises is true: with the reason gone the task can start there and
// the plan still passes the check; and every task of a plan has a reason.
func TestExplanationsHoldWhatTheyPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := small{tasks: 3 + rapid.IntRange(0, 9).Draw(t, "tasks"), horizon: 80, calendars: true, modes: true, pausing: true, kinds: true}
		p := kind.draw(func(n int) int { return rapid.IntRange(0, max(0, n-1)).Draw(t, "n") })
		r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: ShortestPlan}, Schedules: 3})
		if err != nil {
			return
		}
		e, err := NewExplainer(p, &r.Plan)
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Tasks {
			reasons, err := e.Explain(i)
			if err != nil || len(reasons) == 0 {
				t.Fatalf("task %d: no reason, %v", i, err)
			}
			for k := range reasons {
				if reasons[k].Words(p, func(s int) string { return fmt.Sprint(s) }) == "" {
					t.Fatalf("task %d: nothing to say about %+v", i, reasons[k])
				}
				lifted(t, p, &r.Plan, i, &reasons[k])
			}
		}
	})
}

// lifted takes one reason away and moves the task to where Without says.
func lifted(t *rapid.T, p *Problem, plan *Plan, i int, r *Reason) {
	if r.Without >= plan.Start[i] {
		return
	}
	q := *p
	q.Tasks = append([]Task(nil), p.Tasks...)
	switch r.Why {
	case WhyReleased:
		q.Tasks[i].Release = 0
	case WhyLink:
		q.Links = nil
		for _, l := range p.Links {
			if l != r.Link {
				q.Links = append(q.Links, l)
			}
		}
	case WhyBusy, WhyClosed:
		if p.Tasks[i].Modes[plan.Mode[i]].Pausable {
			return // without the need its shifts are others
		}
		m := p.Tasks[i].Modes[plan.Mode[i]]
		var needs []Need
		for _, n := range m.Needs {
			if n.Resource != r.Resource {
				needs = append(needs, n)
			}
		}
		m.Needs = needs
		q.Tasks[i].Modes = append([]Mode(nil), p.Tasks[i].Modes...)
		q.Tasks[i].Modes[plan.Mode[i]] = m
	case WhyKept:
	case WhyAtOnce, WhyPinned:
		t.Fatalf("task %d: %+v promises a move", i, r)
	}
	start := append([]int(nil), plan.Start...)
	start[i] = r.Without
	// An earlier start cannot break links from the task but for those that bound it below.
	if _, err := Check(&q, start, plan.Mode); err != nil {
		t.Fatalf("task %d at %d without %+v: %v", i, r.Without, r, err)
	}
}
