package eau

import (
	"slices"
	"strconv"
	"strings"
)

// meets reports whether an element fulfils one condition of a slice.
func (c *checker) meets(n int32, cd *cond) bool {
	t := &c.tree
	switch cd.kind {
	case condURL:
		return t.nodes[n].url == cd.value
	case condProfile:
		res := t.resourceOf(n)
		if res == 0 {
			return false
		}
		p := c.set.profiles[cd.value]
		return p != nil && p.typ == t.nodes[res].name && t.claims(res, cd.value)
	case condValue:
		got, many := t.only(n, cd.path)
		return got != 0 && !many && t.nodes[got].value == cd.value
	case condPattern:
		got, many := t.only(n, cd.path)
		return got != 0 && !many && t.hasCode(got, cd.code)
	case condExists, condAbsent:
		got, _ := t.only(n, cd.path)
		return (got != 0) == (cd.kind == condExists)
	}
	return false
}

// claims reports whether a resource names a profile of KBV, in whatever version.
func (t *tree) claims(res int32, name string) bool {
	for p := t.child(t.child(res, "meta"), "profile"); p != 0; p = t.again(p) {
		if after, ok := strings.CutPrefix(t.nodes[p].value, kbvSD); ok && strings.HasPrefix(after, name) &&
			(len(after) == len(name) || after[len(name)] == '|') {
			return true
		}
	}
	return false
}

// only follows a path and returns the first element at its end, and whether there are more.
func (t *tree) only(n int32, path []string) (first int32, many bool) {
	if len(path) == 0 {
		return n, false
	}
	for ch := t.nodes[n].first; ch != 0; ch = t.nodes[ch].next {
		if t.nodes[ch].name != path[0] {
			continue
		}
		got, more := t.only(ch, path[1:])
		if got == 0 {
			continue
		}
		if first != 0 || more {
			return got, true
		}
		first = got
	}
	return first, false
}

// resource walks the resource in Bundle.entry.
func (c *checker) resource(ch int32, k *rule) {
	t := &c.tree
	c.stack = append(c.stack, frame{ch, k})
	defer func() { c.stack = c.stack[:len(c.stack)-1] }()
	res := t.nodes[ch].first
	switch {
	case res == 0:
		c.report("ele-1", SeverityError, "Das Element ist leer.")
		return
	case t.nodes[res].next != 0:
		c.report("max", SeverityError, "Das Element enthält mehr als eine Ressource.")
	}
	name, _ := t.profile(res)
	if c.entry != nil {
		name = c.entry.when[0].value
	}
	p := c.set.profiles[name]
	if p == nil || p.typ != t.nodes[res].name {
		c.report("profile", SeverityError, "Die Ressource nennt kein Profil, das hier bekannt ist.")
		return
	}
	c.entry = nil
	c.element(res, p.root)
}

// extension walks an extension. One that no slice knows is refused, except those
// of FHIR itself, which are not checked further: a practice is not turned away
// for an addition that FHIR allows everywhere.
func (c *checker) extension(ch int32, k *rule) {
	t := &c.tree
	nd := &t.nodes[ch]
	switch {
	case nd.flags&hasURL == 0 || nd.url == "":
		c.reportAt(ch, "extension", SeverityError, "Der Erweiterung fehlt die URL.")
		return
	case len(k.kids) > 0:
		c.element(ch, k)
	case k.name == "extension" && strings.HasPrefix(nd.url, hl7SD):
		c.reportAt(ch, "extension-unchecked", SeverityWarning, "Die Erweiterung von FHIR ist im Profil nicht genannt und wurde nicht geprüft.")
	default:
		c.reportAt(ch, "extension", SeverityError, "Die Erweiterung ist hier nicht zulässig.")
		return
	}
	if t.child(ch, "extension") != 0 && t.valueOf(ch) != 0 {
		c.reportAt(ch, "ext-1", SeverityError, "Die Erweiterung hat einen Wert und zugleich Erweiterungen.")
	}
}

// div checks the XHTML of a narrative: its root, and that it says something (txt-2).
func (c *checker) div(ch int32, k *rule) {
	nd := &c.tree.nodes[ch]
	if nd.flags&inXHTML == 0 {
		c.reportAt(ch, "namespace", SeverityError, "Das Element gehört nicht zum Namensraum von XHTML.")
		return
	}
	says := false
	for n := ch; int(n) < len(c.tree.nodes) && c.tree.nodes[n].pos < nd.end; n++ {
		in := &c.tree.nodes[n]
		says = says || in.flags&hasText != 0 || in.name == "img"
		if !htmlAllowed(in.name) {
			c.reportAt(ch, "txt-1", SeverityError, "Der Text enthält ein Element, das FHIR nicht zulässt.")
			return
		}
	}
	if !says {
		c.reportAt(ch, "txt-2", SeverityError, "Der Text ist leer.")
	}
	_ = k
}

// htmlAllowed lists the elements that FHIR allows in narratives (R4, txt-1).
func htmlAllowed(name string) bool {
	switch name {
	case "div", "p", "br", "b", "i", "em", "strong", "small", "big", "tt", "span", "a", "img", "table", "caption",
		"col", "colgroup", "thead", "tr", "tfoot", "tbody", "th", "td", "ul", "ol", "li", "dl", "dt", "dd", "pre",
		"code", "samp", "kbd", "var", "abbr", "acronym", "address", "bdo", "blockquote", "cite", "dfn", "hr",
		"h1", "h2", "h3", "h4", "h5", "h6", "q", "sub", "sup", "map", "area":
		return true
	}
	return false
}

// reference checks that a reference leads to a resource of the right profile.
func (c *checker) reference(n int32, r *rule) {
	t := &c.tree
	refNode := t.child(n, "reference")
	ref := t.nodes[refNode].value
	if ref == "" || t.nodes[t.nodes[0].first].name != "Bundle" {
		return // the numbers say it, where a reference is asked for
	}
	target := c.links.resolve(t, n, ref)
	if target != 0 {
		c.links.note(t, n, target)
	}
	if target == 0 {
		severity := SeverityWarning
		if t.nodes[t.resourceAround(n)].name == "Composition" || c.wrongType(ref, r) {
			severity = SeverityError
		}
		c.reportAt(refNode, "reference", severity, "Der Verweis führt zu keinem Eintrag des Bundles.")
		return
	}
	for _, want := range r.targets {
		if p := c.set.profiles[want]; p != nil && p.typ == t.nodes[target].name && (t.claims(target, want) || c.soleProfile(p)) {
			return
		}
	}
	c.reportAt(refNode, "reference-type", SeverityError, "Der Verweis führt nicht zu einer Ressource des Profils "+strings.Join(r.targets, ", ")+".")
}

// soleProfile reports whether a resource type has one profile only: then a
// wrong claim is said where it stands and not at every reference again.
func (c *checker) soleProfile(p *profileRule) bool { return len(c.set.byType[p.typ]) == 1 }

// wrongType reports whether a relative reference names another type than the rule wants.
func (c *checker) wrongType(ref string, r *rule) bool {
	kind, _, relative := strings.Cut(ref, "/")
	if !relative || isAbsolute(ref) {
		return false
	}
	for _, want := range r.targets {
		if p := c.set.profiles[want]; p != nil && p.typ == kind {
			return false
		}
	}
	return true
}

func (c *checker) strayAttr(a *strayAttr) {
	if c.full(a.node) {
		return
	}
	c.add(Finding{
		Key: "attribute", Severity: SeverityError, Path: c.path(a.node), Line: c.tree.line(c.tree.nodes[a.node].pos),
		Text: "Das Attribut „" + a.name + "“ ist nicht zulässig.",
	})
}

// report is a finding on the element being checked.
func (c *checker) report(key string, s Severity, text string) {
	c.reportAt(c.stack[len(c.stack)-1].node, key, s, text)
}

// reportAt is a finding on an element; those on the stack know whether R4 lets them repeat.
func (c *checker) reportAt(n int32, key string, s Severity, text string) {
	if c.full(n) {
		return
	}
	c.add(Finding{Key: key, Severity: s, Path: c.path(n), Line: c.tree.line(c.tree.nodes[n].pos), Text: text})
}

// missing is a finding on a child that is not there.
func (c *checker) missing(n int32, k *rule, key, text string) {
	if c.full(n) {
		return
	}
	c.add(Finding{
		Key: key, Severity: SeverityError, Path: c.path(n) + "." + fhirName(k.name, false),
		Line: c.tree.line(c.tree.nodes[n].pos), Text: text,
	})
}

// path writes where an element stands. Elements that R4 lets repeat have an index.
func (c *checker) path(n int32) string {
	var parts []string
	for ; n != 0; n = c.tree.nodes[n].up {
		nd := &c.tree.nodes[n]
		if nd.up != 0 && c.tree.nodes[nd.up].name == "resource" {
			continue // entry.resource is the resource itself
		}
		part := fhirName(nd.name, true)
		if i, several := c.place(n); several {
			part += "[" + strconv.Itoa(i) + "]"
		}
		parts = append(parts, part)
	}
	var out strings.Builder
	for i, part := range slices.Backward(parts) {
		out.WriteString(part)
		if i > 0 {
			out.WriteByte('.')
		}
	}
	return out.String()
}

// place returns the index of an element among its like, and whether to write it.
func (c *checker) place(n int32) (i int, several bool) {
	nd := &c.tree.nodes[n]
	if nd.up == 0 {
		return 0, false
	}
	for ch := c.tree.nodes[nd.up].first; ch != n; ch = c.tree.nodes[ch].next {
		if c.tree.nodes[ch].name == nd.name {
			i++
		}
	}
	several = i > 0 || c.tree.again(n) != 0 || nd.name == "extension"
	if k := len(c.stack); !several && k > 0 {
		if c.stack[k-1].node == nd.up { // the element is a child of the one being checked
			for _, kid := range c.stack[k-1].rule.kids {
				several = several || kid.name == nd.name && kid.repeats
			}
		}
		for _, f := range c.stack {
			several = several || f.node == n && f.rule.repeats
		}
	}
	return i, several
}

// fhirName is the name in FHIRPath: valueCoding is value.ofType(Coding).
func fhirName(name string, typed bool) string {
	for _, choice := range [...]string{"value", "onset"} {
		if !choiceOf(name, choice) {
			continue
		}
		if !typed {
			return choice
		}
		typ := name[len(choice):]
		switch typ {
		case "String", "Code", "Boolean", "DateTime", "Date", "Uri", "Integer", "Decimal":
			typ = strings.ToLower(typ[:1]) + typ[1:]
		}
		return choice + ".ofType(" + typ + ")"
	}
	return name
}
