package recovery

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// StepView is a step as it stands now, with its place in the plan and what it
// waits for.
type StepView struct {
	Step
	Start  time.Time `json:"start,omitzero"` // by the plan in force; zero: not planned
	End    time.Time `json:"end,omitzero"`
	Teams  []string  `json:"teams,omitempty"`
	After  []string  `json:"after,omitempty"` // steps that are not finished yet and come before
	Waits  []string  `json:"waits,omitempty"` // in German: what keeps it from beginning
	Needed bool      `json:"needed"`          // the room's state still asks for it
	Said   Progress  `json:"said,omitempty"`  // somebody reported beside the step
}

// Ready reports whether the step can be begun.
func (v *StepView) Ready() bool {
	return v.Needed && (v.State == StepOpen || v.State == StepOrdered) && len(v.Waits) == 0
}

// StepBoard is every step of the way back as it stands. Tasks and what comes
// before what follow from the present state, terms and reports; times from the
// plan in force.
type StepBoard struct {
	Views []StepView
	index map[string]int
}

// StepGate names in German what a task waits for besides other tasks: clearance,
// acceptance, consent. It must be quick.
type StepGate func(t Task) []string

// NewStepBoard puts steps together. A gate of nil keeps nothing back.
func NewStepBoard(g Ground, plan *Plan, steps []Step, gate StepGate) (*StepBoard, error) {
	g.Origin = plan.Origin
	g.LostSites = append(slices.Clone(g.LostSites), plan.LostSites...)
	d, valid, err := stepDraft(&g)
	if err != nil {
		return nil, err
	}
	known := map[string]Step{}
	for _, s := range steps {
		known[s.ID] = s
	}
	reports := newest(g.Reports)
	b := &StepBoard{index: map[string]int{}}
	for i, t := range d.Tasks {
		s, ok := known[t.ID]
		if !ok {
			s = NewStep(t)
		}
		s.Task = t // the catalogue's names as they are today
		delete(known, t.ID)
		v := StepView{Step: s.current(valid[i], reports[t.ID]), Needed: true}
		if r, ok := reports[t.ID]; ok && r.Known.After(s.At) && r.Known.After(valid[i]) {
			v.Said = r.What
		}
		b.add(v)
	}
	for _, s := range steps {
		if _, left := known[s.ID]; left { // finished, or not asked for any more
			v := StepView{Step: s}
			if r, ok := reports[s.ID]; ok && r.Known.After(s.At) {
				v.Said = r.What
			}
			b.add(v)
		}
	}
	b.before(d)
	b.place(plan)
	b.wait(gate)
	return b, nil
}

// stepDraft compiles the ground; when nothing is to return, nothing is left to do.
func stepDraft(g *Ground) (*draft, []time.Time, error) {
	c, err := compiled(g)
	if errors.Is(err, ErrNothing) {
		return &draft{}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	valid := make([]time.Time, len(c.d.Tasks))
	for i, t := range c.d.Tasks {
		valid[i] = c.validFrom(t)
	}
	return c.d, valid, nil
}

// current opens a finished step again that the room's state asks for once more:
// it went down again, its clearance was revoked, or somebody reported it undone.
// What a driver may have done outside stays as it is, whatever the state says.
func (s Step) current(valid time.Time, newest Report) Step {
	undone := newest.What == Undone && newest.Known.After(s.At)
	if s.State == StepOpen || s.State == StepStopped || s.State.NeedsWord() || !undone && s.At.After(valid) {
		return s
	}
	if s.At.IsZero() {
		return s
	}
	return s.again()
}

func (b *StepBoard) add(v StepView) {
	b.index[v.ID] = len(b.Views)
	b.Views = append(b.Views, v)
}

// before notes what comes before what.
func (b *StepBoard) before(d *draft) {
	for _, l := range d.Problem.Links {
		v := &b.Views[b.index[d.Tasks[l.To].ID]]
		if from := d.Tasks[l.From].ID; !slices.Contains(v.After, from) {
			v.After = append(v.After, from)
		}
	}
	for i := range b.Views {
		slices.Sort(b.Views[i].After)
	}
}

// place takes times and teams from the plan in force.
func (b *StepBoard) place(p *Plan) {
	for i, t := range p.Tasks {
		n, ok := b.index[t.ID]
		if !ok {
			continue
		}
		v := &b.Views[n]
		v.Start, v.End = p.At(p.Schedule.Start[i]), p.At(p.Schedule.Finish[i])
		for _, need := range p.Problem.Tasks[i].Modes[p.Schedule.Mode[i]].Needs {
			v.Teams = append(v.Teams, p.Problem.Resources[need.Resource].ID)
		}
	}
	slices.SortStableFunc(b.Views, func(x, y StepView) int {
		return cmp.Or(x.Start.Compare(y.Start), x.End.Compare(y.End), cmp.Compare(x.ID, y.ID))
	})
	for i := range b.Views {
		b.index[b.Views[i].ID] = i
	}
}

// wait notes what keeps steps from beginning. Gates are asked only where no other
// step is waited for.
func (b *StepBoard) wait(gate StepGate) {
	for i := range b.Views {
		v := &b.Views[i]
		for _, id := range v.After {
			v.Waits = append(v.Waits, "nach: "+b.Views[b.index[id]].Label)
		}
		if v.Said == Begun || v.Said == Late {
			v.Waits = append(v.Waits, "in Arbeit, wie gemeldet")
		}
		if gate != nil && len(v.Waits) == 0 && v.Needed && (v.State == StepOpen || v.State == StepOrdered) {
			v.Waits = gate(v.Task)
		}
	}
}

// ErrNoStep says that neither the plan nor anybody knows a step.
var ErrNoStep = errors.New("there is no such step: see leitstand plan step list")

// Step finds the step of a task.
func (b *StepBoard) Step(id string) (StepView, error) {
	i, ok := b.index[id]
	if !ok {
		return StepView{}, fmt.Errorf("%q: %w", id, ErrNoStep)
	}
	return b.Views[i], nil
}

// MayBegin says what keeps a step from beginning.
func (v *StepView) MayBegin() error {
	if !v.Needed && !v.State.NeedsWord() {
		return fmt.Errorf("%s: the state of the room does not ask for it any more: %w", v.ID, ErrStepState)
	}
	if len(v.Waits) > 0 {
		return fmt.Errorf("%s: %w: %s", v.ID, ErrStepWaits, strings.Join(v.Waits, "; "))
	}
	return nil
}
