package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"leitstand/recovery"
	"leitstand/room"
)

// planRoomCmds are the commands around the plan of the way back in a room.
type planRoomCmds struct {
	Make       planMakeCmd       `cmd:"" help:"Plan the way back afresh and put the plan in force."`
	Replan     planReplanCmd     `cmd:"" help:"Plan anew after delay, failure or revocation: what is under way stays, and as little as possible moves."`
	Show       planShowCmd       `cmd:"" help:"The plan in force, or another: figures, cells, every position with its reasons."`
	List       planListCmd       `cmd:"" help:"All plans, newest first."`
	Why        planWhyCmd        `cmd:"" help:"Why a position stands where it does, and what would move it."`
	Day        planDayCmd        `cmd:"" help:"What each team does on a day, to print."`
	Gantt      planGanttCmd      `cmd:"" help:"The plan as a picture (SVG)."`
	Forecast   planForecastCmd   `cmd:"" help:"When things will be, as P50 and P90 of many simulated runs, and how many cells are back when."`
	Whatif     planWhatifCmd     `cmd:"" help:"What another team, weight, order, a lost site or a revoked clearance would mean for each Kasse. Changes nothing."`
	Report     planReportCmd     `cmd:"" help:"Report how far tasks have come."`
	Step       planStepCmd       `cmd:"" help:"Carry the plan out: steps by hand or by drivers, each with its gate, evidence and outcome."`
	Terms      planTermsCmd      `cmd:"" help:"Print teams, durations and priorities that plans rest on, as JSON."`
	Compare    planCompareCmd    `cmd:"" help:"What other terms from a JSON file (see plan terms) would mean for each Kasse. Changes nothing."`
	Agree      planAgreeCmd      `cmd:"" help:"Ask a second person to agree to other terms from a JSON file; shows what they mean for each Kasse."`
	Priorities planPrioritiesCmd `cmd:"" help:"Ask a second person to change what comes first; shows what it means for each Kasse."`
}

type searchFlags struct {
	Schedules int64   `xor:"effort" placeholder:"N" help:"Improve over so many schedules; the plan then depends on state and seed alone."`
	Seconds   float64 `xor:"effort" placeholder:"S" help:"Improve for so long, on all processors."`
	Seed      uint64  `default:"1" help:"Seed of the search."`
}

func (f searchFlags) args() map[string]any {
	out := map[string]any{"seed": f.Seed}
	if f.Schedules != 0 {
		out["schedules"] = f.Schedules
	}
	if f.Seconds != 0 {
		out["seconds"] = f.Seconds
	}
	return out
}

type planMakeCmd struct {
	roomFlags
	asFlag
	searchFlags
	Lost   []string `help:"Site that is given up." placeholder:"SITE"`
	Reason string   `required:"" help:"Why a plan is made now."`
}

// Run makes a plan.
func (c *planMakeCmd) Run(a *app) error {
	args := c.args()
	args["reason"], args["lost"] = c.Reason, c.Lost
	return c.act(a, c.As, "plan.make", args, showPlanView(a))
}

type planReplanCmd struct {
	roomFlags
	asFlag
	searchFlags
	Lost      []string `help:"Site that is given up." placeholder:"SITE"`
	Trusted   bool     `help:"Take what should have ended for done, though nobody reported it."`
	Stability *float64 `help:"What moving an appointment costs, instead of what the terms say; 0 moves freely." placeholder:"X"`
	Reason    string   `required:"" help:"Why a plan is made now."`
}

// Run plans anew.
func (c *planReplanCmd) Run(a *app) error {
	args := c.args()
	args["reason"], args["lost"], args["trusted"] = c.Reason, c.Lost, c.Trusted
	if c.Stability != nil {
		args["stability"] = *c.Stability
	}
	return c.act(a, c.As, "plan.replan", args, showPlanView(a))
}

type planShowCmd struct {
	roomFlags
	ID        string `arg:"" optional:"" help:"Plan; the one in force if not given."`
	Kasse     string `help:"Only this Kasse (IK)."`
	Service   string `help:"Only this service."`
	Positions bool   `help:"Every position with its reasons."`
}

// Run shows a plan.
func (c *planShowCmd) Run(a *app) error {
	args := map[string]any{"id": c.ID, "kasse": c.Kasse, "service": c.Service, "positions": c.Positions}
	return c.act(a, "", "plan.show", args, showPlanView(a))
}

type planListCmd struct{ roomFlags }

// Run lists plans.
func (c *planListCmd) Run(a *app) error {
	return c.act(a, "", "plan.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "There is no plan yet.", "version id made by replaces reason", func(h recovery.PlanHead) []string {
			return []string{fmt.Sprint(h.Version), h.ID, localTime(h.At), h.By, h.Replaces, h.Reason}
		})
	})
}

func localTime(t time.Time) string { return recovery.Clock(t.In(room.Zone())) }

// showPlanView prints a plan in lines.
func showPlanView(a *app) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var v room.PlanView
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("reading the plan: %w", err)
		}
		w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintf(w, "plan\t%s (version %d), made %s by %s: %s\n", v.ID, v.Version, localTime(v.MadeAt), v.MadeBy, v.Reason)
		if v.Assumed {
			fmt.Fprintln(w, "rests on\tassumed teams and durations: nobody has agreed to them yet (plan terms, plan agree)")
		}
		fmt.Fprintf(w, "tasks\t%d, for %d cells\n", v.Figures.Tasks, v.Figures.Cells)
		fmt.Fprintf(w, "last cell back\t%s if nothing fails (as reported: %s); see plan forecast for P50 and P90\n", localTime(v.Figures.LastBack), localTime(v.AsReported.LastBack))
		fmt.Fprintf(w, "cell-hours lost\t%.0f (as reported: %.0f)\n", v.Figures.CellHours, v.AsReported.CellHours)
		fmt.Fprintf(w, "weighted loss\t%.3g, %.0f %% of as reported, at most %.3f times what any plan must lose\n", v.Figures.Loss, percentOf(v.Figures.Loss, v.AsReported.Loss), v.AboveBound)
		fmt.Fprintf(w, "worst-off Kasse\t%s: %.0f hours without service for an average insured\n", v.WorstKasse, v.Worst)
		if v.Seconds > 0 {
			fmt.Fprintf(w, "planned in\t%.2f s, %d schedules\n", v.Seconds, v.Schedules)
		}
		for _, b := range v.Broken {
			fmt.Fprintf(w, "BROKEN\t%s\n", b)
		}
		showChange(w, v.Change)
		for _, l := range v.Lost {
			fmt.Fprintf(w, "no way back\t%s: %s\n", l.Node, l.Why)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		return showPositions(a, &v)
	}
}

func percentOf(a, b float64) float64 {
	if b == 0 {
		return 100
	}
	return 100 * a / b
}

// mostMoves is how many moves are printed; JSON has them all.
const mostMoves = 20

func showChange(w *tabwriter.Writer, c *recovery.Change) {
	if c == nil {
		return
	}
	fmt.Fprintf(w, "change\t%d of %d positions move (%d could stay in no plan), stability %.3f, %.1f hours on average; %d new, %d done or not needed\n",
		len(c.Moved), c.Compared, c.Must, c.Stability, c.Shift, len(c.New), len(c.Gone))
	for i, m := range c.Moved {
		if i == mostMoves {
			fmt.Fprintf(w, "\tand %d more (--json has all)\n", len(c.Moved)-i)
			break
		}
		fmt.Fprintf(w, "moves\t%s: %s → %s\n", m.Task, localTime(m.From), localTime(m.To))
	}
}

func showPositions(a *app, v *room.PlanView) error {
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	if len(v.Positions) > 0 {
		fmt.Fprintln(w, "\nfrom\tto\ttask\twhy")
	}
	for _, p := range v.Positions {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", localTime(p.Start), localTime(p.End), p.ID, strings.Join(p.Why, "; "))
	}
	if len(v.Positions) == 0 && len(v.Cells) > 0 {
		fmt.Fprintln(w, "\nkasse\tservice\temergency\tback\tas reported")
		for _, c := range v.Cells {
			emergency := "-"
			if !c.Emergency.IsZero() {
				emergency = localTime(c.Emergency)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.Kasse, c.Service, emergency, localTime(c.Back), localTime(c.Reported))
		}
	}
	return w.Flush()
}

type planWhyCmd struct {
	roomFlags
	Task string `arg:"" help:"Position, such as switch:IK/eau or examine:IK@site."`
	Plan string `help:"Plan; the one in force if not given."`
}

// Run explains a position.
func (c *planWhyCmd) Run(a *app) error {
	return c.act(a, "", "plan.why", map[string]string{"id": c.Plan, "task": c.Task}, func(raw json.RawMessage) error {
		var v room.Reasons
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("reading the reasons: %w", err)
		}
		fmt.Fprintf(a.stdout, "%s\n%s bis %s · %s\n", v.Label, localTime(v.Start), localTime(v.End), strings.Join(v.Teams, ", "))
		for _, why := range v.Why {
			fmt.Fprintf(a.stdout, "- %s\n", why)
		}
		if v.Weight != "" {
			fmt.Fprintf(a.stdout, "- %s\n", v.Weight)
		}
		for _, g := range v.Gaps {
			fmt.Fprintf(a.stdout, "- Das Tor verlangt noch: %s\n", g.Text)
		}
		return nil
	})
}

type planDayCmd struct {
	roomFlags
	Date string `arg:"" optional:"" help:"Day, such as 2026-05-04; today if not given."`
	Team string `help:"Only this team."`
	Plan string `help:"Plan; the one in force if not given."`
	PDF  string `name:"pdf" help:"Write a PDF for each team into this directory." type:"path" placeholder:"DIR"`
}

// Run prints day plans.
func (c *planDayCmd) Run(a *app) error {
	return c.act(a, "", "plan.day", map[string]string{"id": c.Plan, "date": c.Date, "team": c.Team}, func(raw json.RawMessage) error {
		var days []recovery.Day
		if err := json.Unmarshal(raw, &days); err != nil {
			return fmt.Errorf("reading the day plans: %w", err)
		}
		if len(days) == 0 {
			fmt.Fprintln(a.stdout, "Nobody has anything to do on that day by this plan.")
		}
		for _, d := range days {
			f := d.Form(room.Zone())
			if c.PDF == "" {
				fmt.Fprintln(a.stdout, strings.Join(f.Text(), "\n"))
				continue
			}
			if err := writeDay(c.PDF, &d); err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, filepath.Join(c.PDF, dayFile(&d)))
		}
		return nil
	})
}

func dayFile(d *recovery.Day) string { return "tagesplan-" + d.Date + "-" + d.Team + ".pdf" }

func writeDay(dir string, d *recovery.Day) (err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("making the directory for day plans: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, dayFile(d)))
	if err != nil {
		return fmt.Errorf("writing a day plan: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return d.Form(room.Zone()).PDF(f)
}

type planGanttCmd struct {
	roomFlags
	Kasse    string `help:"Cell by cell for this Kasse (IK); a line for each Kasse if not given."`
	Plan     string `help:"Plan; the one in force if not given."`
	Forecast bool   `help:"With P50 and P90 of each line."`
	Out      string `help:"File to write; standard output if not given." type:"path" placeholder:"FILE"`
}

// Run draws a plan.
func (c *planGanttCmd) Run(a *app) error {
	return c.act(a, "", "plan.gantt", map[string]any{"id": c.Plan, "kasse": c.Kasse, "forecast": c.Forecast}, func(raw json.RawMessage) error {
		var v room.Picture
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("reading the picture: %w", err)
		}
		return writeText(a, c.Out, v.SVG+"\n")
	})
}

func writeText(a *app, file, text string) error {
	if file == "" {
		_, err := fmt.Fprint(a.stdout, text)
		return err
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	return nil
}

type planForecastCmd struct {
	roomFlags
	Plan string `help:"Plan; the one in force if not given."`
	Runs int    `default:"2000" help:"Simulated runs."`
	Seed uint64 `default:"1" help:"Seed of the simulation."`
	SVG  string `name:"svg" help:"Write the burn-up of cells to this file." type:"path" placeholder:"FILE"`
}

// Run prints a forecast.
func (c *planForecastCmd) Run(a *app) error {
	return c.act(a, "", "plan.forecast", map[string]any{"id": c.Plan, "runs": c.Runs, "seed": c.Seed}, func(raw json.RawMessage) error {
		var f recovery.Forecast
		if err := json.Unmarshal(raw, &f); err != nil {
			return fmt.Errorf("reading the forecast: %w", err)
		}
		w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintf(w, "%d runs of %s from %s on\nwhat\tplanned\tP50\tP90\n", f.Runs, f.Plan, localTime(f.Now))
		line := func(what string, r recovery.Range) {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", what, localTime(r.Planned), localTime(r.P50), localTime(r.P90))
		}
		line("last cell", f.Last)
		for _, k := range f.Kassen {
			line(string(k.Kasse), k.Range)
		}
		fmt.Fprintln(w, "\ncells back by\tplanned\tP50\tP90\tas reported")
		for _, b := range f.BurnUp {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", localTime(b.At), b.Planned, b.P50, b.P90, b.AsReported)
		}
		if err := w.Flush(); err != nil || c.SVG == "" {
			return err
		}
		return writeText(a, c.SVG, f.Draw(room.Zone())+"\n")
	})
}

type planWhatifCmd struct {
	roomFlags
	searchFlags
	People map[string]int     `help:"So many more people of a team in each shift: ti=2 (kassen=1 for the delegates)." placeholder:"TEAM=N"`
	Weight map[string]float64 `help:"Another weight of a service: eau=20." placeholder:"SERVICE=W"`
	First  []string           `help:"This Kasse before all others." placeholder:"IK"`
	Lose   []string           `help:"This site is given up." placeholder:"SITE"`
	Revoke []string           `help:"The clearance of this environment or component falls." placeholder:"SUBJECT"`
}

// Run asks what would be.
func (c *planWhatifCmd) Run(a *app) error {
	if len(c.People)+len(c.Weight)+len(c.First)+len(c.Lose)+len(c.Revoke) == 0 {
		return &exitError{2, errors.New("ask something: --people, --weight, --first, --lose or --revoke")}
	}
	args := c.args()
	args["people"], args["services"], args["first"], args["lost"], args["revoked"] = c.People, c.Weight, c.First, c.Lose, c.Revoke
	return c.act(a, "", "plan.whatif", args, func(raw json.RawMessage) error {
		var v recovery.Answer
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		return showAnswer(a, &v)
	})
}

func showAnswer(a *app, v *recovery.Answer) error {
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "\tas it is\tif\tchange")
	fmt.Fprintf(w, "cell-hours lost\t%.0f\t%.0f\t%+.0f\n", v.Before.CellHours, v.After.CellHours, v.Change())
	fmt.Fprintf(w, "last cell back\t%s\t%s\t\n", localTime(v.Before.LastBack), localTime(v.After.LastBack))
	fmt.Fprintf(w, "tasks\t%d\t%d\t%+d\n", v.Before.Tasks, v.After.Tasks, v.After.Tasks-v.Before.Tasks)
	for _, k := range v.Kassen {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%+.0f\n", k.Kasse, k.Before, k.After, k.Change)
	}
	for _, c := range v.NoWay {
		fmt.Fprintf(w, "no way back\t%s/%s\t\t\n", c.Kasse, c.Service)
	}
	fmt.Fprintf(w, "answered in\t%.2f s\t\t\n", v.Seconds)
	return w.Flush()
}

type planReportCmd struct {
	roomFlags
	asFlag
	Tasks  []string  `arg:"" help:"Positions, such as examine:IK@site."`
	What   string    `required:"" enum:"begun,done,late,undone" help:"begun, done, late (needs --at: when it is expected to end) or undone (to be done again)."`
	At     time.Time `help:"When (RFC 3339); now if not given." format:"2006-01-02T15:04:05Z07:00"`
	Reason string    `help:"Why, for late and undone."`
}

// Run reports on tasks.
func (c *planReportCmd) Run(a *app) error {
	var reports []recovery.Report
	for _, t := range c.Tasks {
		reports = append(reports, recovery.Report{Task: t, What: recovery.Progress(c.What), At: c.At, Reason: c.Reason})
	}
	return c.act(a, c.As, "plan.report", map[string]any{"reports": reports}, func(raw json.RawMessage) error {
		fmt.Fprintf(a.stdout, "%d reported. Plan anew: leitstand plan replan\n", len(reports))
		return nil
	})
}
