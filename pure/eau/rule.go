package eau

import "strings"

// rule is what the profiles say about one element: a row of the tables in
// rules/, compiled. Rules form a tree for each profile; those of the data types
// are shared and may point back to each other.
type rule struct {
	name     string
	min, max int  // max below 0: any number
	repeats  bool // R4 allows several: paths carry an index
	typ      string
	prim     primitive // zero: an element with children
	resource bool      // holds a resource
	fixed    string
	isFixed  bool
	has      string // one of the repetitions has this value
	pattern  code   // a coding that the CodeableConcept contains
	maxLen   int
	codes    *codeSet
	advice   bool // breach of the binding is only warned about
	targets  []string
	inv      []*invariant

	kids   []*rule // in the order of FHIR
	asked  []int   // those that must be there, or in numbers
	denied []string
	slices []*slice // told apart by conditions; slots behind those of kids
	by     string   // what tells them apart, for people
	sliced bool
	closed bool

	ownKids bool  // kids belong to this rule and may be changed
	of      *rule // the type, before kids are resolved
	done    bool
	slots   int // counters that the children need
}

// slice is one kind among the repetitions of an element.
type slice struct {
	name string
	when []cond
	rule *rule
	slot int
}

// code is a code of a code system.
type code struct{ system, code string }

type condKind int

const (
	condValue   condKind = iota + 1 // the path leads to exactly this value
	condPattern                     // the path leads to a CodeableConcept with this code
	condURL                         // the extension has this URL
	condProfile                     // the resource claims this profile
	condExists                      // the path leads somewhere
	condAbsent                      // the path leads nowhere
)

// cond is one condition of a slice.
type cond struct {
	kind  condKind
	path  []string
	value string
	code  code
}

// codeSet is a value set. A code counts from its day on.
type codeSet struct {
	name string
	from map[code]string
	any  map[string]string // by code alone, for elements without a code system
}

// has reports whether the set contains a code on a day.
func (s *codeSet) has(c code, day string) bool {
	from, ok := s.from[c]
	return ok && (from == "" || day >= from)
}

// hasCode asks for the code alone.
func (s *codeSet) hasCode(c, day string) bool {
	from, ok := s.any[c]
	return ok && (from == "" || day >= from)
}

// profileRule is a profile: the rules of its resource.
type profileRule struct {
	name string // KBV_PR_…
	typ  string // Patient
	root *rule
}

// ruleset is everything that one version says.
type ruleset struct {
	version  Version
	profiles map[string]*profileRule
	byType   map[string][]*profileRule
	invs     []*invariant
	memos    int // results that invariants share
}

// Stems that the tables shorten.
func expandURL(s string) string {
	i := strings.IndexByte(s, ':')
	if i < 2 || i > 7 {
		return s
	}
	rest := s[i+1:]
	switch s[:i] {
	case "kbvSD":
		return kbvSD + rest
	case "kbvCS":
		return kbvCS + rest
	case "kbvNS":
		return kbvNS + rest
	case "hl7SD":
		return hl7SD + rest
	case "hl7CS":
		return hl7CS + rest
	case "hl7CODE":
		return "http://hl7.org/fhir/" + rest
	case "deSD":
		return deSD + rest
	case "deCS":
		return deCS + rest
	case "deSID":
		return deSID + rest
	case "deNS":
		return "http://fhir.de/NamingSystem/" + rest
	}
	return s
}
