package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"leitstand/forensics"
	"leitstand/notice"
	"leitstand/recovery"
)

type clearanceCmd struct {
	Grant  clearanceGrantCmd  `cmd:"" help:"Ask a second signer to clear an environment, component, backup or credential realm."`
	Revoke clearanceRevokeCmd `cmd:"" help:"Revoke a clearance: what rests on it must go down."`
	List   clearanceListCmd   `cmd:"" help:"All clearances."`
	checklistCmds
}

// evidenceFlags name what a statement rests on.
type evidenceFlags struct {
	Evidence []string `help:"File with evidence; its SHA-256 is bound to the statement." required:"" type:"existingfile"`
}

func (f evidenceFlags) read() ([]forensics.Evidence, error) {
	var out []forensics.Evidence
	for _, name := range f.Evidence {
		e, err := forensics.HashFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

type clearanceGrantCmd struct {
	roomFlags
	asFlag
	evidenceFlags
	Scope      string        `arg:"" help:"What is clean: environment:IK@site, component:ID, backup:ID or realm:ID."`
	Check      string        `help:"How it was examined: rebuilt, cleaned or untouched." enum:"rebuilt,cleaned,untouched" default:"cleaned"`
	Covers     []string      `help:"Environments and components that a backup or realm covers."`
	Conditions string        `help:"Conditions in words."`
	Valid      time.Duration `help:"How long it holds." default:"720h"`
	Reason     string        `help:"Why." required:""`
}

// Run asks for a clearance.
func (c *clearanceGrantCmd) Run(a *app) error {
	app, err := c.application()
	if err != nil {
		return err
	}
	return c.act(a, c.As, "clearance.grant", app, showConsent(a))
}

type clearanceRevokeCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Clearance."`
	Reason string `help:"Why." required:""`
}

// Run revokes a clearance.
func (c *clearanceRevokeCmd) Run(a *app) error {
	return c.act(a, c.As, "clearance.revoke", map[string]string{"id": c.ID, "reason": c.Reason}, nil)
}

type clearanceListCmd struct{ roomFlags }

type rotationCmd struct {
	Prove rotationProveCmd `cmd:"" help:"Record the proof that credentials were changed."`
}

type rotationProveCmd struct {
	roomFlags
	asFlag
	evidenceFlags
	Scope     string    `arg:"" help:"Whose credentials: environment:IK@site, component:ID or realm:ID."`
	Covers    []string  `help:"Further environments and components."`
	RotatedAt time.Time `help:"When, if not now (RFC 3339)." format:"2006-01-02T15:04:05Z07:00"`
	Reason    string    `help:"Why." required:""`
}

// Run records a rotation.
func (c *rotationProveCmd) Run(a *app) error {
	scope, err := forensics.ParseScope(c.Scope)
	if err != nil {
		return err
	}
	evidence, err := c.read()
	if err != nil {
		return err
	}
	if c.RotatedAt.IsZero() {
		c.RotatedAt = time.Now()
	}
	return c.act(a, c.As, "rotation.prove", map[string]any{
		"scope": scope, "covers": c.Covers, "evidence": evidence, "rotated_at": c.RotatedAt, "reason": c.Reason,
	}, nil)
}

// nodesCmd are acts on placements and components.
type nodesCmd struct {
	roomFlags
	asFlag
	Nodes   []string `arg:"" help:"Placements (IK/service/site) or components."`
	Reason  string   `help:"Why." required:""`
	Testers []string `help:"People who may try the service in trial."`
}

func (c nodesCmd) args() map[string]any {
	m := map[string]any{"nodes": c.Nodes, "reason": c.Reason}
	if len(c.Testers) > 0 {
		m["testers"] = c.Testers
	}
	return m
}

type (
	rebuildCmd struct{ nodesCmd }
	trialCmd   struct{ nodesCmd }
	acceptCmd  struct{ nodesCmd }
	confirmCmd struct{ nodesCmd }
)

// Run says that work has begun.
func (c *rebuildCmd) Run(a *app) error { return c.act(a, c.As, "rebuild.begin", c.args(), nil) }

// Run asks for entry into trial.
func (c *trialCmd) Run(a *app) error { return c.act(a, c.As, "trial.enter", c.args(), showConsent(a)) }

// Run asks for acceptance into regular operation.
func (c *acceptCmd) Run(a *app) error {
	return c.act(a, c.As, "regular.accept", c.args(), showConsent(a))
}

// Run confirms that the stored state is what was seen.
func (c *confirmCmd) Run(a *app) error { return c.act(a, c.As, "state.confirm", c.args(), nil) }

type stateCmd struct {
	Rebuild rebuildCmd `cmd:"" help:"Say that rebuilding or cleaning has begun."`
	Trial   trialCmd   `cmd:"" help:"Ask for entry into trial, through the gate."`
	Accept  acceptCmd  `cmd:"" help:"Ask for acceptance into regular operation."`
	Confirm confirmCmd `cmd:"" help:"Confirm that things are in their stored state."`
}

type noticeCmd struct {
	List    noticeListCmd    `cmd:"" help:"The public list in all versions, and released statements."`
	Publish noticePublishCmd `cmd:"" help:"Ask a second person to publish the next version of the public list."`
	Release noticeReleaseCmd `cmd:"" help:"Ask a second person to release a statement."`
}

type noticeListCmd struct{ roomFlags }

// Run prints versions and statements.
func (c *noticeListCmd) Run(a *app) error {
	lists, err := c.call(a, "", "list.show", nil)
	if err != nil {
		return err
	}
	notices, err := c.call(a, "", "notice.list", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		raw, err := json.Marshal(map[string]json.RawMessage{"lists": lists, "notices": notices})
		if err != nil {
			return err
		}
		return printRaw(a, raw, false)
	}
	if err := table(a, lists, "Noch keine Fassung der öffentlichen Liste.", "Fassung wann von zweite Einträge Änderungen Grund", func(l notice.List) []string {
		return []string{fmt.Sprint(l.Version), local(l.At), l.PublishedBy, l.SecondBy, fmt.Sprint(len(l.Entries)), fmt.Sprint(len(l.Changes)), l.Reason}
	}); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	return table(a, notices, "Noch keine Mitteilung.", "Mitteilung wann an von zweite Stand Titel", func(n notice.Notice) []string {
		return []string{n.ID, local(n.ReleasedAt), string(n.Audience), n.ReleasedBy, n.SecondBy, n.Certainty, n.Title}
	})
}

type noticePublishCmd struct {
	roomFlags
	asFlag
	Reason string `help:"Why there is a new version." required:""`
}

// Run asks to publish.
func (c *noticePublishCmd) Run(a *app) error {
	return c.act(a, c.As, "list.publish", map[string]string{"reason": c.Reason}, showConsent(a))
}

type noticeReleaseCmd struct {
	roomFlags
	asFlag
	Audience  string `help:"For whom." enum:"public,partners,kassen,authorities" default:"public"`
	Title     string `arg:"" help:"Title."`
	Text      string `arg:"" help:"Text."`
	Certainty string `help:"What is known, as of when (Erkenntnisstand)." required:""`
	Incident  string `help:"Incident."`
}

// Run asks to release.
func (c *noticeReleaseCmd) Run(a *app) error {
	return c.act(a, c.As, "notice.release", notice.Notice{
		Audience: notice.Audience(c.Audience), Title: c.Title, Text: c.Text, Certainty: c.Certainty, Incident: c.Incident,
	}, showConsent(a))
}

type planOrderCmd struct {
	roomFlags
	Nodes []string `arg:"" help:"Placements and components that are to return."`
}

// Run prints the order of return with its reasons.
func (c *planOrderCmd) Run(a *app) error {
	return c.act(a, "", "plan.order", map[string]any{"nodes": c.Nodes}, func(raw json.RawMessage) error {
		return table(a, raw, "Nichts zu ordnen.", "Rang Stelle nach warum", func(p recovery.Position) []string {
			return []string{fmt.Sprint(p.Rank), p.Node, strings.Join(p.After, " "), p.Why}
		})
	})
}

func (c *clearanceGrantCmd) application() (map[string]any, error) {
	scope, err := forensics.ParseScope(c.Scope)
	if err != nil {
		return nil, err
	}
	evidence, err := c.read()
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"scope": scope, "check": c.Check, "covers": c.Covers, "evidence": evidence, "conditions": c.Conditions,
		"until": time.Now().Add(c.Valid).UTC(), "reason": c.Reason,
	}, nil
}

// Run prints the clearances.
func (c *clearanceListCmd) Run(a *app) error {
	return c.act(a, "", "clearance.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Keine Freigabe.", "Freigabe Bereich Prüfung Zustand gültig_bis Prüfer zweite Belege", func(v forensics.Clearance) []string {
			return []string{
				v.ID, v.Scope.String(), string(v.Check), string(v.State), local(v.Until), v.Examiner, v.Second, fmt.Sprint(len(v.Evidence)),
			}
		})
	})
}
