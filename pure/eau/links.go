package eau

import "strings"

// links is the index of a bundle's entries, for references.
type links struct {
	entries []linkEntry
	last    int // the entry that was asked about last: the next question is often about it
}

type linkEntry struct {
	entry, resource int32
	to              uint64 // entries that references in this one lead to
	fullURL         string
	kind, id        string
}

// maxEntries bounds the index; no profile allows more than 20 entries.
const maxEntries = 256

// index reads the entries of a bundle.
func (l *links) index(t *tree, root int32) {
	l.entries, l.last = l.entries[:0], 0
	for e := t.child(root, "entry"); e != 0 && len(l.entries) < maxEntries; e = t.again(e) {
		res := t.resourceOf(e)
		le := linkEntry{entry: e, resource: res, fullURL: t.nodes[t.child(e, "fullUrl")].value}
		if res != 0 {
			le.kind, le.id = t.nodes[res].name, t.nodes[t.child(res, "id")].value
		}
		l.entries = append(l.entries, le)
	}
}

// resolve returns the resource that a reference written at element from means,
// or 0. An absolute reference names a fullUrl; a relative one is completed with
// the base of the entry it stands in (FHIR R4, Bundle, "Resolving references").
// Where that entry has no such base (urn:uuid), type and id decide.
func (l *links) resolve(t *tree, from int32, ref string) int32 {
	if ref == "" || strings.HasPrefix(ref, "#") {
		return 0
	}
	ref, _, _ = strings.Cut(ref, "/_history/")
	if isAbsolute(ref) {
		return l.byURL(ref)
	}
	base, ok := l.base(t, from)
	if ok {
		for i := range l.entries {
			url := l.entries[i].fullURL
			if len(url) == len(base)+len(ref) && strings.HasPrefix(url, base) && strings.HasSuffix(url, ref) {
				return l.entries[i].resource
			}
		}
		return 0
	}
	kind, id, _ := strings.Cut(ref, "/")
	for i := range l.entries {
		if l.entries[i].kind == kind && l.entries[i].id == id {
			return l.entries[i].resource
		}
	}
	return 0
}

func isAbsolute(ref string) bool {
	return strings.HasPrefix(ref, "urn:") || strings.HasPrefix(ref, "http://") || strings.HasPrefix(ref, "https://")
}

func (l *links) byURL(url string) int32 {
	for i := range l.entries {
		if l.entries[i].fullURL == url {
			return l.entries[i].resource
		}
	}
	return 0
}

// base returns the server part of the fullUrl of the entry around an element.
func (l *links) base(t *tree, n int32) (string, bool) {
	if i := l.around(t, n); i >= 0 {
		e := &l.entries[i]
		tail := len(e.kind) + 1 + len(e.id)
		if cut := len(e.fullURL) - tail; cut > 0 && e.fullURL[cut-1] == '/' &&
			strings.HasPrefix(e.fullURL, "http") && strings.HasPrefix(e.fullURL[cut:], e.kind+"/") && strings.HasSuffix(e.fullURL, e.id) {
			return e.fullURL[:cut], true
		}
		return "", false
	}
	return "", false
}

// around returns the entry that an element stands in, or -1.
func (l *links) around(t *tree, n int32) int {
	pos := t.nodes[n].pos
	for k := range l.entries {
		i := (l.last + k) % len(l.entries)
		if e := l.entries[i].entry; pos >= t.nodes[e].pos && pos < t.nodes[e].end {
			l.last = i
			return i
		}
	}
	return -1
}

// note keeps that the entry around an element refers to a resource.
func (l *links) note(t *tree, from, target int32) {
	i := l.around(t, from)
	for k := range l.entries {
		if i >= 0 && l.entries[k].resource == target && k < 64 {
			l.entries[i].to |= 1 << k
		}
	}
}

// resourceAround returns the resource that an element belongs to (%resource).
func (t *tree) resourceAround(n int32) int32 {
	for n != 0 {
		up := t.nodes[n].up
		if up == 0 || t.nodes[up].name == "resource" {
			return n
		}
		n = up
	}
	return 0
}
