package main

import (
	"encoding/json"
	"fmt"

	"leitstand/room"
)

type doctorCmd struct {
	roomFlags
	Probe bool `help:"Log in to every mailbox; nothing is stored, nothing deleted. Leave out with --no-probe, such as for monitoring every minute." default:"true" negatable:""`
}

// Run looks at everything that a room needs in a crisis; exit 1 when something is bad.
func (c *doctorCmd) Run(a *app) error {
	raw, err := c.call(a, "", "doctor", map[string]bool{"probe": c.Probe})
	if err != nil {
		return err
	}
	var up room.Checkup
	if err := json.Unmarshal(raw, &up); err != nil {
		return err
	}
	bad := 0
	for _, f := range up.Findings {
		if f.Health == room.Bad {
			bad++
		}
	}
	if c.JSON {
		err = printRaw(a, raw, false)
	} else {
		err = printCheckup(a, up)
	}
	if err == nil && bad > 0 {
		return &exitError{code: 1}
	}
	return err
}

func printCheckup(a *app, up room.Checkup) error {
	signs := map[room.Health]string{room.Good: "gut", room.Warn: "ACHTUNG", room.Bad: "SCHLECHT"}
	raw, err := json.Marshal(up.Findings)
	if err != nil {
		return err
	}
	if err := table(a, raw, "", "Urteil Was Befund", func(f room.Finding) []string { return []string{signs[f.Health], f.Name, f.Text} }); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\nBereitschaft: %d %%\n", up.Score)
	for _, part := range []struct {
		health room.Health
		title  string
	}{{room.Bad, "Zuerst, vor einer Krise:"}, {room.Warn, "Danach, bald:"}} {
		title := part.title
		for _, f := range up.Findings {
			if f.Health != part.health {
				continue
			}
			if title != "" {
				fmt.Fprintf(a.stdout, "\n%s\n", title)
			}
			title = ""
			fmt.Fprintf(a.stdout, "- %s: %s\n", f.Name, f.Todo)
		}
	}
	return nil
}
