package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"leitstand/room"
)

type ledgerListCmd struct {
	roomFlags
	Below int64 `help:"Only entries with lower numbers, to go further back."`
	Limit int   `help:"How many entries, at most 1000." default:"50"`
}

// Run prints entries, oldest first.
func (c *ledgerListCmd) Run(a *app) error {
	return c.act(a, "", "ledger.entries", map[string]any{"below": c.Below, "limit": c.Limit}, func(raw json.RawMessage) error {
		var entries []room.EntryView
		if err := json.Unmarshal(raw, &entries); err != nil {
			return err
		}
		w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "Nr\tZeit\twer\tArt\tworüber\tGrund")
		for _, e := range entries {
			at := local(e.At)
			if e.Back {
				at += " (Uhr lief zurück)"
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", e.Seq, at, e.Actor, e.Kind, e.Subject, e.Reason)
			for _, k := range e.Corrections {
				fmt.Fprintf(w, "\t%s\t%s\tBERICHTIGT\tdurch Nr. %d\t%s (Grund: %s)\n", local(k.At), k.Actor, k.Seq, k.Right, k.Reason)
			}
		}
		return w.Flush()
	})
}

type ledgerCorrectCmd struct {
	roomFlags
	asFlag
	Entry  int64  `arg:"" help:"Number of the wrong entry."`
	Right  string `arg:"" help:"What is right instead. No health data, no number of an insured person: the ledger does not forget."`
	Reason string `help:"How the mistake was noticed." required:""`
}

// Run corrects an entry.
func (c *ledgerCorrectCmd) Run(a *app) error {
	return c.act(a, c.As, "entry.correct", map[string]any{"entry": c.Entry, "right": c.Right, "reason": c.Reason}, nil)
}
