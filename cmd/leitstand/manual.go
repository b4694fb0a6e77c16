package main

import (
	"bytes"
	"fmt"
	"os"

	"leitstand/docs"
	"leitstand/pure/paper"
)

type manualCmd struct {
	Output        string `short:"o" help:"PDF to write." type:"path" default:"leitstand-handbuch.pdf"`
	Text          bool   `help:"Print the text instead, for printers and screens that know nothing else."`
	Configuration bool   `help:"The reference of the configuration instead."`
}

// Run prints the manual that belongs to this program.
func (c *manualCmd) Run(a *app) error {
	m := paper.Manual{
		Text: docs.Operations, Foot: "Leitstand · " + programVersion(),
		Fields: []string{
			"Room, data directory:", "Laptop, place, who has it:", "Crisis lead, telephone:", "Deputy, telephone:", "Operator on duty, telephone:",
			"Second operator, telephone:", "Passphrase envelopes at:", "Backups and second place at:", "Head of the ledger (size, date):", "Witness, telephone:",
		},
	}
	if c.Configuration {
		m.Text, m.Fields = docs.Configuration, nil
	}
	if c.Text {
		_, err := fmt.Fprint(a.stdout, m.Text)
		return err
	}
	var b bytes.Buffer
	if err := m.PDF(&b); err != nil {
		return err
	}
	if err := os.WriteFile(c.Output, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("writing the manual: %w", err)
	}
	fmt.Fprintf(a.stdout, "%s: %.0f kB. Print two, fill in the first page, put one into the envelope.\n", c.Output, float64(b.Len())/1e3)
	return nil
}
