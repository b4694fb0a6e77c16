package main

import (
	"encoding/json"
	"fmt"
	"time"

	"leitstand/access"
	"leitstand/incident"
	"leitstand/operation"
)

const clock = "02.01.2006 15:04"

func local(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(clock)
}

type cellCmd struct {
	List cellListCmd `cmd:"" help:"The matrix: every Kasse and service with its state."`
}

type cellListCmd struct {
	roomFlags
	Kasse   string `help:"Only this Kasse (IK)."`
	Service string `help:"Only this service."`
	Down    bool   `help:"Only cells that do not run as usual."`
}

// Run prints the cells.
func (c *cellListCmd) Run(a *app) error {
	raw, err := c.call(a, "", "cell.list", nil)
	if err != nil {
		return err
	}
	var cells, kept []operation.Cell
	if err := json.Unmarshal(raw, &cells); err != nil {
		return fmt.Errorf("reading the cells: %w", err)
	}
	for _, v := range cells {
		if (c.Kasse == "" || c.Kasse == string(v.Kasse)) && (c.Service == "" || c.Service == string(v.Service)) &&
			(!c.Down || v.Regular != operation.Running || v.Unknown) {
			kept = append(kept, v)
		}
	}
	if kept == nil {
		kept = []operation.Cell{}
	}
	if raw, err = json.Marshal(kept); err != nil {
		return err
	}
	if c.JSON {
		return printRaw(a, raw, false)
	}
	return table(a, raw, "Keine Zelle passt dazu.", "Kasse Dienst Regel Notbetrieb Stellen unbekannt verantwortlich", func(v operation.Cell) []string {
		unknown := ""
		if v.Unknown {
			unknown = "UNBEKANNT"
		}
		return []string{
			string(v.Kasse), string(v.Service), v.Regular.Word(), v.Emergency.Word(),
			fmt.Sprintf("%d/%d", v.Worst, len(v.Placements)), unknown, v.Owner,
		}
	})
}

type doorCmd struct {
	List doorListCmd `cmd:"" help:"What callers get at every door now."`
}

type doorListCmd struct{ roomFlags }

// Run prints the doors.
func (c *doorListCmd) Run(a *app) error {
	return c.act(a, "", "door.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Es gibt keine Türen.", "Stelle Tür Epoche Fassung", func(v operation.DoorRow) []string {
			return []string{string(v.Placement), v.String(), fmt.Sprint(v.Epoch), fmt.Sprint(v.Version)}
		})
	})
}

type incidentCmd struct {
	Declare incidentDeclareCmd `cmd:"" help:"Declare an incident."`
	List    incidentListCmd    `cmd:"" help:"All incidents."`
	Fact    incidentFactCmd    `cmd:"" help:"Note a fact, or correct one."`
	Facts   incidentFactsCmd   `cmd:"" help:"The facts of an incident, corrections included."`
	Close   incidentCloseCmd   `cmd:"" help:"Close an incident."`
}

type incidentDeclareCmd struct {
	roomFlags
	asFlag
	Title  string `arg:"" help:"What happened, in one line."`
	Grade  string `help:"Grade of BSI-Standard 200-4." enum:"stoerung,notfall,krise" default:"notfall"`
	Signal string `help:"Signal that it started from."`
}

// Run declares an incident.
func (c *incidentDeclareCmd) Run(a *app) error {
	return c.act(a, c.As, "incident.declare", map[string]any{"title": c.Title, "grade": c.Grade, "signal": c.Signal}, nil)
}

type incidentListCmd struct{ roomFlags }

// Run prints the incidents.
func (c *incidentListCmd) Run(a *app) error {
	return c.act(a, "", "incident.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Kein Vorfall ist erklärt.", "Vorfall Grad seit erklärt_von beendet Titel", func(i incident.Incident) []string {
			return []string{i.ID, string(i.Grade), local(i.DeclaredAt), i.DeclaredBy, local(i.ClosedAt), i.Title}
		})
	})
}

type incidentFactCmd struct {
	roomFlags
	asFlag
	Incident  string    `arg:"" help:"Incident."`
	Text      string    `arg:"" help:"The fact."`
	Source    string    `help:"Who says so." required:""`
	Certainty string    `help:"How sure it is." enum:"belegt,vermutet,widerlegt" default:"vermutet"`
	Happened  time.Time `help:"When it happened, if not now (RFC 3339)." format:"2006-01-02T15:04:05Z07:00"`
	Corrects  string    `help:"Fact that this one corrects."`
}

// Run notes a fact.
func (c *incidentFactCmd) Run(a *app) error {
	return c.act(a, c.As, "fact.note", incident.Fact{
		Incident: c.Incident, Text: c.Text, Source: c.Source, Certainty: incident.Certainty(c.Certainty), Happened: c.Happened, Corrects: c.Corrects,
	}, nil)
}

type incidentFactsCmd struct {
	roomFlags
	Incident string `arg:"" help:"Incident."`
}

// Run prints the facts.
func (c *incidentFactsCmd) Run(a *app) error {
	return c.act(a, "", "fact.list", map[string]string{"id": c.Incident}, func(raw json.RawMessage) error {
		return table(a, raw, "Keine Fakten.", "Fakt geschehen bekannt Gewissheit Quelle berichtigt Text", func(f incident.Fact) []string {
			return []string{f.ID, local(f.Happened), local(f.Known), string(f.Certainty), f.Source, f.Corrects, f.Text}
		})
	})
}

type incidentCloseCmd struct {
	roomFlags
	asFlag
	Incident string `arg:"" help:"Incident."`
}

// Run closes an incident.
func (c *incidentCloseCmd) Run(a *app) error {
	return c.act(a, c.As, "incident.close", map[string]string{"id": c.Incident}, nil)
}

type personCmd struct {
	List     personListCmd `cmd:"" help:"Everybody with a role in the room."`
	Put      personPutCmd  `cmd:"" help:"Add or change a person."`
	HandOver handOverCmd   `cmd:"" name:"handover" help:"Offer your own roles to another person, who takes them with approve."`
	Deputy   deputyCmd     `cmd:"" help:"Who stands in for whom."`
}

type personListCmd struct{ roomFlags }

// Run prints the people.
func (c *personListCmd) Run(a *app) error {
	return c.act(a, "", "person.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Niemand.", "Person Rollen Kasse aktiv Name", func(p access.Person) []string {
			return []string{p.ID, fmt.Sprint(p.Roles), string(p.Kasse), fmt.Sprint(p.Active), p.Name}
		})
	})
}

type personPutCmd struct {
	roomFlags
	asFlag
	ID       string   `arg:"" help:"Person id: lower-case letters, digits, dot, dash, underscore."`
	Name     string   `arg:"" help:"Name."`
	Role     []string `help:"Role (several times): crisis_lead, operator, examiner, kasse_delegate, payment_releaser, press, auditor."`
	Kasse    string   `help:"IK of the Kasse that a delegate speaks for."`
	Inactive bool     `help:"The person has left."`
}

// Run stores a person.
func (c *personPutCmd) Run(a *app) error {
	return c.act(a, c.As, "person.put", map[string]any{"id": c.ID, "name": c.Name, "roles": c.Role, "kasse": c.Kasse, "active": !c.Inactive}, nil)
}
