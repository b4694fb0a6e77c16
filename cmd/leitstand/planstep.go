package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"leitstand/recovery"
	"leitstand/room"
)

// planStepCmd carries the plan out, task by task.
type planStepCmd struct {
	List     stepListCmd     `cmd:"" help:"Steps as they stand: what may begin, what waits for what, what waits for a person's word."`
	Show     stepShowCmd     `cmd:"" help:"One step: what it waits for, what it lacks, its earlier rounds, and exactly what its driver would do."`
	Observed stepObservedCmd `cmd:"" help:"Environments under observation: for what, how long, and what the early warning noticed since."`
	Print    stepPrintCmd    `cmd:"" help:"The step as an order on paper, with a field for the signature."`
	Start    stepStartCmd    `cmd:"" help:"Begin a step: by hand, or by the driver that drivers.yml names (second person where it lets somebody in)."`
	Done     stepDoneCmd     `cmd:"" help:"Say that a step was carried out, by whom and with which evidence. What a driver did is probed."`
	Fail     stepFailCmd     `cmd:"" help:"Say that the work did not bring what it should: it is planned again."`
	Skip     stepSkipCmd     `cmd:"" help:"Leave a step out, with reason; two people where a gate, an acceptance or evidence would be missed."`
	Stop     stepStopCmd     `cmd:"" help:"Hold a step; a driver at work is told to give up."`
	Repeat   stepRepeatCmd   `cmd:"" help:"Say that a step is to be done (again). Nothing that acted outside is repeated without this."`
	Undo     stepUndoCmd     `cmd:"" help:"Let the driver take back what it did."`
}

// Help says what steps are.
func (planStepCmd) Help() string {
	return `Every task of the plan is a step (same id, such as examine:IK@site). A step waits for the
steps before it and for its gate: clearance, trial, acceptance, check list. People carry it
out and say so with evidence, or a driver of drivers.yml does (recovery:): intent on record,
act, probe, outcome on record. After a crash a half-done act waits for a person's word:
done (the probe has the last word), repeat or stop. An observation ends on a person's word.
Every change is told to the plan: plan replan knows what began, is done and failed.`
}

type stepObservedCmd struct{ roomFlags }

// Run lists what is under observation.
func (c *stepObservedCmd) Run(a *app) error {
	return c.act(a, "", "step.observed", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Nothing is under observation.", "environment for since until open decided", func(o room.Observed) []string {
			what := o.Step
			if what == "" {
				what = "after switch-back"
			}
			return []string{string(o.Environment), what, localTime(o.Since), localTime(o.Until), fmt.Sprint(len(o.Open)), fmt.Sprint(o.Decided)}
		})
	})
}

type stepListCmd struct {
	roomFlags
	Kasse string   `help:"Only this Kasse (IK)."`
	Kind  string   `help:"Only this kind: secure, examine, emergency, build, rotate, probe, test, observe, switch, join, backlog."`
	Team  string   `help:"Only steps of this team."`
	State []string `help:"Only these states: open, ordered, started, intent, acted, unclear, failed, done, skipped, stopped, undone."`
	Ready bool     `help:"Only what could begin now."`
	Open  bool     `help:"Only what waits for a person's word: acts without a known outcome."`
	Limit int      `help:"At most so many." placeholder:"N"`
}

// Run lists steps.
func (c *stepListCmd) Run(a *app) error {
	args := map[string]any{"kasse": c.Kasse, "kind": c.Kind, "team": c.Team, "state": c.State, "ready": c.Ready, "open": c.Open, "limit": c.Limit}
	return c.act(a, "", "step.list", args, func(raw json.RawMessage) error {
		return table(a, raw, "No such step.", "planned step state who waits for", func(v recovery.StepView) []string {
			planned := "-"
			if !v.Start.IsZero() {
				planned = localTime(v.Start)
			}
			waits := "-"
			if len(v.Waits) > 0 {
				waits = v.Waits[0]
			}
			if len(v.Waits) > 1 {
				waits += fmt.Sprintf(" (+%d)", len(v.Waits)-1)
			}
			return []string{planned, v.ID, string(v.State), v.Who + v.Driver, waits}
		})
	})
}

type stepArg struct {
	Step string `arg:"" help:"Step, such as examine:IK@site."`
}

type stepShowCmd struct {
	roomFlags
	stepArg
}

// Run shows a step.
func (c *stepShowCmd) Run(a *app) error {
	return c.act(a, "", "step.show", map[string]any{"task": c.Step}, func(raw json.RawMessage) error {
		var d room.StepDetail
		if err := json.Unmarshal(raw, &d); err != nil {
			return fmt.Errorf("reading the step: %w", err)
		}
		printStepLines(a, &d)
		return nil
	})
}

func printStepLines(a *app, d *room.StepDetail) {
	p := func(format string, args ...any) { fmt.Fprintf(a.stdout, format+"\n", args...) }
	p("%s\n%s", d.ID, d.Label)
	p("Stand: %s, Runde %d", d.State.Word(), d.Round)
	if !d.Start.IsZero() {
		p("geplant: %s bis %s", localTime(d.Start), localTime(d.End))
	}
	for _, l := range []struct {
		name string
		of   []string
	}{{"wartet auf", d.Waits}, {"zum Abschluss fehlt", d.Lacks}} {
		for _, v := range l.of {
			p("%s: %s", l.name, v)
		}
	}
	for _, l := range [][2]string{{"wer", d.Who}, {"Treiber", d.Driver}, {"Nachweis", d.Evidence}, {"Grund", d.Reason}, {"gesehen", d.Detail}} {
		if l[1] != "" {
			p("%s: %s", l[0], l[1])
		}
	}
	if !d.Until.IsZero() {
		p("dauert mindestens bis: %s", localTime(d.Until))
	}
	if len(d.Watched) > 0 && d.State == recovery.StepStarted {
		p("Frühwarnung verschärft für: %v", d.Watched)
	}
	if d.DryRun != nil {
		p("%s\n  %s", d.DryRun.Words, strings.Join(d.DryRun.Exact, "\n  "))
	}
	if d.NeedsTwo {
		p("Der Treiber handelt erst auf das Wort von zwei Personen.")
	}
	for _, r := range d.Past {
		p("Runde %d: %s %s %s (%s)", r.Round, r.State.Word(), r.Reason, r.Evidence, localTime(r.At))
	}
}

type stepPrintCmd struct {
	roomFlags
	stepArg
	PDF string `help:"Directory for the order as PDF, instead of text." type:"path" placeholder:"DIR"`
}

// Run prints an order.
func (c *stepPrintCmd) Run(a *app) error {
	return c.act(a, "", "step.print", map[string]any{"task": c.Step}, func(raw json.RawMessage) error {
		var o room.StepOrder
		if err := json.Unmarshal(raw, &o); err != nil {
			return fmt.Errorf("reading the order: %w", err)
		}
		if c.PDF == "" {
			fmt.Fprintln(a.stdout, strings.Join(o.Text, "\n"))
			return nil
		}
		name := filepath.Join(c.PDF, "auftrag-"+strings.NewReplacer(":", "-", "/", "-", "@", "-").Replace(c.Step)+".pdf")
		if err := os.WriteFile(name, o.PDF, 0o600); err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, name)
		return nil
	})
}

// stepAct sends an act on a step and says what came of it.
func stepAct(a *app, f *roomFlags, as, act string, args map[string]any) error {
	return f.act(a, as, act, args, func(raw json.RawMessage) error {
		var r room.StepResult
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("reading the step: %w", err)
		}
		if r.Consent != nil {
			fmt.Fprintf(a.stdout, "%s\nZweite Person: leitstand approve %s --as PERSON\n", r.Consent.Summary, r.Consent.ID)
			return nil
		}
		fmt.Fprintf(a.stdout, "%s: %s\n", r.Step.ID, r.Step.State.Word())
		if r.Problem != "" {
			return &exitError{1, fmt.Errorf("%s: a person's word is needed (plan step show, done, repeat, stop)", r.Problem)}
		}
		return nil
	})
}

type stepStartCmd struct {
	roomFlags
	asFlag
	stepArg
	Who    string `help:"Who carries it out; default the person of --as."`
	ByHand bool   `help:"People do it, although there is a driver."`
	Wait   bool   `help:"The driver acts as soon as nothing is waited for any more."`
}

// Run begins a step.
func (c *stepStartCmd) Run(a *app) error {
	return stepAct(a, &c.roomFlags, c.As, "step.start", map[string]any{"task": c.Step, "who": c.Who, "by_hand": c.ByHand, "wait": c.Wait})
}

type stepDoneCmd struct {
	roomFlags
	asFlag
	stepArg
	Who      string `help:"Who carried it out, if not who began it."`
	Evidence string `required:"" help:"Number or file of the record."`
}

// Run says that a step is done.
func (c *stepDoneCmd) Run(a *app) error {
	return stepAct(a, &c.roomFlags, c.As, "step.done", map[string]any{"task": c.Step, "who": c.Who, "evidence": c.Evidence})
}

type stepReason struct {
	roomFlags
	asFlag
	stepArg
	Reason string `required:"" help:"Why."`
}

func (c *stepReason) run(a *app, act string) error {
	return stepAct(a, &c.roomFlags, c.As, act, map[string]any{"task": c.Step, "reason": c.Reason})
}

type (
	stepFailCmd   struct{ stepReason }
	stepSkipCmd   struct{ stepReason }
	stepStopCmd   struct{ stepReason }
	stepRepeatCmd struct{ stepReason }
	stepUndoCmd   struct{ stepReason }
)

// Run says that a step failed.
func (c *stepFailCmd) Run(a *app) error { return c.run(a, "step.fail") }

// Run leaves a step out.
func (c *stepSkipCmd) Run(a *app) error { return c.run(a, "step.skip") }

// Run holds a step.
func (c *stepStopCmd) Run(a *app) error { return c.run(a, "step.stop") }

// Run has a step done again.
func (c *stepRepeatCmd) Run(a *app) error { return c.run(a, "step.repeat") }

// Run takes a step back.
func (c *stepUndoCmd) Run(a *app) error { return c.run(a, "step.undo") }
