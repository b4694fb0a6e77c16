package eau

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxSlots is the greatest number of children and slices of an element.
const maxSlots = 64

// checker walks a document beside the rules of its profile.
type checker struct {
	tree     tree
	links    links
	ev       evaluator
	set      *ruleset
	kind     Kind
	code     Kind   // decides the error codes
	day      string // decides which codes count
	stack    []frame
	stray    int
	entry    *slice // the slice of Bundle.entry that is being walked
	findings []Finding
	overflow bool
}

// frame is an element on the way down.
type frame struct {
	node int32
	rule *rule
}

type counts [maxSlots]uint16

// forget clears everything that the document left behind.
func (c *checker) forget() {
	c.tree.forget()
	clear(c.links.entries)
	clear(c.ev.items)
	clear(c.ev.memos)
	c.ev.t, c.ev.links = nil, nil
	c.stack, c.entry, c.findings, c.set, c.day = c.stack[:0], nil, nil, nil, ""
}

// element checks one element and all below it.
func (c *checker) element(n int32, r *rule) {
	nd := &c.tree.nodes[n]
	c.stack = append(c.stack, frame{n, r})
	for c.stray < len(c.tree.stray) && c.tree.stray[c.stray].node <= n {
		c.strayAttr(&c.tree.stray[c.stray])
		c.stray++
	}
	if r.prim != 0 {
		c.primitive(nd, r)
	} else {
		if nd.flags&hasValue != 0 {
			c.report("attribute", SeverityError, "Das Attribut „value“ ist an diesem Element nicht zulässig.")
		}
	}
	if nd.flags&hasURL != 0 && r.typ != "Extension" {
		c.report("attribute", SeverityError, "Das Attribut „url“ ist an diesem Element nicht zulässig.")
	}
	if nd.flags&hasText != 0 {
		c.report("text", SeverityError, "Das Element enthält Text zwischen den Tags.")
	}
	if !c.children(n, r) && r.prim == 0 && nd.first == 0 {
		c.report("ele-1", SeverityError, "Das Element ist leer.")
	}
	c.content(n, r)
	for _, inv := range r.inv {
		if !c.ev.holds(inv.expr, n) {
			c.report(inv.key, inv.severity, inv.text)
		}
	}
	c.stack = c.stack[:len(c.stack)-1]
}

// primitive checks the value itself.
func (c *checker) primitive(nd *node, r *rule) {
	if nd.flags&hasValue == 0 {
		switch {
		case nd.first == 0:
			c.report("ele-1", SeverityError, "Das Element hat weder Wert noch Erweiterung.")
		case r.isFixed:
			c.report("fixed", SeverityError, "Der Wert muss „"+r.fixed+"“ sein.")
		}
		return
	}
	v := nd.value
	switch {
	case v == "":
		c.report("ele-1", SeverityError, "Der Wert ist leer.")
		return
	case !r.prim.valid(v):
		c.report("type", SeverityError, "Der Wert hat nicht die Form des Typs "+r.typ+".")
		return
	case r.isFixed && v != r.fixed:
		c.report("fixed", SeverityError, "Der Wert muss „"+r.fixed+"“ sein.")
	}
	if r.maxLen > 0 && len(v) > r.maxLen && utf8.RuneCountInString(v) > r.maxLen {
		c.report("length", SeverityError, "Der Wert ist länger als "+strconv.Itoa(r.maxLen)+" Zeichen.")
	}
	if r.codes != nil && !r.isFixed && !r.codes.hasCode(v, c.day) {
		c.binding(r)
	}
}

func (c *checker) binding(r *rule) {
	if r.advice {
		c.report("binding", SeverityWarning, "Der Code steht nicht in der Tabelle "+r.codes.name+".")
		return
	}
	c.report("binding", SeverityError, "Der Code steht am Ausstellungsdatum nicht in der Tabelle "+r.codes.name+".")
}

// content checks what a complex element says with its children.
func (c *checker) content(n int32, r *rule) {
	if r.prim != 0 {
		return
	}
	if r.pattern != (code{}) && !c.tree.hasCode(n, r.pattern) {
		c.report("pattern", SeverityError, "Verlangt ist der Code "+r.pattern.code+" aus "+r.pattern.system+".")
	}
	if r.codes != nil {
		c.coded(n, r)
	}
	if r.targets != nil {
		c.reference(n, r)
	}
}

// coded checks a Coding, or the codings of a CodeableConcept, against a value set.
func (c *checker) coded(n int32, r *rule) {
	t := &c.tree
	if r.typ == "Coding" {
		if cd := t.codeOf(n); cd.readable() && !r.codes.has(cd, c.day) {
			c.binding(r)
		}
		return
	}
	readable := false
	for k := t.child(n, "coding"); k != 0; k = t.again(k) {
		cd := t.codeOf(k)
		if r.codes.has(cd, c.day) {
			return
		}
		readable = readable || cd.readable()
	}
	if readable {
		c.binding(r)
	}
}

// readable reports whether there is a code to look up; where there is none, or
// one without the form of a code, that has been said already.
func (c code) readable() bool {
	return primURI.valid(c.system) && primCode.valid(c.code)
}

// codeOf reads a Coding.
func (t *tree) codeOf(n int32) code {
	return code{t.nodes[t.child(n, "system")].value, t.nodes[t.child(n, "code")].value}
}

// hasCode reports whether a CodeableConcept contains a code.
func (t *tree) hasCode(n int32, want code) bool {
	for k := t.child(n, "coding"); k != 0; k = t.again(k) {
		if t.codeOf(k) == want {
			return true
		}
	}
	return false
}

// children checks names, order and numbers, and walks down. It reports whether
// a child that must be there is missing.
func (c *checker) children(n int32, r *rule) (missing bool) {
	var seen counts
	at := 0
	t := &c.tree
	for ch := t.nodes[n].first; ch != 0; ch = t.nodes[ch].next {
		cn := &t.nodes[ch]
		if cn.flags&(inXHTML|inOther) != 0 && (cn.flags&inXHTML == 0 || cn.name != "div") {
			c.reportAt(ch, "namespace", SeverityError, "Das Element gehört nicht zum Namensraum von FHIR.")
			continue
		}
		i := kidIndex(r.kids, at, cn.name)
		if i < 0 {
			c.stranger(ch, r)
			continue
		}
		if i < at {
			c.reportAt(ch, "order", SeverityError, "Das Element steht nicht an seinem Platz in der Reihenfolge.")
		}
		at = i
		seen[i]++
		c.child(ch, r.kids[i], int(seen[i]), &seen)
	}
	for _, i := range r.asked {
		if c.numbers(n, r.kids[i], int(seen[i]), &seen) {
			missing = true
		}
	}
	return missing
}

// kidIndex finds a name, first from where the last one was found.
func kidIndex(kids []*rule, at int, name string) int {
	for i := at; i < len(kids); i++ {
		if kids[i].name == name {
			return i
		}
	}
	for i := range min(at, len(kids)) {
		if kids[i].name == name {
			return i
		}
	}
	return -1
}

// stranger is an element that may not stand here.
func (c *checker) stranger(ch int32, r *rule) {
	name := c.tree.nodes[ch].name
	for _, d := range r.denied {
		if name == d || len(name) > len(d) && strings.HasPrefix(name, d) && name[len(d)] >= 'A' && name[len(d)] <= 'Z' {
			c.reportAt(ch, "excluded", SeverityError, "Das Element ist im Profil ausgeschlossen.")
			return
		}
	}
	c.reportAt(ch, "unknown", SeverityError, "Das Element gibt es hier nicht.")
}

// child checks one occurrence; nth counts from 1.
func (c *checker) child(ch int32, k *rule, nth int, seen *counts) {
	if k.max >= 0 && nth == k.max+1 {
		c.reportAt(ch, "max", SeverityError, "Das Element steht öfter als "+times(k.max)+".")
	}
	if !k.sliced {
		c.below(ch, k)
		return
	}
	s := c.match(ch, k)
	if s == nil {
		if k.closed {
			c.reportAt(ch, "slice", SeverityError, unmatched(k))
			return
		}
		c.below(ch, k)
		return
	}
	seen[s.slot]++
	if s.rule.max >= 0 && int(seen[s.slot]) == s.rule.max+1 {
		c.reportAt(ch, "slice-max", SeverityError, "„"+s.name+"“ steht öfter als "+times(s.rule.max)+".")
	}
	if k.name == "entry" {
		c.entry = s
	}
	c.below(ch, s.rule)
}

func unmatched(k *rule) string {
	names := make([]string, 0, len(k.slices))
	for _, s := range k.slices {
		names = append(names, s.name)
	}
	return "Das Element ist nach „" + k.by + "“ keines von: " + strings.Join(names, ", ") + "."
}

func times(n int) string {
	switch n {
	case 0:
		return "0-mal (es ist hier nicht zulässig)"
	case 1:
		return "einmal"
	}
	return strconv.Itoa(n) + "-mal"
}

// below walks into a child.
func (c *checker) below(ch int32, k *rule) {
	switch {
	case k.resource:
		c.resource(ch, k)
	case k.prim == primXHTML:
		c.div(ch, k)
	case k.typ == "-":
		c.reportAt(ch, "excluded", SeverityError, "Das Element ist im Profil ausgeschlossen.")
	case k.typ == "Extension":
		c.extension(ch, k)
	case c.tree.nodes[ch].flags&inXHTML != 0:
		c.reportAt(ch, "namespace", SeverityError, "Das Element gehört nicht zum Namensraum von FHIR.")
	default:
		c.element(ch, k)
	}
}

// numbers checks the least numbers of a child and its slices, and reports
// whether one is missing.
func (c *checker) numbers(n int32, k *rule, got int, seen *counts) (missing bool) {
	for _, s := range k.slices {
		if int(seen[s.slot]) < s.rule.min {
			missing = true
			c.missing(n, k, "slice-min", "„"+k.name+"“ der Art „"+s.name+"“ "+lacking(int(seen[s.slot]))+" ("+cardinality(s.rule.min, s.rule.max)+" verlangt).")
		}
	}
	if got < k.min && !missing { // else it is said what is missing
		missing = true
		c.missing(n, k, "min", "Das Element „"+k.name+"“ "+lacking(got)+" ("+cardinality(k.min, k.max)+" verlangt).")
	}
	if k.has != "" && got > 0 {
		c.claims(n, k)
	}
	return missing
}

func lacking(got int) string {
	if got == 0 {
		return "fehlt"
	}
	return "steht nur " + times(got)
}

func cardinality(lo, hi int) string {
	if hi < 0 {
		return "mindestens " + strconv.Itoa(lo)
	}
	return strconv.Itoa(lo) + " bis " + strconv.Itoa(hi)
}

// claims checks that exactly one repetition has the value that the profile
// wants, and that the others are profiles that are known here.
func (c *checker) claims(n int32, k *rule) {
	t := &c.tree
	hits := 0
	for ch := t.child(n, k.name); ch != 0; ch = t.again(ch) {
		switch v := t.nodes[ch].value; {
		case v == k.has:
			hits++
		case primCanonical.valid(v) && !c.knownProfile(v):
			c.reportAt(ch, "profile", SeverityError, "Das Profil ist hier nicht bekannt.")
		}
	}
	if hits != 1 {
		c.missing(n, k, "fixed", "Genau einmal muss „"+k.has+"“ stehen.")
	}
}

func (c *checker) knownProfile(url string) bool {
	name, ok := strings.CutPrefix(url, kbvSD)
	name, _, _ = strings.Cut(name, "|")
	return ok && c.set.profiles[name] != nil
}

// match finds the slice of a repetition.
func (c *checker) match(ch int32, k *rule) *slice {
next:
	for _, s := range k.slices {
		for i := range s.when {
			if !c.meets(ch, &s.when[i]) {
				continue next
			}
		}
		return s
	}
	return c.fallback(ch, k)
}

// fallback finds the slice of an entry whose resource claims no profile known
// here: by its type, if only one slice has it. Its faults then show where they are.
func (c *checker) fallback(ch int32, k *rule) *slice {
	if k.name != "entry" {
		return nil
	}
	res := c.tree.resourceOf(ch)
	if res == 0 {
		return nil
	}
	var found *slice
	for _, s := range k.slices {
		if p := c.set.profiles[s.when[0].value]; p != nil && p.typ == c.tree.nodes[res].name {
			if found != nil {
				return nil
			}
			found = s
		}
	}
	return found
}
