package warning

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed cases.jsonl
var ownCases string

const maxCaseFile = 1 << 20

// MustMatch returns the cases that rules must match: our own for the built-in
// rules, and, when dir is named, those of a folder in the form of SigmaHQ's
// regression data: files called like the rule's id with an event as JSON.
func MustMatch(dir string) ([]Case, error) {
	var out []Case
	for line := range strings.Lines(ownCases) {
		var c Case
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			return nil, fmt.Errorf("reading the built-in must-match cases: %w", err)
		}
		out = append(out, c)
	}
	if dir == "" {
		return out, nil
	}
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(p) != ".json" {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Size() > maxCaseFile {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		id := strings.TrimSuffix(filepath.Base(p), ".json")
		out = append(out, Case{Name: p, Rule: id, Lines: []string{string(data)}})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading must-match cases: %w", err)
	}
	return out, nil
}
