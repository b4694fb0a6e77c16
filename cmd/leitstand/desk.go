package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"leitstand/catalogue"
	"leitstand/room"
)

type deskCmd struct {
	List    deskListCmd    `cmd:"" help:"What waits for people at emergency desks: payments, calls, access to records."`
	Show    deskShowCmd    `cmd:"" help:"Open one item. Who read it and why is put on record."`
	Release deskReleaseCmd `cmd:"" help:"Ask to release payments, or an access to records; a second person approves it."`
	Refuse  deskRefuseCmd  `cmd:"" help:"Refuse what waits, with a reason."`
	Called  deskCalledCmd  `cmd:"" help:"Note a call: --reached, or --next TIME for another try."`
	Told    deskToldCmd    `cmd:"" help:"Note that the insured person was told of an access."`
}

// Help says what stands behind the doors.
func (deskCmd) Help() string {
	return `In emergency operation the doors of services lead to typed services where desks of
leitstand.yaml says so: payment (validated requests, released by two), record (objections, documents,
access with a reason and two people) and contact (messages and a list of calls, without a
login). See docs/desk.md.`
}

type deskListCmd struct {
	roomFlags
	Kasse string `help:"Only this Kasse (IK)."`
	All   bool   `help:"Not only what waits."`
}

func printDesk(a *app, raw json.RawMessage) error {
	return table(a, raw, "Nichts wartet.", "Kasse Nummer Was von EUR Zustand fällig Grund", func(v room.DeskItem) []string {
		amount, due := "", ""
		if v.Cents > 0 {
			amount = fmt.Sprintf("%d,%02d", v.Cents/100, v.Cents%100)
		}
		if !v.Deadline.IsZero() {
			due = local(v.Deadline)
		}
		return []string{string(v.Kasse), v.Number, v.What, v.From, amount, string(v.State), due, v.Reason}
	})
}

// Run lists what waits.
func (c *deskListCmd) Run(a *app) error {
	return c.act(a, "", "desk.list", map[string]any{"kasse": c.Kasse, "all": c.All}, func(raw json.RawMessage) error { return printDesk(a, raw) })
}

type deskItemArg struct {
	Kasse   catalogue.KasseID `arg:"" help:"Kasse (IK)."`
	Numbers []string          `arg:"" help:"Items, such as 0012387-Q."`
	Reason  string            `help:"Why." required:""`
}

func (d deskItemArg) args(more map[string]any) map[string]any {
	out := map[string]any{"kasse": d.Kasse, "numbers": d.Numbers, "reason": d.Reason}
	maps.Copy(out, more)
	return out
}

type deskShowCmd struct {
	roomFlags
	asFlag
	deskItemArg
}

// Run shows one item.
func (c *deskShowCmd) Run(a *app) error {
	return c.act(a, c.As, "desk.show", c.args(nil), func(raw json.RawMessage) error {
		var v room.Shown
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s (%s)\n%s\n", v.Number, v.Media, v.Body)
		return nil
	})
}

type deskReleaseCmd struct {
	roomFlags
	asFlag
	deskItemArg
}

// Run asks a second person.
func (c *deskReleaseCmd) Run(a *app) error {
	return c.act(a, c.As, "desk.release", c.args(nil), showConsent(a))
}

type deskRefuseCmd struct {
	roomFlags
	asFlag
	deskItemArg
}

// Run refuses items.
func (c *deskRefuseCmd) Run(a *app) error {
	return c.act(a, c.As, "desk.refuse", c.args(nil), func(raw json.RawMessage) error { return printDesk(a, raw) })
}

type deskCalledCmd struct {
	roomFlags
	asFlag
	deskItemArg
	Reached bool      `help:"Somebody was reached: the message goes on to the Kasse." xor:"call" required:""`
	Next    time.Time `help:"Nobody was reached; when the next try is due." xor:"call" required:""`
}

// Run notes a call.
func (c *deskCalledCmd) Run(a *app) error {
	args := c.args(map[string]any{"reached": c.Reached})
	if !c.Reached {
		args["deadline"] = c.Next
	}
	return c.act(a, c.As, "desk.called", args, func(raw json.RawMessage) error { return printDesk(a, raw) })
}

type deskToldCmd struct {
	roomFlags
	asFlag
	deskItemArg
}

// Run notes that somebody was told.
func (c *deskToldCmd) Run(a *app) error {
	return c.act(a, c.As, "desk.done", c.args(nil), func(raw json.RawMessage) error { return printDesk(a, raw) })
}
