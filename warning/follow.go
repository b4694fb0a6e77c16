package warning

import (
	"bufio"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/pure/sigma"
)

//go:embed rules/*.yml
var builtin embed.FS

// maxLine bounds one log line; what is longer is cut and says so by its end.
const maxLine = 64 << 10

// Watcher matches the lines of followed log files against rules.
type Watcher struct {
	rules []*sigma.Rule
	// Place says which environment a host belongs to; empty means unknown.
	Place func(host string) catalogue.EnvironmentID
	// Owner says who gets a signal of a level.
	Owner string
}

// NewWatcher compiles the built-in rules. A rule of ours that cannot be used is
// an error, never skipped.
func NewWatcher(owner string, place func(host string) catalogue.EnvironmentID) (*Watcher, error) {
	names, err := builtin.ReadDir("rules")
	if err != nil {
		return nil, fmt.Errorf("reading built-in rules: %w", err)
	}
	var files []sigma.File
	for _, n := range names {
		data, err := builtin.ReadFile("rules/" + n.Name())
		if err != nil {
			return nil, fmt.Errorf("reading built-in rules: %w", err)
		}
		files = append(files, sigma.File{Name: n.Name(), Data: data})
	}
	set, problems := sigma.ParseRules(files)
	if len(problems) > 0 {
		return nil, fmt.Errorf("built-in rule cannot be used: %w", problems[0])
	}
	return &Watcher{rules: set.Rules, Place: place, Owner: owner}, nil
}

// line is "time host program[pid]: message", as syslog daemons write it with RFC 3339 times.
var line = regexp.MustCompile(`^(\S+)\s+(\S+)\s+([^:\[\s]+)(?:\[\d+\])?:\s*(.*)$`)

// Line matches one log line and returns a signal per rule that it hits.
func (w *Watcher) Line(text string) []Signal {
	ev := sigma.NewEvent()
	host, program := "", ""
	if m := line.FindStringSubmatch(text); m != nil {
		host, program = m[2], m[3]
		ev.Add("host", host)
		ev.Add("program", program)
		ev.Add("message", m[4])
	} else {
		ev.Add("message", text)
	}
	var out []Signal
	for _, r := range w.rules {
		if r.Logsource.Service != "" && r.Logsource.Service != program {
			continue
		}
		if r.Matches(ev) {
			out = append(out, Signal{
				Rule: r.ID, RuleVersion: r.Version(), Title: r.Title, Level: r.Level, Author: r.Author, License: r.License,
				Host: host, Environment: w.Place(host), Owner: w.Owner,
			})
		}
	}
	return out
}

// Follow reads what was written to a log file since the last call and raises
// signals. Position, signals and what also does with them are one transaction: a
// restart continues where it stopped. A file that became shorter was rotated and
// is read from its start.
func (w *Watcher) Follow(ctx context.Context, d *db.DB, now time.Time, file string, also func(ctx context.Context, tx *db.Tx, raised []Signal) error) ([]Signal, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("following %q: %w", file, err)
	}
	var from int64
	err = d.QueryRow(ctx, `select position from followed where file = $1`, abs).Scan(&from)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("following %q: %w", file, err)
	}
	lines, to, err := readLines(abs, from)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // not written yet
	}
	if err != nil {
		return nil, fmt.Errorf("following %q: %w", file, err)
	}
	if to == from {
		return nil, nil
	}
	var raised []Signal
	err = d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		raised = raised[:0]
		for _, text := range lines {
			for _, s := range w.Line(text) {
				s, err := Raise(ctx, tx, now, s, text)
				if err != nil {
					return err
				}
				raised = append(raised, s)
			}
		}
		if also != nil {
			if err := also(ctx, tx, raised); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `insert into followed (file, position) values ($1, $2)
			on conflict (file) do update set position = excluded.position`, abs, to)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("following %q: %w", file, err)
	}
	return raised, nil
}

// readLines returns the whole lines after from and where they end.
func readLines(file string, from int64) ([]string, int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, from, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, from, err
	}
	if info.Size() < from {
		from = 0
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return nil, from, err
	}
	r := bufio.NewReaderSize(f, maxLine)
	var lines []string
	for {
		text, err := r.ReadSlice('\n')
		switch {
		case err == nil || errors.Is(err, bufio.ErrBufferFull):
			from += int64(len(text))
			lines = append(lines, string(trimEnd(text)))
		case errors.Is(err, io.EOF): // half a line: it comes again when it is whole
			return lines, from, nil
		default:
			return nil, from, err
		}
	}
}

func trimEnd(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}
