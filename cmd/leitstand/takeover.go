package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"leitstand/room"
)

type takeoverCmd struct {
	Run     takeoverRunCmd     `cmd:"" help:"Make a room of a backup or of the continuous copy here; the first machine can then write no more."`
	Fence   takeoverFenceCmd   `cmd:"" help:"Tell a machine that could not be reached that another has taken over: bring it the file 'fence'."`
	Compare takeoverCompareCmd `cmd:"" help:"Show what the first machine took down alone, after this one had taken over."`
	Merge   takeoverMergeCmd   `cmd:"" help:"Ask a second person to agree to taking in what compare shows; nothing is overwritten."`
	Status  takeoverStatusCmd  `cmd:"" help:"Whether this machine may write, and why not. Exit 1 when it may not."`
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
	opt, err := c.options(a)
	if err != nil {
		return err
	}
	f, err := room.PutFence(a.ctx, opt, c.File)
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

type takeoverCompareCmd struct {
	roomFlags
	identityFlags
	firstFlags
}

// firstFlags say where the first machine's room lies.
type firstFlags struct {
	From    string `arg:"" help:"Data directory of the first machine, or a backup or continuous copy of it." type:"existingdir"`
	FirstDB string `help:"Database of that data directory's room, without a password (default: this room's)." placeholder:"postgres://…" name:"first-db"`
}

func (f firstFlags) args(identities []string) map[string]any {
	return map[string]any{"from": f.From, "database": f.FirstDB, "identities": identities}
}

// Run shows what only the first machine has.
func (c *takeoverCompareCmd) Run(a *app) error {
	return c.act(a, "", "takeover.compare", c.args(c.Identity), func(raw json.RawMessage) error {
		var rep room.AloneReport
		if err := json.Unmarshal(raw, &rep); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "Gemeinsam bis Eintrag %d. Nur der erste Rechner hat %d Einträge des Raums:\n", rep.Common, len(rep.Entries))
		for _, e := range rep.Entries {
			fmt.Fprintf(a.stdout, "  %d  %s  %s  %s  %s  %s\n", e.Seq, local(e.At), e.Actor, e.Kind, e.Subject, e.Reason)
		}
		for _, k := range rep.Kassen {
			fmt.Fprintf(a.stdout, "Kasse %s: gemeinsam bis %d, %d Einträge und %d Vorgänge nur dort\n", k.Kasse, k.Common, k.Entries, len(k.Items))
			for _, it := range k.Items {
				fmt.Fprintf(a.stdout, "  %s  %s  %s%s\n", it.Label, it.Kind, it.State, map[bool]string{true: "  (hier auf anderem Weg auch angekommen)"}[it.Known])
			}
		}
		return nil
	})
}

type takeoverMergeCmd struct {
	roomFlags
	identityFlags
	asFlag
	firstFlags
	Reason string `help:"Why." required:""`
}

// Run asks for consent to merging.
func (c *takeoverMergeCmd) Run(a *app) error {
	args := c.args(c.Identity)
	args["reason"] = c.Reason
	return c.act(a, c.As, "takeover.merge", args, showConsent(a))
}
