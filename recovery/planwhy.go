package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/pure/schedule"
)

// PlanPosition is one position of a plan as people read it.
type PlanPosition struct {
	Task
	Start  time.Time `json:"start"`
	End    time.Time `json:"end"`
	Mode   string    `json:"mode,omitempty"` // rebuild or clean, where there is a choice
	Teams  []string  `json:"teams,omitempty"`
	After  []string  `json:"after,omitempty"`  // tasks that must have ended
	Pinned bool      `json:"pinned,omitempty"` // under way or reported
	Why    []string  `json:"why,omitempty"`    // why it stands here, and what would move it
}

// Explainer says why the tasks of a plan stand where they do. It serves one goroutine.
type Explainer struct {
	p     *Plan
	e     *schedule.Explainer
	zone  *time.Location
	after [][]int
	cells map[string]int // by id
}

// NewExplainer makes ready to explain a plan; times are told in the zone.
func NewExplainer(p *Plan, zone *time.Location) (*Explainer, error) {
	e, err := schedule.NewExplainer(&p.Problem, &p.Schedule)
	if err != nil {
		return nil, fmt.Errorf("explaining plan %q: %w", p.ID, err)
	}
	out := &Explainer{p: p, e: e, zone: zone, after: make([][]int, len(p.Tasks)), cells: map[string]int{}}
	for _, l := range p.Problem.Links {
		out.after[l.To] = append(out.after[l.To], l.From)
	}
	for k := range p.Problem.Cells {
		out.cells[p.Problem.Cells[k].ID] = k
	}
	return out, nil
}

// All are all positions by start, each with its reasons.
func (x *Explainer) All() ([]PlanPosition, error) {
	return x.Some(func(Task) bool { return true })
}

// Some are the positions that are wanted, by start, each with its reasons.
func (x *Explainer) Some(wanted func(Task) bool) ([]PlanPosition, error) {
	var order []int
	for i, t := range x.p.Tasks {
		if wanted(t) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(x.p.Schedule.Start[a]-x.p.Schedule.Start[b], x.p.Schedule.Finish[a]-x.p.Schedule.Finish[b])
	})
	out := make([]PlanPosition, 0, len(order))
	for _, i := range order {
		pos, err := x.position(i)
		if err != nil {
			return nil, err
		}
		out = append(out, pos)
	}
	return out, nil
}

// Task is one position by the task's id.
func (x *Explainer) Task(id string) (PlanPosition, error) {
	i, ok := x.p.index()[id]
	if !ok {
		return PlanPosition{}, fmt.Errorf("%q: %w", id, ErrNoTask)
	}
	return x.position(i)
}

func (x *Explainer) position(i int) (PlanPosition, error) {
	p := x.p
	st := &p.Problem.Tasks[i]
	m := &st.Modes[p.Schedule.Mode[i]]
	out := PlanPosition{
		Task: p.Tasks[i], Start: p.At(p.Schedule.Start[i]), End: p.At(p.Schedule.Finish[i]), Mode: m.ID, Pinned: st.Fixed,
	}
	for _, n := range m.Needs {
		out.Teams = append(out.Teams, p.Problem.Resources[n.Resource].ID)
	}
	for _, a := range x.after[i] {
		out.After = append(out.After, p.Tasks[a].ID)
	}
	reasons, err := x.e.Explain(i)
	if err != nil {
		return out, fmt.Errorf("explaining %q: %w", out.ID, err)
	}
	for k := range reasons {
		out.Why = append(out.Why, reasons[k].Words(&p.Problem, x.when))
	}
	if out.Mode != "" && len(st.Modes) > 1 {
		out.Why = append(out.Why, "Weg: "+modeWord(out.Mode))
	}
	return out, nil
}

// Weight says in German what an hour costs for whose sake a task is done.
func (x *Explainer) Weight(pos PlanPosition) string {
	if pos.Kasse == "" || pos.Service == "" {
		return ""
	}
	k, ok := x.cells[string(pos.Kasse)+"/"+string(pos.Service)]
	if !ok {
		return ""
	}
	total := 0.0
	for i := range x.p.Problem.Cells {
		total += x.p.Problem.Cells[i].Weight
	}
	c := &x.p.Problem.Cells[k]
	text := fmt.Sprintf("Eine Stunde ohne diesen Dienst ist %s aller Ausfallkosten", percent(c.Weight, total))
	for _, r := range c.Curve {
		if r.From > 0 && r.Rate == 2 {
			return text + fmt.Sprintf("; ab %s (längster tolerierbarer Ausfall) zählt sie doppelt", x.when(r.From))
		}
	}
	if len(c.Curve) == 1 && c.Curve[0].Rate > 1 {
		text += "; der längste tolerierbare Ausfall ist schon überschritten"
	}
	return text
}

func percent(a, b float64) string {
	if b == 0 {
		return "0 %"
	}
	return strings.Replace(fmt.Sprintf("%.2f %%", 100*a/b), ".", ",", 1)
}

func modeWord(m string) string {
	if m == "clean" {
		return "Bereinigung (mit Forensik)"
	}
	return "Neuaufbau aus sicherer Quelle"
}

// when is a slot in words.
func (x *Explainer) when(slot int) string { return Clock(x.p.At(slot).In(x.zone)) }

// Clock writes a time with its day of the week, for plans.
func Clock(t time.Time) string {
	return [...]string{"So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"}[t.Weekday()] + t.Format(" 02.01. 15:04")
}
