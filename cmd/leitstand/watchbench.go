package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"leitstand/pure/evtx"
	"leitstand/pure/sigma"
)

type watchBenchCmd struct {
	JSON   bool          `help:"Print one JSON object." name:"json"`
	Rules  string        `help:"Sigma rules: a directory, a zip file or one file." required:"" placeholder:"DIR|ZIP"`
	Map    string        `help:"As for watch." placeholder:"FILE"`
	For    time.Duration `help:"How long to measure each figure." default:"3s"`
	Source []string      `arg:"" help:"EVTX, JSON lines; directories are walked."`
}

// watchFigures are what watch bench prints. Rates are per second of CPU time of
// the process (getrusage) at GOMAXPROCS=1, so they include garbage collection.
type watchFigures struct {
	Events        int     `json:"events"`
	Matches       int     `json:"matches"`
	PerCore       float64 `json:"events_per_second_per_core"`
	P99           float64 `json:"p99_us"`
	RSS           float64 `json:"rss_mb"` // resident when matching, without the events
	Load          float64 `json:"load_seconds"`
	EVTXBytes     float64 `json:"evtx_mb_per_second"`
	EVTXRecords   float64 `json:"evtx_records_per_second"`
	Rules         int     `json:"rules"`
	CorpusMB      float64 `json:"corpus_mb"`
	PeakRSS       float64 `json:"peak_rss_mb"` // of the whole process, events and EVTX files included
	AllocPerEvent float64 `json:"bytes_allocated_per_event"`
}

// Run measures reading of EVTX, then turns all events into flat JSON in memory
// and measures decoding and matching of that.
func (c *watchBenchCmd) Run(a *app) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	var r watchFigures
	lines, err := c.corpus(a, &r)
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		return &exitError{2, errors.New("no events in these sources")}
	}
	debug.FreeOSMemory()
	size := 0
	for _, l := range lines {
		size += len(l)
	}
	r.CorpusMB = float64(size) / 1e6
	before := residentMB()
	start := cpuTime()
	eng, err := loadEngine(a, c.Rules, c.Map, false)
	if err != nil {
		return err
	}
	r.Load, r.Rules = (cpuTime() - start).Seconds(), eng.rules
	debug.FreeOSMemory()
	if err := c.match(a, eng, lines, &r); err != nil {
		return err
	}
	r.RSS = max(residentMB()-r.CorpusMB, residentMB()-before)
	r.PeakRSS = peakMB()
	return c.print(a, &r)
}

// match runs over all events: once to warm up, then for the rate, then for the
// time of single events.
func (c *watchBenchCmd) match(a *app, eng *loadedEngine, lines [][]byte, r *watchFigures) error {
	m, ev := eng.NewMatcher(), eng.NewEvent()
	pass := func() (matches int, err error) {
		for _, l := range lines {
			ev.Reset()
			if err := ev.DecodeJSON(l); err != nil {
				return 0, err
			}
			matches += len(m.Match(ev))
		}
		return matches, a.ctx.Err()
	}
	var err error
	if r.Matches, err = pass(); err != nil {
		return err
	}
	r.Events = len(lines)
	var mem, after runtime.MemStats
	runtime.ReadMemStats(&mem)
	start, passes := cpuTime(), 0
	for ; cpuTime()-start < c.For; passes++ {
		if _, err := pass(); err != nil {
			return err
		}
	}
	r.PerCore = float64(passes*len(lines)) / (cpuTime() - start).Seconds()
	runtime.ReadMemStats(&after)
	r.AllocPerEvent = float64(after.TotalAlloc-mem.TotalAlloc) / float64(passes*len(lines))
	r.P99 = c.slow(m, ev, lines)
	return nil
}

// slow is the 99th percentile of the time for one event. Each event counts
// with the median of five runs, so that another program taking the core for a
// moment is not taken for our doing.
func (c *watchBenchCmd) slow(m *sigma.Matcher, ev *sigma.Event, lines [][]byte) float64 {
	const runs = 5
	took := make([][runs]time.Duration, len(lines))
	for run := range runs {
		for i, l := range lines {
			start := time.Now()
			ev.Reset()
			_ = ev.DecodeJSON(l) // checked before
			_ = m.Match(ev)
			took[i][run] = time.Since(start)
		}
	}
	median := make([]time.Duration, len(lines))
	for i := range took {
		slices.Sort(took[i][:])
		median[i] = took[i][runs/2]
	}
	slices.Sort(median)
	return float64(median[len(median)*99/100].Nanoseconds()) / 1000
}

// benchCorpus is what the sources hold.
type benchCorpus struct {
	files [][]byte // event logs
	lines [][]byte // JSON objects
	ev    *sigma.Event
}

// line takes an object that can be decoded.
func (b *benchCorpus) line(object []byte) error {
	b.ev.Reset()
	err := b.ev.DecodeJSON(object)
	if err == nil {
		b.lines = append(b.lines, bytes.Clone(object))
	}
	return err
}

// corpus reads all sources: EVTX into memory, where reading is measured, then
// everything as flat JSON.
func (c *watchBenchCmd) corpus(a *app, r *watchFigures) ([][]byte, error) {
	w := &watcher{app: a, cmd: &watchRunCmd{}}
	all := benchCorpus{ev: sigma.NewEvent()}
	for _, s := range c.Source {
		for _, j := range w.list(s) {
			f := &fileRun{w: w, bench: &all, errs: a.stderr, name: j.name}
			if err := f.read(j); err != nil {
				fmt.Fprintf(a.stderr, "leitstand: %s left out: %v\n", plain(j.name), err)
			}
		}
	}
	if w.stats.unreadable > 0 {
		return nil, &exitError{code: 2}
	}
	c.read(all.files, r)
	lines := all.lines
	reader := evtx.NewBytesReader(nil)
	var buf []byte
	for _, data := range all.files {
		reader.Reset(bytes.NewReader(data), int64(len(data)))
		for rec, ok := reader.Next(); ok; rec, ok = reader.Next() {
			buf = appendFlat(buf[:0], rec)
			lines = append(lines, bytes.Clone(buf))
		}
	}
	return lines, nil
}

// read measures the EVTX reader on files in memory.
func (c *watchBenchCmd) read(files [][]byte, r *watchFigures) {
	if len(files) == 0 {
		return
	}
	reader := evtx.NewBytesReader(nil)
	size, records := 0, 0
	start := cpuTime()
	for cpuTime()-start < c.For {
		for _, data := range files {
			size += len(data)
			reader.Reset(bytes.NewReader(data), int64(len(data)))
			for _, ok := reader.Next(); ok; _, ok = reader.Next() {
				records++
			}
		}
	}
	took := (cpuTime() - start).Seconds()
	r.EVTXBytes, r.EVTXRecords = float64(size)/1e6/took, float64(records)/took
}

// appendFlat writes a record as flat JSON; fields with several values are lists.
func appendFlat(dst []byte, rec *evtx.Record) []byte {
	dst = append(dst, '{')
	for i := range rec.Fields {
		f := &rec.Fields[i]
		if slices.ContainsFunc(rec.Fields[:i], func(x evtx.Field) bool { return x.Name == f.Name }) {
			continue
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, f.Name), ':')
		var more []*evtx.Field
		for j := i + 1; j < len(rec.Fields); j++ {
			if rec.Fields[j].Name == f.Name {
				more = append(more, &rec.Fields[j])
			}
		}
		if len(more) == 0 {
			dst = appendField(dst, f)
			continue
		}
		dst = appendField(append(dst, '['), f)
		for _, x := range more {
			dst = appendField(append(dst, ','), x)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendField(dst []byte, f *evtx.Field) []byte {
	if f.Null {
		return append(dst, "null"...)
	}
	return appendString(dst, string(f.Text))
}

func appendString(dst []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // a string always encodes
		return append(dst, `""`...)
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// residentMB is what the process holds in memory now.
func residentMB() float64 { return statusMB("VmRSS:") }

// peakMB is the most it ever held.
func peakMB() float64 { return statusMB("VmHWM:") }

func statusMB(key string) float64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, key); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			if err != nil {
				return 0
			}
			return kb * 1024 / 1e6
		}
	}
	return 0
}

func (c *watchBenchCmd) print(a *app, r *watchFigures) error {
	if c.JSON {
		return json.NewEncoder(a.stdout).Encode(r)
	}
	_, err := fmt.Fprintf(a.stdout, `events %d
matches %d
events_per_second_per_core %.0f
p99_us %.1f
rss_mb %.1f
load_seconds %.2f
evtx_mb_per_second %.0f
evtx_records_per_second %.0f
rules %d
corpus_mb %.1f
peak_rss_mb %.1f
bytes_allocated_per_event %.2f
`, r.Events, r.Matches, r.PerCore, r.P99, r.RSS, r.Load, r.EVTXBytes, r.EVTXRecords, r.Rules, r.CorpusMB, r.PeakRSS, r.AllocPerEvent)
	return err
}
