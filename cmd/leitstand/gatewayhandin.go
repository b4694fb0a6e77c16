package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"leitstand/room"
)

type gatewayHandInCmd struct {
	roomFlags
	asFlag
	Spool  string `arg:"" help:"Spool directory of that gateway, stopped, or a copy of it, on the room's machine." type:"existingdir"`
	Reason string `help:"Why." default:"Annahme eines Zugangs ohne Raum übernommen"`
}

// Run hands a spool in.
func (c *gatewayHandInCmd) Run(a *app) error {
	dir, err := filepath.Abs(c.Spool)
	if err != nil {
		return err
	}
	return c.act(a, c.As, "gateway.hand-in", map[string]string{"spool": dir, "reason": c.Reason}, func(raw json.RawMessage) error {
		var h room.HandedIn
		if err := json.Unmarshal(raw, &h); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		if len(h.Placements) == 0 {
			fmt.Fprintln(a.stdout, "Nichts wartet dort.")
			return nil
		}
		fmt.Fprintf(a.stdout, "Von %s übernommen:\n", h.Node)
		w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "Stelle\tim Journal\tdavon zu prüfen\tfür das Regelsystem\tschon da")
		for _, p := range slices.Sorted(maps.Keys(h.Placements)) {
			t := h.Placements[p]
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", p, t.Items, t.Held, t.Kept, t.Known)
		}
		return w.Flush()
	})
}
