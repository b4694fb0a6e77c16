package eau

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// mutator makes wrong documents from right ones, by cutting and pasting bytes.
type mutator struct {
	tb   testing.TB
	tree tree
	src  string
}

func newMutator(tb testing.TB, b []byte) *mutator {
	tb.Helper()
	m := &mutator{tb: tb, src: string(b)}
	if err := m.tree.scan(b); err != nil {
		tb.Fatal(err)
	}
	return m
}

// cut is one change: the bytes from pos to end become text.
type cut struct {
	pos, end int
	text     string
}

// apply makes the changed document.
func (m *mutator) apply(cuts ...cut) []byte {
	slices.SortFunc(cuts, func(a, b cut) int { return b.pos - a.pos })
	s := m.src
	for _, c := range cuts {
		s = s[:c.pos] + c.text + s[c.end:]
	}
	return []byte(s)
}

func (m *mutator) text(n int32) string {
	nd := &m.tree.nodes[n]
	return m.src[nd.pos:nd.end]
}

// remove cuts an element out.
func (m *mutator) remove(n int32) cut {
	nd := &m.tree.nodes[n]
	return cut{int(nd.pos), int(nd.end), ""}
}

// replace puts text where an element stands.
func (m *mutator) replace(n int32, text string) cut {
	c := m.remove(n)
	c.text = text
	return c
}

// repeat puts the element there again.
func (m *mutator) repeat(n int32, times int) cut {
	end := int(m.tree.nodes[n].end)
	return cut{end, end, strings.Repeat(m.text(n), times)}
}

// attr replaces the value of an attribute of the start tag.
func (m *mutator) attr(n int32, name, value string) cut {
	m.tb.Helper()
	pos := int(m.tree.nodes[n].pos)
	tag := m.src[pos : pos+strings.IndexByte(m.src[pos:], '>')]
	i := strings.Index(tag, " "+name+`="`)
	if i < 0 {
		m.tb.Fatalf("no attribute %s in %s", name, tag)
	}
	start := i + len(name) + 3
	return cut{pos + start, pos + start + strings.IndexByte(tag[start:], '"'), value}
}

// set changes the value of a primitive.
func (m *mutator) set(n int32, value string) cut {
	var w xmlWriter
	w.escape("", value)
	return m.attr(n, "value", string(w.b))
}

// dropValue removes the attribute value altogether.
func (m *mutator) dropValue(n int32) cut {
	c := m.attr(n, "value", "")
	return cut{c.pos - len(` value="`), c.end + 1, ""}
}

// first puts text in front of the children of an element.
func (m *mutator) first(n int32, text string) cut {
	pos := int(m.tree.nodes[m.tree.nodes[n].first].pos)
	return cut{pos, pos, text}
}

// last puts text behind the children of an element that has some.
func (m *mutator) last(n int32, text string) cut {
	pos := int(m.tree.nodes[m.tree.nodes[n].last].end)
	return cut{pos, pos, text}
}

// find follows a path such as "Patient.address.line[1].extension(houseNumber).value"
// from the first resource of that type (or Condition:AU for that profile).
func (m *mutator) find(path string) int32 {
	m.tb.Helper()
	parts := strings.Split(path, ".")
	head, index := indexed(parts[0])
	kind, profile, _ := strings.Cut(head, ":")
	root := m.tree.nodes[0].first
	n := root
	if kind != m.tree.nodes[root].name {
		for e := m.tree.child(root, "entry"); e != 0; e = m.tree.again(e) {
			res := m.tree.resourceOf(e)
			name, _ := m.tree.profile(res)
			if m.tree.nodes[res].name == kind && strings.HasSuffix(name, profile) {
				if n = res; index == 0 {
					break
				}
				index--
			}
		}
	}
	for _, part := range parts[1:] {
		n = m.step(n, part)
		if n == 0 {
			m.tb.Fatalf("no %s in the document", path)
		}
	}
	return n
}

func indexed(part string) (name string, index int) {
	if i := strings.IndexByte(part, '['); i > 0 {
		_, err := fmt.Sscanf(part[i:], "[%d]", &index)
		if err != nil {
			return part, 0
		}
		part = part[:i]
	}
	return part, index
}

func (m *mutator) step(n int32, part string) int32 {
	if url, ok := strings.CutPrefix(part, "extension("); ok {
		for e := m.tree.child(n, "extension"); e != 0; e = m.tree.again(e) {
			if strings.HasSuffix(m.tree.nodes[e].url, strings.TrimSuffix(url, ")")) {
				return e
			}
		}
		return 0
	}
	if part == "value" && m.tree.nodes[n].name == "extension" {
		return m.tree.valueOf(n)
	}
	name, index := indexed(part)
	c := m.tree.child(n, name)
	for ; index > 0 && c != 0; index-- {
		c = m.tree.again(c)
	}
	return c
}

// keysOf lists findings as key and path, sorted, each once.
func keysOf(r *Report) []string {
	var out []string
	for _, f := range r.Findings {
		out = append(out, f.Key+" "+f.Path)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
