package sigma

import (
	"slices"
	"strings"
	"time"
)

func (e *Engine) observations(get func(string) (string, bool), rules []*Rule, at time.Time, ref string) ([]Observation, CorrelatorStats) {
	var out []Observation
	var skipped CorrelatorStats
	done := map[int]bool{}
	for _, r := range rules {
		for _, i := range e.usedBy[r] {
			if done[i] {
				continue
			}
			done[i] = true
			// One event may match several members with different aliases: one observation for each key.
			for _, o := range e.observe(i, get, rules) {
				if o.Key == nil && len(e.correlations[i].Correlation.GroupBy) > 0 {
					skipped.NoKey++
					continue
				}
				o.Time, o.Ref, o.Fields = at, ref, e.carried(i, get)
				out = append(out, o)
			}
		}
	}
	return out, skipped
}

// observe makes the observations of one correlation, members with the same key together.
func (e *Engine) observe(i int, get func(string) (string, bool), rules []*Rule) []Observation {
	c := e.correlations[i].Correlation
	var out []Observation
	for m, member := range c.members {
		if !slices.Contains(rules, member) {
			continue
		}
		key, value, ok := c.keyOf(m, get)
		if !ok {
			out = append(out, Observation{Correlation: i})
			continue
		}
		if n := len(out) - 1; n >= 0 && slices.Equal(out[n].Key, key) && out[n].Value == value {
			out[n].Members = append(out[n].Members, m)
			continue
		}
		out = append(out, Observation{Correlation: i, Members: []int{m}, Key: key, Value: value})
	}
	return out
}

// keyOf reads the group-by fields, by the names they have in events of this member, and the value.
func (c *Correlation) keyOf(m int, get func(string) (string, bool)) (key []string, value string, ok bool) {
	read := func(name string) (string, bool) {
		field, ok := c.fieldOf(m, name)
		if !ok {
			return "", false
		}
		return get(field)
	}
	for _, g := range c.GroupBy {
		v, ok := read(g)
		if !ok {
			return nil, "", false
		}
		key = append(key, v)
	}
	var vals []string
	for _, f := range c.Field {
		v, ok := read(f)
		if !ok {
			return nil, "", false
		}
		vals = append(vals, v)
	}
	return key, strings.Join(vals, "\x00"), true
}

// carried are the fields that correlations above this one ask for.
func (e *Engine) carried(i int, get func(string) (string, bool)) map[string]string {
	names := e.carry[i]
	if len(names) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, n := range names {
		if v, ok := get(n); ok {
			out[n] = v
		}
	}
	return out
}
