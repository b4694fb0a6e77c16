package warning

import (
	"cmp"
	"fmt"
	"slices"

	"leitstand/catalogue"
)

// Suggestion is a measure to think about, never an act: people decide.
type Suggestion struct {
	Environment catalogue.EnvironmentID `json:"environment"`
	Stage       int                     `json:"stage"` // of containment: 2, an environment
	Why         string                  `json:"why"`
	Signals     []string                `json:"signals"`
	// Preview is what the measure would cost, in the words of containment.
	Preview string `json:"preview"`
}

// Suggest proposes measures for environments that undecided signals or those of
// an incident point at: to take the environment off for a critical one, or for
// two rules that agree. One strong signal alone is looked into first.
func Suggest(all []Signal) []Suggestion {
	byEnv := map[catalogue.EnvironmentID][]Signal{}
	for _, s := range all {
		if s.Environment != "" && s.State != Dismissed && (s.Level == "critical" || s.Level == "high") {
			byEnv[s.Environment] = append(byEnv[s.Environment], s)
		}
	}
	var out []Suggestion
	for env, list := range byEnv {
		g := Suggestion{Environment: env, Stage: 2}
		rules := map[string]bool{}
		critical := ""
		for _, s := range list {
			rules[s.Rule] = true
			g.Signals = append(g.Signals, s.ID)
			if s.Level == "critical" {
				critical = s.Title
			}
		}
		slices.Sort(g.Signals)
		switch {
		case critical != "":
			g.Why = "Signal der höchsten Stufe: " + critical
		case len(rules) > 1:
			g.Why = fmt.Sprintf("%d verschiedene Regeln zeigen auf dieselbe Umgebung", len(rules))
		default:
			continue
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b Suggestion) int { return cmp.Compare(a.Environment, b.Environment) })
	return out
}
