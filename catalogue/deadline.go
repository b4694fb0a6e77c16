package catalogue

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Deadline is an instant that hurts when what stopped has not come back by then.
type Deadline struct {
	At      time.Time `json:"at"`
	Duty    string    `json:"duty,omitempty"` // the dated duty; empty: the MTPD ends
	Service ServiceID `json:"service"`
	Name    string    `json:"name"` // of the service, for people
	// After is the MTPD that ends; 0 for a dated duty.
	After   time.Duration `json:"after_ns,omitempty"`
	Kassen  int           `json:"kassen"`
	Insured int           `json:"insured"` // people of those Kassen
	// Uncertain says that of none of these cells it is known that it stops.
	Uncertain bool `json:"uncertain,omitempty"`
}

// Deadlines lists what is hit and when if the cells that stop, or of which
// nobody knows whether they do, stay away from the given instant on: the end of
// each MTPD, and the next day of each dated duty. The soonest comes first. Days
// begin in from's location.
func Deadlines(c *Catalogue, cells []CellImpact, from time.Time) []Deadline {
	type key struct {
		service ServiceID
		duty    string
		at      int64
	}
	found := map[key]*Deadline{}
	add := func(cell CellImpact, d Deadline) {
		k := key{cell.Service, d.Duty, d.At.UnixNano()}
		if found[k] == nil {
			d.Service, d.Name, d.Uncertain = cell.Service, nameOfService(c, cell.Service), true
			found[k] = &d
		}
		found[k].Kassen++
		found[k].Insured += cell.Insured
		found[k].Uncertain = found[k].Uncertain && cell.Outcome == Uncertain
	}
	for _, cell := range cells {
		if cell.Outcome != Stopped && cell.Outcome != Uncertain {
			continue
		}
		if cell.MTPD > 0 {
			add(cell, Deadline{At: from.Add(cell.MTPD), After: cell.MTPD})
		}
		s, _ := c.Service(cell.Service)
		for _, due := range s.Due {
			if day, ok := due.Next(from); ok {
				add(cell, Deadline{At: day, Duty: due.Name})
			}
		}
	}
	out := make([]Deadline, 0, len(found))
	for _, d := range found {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b Deadline) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Duty, b.Duty))
	})
	return out
}

// When is the instant as people read it: a duty has a day, the end of an MTPD a time.
func (d Deadline) When() string {
	if d.Duty != "" {
		return weekday(d.At) + d.At.Format(" 02.01.2006")
	}
	return weekday(d.At) + d.At.Format(" 02.01.2006, 15:04 Uhr")
}

// What says in German what is hit.
func (d Deadline) What() string {
	if d.Duty != "" {
		return d.Duty
	}
	return fmt.Sprintf("%s länger als %s aus", d.Name, Span(d.After))
}

func weekday(t time.Time) string {
	return [...]string{"So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"}[t.Weekday()]
}

// DeadlineSentence says what is hit first and which dated duties follow; empty without any.
func DeadlineSentence(all []Deadline) string {
	out := ""
	if i := slices.IndexFunc(all, func(d Deadline) bool { return d.Duty == "" }); i >= 0 {
		d := all[i]
		out = fmt.Sprintf("Zuerst untragbar: %s nach %s, am %s.", d.Name, Hours(d.After), d.When())
	}
	for _, d := range all {
		if d.Duty == "" {
			continue
		}
		if out != "" {
			out += " "
		}
		out += fmt.Sprintf("Am %s fällig: %s (%s, %s).", d.When(), d.Duty, d.Name, Counted(d.Kassen, "eine Kasse", "%s Kassen"))
	}
	return out
}
