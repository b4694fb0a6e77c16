package warning

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"leitstand/catalogue"
)

// Suggestion is a measure to think about, never an act: people decide. It is
// for one of a system, an environment, a shared component or a site.
type Suggestion struct {
	Component   catalogue.ComponentID   `json:"component,omitempty"` // a single system, or shared machinery
	Environment catalogue.EnvironmentID `json:"environment,omitempty"`
	Site        catalogue.SiteID        `json:"site,omitempty"`
	Stage       int                     `json:"stage"` // of containment: 1 single systems, 2 environments or shared machinery, 3 a site
	Title       string                  `json:"title"` // of the measure
	Why         string                  `json:"why"`
	Signals     []string                `json:"signals"`
	// Preview is what the measure would cost, in the words of containment.
	Preview string `json:"preview"`
}

// Target is the id of what would be taken off.
func (g Suggestion) Target() string {
	return cmp.Or(string(g.Component), string(g.Environment), string(g.Site))
}

// Suggest proposes measures for what undecided signals, or those of an incident,
// point at. A critical signal is reason enough, or two rules that agree; one
// strong signal alone is looked into first. As little as possible is proposed:
// the one system that all of it comes from, when the catalogue knows it, else its
// environment. When environments of a site are affected together, or machinery
// that they share, that comes first in the list, beside them.
func Suggest(all []Signal, c *catalogue.Catalogue) []Suggestion {
	envs, parts := strong(all, c)
	var out []Suggestion
	sites := map[catalogue.SiteID][]string{} // environments with reason enough
	for _, id := range slices.Sorted(maps.Keys(envs)) {
		why, ok := reason(envs[id], "dieselbe Umgebung")
		if !ok {
			continue
		}
		if e, known := c.Environment(id); known {
			sites[e.Site] = append(sites[e.Site], string(id))
		}
		out = append(out, narrow(envs[id], id, why, c))
	}
	for _, id := range slices.Sorted(maps.Keys(parts)) {
		why, ok := reason(parts[id], "dasselbe System")
		if !ok {
			continue
		}
		g := Suggestion{Component: id, Stage: 1, Title: "System trennen", Why: why, Signals: ids(parts[id])}
		if shared(id, c) {
			g.Stage, g.Title = 2, "Gemeinsamen Baustein trennen"
			g.Why += "; andere hängen von ihm ab"
		}
		out = append(out, g)
	}
	for site, hit := range sites {
		if len(hit) > 1 {
			out = append(out, wholeSite(site, hit, envs, c))
		}
	}
	slices.SortFunc(out, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(b.Stage, a.Stage), cmp.Compare(a.Target(), b.Target()))
	})
	return out
}

// strong sorts the signals that count by what they point at: a component whose
// host belongs to no environment, else the environment.
func strong(all []Signal, c *catalogue.Catalogue) (map[catalogue.EnvironmentID][]Signal, map[catalogue.ComponentID][]Signal) {
	envs, parts := map[catalogue.EnvironmentID][]Signal{}, map[catalogue.ComponentID][]Signal{}
	for _, s := range all {
		if s.State == Dismissed || s.Level != "critical" && s.Level != "high" {
			continue
		}
		if s.Environment != "" {
			envs[s.Environment] = append(envs[s.Environment], s)
		} else if id, ok := system(s.Host, c); ok {
			parts[id] = append(parts[id], s)
		}
	}
	return envs, parts
}

// reason says why the signals are enough for a measure.
func reason(list []Signal, where string) (string, bool) {
	rules, critical := map[string]bool{}, ""
	for _, s := range list {
		rules[s.Rule] = true
		if s.Level == "critical" {
			critical = s.Title
		}
	}
	switch {
	case critical != "":
		return "Signal der höchsten Stufe: " + critical, true
	case len(rules) > 1:
		return fmt.Sprintf("%d verschiedene Regeln zeigen auf %s", len(rules), where), true
	}
	return "", false
}

// narrow proposes the one system that all signals of an environment come from,
// when the catalogue knows it, else the environment.
func narrow(list []Signal, env catalogue.EnvironmentID, why string, c *catalogue.Catalogue) Suggestion {
	g := Suggestion{Environment: env, Stage: 2, Title: "Umgebung trennen", Why: why, Signals: ids(list)}
	host := list[0].Host
	for _, s := range list {
		if !strings.EqualFold(s.Host, host) || !ofOneHost(s) {
			return g
		}
	}
	id, ok := system(host, c)
	switch {
	case !ok && host != "":
		g.Why += "; alles kommt von " + host + ", das der Katalog nicht als einzelnes System kennt"
	case ok && shared(id, c):
		g.Component, g.Environment, g.Title = id, "", "Gemeinsamen Baustein trennen"
		g.Why += "; andere hängen von ihm ab"
	case ok:
		g.Component, g.Environment, g.Stage, g.Title = id, "", 1, "System trennen"
		g.Why += "; alles kommt von diesem einen System"
	}
	return g
}

// ofOneHost: a rule about single events groups by host; a correlation may have
// counted many, unless the host is what it groups by.
func ofOneHost(s Signal) bool {
	return strings.EqualFold(s.Group, s.Host) || strings.Contains(strings.ToLower(s.Group)+" ", "="+strings.ToLower(s.Host)+" ")
}

// system finds the component that a host is, by id or name.
func system(host string, c *catalogue.Catalogue) (catalogue.ComponentID, bool) {
	short, _, _ := strings.Cut(host, ".")
	for _, m := range c.Components {
		for _, name := range [...]string{string(m.ID), m.Name} {
			if host != "" && (strings.EqualFold(name, host) || strings.EqualFold(name, short)) {
				return m.ID, true
			}
		}
	}
	return "", false
}

// shared: more than one Kasse rests on the component.
func shared(id catalogue.ComponentID, c *catalogue.Catalogue) bool {
	return catalogue.Impact(c, catalogue.Selection{Components: []catalogue.ComponentID{id}}).Kassen > 1
}

func wholeSite(site catalogue.SiteID, hit []string, envs map[catalogue.EnvironmentID][]Signal, c *catalogue.Catalogue) Suggestion {
	total := 0
	for _, e := range c.Environments {
		if e.Site == site {
			total++
		}
	}
	slices.Sort(hit)
	g := Suggestion{Site: site, Stage: 3, Title: "Standort trennen", Why: fmt.Sprintf("%d von %d Umgebungen des Standorts sind betroffen: %s", len(hit), total, strings.Join(hit, ", "))}
	for _, id := range hit {
		g.Signals = append(g.Signals, ids(envs[catalogue.EnvironmentID(id)])...)
	}
	slices.Sort(g.Signals)
	return g
}

func ids(list []Signal) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.ID)
	}
	slices.Sort(out)
	return out
}
