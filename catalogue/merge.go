package catalogue

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Merge adds what foreign files know to a catalogue: unknown sites and
// components are added; for known components (by id) the name and what they rest
// on are taken over, unless the part knows nothing of it. Nothing is removed,
// and placements stay as they are. c is not changed.
func Merge(c *Catalogue, part Part) *Catalogue {
	out := c.Normal()
	for _, s := range part.Sites {
		if !slices.ContainsFunc(out.Sites, func(t Site) bool { return t.ID == s.ID }) {
			out.Sites = append(out.Sites, s)
		}
	}
	index := map[ComponentID]int{}
	for i := range out.Components {
		index[out.Components[i].ID] = i
	}
	for _, m := range part.Components {
		i, known := index[m.ID]
		if !known {
			out.Components = append(out.Components, m)
			continue
		}
		old := &out.Components[i]
		old.Name, old.Assumed = m.Name, false // somebody has reported it
		if !m.Needs.IsZero() {
			old.Needs = m.Needs
		}
		if !m.Wants.IsZero() {
			old.Wants = m.Wants
		}
	}
	return out.Normal()
}

// Difference is one thing that two catalogues say differently.
type Difference struct {
	List   string `json:"list"` // kassen, standorte, dienste, komponenten, platzierungen
	ID     string `json:"id"`
	What   string `json:"what"`            // added, removed, changed
	Field  string `json:"field,omitempty"` // of what changed
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

const (
	added   = "added"
	removed = "removed"
	changed = "changed"
)

// String is one line for a person.
func (d Difference) String() string {
	switch d.What {
	case added:
		return fmt.Sprintf("+ %s %s", d.List, d.ID)
	case removed:
		return fmt.Sprintf("- %s %s", d.List, d.ID)
	}
	return fmt.Sprintf("~ %s %s: %s %q → %q", d.List, d.ID, d.Field, d.Before, d.After)
}

// Diff lists what changes from one catalogue to another, in the words of the
// import files.
func Diff(from, to *Catalogue) []Difference {
	var out []Difference
	a, b := from.tables(), to.tables()
	for i := range a {
		before, after := a[i].byID(), b[i].byID()
		for _, id := range slices.Sorted(maps.Keys(before)) {
			if after[id] == nil {
				out = append(out, Difference{List: a[i].spec.list, ID: id, What: removed})
			}
		}
		for _, id := range slices.Sorted(maps.Keys(after)) {
			if before[id] == nil {
				out = append(out, Difference{List: a[i].spec.list, ID: id, What: added})
				continue
			}
			for j, field := range a[i].spec.fields() {
				if x, y := before[id][j], after[id][j]; x != y {
					out = append(out, Difference{List: a[i].spec.list, ID: id, What: changed, Field: field, Before: x, After: y})
				}
			}
		}
	}
	return out
}

// byID gives the rows of a table by the identity of what they are about. The
// second row of a thing holds what it only wants.
func (t table) byID() map[string][]string {
	art := slices.Index(t.spec.fields(), "art")
	out := make(map[string][]string, len(t.rows))
	for _, row := range t.rows {
		id := row[0]
		if t.spec.kind == kindPlacement {
			id = strings.Join([]string{row[0], row[2], row[1]}, "/")
		}
		if art >= 0 && row[art] != "" {
			id += " (" + row[art] + ")"
		}
		out[id] = row
	}
	return out
}
