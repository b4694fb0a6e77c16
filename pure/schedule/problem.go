package schedule

import (
	"errors"
	"fmt"
)

// Limits of a problem. They keep a damaged or hostile file from taking the
// machine's memory; no recovery plan comes near them.
const (
	MaxTasks     = 100_000
	MaxResources = 4_096
	MaxHorizon   = 1 << 22
	maxProfile   = 1 << 28 // slots times resources
)

// ErrProblem is wrapped by every error that says a problem makes no sense.
var ErrProblem = errors.New("not a schedulable problem")

// Problem is what is to be planned. Tasks and resources are named by their place
// in their slice everywhere in this package.
type Problem struct {
	// Horizon is the number of slots plans may use. Zero: as many as doing one
	// task after the other would take at worst.
	Horizon   int
	Resources []Resource
	Tasks     []Task
	Links     []Link
	Cells     []Cell
	Loops     []Loop
}

// Resource is something a task occupies while it works and gives back afterwards:
// a team, a place in the clean room.
type Resource struct {
	ID       string
	Label    string
	Capacity Calendar
}

// Task is one piece of work. The zero Release and Deadline mean: none.
type Task struct {
	ID    string
	Label string
	// Group gathers tasks for the forecast, for instance all tasks of one cell.
	Group    string
	Modes    []Mode
	Release  int // no slot before this one may be worked
	Deadline int // the task must have ended by then
	// Fixed pins a task that is done, under way or agreed: it starts at FixedAt in
	// mode FixedMode, whatever releases, links and calendars say, and ends at
	// FixedUntil, or if that is zero when its mode's duration has been worked.
	// Pinned tasks may use more capacity than there is; others get what is left.
	Fixed                          bool
	FixedAt, FixedUntil, FixedMode int
}

// Mode is one way of doing a task.
type Mode struct {
	ID       string
	Duration int // slots of work, as planned
	// Low and High bound the duration for the forecast; Duration is the most
	// likely. Both zero: the duration is certain.
	Low, High int
	Needs     []Need
	// Pausable work stops while the calendar of a needed resource is below the
	// need, and goes on as soon as it is not: a shift ends, the next one resumes.
	// It never pauses for other work.
	Pausable bool
}

// Need is an amount of one resource, held in every worked slot.
type Need struct {
	Resource int
	Amount   int
}

// LinkKind says which ends of two tasks a link ties. The zero value is the usual one.
type LinkKind uint8

// The four kinds: the first word is the end of From, the second that of To.
const (
	FinishStart LinkKind = iota
	StartStart
	FinishFinish
	StartFinish
)

func (k LinkKind) String() string {
	switch k {
	case FinishStart:
		return "finish-start"
	case StartStart:
		return "start-start"
	case FinishFinish:
		return "finish-finish"
	case StartFinish:
		return "start-finish"
	}
	return fmt.Sprintf("LinkKind(%d)", uint8(k))
}

// Link demands that To's end lies at least Min slots after From's and, if
// Bounded, at most Max. An observation time is a Min. Min may be negative.
type Link struct {
	From, To int
	Kind     LinkKind
	Min      int
	Bounded  bool
	Max      int
}

// Cell is what people lose while it is away: Weight per slot, scaled by what has
// been reached. Group is who loses it (the Kasse), for the fairness measure.
type Cell struct {
	ID      string
	Group   string
	Weight  float64 // insured persons times weight of the service
	Initial float64 // level at slot 0, from 0 (nothing) to 1 (all)
	Levels  []Level
	// Curve makes loss grow or shrink with time: from slot From on, each slot
	// counts Rate. Empty: each slot counts 1. Slots before the first step count 0.
	Curve []Rate
}

// Level is what a cell has once Task has ended. The level of a cell is the
// highest of those reached.
type Level struct {
	Task    int
	Reached float64
}

// Rate is one step of a loss curve.
type Rate struct {
	From int
	Rate float64
}

// Loop says that Test may fail when it ends, with Probability; then all of Body is
// done again, which must contain Test, at most Most times in total. Loops count
// in the forecast only; a plan is made for the case that tests pass.
type Loop struct {
	Test        int
	Body        []int
	Probability float64
	Most        int
}

// Plan says when each task starts and how it is done.
type Plan struct {
	Start  []int
	Finish []int
	Mode   []int
	// Makespan is the latest finish.
	Makespan int
	// Loss is the weighted loss over all cells, Worst the largest loss of one
	// group divided by the weight of its cells: slots without service that an
	// average insured person of the worst-off Kasse bears.
	Loss, Worst float64
	WorstGroup  string
	// Broken are the deadlines, maximal lags and limits that could not be kept.
	// Nothing else is ever broken.
	Broken []Breach
}

// Feasible says that nothing is broken.
func (p *Plan) Feasible() bool { return len(p.Broken) == 0 }

// Validate says what is wrong with the problem itself, wrapping ErrProblem.
func (p *Problem) Validate() error {
	switch {
	case len(p.Tasks) == 0:
		return fmt.Errorf("%w: no tasks", ErrProblem)
	case len(p.Tasks) > MaxTasks:
		return fmt.Errorf("%w: %d tasks, at most %d", ErrProblem, len(p.Tasks), MaxTasks)
	case len(p.Resources) > MaxResources:
		return fmt.Errorf("%w: %d resources, at most %d", ErrProblem, len(p.Resources), MaxResources)
	case p.Horizon < 0 || p.Horizon > MaxHorizon:
		return fmt.Errorf("%w: horizon %d, at most %d", ErrProblem, p.Horizon, MaxHorizon)
	}
	for i := range p.Resources {
		if err := p.Resources[i].Capacity.validate(); err != nil {
			return fmt.Errorf("%w: resource %q: %w", ErrProblem, p.Resources[i].ID, err)
		}
	}
	for i := range p.Tasks {
		if err := p.validateTask(&p.Tasks[i]); err != nil {
			return fmt.Errorf("%w: task %d %q: %w", ErrProblem, i, p.Tasks[i].ID, err)
		}
	}
	for i, l := range p.Links {
		if err := p.validateLink(l); err != nil {
			return fmt.Errorf("%w: link %d: %w", ErrProblem, i, err)
		}
	}
	if err := p.validateCells(); err != nil {
		return err
	}
	if err := p.validateLoops(); err != nil {
		return err
	}
	if _, ok := topological(len(p.Tasks), p.Links); !ok {
		return fmt.Errorf("%w: links form a circle through %s", ErrProblem, p.circle())
	}
	h := p.slots()
	if h > MaxHorizon || h*max(1, len(p.Resources)) > maxProfile {
		return fmt.Errorf("%w: %d slots of %d resources are too many; choose longer slots", ErrProblem, h, len(p.Resources))
	}
	return nil
}

func (p *Problem) validateTask(t *Task) error {
	if len(t.Modes) == 0 {
		return errors.New("no mode")
	}
	if t.Release < 0 || t.Release > MaxHorizon || t.Deadline < 0 || t.Deadline > MaxHorizon {
		return fmt.Errorf("release %d or deadline %d out of range", t.Release, t.Deadline)
	}
	if t.Fixed && (t.FixedAt < 0 || t.FixedUntil > MaxHorizon || t.FixedAt > MaxHorizon ||
		t.FixedUntil != 0 && t.FixedUntil < t.FixedAt || t.FixedMode < 0 || t.FixedMode >= len(t.Modes)) {
		return fmt.Errorf("fixed from %d to %d in mode %d, which cannot be", t.FixedAt, t.FixedUntil, t.FixedMode)
	}
	for k := range t.Modes {
		m := &t.Modes[k]
		if m.Duration < 0 || m.Duration > MaxHorizon {
			return fmt.Errorf("mode %d: duration %d out of range", k, m.Duration)
		}
		if (m.Low != 0 || m.High != 0) && (m.Low < 0 || m.Low > m.Duration || m.High < m.Duration || m.High > MaxHorizon) {
			return fmt.Errorf("mode %d: %d is not between %d and %d", k, m.Duration, m.Low, m.High)
		}
		for n, need := range m.Needs {
			if need.Resource < 0 || need.Resource >= len(p.Resources) {
				return fmt.Errorf("mode %d: no resource %d", k, need.Resource)
			}
			if need.Amount < 0 || need.Amount > maxCapacity {
				return fmt.Errorf("mode %d: amount %d out of range", k, need.Amount)
			}
			for _, other := range m.Needs[:n] {
				if other.Resource == need.Resource {
					return fmt.Errorf("mode %d: resource %d named twice", k, need.Resource)
				}
			}
		}
	}
	return nil
}

func (p *Problem) validateLink(l Link) error {
	n := len(p.Tasks)
	switch {
	case l.From < 0 || l.From >= n || l.To < 0 || l.To >= n:
		return fmt.Errorf("from %d to %d: no such task", l.From, l.To)
	case l.From == l.To:
		return fmt.Errorf("task %d linked to itself", l.From)
	case l.Kind > StartFinish:
		return fmt.Errorf("unknown kind %d", l.Kind)
	case l.Min < -MaxHorizon || l.Min > MaxHorizon:
		return fmt.Errorf("lag %d out of range", l.Min)
	case l.Bounded && (l.Max < l.Min || l.Max > MaxHorizon):
		return fmt.Errorf("lag at most %d but at least %d", l.Max, l.Min)
	}
	return nil
}

func (p *Problem) validateCells() error {
	for i := range p.Cells {
		c := &p.Cells[i]
		if !(c.Weight >= 0 && c.Weight < 1e15) || !(c.Initial >= 0 && c.Initial <= 1) {
			return fmt.Errorf("%w: cell %q: weight %v, initial level %v", ErrProblem, c.ID, c.Weight, c.Initial)
		}
		for _, l := range c.Levels {
			if l.Task < 0 || l.Task >= len(p.Tasks) || !(l.Reached >= 0 && l.Reached <= 1) {
				return fmt.Errorf("%w: cell %q: level %v at task %d", ErrProblem, c.ID, l.Reached, l.Task)
			}
		}
		for k, r := range c.Curve {
			if r.From < 0 || !(r.Rate >= 0 && r.Rate < 1e9) || k > 0 && r.From <= c.Curve[k-1].From {
				return fmt.Errorf("%w: cell %q: curve step %d", ErrProblem, c.ID, k)
			}
		}
	}
	return nil
}

func (p *Problem) validateLoops() error {
	tests := map[int]bool{}
	for i, l := range p.Loops {
		if tests[l.Test] {
			return fmt.Errorf("%w: loop %d: task %d is the test of another loop too", ErrProblem, i, l.Test)
		}
		tests[l.Test] = true
		inside := false
		for _, t := range l.Body {
			if t < 0 || t >= len(p.Tasks) {
				return fmt.Errorf("%w: loop %d: no task %d", ErrProblem, i, t)
			}
			inside = inside || t == l.Test
		}
		if !inside || !(l.Probability >= 0 && l.Probability < 1) || l.Most < 0 || l.Most > 1000 {
			return fmt.Errorf("%w: loop %d needs its test in its body, a probability below 1 and at most 1000 rounds", ErrProblem, i)
		}
	}
	return nil
}

// slots is the number of slots that plans use: Horizon, or enough for one task
// after the other once every release, pinned task and change of calendar is past.
func (p *Problem) slots() int {
	if p.Horizon > 0 {
		return p.Horizon
	}
	work, idle := 1, 0
	for i := range p.Tasks {
		t := &p.Tasks[i]
		longest := 0
		for k := range t.Modes {
			longest = max(longest, t.Modes[k].Duration)
		}
		work += longest
		idle = max(idle, t.Release)
		if t.Fixed {
			idle = max(idle, t.FixedAt, t.FixedUntil)
		}
	}
	for _, l := range p.Links {
		work += max(0, l.Min)
	}
	for i := range p.Resources {
		idle = max(idle, p.Resources[i].Capacity.lastStep())
	}
	return work + idle
}
