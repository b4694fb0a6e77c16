package sigma

import (
	"hash/fnv"
	"slices"
	"strings"
)

// family is a correlation with those that build on it or that it builds on.
// What one of them finds the next one counts, perhaps under another group, so a
// family of several cannot be divided by group: it belongs to one partition.
type family struct {
	name string // the smallest name among its members
	many bool
}

// Partition is equal for observations that belong together: all of them must
// reach the same Correlator. It is the same in every process that has the rule.
func (e *Engine) Partition(o *Observation) uint64 {
	h := fnv.New64a()
	if o.Correlation < 0 || o.Correlation >= len(e.families) {
		return 0
	}
	f := e.families[o.Correlation]
	_, _ = h.Write([]byte(f.name)) // a hash does not fail
	if !f.many {
		_, _ = h.Write([]byte("\x00" + foldKey(o.Key))) // as above
	}
	return h.Sum64()
}

// CorrelationName names a correlation and its condition beyond this process: a
// rule that was changed has another one. It is empty for a number that is none.
func (e *Engine) CorrelationName(i int) string {
	if i < 0 || i >= len(e.correlations) {
		return ""
	}
	r := e.correlations[i]
	return r.stateName() + "\x00" + r.Condition()
}

// CorrelationNumber is the number of a correlation by that name in this engine.
func (e *Engine) CorrelationNumber(name string) (int, bool) {
	i, ok := e.corrByName[name]
	return i, ok
}

// prepareFamilies joins correlations that refer to each other.
func (e *Engine) prepareFamilies() {
	e.corrByName = make(map[string]int, len(e.correlations))
	e.families = make([]family, len(e.correlations))
	root := make([]int, len(e.correlations))
	for i, r := range e.correlations {
		root[i] = i
		e.corrByName[e.CorrelationName(i)] = i
		e.families[i] = family{name: r.stateName()}
	}
	find := func(i int) int {
		for root[i] != i {
			i = root[i]
		}
		return i
	}
	for i, r := range e.correlations {
		for _, above := range e.usedBy[r] {
			root[find(i)] = find(above)
		}
	}
	for i := range root {
		var names []string
		for j := range root {
			if find(j) == find(i) {
				names = append(names, e.correlations[j].stateName())
			}
		}
		e.families[i] = family{name: slices.MinFunc(names, strings.Compare), many: len(names) > 1}
	}
}

// Members are the rules that a correlation refers to, in order.
func (c *Correlation) Members() []*Rule { return slices.Clone(c.members) }
