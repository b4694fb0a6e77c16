package sigma

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// nodeKind is the shape of a YAML node.
type nodeKind uint8

const (
	scalarNode nodeKind = iota + 1
	listNode
	mapNode
)

// node is what is left of YAML: scalars that remember whether they were
// quoted, lists, and maps in their written order.
type node struct {
	kind   nodeKind
	line   int
	text   string // scalar: its value
	quoted bool   // scalar: quoted or block text, always a string
	kids   []*node
	keys   []*node // map: keys[i] belongs to kids[i]
}

// get returns the value of a map key, nil when absent.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapNode {
		return nil
	}
	for i, k := range n.keys {
		if k.text == key {
			return n.kids[i]
		}
	}
	return nil
}

// str returns the text of a scalar below key, "" when absent or null.
func (n *node) str(key string) string {
	v := n.get(key)
	if v == nil || v.kind != scalarNode || v.isNull() {
		return ""
	}
	return v.text
}

// strings returns a scalar or a list of scalars below key as texts.
func (n *node) strings(key string) []string {
	v := n.get(key)
	if v == nil {
		return nil
	}
	if v.kind == scalarNode {
		if v.isNull() {
			return nil
		}
		return []string{v.text}
	}
	var out []string
	for _, k := range v.kids {
		if k.kind == scalarNode && !k.isNull() {
			out = append(out, k.text)
		}
	}
	return out
}

func (n *node) isNull() bool {
	if n.kind != scalarNode || n.quoted {
		return false
	}
	switch n.text {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// bool reads the YAML 1.1 booleans, since rules are written for those.
func (n *node) bool() (value, ok bool) {
	if n == nil || n.kind != scalarNode {
		return false, false
	}
	switch strings.ToLower(n.text) {
	case "true", "yes", "on":
		return true, true
	case "false", "no", "off":
		return false, true
	}
	return false, false
}

// maxYAMLNodes bounds what one file may unfold to: aliases can grow
// exponentially ("billion laughs").
const maxYAMLNodes = 1 << 20

// parseYAML reads all documents of a file.
func parseYAML(data []byte) ([]*node, error) {
	if docs, ok := quickYAML(data); ok {
		return docs, nil
	}
	return fullYAML(data)
}

func fullYAML(data []byte) ([]*node, error) {
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var docs []*node
	budget := maxYAMLNodes
	for {
		var y yaml.Node
		err := dec.Decode(&y)
		if err != nil {
			if err.Error() == "EOF" {
				return docs, nil
			}
			return docs, yamlError(err)
		}
		if len(y.Content) == 0 {
			continue
		}
		n, err := fromYAML(y.Content[0], 0, &budget)
		if err != nil {
			return docs, err
		}
		docs = append(docs, n)
	}
}

// yamlError takes the line out of the text, where the library puts it.
func yamlError(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		num, after, _ := strings.Cut(rest, ": ")
		if n, err := strconv.Atoi(num); err == nil {
			line, text = n, after
		}
	}
	return errAt(line, "not readable as YAML: %s", text)
}

// maxDepth bounds nesting of YAML and of conditions.
const maxDepth = 64

func fromYAML(y *yaml.Node, depth int, budget *int) (*node, error) {
	*budget--
	if depth > maxDepth || *budget < 0 {
		return nil, errAt(y.Line, "nested too deeply or unfolds too far")
	}
	n := &node{line: y.Line}
	switch y.Kind {
	case yaml.AliasNode:
		return fromYAML(y.Alias, depth+1, budget)
	case yaml.ScalarNode:
		n.kind, n.text = scalarNode, y.Value
		n.quoted = y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 ||
			(y.Style&yaml.TaggedStyle != 0 && y.Tag == "!!str")
		return n, nil
	case yaml.SequenceNode:
		n.kind = listNode
		for _, c := range y.Content {
			k, err := fromYAML(c, depth+1, budget)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, k)
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = mapNode
		return n, mapFromYAML(n, y, depth, budget)
	case yaml.DocumentNode:
	}
	return nil, errAt(y.Line, "unexpected YAML node")
}

func mapFromYAML(n *node, y *yaml.Node, depth int, budget *int) error {
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, err := fromYAML(y.Content[i], depth+1, budget)
		if err != nil {
			return err
		}
		if key.kind != scalarNode {
			return errAt(key.line, "a key must be a plain text")
		}
		for _, k := range n.keys {
			if k.text == key.text {
				return errAt(key.line, "key %q stands twice", key.text)
			}
		}
		val, err := fromYAML(y.Content[i+1], depth+1, budget)
		if err != nil {
			return err
		}
		n.keys, n.kids = append(n.keys, key), append(n.kids, val)
	}
	return nil
}
