package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/room"
)

type catalogueImpactCmd struct {
	catalogueSource
	impactShow
	Gone []string  `help:"What is gone: Kassen, sites, services, components, environments, placements, by id or name." required:"" placeholder:"NAME"`
	From time.Time `help:"When it is gone, such as 2023-04-24T22:00:00+02:00: shows which MTPD and dated duties it hits when. Default: now." placeholder:"TIME"`
}

// impactShow says how a result is printed.
type impactShow struct {
	Graph string `help:"Print a picture instead: dot (Graphviz), mermaid or svg." enum:",dot,mermaid,svg" default:""`
	JSON  bool   `name:"json" help:"Print the whole result as JSON."`
}

// impactJSON is a result with its dates.
type impactJSON struct {
	catalogue.Result
	Sentence  string               `json:"sentence"`
	Deadlines []catalogue.Deadline `json:"deadlines"`
}

// Run prints a sentence, the dates, and what is hit with its reasons.
func (cmd catalogueImpactCmd) Run(a *app) error {
	c, err := cmd.open()
	if err != nil {
		return err
	}
	gone, err := catalogue.ParseSelection(c, cmd.Gone...)
	if err != nil {
		return err
	}
	from := cmd.From
	if from.IsZero() {
		from = time.Now().Truncate(time.Minute)
	}
	return cmd.print(a, c, catalogue.Impact(c, gone), from)
}

func (show impactShow) print(a *app, c *catalogue.Catalogue, r catalogue.Result, from time.Time) error {
	deadlines := catalogue.Deadlines(c, r.Cells, from.In(containment.Zone()))
	switch {
	case show.Graph != "" && show.JSON:
		return errors.New("--graph and --json: one of them")
	case show.Graph != "":
		return show.draw(a, r.Diagram(c))
	case show.JSON:
		return printJSON(a, impactJSON{Result: r, Sentence: r.Sentence(c), Deadlines: deadlines})
	}
	return printImpact(a, r, r.Sentence(c), deadlines)
}

func printImpact(a *app, r catalogue.Result, sentence string, deadlines []catalogue.Deadline) error {
	fmt.Fprintf(a.stdout, "%s\n\n", sentence)
	if err := printDeadlines(a, deadlines); err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, n := range r.Nodes {
		fmt.Fprintf(w, "%s\t%s\t%s\n", n.Outcome, n.Node, strings.Join(n.Chain, " → "))
	}
	return w.Flush()
}

func (show impactShow) draw(a *app, d catalogue.Diagram) error {
	text := map[string]func() string{"dot": d.DOT, "mermaid": d.Mermaid, "svg": d.SVG}[show.Graph]
	_, err := fmt.Fprint(a.stdout, text())
	return err
}

// printDeadlines prints what is hit when, the soonest first; nothing without any.
func printDeadlines(a *app, all []catalogue.Deadline) error {
	if len(all) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Wann\tWas\tKassen\tVersicherte")
	for _, d := range all {
		what := d.What()
		if d.Uncertain {
			what += " (ungewiss)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.When(), what, catalogue.Thousands(d.Kassen), catalogue.Thousands(d.Insured))
	}
	fmt.Fprintln(w)
	return w.Flush()
}

// impactCmd is the same in a room: what is off already is no news, and what
// nobody has confirmed lately is unknown.
type impactCmd struct {
	roomFlags
	Gone  []string `help:"What would be gone: Kassen, sites, services, components, environments, placements, by id or name." required:"" placeholder:"NAME"`
	Graph string   `help:"Print a picture instead: dot (Graphviz), mermaid or svg." enum:",dot,mermaid,svg" default:""`
}

// Run prints what the room answers.
func (c *impactCmd) Run(a *app) error {
	return c.act(a, "", "impact", map[string]any{"gone": c.Gone}, func(raw json.RawMessage) error {
		var p room.ImpactPreview
		if err := json.Unmarshal(raw, &p); err != nil {
			return err
		}
		if c.Graph != "" {
			return impactShow{Graph: c.Graph}.draw(a, p.Diagram)
		}
		return printImpact(a, p.Result, p.Sentence, p.Deadlines)
	})
}
