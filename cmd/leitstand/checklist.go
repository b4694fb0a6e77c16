package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/forensics"
	"leitstand/room"
)

// checklistCmds are the lists from which clearances are asked for.
type checklistCmds struct {
	Checklist     checklistCmd     `cmd:"" help:"Print an empty check list: windows-domain, linux-server or backup-set."`
	OpenList      openListCmd      `cmd:"" name:"open-list" help:"Open a check list for a scope."`
	SettlePoint   settlePointCmd   `cmd:"" name:"settle-point" help:"Answer a point: done with evidence, or not done because."`
	ListPoints    listPointsCmd    `cmd:"" name:"list-points" help:"Check lists with their points, open ones first."`
	PreviewRevoke previewRevokeCmd `cmd:"" name:"preview-revoke" help:"What revoking a clearance would reach, and the cut it asks for. Changes nothing."`
}

type checklistCmd struct {
	Kind forensics.Kind `arg:"" help:"windows-domain, linux-server or backup-set." enum:"windows-domain,linux-server,backup-set"`
}

// Run prints a list as it is before anybody worked on it.
func (c *checklistCmd) Run(a *app) error {
	scope := forensics.Scope{Kind: forensics.Environment, ID: "leer"}
	if c.Kind == forensics.BackupSet {
		scope.Kind = forensics.Backup
	}
	l, err := forensics.NewChecklist(time.Now(), c.Kind, scope, "niemand")
	if err != nil {
		return err
	}
	printPoints(a, l.Points)
	return nil
}

func printPoints(a *app, points []forensics.Point) {
	for _, p := range points {
		box, more := "[ ]", ""
		switch {
		case p.NotDone != "":
			box, more = "[–]", "\n          nicht erledigt ("+p.DoneBy+"): "+p.NotDone
		case p.Settled():
			names := make([]string, len(p.Evidence))
			for i, e := range p.Evidence {
				names[i] = e.Name + " sha256:" + e.SHA256[:16] + "…"
			}
			box, more = "[x]", "\n          "+p.DoneBy+", "+strings.Join(names, ", ")
		}
		if p.Rotation {
			more = "  (Wechsel von Zugängen)" + more
		}
		fmt.Fprintf(a.stdout, "%s %s  %s%s\n", box, p.ID, p.Text, more)
	}
}

type openListCmd struct {
	roomFlags
	asFlag
	Kind   forensics.Kind `arg:"" help:"windows-domain, linux-server or backup-set." enum:"windows-domain,linux-server,backup-set"`
	Scope  string         `arg:"" help:"environment:IK@site, component:ID, backup:ID or realm:ID."`
	Reason string         `help:"Why."`
}

// Run opens a list.
func (c *openListCmd) Run(a *app) error {
	scope, err := forensics.ParseScope(c.Scope)
	if err != nil {
		return err
	}
	return c.act(a, c.As, "checklist.open", map[string]any{"kind": c.Kind, "scope": scope, "reason": c.Reason}, showList(a))
}

func showList(a *app) func(raw json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var l forensics.Checklist
		if err := json.Unmarshal(raw, &l); err != nil {
			return err
		}
		printList(a, l)
		return nil
	}
}

func printList(a *app, l forensics.Checklist) {
	fmt.Fprintf(a.stdout, "%s · %s · %s · offen: %d von %d\n", l.ID, l.Kind, l.Scope, len(l.Missing()), len(l.Points))
	printPoints(a, l.Points)
}

type settlePointCmd struct {
	roomFlags
	asFlag
	List     string   `arg:"" help:"Check list."`
	Point    string   `arg:"" help:"Point, such as wd-09."`
	Evidence []string `help:"File with evidence; its SHA-256 is bound to the point." type:"existingfile"`
	NotDone  string   `help:"Not done, because." placeholder:"BECAUSE"`
}

// Run answers a point.
func (c *settlePointCmd) Run(a *app) error {
	if len(c.Evidence) == 0 && c.NotDone == "" {
		return errors.New("--evidence FILE, or --not-done BECAUSE")
	}
	args := map[string]any{"list": c.List, "point": c.Point, "not_done": c.NotDone}
	if len(c.Evidence) > 0 {
		evidence, err := evidenceFlags{Evidence: c.Evidence}.read()
		if err != nil {
			return err
		}
		args["evidence"] = evidence
	}
	return c.act(a, c.As, "checklist.settle", args, showList(a))
}

type listPointsCmd struct {
	roomFlags
	List string `arg:"" optional:"" help:"Check list; all when left out."`
}

// Run prints lists with their points.
func (c *listPointsCmd) Run(a *app) error {
	return c.act(a, "", "checklist.list", nil, func(raw json.RawMessage) error {
		var all []forensics.Checklist
		if err := json.Unmarshal(raw, &all); err != nil {
			return err
		}
		for _, done := range []bool{false, true} {
			for _, l := range all {
				if (len(l.Missing()) == 0) == done && (c.List == "" || c.List == l.ID) {
					printList(a, l)
				}
			}
		}
		return nil
	})
}

type previewRevokeCmd struct {
	roomFlags
	ID string `arg:"" help:"Clearance."`
}

// Run prints what a revocation would reach.
func (c *previewRevokeCmd) Run(a *app) error {
	return c.act(a, "", "clearance.preview-revoke", map[string]string{"id": c.ID}, func(raw json.RawMessage) error {
		var p room.RevocationPreview
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		if len(p.Flagged) == 0 {
			fmt.Fprintln(a.stdout, "Auf dieser Freigabe beruht nichts, was am Netz ist.")
			return nil
		}
		fmt.Fprintf(a.stdout, "Muss bis %s vom Netz: %s\n", local(p.Deadline), strings.Join(p.Flagged, ", "))
		if p.Cut == nil {
			return nil
		}
		return printPreview(a, *p.Cut)
	})
}
