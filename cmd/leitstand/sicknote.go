package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"leitstand/emergency/sicknote"
	"leitstand/pure/eau"
	"leitstand/room"
)

type sicknoteCmd struct {
	Status   sicknoteStatusCmd   `cmd:"" help:"Figures per Kasse: fetched, stored, duplicates, held, oldest, rate."`
	List     sicknoteListCmd     `cmd:"" help:"Mails of a Kasse."`
	Show     sicknoteShowCmd     `cmd:"" help:"Read one document. Who read it and why is put on record first."`
	Accept   sicknoteAcceptCmd   `cmd:"" help:"Let a held mail pass as it is."`
	Reread   sicknoteRereadCmd   `cmd:"" help:"Open mails again that are held because their keys were away; every look does so by itself."`
	Assign   sicknoteAssignCmd   `cmd:"" help:"Give a held mail another owner or deadline."`
	Prepared sicknotePreparedCmd `cmd:"" help:"Answers to practices that wait for release."`
	Release  sicknoteReleaseCmd  `cmd:"" help:"Ask a second person to release prepared answers, all or of one code."`
	sicknoteFileCmds
	sicknoteEmployerCmds
}

type sicknoteStatusCmd struct{ roomFlags }

// Run prints the figures.
func (c *sicknoteStatusCmd) Run(a *app) error {
	return c.act(a, "", "sicknote.status", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Dieser Raum ruft keine Postfächer ab.", "Kasse abgerufen gespeichert angenommen doppelt zurückgelegt abgewiesen läuft_ab überfällig älteste je_Minute", func(s sicknote.Status) []string {
			return []string{
				string(s.Kasse), fmt.Sprint(s.Fetched), fmt.Sprint(s.Stored), fmt.Sprint(s.Accepted), fmt.Sprint(s.Duplicates),
				fmt.Sprint(s.Held), fmt.Sprint(s.Refused), urgent(s.DueSoon, "! "), urgent(s.Overdue, "✕ ROT "), local(s.Oldest), fmt.Sprintf("%.1f", s.PerMinute),
			}
		})
	})
}

// urgent marks a number that is not zero.
func urgent(n int64, mark string) string {
	if n == 0 {
		return "0"
	}
	return mark + fmt.Sprint(n)
}

type sicknoteListCmd struct {
	roomFlags
	Kasse string `arg:"" help:"IK."`
	Class string `help:"Only accepted, duplicate, held, refused or test."`
	After string `help:"Only numbers after this one."`
	Limit int    `help:"At most so many." default:"100"`
}

// Run prints mails.
func (c *sicknoteListCmd) Run(a *app) error {
	args := map[string]any{"kasse": c.Kasse, "class": c.Class, "after": c.After, "limit": c.Limit}
	return c.act(a, "", "sicknote.list", args, func(raw json.RawMessage) error {
		return table(a, raw, "Keine Sendungen.", "Nummer abgerufen Einstufung Art Zustand verantwortlich Frist Ampel Grund", func(m sicknote.Mail) []string {
			return []string{m.Label, local(m.Fetched), string(m.Class), string(m.Kind), string(m.State), m.Owner, local(m.Deadline), m.Light.Word(), m.Reason}
		})
	})
}

// heldFlags name one item of a Kasse.
type heldFlags struct {
	Kasse  string `arg:"" help:"IK."`
	Number string `arg:"" help:"Number of the item."`
	Reason string `help:"Why; it is put on record." required:""`
}

type sicknoteShowCmd struct {
	roomFlags
	asFlag
	heldFlags
}

// Run prints one document.
func (c *sicknoteShowCmd) Run(a *app) error {
	args := map[string]string{"kasse": c.Kasse, "number": c.Number, "reason": c.Reason}
	return c.act(a, c.As, "sicknote.show", args, func(raw json.RawMessage) error {
		var s room.Shown
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		doc, rep := eau.ReadAndCheck(s.Body, eau.Options{})
		if doc == nil { // nothing that could be read as a document: as it is
			_, err := a.stdout.Write(s.Body)
			return err
		}
		var out strings.Builder
		fmt.Fprintf(&out, "%s\n", s.Number)
		showDocument(&out, doc)
		showReport(&out, &rep)
		_, err := io.WriteString(a.stdout, out.String())
		return err
	})
}

type sicknoteAcceptCmd struct {
	roomFlags
	asFlag
	heldFlags
}

// Run lets a held mail pass.
func (c *sicknoteAcceptCmd) Run(a *app) error {
	return c.act(a, c.As, "sicknote.accept", map[string]string{"kasse": c.Kasse, "number": c.Number, "reason": c.Reason}, nil)
}

type sicknoteRereadCmd struct {
	roomFlags
	asFlag
	Kasse  string `arg:"" help:"IK."`
	Reason string `help:"Why; it is put on record." required:""`
}

// Run reads held mail again.
func (c *sicknoteRereadCmd) Run(a *app) error {
	return c.act(a, c.As, "sicknote.reread", map[string]string{"kasse": c.Kasse, "reason": c.Reason}, func(raw json.RawMessage) error {
		var done room.Reread
		if err := json.Unmarshal(raw, &done); err != nil {
			return fmt.Errorf("reading the result: %w", err)
		}
		_, err := fmt.Fprintf(a.stdout, "%d nachträglich gelesen\n", done.Read)
		return err
	})
}

type sicknoteAssignCmd struct {
	roomFlags
	asFlag
	heldFlags
	Owner    string    `help:"Person who takes care of it." required:""`
	Deadline time.Time `help:"Until when (RFC 3339)." required:"" format:"2006-01-02T15:04:05Z07:00"`
}

// Run gives a held mail another owner.
func (c *sicknoteAssignCmd) Run(a *app) error {
	return c.act(a, c.As, "sicknote.assign", map[string]any{
		"kasse": c.Kasse, "number": c.Number, "reason": c.Reason, "owner": c.Owner, "deadline": c.Deadline,
	}, nil)
}

// answersFlags choose prepared answers.
type answersFlags struct {
	Kasse string `arg:"" help:"IK."`
	Code  string `help:"Only answers with this error code; without it, all."`
}

type sicknotePreparedCmd struct {
	roomFlags
	answersFlags
}

// Run prints prepared answers.
func (c *sicknotePreparedCmd) Run(a *app) error {
	return c.act(a, "", "sicknote.prepared", map[string]string{"kasse": c.Kasse, "code": c.Code}, nil)
}

type sicknoteReleaseCmd struct {
	roomFlags
	asFlag
	answersFlags
	Reason string `help:"Why." required:""`
}

// Run asks for release.
func (c *sicknoteReleaseCmd) Run(a *app) error {
	return c.act(a, c.As, "sicknote.release", map[string]string{"kasse": c.Kasse, "code": c.Code, "reason": c.Reason}, showConsent(a))
}
