package room

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
)

// stepActs are the acts around carrying out the plan of the way back.
func stepActs() map[string]handler {
	return map[string]handler{
		"step.list":     reading(listSteps),
		"step.show":     reading(showStep),
		"step.observed": reading(observedNow),
		"step.print":    reading(printStep),
		"step.start":    doing(startStep),
		"step.done":     doing(finishStep),
		"step.fail":     doing(failStep),
		"step.skip":     doing(skipStep),
		"step.stop":     doing(stopStep),
		"step.repeat":   doing(repeatStep),
		"step.undo":     doing(undoStep),
	}
}

// Kinds of consent about steps.
const (
	askStepSkip  = "step.skip"
	askStepStart = "step.start"
)

type stepArgs struct {
	Task     string `json:"task"`
	Who      string `json:"who,omitempty"`      // who carries it out
	ByHand   bool   `json:"by_hand,omitempty"`  // although there is a driver
	Wait     bool   `json:"wait,omitempty"`     // a driver acts as soon as nothing is waited for
	Evidence string `json:"evidence,omitempty"` // number or file of the record
	Reason   string `json:"reason,omitempty"`
	Round    int    `json:"round,omitempty"` // set by the room: what was consented to
}

type stepListArgs struct {
	Kasse catalogue.KasseID    `json:"kasse,omitempty"`
	Kind  recovery.TaskKind    `json:"kind,omitempty"`
	Team  string               `json:"team,omitempty"`
	State []recovery.StepState `json:"state,omitempty"`
	Ready bool                 `json:"ready,omitempty"` // only what could be begun now
	Open  bool                 `json:"open,omitempty"`  // only what waits for a person's word
	Limit int                  `json:"limit,omitempty"` // 0: all
}

// stepBoard is every step as it stands now.
func (r *Room) stepBoard(ctx context.Context) (*recovery.StepBoard, recovery.Ground, error) {
	p, err := recovery.GetPlan(ctx, r.Store, "")
	if err != nil {
		return nil, recovery.Ground{}, err
	}
	g, err := r.ground(ctx)
	if err != nil {
		return nil, g, err
	}
	steps, err := recovery.Steps(ctx, r.Store)
	if err != nil {
		return nil, g, err
	}
	b, err := recovery.NewStepBoard(g, p, steps, func(t recovery.Task) []string { return r.stepGate(ctx, t) })
	return b, g, err
}

func (r *Room) stepView(ctx context.Context, id string) (recovery.StepView, recovery.Ground, error) {
	b, g, err := r.stepBoard(ctx)
	if err != nil {
		return recovery.StepView{}, g, err
	}
	v, err := b.Step(id)
	return v, g, err
}

func listSteps(ctx context.Context, r *Room, a stepListArgs) ([]recovery.StepView, error) {
	b, _, err := r.stepBoard(ctx)
	if err != nil {
		return nil, err
	}
	out := slices.DeleteFunc(b.Views, func(v recovery.StepView) bool {
		return a.Kasse != "" && v.Kasse != a.Kasse || a.Kind != "" && v.Kind != a.Kind || a.Team != "" && !slices.Contains(v.Teams, a.Team) ||
			len(a.State) > 0 && !slices.Contains(a.State, v.State) || a.Ready && !v.Ready() || a.Open && !v.State.NeedsWord()
	})
	if a.Limit > 0 && len(out) > a.Limit {
		out = out[:a.Limit]
	}
	return out, nil
}

// StepDetail is one step with everything somebody needs to decide about it.
type StepDetail struct {
	recovery.StepView
	Lacks    []string              `json:"lacks,omitempty"` // in German: what keeps it from being called done
	DryRun   *recovery.StepPreview `json:"dry_run,omitempty"`
	NeedsTwo bool                  `json:"needs_two,omitempty"` // a driver begins it on the word of two
	SkipTwo  bool                  `json:"skip_needs_two,omitempty"`
	Busy     bool                  `json:"busy,omitempty"` // a driver is at work
	Reports  []recovery.Report     `json:"reports,omitempty"`
}

func showStep(ctx context.Context, r *Room, a stepArgs) (StepDetail, error) {
	v, g, err := r.stepView(ctx, a.Task)
	if err != nil {
		return StepDetail{}, err
	}
	out := StepDetail{StepView: v, SkipTwo: v.Kind.SkipNeedsTwo(), Busy: r.steps.Busy(v.ID)}
	if out.Lacks, err = r.stepLacks(ctx, v, &g); err != nil {
		return out, err
	}
	for _, rep := range g.Reports {
		if rep.Task == v.ID {
			out.Reports = append(out.Reports, rep)
		}
	}
	d, err := r.stepDriver(v.Task)
	if err != nil || d == nil {
		return out, err
	}
	out.NeedsTwo = v.Kind.Reconnects()
	pre, err := d.DryRun(ctx, recovery.StepAct{ID: v.Act, Task: v.Task})
	out.DryRun = &pre
	return out, err
}

// StepOrder is a step on paper.
type StepOrder struct {
	Text []string `json:"text"`
	PDF  []byte   `json:"pdf"`
}

func printStep(ctx context.Context, r *Room, a stepArgs) (StepOrder, error) {
	v, _, err := r.stepView(ctx, a.Task)
	if err != nil {
		return StepOrder{}, err
	}
	form := v.Order(Zone(), r.Settings.Exercise)
	var b bytes.Buffer
	if err := form.PDF(&b); err != nil {
		return StepOrder{}, fmt.Errorf("printing the order of %q: %w", v.ID, err)
	}
	return StepOrder{Text: form.Text(), PDF: b.Bytes()}, nil
}

// mayStep says who carries steps out and says how they went.
func mayStep(as access.Person, t recovery.Task) error {
	switch {
	case as.Has(access.CrisisLead), as.Has(access.Operator), as.Has(access.Examiner) && (t.Kind == recovery.Secure || t.Kind == recovery.Examine),
		as.Has(access.KasseDelegate) && as.Kasse == t.Kasse && t.Kasse != "":
		return nil
	}
	return &Failure{Text: "Schritte führen Leitung, Betrieb, für Spuren und Untersuchung die Forensik, und für ihre eigenen die Kasse."}
}

// mayDecideStep says who leaves out, holds, repeats and takes back.
func mayDecideStep(as access.Person) error {
	if as.Has(access.CrisisLead) || as.Has(access.Operator) {
		return nil
	}
	return &Failure{Rule: int(operation.RuleTwoPeople), Text: "Über Auslassen, Anhalten, Wiederholen und Zurücknehmen entscheiden Leitung oder Betrieb."}
}

// StepResult is what became of an act on a step.
type StepResult struct {
	Step    *recovery.Step  `json:"step,omitempty"`
	Consent *access.Consent `json:"consent,omitempty"` // a second person is asked
	Problem string          `json:"problem,omitempty"` // the driver acted, and this was seen
}

// stepped makes what a driver came to a result: an act that went wrong is on
// record and no failed request.
func stepped(s recovery.Step, err error) (StepResult, error) {
	if err != nil && s.ID != "" && (s.State == recovery.StepUnclear || s.State == recovery.StepFailed) && !errors.Is(err, recovery.ErrStepWord) && !errors.Is(err, recovery.ErrStepState) {
		return StepResult{Step: &s, Problem: err.Error()}, nil
	}
	return StepResult{Step: &s}, refusedStep(err)
}

// refusedStep turns what a step's state refuses into a refusal.
func refusedStep(err error) error {
	for cause, text := range map[error]string{
		recovery.ErrStepWaits: "Der Schritt wartet noch.",
		recovery.ErrStepWord:  "Ein Eingriff ohne bekanntes Ergebnis wartet auf das Wort eines Menschen: erledigt, wiederholen oder anhalten.",
		recovery.ErrStepState: "So weit ist der Schritt nicht, oder schon weiter.",
		recovery.ErrStepBusy:  "An diesem Schritt arbeitet gerade ein Treiber.",
		recovery.ErrObserving: "Die Beobachtung ist noch nicht vorbei.",
	} {
		if errors.Is(err, cause) {
			f := &Failure{Text: text + " (" + err.Error() + ")", err: err}
			if errors.Is(err, recovery.ErrStepWaits) {
				f.Rule = int(operation.RuleGate)
			}
			return f
		}
	}
	return err
}

// startStep hands a step to a person, or lets its driver act: on the word of two
// where the driver lets somebody in.
func startStep(ctx context.Context, r *Room, as access.Person, a stepArgs) (StepResult, error) {
	v, g, err := r.stepView(ctx, a.Task)
	if err != nil {
		return StepResult{}, err
	}
	if err := mayStep(as, v.Task); err != nil {
		return StepResult{}, err
	}
	d, err := r.stepDriver(v.Task)
	if err != nil {
		return StepResult{}, err
	}
	if err := v.MayBegin(); err != nil && (!a.Wait || d == nil || a.ByHand) {
		return StepResult{}, refusedStep(err)
	}
	if d == nil || a.ByHand {
		if a.Wait {
			return StepResult{}, errors.New("only a driver can wait: no entry of drivers.yml names one for this step")
		}
		who := a.Who
		if who == "" {
			who = as.Name
		}
		return r.changeStep(ctx, v, as, "step.started", func(s recovery.Step, now time.Time) (recovery.Step, error) {
			s, err := s.Begin(now, who, as.ID, time.Duration(g.Terms.Observe)*time.Hour)
			s.Watched = r.watchedBy(v.Task)
			return s, err
		})
	}
	if err := mayDecideStep(as); err != nil {
		return StepResult{}, err
	}
	if v.Kind.Reconnects() {
		a.Round = v.Round
		return r.askStep(ctx, as, askStepStart, "Schritt ausführen lassen: "+v.Label, a)
	}
	if a.Wait {
		return r.changeStep(ctx, v, as, "step.ordered", func(s recovery.Step, now time.Time) (recovery.Step, error) {
			return s.Order(now, d.Name(), as.ID)
		})
	}
	return stepped(r.steps.Run(ctx, v, d, as.ID))
}

// changeStep is one transition of a step on a person's word. A round that the
// state has opened again is taken over first.
func (r *Room) changeStep(ctx context.Context, v recovery.StepView, as access.Person, kind string,
	fn func(s recovery.Step, now time.Time) (recovery.Step, error),
) (StepResult, error) {
	s, err := r.steps.Change(ctx, v.Task, as.ID, kind, func(s recovery.Step, now time.Time) (recovery.Step, error) {
		if s.Round < v.Round {
			s = v.Step
		}
		return fn(s, now)
	})
	return StepResult{Step: &s}, refusedStep(err)
}

// finishStep is a person's word that a step was carried out, with evidence. What
// a driver has begun is looked at: the probe has the last word.
func finishStep(ctx context.Context, r *Room, as access.Person, a stepArgs) (StepResult, error) {
	v, g, err := r.stepView(ctx, a.Task)
	if err != nil {
		return StepResult{}, err
	}
	if err := mayStep(as, v.Task); err != nil {
		return StepResult{}, err
	}
	lacks, err := r.stepLacks(ctx, v, &g)
	if err != nil {
		return StepResult{}, err
	}
	if len(lacks) > 0 {
		return StepResult{}, &Failure{Rule: int(operation.RuleGate), Text: v.Label + " ist noch nicht erledigt: " + strings.Join(lacks, "; ")}
	}
	if v.State.NeedsWord() {
		if err := mayDecideStep(as); err != nil {
			return StepResult{}, err
		}
		d, err := r.stepDriver(v.Task)
		if err != nil {
			return StepResult{}, err
		}
		if d == nil {
			return StepResult{}, fmt.Errorf("%s was begun by driver %q, which drivers.yml does not name for it any more: put it back, or stop the step", v.ID, v.Driver)
		}
		return stepped(r.steps.Confirm(ctx, v.Task, d, a.Evidence, as.ID))
	}
	return r.changeStep(ctx, v, as, "step.done", func(s recovery.Step, now time.Time) (recovery.Step, error) {
		return s.Finish(now, a.Who, a.Evidence, as.ID)
	})
}

func failStep(ctx context.Context, r *Room, as access.Person, a stepArgs) (StepResult, error) {
	v, _, err := r.stepView(ctx, a.Task)
	if err != nil {
		return StepResult{}, err
	}
	if err := mayStep(as, v.Task); err != nil {
		return StepResult{}, err
	}
	return r.changeStep(ctx, v, as, "step.failed", func(s recovery.Step, now time.Time) (recovery.Step, error) { return s.Fail(now, a.Reason, as.ID) })
}

func stopStep(ctx context.Context, r *Room, as access.Person, a stepArgs) (StepResult, error) {
	return r.decideStep(ctx, as, a, func(v recovery.StepView) (StepResult, error) {
		s, err := r.steps.Stop(ctx, v.Task, a.Reason, as.ID)
		return StepResult{Step: &s}, refusedStep(err)
	})
}

func repeatStep(ctx context.Context, r *Room, as access.Person, a stepArgs) (StepResult, error) {
	return r.decideStep(ctx, as, a, func(v recovery.StepView) (StepResult, error) {
		return r.changeStep(ctx, v, as, "step.repeated", func(s recovery.Step, now time.Time) (recovery.Step, error) { return s.Repeat(now, a.Reason, as.ID) })
	})
}

func undoStep(ctx context.Context, r *Room, as access.Person, a stepArgs) (StepResult, error) {
	return r.decideStep(ctx, as, a, func(v recovery.StepView) (StepResult, error) {
		d, err := r.stepDriver(v.Task)
		if err == nil && d == nil {
			err = fmt.Errorf("no driver is named for %s: what was done by hand is taken back by hand", v.ID)
		}
		if err != nil {
			return StepResult{}, err
		}
		return stepped(r.steps.Undo(ctx, v.Task, d, a.Reason, as.ID))
	})
}

func (r *Room) decideStep(ctx context.Context, as access.Person, a stepArgs, do func(v recovery.StepView) (StepResult, error)) (StepResult, error) {
	if err := mayDecideStep(as); err != nil {
		return StepResult{}, err
	}
	v, _, err := r.stepView(ctx, a.Task)
	if err != nil {
		return StepResult{}, err
	}
	return do(v)
}

// skipStep leaves a step out; two people where a gate, an acceptance or evidence
// would be missed.
func skipStep(ctx context.Context, r *Room, as access.Person, a stepArgs) (StepResult, error) {
	return r.decideStep(ctx, as, a, func(v recovery.StepView) (StepResult, error) {
		try, err := v.Skip(r.Now(), a.Reason, as.ID, "second")
		if err != nil {
			return StepResult{}, refusedStep(err)
		}
		if v.Kind.SkipNeedsTwo() {
			a.Round = v.Round
			return r.askStep(ctx, as, askStepSkip, "Auslassen: "+try.Label+": "+try.Reason, a)
		}
		return r.changeStep(ctx, v, as, "step.skipped", func(s recovery.Step, now time.Time) (recovery.Step, error) { return s.Skip(now, a.Reason, as.ID) })
	})
}

// ShownStep is what the second person agrees to.
type ShownStep struct {
	Task   string                `json:"task"`
	Label  string                `json:"label"`
	Round  int                   `json:"round"`
	State  recovery.StepState    `json:"state"`
	Reason string                `json:"reason,omitempty"`
	DryRun *recovery.StepPreview `json:"dry_run,omitempty"`
}

func (r *Room) askStep(ctx context.Context, as access.Person, kind, summary string, a stepArgs) (StepResult, error) {
	shown, _, err := r.shownStep(ctx, kind, a)
	if err != nil {
		return StepResult{}, err
	}
	c, err := ask(ctx, r, as, access.Question{Kind: kind, Summary: summary, Payload: a, Shown: shown})
	return StepResult{Consent: &c}, err
}

// shownStep is what a request about a step would do now.
func (r *Room) shownStep(ctx context.Context, kind string, a stepArgs) (ShownStep, recovery.StepView, error) {
	v, _, err := r.stepView(ctx, a.Task)
	if err != nil {
		return ShownStep{}, v, err
	}
	out := ShownStep{Task: v.ID, Label: v.Label, Round: v.Round, State: v.State, Reason: a.Reason}
	if kind != askStepStart {
		return out, v, nil
	}
	d, err := r.stepDriver(v.Task)
	if err != nil || d == nil {
		return out, v, errors.Join(err, errors.New("no driver is named for the step any more"))
	}
	pre, err := d.DryRun(ctx, recovery.StepAct{Task: v.Task})
	out.DryRun = &pre
	return out, v, err
}

// approveStep is the second person's consent: to leave a step out, or to let a
// driver carry one out, which begins as soon as it is on record.
func approveStep(ctx context.Context, r *Room, c access.Consent, first, second access.Person) (Outcome, error) {
	if !first.Has(access.CrisisLead) && !second.Has(access.CrisisLead) || mayDecideStep(first) != nil || mayDecideStep(second) != nil {
		return Outcome{}, &Failure{Rule: int(operation.RuleTwoPeople), Text: "Darüber entscheiden zwei von Leitung und Betrieb; eine der beiden Personen muss zur Leitung gehören."}
	}
	a, err := payload[stepArgs](c)
	if err != nil {
		return Outcome{}, err
	}
	shown, v, err := r.shownStep(ctx, c.Kind, a)
	if err != nil {
		return Outcome{}, err
	}
	if v.Round != a.Round {
		return Outcome{}, access.ErrChanged
	}
	kind, change := "step.skipped", func(s recovery.Step, now time.Time) (recovery.Step, error) {
		return s.Skip(now, a.Reason, first.ID, second.ID)
	}
	if c.Kind == askStepStart {
		kind, change = "step.ordered", func(s recovery.Step, now time.Time) (recovery.Step, error) {
			return s.Order(now, shown.DryRun.Driver, first.ID, second.ID)
		}
	}
	out, err := write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (out Outcome, err error) {
		if out.Consent, err = access.Give(ctx, tx, now, c.ID, second.ID, func(access.Consent) (any, error) { return shown, nil }); err != nil {
			return out, err
		}
		s, err := r.steps.ChangeTx(ctx, tx, v.Task, first.ID, kind, func(s recovery.Step, now time.Time) (recovery.Step, error) {
			if s.Round < v.Round {
				s = v.Step
			}
			return change(s, now)
		})
		out.Done = StepResult{Step: &s}
		return out, refusedStep(err)
	})
	if err != nil || c.Kind != askStepStart {
		return out, err
	}
	if done, err := r.runOrdered(ctx, v.ID); err != nil || done.Step != nil {
		out.Done = done
		return out, err
	}
	return out, nil
}
