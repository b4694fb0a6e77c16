package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"leitstand/pure/sigma"
	"leitstand/warning"
)

type watchCmd struct {
	Run        watchRunCmd        `cmd:"" default:"withargs" help:"Match logs against Sigma rules. Exit 0: nothing matched, 1: something did, 2: a source could not be read at all, or --strict failed."`
	Bench      watchBenchCmd      `cmd:"" help:"Measure matching and reading on these logs, on one core."`
	Regression watchRegressionCmd `cmd:"" help:"Play events that rules must match: which rules no longer do."`
	Rates      watchRatesCmd      `cmd:"" help:"Detection and false alarm rates of the built-in rules on invented traffic with known answers."`
}

type watchRunCmd struct {
	Rules   string   `help:"Sigma rules: a directory, a zip file or one file. Without it, the built-in rules." placeholder:"DIR|ZIP"`
	Map     string   `help:"Which events a log source means: routes, a Sigma pipeline, or a table in the form of SigmaHQ's thor.yml, in place of the built-in table." placeholder:"FILE"`
	JSON    bool     `help:"One JSON object per match." name:"json"`
	Strict  bool     `help:"Rules that cannot be used are an error."`
	Explain string   `help:"Say for every event why this rule (id or title) matches it or not." placeholder:"RULE"`
	Cost    bool     `help:"Statistics with the cost of every rule."`
	Workers int      `help:"Files read at the same time; 0: one for each core." default:"0"`
	Source  []string `arg:"" help:"EVTX, JSON lines, syslog or other text, zip or gz of these; directories are walked; - is standard input."`
}

// Run matches all sources. Matches go to standard output in the order of the
// sources; everything else to standard error.
func (c *watchRunCmd) Run(a *app) error {
	start := time.Now()
	eng, err := loadEngine(a, c.Rules, c.Map, c.Strict)
	if err != nil {
		return err
	}
	w := &watcher{app: a, cmd: c, eng: eng, start: start}
	if c.Explain != "" {
		if w.explain = eng.find(c.Explain); w.explain == nil {
			return &exitError{2, fmt.Errorf("no usable rule has the id, name or title %q", c.Explain)}
		}
		w.parts = partsOf(w.explain, 0)
	}
	w.sources(c.Source)
	w.correlate()
	w.statistics()
	switch {
	case a.ctx.Err() != nil:
		return &exitError{130, errors.New("interrupted: not all was read")}
	case w.stats.unreadable > 0:
		return &exitError{code: 2}
	case w.stats.matches > 0:
		return &exitError{code: 1}
	}
	return nil
}

// watcher is one run of watch.
type watcher struct {
	app     *app
	cmd     *watchRunCmd
	eng     *loadedEngine
	explain *sigma.Rule
	parts   []*sigma.Rule // about single events, that explain is or counts
	start   time.Time
	stats   watchStats
	seen    []sigma.Observation // for correlations, which need all events in order of time
	costMu  sync.Mutex
	costs   map[*sigma.Rule]*sigma.Cost
	sofar   atomic.Int64 // events, for those who wait
}

// watchStats are the figures at the end.
type watchStats struct {
	files, skipped, unreadable int
	events, matches, damaged   int
	bytes                      int64
	noTime                     uint64
}

func (s *watchStats) add(o watchStats) {
	s.files += o.files
	s.skipped += o.skipped
	s.unreadable += o.unreadable
	s.events += o.events
	s.matches += o.matches
	s.damaged += o.damaged
	s.bytes += o.bytes
	s.noTime += o.noTime
}

// fileRun is the work on one file, by one goroutine.
type fileRun struct {
	w     *watcher
	name  string // as people see it
	out   io.Writer
	errs  io.Writer
	m     *sigma.Matcher
	ev    *sigma.Event
	stats watchStats
	seen  []sigma.Observation
	show  *progress         // of a run over a single source
	left  int64             // bytes that the file may still unpack to
	bench *benchCorpus      // gathers instead of matching
	only  *sigma.Rule       // counts the matches of one rule and prints nothing
	live  *sigma.Correlator // of a stream: nobody waits for its end
}

// event matches one event that is in f.ev.
func (f *fileRun) event(record string) error {
	f.stats.events++
	if f.stats.events&0x3ff == 0 {
		f.w.sofar.Add(0x400)
		f.show.show(fmt.Sprintf("%d events, %d matches", f.stats.events, f.stats.matches))
	}
	if f.w.eng.enrich {
		warning.Enrich(f.ev, time.Local)
	}
	if f.w.explain != nil {
		if err := f.explainEvent(record); err != nil || f.w.explain.Correlation == nil {
			return err
		}
		_ = f.m.Match(f.ev) // for the correlation
		return f.observe(record)
	}
	if f.only != nil {
		_ = f.m.Match(f.ev) // quiet ones too
		if slices.Contains(f.m.All(), f.only) {
			f.stats.matches++
		}
		return nil
	}
	for _, r := range f.m.Match(f.ev) {
		f.stats.matches++
		f.show.clear()
		if err := f.w.print(f.out, f.matchOf(r, record)); err != nil {
			return err
		}
	}
	return f.observe(record)
}

// observe tells correlations what was found.
func (f *fileRun) observe(record string) error {
	obs, skipped := f.w.eng.Observations(f.ev, f.m.All(), f.name+"\x00"+record)
	f.stats.noTime += skipped.NoTime
	if f.live == nil {
		f.seen = append(f.seen, obs...)
		return nil
	}
	for _, o := range obs {
		f.stats.matches += f.w.fired(f.out, f.live.Process(o))
	}
	return nil
}

// explainEvent prints the tests of one rule, or of those that a correlation
// counts, for events of their log sources.
func (f *fileRun) explainEvent(record string) error {
	for _, r := range f.w.parts {
		x := f.m.Explain(r, f.ev)
		if !x.Applies {
			continue
		}
		if x.Matched && f.w.explain.Correlation == nil {
			f.stats.matches++
		}
		if err := f.w.printExplanation(f.out, f.name, record, x); err != nil {
			return err
		}
	}
	return nil
}

// partsOf are the rules about single events that a rule comes down to.
func partsOf(r *sigma.Rule, depth int) []*sigma.Rule {
	const deep = 64
	if r.Correlation == nil {
		return []*sigma.Rule{r}
	}
	var out []*sigma.Rule
	for _, m := range r.Correlation.Members() {
		for _, p := range partsOf(m, depth+1) {
			if depth < deep && !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// correlate feeds what the rules found into the correlations, in order of time
// over all sources.
func (w *watcher) correlate() {
	if len(w.seen) == 0 && (w.explain == nil || w.explain.Correlation == nil) {
		return
	}
	if w.stats.noTime > 0 {
		fmt.Fprintf(w.app.stderr, "leitstand: %d events without a time are left out of correlations\n", w.stats.noTime)
	}
	c := w.eng.NewCorrelator(sigma.CorrelatorOptions{})
	slices.SortStableFunc(w.seen, func(a, b sigma.Observation) int { return a.Time.Compare(b.Time) })
	for _, o := range w.seen {
		w.stats.matches += w.fired(w.app.stdout, c.Process(o))
	}
	w.stats.matches += w.fired(w.app.stdout, c.Flush())
	if w.explain != nil {
		s := c.Stats()
		fmt.Fprintf(w.app.stderr, "%s: %s\n%d hits of its rules counted; came true %d times\n", plain(w.explain.Title), plain(w.explain.Condition()), s.Observed, w.stats.matches)
	}
	if s := c.Stats(); s.NoKey > 0 && (w.explain != nil || w.cmd.Cost) {
		fmt.Fprintf(w.app.stderr, "leitstand: %d hits lack the field that a correlation groups by or counts\n", s.NoKey)
	}
	if s := c.Stats(); s.Evicted+s.Dropped > 0 {
		fmt.Fprintf(w.app.stderr, "leitstand: correlations forgot %d groups and %d values to stay within their memory\n", s.Evicted, s.Dropped)
	}
}

// fired prints correlations that came true and returns how many.
func (w *watcher) fired(out io.Writer, fired []sigma.Fired) (matches int) {
	for _, f := range fired {
		if w.explain != nil && f.Rule != w.explain || w.explain == nil && f.Rule.Quiet {
			continue
		}
		matches++
		m := watchMatch{Rule: f.Rule.ID, Title: f.Rule.Title, Level: f.Rule.Level, Author: f.Rule.Author, License: w.eng.license(f.Rule), Time: stamp(f.Last), Count: f.Count}
		for _, ref := range f.Refs {
			file, record, _ := strings.Cut(ref, "\x00")
			m.File, m.Record = file, recordNumber(record)
			m.Events = append(m.Events, watchRef{file, recordNumber(record)})
		}
		m.Group = map[string]string{}
		for _, kv := range f.GroupBy {
			m.Group[kv.Field] = kv.Value
		}
		if err := w.print(out, m); err != nil {
			return matches
		}
	}
	return matches
}

// notStopped turns a cancelled context into an end without an error message of its own.
func notStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
