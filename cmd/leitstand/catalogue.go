package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"leitstand/catalogue"
)

type catalogueCmd struct {
	Check  catalogueCheckCmd  `cmd:"" help:"Check catalogue files (CSV, YAML) or a folder of them; exits 1 and names file, line and field of every mistake."`
	Show   catalogueShowCmd   `cmd:"" help:"Show a catalogue: from files, the case of 2023, or the one for practice."`
	Impact catalogueImpactCmd `cmd:"" help:"Show what would stop if something were gone. Changes nothing."`
	Cut    catalogueCutCmd    `cmd:"" help:"Suggest what to cut off so that what is compromised cannot reach what to protect. Changes nothing."`
	Merge  catalogueMergeCmd  `cmd:"" help:"Show what files of other tools (Backstage, CycloneDX, NetBox, Ansible, Kubernetes, Compose) would change, and write it with --to."`
	Export catalogueExportCmd `cmd:"" help:"Write a catalogue as CSV files into a folder, to start from."`
}

// catalogueSource says which catalogue a command is about.
type catalogueSource struct {
	Files   []string `arg:"" optional:"" name:"file" help:"CSV or YAML files, or a folder."`
	Case    string   `help:"A built-in case: 2023." enum:",2023" default:""`
	Example bool     `help:"The catalogue for practice, with invented tenants."`
	Seed    uint64   `help:"Seed for values nobody published." default:"1"`
}

func (s catalogueSource) open() (*catalogue.Catalogue, error) {
	named := 0
	for _, is := range []bool{len(s.Files) > 0, s.Case != "", s.Example} {
		if is {
			named++
		}
	}
	switch {
	case named != 1:
		return nil, errors.New("name files, --case 2023 or --example, exactly one of them")
	case s.Example:
		return catalogue.Example(s.Seed), nil
	case s.Case == "2023":
		return catalogue.Case2023(s.Seed), nil
	}
	files, err := catalogueFiles(s.Files)
	if err != nil {
		return nil, err
	}
	return catalogue.Import(files...)
}

// catalogueFiles reads files and folders, named as the person named them.
func catalogueFiles(paths []string) ([]catalogue.File, error) {
	var out []catalogue.File
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		dir, name := p, "."
		if !info.IsDir() {
			dir, name = filepath.Dir(p), filepath.Base(p)
		}
		files, err := catalogue.ReadFiles(os.DirFS(dir), name)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			f.Name = filepath.Join(dir, f.Name)
			out = append(out, f)
		}
	}
	return out, nil
}

type catalogueCheckCmd struct {
	Files []string `arg:"" name:"file" help:"CSV or YAML files, or a folder."`
	JSON  bool     `name:"json" help:"Print {\"ok\",\"problems\":[{\"file\",\"line\",\"field\",\"text\"}],…} instead."`
}

// checked is what check prints with --json.
type checked struct {
	OK       bool                `json:"ok"`
	Problems []catalogue.Problem `json:"problems"`
	SHA256   string              `json:"sha256,omitempty"`
	Kassen   int                 `json:"kassen"`
	Cells    int                 `json:"cells"`
	Places   int                 `json:"placements"`
	Cycles   [][]string          `json:"cycles,omitempty"`
}

// Run prints every problem, one a line, or what the files come to.
func (cmd catalogueCheckCmd) Run(a *app) error {
	files, err := catalogueFiles(cmd.Files)
	if err != nil {
		return err
	}
	c, err := catalogue.Import(files...)
	out := checked{OK: err == nil, Problems: []catalogue.Problem{}}
	var problems catalogue.Problems
	switch {
	case errors.As(err, &problems):
		out.Problems = problems
	case err != nil:
		return err
	default:
		out.SHA256, out.Kassen, out.Cells = c.Hash(), len(c.Kassen), len(c.Cells())
		out.Places, out.Cycles = len(c.Placements), catalogue.Cycles(c)
	}
	if cmd.JSON {
		if err := printJSON(a, out); err != nil {
			return err
		}
	} else if out.OK {
		fmt.Fprintf(a.stdout, "ok: %d Kassen, %d cells, %d placements, %d cycles, sha256 %s\n", out.Kassen, out.Cells, out.Places, len(out.Cycles), out.SHA256)
	} else {
		fmt.Fprintln(a.stdout, problems.Error())
	}
	if !out.OK {
		return &exitError{code: 1}
	}
	return nil
}

func printJSON(a *app, v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

type catalogueShowCmd struct {
	catalogueSource
	JSON bool `name:"json" help:"Print the whole catalogue as JSON."`
}

// Run prints the Kassen and what stands out: cycles and single points.
func (cmd catalogueShowCmd) Run(a *app) error {
	c, err := cmd.open()
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(a, c.Normal())
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "IK\tKasse\tKind\tInsured\tSites")
	for _, k := range c.Kassen {
		var sites []string
		for _, s := range c.Sites {
			if e, ok := c.Environment(catalogue.EnvironmentOf(k.ID, s.ID)); ok {
				sites = append(sites, fmt.Sprintf("%s %d", e.Site, len(c.PlacementsIn(e.ID))))
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Kind, insured(k), strings.Join(sites, ", "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\n%d Kassen × %d services = %d cells, %d placements at %d sites, %d components\nsha256 %s\n",
		len(c.Kassen), len(c.Services), len(c.Cells()), len(c.Placements), len(c.Sites), len(c.Components), c.Hash())
	for _, g := range catalogue.Cycles(c) {
		fmt.Fprintf(a.stdout, "rest on each other: %s\n", strings.Join(g, ", "))
	}
	points := catalogue.SinglePoints(c)
	for _, p := range points[:min(len(points), 10)] {
		fmt.Fprintf(a.stdout, "single point: %s stops %d cells of %d Kassen, %s insured\n", p.Node, p.Stopped, p.Kassen, catalogue.Thousands(p.Insured))
	}
	return nil
}

// insured marks an assumed figure with ~.
func insured(k catalogue.Kasse) string {
	switch {
	case k.Insured == 0:
		return "unknown"
	case k.InsuredAssumed:
		return "~" + catalogue.Thousands(k.Insured)
	}
	return catalogue.Thousands(k.Insured)
}

type catalogueCutCmd struct {
	catalogueSource
	Compromised []string `help:"What the attacker holds, by id or name." required:"" placeholder:"NAME"`
	Protect     []string `help:"What must stay out of reach and running." required:"" placeholder:"NAME"`
	Keep        []string `help:"What must not be cut." placeholder:"NAME"`
	JSON        bool     `name:"json" help:"Print the options as JSON, the cheapest first."`
}

// Run prints the options, the cheapest first, each with its price.
func (cmd catalogueCutCmd) Run(a *app) error {
	c, err := cmd.open()
	if err != nil {
		return err
	}
	var req catalogue.CutRequest
	for _, x := range []struct {
		names []string
		to    *catalogue.Selection
	}{{cmd.Compromised, &req.Compromised}, {cmd.Protect, &req.Protect}, {cmd.Keep, &req.Keep}} {
		if *x.to, err = catalogue.ParseSelection(c, x.names...); err != nil {
			return err
		}
	}
	options, err := catalogue.SuggestCut(c, req)
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(a, options)
	}
	for i, o := range options {
		fmt.Fprintf(a.stdout, "%d. %s (Schaden %s je Stunde)\n   abtrennen:", i+1, o.Name, catalogue.Thousands(int(o.Impact.Weight)))
		for _, id := range o.Components {
			fmt.Fprintf(a.stdout, " %s", id)
		}
		for _, id := range o.Environments {
			fmt.Fprintf(a.stdout, " %s", id)
		}
		fmt.Fprintf(a.stdout, "\n   %s\n", o.Impact.Sentence(c))
	}
	return nil
}

type catalogueMergeCmd struct {
	catalogueSource
	From   []string `required:"" help:"Files of the other tool." placeholder:"FILE"`
	Format string   `help:"backstage, cyclonedx, netbox, ansible, kubernetes or compose; found out when not given."`
	Site   string   `required:"" help:"Site of everything that names none."`
	Prefix string   `help:"Comes before every id, so that two tools may use one name." placeholder:"NAME"`
	To     string   `help:"Folder to write the merged catalogue into, as CSV; without it nothing is written." placeholder:"DIR"`
	JSON   bool     `name:"json" help:"Print differences and notes as JSON instead."`
}

// Run prints every difference, then what was left out.
func (cmd catalogueMergeCmd) Run(a *app) error {
	c, err := cmd.open()
	if err != nil {
		return err
	}
	files, err := foreignFiles(cmd.From)
	if err != nil {
		return err
	}
	part, err := catalogue.ReadForeign(catalogue.Reading{Format: catalogue.Format(cmd.Format), Site: catalogue.SiteID(cmd.Site), Prefix: cmd.Prefix}, files...)
	if err != nil {
		return err
	}
	merged := catalogue.Merge(c, part)
	if err := merged.Validate(); err != nil {
		return err
	}
	differences := catalogue.Diff(c, merged)
	if cmd.JSON {
		out := struct {
			Differences []catalogue.Difference `json:"differences"`
			Notes       []string               `json:"notes"`
		}{append([]catalogue.Difference{}, differences...), append([]string{}, part.Notes...)}
		if err := printJSON(a, out); err != nil {
			return err
		}
	} else {
		for _, d := range differences {
			fmt.Fprintln(a.stdout, d)
		}
		for _, n := range part.Notes {
			fmt.Fprintln(a.stdout, "note:", n)
		}
	}
	if cmd.To == "" {
		fmt.Fprintf(a.stderr, "%d differences; nothing was written (--to DIR writes)\n", len(differences))
		return nil
	}
	return writeCatalogue(a, merged, cmd.To)
}

// foreignFiles reads files by name only: which of a folder belong to the other
// tool, nobody can tell.
func foreignFiles(names []string) ([]catalogue.File, error) {
	var out []catalogue.File
	for _, n := range names {
		info, err := os.Stat(n)
		if err != nil {
			return nil, err
		}
		if info.Size() > catalogue.MaxYAML {
			return nil, fmt.Errorf("%s: %d bytes, at most %d", n, info.Size(), catalogue.MaxYAML)
		}
		b, err := os.ReadFile(n)
		if err != nil {
			return nil, err
		}
		out = append(out, catalogue.File{Name: n, Data: b})
	}
	return out, nil
}

type catalogueExportCmd struct {
	catalogueSource
	To string `required:"" help:"Folder to write kassen.csv, standorte.csv, dienste.csv, komponenten.csv and platzierungen.csv into; existing files are not overwritten." placeholder:"DIR"`
}

// Run writes the files, each only if it is not there yet.
func (cmd catalogueExportCmd) Run(a *app) error {
	c, err := cmd.open()
	if err != nil {
		return err
	}
	return writeCatalogue(a, c, cmd.To)
}

// writeCatalogue writes the files of a catalogue into a folder, each only if it
// is not there yet.
func writeCatalogue(a *app, c *catalogue.Catalogue, dir string) error {
	files, err := c.ExportCSV()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, f := range files {
		if err := writeNew(filepath.Join(dir, f.Name), f.Data); err != nil {
			return err
		}
		fmt.Fprintln(a.stderr, filepath.Join(dir, f.Name))
	}
	return nil
}

func writeNew(name string, data []byte) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(data)
	return err
}
