package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"leitstand/exercise"
	"leitstand/pure/sigma"
	"leitstand/warning"
)

type watchRatesCmd struct {
	Seed    uint64 `help:"Seed of the invented traffic." default:"2023"`
	Days    int    `help:"Days of daily life, 2 or more." default:"7"`
	Attacks int    `help:"How often each attack is played." default:"5"`
	Rules   string `help:"Further Sigma rules: a directory, a zip file or one file. They can only add false alarms." placeholder:"DIR|ZIP"`
	JSON    bool   `name:"json" help:"Print JSON for machines."`
}

// Run measures the rules on invented traffic with known answers.
func (c *watchRatesCmd) Run(a *app) error {
	if c.Days < 2 || c.Days > 60 || c.Attacks < 0 || c.Attacks > 200 {
		return &exitError{2, errors.New("--days is 2 to 60, --attacks 0 to 200")}
	}
	more := warning.RuleFiles{}
	if c.Rules != "" {
		if err := more.Add(c.Rules); err != nil {
			return &exitError{2, err}
		}
	}
	rules, err := warning.CompileRules(more, &sigma.Mapping{})
	if err != nil {
		return &exitError{2, err}
	}
	r := exercise.Rate(rules, exercise.MakeTraffic(c.Seed, c.Days, c.Attacks))
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	fmt.Fprintf(a.stdout, "%d Ereignisse von %d Rechnern in %.0f Tagen, %d Signale.\n", r.Events, r.Hosts, r.Days, r.Signals)
	fmt.Fprintf(a.stdout, "Angriffe über den Schwellen: %d von %d erkannt (%.1f %%). Langsame, darunter: %d von %d.\n", r.Detected, r.Attacks, 100*r.Rate, r.SlowFound, r.Slow)
	fmt.Fprintf(a.stdout, "Fehlalarme: %d, das sind %.2f am Tag, %.4f je Rechner und Tag.\n\n", r.FalseAlarms, r.PerDay, r.PerHostDay)
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "Muster\terkannt\tgespielt")
	for _, p := range r.Patterns {
		fmt.Fprintf(w, "%s\t%d\t%d\n", p.Pattern, p.Detected, p.Attacks)
	}
	for _, f := range r.False {
		fmt.Fprintf(w, "Fehlalarm: %s\t%d\t\n", f.Title, f.Count)
	}
	return w.Flush()
}
