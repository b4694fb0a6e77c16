package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"leitstand/emergency"
)

type handoverConflictsCmd struct {
	roomFlags
	Kasse string `arg:"" help:"IK."`
}

// Run lists conflicts.
func (c *handoverConflictsCmd) Run(a *app) error {
	return c.act(a, "", "handover.conflicts", map[string]string{"kasse": c.Kasse}, func(raw json.RawMessage) error { return showConflicts(a, raw) })
}

func showConflicts(a *app, raw json.RawMessage) error {
	return table(a, raw, "Kein Konflikt.", "Nummer Stelle Art angenommen beruht_auf gemeldet Entscheidung von", func(c emergency.Conflict) []string {
		return []string{c.Label, string(c.Place), string(c.Kind), local(c.Received), c.Basis, local(c.At), decisionWord(c.Decision), c.By}
	})
}

func decisionWord(d emergency.Decision) string {
	switch d {
	case emergency.Undecided:
		return "offen"
	case emergency.Ours:
		return "Notbetrieb gilt"
	case emergency.Theirs:
		return "Regelsystem gilt"
	case emergency.Merged:
		return "zusammengeführt"
	}
	return string(d)
}

// conflictFlags name one conflict.
type conflictFlags struct {
	Kasse  string `arg:"" help:"IK."`
	Number string `arg:"" help:"Number of the item."`
	Reason string `help:"Why; it is put on record." required:""`
}

type handoverConflictCmd struct {
	roomFlags
	asFlag
	conflictFlags
}

// Run prints both versions.
func (c *handoverConflictCmd) Run(a *app) error {
	args := map[string]string{"kasse": c.Kasse, "number": c.Number, "reason": c.Reason}
	return c.act(a, c.As, "handover.conflict", args, func(raw json.RawMessage) error {
		var b emergency.Both
		if err := json.Unmarshal(raw, &b); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		fmt.Fprintf(a.stdout, "%s  %s  %s  %s\n", b.Label, b.Place, b.Kind, decisionWord(b.Decision))
		if b.Brief != "" {
			fmt.Fprintf(a.stdout, "Notbetrieb in Kürze: %s\n", b.Brief)
		}
		fmt.Fprintf(a.stdout, "\nNotbetrieb, angenommen %s (%s):\n%s\n", local(b.Received), b.Media, contentText(b.Ours))
		_, err := fmt.Fprintf(a.stdout, "\nRegelsystem, geändert %s (%s):\n%s\n", local(b.Theirs.At), b.Theirs.Media, contentText(b.Theirs.Body))
		return err
	})
}

// contentText is a content as a terminal may show it.
func contentText(b []byte) string {
	if !utf8.Valid(b) {
		return fmt.Sprintf("(%d Byte, kein Text: mit --json ausgeben)", len(b))
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '·'
		}
		return r
	}, string(b))
}

type handoverDecideCmd struct {
	roomFlags
	asFlag
	conflictFlags
	Keep emergency.Decision `help:"ours: hand over again, to replace the version shown; theirs: the regular system's holds; merged: written there by hand." required:"" enum:"ours,theirs,merged"`
}

// Run decides.
func (c *handoverDecideCmd) Run(a *app) error {
	args := map[string]any{"kasse": c.Kasse, "number": c.Number, "reason": c.Reason, "keep": c.Keep}
	return c.act(a, c.As, "handover.decide", args, func(raw json.RawMessage) error { return showConflicts(a, raw) })
}
