package main

import (
	"encoding/json"
	"fmt"
	"os"

	"leitstand/room"
)

type ledgerWitnessedCmd struct {
	roomFlags
	asFlag
	Who  string `arg:"" help:"Who keeps it: a person, an office, paper in an envelope."`
	Head string `help:"File with the head that was given, as ledger head printed it. Default: the newest." type:"existingfile" placeholder:"FILE"`
}

// Run records a witness.
func (c *ledgerWitnessedCmd) Run(a *app) error {
	var note []byte
	if c.Head != "" {
		var err error
		if note, err = os.ReadFile(c.Head); err != nil {
			return fmt.Errorf("reading the head: %w", err)
		}
	}
	return c.act(a, c.As, "witness.note", map[string]string{"who": c.Who, "note": string(note)}, func(raw json.RawMessage) error {
		var w room.Witnessed
		if err := json.Unmarshal(raw, &w); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "%s hält den Stand von %d Einträgen. Später prüfen: leitstand ledger verify --head DATEI\n", w.Who, w.Size)
		return nil
	})
}
