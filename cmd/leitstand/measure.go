package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/room"
)

type measureCmd struct {
	Preview measurePreviewCmd `cmd:"" help:"What a measure would do. Changes nothing."`
	Order   measureOrderCmd   `cmd:"" help:"Order a measure; a second person approves it."`
	Confirm measureConfirmCmd `cmd:"" help:"Confirm as second person what was cut in immediate danger."`
	Undo    measureUndoCmd    `cmd:"" help:"Ask to take a measure back, within its window; a second person approves it."`
	List    measureListCmd    `cmd:"" help:"All measures."`
}

// planFlags describe a measure. Lists narrow each other; what is left out means all.
type planFlags struct {
	Title       string            `help:"Name of the measure." default:"Maßnahme"`
	Reason      string            `help:"Why." required:""`
	Stage       int               `help:"1 single systems, 2 environments or clusters, 3 a site." default:"1"`
	Incident    string            `help:"Incident that it belongs to."`
	Kasse       []string          `help:"Kassen (IK)."`
	Service     []string          `help:"Services."`
	Site        []string          `help:"Sites."`
	Environment []string          `help:"Environments (IK@site)."`
	Placement   []string          `help:"Further placements (IK/service/site)."`
	Component   []string          `help:"Shared components (what@site): one host, a directory, a cluster."`
	Shared      bool              `help:"Also all shared components of the sites of --site."`
	Dependents  bool              `help:"Also what stops for certain without the components: its doors buffer instead of answering with errors."`
	Except      []string          `help:"Exceptions: Kasse, service, site, environment, placement or component."`
	Door        map[string]string `help:"What callers get, by service: buffer, notice or refuse." placeholder:"SERVICE=BEHAVIOUR"`
	Emergency   []string          `help:"Services whose emergency operation starts with the cut."`
	Immediate   bool              `help:"Immediate danger: it is cut at once, the second person confirms later."`
	File        string            `help:"Read the plan as JSON from a file (- for standard input) instead." placeholder:"FILE"`
}

func (f planFlags) plan(a *app) (containment.Plan, error) {
	if f.File != "" {
		return readPlan(a, f.File)
	}
	p := containment.Plan{
		Incident: f.Incident, Title: f.Title, Stage: f.Stage, Reason: f.Reason, Immediate: f.Immediate,
		Selection: containment.Selection{
			Kassen: as[catalogue.KasseID](f.Kasse), Services: as[catalogue.ServiceID](f.Service), Sites: as[catalogue.SiteID](f.Site),
			Environments: as[catalogue.EnvironmentID](f.Environment), Placements: as[catalogue.PlacementID](f.Placement), Except: f.Except,
			Components: as[catalogue.ComponentID](f.Component), Shared: f.Shared, Dependents: f.Dependents,
		},
		Emergency: as[catalogue.ServiceID](f.Emergency), Behaviour: map[catalogue.ServiceID]catalogue.Behaviour{},
	}
	for svc, word := range f.Door {
		b, err := catalogue.ParseBehaviour(word)
		if err != nil {
			return p, fmt.Errorf("--door %s=%s: %w", svc, word, err)
		}
		p.Behaviour[catalogue.ServiceID(svc)] = b
	}
	return p, nil
}

func as[T ~string](in []string) []T {
	out := make([]T, len(in))
	for i, s := range in {
		out[i] = T(s)
	}
	return out
}

func readPlan(a *app, file string) (p containment.Plan, err error) {
	in := a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return p, fmt.Errorf("reading the plan: %w", err)
		}
		defer func() { _ = f.Close() }() // only read
		in = f
	}
	dec := json.NewDecoder(io.LimitReader(in, 16<<20))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return p, fmt.Errorf("reading the plan in %q: %w", file, err)
	}
	return p, nil
}

type measurePreviewCmd struct {
	roomFlags
	planFlags
}

// Run prints the preview.
func (c *measurePreviewCmd) Run(a *app) error {
	p, err := c.plan(a)
	if err != nil {
		return err
	}
	return c.act(a, "", "measure.preview", p, func(raw json.RawMessage) error {
		var pre containment.Preview
		if err := json.Unmarshal(raw, &pre); err != nil {
			return err
		}
		return printPreview(a, pre)
	})
}

func printPreview(a *app, pre containment.Preview) error {
	fmt.Fprintf(a.stdout, "%s\n\n", pre.Sentence)
	if err := printDeadlines(a, pre.Deadlines); err != nil {
		return err
	}
	if err := printKassen(a, pre); err != nil {
		return err
	}
	raw, err := json.Marshal(pre.Services)
	if err != nil {
		return err
	}
	return table(a, raw, "", "Dienst Stellen Kassen Versicherte Tür MTPD Ersatz", func(s containment.ServicePreview) []string {
		return []string{s.Name, catalogue.Thousands(s.Placements), catalogue.Thousands(s.Kassen), catalogue.Thousands(s.Insured), s.Door.Word(), s.MTPD, s.Alternative}
	})
}

// printKassen says whom a cut of shared components hits.
func printKassen(a *app, pre containment.Preview) error {
	if len(pre.Components) == 0 {
		return nil
	}
	raw, err := json.Marshal(pre.ByKasse)
	if err != nil {
		return err
	}
	err = table(a, raw, "Keine Kasse ist betroffen.", "Kasse Versicherte aus ungewiss eingeschränkt Ersatzweg", func(k containment.KassePreview) []string {
		return []string{
			k.Name, catalogue.Thousands(k.Insured), catalogue.Thousands(k.Stopped), catalogue.Thousands(k.Uncertain),
			catalogue.Thousands(k.Limited), catalogue.Thousands(k.OnAlternative),
		}
	})
	fmt.Fprintln(a.stdout)
	return err
}

type measureOrderCmd struct {
	roomFlags
	asFlag
	planFlags
}

// Run orders a measure.
func (c *measureOrderCmd) Run(a *app) error {
	p, err := c.plan(a)
	if err != nil {
		return err
	}
	return c.act(a, c.As, "measure.order", p, func(raw json.RawMessage) error {
		var o room.Ordered
		if err := json.Unmarshal(raw, &o); err != nil {
			return err
		}
		if err := printPreview(a, o.Preview); err != nil {
			return err
		}
		if o.Measure != nil {
			fmt.Fprintf(a.stdout, "\nAusgeführt wegen unmittelbarer Gefahr: %s. Eine zweite Person bestätigt mit\n  leitstand measure confirm %s --as PERSON\n",
				o.Measure.ID, o.Measure.ID)
			return nil
		}
		printConsent(a, *o.Consent)
		return nil
	})
}

func printConsent(a *app, c access.Consent) {
	fmt.Fprintf(a.stdout, "\n%s\nWartet auf eine zweite Person bis %s:\n  leitstand approve %s --as PERSON\n", c.Summary, local(c.Expires), c.ID)
}

// showConsent prints a request for consent.
func showConsent(a *app) func(raw json.RawMessage) error {
	return func(raw json.RawMessage) error {
		var c access.Consent
		if err := json.Unmarshal(raw, &c); err != nil {
			return err
		}
		printConsent(a, c)
		return nil
	}
}

type measureConfirmCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Measure."`
	Reason string `help:"Why."`
}

// Run confirms a measure.
func (c *measureConfirmCmd) Run(a *app) error {
	return c.act(a, c.As, "measure.confirm", map[string]string{"id": c.ID, "reason": c.Reason}, nil)
}

type measureUndoCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Measure."`
	Reason string `help:"Why." required:""`
}

// Run asks to undo a measure.
func (c *measureUndoCmd) Run(a *app) error {
	return c.act(a, c.As, "measure.undo", map[string]string{"id": c.ID, "reason": c.Reason}, showConsent(a))
}

type measureListCmd struct{ roomFlags }

// Run prints the measures.
func (c *measureListCmd) Run(a *app) error {
	return c.act(a, "", "measure.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Keine Maßnahme.", "Maßnahme Stufe Zustand wann von zweite Stellen Komponenten Titel", func(m containment.Measure) []string {
			return []string{m.ID, fmt.Sprint(m.Stage), string(m.State), local(m.OrderedAt), m.OrderedBy, m.SecondBy, fmt.Sprint(len(m.Placements)), componentList(m.Components), m.Title}
		})
	})
}

type approveCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Request for consent, such as c-7KQ2M4XA."`
	Code   string `help:"Code that --person has read over the telephone; --as is who types it in."`
	Person string `help:"Person on the telephone who agrees."`
}

// Run gives the second person's consent.
func (c *approveCmd) Run(a *app) error {
	if (c.Code == "") != (c.Person == "") {
		return errors.New("--code and --person go together: the code is that person's")
	}
	if c.Code != "" {
		return c.act(a, c.As, "code.approve", map[string]string{"id": c.ID, "person": c.Person, "code": c.Code}, nil)
	}
	return c.act(a, c.As, "approve", map[string]string{"id": c.ID}, nil)
}

type declineCmd struct {
	roomFlags
	asFlag
	ID     string `arg:"" help:"Request for consent."`
	Reason string `help:"Why." required:""`
}

// Run declines or withdraws a request.
func (c *declineCmd) Run(a *app) error {
	return c.act(a, c.As, "decline", map[string]string{"id": c.ID, "reason": c.Reason}, nil)
}

type consentCmd struct {
	List consentListCmd `cmd:"" help:"What waits for a second person."`
	Show consentShowCmd `cmd:"" help:"One request with everything that is consented to."`
}

type consentListCmd struct{ roomFlags }

// Run prints the requests.
func (c *consentListCmd) Run(a *app) error {
	return c.act(a, "", "consent.list", nil, func(raw json.RawMessage) error {
		return table(a, raw, "Nichts wartet auf eine zweite Person.", "Anfrage Art von bis Inhalt", func(v access.Consent) []string {
			return []string{v.ID, v.Kind, v.AskedBy, local(v.Expires), strings.ReplaceAll(v.Summary, "\n", " ")}
		})
	})
}

type consentShowCmd struct {
	roomFlags
	ID string `arg:"" help:"Request for consent."`
}

// Run prints one request.
func (c *consentShowCmd) Run(a *app) error {
	return c.act(a, "", "consent.show", map[string]string{"id": c.ID}, nil)
}

func componentList(all []catalogue.ComponentID) string {
	out := make([]string, len(all))
	for i, m := range all {
		out[i] = string(m)
	}
	return strings.Join(out, ", ")
}
