package catalogue

import (
	"errors"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// yaml reads one file: a mapping of lists (kassen, standorte, …) of mappings.
// Anchors, aliases, tags and merge keys are refused: a catalogue needs none.
func (r *reader) yaml(name string, data []byte) []record {
	file, err := parseYAML(data)
	if err != nil {
		line, text := 0, err.Error()
		if y, ok := errors.AsType[yaml.Error](err); ok {
			text = y.GetMessage()
			if t := y.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		r.broken = true
		r.say(name, line, "", "is no YAML: %s", text)
		return nil
	}
	var out []record
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		pairs, ok := r.mapping(name, doc.Body, "")
		if !ok {
			continue
		}
		for _, p := range pairs {
			out = append(out, r.yamlList(name, p)...)
		}
	}
	return out
}

// parseYAML keeps a panic of the parser on hostile input from ending the program.
func parseYAML(data []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser gave up: %v", p)
		}
	}()
	return parser.ParseBytes(data, 0)
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

type pair struct {
	key   string
	line  int
	value ast.Node
}

// mapping lists the pairs of a mapping; where says in which field it stands.
func (r *reader) mapping(name string, n ast.Node, where string) ([]pair, bool) {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		r.say(name, lineOf(n), where, "here should stand keys and values, not %s", inWords(n))
		return nil, false
	}
	var out []pair
	for _, v := range values {
		key, ok := scalar(v.Key)
		if !ok {
			r.say(name, lineOf(v.Key), where, "a key that is no plain word: %s", inWords(v.Key))
			continue
		}
		if slices.ContainsFunc(out, func(p pair) bool { return p.key == key }) {
			r.say(name, lineOf(v.Key), key, "this key is there twice")
			continue
		}
		out = append(out, pair{key, lineOf(v.Key), v.Value})
	}
	return out, true
}

func (r *reader) yamlList(name string, p pair) []record {
	var lists []string
	for _, s := range specs() {
		lists = append(lists, s.list)
		if s.list != p.key {
			continue
		}
		if p.value == nil || p.value.Type() == ast.NullType {
			return nil
		}
		seq, ok := p.value.(*ast.SequenceNode)
		if !ok {
			r.say(name, p.line, p.key, "here should stand a list, not %s", inWords(p.value))
			return nil
		}
		var out []record
		for _, item := range seq.Values {
			if rec, ok := r.yamlRecord(name, s, item); ok {
				out = append(out, rec)
			}
		}
		return out
	}
	r.say(name, p.line, p.key, "unknown key, known are %v%s", lists, meant(p.key, lists))
	return nil
}

func (r *reader) yamlRecord(name string, spec kindSpec, item ast.Node) (record, bool) {
	pairs, ok := r.mapping(name, item, spec.list)
	if !ok {
		return record{}, false
	}
	rec := record{kind: spec.kind, file: name, line: lineOf(item), fields: make(map[string]value, len(pairs))}
	for i, p := range pairs {
		if i == 0 {
			rec.line = p.line
		}
		if !slices.Contains(spec.fields(), p.key) {
			r.say(name, p.line, p.key, "unknown key in %s%s", spec.list, meant(p.key, spec.fields()))
			continue
		}
		if v, ok := r.yamlValue(name, p); ok {
			rec.fields[p.key] = v
		}
	}
	return rec, true
}

func (r *reader) yamlValue(name string, p pair) (value, bool) {
	v := value{line: p.line}
	if s, ok := scalar(p.value); ok {
		v.text = s
		return v, true
	}
	seq, ok := p.value.(*ast.SequenceNode)
	if !ok {
		r.say(name, p.line, p.key, "here should stand a value or a list of values, not %s", inWords(p.value))
		return v, false
	}
	v.list = []string{}
	for _, item := range seq.Values {
		s, ok := scalar(item)
		if !ok {
			r.say(name, lineOf(item), p.key, "here should stand a value, not %s", inWords(item))
			return v, false
		}
		v.list = append(v.list, s)
	}
	return v, true
}

// scalar is a plain value as it was written, so that 0123 stays 0123.
func scalar(n ast.Node) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		return s.Value.Value, true
	case *ast.NullNode:
		return "", true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func inWords(n ast.Node) string {
	switch n.(type) {
	case nil:
		return "nothing"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		return "an anchor, alias, tag or merge key, which are not allowed here"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys and values"
	case *ast.SequenceNode:
		return "a list"
	}
	return "a plain value"
}
