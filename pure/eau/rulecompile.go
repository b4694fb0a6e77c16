package eau

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// compiler turns the tables of one version into rules.
type compiler struct {
	types   map[string]*rule
	codes   map[string]*codeSet
	invs    *invariantTable
	profile string // being compiled, for invariants of one profile only
}

// compileRules builds the rule set of a version from its tables.
func compileRules(v Version, r4, profiles, codes, invariants string) (*ruleset, error) {
	sets, err := parseCodes(codes, v)
	if err != nil {
		return nil, err
	}
	invs, err := parseInvariants(invariants, v)
	if err != nil {
		return nil, err
	}
	base, err := parseRows("r4.txt", r4)
	if err != nil {
		return nil, err
	}
	own, err := parseRows("profiles", profiles)
	if err != nil {
		return nil, err
	}
	c := &compiler{types: map[string]*rule{}, codes: sets, invs: invs}
	shapes := map[string]*row{}
	for _, r := range base {
		switch r.words[0] {
		case "shape":
			shapes[r.words[1]] = r
		case "type":
			c.types[r.words[1]] = &rule{name: r.words[1], typ: r.words[1], ownKids: true}
		}
	}
	for _, r := range base {
		if r.words[0] != "type" {
			continue
		}
		if err := c.defineType(r); err != nil {
			return nil, fmt.Errorf("r4.txt: %w", err)
		}
	}
	set := &ruleset{version: v, profiles: map[string]*profileRule{}, byType: map[string][]*profileRule{}}
	if own, err = expand(own, shapes); err != nil {
		return nil, err
	}
	for _, r := range own {
		p, err := c.defineProfile(r)
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", r.words[1], err)
		}
		set.profiles[p.name] = p
		set.byType[p.typ] = append(set.byType[p.typ], p)
	}
	set.invs, set.memos = invs.used, invs.memos
	return set, nil
}

// defineType reads a data type or resource of R4.
func (c *compiler) defineType(r *row) error {
	t := c.types[r.words[1]]
	if r.kids[0].words[0] != "id" { // resources name their extensions, see r4.txt
		t.kids = append(t.kids, c.extensionRule())
	}
	return c.addKids(t, r.kids)
}

func (c *compiler) extensionRule() *rule {
	return &rule{name: "extension", max: -1, repeats: true, typ: "Extension"}
}

// addKids defines children that R4 has.
func (c *compiler) addKids(parent *rule, rows []*row) error {
	for _, r := range rows {
		if r.words[0] == "inv" {
			if err := c.addInvariants(parent, r.words[1:]); err != nil {
				return err
			}
			continue
		}
		kid := &rule{name: r.words[0]}
		if err := c.attributes(kid, r); err != nil {
			return err
		}
		kid.repeats = kid.max != 1
		if len(r.kids) > 0 {
			kid.ownKids = true
			kid.kids = []*rule{c.extensionRule()}
			if err := c.addKids(kid, r.kids); err != nil {
				return err
			}
		}
		parent.kids = append(parent.kids, kid)
	}
	return nil
}

// defineProfile reads a profile over the resource type that it constrains.
func (c *compiler) defineProfile(r *row) (*profileRule, error) {
	if r.words[0] != "profile" || len(r.words) != 3 || c.types[r.words[2]] == nil {
		return nil, fmt.Errorf("line %d: %q is no profile", r.line, r.text)
	}
	c.profile = r.words[1]
	root := &rule{name: r.words[2], min: 1, max: 1, typ: r.words[2], of: c.types[r.words[2]]}
	if err := c.constrain(root, r.kids); err != nil {
		return nil, err
	}
	if err := c.finish(root); err != nil {
		return nil, err
	}
	return &profileRule{name: r.words[1], typ: r.words[2], root: root}, nil
}

// constrain applies the lines below an element to its rule.
func (c *compiler) constrain(r *rule, rows []*row) error {
	if len(rows) > 0 {
		c.own(r)
	}
	for _, line := range rows {
		var err error
		switch word := line.words[0]; {
		case word == "inv":
			err = c.addInvariants(r, line.words[1:])
		case word == "not":
			err = c.deny(r, line.words[1:])
		case strings.HasPrefix(word, ":"):
			err = c.addSlice(r, line)
		default:
			err = c.constrainKid(r, line)
		}
		if err != nil {
			return fmt.Errorf("line %d (%s): %w", line.line, line.text, err)
		}
	}
	return nil
}

// own gives the rule children that it may change without changing those of its type.
func (c *compiler) own(r *rule) {
	if r.ownKids {
		return
	}
	from := r.kids
	if t := c.typeOf(r); len(from) == 0 && t != nil {
		from = t.kids
		r.inv = append(slices.Clone(r.inv), t.inv...)
		r.denied = append(slices.Clone(r.denied), t.denied...)
	}
	if len(from) == 0 && (r.prim != 0 || r.typ == "Extension") {
		from = []*rule{c.extensionRule()}
	}
	r.kids, r.ownKids = slices.Clone(from), true
}

func (c *compiler) typeOf(r *rule) *rule {
	if r.of != nil {
		return r.of
	}
	return c.types[r.typ]
}

func (c *compiler) constrainKid(r *rule, line *row) error {
	name := line.words[0]
	i := slices.IndexFunc(r.kids, func(k *rule) bool { return k.name == name })
	var kid rule
	switch {
	case i >= 0:
		kid = *r.kids[i]
		kid.ownKids, kid.done = false, false
	case strings.HasPrefix(name, "value") && r.typ == "Extension":
		kid = rule{name: name}
		i = len(r.kids)
		r.kids = append(r.kids, nil)
	default:
		return fmt.Errorf("%s has no element %s", r.typ, name)
	}
	if err := c.attributes(&kid, line); err != nil {
		return err
	}
	if err := c.constrain(&kid, line.kids); err != nil {
		return err
	}
	r.kids[i] = &kid
	return nil
}

func (c *compiler) deny(r *rule, names []string) error {
	for _, name := range names {
		i := slices.IndexFunc(r.kids, func(k *rule) bool { return k.name == name || isChoice(k.name, name) })
		if i >= 0 {
			r.kids = slices.Delete(r.kids, i, i+1)
		} else if r.typ != "Extension" || name != "value[x]" {
			return fmt.Errorf("%s has no element %s", r.typ, name)
		}
		r.denied = append(slices.Clone(r.denied), strings.TrimSuffix(name, "[x]"))
	}
	return nil
}

// isChoice reports whether an element name is one of the choices of a name like onset[x].
func isChoice(name, choice string) bool {
	base, ok := strings.CutSuffix(choice, "[x]")
	return ok && len(name) > len(base) && strings.HasPrefix(name, base) && name[len(base)] >= 'A' && name[len(base)] <= 'Z'
}

func (c *compiler) addSlice(r *rule, line *row) error {
	each := *r
	each.slices, each.sliced, each.closed, each.by, each.ownKids = nil, false, false, "", false
	each.min, each.max, each.inv, each.has = 0, 0, slices.Clone(r.inv), ""
	s := &slice{name: line.words[0][1:], rule: &each}
	rest := *line
	rest.words = line.words[:2:2]
	words := line.words[2:]
	if len(words) < 2 || words[0] != "when" {
		return fmt.Errorf("a slice needs a condition")
	}
	for words = words[1:]; len(words) > 0 && strings.ContainsAny(words[0], "=~:") && words[0] != "=" && words[0] != "~"; words = words[1:] {
		cd, err := parseCond(words[0])
		if err != nil {
			return err
		}
		s.when = append(s.when, cd)
	}
	rest.words = append(rest.words, words...)
	if err := c.attributes(&each, &rest); err != nil {
		return err
	}
	if err := c.constrain(&each, line.kids); err != nil {
		return err
	}
	r.slices = append(r.slices, s)
	return nil
}

func parseCond(word string) (cond, error) {
	for prefix, kind := range map[string]condKind{"exists:": condExists, "absent:": condAbsent} {
		if path, ok := strings.CutPrefix(word, prefix); ok {
			return cond{kind: kind, path: strings.Split(path, ".")}, nil
		}
	}
	i := strings.IndexAny(word, "=~")
	if i <= 0 {
		return cond{}, fmt.Errorf("condition %q", word)
	}
	path, value := word[:i], expandURL(word[i+1:])
	switch {
	case word[i] == '~':
		system, c, ok := strings.Cut(value, "|")
		if !ok {
			return cond{}, fmt.Errorf("condition %q", word)
		}
		return cond{kind: condPattern, path: strings.Split(path, "."), code: code{system, c}}, nil
	case path == "url":
		return cond{kind: condURL, value: value}, nil
	case path == "profile":
		return cond{kind: condProfile, value: value}, nil
	}
	return cond{kind: condValue, path: strings.Split(path, "."), value: value}, nil
}

// attributes reads the words behind the name of an element.
func (c *compiler) attributes(r *rule, line *row) error {
	words := line.words[1:]
	if len(words) == 0 {
		return fmt.Errorf("line %d: no cardinality in %q", line.line, line.text)
	}
	lo, hi, ok := strings.Cut(words[0], "..")
	var err error
	if r.min, err = strconv.Atoi(lo); err != nil || !ok {
		return fmt.Errorf("line %d: cardinality %q", line.line, words[0])
	}
	r.max = -1
	if hi != "*" {
		if r.max, err = strconv.Atoi(hi); err != nil {
			return fmt.Errorf("line %d: cardinality %q", line.line, words[0])
		}
	}
	words = words[1:]
	if len(words) > 0 && !slices.Contains([]string{"=", "~", "len", "in", "in?", "to", "has", "by", "inv"}, words[0]) {
		r.typ = words[0]
		r.prim = primitiveOf(r.typ)
		r.resource = r.typ == "Resource"
		words = words[1:]
	}
	for len(words) > 0 {
		if len(words) < 2 {
			return fmt.Errorf("line %d: nothing behind %q", line.line, words[0])
		}
		n, err := c.attribute(r, words)
		if err != nil {
			return fmt.Errorf("line %d: %w", line.line, err)
		}
		words = words[n:]
	}
	return nil
}

// attribute reads one of them and returns how many words it took.
func (c *compiler) attribute(r *rule, words []string) (int, error) {
	value := words[1]
	switch words[0] {
	case "=":
		r.fixed, r.isFixed = expandURL(value), true
	case "~":
		system, cd, ok := strings.Cut(expandURL(value), "|")
		if !ok {
			return 0, fmt.Errorf("pattern %q", value)
		}
		r.pattern = code{system, cd}
	case "len":
		n, err := strconv.Atoi(value)
		if err != nil {
			return 0, fmt.Errorf("length %q", value)
		}
		r.maxLen = n
	case "in", "in?":
		if r.codes = c.codes[value]; r.codes == nil {
			return 0, fmt.Errorf("value set %q is not defined", value)
		}
		r.advice = words[0] == "in?"
	case "to":
		r.targets = strings.Split(value, ",")
	case "has":
		r.has = expandURL(value)
	case "inv":
		return 2, c.addInvariants(r, strings.Split(value, ","))
	case "by":
		if len(words) < 3 {
			return 0, fmt.Errorf("slices by %q: open or closed?", value)
		}
		r.by, r.sliced, r.closed = value, true, words[2] == "closed"
		return 3, nil
	default:
		return 0, fmt.Errorf("unknown word %q", words[0])
	}
	return 2, nil
}

func (c *compiler) addInvariants(r *rule, keys []string) error {
	for _, key := range keys {
		inv, err := c.invs.find(key, c.profile)
		if err != nil {
			return err
		}
		if inv != nil {
			r.inv = append(slices.Clone(r.inv), inv)
		}
	}
	return nil
}

// finish resolves the children of rules that only name a type, and gives every
// child and slice its counter.
func (c *compiler) finish(r *rule) error {
	if r.done {
		return nil
	}
	r.done = true
	if t := c.typeOf(r); !r.ownKids && t != nil && len(r.kids) == 0 {
		r.kids, r.denied, r.inv = t.kids, t.denied, append(slices.Clone(r.inv), t.inv...)
	}
	if r.prim != 0 && len(r.kids) == 0 && len(r.denied) == 0 {
		r.kids = []*rule{c.extensionRule()}
	}
	if r.prim == 0 && len(r.kids) == 0 && !r.resource && r.typ != "-" && r.typ != "Extension" {
		return fmt.Errorf("type %q of %s is not defined", r.typ, r.name)
	}
	if r.fixesCode() {
		r.codes = nil // the fixed code says more than the table
	}
	r.slots = len(r.kids)
	r.asked = nil
	for i, k := range r.kids {
		if k.min > 0 || k.has != "" || slices.ContainsFunc(k.slices, func(s *slice) bool { return s.rule.min > 0 }) {
			r.asked = append(r.asked, i)
		}
		if k.typ == "-" {
			continue // has a name and a place only; see r4.txt
		}
		for _, s := range k.slices {
			s.slot = r.slots
			r.slots++
			if err := c.finish(s.rule); err != nil {
				return err
			}
		}
		if err := c.finish(k); err != nil {
			return err
		}
	}
	if r.slots > maxSlots {
		return fmt.Errorf("%s has more than %d children and slices", r.name, maxSlots)
	}
	return nil
}

// fixesCode reports whether a CodeableConcept has exactly one coding with a fixed code.
func (r *rule) fixesCode() bool {
	for _, k := range r.kids {
		if r.typ == "CodeableConcept" && k.name == "coding" && k.min == 1 && k.max == 1 {
			for _, c := range k.kids {
				if c.name == "code" && c.isFixed {
					return true
				}
			}
		}
	}
	return false
}
