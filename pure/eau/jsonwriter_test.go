package eau

import (
	"strings"
	"sync"
	"testing"
)

// jsonWriter turns documents into FHIR JSON, which the other engine reads.
type jsonWriter struct {
	t     *tree
	types map[string]*rule
}

// r4Types are the types of FHIR without any profile.
var r4Types = sync.OnceValues(func() (map[string]*rule, error) {
	rows, err := parseRows("r4.txt", tableR4)
	if err != nil {
		return nil, err
	}
	sets, err := parseCodes(tableCodes, V121)
	if err != nil {
		return nil, err
	}
	invs, err := parseInvariants(tableInvariants, V121)
	if err != nil {
		return nil, err
	}
	c := &compiler{types: map[string]*rule{}, codes: sets, invs: invs}
	for _, r := range rows {
		if r.words[0] == "type" {
			c.types[r.words[1]] = &rule{name: r.words[1], typ: r.words[1], ownKids: true}
		}
	}
	for _, r := range rows {
		if r.words[0] == "type" {
			if err := c.defineType(r); err != nil {
				return nil, err
			}
		}
	}
	return c.types, nil
})

func newJSONWriter(tb testing.TB, t *tree) *jsonWriter {
	tb.Helper()
	types, err := r4Types()
	if err != nil {
		tb.Fatal(err)
	}
	return &jsonWriter{t: t, types: types}
}

// value returns an element as JSON value; typ is its data type, kids its children if they are its own.
func (w *jsonWriter) value(n int32, typ string, kids []*rule) any {
	nd := &w.t.nodes[n]
	if primitiveOf(typ) != 0 {
		switch {
		case nd.flags&hasValue == 0:
			return nil
		case typ == "boolean" && (nd.value == "true" || nd.value == "false"):
			return nd.value == "true"
		}
		return nd.value
	}
	if typ == "Resource" {
		res := nd.first
		return w.resource(res)
	}
	if len(kids) == 0 && w.types[typ] != nil {
		kids = w.types[typ].kids
	}
	return w.object(n, kids)
}

func (w *jsonWriter) resource(res int32) any {
	name := w.t.nodes[res].name
	var kids []*rule
	if w.types[name] != nil {
		kids = w.types[name].kids
	}
	o := w.object(res, kids)
	o["resourceType"] = name
	return o
}

func (w *jsonWriter) object(n int32, kids []*rule) map[string]any {
	o := map[string]any{}
	nd := &w.t.nodes[n]
	if nd.flags&hasURL != 0 {
		o["url"] = nd.url
	}
	for ch := nd.first; ch != 0; ch = w.t.nodes[ch].next {
		name := w.t.nodes[ch].name
		typ, own, many := w.typeOf(name, kids)
		v := w.value(ch, typ, own)
		ext := w.extensions(ch, typ)
		switch name { // see adapt
		case "reference":
			name = "referenceText"
		case "line", "family", "prefix":
			o2 := map[string]any{"primitive": v}
			if v == nil {
				delete(o2, "primitive")
			}
			if side, ok := ext.(map[string]any); ok {
				o2["extension"] = side["extension"]
			}
			v, ext, typ = o2, nil, ""
		}
		if !many {
			if _, twice := o[name]; twice {
				many = true
				o[name] = []any{o[name]}
			}
		}
		if many {
			list, _ := o[name].([]any)
			o[name] = append(list, v)
			if primitiveOf(typ) != 0 {
				side, _ := o["_"+name].([]any)
				o["_"+name] = append(side, ext)
			}
			continue
		}
		if v != nil {
			o[name] = v
		}
		if ext != nil {
			o["_"+name] = ext
		}
	}
	return o
}

func (w *jsonWriter) typeOf(name string, kids []*rule) (typ string, own []*rule, many bool) {
	if name == "extension" || name == "modifierExtension" {
		return "Extension", nil, true
	}
	for _, k := range kids {
		if k.name == name {
			return k.typ, k.kids, k.repeats
		}
	}
	if typ, ok := strings.CutPrefix(name, "value"); ok && typ != "" {
		if low := strings.ToLower(typ[:1]) + typ[1:]; primitiveOf(low) != 0 {
			return low, nil, false
		}
		return typ, nil, false
	}
	return "", nil, false
}

// extensions are those of a primitive.
func (w *jsonWriter) extensions(n int32, typ string) any {
	if primitiveOf(typ) == 0 || w.t.nodes[n].first == 0 {
		return nil
	}
	var list []any
	for e := w.t.child(n, "extension"); e != 0; e = w.t.again(e) {
		list = append(list, w.value(e, "Extension", nil))
	}
	return map[string]any{"extension": list}
}
