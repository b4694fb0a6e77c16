package sigma

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
	"strings"
	"time"
)

// Observation is one match on its way into one correlation. It can be written
// as JSON and sent to another process, which finds the correlation by its
// CorrelationName: all of one Partition must reach the same Correlator, in any
// order within its lateness.
type Observation struct {
	Correlation int               `json:"c"`           // position among the engine's correlations
	Members     []int             `json:"m"`           // which of its rules matched
	Key         []string          `json:"k,omitempty"` // values of group-by
	Value       string            `json:"v,omitempty"` // of the counted field
	Time        time.Time         `json:"t"`
	Ref         string            `json:"r,omitempty"` // what the caller finds the event by
	Fields      map[string]string `json:"f,omitempty"` // what correlations above this one group by
}

func foldKey(key []string) string { return fold(strings.Join(key, "\x00")) }

// Fired is a correlation that came true.
type Fired struct {
	Rule        *Rule
	GroupBy     []KeyValue
	Count       float64 // what the condition was compared with
	First, Last time.Time
	Refs        []string // of the events, oldest first, at most maxRefs
	Fields      map[string]string
	// Early: not the limit but half of it was reached, see CorrelatorOptions.
	Early bool
}

// KeyValue is one field of group-by.
type KeyValue struct{ Field, Value string }

// maxRefs bounds the events a Fired lists: the latest ones.
const maxRefs = 100

// CorrelatorOptions bound the state. Zero values mean the defaults.
type CorrelatorOptions struct {
	MaxGroups int           // per correlation; default 100,000. The group not seen for longest goes first.
	MaxValues int           // per group; default 10,000, and never less than the condition needs
	MaxTotal  int           // values in all groups; default 2,000,000
	Lateness  time.Duration // events may come this much out of order; default 0
	// Early also reports counts that reach half of their lower limit, as Fired.Early,
	// once a timespan: for callers that watch some groups more closely. Correlations
	// above and the figures do not see them.
	Early bool
}

// CorrelatorStats count what happened to observations.
type CorrelatorStats struct {
	Observed uint64
	Fired    uint64
	NoTime   uint64 // events without a time cannot be correlated
	NoKey    uint64 // events without a group-by field, or without the counted field
	Late     uint64 // came after their window was gone
	Evicted  uint64 // groups that were forgotten to stay within MaxGroups and MaxTotal
	Dropped  uint64 // values that were forgotten to stay within MaxValues
	Groups   int
}

// Correlator holds the state of correlations. It belongs to one goroutine.
// It knows no clock: time is what events say, and what Advance is told.
type Correlator struct {
	eng    *Engine
	opt    CorrelatorOptions
	corrs  []corrState
	buffer obsHeap
	mark   time.Time // no event before it is waited for
	stats  CorrelatorStats
	seq    uint64
	size   int // of all windows
}

type corrState struct {
	rule   *Rule
	groups map[string]*window
	oldest *window // list by last use
	newest *window
}

// NewCorrelator makes an empty correlator for the engine's correlations.
func (e *Engine) NewCorrelator(opt CorrelatorOptions) *Correlator {
	opt.MaxGroups = cmp.Or(opt.MaxGroups, 100_000)
	opt.MaxValues = cmp.Or(opt.MaxValues, 10_000)
	opt.MaxTotal = cmp.Or(opt.MaxTotal, 2_000_000)
	c := &Correlator{eng: e, opt: opt, corrs: make([]corrState, len(e.correlations))}
	for i, r := range e.correlations {
		c.corrs[i] = corrState{rule: r, groups: map[string]*window{}}
	}
	return c
}

// Stats returns the counts so far.
func (c *Correlator) Stats() CorrelatorStats {
	s := c.stats
	for i := range c.corrs {
		s.Groups += len(c.corrs[i].groups)
	}
	return s
}

// Observe feeds what a Matcher found in one event, and everything that follows
// from it. rules are those of Matcher.All.
func (c *Correlator) Observe(ev *Event, rules []*Rule, ref string) []Fired {
	if len(c.corrs) == 0 || len(rules) == 0 {
		return nil
	}
	obs, skipped := c.eng.Observations(ev, rules, ref)
	c.stats.NoKey += skipped.NoKey
	c.stats.NoTime += skipped.NoTime
	var out []Fired
	for _, o := range obs {
		out = append(out, c.follow(c.Feed(o))...)
	}
	return out
}

// Process is Feed for a correlator that holds all partitions: what follows for
// correlations above is fed back at once.
func (c *Correlator) Process(o Observation) []Fired { return c.follow(c.Feed(o)) }

// follow feeds observations of chained correlations back.
func (c *Correlator) follow(fired []Fired, next []Observation) []Fired {
	for depth := 0; len(next) > 0 && depth < maxDepth; depth++ {
		var more []Observation
		for _, o := range next {
			f, n := c.Feed(o)
			fired, more = append(fired, f...), append(more, n...)
		}
		next = more
	}
	return fired
}

// Feed takes one observation. It returns the correlations that came true, and
// the observations they make for correlations above, which the caller passes
// on to whoever holds their partition.
func (c *Correlator) Feed(o Observation) ([]Fired, []Observation) {
	if o.Correlation < 0 || o.Correlation >= len(c.corrs) {
		return nil, nil
	}
	for _, m := range o.Members {
		if m < 0 || m >= len(c.corrs[o.Correlation].rule.Correlation.members) {
			return nil, nil // from another set of rules
		}
	}
	c.stats.Observed++
	if c.opt.Lateness == 0 {
		return c.take(o)
	}
	c.seq++
	heap.Push(&c.buffer, timed{o, c.seq})
	return c.advance(o.Time.Add(-c.opt.Lateness))
}

// Advance says that no event before now is to be expected, less the lateness.
// It decides what waits for the end of a window.
func (c *Correlator) Advance(now time.Time) []Fired {
	return c.follow(c.closing(now.Add(-c.opt.Lateness)))
}

// Flush decides everything, as at the end of a file.
func (c *Correlator) Flush() []Fired {
	return c.follow(c.closing(time.Unix(1<<40, 0)))
}

func (c *Correlator) closing(mark time.Time) ([]Fired, []Observation) {
	fired, next := c.advance(mark)
	for i := range c.corrs {
		f, n := c.closeWindows(i, mark)
		fired, next = append(fired, f...), append(next, n...)
	}
	return fired, next
}

// advance takes what is old enough out of the buffer, in order of time.
func (c *Correlator) advance(mark time.Time) (fired []Fired, next []Observation) {
	if mark.After(c.mark) {
		c.mark = mark
	}
	for len(c.buffer) > 0 && !c.buffer[0].Time.After(c.mark) {
		o := heap.Pop(&c.buffer).(timed) //nolint:forcetypeassert,errcheck // only timed is pushed
		f, n := c.take(o.Observation)
		fired, next = append(fired, f...), append(next, n...)
	}
	return fired, next
}

// take puts an observation into its window.
func (c *Correlator) take(o Observation) (fired []Fired, next []Observation) {
	s := &c.corrs[o.Correlation]
	key := foldKey(o.Key)
	w := s.groups[key]
	if w == nil {
		w = &window{key: key}
		s.groups[key] = w
		if len(s.groups) > c.opt.MaxGroups {
			c.stats.Evicted++
			c.forget(s, s.oldest)
		}
	} else {
		s.unlink(w)
	}
	s.link(w)
	corr := s.rule.Correlation
	if corr.atEnd() && len(w.entries) > 0 && o.Time.Sub(w.entries[0].at) > corr.Timespan {
		fired, next = c.judge(o.Correlation, w, true)
		c.size -= w.size()
		w.reset()
	}
	w.fields, w.labels = o.Fields, o.Key
	before := w.size()
	count, ok := w.add(corr, o, c)
	c.size += w.size() - before
	for c.size > c.opt.MaxTotal && s.oldest != w {
		c.stats.Evicted++
		c.forget(s, s.oldest)
	}
	if corr.Type == NewValue {
		ok = ok && corr.holds(count) // each for itself, not the first of them
		w.on = false
	}
	if ok && !corr.atEnd() && w.edge(corr, o.Time, corr.cond == nil && corr.holds(count) || corr.cond != nil && w.expression(corr)) {
		f, n := c.fire(o.Correlation, w, count)
		fired, next = append(fired, f), append(next, n...)
	} else if ok && c.opt.Early && w.early(corr, o.Time, count) {
		f := c.fired(o.Correlation, w, count)
		f.Early = true
		fired = append(fired, f)
	}
	return fired, next
}

// forget drops a window.
func (c *Correlator) forget(s *corrState, w *window) {
	c.size -= w.size()
	s.remove(w)
}

// judge decides a window that is over.
func (c *Correlator) judge(i int, w *window, over bool) (fired []Fired, next []Observation) {
	corr := c.corrs[i].rule.Correlation
	if !over || len(w.entries) == 0 {
		return nil, nil
	}
	if corr.share() {
		count, ok := 0.0, false
		if w, count, ok = w.shareThatHolds(corr); !ok {
			return nil, nil
		}
		f, n := c.fire(i, w, count)
		return []Fired{f}, n
	}
	count := w.measure(corr)
	if corr.cond != nil && !w.expression(corr) || corr.cond == nil && !corr.holds(count) {
		return nil, nil
	}
	f, n := c.fire(i, w, count)
	return []Fired{f}, n
}

// closeWindows decides the windows that ended before mark, and forgets those
// that can no longer matter.
func (c *Correlator) closeWindows(i int, mark time.Time) (fired []Fired, next []Observation) {
	s := &c.corrs[i]
	corr := s.rule.Correlation
	for w := s.oldest; w != nil; {
		this := w
		w = w.newer
		end := this.last
		if corr.atEnd() && len(this.entries) > 0 {
			end = this.entries[0].at
		}
		if mark.Sub(end) <= corr.Timespan {
			continue
		}
		if corr.atEnd() {
			f, n := c.judge(i, this, true)
			fired, next = append(fired, f...), append(next, n...)
		}
		c.forget(s, this)
	}
	return fired, next
}

// fired describes a window as it stands.
func (c *Correlator) fired(i int, w *window, count float64) Fired {
	r := c.corrs[i].rule
	f := Fired{Rule: r, Count: count, First: w.first(), Last: w.last, Refs: w.refs(), Fields: w.fields}
	if n := len(f.Refs); r.Correlation.Type == NewValue && n > 1 {
		f.Refs = f.Refs[n-1:] // the others are what was known
	}
	for j, field := range r.Correlation.GroupBy {
		if j < len(w.labels) {
			f.GroupBy = append(f.GroupBy, KeyValue{field, w.labels[j]})
		}
	}
	return f
}

// fire makes the result, and the observations for correlations above.
func (c *Correlator) fire(i int, w *window, count float64) (Fired, []Observation) {
	c.stats.Fired++
	f := c.fired(i, w, count)
	get := func(name string) (string, bool) {
		for _, kv := range f.GroupBy {
			if kv.Field == name {
				return kv.Value, true
			}
		}
		v, ok := w.fields[name]
		return v, ok
	}
	ref := ""
	if len(f.Refs) > 0 {
		ref = f.Refs[len(f.Refs)-1]
	}
	obs, skipped := c.eng.observations(get, []*Rule{f.Rule}, w.last, ref)
	c.stats.NoKey += skipped.NoKey
	return f, obs
}

// Observations turns matches into observations for every correlation that
// refers to the rules.
func (e *Engine) Observations(ev *Event, rules []*Rule, ref string) ([]Observation, CorrelatorStats) {
	wanted := false
	for _, r := range rules {
		wanted = wanted || len(e.usedBy[r]) > 0
	}
	if !wanted {
		return nil, CorrelatorStats{}
	}
	at, ok := ev.When()
	if !ok {
		return nil, CorrelatorStats{NoTime: 1}
	}
	return e.observations(ev.Get, rules, at, ref)
}

// prepareCorrelations notes who refers to whom.
func (e *Engine) prepareCorrelations(set *RuleSet) {
	e.correlations = set.Correlations
	e.usedBy = map[*Rule][]int{}
	for i, r := range e.correlations {
		for _, m := range r.Correlation.members {
			if !slices.Contains(e.usedBy[m], i) {
				e.usedBy[m] = append(e.usedBy[m], i)
			}
		}
	}
	e.carry = make([][]string, len(e.correlations))
	for i, r := range e.correlations {
		e.carry[i] = e.needs(r, 0)
	}
	e.prepareFamilies()
}

// needs lists the fields that the correlations above r group by or count.
func (e *Engine) needs(r *Rule, depth int) []string {
	var out []string
	if depth > maxDepth {
		return nil
	}
	for _, i := range e.usedBy[r] {
		c := e.correlations[i].Correlation
		out = append(append(out, c.GroupBy...), c.Field...)
		for _, a := range c.aliases {
			out = append(out, a.field)
		}
		out = append(out, e.needs(e.correlations[i], depth+1)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// number reads the value of a metric correlation.
func number(s string) (float64, bool) {
	f, ok := parseNumber(s)
	return f, ok && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// timed keeps the order of arrival among equal times.
type timed struct {
	Observation
	seq uint64
}

type obsHeap []timed

func (h obsHeap) Len() int { return len(h) }
func (h obsHeap) Less(i, j int) bool {
	if h[i].Time.Equal(h[j].Time) {
		return h[i].seq < h[j].seq
	}
	return h[i].Time.Before(h[j].Time)
}
func (h obsHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *obsHeap) Push(x any)   { *h = append(*h, x.(timed)) } //nolint:forcetypeassert,errcheck // only timed is pushed
func (h *obsHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
