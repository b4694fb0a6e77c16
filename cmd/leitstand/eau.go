package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"leitstand/pure/eau"
)

type eauCmd struct {
	Check eauCheckCmd `cmd:"" help:"Check sick notes, cancellations and error messages against the KBV profiles."`
	Show  eauShowCmd  `cmd:"" help:"Print in German what a clerk needs to know of one document."`
	Bench eauBenchCmd `cmd:"" help:"Measure how fast documents are checked, beside plain tokenising."`
}

// maxDocument is how much of a file is read: one byte more than any document may have.
const maxDocument = 4<<20 + 1

type eauCheckCmd struct {
	JSON  bool     `help:"Print one JSON object a file (JSON lines) instead of text." name:"json"`
	At    string   `help:"Day of receipt: the version of the profiles must be accepted on that day, and rules that came into force after it are not applied. Without it each document is judged by its own day of issue." placeholder:"YYYY-MM-DD"`
	All   bool     `help:"Print all findings below each file, not only the first error." short:"a"`
	Files []string `arg:"" help:"Files, directories (every *.xml below them), or - for standard input." name:"file"`
}

// Help says what the codes mean.
func (eauCheckCmd) Help() string {
	return `Exit code 0: everything is valid. 1: something is invalid; XML that is not
well-formed or not UTF-8 counts as invalid. 2: something could not be read, or
wrong usage. Warnings never make a document invalid.

Which rules apply follows from the profile version that the document names and
its day of issue (Composition.date): 1.2.0 until 26.01.2026, 1.2.1 from
27.01.2026. With --at, versions that are no longer accepted on the day of receipt
are errors: 1.0.2 until 31.12.2023, 1.1.0 until 31.03.2026.`
}

// Run checks file after file and remembers the worst outcome.
func (c *eauCheckCmd) Run(a *app) error {
	if c.At != "" {
		if _, err := time.Parse(time.DateOnly, c.At); err != nil {
			return &exitError{2, fmt.Errorf("--at %q is no date of the form YYYY-MM-DD", c.At)}
		}
	}
	s := checkSummary{cmd: c, app: a}
	for _, name := range c.Files {
		if err := eachDocument(a, name, s.document); err != nil {
			if errors.Is(err, a.ctx.Err()) {
				return err
			}
			s.unreadable++
			fmt.Fprintf(a.stderr, "leitstand: %v\n", err)
		}
	}
	return s.finish()
}

// eachDocument calls f with the file, all XML files below the directory, or
// standard input. What cannot be read inside a directory does not stop the rest.
func eachDocument(a *app, name string, f func(name string, b []byte) error) error {
	if name == "-" {
		b, err := io.ReadAll(io.LimitReader(a.stdin, maxDocument))
		if err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
		return f(name, b)
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		b, err := readDocument(name)
		if err != nil {
			return err
		}
		return f(name, b)
	}
	var failed error
	found := false
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if ctxErr := a.ctx.Err(); ctxErr != nil {
			return ctxErr
		}
		if err != nil {
			failed = errors.Join(failed, err)
			return nil // kept in failed; the other files are still checked
		}
		if d.IsDir() || !strings.EqualFold(filepath.Ext(path), ".xml") {
			return nil
		}
		found = true
		b, err := readDocument(path)
		if err != nil {
			failed = errors.Join(failed, err)
			return nil
		}
		return f(path, b)
	})
	if err == nil && failed == nil && !found {
		return fmt.Errorf("no XML file below %s", name)
	}
	return errors.Join(err, failed)
}

func readDocument(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	var b bytes.Buffer
	if _, err := b.ReadFrom(io.LimitReader(f, maxDocument)); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// checkSummary prints each result and counts them.
type checkSummary struct {
	cmd                        *eauCheckCmd
	app                        *app
	valid, invalid, unreadable int
}

// checkResult is the JSON object of a file.
type checkResult struct {
	File     string         `json:"file"`
	Kind     string         `json:"kind"`
	Version  string         `json:"version"`
	Valid    bool           `json:"valid"`
	Findings []checkFinding `json:"findings"`
}

type checkFinding struct {
	Key      string `json:"key"`
	Severity string `json:"severity"`
	Path     string `json:"path"`
	Line     int    `json:"line"`
	Text     string `json:"text"`
	Code     string `json:"code"`
}

func (s *checkSummary) document(name string, b []byte) error {
	r := eau.Check(b, eau.Options{At: s.cmd.At})
	if r.Valid {
		s.valid++
	} else {
		s.invalid++
	}
	if s.cmd.JSON {
		return json.NewEncoder(s.app.stdout).Encode(asResult(name, &r))
	}
	_, err := io.WriteString(s.app.stdout, checkText(name, &r, s.cmd.All))
	return err
}

func asResult(name string, r *eau.Report) checkResult {
	out := checkResult{File: name, Kind: r.Kind.String(), Version: string(r.Version), Valid: r.Valid, Findings: []checkFinding{}}
	for _, f := range r.Findings {
		out.Findings = append(out.Findings, checkFinding{f.Key, f.Severity.String(), f.Path, f.Line, f.Text, f.Code})
	}
	return out
}

// checkText is the line of a file, with all findings below it if asked for.
func checkText(name string, r *eau.Report, all bool) string {
	errs, warnings := 0, 0
	first := ""
	var list strings.Builder
	for _, f := range r.Findings {
		line := fmt.Sprintf("line %d %s %s: %s", f.Line, f.Path, f.Key, f.Text)
		if f.Severity == eau.SeverityError {
			if errs == 0 {
				first = line
			}
			errs++
		} else {
			warnings++
		}
		fmt.Fprintf(&list, "  %s %s\n", f.Severity, line)
	}
	verdict := "valid  "
	if !r.Valid {
		verdict = "INVALID"
	}
	out := fmt.Sprintf("%s %s %s %s", verdict, r.Kind, r.Version, name)
	switch {
	case errs > 0 && !all:
		out += fmt.Sprintf(" (%s, %s) %s", plural(errs, "error"), plural(warnings, "warning"), first)
	case errs+warnings > 0:
		out += fmt.Sprintf(" (%s, %s)", plural(errs, "error"), plural(warnings, "warning"))
	}
	out += "\n"
	if all {
		out += list.String()
	}
	return out
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// finish prints the summary, beside JSON on standard error, and sets the exit code.
func (s *checkSummary) finish() error {
	w := s.app.stdout
	if s.cmd.JSON {
		w = s.app.stderr
	}
	fmt.Fprintf(w, "%d checked: %d valid, %d invalid", s.valid+s.invalid, s.valid, s.invalid)
	if s.unreadable > 0 {
		fmt.Fprintf(w, "; %d could not be read", s.unreadable)
	}
	fmt.Fprintln(w)
	switch {
	case s.unreadable > 0:
		return &exitError{code: 2}
	case s.invalid > 0:
		return &exitError{code: 1}
	}
	return nil
}
