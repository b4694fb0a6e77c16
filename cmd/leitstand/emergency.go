package main

type emergencyCmd struct {
	Closed  emergencyClosedCmd  `cmd:"" help:"Record a probe: from outside, the regular side accepts no writes. Ordered emergency operation begins with it."`
	End     emergencyEndCmd     `cmd:"" help:"End the time of observation after acceptance."`
	Prepare emergencyPrepareCmd `cmd:"" help:"Say that the emergency path of placements may start (check list: SGB X § 80, SGB V § 393)."`
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
