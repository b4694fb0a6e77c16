package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/skip2/go-qrcode"

	"leitstand/room"
)

type ledgerCmd struct {
	Verify    ledgerVerifyCmd    `cmd:"" help:"Find any altered, missing, reordered or cut-off entry in the ledgers of the room and of all journals. Exit 1 when something is wrong."`
	Witnessed ledgerWitnessedCmd `cmd:"" help:"Record that somebody outside keeps a signed head."`
	Head      ledgerHeadCmd      `cmd:"" help:"Print the newest signed head as text and QR code, for witnesses and paper."`
	List      ledgerListCmd      `cmd:"" help:"The newest entries in the ledger's order, with their corrections beside them."`
	Correct   ledgerCorrectCmd   `cmd:"" help:"Put beside a wrong entry what is right. The entry stays visible; no state changes."`
	Export    ledgerExportCmd    `cmd:"" help:"Write the room's ledger so that a third party can check it without this program."`
}

type ledgerVerifyCmd struct {
	roomFlags
	Head  []string `help:"File with a signed head that was kept elsewhere (several times)." type:"existingfile"`
	State bool     `help:"Compare every row of the room with the last entry about it as well."`
}

// Run verifies.
func (c *ledgerVerifyCmd) Run(a *app) error {
	args := map[string]any{"state": c.State}
	var heads []string
	for _, name := range c.Head {
		b, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading a head: %w", err)
		}
		heads = append(heads, string(b))
	}
	args["heads"] = heads
	raw, err := c.call(a, "", "ledger.verify", args)
	if err != nil {
		return err
	}
	var reports []room.Verified
	if err := json.Unmarshal(raw, &reports); err != nil {
		return fmt.Errorf("reading the report: %w", err)
	}
	problems, entries := 0, int64(0)
	for _, r := range reports {
		problems += len(r.Problems)
		entries += r.Entries
	}
	if c.JSON {
		if err := printRaw(a, raw, false); err != nil {
			return err
		}
	} else {
		for _, r := range reports {
			for _, p := range r.Problems {
				fmt.Fprintf(a.stdout, "%s: %s: %s\n", r.Ledger, p.Kind, p.Text)
			}
		}
		fmt.Fprintf(a.stdout, "%d ledgers, %d entries, %d problems; root of the room's ledger %s\n", len(reports), entries, problems, reports[0].Root)
	}
	if problems > 0 {
		return &exitError{code: 1, err: fmt.Errorf("%d problems found: keep the data directory as evidence and restore from backup", problems)}
	}
	return nil
}

type ledgerHeadCmd struct {
	roomFlags
	All bool   `help:"The heads of all journals as well."`
	Out string `help:"Write the room's head to this file instead of printing it." type:"path"`
}

// Run prints heads.
func (c *ledgerHeadCmd) Run(a *app) error {
	return c.act(a, "", "ledger.head", map[string]bool{"all": c.All}, func(raw json.RawMessage) error {
		var heads []room.SignedHead
		if err := json.Unmarshal(raw, &heads); err != nil {
			return err
		}
		if len(heads) == 0 {
			fmt.Fprintln(a.stdout, "Das Buch ist noch leer.")
			return nil
		}
		if c.Out != "" {
			return os.WriteFile(c.Out, []byte(heads[0].Note), 0o600)
		}
		for _, h := range heads {
			fmt.Fprintf(a.stdout, "%s\n", h.Note)
			qr, err := qrcode.New(h.Note, qrcode.Medium)
			if err != nil {
				return fmt.Errorf("making a QR code: %w", err)
			}
			fmt.Fprintln(a.stdout, qr.ToSmallString(false))
		}
		return nil
	})
}

type ledgerExportCmd struct {
	roomFlags
	File string `arg:"" help:"File to write." type:"path"`
}

// Run exports. It opens the room itself, or reads beside the process that serves it.
func (c *ledgerExportCmd) Run(a *app) error {
	raw, err := c.call(a, "", "ledger.export", map[string]string{"file": c.File})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s\n", filepath.Clean(c.File))
	_ = raw
	return nil
}
