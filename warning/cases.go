package warning

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"leitstand/pure/evtx"
	"leitstand/pure/sigma"
)

//go:embed cases.jsonl
var ownCases string

const maxCaseFile = 2 << 20

// Case is log lines, or an event log, that a rule must match.
type Case struct {
	Name  string   `json:"name"`
	Rule  string   `json:"rule"`
	Lines []string `json:"lines"`

	log []byte // EVTX
}

// play feeds the case to a detector and says whether something is found that is wanted.
func (c Case) play(d *Detector, at time.Time, wanted func(Hit) bool) bool {
	for _, line := range c.Lines {
		if slices.ContainsFunc(d.Line([]byte(line), at), wanted) {
			return true
		}
	}
	r := evtx.NewBytesReader(c.log)
	for rec, ok := r.Next(); ok; rec, ok = r.Next() {
		if slices.ContainsFunc(d.Record(func(ev *sigma.Event) { FillEVTX(ev, rec) }), wanted) {
			return true
		}
	}
	return false
}

// MustMatch returns the cases that rules must match: our own for the built-in
// rules, and, when dir is named, those of a folder in the form of SigmaHQ's
// regression data: files called like the rule's id, with events as EVTX, JSON or
// lines (ID.evtx, ID.json, ID.raw).
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
		if err != nil || e.IsDir() || !slices.Contains([]string{".evtx", ".json", ".raw"}, filepath.Ext(p)) {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxCaseFile {
			return fmt.Errorf("%q has more than %d bytes: a case is an event or a few", p, maxCaseFile)
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		c, err := caseOf(p, data)
		if err == nil {
			out = append(out, c)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading must-match cases: %w", err)
	}
	return out, nil
}

// caseOf reads one file: JSON holds one event or several.
func caseOf(p string, data []byte) (Case, error) {
	ext := filepath.Ext(p)
	c := Case{Name: p, Rule: strings.TrimSuffix(filepath.Base(p), ext)}
	switch ext {
	case ".evtx":
		c.log = data
	case ".raw":
		c.Lines = slices.Collect(strings.Lines(string(data)))
	default:
		for dec := json.NewDecoder(bytes.NewReader(data)); ; {
			var object json.RawMessage
			err := dec.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return c, fmt.Errorf("%q is no JSON: %w", p, err)
			}
			c.Lines = append(c.Lines, string(object))
		}
	}
	return c, nil
}
