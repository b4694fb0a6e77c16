package schedule

import (
	"fmt"
	"testing"
)

// wayBack draws the kind of problem this package is for: Kassen with services, per
// Kasse an environment to examine, per cell the steps from rebuilding to the
// switch-back, teams in shifts, delegates in office hours. A slot is an hour.
func wayBack(kassen, services int, seed uint64) *Problem {
	const horizon = 40 * 7 * 24
	r := newRNG(seed)
	number := func(from, to int) int { return from + int(r.below(int32(to-from+1))) }
	p := &Problem{Horizon: horizon}
	team := func(id string, shifts ...Shift) int {
		p.Resources = append(p.Resources, Resource{ID: id, Capacity: Weekly(horizon, 7*24, 0, shifts...)})
		return len(p.Resources) - 1
	}
	week := func(days, from, to, capacity int) (out []Shift) {
		for d := range days {
			out = append(out, Shift{d*24 + from, d*24 + to, capacity})
		}
		return out
	}
	forensics := team("Forensik", append(week(7, 6, 22, 6), week(5, 22, 24, 2)...)...)
	directory := team("Verzeichnisdienst", week(7, 7, 21, 4)...)
	server := team("Server", append(week(7, 6, 22, 12), week(7, 22, 24, 6)...)...)
	database := team("Datenbank", week(6, 7, 21, 6)...)
	network := team("Netz", week(7, 6, 22, 4)...)
	clean := team("Reinraum", Shift{0, 7 * 24, 10})
	task := func(group, label string, hours int, needs ...Need) int {
		p.Tasks = append(p.Tasks, Task{
			ID: fmt.Sprint(len(p.Tasks)), Label: label, Group: group,
			Modes: []Mode{{Duration: hours, Low: hours - hours/3, High: 2 * hours, Needs: needs, Pausable: true}},
		})
		return len(p.Tasks) - 1
	}
	link := func(from, to, lag int) { p.Links = append(p.Links, Link{From: from, To: to, Min: lag}) }
	base := task("", "Verzeichnisdienst neu", 40, Need{directory, 2})
	weights := []float64{10, 6, 5, 3, 2, 1}
	for k := range kassen {
		kasse := fmt.Sprintf("K%02d", k+1)
		insured := float64(number(20, 2000)) / 10
		delegate := team("Fachtest "+kasse, week(5, 8, 17, 2)...)
		secure := task(kasse, "Spuren sichern "+kasse, number(2, 6), Need{forensics, 1})
		examine := task(kasse, "Untersuchen "+kasse, number(6, 20), Need{forensics, 1}, Need{clean, 1})
		link(secure, examine, 0)
		p.Loops = append(p.Loops, Loop{Test: examine, Body: []int{secure, examine}, Probability: 0.15, Most: 3})
		for s := range services {
			cell := fmt.Sprintf("%s/S%02d", kasse, s+1)
			build := task(cell, "Aufbau "+cell, number(3, 10), Need{server, 1})
			p.Tasks[build].Modes = append(p.Tasks[build].Modes, Mode{
				ID: "Bereinigung", Duration: number(2, 6), Low: 2, High: 14, Pausable: true,
				Needs: []Need{{server, 1}, {forensics, 1}},
			})
			rotate := task(cell, "Schlüssel "+cell, number(1, 3), Need{directory, 1})
			connect := task(cell, "Anschluss "+cell, number(1, 2), Need{network, 1})
			probe := task(cell, "Technische Probe "+cell, number(1, 3), Need{server, 1}, Need{database, 1})
			accept := task(cell, "Fachprobe "+cell, number(1, 4), Need{delegate, 1})
			back := task(cell, "Umschaltung "+cell, 1, Need{network, 1}, Need{delegate, 1})
			for _, l := range [][3]int{{base, build, 0}, {examine, build, 0}, {build, rotate, 0}, {build, connect, 0}, {rotate, probe, 0}, {connect, probe, 0}, {probe, accept, 0}, {accept, back, 24}} {
				link(l[0], l[1], l[2])
			}
			p.Cells = append(p.Cells, Cell{
				ID: cell, Group: kasse, Weight: insured * weights[s%len(weights)],
				Levels: []Level{{accept, 0.6}, {back, 1}}, Curve: []Rate{{0, 1}, {72, 2}, {14 * 24, 3}},
			})
		}
	}
	return p
}

func TestTheWayBackOfAFewKassen(t *testing.T) {
	p := wayBack(4, 6, 1)
	fifo, err := FirstCome(p)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Solve(t.Context(), p, Options{Objective: Objective{Goal: LeastLoss, Fairness: 0.3}, Schedules: 600, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d tasks: loss %.0f as reported, %.0f planned, value %.0f, bound %.0f; worst %.0f and %.0f", len(p.Tasks), fifo.Loss, r.Plan.Loss, r.Value, r.Bound, fifo.Worst, r.Plan.Worst)
	if r.Plan.Loss > 0.95*fifo.Loss {
		t.Errorf("loss %.0f, as reported %.0f: nothing won", r.Plan.Loss, fifo.Loss)
	}
}

// BenchmarkFirstPlan is the time to a checked first plan for 36 Kassen with 18
// services each, about 4,000 tasks.
func BenchmarkFirstPlan(b *testing.B) {
	p := wayBack(36, 18, 1)
	b.ReportMetric(float64(len(p.Tasks)), "tasks")
	for b.Loop() {
		r, err := Solve(b.Context(), p, Options{Objective: Objective{Goal: LeastLoss}, Schedules: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.Value/r.Bound, "loss/bound")
	}
}

// BenchmarkImproved is a plan after 500 schedules.
func BenchmarkImproved(b *testing.B) {
	p := wayBack(36, 18, 1)
	for b.Loop() {
		r, err := Solve(b.Context(), p, Options{Objective: Objective{Goal: LeastLoss}, Schedules: 500})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.Value/r.Bound, "loss/bound")
	}
}

// BenchmarkReplan is a new plan after a week in which a tenth of the tasks under
// way take longer than thought.
func BenchmarkReplan(b *testing.B) {
	p := wayBack(36, 18, 1)
	r, err := Solve(b.Context(), p, Options{Objective: Objective{Goal: LeastLoss}, Schedules: 20})
	if err != nil {
		b.Fatal(err)
	}
	var news []Progress
	for i, s := range r.Plan.Start {
		if s < 168 && r.Plan.Finish[i] > 168 && i%2 == 0 {
			news = append(news, Progress{Task: i, Started: s, Mode: r.Plan.Mode[i], Until: r.Plan.Finish[i] + 8})
		}
	}
	o := Options{Objective: Objective{Goal: LeastLoss, Stability: 10, Touch: 24}, Schedules: 30}
	for b.Loop() {
		_, _, d, err := Replan(b.Context(), p, &r.Plan, 168, news, o)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(d.Stability, "stability")
		b.ReportMetric(d.Shift, "slots/task")
	}
}

// BenchmarkForecast is 2,000 runs of a plan of about 4,000 tasks.
func BenchmarkForecast(b *testing.B) {
	p := wayBack(36, 18, 1)
	r, err := Solve(b.Context(), p, Options{Objective: Objective{Goal: LeastLoss}, Schedules: 2})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := Simulate(p, &r.Plan, ForecastOptions{Runs: 200})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(f.Makespan.P90), "p90")
		b.ReportMetric(float64(f.Unfinished), "unfinished")
	}
}

// BenchmarkExplain explains every task of such a plan.
func BenchmarkExplain(b *testing.B) {
	p := wayBack(36, 18, 1)
	r, err := Solve(b.Context(), p, Options{Objective: Objective{Goal: LeastLoss}, Schedules: 2})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e, err := NewExplainer(p, &r.Plan)
		if err != nil {
			b.Fatal(err)
		}
		for i := range p.Tasks {
			if _, err := e.Explain(i); err != nil {
				b.Fatal(err)
			}
		}
	}
}
