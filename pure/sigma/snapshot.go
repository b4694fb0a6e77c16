package sigma

import (
	"container/heap"
	"container/list"
	"encoding/json"
	"fmt"
	"time"
)

// The state of a correlator as JSON, so that a restart continues where it
// stopped. Correlations are found again by id (else title): those that are
// gone are left out, new ones begin empty.

type savedState struct {
	Version      int                   `json:"version"`
	Mark         time.Time             `json:"mark"`
	Stats        CorrelatorStats       `json:"stats"`
	Correlations map[string]savedGroup `json:"correlations"`
	Buffer       []Observation         `json:"buffer,omitempty"`
}

type savedGroup struct {
	Position int           `json:"position"`
	Rule     string        `json:"rule"` // its condition in words: a changed rule begins anew
	Groups   []savedWindow `json:"groups"`
}

type savedWindow struct {
	Key     string            `json:"key"`
	Labels  []string          `json:"labels,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
	Entries []savedEntry      `json:"entries,omitempty"`
	Values  []savedEntry      `json:"values,omitempty"`
	Latest  []savedEntry      `json:"latest,omitempty"`
	Chain   []savedLink       `json:"chain,omitempty"`
	On      bool              `json:"on,omitempty"`
	FiredAt time.Time         `json:"firedAt"`
	EarlyAt time.Time         `json:"earlyAt,omitzero"`
	Last    time.Time         `json:"last"`
}

type savedEntry struct {
	At      time.Time `json:"t"`
	Value   string    `json:"v,omitempty"`
	Num     float64   `json:"n,omitempty"`
	Members []int     `json:"m,omitempty"`
	Ref     string    `json:"r,omitempty"`
}

type savedLink struct {
	Start time.Time `json:"t"`
	Refs  []string  `json:"r,omitempty"`
	OK    bool      `json:"ok,omitempty"`
}

const stateVersion = 1

func (r *Rule) stateName() string {
	if r.ID != "" {
		return r.ID
	}
	return r.Name + "\x00" + r.Title
}

// Snapshot writes the state.
func (c *Correlator) Snapshot() ([]byte, error) {
	s := savedState{Version: stateVersion, Mark: c.mark, Stats: c.stats, Correlations: map[string]savedGroup{}}
	for i := range c.corrs {
		g := savedGroup{Position: i, Rule: c.corrs[i].rule.Condition()}
		for w := c.corrs[i].oldest; w != nil; w = w.newer {
			g.Groups = append(g.Groups, w.save())
		}
		s.Correlations[c.corrs[i].rule.stateName()] = g
	}
	for len(c.buffer) > 0 {
		s.Buffer = append(s.Buffer, heap.Pop(&c.buffer).(timed).Observation) //nolint:forcetypeassert,errcheck // only timed is pushed
	}
	c.refill(s.Buffer)
	return json.Marshal(s)
}

func (c *Correlator) refill(obs []Observation) {
	for _, o := range obs {
		c.seq++
		heap.Push(&c.buffer, timed{o, c.seq})
	}
}

// Restore continues from a snapshot. What belongs to correlations that are
// gone or have changed is left out; their names come back.
func (c *Correlator) Restore(data []byte) (left []string, err error) {
	var s savedState
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("reading correlation state: %w", err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("correlation state has version %d, not %d", s.Version, stateVersion)
	}
	c.mark, c.stats = s.Mark, s.Stats
	position := map[int]int{}
	for i := range c.corrs {
		name := c.corrs[i].rule.stateName()
		g, ok := s.Correlations[name]
		if !ok || g.Rule != c.corrs[i].rule.Condition() {
			continue
		}
		delete(s.Correlations, name)
		position[g.Position] = i
		for _, sw := range g.Groups {
			w := sw.load(c.corrs[i].rule.Correlation)
			if c.corrs[i].groups[w.key] != nil {
				continue
			}
			c.corrs[i].groups[w.key] = w
			c.corrs[i].link(w)
			c.size += w.size()
		}
	}
	for name := range s.Correlations {
		left = append(left, name)
	}
	for _, o := range s.Buffer {
		if i, ok := position[o.Correlation]; ok {
			o.Correlation = i
			c.refill([]Observation{o})
		}
	}
	return left, nil
}

func saveEntries(es []entry) []savedEntry {
	var out []savedEntry
	for _, e := range es {
		out = append(out, savedEntry{e.at, e.value, e.num, e.members, e.ref})
	}
	return out
}

func (w *window) save() savedWindow {
	s := savedWindow{
		Key: w.key, Labels: w.labels, Fields: w.fields, Entries: saveEntries(w.entries),
		Latest: saveEntries(w.latest), On: w.on, FiredAt: w.firedAt, EarlyAt: w.earlyAt, Last: w.last,
	}
	if w.recent != nil {
		for x := w.recent.Front(); x != nil; x = x.Next() {
			s.Values = append(s.Values, saveEntries([]entry{x.Value.(entry)})...) //nolint:forcetypeassert,errcheck // only entry is put in
		}
	}
	for _, l := range w.chain {
		s.Chain = append(s.Chain, savedLink{l.start, l.refs, l.ok})
	}
	return s
}

func (s savedWindow) load(c *Correlation) *window {
	w := &window{key: s.Key, labels: s.Labels, fields: s.Fields, on: s.On, firedAt: s.FiredAt, earlyAt: s.EarlyAt, last: s.Last}
	for _, e := range s.Entries {
		w.insert(c, e.load(c))
	}
	if len(s.Values) > 0 {
		w.values, w.recent = map[string]*list.Element{}, list.New()
		for _, e := range s.Values {
			w.values[e.Value] = w.recent.PushBack(e.load(c))
		}
	}
	if len(s.Latest) == len(c.members) {
		for _, e := range s.Latest {
			w.latest = append(w.latest, e.load(c))
		}
	}
	if len(s.Chain) == len(c.members) {
		for _, l := range s.Chain {
			w.chain = append(w.chain, chainLink{l.Start, l.Refs, l.OK})
		}
	}
	return w
}

// load drops members that the correlation does not have.
func (s savedEntry) load(c *Correlation) entry {
	e := entry{at: s.At, value: s.Value, num: s.Num, ref: s.Ref}
	for _, m := range s.Members {
		if m >= 0 && m < len(c.members) {
			e.members = append(e.members, m)
		}
	}
	return e
}
