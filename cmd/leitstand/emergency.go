package main

import (
	"encoding/json"
	"fmt"

	"leitstand/recovery"
)

type emergencyCmd struct {
	Closed    emergencyClosedCmd    `cmd:"" help:"Record a probe: from outside, the regular side accepts no writes. Ordered emergency operation begins with it."`
	End       emergencyEndCmd       `cmd:"" help:"End the time of observation after acceptance."`
	Checklist emergencyChecklistCmd `cmd:"" help:"Open or show the check list of a cell's emergency environment (SGB X § 80, SGB V § 393)."`
	Settle    emergencySettleCmd    `cmd:"" help:"Answer a point of that list."`
	Prepare   emergencyPrepareCmd   `cmd:"" help:"Say that the emergency path of placements may start (check list: SGB X § 80, SGB V § 393)."`
}

// checklistArg names a cell.
type checklistArg struct {
	Cell string `arg:"" help:"Cell (IK/service)."`
}

type emergencyChecklistCmd struct {
	roomFlags
	asFlag
	checklistArg
}

// Run opens or shows the check list of an emergency environment.
func (c *emergencyChecklistCmd) Run(a *app) error {
	return c.act(a, c.As, "readiness.open", map[string]string{"cell": c.Cell}, showReadiness(a))
}

type emergencySettleCmd struct {
	roomFlags
	asFlag
	checklistArg
	Point    string `arg:"" help:"Point, such as nb-01."`
	Evidence string `help:"Where the evidence lies."`
	NotDone  string `help:"Left out, because. Points of law cannot be left out." placeholder:"BECAUSE"`
}

// Run answers a point.
func (c *emergencySettleCmd) Run(a *app) error {
	return c.act(a, c.As, "readiness.settle", map[string]string{
		"cell": c.Cell, "point": c.Point, "evidence": c.Evidence, "not_done": c.NotDone,
	}, showReadiness(a))
}

func showReadiness(a *app) func(raw json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var r recovery.Readiness
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		for _, p := range r.Points {
			mark, more := "[ ]", ""
			switch {
			case p.NotDone != "":
				mark, more = "[–]", "  entfällt ("+p.By+"): "+p.NotDone
			case p.By != "":
				mark, more = "[x]", "  "+p.By+": "+p.Evidence
			}
			norm := ""
			if p.Norm != "" {
				norm = p.Norm + ": "
			}
			fmt.Fprintf(a.stdout, "%s %s  %s%s%s\n", mark, p.ID, norm, p.Text, more)
		}
		return nil
	}
}

type emergencyPrepareCmd struct {
	roomFlags
	asFlag
	Placements []string `arg:"" help:"Placements (IK/service/site)."`
	Reason     string   `help:"Why, and where the check list lies." required:""`
}

// Run prepares emergency operation.
func (c *emergencyPrepareCmd) Run(a *app) error {
	return c.act(a, c.As, "emergency.prepare", map[string]any{"placements": c.Placements, "reason": c.Reason}, nil)
}

type emergencyClosedCmd struct {
	roomFlags
	asFlag
	Placements []string `arg:"" help:"Placements (IK/service/site)."`
	Probe      string   `help:"Record of the probe, such as its number in the log of the team." required:""`
	Reason     string   `help:"Why." default:"Probe von außen"`
}

// Run records a probe.
func (c *emergencyClosedCmd) Run(a *app) error {
	return c.act(a, c.As, "side.closed", map[string]any{"placements": c.Placements, "probe": c.Probe, "reason": c.Reason}, nil)
}

type emergencyEndCmd struct {
	roomFlags
	asFlag
	Placements []string `arg:"" help:"Placements (IK/service/site)."`
	Reason     string   `help:"Why." required:""`
}

// Run ends observation.
func (c *emergencyEndCmd) Run(a *app) error {
	return c.act(a, c.As, "observation.end", map[string]any{"placements": c.Placements, "reason": c.Reason}, nil)
}
