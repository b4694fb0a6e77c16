package sigma

import (
	"container/list"
	"slices"
	"sort"
	"time"
)

// window is the state of one group of one correlation: what was seen within
// the timespan, oldest first.
type window struct {
	key     string
	labels  []string // group-by values as last seen
	fields  map[string]string
	entries []entry
	counts  map[string]int           // of values
	values  map[string]*list.Element // value_count: where a value stands in recent
	recent  *list.List               // of entry, one a value, the one not seen for longest first
	latest  []entry                  // temporal: by member
	sorted  []float64                // of values, for percentiles
	sum     float64
	chain   []chainLink // temporal_ordered: by position
	on      bool        // the condition holds
	firedAt time.Time
	earlyAt time.Time // half of the limit was reported; zero when the count is below
	last    time.Time

	older, newer *window
}

// entry is one observation that still counts.
type entry struct {
	at      time.Time
	value   string
	num     float64
	members []int
	ref     string
}

// chainLink is the best way to have come to one position of an ordered sequence.
type chainLink struct {
	start time.Time
	refs  []string
	ok    bool
}

func (w *window) reset() {
	*w = window{key: w.key, labels: w.labels, fields: w.fields, firedAt: w.firedAt, earlyAt: w.earlyAt, last: w.last, older: w.older, newer: w.newer}
}

// size is the number of things the window remembers.
func (w *window) size() int { return len(w.entries) + len(w.values) + len(w.latest) + len(w.chain) }

// add takes an observation and returns what the condition is compared with;
// false when there is nothing to compare.
func (w *window) add(c *Correlation, o Observation, own *Correlator) (float64, bool) {
	if o.Time.After(w.last) {
		w.last = o.Time
	}
	if w.last.Sub(o.Time) > c.Timespan {
		own.stats.Late++
		return 0, false
	}
	e := entry{at: o.Time, value: o.Value, members: o.Members, ref: o.Ref}
	switch {
	case c.Type == TemporalOrdered && c.cond == nil:
		return w.extend(c, o), true
	case c.Type == Temporal:
		w.remember(c, e)
	case c.Type == ValueCount:
		w.distinct(c, e)
	case c.Type == NewValue:
		n := w.unseen(c, e)
		own.stats.Dropped += w.shrink(c, own.opt.MaxValues)
		return n, true
	default:
		if c.numeric() {
			var ok bool
			if e.num, ok = number(o.Value); !ok {
				own.stats.NoKey++
				return 0, false
			}
		}
		w.insert(c, e)
	}
	if !c.atEnd() {
		w.expire(c)
	}
	own.stats.Dropped += w.shrink(c, own.opt.MaxValues)
	return w.measureFor(c, e), true
}

// remember notes when the members were seen last.
func (w *window) remember(c *Correlation, e entry) {
	if w.latest == nil {
		w.latest = make([]entry, len(c.members))
	}
	for _, m := range e.members {
		if !e.at.Before(w.latest[m].at) {
			w.latest[m] = e
		}
	}
	if len(w.entries) == 0 {
		w.entries = []entry{e} // where the window begins
	}
}

// distinct moves a value to the end of the list.
func (w *window) distinct(c *Correlation, e entry) {
	if w.values == nil {
		w.values, w.recent = map[string]*list.Element{}, list.New()
	}
	if old := w.values[e.value]; old != nil {
		if old.Value.(entry).at.After(e.at) { //nolint:forcetypeassert,errcheck // only entry is put in
			return
		}
		w.recent.Remove(old)
	}
	at := w.recent.Back()
	for at != nil && at.Value.(entry).at.After(e.at) { //nolint:forcetypeassert,errcheck // as above
		at = at.Prev()
	}
	if at == nil {
		w.values[e.value] = w.recent.PushFront(e)
	} else {
		w.values[e.value] = w.recent.InsertAfter(e, at)
	}
	if len(w.entries) == 0 {
		w.entries = []entry{e} // where the window begins
	}
}

// unseen notes the value and returns 1 when the group, known for long enough,
// has not shown it within the timespan. A group's first value is never new.
func (w *window) unseen(c *Correlation, e entry) float64 {
	if w.recent != nil {
		w.expire(c)
		if len(w.values) == 0 {
			w.entries = nil // all forgotten: the group begins anew, whether it was cleared away meanwhile or not
		}
	}
	known := len(w.values) > 0 && e.at.Sub(w.entries[0].at) >= c.learn
	_, old := w.values[e.value]
	w.distinct(c, e)
	if known && !old {
		return 1
	}
	return 0
}

// expire forgets what is older than the timespan.
func (w *window) expire(c *Correlation) {
	switch c.Type {
	case ValueCount, NewValue:
		for f := w.recent.Front(); f != nil && w.last.Sub(f.Value.(entry).at) > c.Timespan; f = w.recent.Front() { //nolint:forcetypeassert,errcheck // only entry is put in
			w.dropValue()
		}
	case Temporal:
		for i := range w.latest {
			if w.last.Sub(w.latest[i].at) > c.Timespan {
				w.latest[i] = entry{}
			}
		}
	case EventCount, TemporalOrdered, ValueSum, ValueAvg, ValuePercentile, ValueMedian, ValueMin, ValueMax:
		for len(w.entries) > 0 && w.last.Sub(w.entries[0].at) > c.Timespan {
			w.drop(c)
		}
	}
}

// shrink keeps the window within its bound and returns how much it forgot. An
// event count needs no more than the condition asks for, which loses nothing.
func (w *window) shrink(c *Correlation, maxValues int) (dropped uint64) {
	limit := max(maxValues, c.enough())
	if c.Type == EventCount && !c.atEnd() {
		for limit = max(maxRefs, c.enough()); len(w.entries) > limit; {
			w.drop(c)
		}
	}
	for ; len(w.entries) > limit; dropped++ {
		w.drop(c)
	}
	for ; len(w.values) > limit; dropped++ {
		w.dropValue()
	}
	return dropped
}

func (w *window) dropValue() {
	f := w.recent.Front()
	delete(w.values, f.Value.(entry).value) //nolint:forcetypeassert,errcheck // only entry is put in
	w.recent.Remove(f)
}

// numeric: the value is a number.
func (c *Correlation) numeric() bool {
	switch c.Type {
	case ValueSum, ValueAvg, ValueMedian, ValueMin, ValueMax:
		return true
	case ValuePercentile:
		return c.percentile >= 0
	case EventCount, ValueCount, Temporal, TemporalOrdered, NewValue:
	}
	return false
}

// insert keeps the entries in order of time.
func (w *window) insert(c *Correlation, e entry) {
	at := len(w.entries)
	for at > 0 && w.entries[at-1].at.After(e.at) {
		at--
	}
	w.entries = slices.Insert(w.entries, at, e)
	if c.Type == ValuePercentile {
		if w.counts == nil {
			w.counts = map[string]int{}
		}
		w.counts[e.value]++
	}
	if c.numeric() {
		w.sum += e.num
		w.sorted = slices.Insert(w.sorted, sort.SearchFloat64s(w.sorted, e.num), e.num)
	}
}

// drop removes the oldest entry.
func (w *window) drop(c *Correlation) {
	e := w.entries[0]
	w.entries[0] = entry{}
	w.entries = w.entries[1:]
	if w.counts != nil {
		if w.counts[e.value]--; w.counts[e.value] <= 0 {
			delete(w.counts, e.value)
		}
	}
	if c.numeric() {
		w.sum -= e.num
		if i := sort.SearchFloat64s(w.sorted, e.num); i < len(w.sorted) {
			w.sorted = slices.Delete(w.sorted, i, i+1)
		}
	}
}

// measure is what the condition is compared with.
func (w *window) measure(c *Correlation) float64 {
	if len(w.entries) == 0 {
		return 0
	}
	return w.measureFor(c, w.entries[len(w.entries)-1])
}

func (w *window) measureFor(c *Correlation, e entry) float64 {
	n := float64(len(w.entries))
	switch c.Type {
	case EventCount:
		return n
	case ValueCount:
		return float64(len(w.values))
	case ValueSum:
		return w.sum
	case ValueAvg:
		return w.sum / max(n, 1)
	case ValueMedian:
		return w.rank(50)
	case ValueMin:
		return w.rank(0)
	case ValueMax:
		return w.rank(100)
	case ValuePercentile:
		if c.percentile >= 0 { // else shareThatHolds says it
			return w.rank(c.percentile)
		}
	case Temporal, TemporalOrdered:
		return float64(len(w.seen(c)))
	case NewValue: // unseen says it
	}
	return 0
}

// shareThatHolds finds the rarest value whose share in percent of all values
// holds, the first of equals, and the window as it is with this value alone.
func (w *window) shareThatHolds(c *Correlation) (*window, float64, bool) {
	best, share := "", -1.0
	for _, e := range w.entries {
		s := 100 * float64(w.counts[e.value]) / float64(len(w.entries))
		if c.holds(s) && (share < 0 || s < share) {
			best, share = e.value, s
		}
	}
	if share < 0 {
		return nil, 0, false
	}
	alone := *w
	alone.entries = slices.DeleteFunc(slices.Clone(w.entries), func(e entry) bool { return e.value != best })
	return &alone, share, true
}

// rank is the percentile by linear interpolation between closest ranks.
func (w *window) rank(p float64) float64 {
	if len(w.sorted) == 0 {
		return 0
	}
	pos := p / 100 * float64(len(w.sorted)-1)
	i := int(pos)
	if i+1 >= len(w.sorted) {
		return w.sorted[len(w.sorted)-1]
	}
	return w.sorted[i] + (pos-float64(i))*(w.sorted[i+1]-w.sorted[i])
}

// seen are the members seen within the window.
func (w *window) seen(c *Correlation) map[int]bool {
	out := map[int]bool{}
	for m := range w.latest {
		if !w.latest[m].at.IsZero() {
			out[m] = true
		}
	}
	for i := len(w.entries) - 1; i >= 0 && w.latest == nil && len(out) < len(c.members); i-- {
		for _, m := range w.entries[i].members {
			out[m] = true
		}
	}
	return out
}

// expression evaluates the extended condition of a temporal correlation.
func (w *window) expression(c *Correlation) bool {
	seen := w.seen(c)
	if !c.cond.eval(func(p *predicate) bool { return seen[int(p.num)] }) {
		return false
	}
	return c.Type != TemporalOrdered || w.inOrder(c, seen)
}

// inOrder: the members seen came in the order of the rules.
func (w *window) inOrder(c *Correlation, seen map[int]bool) bool {
	next := 0
	for _, e := range w.entries {
		for next < len(c.members) && !seen[next] {
			next++
		}
		if slices.Contains(e.members, next) {
			next++
		}
	}
	for next < len(c.members) && !seen[next] {
		next++
	}
	return next >= len(c.members)
}

// extend lengthens ordered sequences and returns the length of the longest one.
// For each position the sequence that began last is kept: it has most time left.
// One event takes one place only, so positions are tried from the end.
func (w *window) extend(c *Correlation, o Observation) float64 {
	if w.chain == nil {
		w.chain = make([]chainLink, len(c.members))
	}
	w.entries = []entry{{at: o.Time, ref: o.Ref}} // marks the window as in use
	for _, m := range slices.Backward(o.Members) {
		if m == 0 {
			w.chain[0] = chainLink{o.Time, []string{o.Ref}, true}
			continue
		}
		prev := w.chain[m-1]
		if prev.ok && o.Time.Sub(prev.start) <= c.Timespan && !o.Time.Before(prev.start) &&
			(!w.chain[m].ok || !prev.start.Before(w.chain[m].start)) {
			w.chain[m] = chainLink{prev.start, append(slices.Clone(prev.refs), o.Ref), true}
		}
	}
	longest := 0
	for i := range w.chain {
		if w.chain[i].ok && o.Time.Sub(w.chain[i].start) > c.Timespan {
			w.chain[i] = chainLink{}
		}
		if w.chain[i].ok {
			longest = i + 1
		}
	}
	return float64(longest)
}

// edge says whether to fire: when the condition comes true, and again once a
// timespan while it stays true.
func (w *window) edge(c *Correlation, at time.Time, holds bool) bool {
	if !holds {
		w.on = false
		return false
	}
	if w.on && at.Sub(w.firedAt) <= c.Timespan {
		return false
	}
	w.on, w.firedAt = true, at
	return true
}

// early says whether to report that half of the limit is reached: when it comes to
// that, and again once a timespan. What holds already is no early news.
func (w *window) early(c *Correlation, at time.Time, count float64) bool {
	half, ok := c.half()
	if !ok {
		return false
	}
	if count < half {
		w.earlyAt = time.Time{}
		return false
	}
	if w.on || !w.earlyAt.IsZero() && at.Sub(w.earlyAt) <= c.Timespan {
		return false
	}
	w.earlyAt = at
	return true
}

// parts are the observations the window rests on, oldest first.
func (w *window) parts() []entry {
	switch {
	case w.recent != nil:
		var out []entry
		for x := w.recent.Back(); x != nil && len(out) < maxRefs; x = x.Prev() {
			out = append(out, x.Value.(entry)) //nolint:forcetypeassert,errcheck // only entry is put in
		}
		slices.Reverse(out)
		return out
	case w.latest != nil:
		out := slices.DeleteFunc(slices.Clone(w.latest), func(e entry) bool { return e.at.IsZero() })
		slices.SortStableFunc(out, func(a, b entry) int { return a.at.Compare(b.at) })
		return out
	}
	return w.entries
}

func (w *window) first() time.Time {
	for _, l := range slices.Backward(w.chain) {
		if l.ok {
			return l.start
		}
	}
	if ps := w.parts(); len(ps) > 0 {
		return ps[0].at
	}
	return w.last
}

func (w *window) refs() []string {
	for _, l := range slices.Backward(w.chain) {
		if l.ok {
			return l.refs
		}
	}
	var out []string
	ps := w.parts()
	for _, e := range ps[max(0, len(ps)-maxRefs):] {
		if e.ref != "" && !slices.Contains(out, e.ref) {
			out = append(out, e.ref)
		}
	}
	return out
}

// link puts a window at the new end of the list by last use.
func (s *corrState) link(w *window) {
	w.older, w.newer = s.newest, nil
	if s.newest != nil {
		s.newest.newer = w
	} else {
		s.oldest = w
	}
	s.newest = w
}

func (s *corrState) unlink(w *window) {
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		s.oldest = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		s.newest = w.older
	}
	w.older, w.newer = nil, nil
}

func (s *corrState) remove(w *window) {
	s.unlink(w)
	delete(s.groups, w.key)
}
