package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"leitstand/pure/sigma"
)

// watchMatch is one line of --json.
type watchMatch struct {
	File    string            `json:"file"`
	Record  any               `json:"record"` // EventRecordID, or number of the line
	Time    string            `json:"time"`
	Rule    string            `json:"rule"`
	Title   string            `json:"title"`
	Level   string            `json:"level"`
	Author  string            `json:"author"`
	License string            `json:"license"`
	Count   float64           `json:"count,omitempty"`  // of a correlation
	Group   map[string]string `json:"group,omitempty"`  // of a correlation
	Events  []watchRef        `json:"events,omitempty"` // of a correlation
}

type watchRef struct {
	File   string `json:"file"`
	Record any    `json:"record"`
}

func (f *fileRun) matchOf(r *sigma.Rule, record string) watchMatch {
	at, _ := f.ev.When()
	return watchMatch{
		File: f.name, Record: recordNumber(record), Time: stamp(at), Rule: r.ID, Title: r.Title,
		Level: r.Level, Author: r.Author, License: f.w.eng.license(r),
	}
}

func recordNumber(s string) any {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n
	}
	return s
}

// stamp is RFC 3339, empty when the event has no time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (w *watcher) print(out io.Writer, m watchMatch) error {
	if w.cmd.JSON {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return enc.Encode(m)
	}
	at := m.Time
	if at == "" {
		at = "-"
	}
	_, err := fmt.Fprintf(out, "%s\t%s\t%s:%v\t%s\t%s\t%s\n", at, m.Level, plain(m.File), m.Record, plain(m.Title), m.Rule, plain(m.Author))
	return err
}

// plain keeps foreign text from steering the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '\uFFFD'
		}
		return r
	}, s)
}

type explainLine struct {
	File    string        `json:"file"`
	Record  any           `json:"record"`
	Rule    string        `json:"rule"`
	Matched bool          `json:"matched"`
	Checks  []sigma.Check `json:"checks"`
}

func (w *watcher) printExplanation(out io.Writer, file, record string, x sigma.Explanation) error {
	if w.cmd.JSON {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return enc.Encode(explainLine{file, recordNumber(record), x.Rule.ID, x.Matched, x.Checks})
	}
	verdict := "does not match"
	if x.Matched {
		verdict = "matches"
	}
	if _, err := fmt.Fprintf(out, "%s:%s %s: %s\n", plain(file), record, verdict, plain(x.Rule.Condition())); err != nil {
		return err
	}
	for _, c := range x.Checks {
		mark, value := "-", "absent"
		if c.Holds {
			mark = "+"
		}
		if c.Present {
			value = strconv.Quote(c.Value)
		}
		if c.Field == "" && !c.Present {
			value = "nowhere"
		}
		if _, err := fmt.Fprintf(out, "  %s %s: %s [%s]\n", mark, c.Search, plain(c.Test), value); err != nil {
			return err
		}
	}
	return nil
}

// statistics go to standard error, so that matches can be piped on.
func (w *watcher) statistics() {
	s, took := w.stats, time.Since(w.start)
	fmt.Fprintf(w.app.stderr, "files %d, events %d, matches %d, damaged records %d, other files passed over %d\n",
		s.files, s.events, s.matches, s.damaged, s.skipped)
	fmt.Fprintf(w.app.stderr, "%.1f MB in %.2f s, %.0f events/s, %d rules\n",
		float64(s.bytes)/1e6, took.Seconds(), float64(s.events)/max(took.Seconds(), 1e-9), w.eng.rules)
	if w.explain != nil {
		for _, p := range w.parts {
			fmt.Fprintf(w.app.stderr, "%s: events of other log sources than %s are not shown\n", plain(p.Title), p.Logsource)
		}
	}
	if !w.cmd.Cost {
		return
	}
	var costs []sigma.Cost
	for _, c := range w.costs {
		costs = append(costs, *c)
	}
	slices.SortFunc(costs, func(a, b sigma.Cost) int { return int(b.Time - a.Time) })
	fmt.Fprintf(w.app.stderr, "%12s %10s %10s  rule\n", "time", "evaluated", "matched")
	for _, c := range costs {
		fmt.Fprintf(w.app.stderr, "%12s %10d %10d  %s %s\n", c.Time.Round(time.Microsecond), c.Asked, c.Matched, c.Rule.ID, plain(c.Rule.Title))
	}
}

func (w *watcher) addCosts(costs []sigma.Cost) {
	if w.costs == nil {
		w.costs = map[*sigma.Rule]*sigma.Cost{}
	}
	for _, c := range costs {
		have := w.costs[c.Rule]
		if have == nil {
			have = &sigma.Cost{Rule: c.Rule}
			w.costs[c.Rule] = have
		}
		have.Asked += c.Asked
		have.Matched += c.Matched
		have.Time += c.Time
	}
}
