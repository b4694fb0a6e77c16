package main

import (
	"encoding/json"
	"fmt"
	"time"

	"leitstand/warning"
)

type signalExceptCmd struct {
	Add  exceptAddCmd  `cmd:"" help:"Keep events of a rule from raising signals. It is refused when it would hide a must-match case of the rule."`
	List exceptListCmd `cmd:"" help:"All exceptions, and what they kept back."`
	End  exceptEndCmd  `cmd:"" help:"End an exception before its day."`
}

type exceptAddCmd struct {
	roomFlags
	asFlag
	Rule     string            `arg:"" help:"Id or title of the rule."`
	When     map[string]string `help:"Field and value that the events have, such as ls.account=ansible or ls.address|cidr=10.1.0.0/28 (several times: all must hold)." required:"" placeholder:"FIELD=VALUE"`
	Reason   string            `help:"Why the events are harmless." required:""`
	Until    time.Time         `help:"Last day (2006-01-02), within a year." required:"" format:"2006-01-02" placeholder:"DATE"`
	Untested bool              `help:"Although no must-match case is known for the rule."`
}

// Run adds an exception.
func (c *exceptAddCmd) Run(a *app) error {
	return c.act(a, c.As, "exception.add", map[string]any{
		"rule": c.Rule, "when": c.When, "reason": c.Reason, "until": c.Until.AddDate(0, 0, 1), "untested": c.Untested,
	}, nil)
}

type exceptListCmd struct{ roomFlags }

// Run prints all exceptions.
func (c *exceptListCmd) Run(a *app) error {
	return c.act(a, "", "exception.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Keine Ausnahmen.", "Ausnahme Regel Auswahl von bis beendet geprüft zurückgehalten Grund", func(x warning.Exception) []string {
			return []string{x.ID, x.Rule, plain(x.Selection), x.By, local(x.Until), x.EndedBy, x.Checked, fmt.Sprint(x.Hits), plain(x.Reason)}
		})
	})
}

type exceptEndCmd struct {
	roomFlags
	asFlag
	ID string `arg:"" help:"Exception."`
}

// Run ends an exception.
func (c *exceptEndCmd) Run(a *app) error {
	return c.act(a, c.As, "exception.end", map[string]string{"id": c.ID}, nil)
}
