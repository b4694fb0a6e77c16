package schedule

import (
	"fmt"
	"slices"
	"strings"
)

// Why is a kind of reason for a task to start when it does. The zero value is none.
type Why uint8

// The reasons.
const (
	// WhyAtOnce: it starts in the first slot; nothing holds it.
	WhyAtOnce Why = iota + 1
	// WhyPinned: it is done, under way or agreed.
	WhyPinned
	// WhyReleased: it may not start earlier.
	WhyReleased
	// WhyLink: another task must come first, or a lag must pass.
	WhyLink
	// WhyBusy: other tasks hold a resource.
	WhyBusy
	// WhyClosed: the calendar of a resource gives too little.
	WhyClosed
	// WhyKept: it could start earlier; the plan leaves it where it is.
	WhyKept
)

// Reason is one thing that holds a task where it is.
type Reason struct {
	Why      Why
	Link     Link  // for WhyLink
	Resource int   // for WhyBusy and WhyClosed
	Tasks    []int // for WhyLink the earlier task, for WhyBusy those who hold the resource, by start
	Start    int   // of the task explained
	// Without is where the task could start if this reason alone fell away and all
	// other tasks stayed: what would move it, and how far. It is the task's own
	// start if that alone would not help.
	Without int
}

// Explainer answers why tasks stand where they do in one plan. It serves one
// goroutine.
type Explainer struct {
	p    *Problem
	plan *Plan
	m    *model
	b    *builder
	by   [][]int // per resource: tasks that claim it, by start
}

// NewExplainer checks the plan and makes ready to explain it.
func NewExplainer(p *Problem, plan *Plan) (*Explainer, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if _, err := Check(p, plan.Start, plan.Mode); err != nil {
		return nil, err
	}
	m := newModel(p)
	e := &Explainer{p: p, plan: plan, m: m, b: newBuilder(m), by: make([][]int, m.rows)}
	e.b.clear()
	for i := range p.Tasks {
		start, mode := int32(plan.Start[i]), int32(plan.Mode[i])
		w := &m.work[i][mode]
		if !p.Tasks[i].Fixed {
			e.b.start[i], e.b.finish[i], e.b.mode[i] = start, w.end(start), mode
			w.take(m, e.b.free, start, e.b.finish[i])
		}
		for _, c := range w.claims {
			e.by[c.row] = append(e.by[c.row], i)
		}
	}
	for k := range e.by {
		slices.SortStableFunc(e.by[k], func(a, b int) int { return plan.Start[a] - plan.Start[b] })
	}
	return e, nil
}

// Explain says why a task starts where it does: all reasons that bind, times first.
func (e *Explainer) Explain(task int) ([]Reason, error) {
	if task < 0 || task >= len(e.p.Tasks) {
		return nil, fmt.Errorf("%w: no task %d", ErrProblem, task)
	}
	reasons := e.reasons(int32(task))
	for k := range reasons {
		reasons[k].Start = e.plan.Start[task]
	}
	return reasons, nil
}

func (e *Explainer) reasons(i int32) []Reason {
	if e.p.Tasks[i].Fixed {
		return []Reason{{Why: WhyPinned, Without: e.plan.Start[i]}}
	}
	w := &e.m.work[i][e.b.mode[i]]
	start, finish := e.b.start[i], e.b.finish[i]
	give(w, e.m, e.b.free, start, finish)
	defer w.take(e.m, e.b.free, start, finish)
	since := e.b.after(i, e.m.release[i], w)
	reasons := e.resources(i, w, since)
	if could, _ := w.earliest(e.m, e.b.free, since); could >= 0 && could < start {
		return []Reason{{Why: WhyKept, Without: int(could)}}
	}
	if start == 0 && len(reasons) == 0 {
		return []Reason{{Why: WhyAtOnce}}
	}
	return append(e.times(i, w, since), reasons...)
}

// times lists the release and links that allow no slot before since. Only if the
// task starts right there, or they alone keep it from a better place, do they bind.
func (e *Explainer) times(i int32, w *work, since int32) []Reason {
	start := e.b.start[i]
	var out []Reason
	if r := e.m.release[i]; r == since && r > 0 {
		if t := e.without(i, w, -1); t < int(start) || start == since {
			out = append(out, Reason{Why: WhyReleased, Without: t})
		}
	}
	for k, l := range e.m.in[i] {
		if e.bound(&l, w) < since {
			continue
		}
		if t := e.without(i, w, k); t < int(start) || start == since {
			out = append(out, Reason{Why: WhyLink, Link: e.link(i, l), Tasks: []int{int(l.other)}, Without: t})
		}
	}
	return out
}

// bound is the first start that one link allows.
func (e *Explainer) bound(l *tie, w *work) int32 {
	from := l.from(e.b.start, e.b.finish)
	if l.kind == FinishFinish || l.kind == StartFinish {
		return w.startFor(from + l.min)
	}
	return from + l.min
}

// without is where a task could start if its k-th link did not exist, or for -1 if
// it had no release.
func (e *Explainer) without(i int32, w *work, k int) int {
	t := e.m.release[i]
	if k < 0 {
		t = 0
	}
	for n := range e.m.in[i] {
		if n != k {
			t = max(t, e.bound(&e.m.in[i][n], w))
		}
	}
	if s, _ := w.earliest(e.m, e.b.free, t); s >= 0 {
		return min(int(s), int(e.b.start[i]))
	}
	return int(e.b.start[i])
}

func (e *Explainer) link(i int32, l tie) Link {
	return Link{From: int(l.other), To: int(i), Kind: l.kind, Min: int(l.min), Bounded: l.bounded, Max: int(l.max)}
}

// resources lists what keeps a task from starting between since and its start.
func (e *Explainer) resources(i int32, w *work, since int32) []Reason {
	start := e.b.start[i]
	if start <= since || w.length == 0 {
		return nil
	}
	base := since // the first slot that the task's own shifts allow
	if w.roster != nil {
		if base = w.roster.slot[w.roster.index[since]]; base >= start {
			return e.closed(w, since)
		}
	}
	var out []Reason
	for k, c := range w.claims {
		alone, others := *w, *w
		alone.claims = w.claims[k : k+1]
		others.claims = slices.Concat(w.claims[:k], w.claims[k+1:])
		if s, _ := alone.earliest(e.m, e.b.free, since); s == base {
			continue // this one does not hold it
		}
		r := Reason{Why: WhyBusy, Resource: int(c.row), Without: int(start)}
		from := since
		if s, _ := others.earliest(e.m, e.b.free, since); s >= 0 && s < start {
			r.Without, from = int(s), s
		}
		if r.Tasks = e.holders(i, c.row, from, start); len(r.Tasks) == 0 {
			r.Why = WhyClosed
		}
		out = append(out, r)
	}
	return out
}

// closed names the resources that a pausable task waits for at a slot although
// nobody holds them.
func (e *Explainer) closed(w *work, at int32) []Reason {
	var out []Reason
	for _, c := range w.claims {
		if e.p.Resources[c.row].Capacity.At(int(at)) < int(c.amount) {
			out = append(out, Reason{Why: WhyClosed, Resource: int(c.row), Without: int(at)})
		}
	}
	return out
}

// holders are the other tasks that use a resource between two slots.
func (e *Explainer) holders(i, row, from, to int32) []int {
	var out []int
	for _, k := range e.by[row] {
		if k != int(i) && e.b.start[k] < to && e.b.finish[k] > from {
			out = append(out, k)
		}
	}
	return out
}

// give is the opposite of take.
func give(w *work, m *model, profile []int32, start, finish int32) {
	back := *w
	back.claims = slices.Clone(w.claims)
	for k := range back.claims {
		back.claims[k].amount = -back.claims[k].amount
	}
	back.take(m, profile, start, finish)
}

// Words says a reason in German, for screens and day plans; when turns slots into
// times of day.
func (r *Reason) Words(p *Problem, when func(slot int) string) string {
	move := "; sonst ginge es ab " + when(r.Without)
	if r.Without >= r.Start {
		move = "; das allein zu ändern verschöbe nichts"
	}
	var text string
	switch r.Why {
	case WhyAtOnce:
		return "beginnt sofort"
	case WhyPinned:
		return "begonnen oder fest vereinbart"
	case WhyKept:
		return "bleibt, wo es bisher geplant war; möglich wäre " + when(r.Without)
	case WhyReleased:
		text = "darf nicht früher beginnen"
	case WhyLink:
		text = "wartet auf " + names(p, r.Tasks)
		if r.Link.Min > 0 {
			text += " und den Abstand danach"
		}
	case WhyBusy:
		text = name(p.Resources[r.Resource].Label, p.Resources[r.Resource].ID) + " belegt durch " + names(p, r.Tasks)
	case WhyClosed:
		text = name(p.Resources[r.Resource].Label, p.Resources[r.Resource].ID) + " nicht verfügbar (Kalender)"
	}
	return text + move
}

// mostNames is how many tasks are named before the rest is counted.
const mostNames = 3

func names(p *Problem, tasks []int) string {
	var out []string
	for _, i := range tasks[:min(len(tasks), mostNames)] {
		out = append(out, name(p.Tasks[i].Label, p.Tasks[i].ID))
	}
	text := strings.Join(out, ", ")
	if more := len(tasks) - mostNames; more > 0 {
		text += fmt.Sprintf(" und %d weitere", more)
	}
	return text
}

func name(label, id string) string {
	if label == "" {
		label = id
	}
	return "„" + label + "“"
}
