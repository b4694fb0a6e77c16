package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"leitstand/room"
)

type takeoverCmd struct {
	Run    takeoverRunCmd    `cmd:"" help:"Make a room of a backup or of the continuous copy here; the first machine can then write no more."`
	Fence  takeoverFenceCmd  `cmd:"" help:"Tell a machine that could not be reached that another has taken over: bring it the file 'fence'."`
	Status takeoverStatusCmd `cmd:"" help:"Whether this machine may write, and why not. Exit 1 when it may not."`
}

type takeoverRunCmd struct {
	roomFlags
	identityFlags
	asFlag
	From    string `arg:"" help:"Directory of the continuous copy or of a backup." type:"existingdir"`
	Second  string `help:"Second person who decides it." required:""`
	Reason  string `help:"Why." required:""`
	FenceTo string `help:"Second place of the first machine, when FROM is a backup." type:"existingdir"`
}

// Run takes over.
func (c *takeoverRunCmd) Run(a *app) error {
	opt, err := c.options(a)
	if err != nil {
		return err
	}
	if opt.Identities, err = room.ReadIdentities(c.Identity...); err != nil {
		return err
	}
	t, err := room.TakeOver(a.ctx, room.TakeOverArgs{
		From: c.From, First: c.As, Second: c.Second, Reason: c.Reason, FenceTo: c.FenceTo,
	}, opt)
	if err != nil {
		return err
	}
	if c.JSON {
		raw, err := json.Marshal(t)
		if err != nil {
			return err
		}
		return printRaw(a, raw, false)
	}
	fmt.Fprintf(a.stdout, "Übernommen: Stand %s, %d Bücher geprüft, Generation %d.\n", local(t.Manifest.Made), len(t.Ledgers), t.Generation)
	if t.Fenced {
		fmt.Fprintln(a.stdout, "Der erste Rechner schreibt nicht mehr, sobald er den zweiten Ort sieht.")
	} else {
		fmt.Fprintf(a.stdout, "ACHTUNG: Der erste Rechner weiß davon nichts. Ausschalten, oder diese Datei hinbringen:\n  leitstand takeover fence %s --data SEIN_VERZEICHNIS\n", t.Fence)
	}
	fmt.Fprintf(a.stdout, "Weiter mit:\n  leitstand serve --data %s\n", c.Data)
	return nil
}

type takeoverFenceCmd struct {
	roomFlags
	File string `arg:"" help:"File 'fence' from the data directory of the machine that took over." type:"existingfile"`
}

// Run puts a fence beside a room; a served room sees it within a minute.
func (c *takeoverFenceCmd) Run(a *app) error {
	f, err := room.PutFence(c.Data, c.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "Dieser Raum schreibt nicht mehr: %q hat am %s übernommen (Generation %d).\n", f.Node, local(f.At), f.Generation)
	return nil
}

type takeoverStatusCmd struct{ roomFlags }

// Run says whether this machine may write.
func (c *takeoverStatusCmd) Run(a *app) error {
	raw, err := c.call(a, "", "takeover.status", nil)
	if err != nil {
		return err
	}
	var s room.WritingStatus
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if c.JSON {
		err = printRaw(a, raw, false)
	} else if s.Allowed {
		_, err = fmt.Fprintf(a.stdout, "%s schreibt (Generation %d).\n", s.Node, s.Generation)
	}
	if err == nil && !s.Allowed {
		return &exitError{code: 1, err: errors.New(s.Why)}
	}
	return err
}
