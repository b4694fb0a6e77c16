package eau

import "strings"

// bundle checks what FHIR asks of a document as a whole (R4, Bundle): which
// entry comes first, that fullUrl and id belong together, that everything can be
// reached from the Composition.
func (c *checker) bundle(root int32) {
	t := &c.tree
	entries := c.links.entries
	if len(entries) > 0 && entries[0].kind != "Composition" && entries[0].resource != 0 {
		c.reportAt(entries[0].entry, "bdl-11", SeverityError, "Der erste Eintrag eines Dokuments muss die Composition sein.")
	}
	for i := range entries {
		e := &entries[i]
		if e.fullURL == "" {
			continue // the numbers say it
		}
		url := t.child(e.entry, "fullUrl")
		if !isAbsolute(e.fullURL) {
			c.reportAt(url, "fullUrl", SeverityError, "fullUrl ist keine absolute Adresse.")
		} else if e.id != "" && lastPart(e.fullURL) != e.id {
			c.reportAt(url, "fullUrl", SeverityError, "fullUrl und id der Ressource gehören nicht zusammen.")
		}
		for k := range i {
			if entries[k].fullURL == e.fullURL {
				c.reportAt(url, "bdl-7", SeverityError, "Zwei Einträge haben dieselbe fullUrl.")
				break
			}
		}
	}
	c.orphans()
}

func lastPart(url string) string {
	if strings.HasPrefix(url, "urn:") {
		return url[strings.LastIndexByte(url, ':')+1:]
	}
	return url[strings.LastIndexByte(url, '/')+1:]
}

// orphans warns about entries that no reference reaches, starting from the first.
func (c *checker) orphans() {
	entries := c.links.entries
	if len(entries) == 0 || len(entries) > 64 || entries[0].kind != "Composition" {
		return
	}
	all := uint64(1)<<len(entries) - 1
	if c.links.reached() == all {
		return
	}
	// Something was not walked, or really is not referred to: look at every reference.
	for i := range entries {
		entries[i].to |= c.leadsTo(entries[i].resource)
	}
	reached := c.links.reached()
	for i := range entries {
		if reached&(1<<i) == 0 && entries[i].resource != 0 {
			c.reportAt(entries[i].entry, "orphan", SeverityWarning, "Kein Verweis führt von der Composition zu diesem Eintrag.")
		}
	}
}

// reached returns the set of entries that references lead to from the first one.
func (l *links) reached() uint64 {
	reached := uint64(1)
	for todo := reached; todo != 0; {
		next := uint64(0)
		for i := range l.entries {
			if todo&(1<<i) != 0 {
				next |= l.entries[i].to
			}
		}
		todo = next &^ reached
		reached |= next
	}
	return reached
}

// leadsTo returns the set of entries that references inside a resource mean.
func (c *checker) leadsTo(res int32) uint64 {
	t := &c.tree
	var set uint64
	for n := res; res != 0 && int(n) < len(t.nodes) && t.nodes[n].pos < t.nodes[res].end; n++ {
		if t.nodes[n].name != "reference" {
			continue
		}
		target := c.links.resolve(t, n, t.nodes[n].value)
		for i := range c.links.entries {
			if target != 0 && c.links.entries[i].resource == target {
				set |= 1 << i
			}
		}
	}
	return set
}
