package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"leitstand/pure/sigma"
	"leitstand/warning"
)

// loadedEngine is an engine with what belongs to its rules.
type loadedEngine struct {
	*sigma.Engine
	set      *sigma.RuleSet
	rules    int
	licenses warning.Licenses
	enrich   bool // the built-in rules ask for fields of warning.Enrich
}

// loadEngine reads rules and names everything that cannot be used on standard error.
func loadEngine(a *app, rules, mapFile string, strict bool) (*loadedEngine, error) {
	files, err := warning.ReadRules(rules)
	if err != nil {
		return nil, &exitError{2, err}
	}
	mapping, problems, err := loadMapping(mapFile)
	if err != nil {
		return nil, &exitError{2, err}
	}
	set, more := mapping.Parse(files.Files)
	problems = append(problems, more...)
	eng, more := sigma.Compile(set, mapping.Options())
	problems = append(problems, more...)
	for _, p := range problems {
		fmt.Fprintf(a.stderr, "leitstand: not usable: %s\n", plain(p.Error()))
	}
	if strict && len(problems) > 0 {
		return nil, &exitError{2, fmt.Errorf("--strict: %d rules or settings cannot be used", len(problems))}
	}
	n := len(set.Rules) + len(set.Correlations)
	if n == 0 {
		return nil, &exitError{2, fmt.Errorf("no usable rule in %q", rules)}
	}
	return &loadedEngine{Engine: eng, set: set, rules: n, licenses: files.Licenses, enrich: rules == ""}, nil
}

func loadMapping(name string) (*sigma.Mapping, []sigma.Problem, error) {
	if name == "" {
		return &sigma.Mapping{}, nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, fmt.Errorf("reading map: %w", err)
	}
	m, problems := sigma.ParseMapping(sigma.File{Name: name, Data: data})
	if m == nil {
		return nil, nil, problems[0]
	}
	return m, problems, nil
}

// find returns a rule or correlation by id, name or title.
func (e *loadedEngine) find(name string) *sigma.Rule {
	for _, r := range slices.Concat(e.set.Rules, e.set.Correlations) {
		if r.ID == name || strings.EqualFold(r.Title, name) || r.Name == name {
			return r
		}
	}
	return nil
}

// license is what the rule says itself, else what the licence file nearest above it says.
func (e *loadedEngine) license(r *sigma.Rule) string { return e.licenses.Of(r) }
