package catalogue

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// table is one list of the catalogue as rows of text, first the column names.
type table struct {
	spec kindSpec
	rows [][]string
}

// ExportCSV writes the catalogue as the files that Import reads back to the
// same content: kassen.csv, standorte.csv, dienste.csv, komponenten.csv,
// platzierungen.csv, with a byte order mark so that Excel reads the umlauts.
func (c *Catalogue) ExportCSV() ([]File, error) {
	var out []File
	for _, t := range c.tables() {
		var b bytes.Buffer
		b.WriteString("\xef\xbb\xbf")
		w := csv.NewWriter(&b)
		w.Comma = ';'
		if err := w.WriteAll(append([][]string{t.spec.fields()}, t.rows...)); err != nil {
			return nil, fmt.Errorf("writing %s.csv: %w", t.spec.list, err)
		}
		out = append(out, File{Name: t.spec.list + ".csv", Data: b.Bytes()})
	}
	return out, nil
}

// ExportYAML writes the catalogue as one file that Import reads back to the same content.
func (c *Catalogue) ExportYAML() (File, error) {
	var doc yaml.MapSlice
	for _, t := range c.tables() {
		var list []yaml.MapSlice
		for _, row := range t.rows {
			var item yaml.MapSlice
			for i, f := range t.spec.fields() {
				if row[i] != "" {
					item = append(item, yaml.MapItem{Key: f, Value: row[i]})
				}
			}
			list = append(list, item)
		}
		if len(list) > 0 {
			doc = append(doc, yaml.MapItem{Key: t.spec.list, Value: list})
		}
	}
	b, err := yaml.Marshal(doc)
	if err != nil {
		return File{}, fmt.Errorf("writing the catalogue as YAML: %w", err)
	}
	return File{Name: "catalogue.yaml", Data: b}, nil
}

// tables lists the normal catalogue, columns in the order of the specs.
func (c *Catalogue) tables() []table {
	n := c.Normal()
	out := make([]table, 0, len(specs()))
	for _, s := range specs() {
		t := table{spec: s}
		switch s.kind {
		case kindKasse:
			for _, k := range n.Kassen {
				t.rows = append(t.rows, []string{
					string(k.ID), k.Name, k.Kind, strings.Join(k.OtherIK, "|"), strings.Join(k.Former, "|"),
					number(k.Insured), ja(k.InsuredAssumed), k.LegalSupervisor, k.DataSupervisor, ja(k.SupervisorsAssumed), k.Note,
				})
			}
		case kindSite:
			for _, x := range n.Sites {
				t.rows = append(t.rows, []string{string(x.ID), x.Name, ja(x.Assumed)})
			}
		case kindService:
			for _, x := range n.Services {
				t.rows = append(t.rows, []string{
					string(x.ID), x.Name, number(x.Criticality), formatHours(x.MTPD), x.Alternative,
					x.Behaviour.String(), strconv.FormatFloat(x.Weight, 'f', -1, 64), dues(x.Due), x.Note,
				})
			}
		case kindComponent:
			for _, x := range n.Components {
				t.rows = append(t.rows, []string{string(x.ID), x.Name, string(x.Site), x.Needs.String(), "", ja(x.Assumed)})
				if !x.Wants.IsZero() {
					t.rows = append(t.rows, []string{string(x.ID), "", string(x.Site), x.Wants.String(), "weich", ""})
				}
			}
		case kindPlacement:
			for _, x := range n.Placements {
				key := []string{string(x.Kasse), string(x.Site), string(x.Service)}
				t.rows = append(t.rows, append(key, x.Needs.String(), "", formatHours(x.MTPD), x.Team, ja(x.Assumed)))
				if !x.Wants.IsZero() {
					t.rows = append(t.rows, append(key[:3:3], x.Wants.String(), "weich", "", "", ""))
				}
			}
		}
		out = append(out, t)
	}
	return out
}

func dues(all []Due) string {
	out := make([]string, len(all))
	for i, d := range all {
		out[i] = d.String()
	}
	return strings.Join(out, "|")
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func ja(b bool) string {
	if b {
		return "ja"
	}
	return ""
}
