package eau

import (
	"slices"
	"strings"
)

// Namespaces, as far as FHIR needs them: which of FHIR, XHTML and "another"
// an element belongs to. Bindings of prefixes are rare and kept in a short stack.

func nsFlags(uri string) nodeFlags {
	switch uri {
	case nsFHIR:
		return 0
	case nsXHTML:
		return inXHTML
	}
	return inOther
}

// bind notes the declarations of the element that is being opened (at s.depth).
func (s *scanner) bind(attrs []attr) {
	for i := range attrs {
		name := attrs[i].name
		if !strings.HasPrefix(name, "xmlns") {
			continue
		}
		if name == "xmlns" {
			if f := nsFlags(attrs[i].value); f != s.plain || len(s.tree.ns) > 0 {
				s.tree.ns = append(s.tree.ns, binding{uri: attrs[i].value, depth: s.depth})
				s.plain = f
			}
			continue
		}
		if prefix, ok := strings.CutPrefix(name, "xmlns:"); ok {
			s.tree.ns = append(s.tree.ns, binding{prefix: prefix, uri: attrs[i].value, depth: s.depth})
		}
	}
}

// unbind forgets the declarations of an empty element.
func (s *scanner) unbind(outer nodeFlags) {
	ns := s.tree.ns
	for len(ns) > 0 && ns[len(ns)-1].depth >= s.depth {
		ns = ns[:len(ns)-1]
	}
	s.tree.ns, s.plain = ns, outer
}

// unbindDeep forgets the declarations of the element that is being closed.
func (s *scanner) unbindDeep() {
	ns := s.tree.ns
	if len(ns) == 0 || ns[len(ns)-1].depth < s.depth {
		return
	}
	for len(ns) > 0 && ns[len(ns)-1].depth >= s.depth {
		ns = ns[:len(ns)-1]
	}
	s.tree.ns = ns
	s.plain = inOther
	if uri, ok := s.lookup(""); ok {
		s.plain = nsFlags(uri)
	}
}

func (s *scanner) lookup(prefix string) (string, bool) {
	for _, b := range slices.Backward(s.tree.ns) {
		if b.prefix == prefix {
			return b.uri, true
		}
	}
	return "", false
}

// namespace splits a written name and says which namespace it is in.
func (s *scanner) namespace(name string) (flags nodeFlags, local string, ok bool) {
	i := strings.IndexByte(name, ':')
	if i < 0 {
		return s.plain, name, true
	}
	uri, ok := s.lookup(name[:i])
	if !ok || i+1 == len(name) {
		return 0, name, false
	}
	return nsFlags(uri), name[i+1:], true
}
