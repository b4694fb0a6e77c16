package recovery_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/catalogue"
	"leitstand/recovery"
)

func remade(t *testing.T, g recovery.Ground, before *recovery.Plan, trusted bool) *recovery.Plan {
	t.Helper()
	p, err := recovery.Remake(t.Context(), g, before, trusted, recovery.Search{Schedules: 30, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Schedule.Feasible() {
		t.Errorf("broken: %v", p.Schedule.Broken)
	}
	return p
}

func TestAPlanMadeAnewWithoutNewsMovesNothing(t *testing.T) {
	c := few(catalogue.Example(1), 4)
	g := cutOff(c, sitesOf(c)...)
	before := made(t, g)
	g.Now = monday.Add(50 * time.Hour)
	after := remade(t, g, before, true)
	if n := len(after.Change.Moved); n > 0 || after.Change.Stability != 1 {
		t.Errorf("%d tasks move without any news, stability %v", n, after.Change.Stability)
	}
}

func TestADelayMovesWhatWaitsForItAndLittleElse(t *testing.T) {
	c := few(catalogue.Example(1), 6)
	g := cutOff(c, sitesOf(c)...)
	before := made(t, g)
	late, now := "", 0
	for i, task := range before.Tasks {
		if task.Kind == recovery.Test && (now == 0 || before.Schedule.Start[i] < now) {
			late, now = task.ID, before.Schedule.Start[i]+1
		}
	}
	g.Now = before.At(now)
	g.Reports = []recovery.Report{{Task: late, What: recovery.Late, At: g.Now.Add(60 * time.Hour), Known: g.Now, By: "kasse", Reason: "mehr Fälle"}}
	after := remade(t, g, before, true)
	start, end := startOf(t, after, late)
	was, _ := startOf(t, before, late)
	if start != was || end != now+60 {
		t.Errorf("the late task runs from %d to %d, want %d to %d", start, end, was, now+60)
	}
	if len(after.Change.Moved) == 0 {
		t.Error("nothing moves although a test takes 60 hours longer")
	}
	if after.Change.Stability < 0.9 {
		t.Errorf("stability %.2f: a single delay at one Kasse moves more than a tenth of all", after.Change.Stability)
	}
	if watch, _ := startOf(t, after, strings.Replace(late, "test:", "observe:", 1)); watch < end {
		t.Errorf("observation starts at %d, before the test ends at %d", watch, end)
	}
}

func TestWhatNobodyReportedIsNotCountedAsDone(t *testing.T) {
	c := few(catalogue.Example(1), 2)
	g := cutOff(c, sitesOf(c)...)
	before := made(t, g)
	first := ""
	for i, task := range before.Tasks {
		if before.Schedule.Start[i] == 0 && before.Schedule.Finish[i] <= 10 && task.Kind == recovery.Secure {
			first = task.ID
		}
	}
	g.Now = monday.Add(30 * time.Hour)
	after := remade(t, g, before, false)
	if _, end := startOf(t, after, first); end != 31 {
		t.Errorf("%s ends at %d although nobody said that it is done, want 31", first, end)
	}
	g.Reports = []recovery.Report{{Task: first, What: recovery.Done, At: monday.Add(3 * time.Hour), Known: monday.Add(3 * time.Hour)}}
	after = remade(t, g, before, false)
	if slices.ContainsFunc(after.Tasks, func(x recovery.Task) bool { return x.ID == first }) {
		t.Errorf("%s is planned although it is done", first)
	}
	if !slices.ContainsFunc(after.Past, func(x recovery.PastTask) bool { return x.ID == first }) {
		t.Errorf("%s is forgotten", first)
	}
}

func TestARevokedClearanceBringsTheExaminationBack(t *testing.T) {
	c := few(catalogue.Example(1), 2)
	g := cutOff(c, sitesOf(c)...)
	env := string(c.Placements[0].Environment)
	g.Reports = []recovery.Report{{Task: "examine:" + env, What: recovery.Done, At: monday, Known: monday.Add(time.Hour)}}
	g.Now = monday.Add(2 * time.Hour)
	if slices.ContainsFunc(made(t, g).Tasks, func(x recovery.Task) bool { return x.ID == "examine:"+env }) {
		t.Error("an examination that is done is planned again")
	}
	g.Situation.Uncleared[env] = monday.Add(90 * time.Minute)
	startOf(t, made(t, g), "examine:"+env)
}

func TestAnAnswerSaysWhatItMeansForEachKasse(t *testing.T) {
	c := few(catalogue.Example(1), 6)
	g := cutOff(c, sitesOf(c)...)
	before := made(t, g)
	ask := func(w recovery.WhatIf) *recovery.Answer {
		t.Helper()
		a, err := recovery.Ask(t.Context(), g, before, w, recovery.Search{Schedules: 100, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(a.Kassen) != 6 {
			t.Errorf("%d Kassen, want 6", len(a.Kassen))
		}
		return a
	}
	if a := ask(recovery.WhatIf{People: map[string]int{"forensik": 6, "fach": 8}}); a.After.Loss > a.Before.Loss {
		t.Errorf("more people lose more: %.0f after %.0f", a.After.Loss, a.Before.Loss)
	}
	last := smallest(c)
	a := ask(recovery.WhatIf{First: []catalogue.KasseID{last}})
	for _, k := range a.Kassen {
		if k.Kasse == last && k.Change >= 0 {
			t.Errorf("the Kasse that comes first wins nothing: %+.0f cell-hours", k.Change)
		}
	}
	if a := ask(recovery.WhatIf{Lost: []catalogue.SiteID{c.Placements[0].Site}}); len(a.NoWay) == 0 || a.After.CellHours <= a.Before.CellHours {
		t.Errorf("a lost site costs nothing: %d cells without a way, %.0f after %.0f", len(a.NoWay), a.After.CellHours, a.Before.CellHours)
	}
	for _, w := range []recovery.WhatIf{
		{People: map[string]int{"nobody": 1}},
		{People: map[string]int{"netz": -100}},
		{First: []catalogue.KasseID{"1"}},
		{Lost: []catalogue.SiteID{"nowhere"}},
		{Revoked: []string{"nothing"}},
		{Services: map[catalogue.ServiceID]float64{"eau": -1}},
	} {
		if _, err := recovery.Ask(t.Context(), g, before, w, recovery.Search{Schedules: 2}); err == nil {
			t.Errorf("%+v was answered", w)
		}
	}
}

func TestARevocationAsWhatIfBringsRunningCellsIntoTheWayBack(t *testing.T) {
	c := few(catalogue.Example(1), 2)
	g := cutOff(c, c.Sites[0].ID)
	var env catalogue.EnvironmentID
	for _, e := range c.Environments {
		if e.Site != c.Sites[0].ID {
			env = e.ID
		}
	}
	a, err := recovery.Ask(t.Context(), g, nil, recovery.WhatIf{Revoked: []string{string(env)}}, recovery.Search{Schedules: 20})
	if err != nil {
		t.Fatal(err)
	}
	if a.After.Tasks <= a.Before.Tasks || a.After.CellHours <= a.Before.CellHours {
		t.Errorf("a revocation costs nothing: %+v, then %+v", a.Before, a.After)
	}
}

func TestAForecastIsARangeAndTheSameForTheSameSeed(t *testing.T) {
	c := few(catalogue.Example(1), 3)
	p := made(t, cutOff(c, sitesOf(c)...))
	f, err := recovery.Foretell(p, monday, 200, 7)
	if err != nil {
		t.Fatal(err)
	}
	if f.Runs != 200 || len(f.Cells) != len(p.Cells()) || len(f.Kassen) != 3 {
		t.Errorf("%d runs, %d cells, %d Kassen", f.Runs, len(f.Cells), len(f.Kassen))
	}
	if !f.Last.P90.After(f.Last.P50) || f.Last.P50.Before(f.Last.Planned) {
		t.Errorf("last cell %+v: want planned ≤ P50 < P90, since work takes longer more often than it takes less", f.Last)
	}
	end := f.BurnUp[len(f.BurnUp)-1]
	if end.P50 != len(f.Cells) || end.Planned != len(f.Cells) || end.P90 < len(f.Cells)*9/10 {
		t.Errorf("in the end %+v of %d cells are back", end, len(f.Cells))
	}
	for i, b := range f.BurnUp {
		if b.P90 > b.P50 || i > 0 && (b.P50 < f.BurnUp[i-1].P50 || b.Planned < f.BurnUp[i-1].Planned) {
			t.Errorf("at %v: %+v", b.At, b)
		}
	}
	again, err := recovery.Foretell(p, monday, 200, 7)
	if err != nil || again.Last != f.Last {
		t.Errorf("the same seed gives %+v and %+v (%v)", f.Last, again.Last, err)
	}
}

func TestEveryPositionSaysWhyAndDayPlansHoldAllOfIt(t *testing.T) {
	c := few(catalogue.Example(1), 2)
	p := made(t, cutOff(c, sitesOf(c)...))
	x, err := recovery.NewExplainer(p, berlin)
	if err != nil {
		t.Fatal(err)
	}
	all, err := x.All()
	if err != nil || len(all) != len(p.Tasks) {
		t.Fatalf("%d positions of %d, %v", len(all), len(p.Tasks), err)
	}
	seen := map[string]bool{}
	for _, pos := range all {
		if len(pos.Why) == 0 {
			t.Errorf("%s stands there without a reason", pos.ID)
		}
	}
	for d := monday; d.Before(p.At(p.Schedule.Makespan).AddDate(0, 0, 1)); d = d.AddDate(0, 0, 1) {
		days, err := x.Days(d, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range days {
			for _, pos := range day.Of {
				seen[pos.ID] = true
			}
			form := day.Form(berlin)
			if len(form.Steps) != len(day.Of) || !strings.Contains(form.Title, day.Name) {
				t.Errorf("form %q has %d steps for %d positions", form.Title, len(form.Steps), len(day.Of))
			}
		}
	}
	for _, pos := range all {
		if len(pos.Teams) > 0 && !seen[pos.ID] {
			t.Errorf("%s is on no day plan", pos.ID)
		}
	}
	if _, err := x.Days(monday, "nobody"); err == nil {
		t.Error("a team that is not there has a day plan")
	}
}

func TestPicturesEscapeNames(t *testing.T) {
	c := few(catalogue.Example(1), 2)
	c.Kassen[0].Name = `<script>alert("x")</script>`
	p := made(t, cutOff(c, sitesOf(c)...))
	for _, kasse := range []catalogue.KasseID{"", c.Kassen[0].ID} {
		if svg := p.Gantt(c, kasse, nil, berlin); strings.Contains(svg, "<script") || !strings.Contains(svg, "&lt;script") {
			t.Errorf("the picture of %q does not escape names", kasse)
		}
	}
}

func TestTermsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*recovery.Terms){
		"no teams":         func(x *recovery.Terms) { x.Teams = nil },
		"forensics gone":   func(x *recovery.Terms) { x.Teams = x.Teams[1:] },
		"twice":            func(x *recovery.Terms) { x.Teams = append(x.Teams, x.Teams[0]) },
		"a night in one":   func(x *recovery.Terms) { x.Teams[0].Shifts = []recovery.Shift{{Days: "1", From: 22, To: 6, People: 1}} },
		"an eighth day":    func(x *recovery.Terms) { x.Teams[0].Shifts = []recovery.Shift{{Days: "8", From: 6, To: 22, People: 1}} },
		"work backwards":   func(x *recovery.Terms) { x.Work["test"] = recovery.Span{Low: 3, Likely: 2, High: 4} },
		"work missing":     func(x *recovery.Terms) { delete(x.Work, "switch") },
		"certain failure":  func(x *recovery.Terms) { x.Fails[recovery.Test] = recovery.Risk{Probability: 1, Most: 2} },
		"builds fail":      func(x *recovery.Terms) { x.Fails[recovery.Build] = recovery.Risk{Probability: 0.5, Most: 2} },
		"more than all":    func(x *recovery.Terms) { x.Emergency["eau"] = 1.5 },
		"no such date":     func(x *recovery.Terms) { x.Closed = []string{"24.12."} },
		"deadline why":     func(x *recovery.Terms) { x.Deadlines = []recovery.Deadline{{Service: "zahl", At: monday}} },
		"negative weights": func(x *recovery.Terms) { x.Priorities.Services = map[catalogue.ServiceID]float64{"eau": -1} },
		"nobody tests":     func(x *recovery.Terms) { x.Delegates = 0 },
	} {
		terms := recovery.DefaultTerms()
		if err := terms.Check(); err != nil {
			t.Fatalf("the defaults: %v", err)
		}
		spoil(&terms)
		if err := terms.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestADeadlineComesBeforeWeights(t *testing.T) {
	c := few(catalogue.Example(1), 6)
	g := cutOff(c, sitesOf(c)...)
	g.Terms.Emergency = nil
	last := c.Kassen[0].ID
	before := made(t, g)
	_, end := startOf(t, before, "switch:"+string(last)+"/ctrl")
	soon := end - 24
	g.Terms.Deadlines = []recovery.Deadline{{Service: "ctrl", Kasse: last, At: before.At(soon), Reason: "Stichtag"}}
	after, err := recovery.Make(t.Context(), g, recovery.Search{Schedules: 200, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, end := startOf(t, after, "switch:"+string(last)+"/ctrl"); end > soon && after.Schedule.Feasible() {
		t.Errorf("back at %d, the date is %d, and nothing is said about it", end, soon)
	}
}

func TestSharedMachineryThatSlipsMovesLittleMoreThanItMust(t *testing.T) {
	c := few(catalogue.Case2023(1), 12)
	before := made(t, cutOff(c, sitesOf(c)...))
	after := remade(t, late8(t, cutOff(c, sitesOf(c)...), before, "munich"), before, true)
	ch := after.Change
	t.Logf("%d of %d move, %d of them whatever the plan, stability %.3f", len(ch.Moved), ch.Compared, ch.Must, ch.Stability)
	if ch.Must == 0 || len(ch.Moved) < ch.Must || len(ch.Moved) > 4*ch.Must || ch.Stability < 0.85 {
		t.Errorf("%d move, %d unavoidably, stability %.3f", len(ch.Moved), ch.Must, ch.Stability)
	}
}
