package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"leitstand/pure/sigma"
)

type watchRegressionCmd struct {
	Rules  string   `help:"Sigma rules: a directory, a zip file or one file. Without it, the built-in rules." placeholder:"DIR|ZIP"`
	Map    string   `help:"As for watch." placeholder:"FILE"`
	JSON   bool     `help:"One JSON object per file." name:"json"`
	Strict bool     `help:"Rules that cannot be used are an error."`
	Source []string `arg:"" help:"Directories of files that are named after the id of the rule that must match them, as SigmaHQ's regression data: ID.evtx, ID.json, ID.raw; info.yml beside them may name the least number of matches."`
}

// regressionLine is what is said about one file.
type regressionLine struct {
	File    string `json:"file"`
	Rule    string `json:"rule"`
	Title   string `json:"title,omitempty"`
	Events  int    `json:"events"`
	Matches int    `json:"matches"`
	Want    int    `json:"want,omitempty"` // at least, when info.yml says so; else one
	OK      bool   `json:"ok"`
	Reason  string `json:"reason,omitempty"`
}

// Run plays every file and says which rules no longer find their events. Exit
// 0: all do, 1: some do not, 2: a source could not be read, or there was none.
func (c *watchRegressionCmd) Run(a *app) error {
	eng, err := loadEngine(a, c.Rules, c.Map, c.Strict)
	if err != nil {
		return err
	}
	byID := map[string]*sigma.Rule{}
	for _, r := range eng.set.Rules {
		byID[r.ID] = r
	}
	w := &watcher{app: a, cmd: &watchRunCmd{}, eng: eng}
	f := w.newRun()
	files, failed, rules := 0, 0, map[string]bool{}
	for _, s := range c.Source {
		for _, j := range w.list(s) {
			if a.ctx.Err() != nil {
				return &exitError{130, errors.New("interrupted: not all was read")}
			}
			line := f.regression(j, byID)
			files++
			rules[line.Rule] = true
			if !line.OK {
				failed++
			}
			if err := c.say(a, line); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(a.stderr, "files %d, rules %d, failed %d\n", files, len(rules), failed)
	switch {
	case w.stats.unreadable > 0:
		return &exitError{code: 2}
	case files == 0:
		return &exitError{2, errors.New("no file named after a rule is there")}
	case failed > 0:
		return &exitError{code: 1}
	}
	return nil
}

// regression plays one file against the rule it is named after.
func (f *fileRun) regression(j job, byID map[string]*sigma.Rule) regressionLine {
	id, _, _ := strings.Cut(filepath.Base(j.path), ".")
	line := regressionLine{File: j.name, Rule: id}
	r := byID[id]
	if r == nil {
		line.Reason = "no usable rule has this id"
		return line
	}
	var err error
	if line.Want, err = wantedMatches(j.path); err != nil {
		line.Reason = err.Error()
		return line
	}
	f.name, f.out, f.errs, f.stats, f.only = j.name, io.Discard, f.w.app.stderr, watchStats{}, r
	err = f.read(j)
	line.Title, line.Events, line.Matches = r.Title, f.stats.events, f.stats.matches
	switch {
	case err != nil:
		line.Reason = err.Error()
	case line.Matches < max(line.Want, 1):
		line.Reason = fmt.Sprintf("%d matches in %d events, want %d", line.Matches, line.Events, max(line.Want, 1))
	default:
		line.OK = true
	}
	return line
}

// wantedMatches is the count that info.yml names for the file, 0 when it names
// none. It is the least: two of SigmaHQ's event logs hold more events that fit
// their rule than it says.
func wantedMatches(p string) (int, error) {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(p), "info.yml"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var info struct {
		Tests []struct {
			Type  string `yaml:"type"`
			Count int    `yaml:"match_count"`
			Path  string `yaml:"path"`
		} `yaml:"regression_tests_info"`
	}
	if err := yaml.Unmarshal(data, &info); err != nil {
		return 0, fmt.Errorf("reading info.yml: %w", err)
	}
	for _, t := range info.Tests {
		if filepath.Base(t.Path) == filepath.Base(p) {
			return t.Count, nil
		}
	}
	return 0, nil
}

func (c *watchRegressionCmd) say(a *app, line regressionLine) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(line)
	}
	if line.OK {
		return nil
	}
	_, err := fmt.Fprintf(a.stdout, "%s\t%s\t%s\t%s\n", plain(line.File), line.Rule, plain(line.Title), plain(line.Reason))
	return err
}
