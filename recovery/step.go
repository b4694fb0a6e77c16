package recovery

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// StepState is where the carrying out of one task stands. The zero value is refused.
type StepState string

// The states. From those that acted on the outside, or may have, nothing goes
// on without a person's word.
const (
	StepOpen    StepState = "open"    // nobody has begun it
	StepOrdered StepState = "ordered" // a driver acts as soon as nothing is waited for any more
	StepStarted StepState = "started" // a named person carries it out
	StepIntent  StepState = "intent"  // a driver is about to act; after a crash nobody knows how far it came
	StepActed   StepState = "acted"   // the driver has acted, what came of it is not known yet
	StepUnclear StepState = "unclear" // what was seen contradicts what was done
	StepFailed  StepState = "failed"  // not in place, as seen or as said
	StepDone    StepState = "done"
	StepSkipped StepState = "skipped" // left out, with reason
	StepStopped StepState = "stopped" // held by a person
	StepUndone  StepState = "undone"  // a driver took it back
)

// StepStates lists every state in the order of a step's life.
func StepStates() []StepState {
	return []StepState{StepOpen, StepOrdered, StepStarted, StepIntent, StepActed, StepUnclear, StepFailed, StepDone, StepSkipped, StepStopped, StepUndone}
}

// Word is the German word for a state, for screens and paper.
func (s StepState) Word() string {
	switch s {
	case StepOpen:
		return "offen"
	case StepOrdered:
		return "vorgemerkt"
	case StepStarted:
		return "in Arbeit"
	case StepIntent:
		return "Eingriff ohne Ergebnis"
	case StepActed:
		return "ausgeführt, nicht geprüft"
	case StepUnclear:
		return "unklar"
	case StepFailed:
		return "gescheitert"
	case StepDone:
		return "erledigt"
	case StepSkipped:
		return "ausgelassen"
	case StepStopped:
		return "angehalten"
	case StepUndone:
		return "zurückgenommen"
	}
	return string(s)
}

// NeedsWord reports whether a step waits for a person to say what is true.
func (s StepState) NeedsWord() bool { return s == StepIntent || s == StepActed || s == StepUnclear }

// Over reports whether a step counts as finished.
func (s StepState) Over() bool { return s == StepDone || s == StepSkipped }

// SkipNeedsTwo says whether leaving out a task of the kind needs two people:
// everything that the gate, the acceptance or the switch-back rest on, and
// evidence that would be lost. Skipping never opens a gate: what the rules ask
// for they go on asking for.
func (k TaskKind) SkipNeedsTwo() bool {
	switch k {
	case Secure, Examine, Rotate, Probe, Test, Observe, Switch, Join, Emergency:
		return true
	case Build, Backlog:
		return false
	}
	return true
}

// Reconnects says whether a driver that carries the kind out lets people or
// systems in: it then acts on the word of two.
func (k TaskKind) Reconnects() bool { return k == Emergency || k == Switch || k == Join }

// Step is the carrying out of one task of the plan. Its methods are the only
// transitions; they change a copy.
type Step struct {
	Task
	State    StepState `json:"state"`
	Round    int       `json:"round"` // counts from 1
	Act      string    `json:"act,omitempty"`
	Driver   string    `json:"driver,omitempty"` // empty: by hand
	Back     bool      `json:"back,omitempty"`   // the driver takes back
	Who      string    `json:"who,omitempty"`    // who carries it out, or has
	By       []string  `json:"by,omitempty"`     // on whose word it stands where it does
	Reason   string    `json:"reason,omitempty"`
	Evidence string    `json:"evidence,omitempty"`
	Detail   string    `json:"detail,omitempty"` // what a driver or probe said
	Until    time.Time `json:"until,omitzero"`   // observation lasts so long at least
	Passed   bool      `json:"passed,omitempty"` // somebody was told that it has lasted
	// Watched are the environments whose early warning is tightened while the
	// observation is under way.
	Watched   []catalogue.EnvironmentID `json:"watched,omitempty"`
	StartedAt time.Time                 `json:"started_at,omitzero"`
	At        time.Time                 `json:"at"` // of the last change
	Past      []StepRound               `json:"past,omitempty"`
}

// StepRound is how an earlier round of a step ended.
type StepRound struct {
	Round    int       `json:"round"`
	State    StepState `json:"state"`
	Driver   string    `json:"driver,omitempty"`
	Who      string    `json:"who,omitempty"`
	By       []string  `json:"by,omitempty"`
	Act      string    `json:"act,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Evidence string    `json:"evidence,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	At       time.Time `json:"at"`
}

// Errors a caller decides on.
var (
	ErrStepState = errors.New("the step does not stand where this could be done")
	ErrStepWaits = errors.New("the step waits")
	ErrStepWord  = errors.New("an act without a known outcome waits for a person's word: done, repeat or stop")
)

// NewStep is a task that nobody has begun.
func NewStep(t Task) Step { return Step{Task: t, State: StepOpen, Round: 1} }

const mostStepText = 1000 // bytes of a reason, of evidence, of a name

func stepText(what, text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > mostStepText {
		return "", fmt.Errorf("%s of up to %d bytes is needed", what, mostStepText)
	}
	return text, nil
}

func (s Step) in(states ...StepState) error {
	if slices.Contains(states, s.State) {
		return nil
	}
	if s.State.NeedsWord() {
		return fmt.Errorf("%s is %s: %w", s.ID, s.State.Word(), ErrStepWord)
	}
	return fmt.Errorf("%s is %s: %w", s.ID, s.State.Word(), ErrStepState)
}

// again clears what belongs to a round and keeps how the last one ended.
func (s Step) again() Step {
	n := NewStep(s.Task)
	n.Round = s.Round + 1
	n.Past = append(slices.Clone(s.Past), StepRound{s.Round, s.State, s.Driver, s.Who, s.By, s.Act, s.Reason, s.Evidence, s.Detail, s.At})
	return n
}

// Begin hands the step to a person who carries it out. An observation lasts at
// least so long; other kinds ignore it.
func (s Step) Begin(now time.Time, who, by string, observe time.Duration) (Step, error) {
	if err := s.in(StepOpen, StepOrdered); err != nil {
		return s, err
	}
	who, err := stepText("the name of who carries it out", who)
	if err != nil {
		return s, err
	}
	s.State, s.Who, s.By, s.StartedAt, s.At = StepStarted, who, []string{by}, db.Trim(now), db.Trim(now)
	s.Act, s.Driver = newStepAct(), ""
	if s.Kind == Observe {
		s.Until, s.Passed = s.StartedAt.Add(observe), false
	}
	return s, nil
}

func newStepAct() string { return "st-" + strings.ToLower(rand.Text()[:10]) }

// Order notes that a driver shall act as soon as nothing is waited for.
func (s Step) Order(now time.Time, driver string, by ...string) (Step, error) {
	if err := s.in(StepOpen); err != nil {
		return s, err
	}
	s.State, s.Driver, s.By, s.At = StepOrdered, driver, by, db.Trim(now)
	return s, nil
}

// Intend says that a driver is about to act: it is on record before it acts.
func (s Step) Intend(now time.Time, driver string, by ...string) (Step, error) {
	if err := s.in(StepOpen, StepOrdered); err != nil {
		return s, err
	}
	s.State, s.Driver, s.Back, s.By = StepIntent, driver, false, by
	s.Act, s.StartedAt, s.At = newStepAct(), db.Trim(now), db.Trim(now)
	return s, nil
}

// TakeBack says that a driver is about to take its act back.
func (s Step) TakeBack(now time.Time, reason, by string) (Step, error) {
	if err := s.in(StepDone, StepUnclear, StepFailed); err != nil {
		return s, err
	}
	if s.Driver == "" {
		return s, fmt.Errorf("%s was carried out by hand: no driver can take it back: %w", s.ID, ErrStepState)
	}
	reason, err := stepText("a reason", reason)
	if err != nil {
		return s, err
	}
	s.Past = s.again().Past
	s.State, s.Back, s.By, s.Reason, s.Detail, s.Evidence = StepIntent, true, []string{by}, reason, "", ""
	s.Act, s.At = newStepAct(), db.Trim(now)
	return s, nil
}

// Acted says that the driver has come back without an error.
func (s Step) Acted(now time.Time) (Step, error) {
	if err := s.during(); err != nil {
		return s, err
	}
	s.State, s.At = StepActed, db.Trim(now)
	return s, nil
}

// Looked is what was seen after an act: in place or not. It has the last word.
func (s Step) Looked(now time.Time, held bool, detail string) (Step, error) {
	if err := s.during(); err != nil {
		return s, err
	}
	s.Detail, s.At = shortened(detail), db.Trim(now)
	switch {
	case held == s.Back:
		s.State = StepUnclear
	case s.Back:
		s.State = StepUndone
	default:
		s.State = StepDone
		s.Evidence = shortened(firstOf(s.Evidence, "Probe des Treibers "+s.Driver+": "+s.Detail))
	}
	return s, nil
}

// NotActed is a driver's error. Only when nothing was seen in place it is known
// to have failed; otherwise nobody knows.
func (s Step) NotActed(now time.Time, cause string, clean bool) (Step, error) {
	if err := s.during(); err != nil {
		return s, err
	}
	s.State, s.Detail, s.At = StepUnclear, shortened(cause), db.Trim(now)
	if clean {
		s.State = StepFailed
	}
	return s, nil
}

// Overtaken is an act that ended after a person had said something else about
// it: what is true is not known.
func (s Step) Overtaken(now time.Time, detail string) Step {
	s.State, s.Detail, s.At = StepUnclear, shortened(detail), db.Trim(now)
	return s
}

func (s Step) during() error {
	if s.State.NeedsWord() {
		return nil
	}
	return fmt.Errorf("%s is %s: %w", s.ID, s.State.Word(), ErrStepState)
}

func shortened(text string) string {
	if len(text) > mostStepText {
		text = strings.ToValidUTF8(text[:mostStepText-4], "") + " …"
	}
	return text
}

// ErrObserving says that an observation has not lasted long enough.
var ErrObserving = errors.New("the observation is not over yet")

// Finish is a person's word that the step was carried out by a named person,
// with evidence. What a driver has begun is looked at before: see [StepRunner].
func (s Step) Finish(now time.Time, who, evidence, by string) (Step, error) {
	if err := s.in(StepStarted); err != nil {
		return s, err
	}
	if now.Before(s.Until) {
		return s, fmt.Errorf("%s lasts until %s: %w", s.ID, s.Until.UTC().Format(time.RFC3339), ErrObserving)
	}
	evidence, err := stepText("evidence (number or file of the record)", evidence)
	if err != nil {
		return s, err
	}
	if who = strings.TrimSpace(who); who != "" {
		s.Who = shortened(who)
	}
	s.State, s.Evidence, s.By, s.At = StepDone, evidence, []string{by}, db.Trim(now)
	return s, nil
}

// Fail is a person's word that the work did not bring what it should.
func (s Step) Fail(now time.Time, reason, by string) (Step, error) {
	if err := s.in(StepStarted); err != nil {
		return s, err
	}
	return s.ended(now, StepFailed, reason, by)
}

// Stop holds a step: nobody may begin it, and what is under way by hand is to be
// laid down. Only a person's word to repeat it opens it again.
func (s Step) Stop(now time.Time, reason, by string) (Step, error) {
	switch s.State {
	case StepOpen, StepOrdered, StepStarted, StepFailed, StepIntent, StepActed, StepUnclear:
		return s.ended(now, StepStopped, reason, by)
	case StepDone, StepSkipped, StepStopped, StepUndone:
	}
	return s, s.in()
}

// Skip leaves a step out.
func (s Step) Skip(now time.Time, reason string, by ...string) (Step, error) {
	if err := s.in(StepOpen, StepOrdered, StepFailed, StepStopped, StepUndone); err != nil {
		return s, err
	}
	if s.Kind.SkipNeedsTwo() && len(by) < 2 {
		return s, fmt.Errorf("%s: leaving this out needs two people: %w", s.ID, ErrStepState)
	}
	return s.ended(now, StepSkipped, reason, by...)
}

// Repeat is a person's word that a step is to be done (again).
func (s Step) Repeat(now time.Time, reason, by string) (Step, error) {
	switch s.State {
	case StepOpen, StepOrdered, StepStarted:
		return s, s.in()
	case StepIntent, StepActed, StepUnclear, StepFailed, StepDone, StepSkipped, StepStopped, StepUndone:
	}
	reason, err := stepText("a reason", reason)
	if err != nil {
		return s, err
	}
	n := s.again()
	n.Reason, n.By, n.At = reason, []string{by}, db.Trim(now)
	return n, nil
}

func (s Step) ended(now time.Time, state StepState, reason string, by ...string) (Step, error) {
	reason, err := stepText("a reason", reason)
	if err != nil {
		return s, err
	}
	s.State, s.Reason, s.By, s.At = state, reason, by, db.Trim(now)
	return s, nil
}

// report is what the plan is to know about a step as it stands; false if there
// is nothing that planning would not know.
func (s Step) report() (Report, bool) {
	r := Report{Task: s.ID, At: s.At}
	switch s.State {
	case StepStarted:
		r.What, r.At = Begun, s.StartedAt
	case StepIntent:
		r.What, r.At = Begun, s.StartedAt
		return r, !s.Back
	case StepDone:
		r.What, r.Reason = Done, s.Evidence
	case StepSkipped:
		r.What, r.Reason = Done, "ausgelassen: "+s.Reason
	case StepFailed, StepStopped, StepUndone:
		r.What, r.Reason = Undone, s.State.Word()+": "+firstOf(s.Reason, s.Detail)
	case StepOpen:
		r.What, r.Reason = Undone, firstOf(s.Reason, "wiederholen")
		return r, s.Round > 1
	case StepOrdered, StepActed, StepUnclear:
		return r, false
	}
	r.Reason = shortened(r.Reason)
	return r, true
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return "ohne Angabe"
}
