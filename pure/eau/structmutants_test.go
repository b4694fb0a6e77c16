package eau

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mutant is a document that breaks one rule of the tables.
type mutant struct {
	rule string // what it breaks: kind and the place in the profile, without indices
	want string // the finding: key and path
	doc  []byte
}

// structure makes a mutant for every rule about elements that a document
// touches: it walks the document beside the rules as the checker does.
type structure struct {
	*mutator
	c    *checker
	out  []mutant
	seen map[string]bool
}

func structuralMutants(tb testing.TB, b []byte, seen map[string]bool) []mutant {
	tb.Helper()
	return mutantsBy(tb, rules121(), b, seen)
}

// mutantsBy makes them for the rules of any version.
func mutantsBy(tb testing.TB, set *ruleset, b []byte, seen map[string]bool) []mutant {
	tb.Helper()
	s := &structure{mutator: newMutator(tb, b), c: &checker{}, seen: seen}
	if err := s.c.tree.scan(b); err != nil {
		tb.Fatal(err)
	}
	s.c.set, s.c.day = set, "2026-11-20"
	root := s.tree.nodes[0].first
	p := s.c.set.profiles[rootProfile(s.tree.kind(root))]
	s.c.links.index(&s.c.tree, root)
	s.walk(root, p.root, p.name)
	return s.out
}

// add keeps a mutant unless the same rule was broken before: a rule that two
// fixtures touch needs one.
func (s *structure) add(kind, place, want string, cuts ...cut) {
	rule := kind + " " + place
	if s.seen[rule] {
		return
	}
	s.seen[rule] = true
	s.out = append(s.out, mutant{rule: rule, want: want, doc: s.apply(cuts...)})
}

func (s *structure) walk(n int32, r *rule, place string) {
	s.c.stack = append(s.c.stack, frame{n, r})
	defer func() { s.c.stack = s.c.stack[:len(s.c.stack)-1] }()
	path := s.c.path(n)
	if r.prim != 0 {
		s.primitive(n, r, place, path)
	} else {
		s.complex(n, r, place, path)
	}
	s.outline(n, r, place, path)
	seen := map[*rule][]int32{}
	for ch := s.tree.nodes[n].first; ch != 0; ch = s.tree.nodes[ch].next {
		i := kidIndex(r.kids, 0, s.tree.nodes[ch].name)
		k := r.kids[i]
		seen[k] = append(seen[k], ch)
	}
	for _, k := range r.kids {
		s.numbers(n, k, seen[k], place+"."+k.name, path)
		for _, ch := range seen[k] {
			s.below(ch, k, place)
		}
	}
}

func (s *structure) below(ch int32, k *rule, place string) {
	place += "." + k.name
	if k.sliced {
		if sl := s.c.match(ch, k); sl != nil {
			place += ":" + sl.name
			k = sl.rule
		}
	}
	switch {
	case k.prim == primXHTML: // see TestNarrativesAreChecked
		return
	case !k.resource:
		s.walk(ch, k, place)
		return
	}
	res := s.tree.nodes[ch].first
	name, _ := s.tree.profile(res)
	s.c.stack = append(s.c.stack, frame{ch, k})
	s.walk(res, s.c.set.profiles[name].root, name)
	s.c.stack = s.c.stack[:len(s.c.stack)-1]
}

// numbers breaks cardinalities and slices of one child.
func (s *structure) numbers(n int32, k *rule, have []int32, place, path string) {
	child := path + "." + fhirName(k.name, false)
	asked := slices.ContainsFunc(k.slices, func(sl *slice) bool { return sl.rule.min > 0 }) // then the kind is missing
	if k.min > 0 && !asked {
		var cuts []cut
		for _, ch := range have[min(k.min, len(have))-1:] {
			cuts = append(cuts, s.remove(ch))
		}
		s.add("min", place, "min "+child, cuts...)
	}
	if len(have) == 0 {
		return
	}
	last := have[len(have)-1]
	if k.max >= 0 {
		s.add("max", place, "max "+s.nth(last, k.max), s.repeat(last, k.max+1-len(have)))
	}
	if k.has != "" {
		s.add("has", place, "fixed "+child, s.set(last, k.has+".0"))
		s.add("has-twice", place, "fixed "+child, s.repeat(last, 1))
		s.add("has-other", place, "profile "+s.c.path(last), s.repeat(last, 1), s.set(last, kbvSD+"KBV_PR_ERP_Bundle|1.2"))
	}
	for _, sl := range k.slices {
		s.slice(k, sl, have, place+":"+sl.name, child)
	}
	if k.closed {
		s.closed(k, last, place)
	}
	_ = n
}

// nth is the path of a repetition that is not there yet.
func (s *structure) nth(n int32, i int) string {
	path := s.c.path(n)
	if strings.HasSuffix(path, "]") {
		path = path[:strings.LastIndexByte(path, '[')]
	}
	return fmt.Sprintf("%s[%d]", path, i)
}

func (s *structure) slice(k *rule, sl *slice, have []int32, place, child string) {
	var mine []int32
	for _, ch := range have {
		if s.c.match(ch, k) == sl {
			mine = append(mine, ch)
		}
	}
	if len(mine) == 0 {
		return
	}
	if sl.rule.min > 0 {
		var cuts []cut
		for _, ch := range mine {
			cuts = append(cuts, s.remove(ch))
		}
		s.add("slice-min", place, "slice-min "+child, cuts...)
	}
	if sl.rule.max >= 0 {
		last := mine[len(mine)-1]
		at := -1
		for i, ch := range have {
			if ch == last {
				at = i
			}
		}
		s.add("slice-max", place, "slice-max "+s.nth(last, at+sl.rule.max+1-len(mine)), s.repeat(last, sl.rule.max+1-len(mine)))
	}
}

// closed makes one more element that is in no slice.
func (s *structure) closed(k *rule, last int32, place string) {
	sl := s.c.match(last, k)
	if sl == nil {
		return
	}
	want := "slice " + s.c.path(last)
	for _, cd := range sl.when {
		switch cd.kind {
		case condURL:
			s.add("closed", place, want, s.attr(last, "url", kbvSD+"KBV_EX_Unbekannt"))
		case condValue:
			at, _ := s.tree.only(last, cd.path)
			s.add("closed", place, want, s.set(at, "anders"))
		case condPattern:
			at, _ := s.tree.only(last, cd.path)
			s.add("closed", place, want, s.set(s.tree.child(s.tree.child(at, "coding"), "code"), "anders"))
		case condProfile:
			s.add("closed", place, "slice "+s.nth(last, len(s.c.links.entries)),
				cut{int(s.tree.nodes[last].end), int(s.tree.nodes[last].end), strangerEntry})
		case condExists, condAbsent:
		}
	}
}

// strangerEntry is an entry that no profile of an eAU knows.
const strangerEntry = `<entry><fullUrl value="http://praxis.invalid/fhir/Basic/b1"/><resource><Basic><id value="b1"/></Basic></resource></entry>`

// outline breaks what every element must keep to: names, order, attributes, text.
func (s *structure) outline(n int32, r *rule, place, path string) {
	nd := &s.tree.nodes[n]
	if nd.first != 0 {
		for _, d := range r.denied {
			name := d
			if _, ok := r.choice(d); ok {
				name = d + "String"
			}
			if name == "extension" {
				s.add("excluded", place+"."+d, "excluded "+path+".extension[0]",
					s.first(n, `<extension url="`+hl7SD+`data-absent-reason"><valueCode value="unknown"/></extension>`))
				continue
			}
			want := path + "." + fhirName(name, true)
			s.add("excluded", place+"."+d, "excluded "+want, s.last(n, "<"+name+` value="x"/>`))
		}
		s.add("unknown", place, "unknown "+path+".unbekannt", s.last(n, `<unbekannt value="x"/>`))
		s.add("text", place, "text "+path, s.last(n, "Text"))
		s.add("namespace", place, "namespace "+path+".fremd", s.last(n, `<fremd xmlns="urn:fremd"/>`))
		if second := nd.last; second != nd.first && s.tree.nodes[second].name != s.tree.nodes[nd.first].name {
			s.order(n, place)
		}
	}
	tag := int(nd.pos) + len(nd.name) + 1
	s.add("attribute", place, "attribute "+path, cut{tag, tag, ` fremd="x"`})
}

// order moves the last child to the front, one that stands alone.
func (s *structure) order(n int32, place string) {
	last := s.tree.nodes[n].last
	first := s.tree.nodes[n].first
	if s.tree.nodes[first].name == "extension" || s.tree.nodes[last].name == "extension" {
		return
	}
	// The first one then stands behind its place.
	s.add("order", place, "order "+s.c.path(first), s.remove(last), s.first(n, s.text(last)))
}

// choice reports whether a denied name is a choice of types.
func (r *rule) choice(name string) (string, bool) {
	switch name {
	case "onset", "abatement", "quantity", "occurrence", "asNeeded", "deceased", "multipleBirth", "value":
		return name, r.name != "Coverage"
	}
	return "", false
}

func (s *structure) complex(n int32, r *rule, place, path string) {
	nd := &s.tree.nodes[n]
	asks := slices.ContainsFunc(r.kids, func(k *rule) bool { return k.min > 0 }) // else that is what is missing
	if nd.up != 0 && !asks && nd.name != "extension" && s.tree.nodes[nd.up].name != "resource" {
		s.add("empty", place, "ele-1 "+path, s.replace(n, "<"+nd.name+"/>"))
	}
	if r.codes != nil && !r.advice {
		code := s.tree.child(n, "code")
		if r.typ == "CodeableConcept" {
			code = s.tree.child(s.tree.child(n, "coding"), "code")
		}
		s.add("binding", place, "binding "+path, s.set(code, "ungueltig"))
	}
	if r.pattern != (code{}) {
		s.add("pattern", place, "pattern "+path, s.set(s.tree.child(s.tree.child(n, "coding"), "code"), "anders"))
	}
	if r.targets == nil {
		return
	}
	ref := s.tree.child(n, "reference")
	if ref == 0 {
		return
	}
	s.add("reference", place, "reference "+s.childPath(n, ref), s.set(ref, s.tree.nodes[ref].value+"0"))
	for i := range s.c.links.entries {
		e := &s.c.links.entries[i]
		if !strings.HasPrefix(s.tree.nodes[ref].value, e.kind+"/") {
			s.add("reference-type", place, "reference-type "+s.childPath(n, ref), s.set(ref, e.kind+"/"+e.id))
			break
		}
	}
}

func (s *structure) childPath(_, child int32) string { return s.c.path(child) }

// primitive breaks form, fixed value, length and table of a value.
func (s *structure) primitive(n int32, r *rule, place, path string) {
	nd := &s.tree.nodes[n]
	if nd.flags&hasValue == 0 {
		return
	}
	if nd.first == 0 {
		s.add("empty", place, "ele-1 "+path, s.dropValue(n))
		s.add("empty value", place, "ele-1 "+path, s.set(n, ""))
	}
	if bad := wrongForm(r.prim); bad != "" {
		s.add("type", place, "type "+path, s.set(n, bad))
	}
	if r.isFixed {
		s.add("fixed", place, "fixed "+path, s.set(n, otherValue(r)))
	}
	if r.maxLen > 0 {
		s.add("length", place, "length "+path, s.set(n, nd.value+strings.Repeat("ß", r.maxLen+1-len([]rune(nd.value)))))
	}
	if r.codes != nil && !r.isFixed {
		s.add("binding", place, "binding "+path, s.set(n, "QQQ"))
	}
}

func wrongForm(p primitive) string {
	switch p {
	case primString:
		return "   "
	case primCode:
		return "a  b"
	case primURI, primCanonical:
		return "a b"
	case primID:
		return "ä"
	case primBoolean:
		return "ja"
	case primDate, primDateTime:
		return "2026-02-30"
	case primInstant:
		return "2026-11-20T25:00:00Z"
	case primDecimal:
		return "1,5"
	case primPositive:
		return "0"
	case primUnsigned:
		return "-1"
	case primXHTML:
	}
	return ""
}

// otherValue has the form of the type and is not the fixed one.
func otherValue(r *rule) string {
	switch r.prim { //nolint:exhaustive // the others take any word
	case primBoolean:
		return "false"
	case primURI, primCanonical:
		return r.fixed + "/anders"
	}
	return "anders"
}

// sideEffect says why a mutant that breaks one rule shows a second finding: the
// other rule asks about the same bytes, so that no document breaks the one alone.
type sideEffect struct {
	finding string // regular expression for the key of the other finding
	rule    string // regular expression for "kind place" of the broken rule
	reason  string
}

// sideEffects are all of them. A row that explains nothing fails the test.
var sideEffects = []sideEffect{
	{"slice", "(type|fixed|empty|empty value|min|max|pattern) ", "the value tells the kinds of a closed list apart; another value is of no kind"},
	{"slice-min", "(closed|type|fixed|empty|empty value|min|max|pattern) ", "an element taken out of its kind leaves the kind missing"},
	{"slice-max", "max ", "the number of all and the number of this kind are limited alike"},
	{"max", "(slice-max|closed) ", "the number of all and the number of this kind are limited alike"},
	{"bdl-7", `(slice-max|max) KBV_PR_EAU_(Storno_)?Bundle\.entry`, "an entry written twice has its fullUrl twice"},
	{"bdl-11", `(order|slice-min|slice-max) KBV_PR_EAU_(Storno_)?Bundle`, "without the Composition in front another entry is the first"},
	{"orphan", `Bundle\.entry`, "an entry added, or moved to another address, is not referred to"},
	{"orphan", `(Composition|PractitionerRole)`, "a reference that leads elsewhere leaves its entry without one"},
	{"reference", `Bundle\.entry`, "references to an entry lead nowhere when it or its address is gone"},
	{"reference", `type \S+\.reference`, "what is no reference leads nowhere"},
	{"reference-type", `KBV_PR_EAU_Condition_(AU|ICD|Text)\.meta`, "three profiles share the type Condition; without a claim a reference cannot be to the right one"},
	{"reference", `excluded KBV_PR_EAU_Storno\.entry\.item\.reference`, "a reference written where none may stand leads nowhere"},
	{"ext-1", `excluded \S+\.value$`, "a value beside extensions is what ext-1 forbids"},
	{"fullUrl", `\.(fullUrl|id)$`, "address and id of an entry go together"},
	{"fixed", `(type|empty|empty value) \S+\.meta\.profile`, "a profile that is not readable is not the one that is asked for"},
	{"pattern", `\.type\.coding\.(system|code)`, "the code that the pattern asks for is gone"},
	{"pattern", `\.type(\.coding)?$`, "the code that the pattern asks for is gone"},
}

// explain finds the reason for a second finding. That of an invariant is that
// it reads what the mutant changes.
func explain(rule, key string, used map[int]bool) bool {
	for _, inv := range rules121().invs {
		if inv.key == key && reads(inv, rule) {
			return true
		}
	}
	for i, e := range sideEffects {
		if regexp.MustCompile("^("+e.finding+")$").MatchString(key) && regexp.MustCompile("^.*("+e.rule+")").MatchString(rule) {
			used[i] = true
			return true
		}
	}
	return false
}

// reads reports whether an invariant looks at an element on the way to the
// place of a rule. Invariants that look at their own element alone read it.
func reads(inv *invariant, rule string) bool {
	names := map[string]bool{}
	collectNames(inv.expr, names)
	if len(names) == 0 {
		return true
	}
	for part := range strings.SplitSeq(rule[strings.LastIndexByte(rule, ' ')+1:], ".") {
		part, _, _ = strings.Cut(part, ":")
		if strings.HasPrefix(part, "value") && len(part) > 5 {
			part = "value"
		}
		if strings.HasPrefix(part, "onset") {
			part = "onset"
		}
		if names[part] {
			return true
		}
	}
	return false
}

func collectNames(e *expr, names map[string]bool) {
	switch e.op { //nolint:exhaustive // only these name elements
	case opChild:
		names[e.text] = true
	case opExtension:
		names["extension"] = true
	case opResolve:
		names["fullUrl"], names["id"], names["reference"] = true, true, true
	}
	for _, a := range e.args {
		collectNames(a, names)
	}
}

func TestEveryRuleAboutElementsFailsOnItsMutant(t *testing.T) {
	seen, used := map[string]bool{}, map[int]bool{}
	docs := documents(t)
	total, alone := 0, 0
	for _, name := range documentNames() {
		for _, m := range structuralMutants(t, docs[name], seen) {
			total++
			r := Check(m.doc, Options{})
			if judge(t, name, &m, keysOf(&r), used) {
				alone++
			}
		}
	}
	for i, e := range sideEffects {
		if !used[i] {
			t.Errorf("side effect %q of %q explains nothing", e.finding, e.rule)
		}
	}
	if total < 4000 || alone < 3400 {
		t.Errorf("%d mutants, %d of them break nothing else: the tables or the generator have lost some", total, alone)
	}
	t.Logf("%d mutants, %d break nothing else", total, alone)
}

// judge reports whether the mutant breaks its rule alone, and fails the test
// if it does not break it or shows what nothing explains.
func judge(t *testing.T, name string, m *mutant, keys []string, used map[int]bool) bool {
	t.Helper()
	_, wantPath, _ := strings.Cut(m.want, " ")
	hit := false
	for _, k := range keys {
		key, path, _ := strings.Cut(k, " ")
		switch {
		case k == m.want:
			hit = true
			continue
		case key == "slice" && strings.HasPrefix(wantPath, path):
			hit = true // the whole element is of no kind; what is below is not looked at
		}
		if !explain(m.rule, key, used) {
			t.Errorf("%s (%s): unexplained %s", m.rule, name, k)
		}
	}
	if !hit {
		t.Errorf("%s (%s): want %q, got %q", m.rule, name, m.want, keys)
	}
	return hit && len(keys) == 1
}
