package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"leitstand/access"
	"leitstand/pure/paper"
)

type codeCmd struct {
	Sheet codeSheetCmd `cmd:"" help:"Print a new sheet of codes for yourself; the old one is void."`
	Ask   codeAskCmd   `cmd:"" help:"Which code to ask a person for on the telephone, for one request."`
}

type codeSheetCmd struct {
	roomFlags
	asFlag
	Out string `help:"New file for the sheet (PDF). Print it, delete it, keep the paper on you." required:"" type:"path"`
}

// Run makes a sheet. The codes are shown nowhere else.
func (c *codeSheetCmd) Run(a *app) error {
	out, err := os.OpenFile(c.Out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("making the sheet: %w", err)
	}
	defer func() { _ = out.Close() }() // closed with its error below
	raw, err := c.call(a, c.As, "code.issue", nil)
	if err != nil {
		return err
	}
	var s access.Sheet
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	f := paper.Form{
		Title: "Zustimmung am Telefon", Facts: [][2]string{{"Person", s.Person}, {"Blatt", s.ID}},
		Notes: []string{
			"Lassen Sie sich vorlesen, was getan werden soll, und das Prüfwort. Sind Sie einverstanden, lesen Sie den Code mit der genannten Nummer vor; " +
				"das Prüfwort schreiben Sie daneben. Rufen Sie im Zweifel selbst zurück. Jeder Code gilt einmal, für einen Vorgang, eine halbe Stunde.", "",
		},
		Foot: "Leitstand, Blatt " + s.ID,
	}
	for n, code := range s.Codes {
		f.Notes = append(f.Notes, fmt.Sprintf("%02d   %s %s   Prüfwort: ______________  Datum: ______________", n+1, code[:4], code[4:]))
	}
	if err := f.PDF(out); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("making the sheet: %w", err)
	}
	fmt.Fprintf(a.stdout, "%s: %d Codes für %s. Drucken, Datei löschen, Papier bei sich tragen.\n", c.Out, len(s.Codes), s.Person)
	return nil
}

type codeAskCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Request for consent."`
	Person string `help:"Person on the telephone." required:""`
}

// Run says what to read out and what to ask for.
func (c *codeAskCmd) Run(a *app) error {
	return c.act(a, c.As, "code.ask", map[string]string{"id": c.ID, "person": c.Person}, func(raw json.RawMessage) error {
		var q access.CodeAsked
		if err := json.Unmarshal(raw, &q); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "Vorlesen: %s\nPrüfwort: %s\nFragen nach: Blatt %s, Code Nummer %d (gilt bis %s)\nDann:\n  leitstand approve %s --person %s --code …\n",
			q.Summary, q.Word, q.Sheet, q.Number, local(q.Expires), q.Consent, q.Person)
		return nil
	})
}

type handOverCmd struct {
	roomFlags
	asFlag
	To     string   `arg:"" help:"Person who takes the roles."`
	Role   []string `help:"Role (several times)." required:""`
	Reason string   `help:"Why, and what the next one must know." required:""`
}

// Run offers roles.
func (c *handOverCmd) Run(a *app) error {
	return c.act(a, c.As, "role.handover", map[string]any{"to": c.To, "roles": c.Role, "reason": c.Reason}, showConsent(a))
}

type deputyCmd struct {
	List  deputyListCmd  `cmd:"" help:"All deputies."`
	Name  deputyNameCmd  `cmd:"" help:"Say beforehand who may stand in."`
	Begin deputyBeginCmd `cmd:"" help:"Begin to stand in for somebody who is out of reach."`
	End   deputyEndCmd   `cmd:"" help:"End it."`
}

type deputyListCmd struct{ roomFlags }

// Run prints all deputies.
func (c *deputyListCmd) Run(a *app) error {
	return c.act(a, "", "deputy.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Niemand ist als Vertretung benannt.", "Vertretung für durch Rollen Zustand bis Grund", func(d access.Deputy) []string {
			return []string{d.ID, d.Person, d.Deputy, fmt.Sprint(d.Roles), string(d.State), local(d.Until), d.Reason}
		})
	})
}

type deputyNameCmd struct {
	roomFlags
	asFlag
	Person string   `arg:"" help:"Who is represented."`
	Deputy string   `arg:"" help:"Who may stand in."`
	Role   []string `help:"Role (several times)." required:""`
	Reason string   `help:"Why." required:""`
}

// Run names a deputy.
func (c *deputyNameCmd) Run(a *app) error {
	return c.act(a, c.As, "deputy.name", map[string]any{"person": c.Person, "deputy": c.Deputy, "roles": c.Role, "reason": c.Reason}, nil)
}

type deputyBeginCmd struct {
	roomFlags
	asFlag
	ID     string        `arg:"" help:"Deputyship."`
	For    time.Duration `help:"For how long, at most 72h." default:"12h"`
	Reason string        `help:"Why." required:""`
}

// Run begins standing in.
func (c *deputyBeginCmd) Run(a *app) error {
	return c.act(a, c.As, "deputy.begin", map[string]any{"id": c.ID, "until": time.Now().Add(c.For).UTC(), "reason": c.Reason}, nil)
}

type deputyEndCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Deputyship."`
	Reason string `help:"Why." required:""`
}

// Run ends standing in.
func (c *deputyEndCmd) Run(a *app) error {
	return c.act(a, c.As, "deputy.end", map[string]any{"id": c.ID, "reason": c.Reason}, nil)
}
