package eau

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// publishedElement is what a snapshot says about one element, as far as it can be checked.
type publishedElement struct {
	ID        string `json:"id"`
	Min       int    `json:"min"`
	Max       string `json:"max"`
	MaxLength int    `json:"maxLength"`
	Slicing   *struct {
		Rules string `json:"rules"`
	} `json:"slicing"`
	Binding *struct {
		Strength string `json:"strength"`
		ValueSet string `json:"valueSet"`
	} `json:"binding"`
	Type []struct {
		Code          string   `json:"code"`
		TargetProfile []string `json:"targetProfile"`
	} `json:"type"`
	fixed   string // of any type
	pattern string // likewise; system|code of a CodeableConcept
}

func (e *publishedElement) UnmarshalJSON(b []byte) error {
	type plain publishedElement
	if err := json.Unmarshal(b, (*plain)(e)); err != nil {
		return err
	}
	all := map[string]any{}
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	for k, v := range all {
		switch {
		case strings.HasPrefix(k, "fixed"):
			e.fixed = fmt.Sprint(v)
		case strings.HasPrefix(k, "pattern"):
			e.pattern = fmt.Sprint(v)
			if concept, ok := v.(map[string]any); ok {
				e.pattern = onlyCoding(concept)
			}
		}
	}
	return nil
}

// onlyCoding is the code that a pattern asks for; patterns of other shapes show as they are.
func onlyCoding(concept map[string]any) string {
	list, ok := concept["coding"].([]any)
	if !ok || len(list) != 1 {
		return fmt.Sprint(concept)
	}
	coding, ok := list[0].(map[string]any)
	if !ok {
		return fmt.Sprint(concept)
	}
	return fmt.Sprint(coding["system"], "|", coding["code"])
}

// publishedOddity tells of a place where the tables differ from a snapshot on purpose.
func publishedOddity(profile, id, what string) bool {
	_, path, _ := strings.Cut(id, ".")
	last := path[strings.LastIndexByte(path, '.')+1:]
	inExtension := strings.Contains(path, "extension:")
	switch {
	case strings.Contains(path, "entry") && slices.Contains([]string{"search", "request", "response"}, last):
		return true // FHIR itself forbids them in documents (bdl-2 to bdl-4)
	case what == "excluded" && last == "extension" && inExtension:
		return true // an extension has a value or extensions: ext-1 says it
	case (what == "fixed" || what == "length") && last == "value[x]":
		return true // the snapshot says it one line later, of the only type
	case what == "min" && inExtension && strings.HasPrefix(last, "value[x]:"):
		return true // value[x] is asked for, and this is its only type
	case what == "missing" && last == "value" && !strings.Contains(path, "entifier"):
		return true // the value of a primitive: an attribute in XML, at most 1 MiB long
	case profile == "KBV_PR_FOR_PractitionerRole" && path == "organization":
		return what == "target" // its reference is excluded: only an identifier may stand
	}
	return false
}

// TestTheTablesSayWhatTheSnapshotsSay holds every element of the published snapshots of
// 1.2.1 against the tables: numbers, fixed values, patterns, lengths, bindings, slices,
// targets, and that what is excluded there has no rule here.
func TestTheTablesSayWhatTheSnapshotsSay(t *testing.T) {
	const dir = "../../../shared/data/eau/1.2.1/profiles/snapshot"
	files, err := filepath.Glob(filepath.Join(dir, "KBV_PR_*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("suite left out: no published profiles")
	}
	compared := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		p := rules121().profiles[name]
		if p == nil {
			t.Errorf("%s: no rules", name)
			continue
		}
		c := snapshotComparer{t: t, profile: name, root: p.root}
		c.compare(readSnapshot(t, file))
		compared += c.elements
	}
	if compared < 1400 {
		t.Errorf("only %d elements were compared", compared)
	}
	t.Logf("%d elements of %d profiles compared", compared, len(files))
}

func readSnapshot(t *testing.T, file string) []publishedElement {
	t.Helper()
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("suite left out: no published profiles")
	}
	if err != nil {
		t.Fatal(err)
	}
	var sd struct {
		Snapshot struct {
			Element []publishedElement `json:"element"`
		} `json:"snapshot"`
	}
	if err := json.Unmarshal(b, &sd); err != nil {
		t.Fatal(err)
	}
	return sd.Snapshot.Element
}

type snapshotComparer struct {
	t        *testing.T
	profile  string
	root     *rule
	elements int
}

func (c *snapshotComparer) compare(elements []publishedElement) {
	gone := map[string]bool{} // excluded here; what is below it does not matter
	for i := range elements {
		e := &elements[i]
		if i == 0 {
			continue // the resource itself
		}
		parent := e.ID[:strings.LastIndexByte(e.ID, '.')]
		slice := strings.LastIndexByte(e.ID, ':') // of something excluded: a.b:slice below a.b
		if gone[parent] || slice > len(parent) && gone[e.ID[:slice]] {
			gone[e.ID] = true
			continue
		}
		c.elements++
		r, found := c.find(e.ID)
		if e.Max == "0" {
			gone[e.ID] = true
			if found && !publishedOddity(c.profile, e.ID, "excluded") {
				c.t.Errorf("%s: %s is excluded there and not here", c.profile, e.ID)
			}
			continue
		}
		if c.passedOver(e) {
			c.elements--
			gone[e.ID] = true
			continue
		}
		if !found {
			if !publishedOddity(c.profile, e.ID, "missing") {
				c.t.Errorf("%s: %s has no rule", c.profile, e.ID)
			}
			gone[e.ID] = true
			continue
		}
		if r != nil {
			c.element(e, r)
		}
	}
}

// passedOver are elements that are attributes in XML or that every element has.
func (c *snapshotComparer) passedOver(e *publishedElement) bool {
	last := e.ID[strings.LastIndexByte(e.ID, '.')+1:]
	depth := strings.Count(e.ID, ".")
	switch last {
	case "id":
		return depth > 1
	case "url": // of an extension: the condition of its slice
		return strings.Contains(e.ID, "xtension")
	case "extension", "modifierExtension":
		return e.Min == 0 && e.Max == "*"
	}
	return false
}

func (c *snapshotComparer) element(e *publishedElement, r *rule) {
	bad := func(what string, want, got any) {
		if !publishedOddity(c.profile, e.ID, what) {
			c.t.Errorf("%s: %s: %s is %v there, %v here", c.profile, e.ID, what, want, got)
		}
	}
	hi := fmt.Sprint(r.max)
	if r.max < 0 {
		hi = "*"
	}
	if e.Min != r.min {
		bad("min", e.Min, r.min)
	}
	if e.Max != hi {
		bad("max", e.Max, hi)
	}
	if e.fixed != "" && (!r.isFixed || r.fixed != e.fixed) {
		bad("fixed", e.fixed, r.fixed)
	}
	if r.isFixed && e.fixed == "" && e.pattern == "" {
		bad("fixed", "nothing", r.fixed)
	}
	if e.pattern != "" && e.pattern != r.fixed && e.pattern != r.pattern.system+"|"+r.pattern.code {
		bad("pattern", e.pattern, r.pattern)
	}
	if e.MaxLength != r.maxLen && e.MaxLength != 1<<20 {
		bad("length", e.MaxLength, r.maxLen)
	}
	if e.Slicing != nil && e.Slicing.Rules == "closed" && !r.closed && !strings.HasSuffix(e.ID, "[x]") {
		bad("slicing", "closed", "open")
	}
	c.binding(e, r, bad)
	c.targets(e, r, bad)
}

func (c *snapshotComparer) binding(e *publishedElement, r *rule, bad func(string, any, any)) {
	if e.Binding == nil || e.Binding.Strength != "required" && e.Binding.Strength != "extensible" || r.isFixed || e.fixed != "" {
		return
	}
	set := e.Binding.ValueSet[strings.LastIndexByte(e.Binding.ValueSet, '/')+1:]
	set, _, _ = strings.Cut(set, "|")
	kbv := strings.Contains(e.Binding.ValueSet, "kbv.de")
	switch {
	case r.codes != nil && r.codes.name == set && r.advice == (e.Binding.Strength == "extensible"):
	case r.codes == nil && (r.fixesCode() || r.pattern != code{}): // says more than the table
	case r.codes == nil && e.Binding.Strength == "extensible" && !kbv: // a recommendation of FHIR
	case r.codes != nil && !kbv && !r.advice: // FHIR's own tables have shorter names here
	default:
		got := any(nil)
		if r.codes != nil {
			got = r.codes.name
		}
		bad("binding", e.Binding.Strength+" "+set, got)
	}
}

func (c *snapshotComparer) targets(e *publishedElement, r *rule, bad func(string, any, any)) {
	for _, typ := range e.Type {
		var want []string
		for _, p := range typ.TargetProfile {
			if name, ok := strings.CutPrefix(p, kbvSD); ok && strings.HasPrefix(name, "KBV_PR_") {
				name, _, _ = strings.Cut(name, "|")
				want = append(want, name)
			}
		}
		if typ.Code == "Reference" && len(want) > 0 && !slices.Equal(want, r.targets) {
			bad("target", want, r.targets)
		}
	}
}

// find follows the path of a snapshot element: "a.b:slice.c". It returns no
// rule and true where the table says the same in another place.
func (c *snapshotComparer) find(id string) (*rule, bool) {
	r := c.root
	parts := strings.Split(id, ".")[1:]
	for i := range parts {
		name, sliceName, sliced := strings.Cut(parts[i], ":")
		if choice, ok := strings.CutSuffix(name, "[x]"); ok {
			return c.choice(r, choice, sliceName, sliced, parts[i+1:])
		}
		k := kidNamed(r, name)
		if k == nil {
			return nil, false
		}
		if r.resource {
			return nil, true
		}
		r = k
		if !sliced {
			continue
		}
		if r.has != "" { // meta.profile: the one repetition that is asked for
			return nil, true
		}
		at := slices.IndexFunc(k.slices, func(s *slice) bool { return s.name == sliceName })
		if at < 0 {
			return nil, false
		}
		r = k.slices[at].rule
	}
	return r, true
}

// choice finds value[x] and value[x]:valueCode and what is below them.
func (c *snapshotComparer) choice(r *rule, choice, typed string, sliced bool, rest []string) (*rule, bool) {
	for _, k := range r.kids {
		if isChoice(k.name, choice+"[x]") && (!sliced || k.name == typed) {
			sub := snapshotComparer{root: k}
			if len(rest) == 0 {
				return k, true
			}
			return sub.find("x." + strings.Join(rest, "."))
		}
	}
	return nil, false
}

func kidNamed(r *rule, name string) *rule {
	for _, k := range r.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}
