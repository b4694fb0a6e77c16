package warning

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"leitstand/pure/sigma"
)

// Hit is a rule that holds: for one event, or for several that belong together.
type Hit struct {
	ID      string // of a hit that came over a log bus: the same when it comes again
	Rule    *sigma.Rule
	License string
	Host    string    // of the last event
	Group   string    // what repeated hits are grouped by, beside the rule
	At      time.Time // of the last event; zero when it does not say
	Events  []string  // raw
	Matched []string  // what matched and why, for people
	// Early: half of the limit of a correlation was reached. It counts only for what
	// is under observation.
	Early bool
}

const (
	maxHitEvent = 8 << 10 // bytes of a raw event that a signal keeps
	maxRefEvent = 1024    // bytes of a raw event that a correlation remembers
	maxChecks   = 12
	maxCheck    = 300
)

// DetectorOptions of NewDetector. The zero value means UTC and no exceptions.
type DetectorOptions struct {
	Early bool           // also hits marked early, for what may be under observation
	Zone  *time.Location // night is night here
	// Except names the exception that a hit of the rule on the event falls under.
	Except func(r *sigma.Rule, ev *sigma.Event) (id string, ok bool)
	// Limits bound the state of correlations.
	Limits sigma.CorrelatorOptions
	// Observed takes what single events mean for correlations, in place of the
	// detector's own memory: several workers share the load.
	Observed func(o sigma.Observation)
}

// Detector matches events one after the other and correlates what it finds. It
// belongs to one goroutine.
type Detector struct {
	rules *Rules
	opt   DetectorOptions
	m     *sigma.Matcher
	ev    *sigma.Event
	probe *sigma.Event // a remembered event, read again
	corr  *sigma.Correlator
	stats DetectorStats
	quiet bool // events are seen again after a restart: nothing is a hit
}

// DetectorStats count what happened to events.
type DetectorStats struct {
	Events      uint64            `json:"events"`
	Hits        uint64            `json:"hits"`
	Undecodable uint64            `json:"undecodable"` // begin like JSON and are none; matched as text
	Excepted    map[string]uint64 `json:"excepted,omitempty"`
	Correlator  sigma.CorrelatorStats
}

// NewDetector makes a detector with an empty memory.
func (r *Rules) NewDetector(opt DetectorOptions) *Detector {
	if opt.Zone == nil {
		opt.Zone = time.UTC
	}
	if opt.Limits == (sigma.CorrelatorOptions{}) {
		opt.Limits = sigma.CorrelatorOptions{MaxGroups: 50_000, MaxValues: 5_000, MaxTotal: 100_000}
	}
	opt.Limits.Early = opt.Early
	return &Detector{
		rules: r, opt: opt, m: r.Engine.NewMatcher(), ev: r.Engine.NewEvent(), probe: r.Engine.NewEvent(),
		corr: r.Engine.NewCorrelator(opt.Limits), stats: DetectorStats{Excepted: map[string]uint64{}},
	}
}

// Stats returns the counts so far.
func (d *Detector) Stats() DetectorStats {
	s, skipped := d.stats, d.stats.Correlator
	s.Correlator = d.corr.Stats()
	s.Correlator.NoKey += skipped.NoKey
	s.Correlator.NoTime += skipped.NoTime
	return s
}

// Line matches one line of a log: a JSON object or text. received stands in for
// the year that old syslog leaves out.
func (d *Detector) Line(line []byte, received time.Time) []Hit {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	if !decode(d.ev, line, received) {
		d.stats.Undecodable++
	}
	return d.event(line)
}

// decode fills ev from a line; false: it looked like JSON and is none.
func decode(ev *sigma.Event, line []byte, received time.Time) bool {
	ev.Reset()
	ok := true
	if trimmed := bytes.TrimLeft(line, " \t\ufeff"); len(trimmed) > 0 && trimmed[0] == '{' {
		if ev.DecodeJSON(trimmed) == nil {
			return true
		}
		ok = false
		ev.Reset()
	}
	ev.DecodeText(string(line), received.Year())
	if at, says := ev.When(); says && at.After(received.Add(2*24*time.Hour)) {
		ev.Reset() // without a year, and of the last one: December, read in January
		ev.DecodeText(string(line), received.Year()-1)
	}
	return ok
}

// Record matches an event that fill makes, such as one of an EVTX file. Its raw
// form is JSON.
func (d *Detector) Record(fill func(*sigma.Event)) []Hit {
	d.ev.Reset()
	fill(d.ev)
	return d.event(nil)
}

// event matches d.ev; raw nil: it is written as JSON when it is needed.
func (d *Detector) event(raw []byte) []Hit {
	d.stats.Events++
	Enrich(d.ev, d.opt.Zone)
	found := d.m.Match(d.ev)
	all := d.m.All()
	if len(all) == 0 {
		return nil
	}
	if raw == nil {
		raw = flatJSON(d.ev, maxHitEvent, maxHitEvent)
	}
	host := first(d.ev, fieldMachine)
	var hits []Hit
	for _, r := range found {
		hits = d.add(hits, r, d.ev, func() Hit {
			at, _ := d.ev.When()
			return Hit{Host: host, Group: host, At: at, Events: []string{kept(d.ev, raw)}, Matched: d.why(r)}
		})
	}
	ref := host + "\x00" + remembered(d.ev, raw)
	if d.opt.Observed == nil {
		return d.fired(hits, d.corr.Observe(d.ev, all, ref))
	}
	obs, skipped := d.rules.Engine.Observations(d.ev, all, ref)
	d.stats.Correlator.NoKey += skipped.NoKey
	d.stats.Correlator.NoTime += skipped.NoTime
	for _, o := range obs {
		d.opt.Observed(o)
	}
	return hits
}

// When is the time of the event that was matched last, if it says one.
func (d *Detector) When() (time.Time, bool) { return d.ev.When() }

// Observation feeds what another detector saw into this one's correlations.
func (d *Detector) Observation(o sigma.Observation) []Hit { return d.fired(nil, d.corr.Process(o)) }

// add appends a hit unless an exception covers it.
func (d *Detector) add(hits []Hit, r *sigma.Rule, ev *sigma.Event, make func() Hit) []Hit {
	if d.quiet {
		return hits
	}
	if d.opt.Except != nil {
		if id, ok := d.opt.Except(r, ev); ok {
			d.stats.Excepted[id]++
			return hits
		}
	}
	d.stats.Hits++
	h := make()
	h.Rule, h.License = r, d.rules.License(r)
	return append(hits, h)
}

// why lists the tests that hold.
func (d *Detector) why(r *sigma.Rule) []string {
	var out []string
	for _, c := range d.m.Explain(r, d.ev).Checks {
		if !c.Holds || !c.Present || len(out) == maxChecks {
			continue
		}
		s := cmp.Or(c.Search, "condition") + ": " + c.Test
		if c.Value != "" {
			s += " (" + cut(c.Value, maxCheck) + ")"
		}
		out = append(out, cut(s, 2*maxCheck))
	}
	return out
}

// Advance says that it is now: correlations that wait for the end of a window
// are decided.
func (d *Detector) Advance(now time.Time) []Hit { return d.fired(nil, d.corr.Advance(now)) }

// fired makes hits of correlations that came true.
func (d *Detector) fired(hits []Hit, fired []sigma.Fired) []Hit {
	for i := range fired {
		f := &fired[i]
		if f.Rule.Quiet {
			continue
		}
		h := hitOf(f)
		if id, ok := d.allExcepted(f.Rule, f.Last, h.Events); ok {
			if !d.quiet && !f.Early {
				d.stats.Excepted[id]++
			}
			continue
		}
		if f.Early {
			if !d.quiet { // no hit yet: whoever writes it down knows what is under observation
				h.Rule, h.License = f.Rule, d.rules.License(f.Rule)
				hits = append(hits, h)
			}
			continue
		}
		hits = d.add(hits, f.Rule, nil, func() Hit { return h })
	}
	return hits
}

// allExcepted: every event that a hit rests on falls under an exception of its rule.
func (d *Detector) allExcepted(r *sigma.Rule, at time.Time, events []string) (string, bool) {
	if d.opt.Except == nil || len(events) == 0 {
		return "", false
	}
	last := ""
	for _, raw := range events {
		decode(d.probe, []byte(raw), at)
		Enrich(d.probe, d.opt.Zone)
		id, ok := d.opt.Except(r, d.probe)
		if !ok {
			return "", false
		}
		last = id
	}
	return last, true
}

func hitOf(f *sigma.Fired) Hit {
	h := Hit{At: f.Last, Early: f.Early, Matched: []string{
		f.Rule.Condition(),
		fmt.Sprintf("counted: %g, from %s to %s", f.Count, f.First.UTC().Format(time.RFC3339), f.Last.UTC().Format(time.RFC3339)),
	}}
	var group []string
	for _, kv := range f.GroupBy {
		group = append(group, kv.Field+"="+kv.Value)
	}
	h.Matched = append(h.Matched, group...)
	h.Group = strings.Join(group, " ")
	for _, ref := range f.Refs {
		host, raw, _ := strings.Cut(ref, "\x00")
		h.Host, h.Events = host, append(h.Events, raw)
	}
	return h
}

// kept is the raw event, or so much of it that it can be read again.
func kept(ev *sigma.Event, raw []byte) string {
	if len(raw) > maxHitEvent && raw[0] == '{' {
		raw = flatJSON(ev, maxHitEvent, maxHitEvent/4)
	}
	return cut(string(raw), maxHitEvent)
}

// remembered is the raw event, or so much of it that it can be read again.
func remembered(ev *sigma.Event, raw []byte) string {
	if len(raw) > maxRefEvent && raw[0] == '{' {
		raw = flatJSON(ev, maxRefEvent, 80)
	}
	return cut(string(raw), maxRefEvent)
}

// flatJSON writes the event's fields, without those that Enrich added: whole
// fields up to limit bytes, each value up to so many.
func flatJSON(ev *sigma.Event, limit, each int) []byte {
	b := []byte{'{'}
	ev.Each(func(name, value string, null bool) {
		if ownField(name) || len(b)+len(name)+min(len(value), each) > limit-32 {
			return
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = appendText(b, name)
		b = append(b, ':')
		if null {
			b = append(b, "null"...)
			return
		}
		b = appendText(b, cut(value, each))
	})
	return append(b, '}')
}

func appendText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		return append(b, `""`...) // a string always encodes
	}
	return append(b, text...)
}

// cut shortens a text to n bytes, whole characters, and says so.
func cut(s string, n int) string {
	if len(s) <= n {
		return strings.ToValidUTF8(s, "�")
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// detectorState is the memory of a detector over a restart.
type detectorState struct {
	Correlator json.RawMessage `json:"correlator"`
}

// Snapshot writes what the detector remembers.
func (d *Detector) Snapshot() ([]byte, error) {
	c, err := d.corr.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("writing the memory of correlations: %w", err)
	}
	return json.Marshal(detectorState{c})
}

// Restore continues from a snapshot. Correlations that are gone or have changed
// begin anew; their names come back.
func (d *Detector) Restore(data []byte) (left []string, err error) {
	var s detectorState
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("reading the memory of correlations: %w", err)
	}
	d.corr = d.rules.Engine.NewCorrelator(d.opt.Limits)
	return d.corr.Restore(s.Correlator)
}
