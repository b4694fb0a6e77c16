package sigma

import (
	"slices"
	"strconv"
	"strings"
)

// Mapping says how rules meet the logs at hand: which events a log source
// means, what fields are called, what placeholders stand for.
type Mapping struct {
	routes    *Routes // nil: the built-in table
	pipelines []*pipeline
	vars      Placeholders
	wildcard  bool // placeholders without values match anything
}

// ParseMapping reads a file in one of three forms, which several documents of
// the file may mix: routes like the built-in table, a Sigma processing
// pipeline (transformations), or the logsources of sigmac and of SigmaHQ's
// thor.yml. Routes replace the built-in table; a pipeline alone leaves it.
func ParseMapping(f File) (*Mapping, []Problem) {
	docs, err := parseYAML(f.Data)
	if err != nil {
		return nil, []Problem{problemOf(f.Name, nil, err)}
	}
	m := &Mapping{vars: Placeholders{}}
	for _, d := range docs {
		if err := m.read(d); err != nil {
			return nil, []Problem{problemOf(f.Name, nil, err)}
		}
	}
	return m, nil
}

func (m *Mapping) read(d *node) error {
	if d.kind != mapNode {
		return errAt(d.line, "a map file is a map with services, transformations or logsources")
	}
	if p := d.get("placeholders"); p != nil {
		m.readVars(p)
	}
	switch {
	case d.get("transformations") != nil || d.get("vars") != nil:
		return m.readPipeline(d)
	case d.get("logsources") != nil:
		m.ensureRoutes()
		return m.routes.readLogsources(d)
	}
	m.ensureRoutes()
	return m.routes.read(d)
}

func (m *Mapping) ensureRoutes() {
	if m.routes == nil {
		m.routes = &Routes{providers: map[string][]byte{}}
	}
}

func (m *Mapping) readVars(n *node) {
	for _, k := range n.keys {
		m.vars[k.text] = append(m.vars[k.text], n.strings(k.text)...)
	}
}

// Parse reads rules with the placeholders and pipelines of the mapping.
func (m *Mapping) Parse(files []File) (*RuleSet, []Problem) {
	set, problems := ParseOptions{Placeholders: m.vars, wildcard: m.wildcard}.Parse(files)
	for _, p := range m.pipelines {
		problems = append(problems, p.apply(set)...)
	}
	sortProblems(problems)
	return set, problems
}

// Options are those for Compile.
func (m *Mapping) Options() Options { return Options{Routes: m.routes} }

// readLogsources reads the form of sigmac: an entry without rewrite says where
// a source is (sources: WinEventLog:CHANNEL), one with rewrite sends a log
// source to another one under conditions.
func (r *Routes) readLogsources(d *node) error {
	list := d.get("logsources")
	if list.kind != mapNode {
		return errAt(list.line, "logsources is no map")
	}
	channels := map[Logsource][]string{}
	for i, n := range list.kids {
		e := route{source: Logsource{Category: n.str("category"), Product: n.str("product"), Service: n.str("service")}}
		for _, s := range n.strings("sources") {
			if ch, ok := strings.CutPrefix(s, "WinEventLog:"); ok {
				e.channels = append(e.channels, fold(ch))
			}
		}
		if n.get("rewrite") != nil || len(e.channels) == 0 {
			continue
		}
		channels[Logsource{Product: e.source.Product, Service: e.source.Service}] = e.channels
		if err := e.conditions(n, list.keys[i].line); err != nil {
			return err
		}
		r.entries = append(r.entries, e)
	}
	for i, n := range list.kids {
		rw := n.get("rewrite")
		if rw == nil {
			continue
		}
		to := Logsource{Product: rw.str("product"), Service: rw.str("service")}
		e := route{source: Logsource{Category: n.str("category"), Product: to.Product, Service: to.Service}, channels: channels[to]}
		if len(e.channels) == 0 {
			return errAt(list.keys[i].line, "logsource %q is rewritten to %s, which has no source", list.keys[i].text, to)
		}
		if err := e.conditions(n, list.keys[i].line); err != nil {
			return err
		}
		r.entries = append(r.entries, e)
	}
	if len(r.entries) == 0 {
		return errAt(list.line, "no logsource names a Windows channel")
	}
	return nil
}

// conditions reads EventID into the route's numbers and all else into when.
func (e *route) conditions(n *node, line int) error {
	if f := n.get("fieldmappings"); f != nil {
		for i, k := range f.keys {
			e.fields = append(e.fields, rename{name: k.text, from: f.kids[i].text})
		}
	}
	c := n.get("conditions")
	if c == nil {
		return nil
	}
	if c.kind != mapNode {
		return errAt(line, "conditions is no map")
	}
	rest := &node{kind: mapNode, line: c.line}
	for i, k := range c.keys {
		if k.text != "EventID" {
			rest.keys, rest.kids = append(rest.keys, k), append(rest.kids, c.kids[i])
			continue
		}
		for _, s := range c.strings("EventID") {
			id, err := strconv.Atoi(s)
			if err != nil {
				return errAt(k.line, "event number %q is no number", s)
			}
			e.events = append(e.events, id)
		}
	}
	if len(rest.keys) == 0 {
		return nil
	}
	x, err := parseSearch(rest, nil, 0)
	e.when = x
	return err
}

// replaceAll makes an expression with every test replaced. Shared parts stay shared no more.
func (x *expr) replaceAll(f func(*predicate) *expr) *expr {
	if x.kind == exprPred {
		return f(x.pred)
	}
	out := *x
	out.kids = make([]*expr, len(x.kids))
	for i, k := range x.kids {
		out.kids[i] = k.replaceAll(f)
	}
	return &out
}

// renameFields gives the fields of a rule other names. Several names: any of them.
func (r *Rule) renameFields(to func(string) []string) {
	change := func(p *predicate) *expr {
		var alts []*expr
		refs := []string{p.text}
		if p.op == opFieldRef {
			refs = to(p.text)
		}
		names := []string{p.field}
		if p.field != "" {
			names = to(p.field)
		}
		for _, n := range names {
			for _, ref := range refs {
				q := *p
				q.field = n
				if p.op == opFieldRef {
					q.text = ref
				}
				alts = append(alts, isTrue(&q))
			}
		}
		if p.op == opNull || (p.op == opExists && !p.want) {
			return andOf(alts...) // absent under all names
		}
		return orOf(alts...)
	}
	if r.cond != nil {
		r.cond = r.cond.replaceAll(change)
	}
	if c := r.Correlation; c != nil {
		one := func(n string) string {
			if slices.ContainsFunc(c.aliases, func(a alias) bool { return a.name == n }) {
				return n
			}
			return to(n)[0]
		}
		for i := range c.GroupBy {
			c.GroupBy[i] = one(c.GroupBy[i])
		}
		for i := range c.Field {
			c.Field[i] = one(c.Field[i])
		}
		for i := range c.aliases {
			c.aliases[i].field = to(c.aliases[i].field)[0]
		}
	}
	r.Fields = slices.Clone(r.Fields)
	for i := range r.Fields {
		r.Fields[i] = to(r.Fields[i])[0]
	}
}
