package sigma

import (
	"slices"
	"strings"
)

// detection is the part of a rule that says what to look for.
type detection struct {
	searches map[string]*expr
	order    []string // names as written
}

// parseSearches reads every search identifier of a detection or filter; the
// keys in skip are none.
func parseSearches(n *node, ph Placeholders, skip ...string) (*detection, error) {
	d := &detection{searches: map[string]*expr{}}
	for i, k := range n.keys {
		if slices.Contains(skip, k.text) {
			continue
		}
		x, err := parseSearch(n.kids[i], ph, 0)
		if err != nil {
			return nil, err
		}
		// A node of its own carries the name, so that two searches with equal content stay apart.
		d.searches[k.text] = &expr{kind: exprAnd, kids: []*expr{x}, name: k.text}
		d.order = append(d.order, k.text)
	}
	if len(d.order) == 0 {
		return nil, errAt(n.line, "detection has no search")
	}
	return d, nil
}

// parseSearch: a map is AND over its fields, a list OR over its items, a
// single text a keyword.
func parseSearch(n *node, ph Placeholders, depth int) (*expr, error) {
	if depth > maxDepth {
		return nil, errAt(n.line, "search is nested too deeply")
	}
	switch n.kind {
	case scalarNode:
		return parseItem("", n.line, []*node{n}, ph)
	case listNode:
		var kids []*expr
		for _, k := range n.kids {
			x, err := parseSearch(k, ph, depth+1)
			if err != nil {
				return nil, err
			}
			kids = append(kids, x)
		}
		if len(kids) == 0 {
			return nil, errAt(n.line, "search is an empty list")
		}
		return orOf(kids...), nil
	case mapNode:
		var kids []*expr
		for i, k := range n.keys {
			vals := []*node{n.kids[i]}
			if n.kids[i].kind == listNode {
				vals = n.kids[i].kids
			}
			x, err := parseItem(k.text, k.line, vals, ph)
			if err != nil {
				return nil, err
			}
			kids = append(kids, x)
		}
		if len(kids) == 0 {
			return nil, errAt(n.line, "search is an empty map")
		}
		return andOf(kids...), nil
	}
	return nil, errAt(n.line, "search is neither text, list nor map")
}

// parseItem reads "field|modifier|…: values".
func parseItem(key string, line int, nodes []*node, ph Placeholders) (*expr, error) {
	field, mods, piped := strings.Cut(key, "|")
	c := &chain{field: field, line: line}
	for _, n := range nodes {
		if n.kind != scalarNode {
			return nil, errAt(n.line, "field %q: a value must be a text, number, bool or null", field)
		}
		c.vals = append(c.vals, newValue(n))
	}
	if len(c.vals) == 0 {
		return nil, errAt(line, "field %q has an empty list of values", field)
	}
	var list []string
	if piped {
		list = strings.Split(mods, "|")
	}
	if err := c.apply(list, ph); err != nil {
		return nil, err
	}
	return c.expr()
}
