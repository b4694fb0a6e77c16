package catalogue

import (
	"fmt"
	"slices"
	"strings"
)

// builder turns records into a catalogue. Lines about the same component or
// placement are taken together: one dependency a line is how tables are kept.
type builder struct {
	*reader
	c Catalogue

	ikLine   map[string]string // where each IK was first given
	nameOf   map[string][]KasseID
	sites    map[SiteID]record
	services map[ServiceID]record
	comps    map[ComponentID]*draft
	places   map[PlacementID]*draft
	order    []*draft
}

// draft is a component or placement while its lines are collected.
type draft struct {
	kind  kind
	id    string
	kasse KasseID
	dest  ServiceID
	site  SiteID
	recs  []record
}

// build takes every record it can, so that all mistakes are found at once.
func (r *reader) build(recs []record) *Catalogue {
	b := &builder{
		reader: r,
		ikLine: map[string]string{}, nameOf: map[string][]KasseID{},
		sites: map[SiteID]record{}, services: map[ServiceID]record{},
		comps: map[ComponentID]*draft{}, places: map[PlacementID]*draft{},
	}
	pass := func(k kind, take func(record)) {
		for _, rec := range recs {
			if rec.kind == k && b.complete(rec) {
				take(rec)
			}
		}
	}
	pass(kindSite, b.site)
	pass(kindService, b.service)
	pass(kindKasse, b.kasse)
	pass(kindComponent, b.component)
	pass(kindPlacement, b.placement)
	for _, d := range b.order { // when every name is known
		if d.kind == kindComponent {
			b.finishComponent(d)
		} else {
			b.finishPlacement(d)
		}
	}
	return &b.c
}

// complete says which required keys a YAML entry lacks; a CSV line has all columns.
func (b *builder) complete(rec record) bool {
	i := slices.IndexFunc(specs(), func(s kindSpec) bool { return s.kind == rec.kind })
	good := true
	for _, f := range specs()[i].required {
		if _, ok := rec.fields[f]; !ok {
			b.at(rec, f, "is missing")
			good = false
		}
	}
	return good
}

func place(rec record) string { return fmt.Sprintf("%s:%d", rec.file, rec.line) }

// id reads an id and reports a malformed one.
func (b *builder) id(rec record, field string, form func(string) bool) (string, bool) {
	s := b.must(rec, field)
	if s == "" {
		return "", false
	}
	if !form(s) {
		b.at(rec, field, "%q: an id is letters, digits, - . _ and starts with a letter", s)
		return "", false
	}
	return s, true
}

func (b *builder) site(rec record) {
	id, ok := b.id(rec, "standort", plainID)
	if !ok {
		return
	}
	if first, twice := b.sites[SiteID(id)]; twice {
		b.at(rec, "standort", "%q is listed already at %s", id, place(first))
		return
	}
	b.sites[SiteID(id)] = rec
	b.c.Sites = append(b.c.Sites, Site{ID: SiteID(id), Name: orElse(b.text(rec, "name"), id), Assumed: b.yes(rec, "angenommen")})
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (b *builder) service(rec record) {
	id, ok := b.id(rec, "dienst", plainID)
	if !ok {
		return
	}
	if first, twice := b.services[ServiceID(id)]; twice {
		b.at(rec, "dienst", "%q is listed already at %s", id, place(first))
		return
	}
	b.services[ServiceID(id)] = rec
	s := Service{
		ID: ServiceID(id), Name: b.must(rec, "name"), Criticality: b.count(rec, "kritikalitaet"),
		MTPD: b.hours(rec, "mtpd_h"), Alternative: b.text(rec, "alternative"), Note: b.text(rec, "notiz"),
	}
	if b.text(rec, "kritikalitaet") == "" {
		s.Criticality = 3
	} else if s.Criticality < 1 || s.Criticality > 4 {
		b.at(rec, "kritikalitaet", "%q is not 1 (vital) to 4 (can wait)", b.text(rec, "kritikalitaet"))
		s.Criticality = 4
	}
	behaviour, err := ParseBehaviour(b.text(rec, "verhalten"))
	if err != nil {
		b.at(rec, "verhalten", "%v", err)
	}
	s.Behaviour = behaviour
	for _, w := range b.words(rec, "termine") {
		due, err := ParseDue(w)
		if err != nil {
			b.at(rec, "termine", "%v", err)
			continue
		}
		s.Due = append(s.Due, due)
	}
	if s.Weight, ok = b.number(rec, "gewicht"); !ok {
		s.Weight = DefaultWeight(s.Criticality)
	}
	b.c.Services = append(b.c.Services, s)
}

// DefaultWeight is what an hour without a service counts when nobody agreed on
// it: 8, 4, 2, 1 for criticality 1 to 4.
func DefaultWeight(criticality int) float64 {
	switch {
	case criticality <= 1:
		return 8
	case criticality == 2:
		return 4
	case criticality == 3:
		return 2
	}
	return 1
}

func (b *builder) kasse(rec record) {
	ik := b.must(rec, "ik")
	good := b.takeIK(rec, "ik", ik)
	k := Kasse{
		ID: KasseID(ik), Name: b.must(rec, "name"), Kind: b.text(rec, "kassenart"),
		OtherIK: b.words(rec, "weitere_ik"), Former: b.words(rec, "fruehere_namen"),
		Insured: b.count(rec, "versicherte"), InsuredAssumed: b.yes(rec, "versicherte_angenommen"),
		LegalSupervisor: b.text(rec, "aufsicht_recht"), DataSupervisor: b.text(rec, "aufsicht_daten"),
		SupervisorsAssumed: b.yes(rec, "aufsicht_angenommen"), Note: b.text(rec, "notiz"),
	}
	for _, other := range k.OtherIK {
		good = b.takeIK(rec, "weitere_ik", other) && good
	}
	if !good {
		return
	}
	for i, n := range slices.Concat([]string{k.Name}, k.Former) {
		key := nameKey(n)
		if taken := b.nameOf[key]; i == 0 && len(taken) > 0 {
			b.at(rec, "name", "%q is a name of Kasse %s already: one Kasse has one line, with its other IK in weitere_ik", n, taken[0])
		}
		if !slices.Contains(b.nameOf[key], k.ID) {
			b.nameOf[key] = append(b.nameOf[key], k.ID)
		}
	}
	b.c.Kassen = append(b.c.Kassen, k)
}

// takeIK reports a wrong IK and one that somebody has already.
func (b *builder) takeIK(rec record, field, ik string) bool {
	if !ValidIK(ik) {
		if ik != "" {
			b.at(rec, field, "%q is no IK: %s", ik, whyNoIK(ik))
		}
		return false
	}
	if first, taken := b.ikLine[ik]; taken {
		b.at(rec, field, "IK %s is listed already at %s", ik, first)
		return false
	}
	b.ikLine[ik] = place(rec)
	return true
}

// nameKey makes names comparable: case and spaces do not matter.
func nameKey(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }

// kasseRef finds the Kasse that a line means by any IK or name.
func (b *builder) kasseRef(rec record) (KasseID, bool) {
	s := b.must(rec, "kasse")
	if s == "" {
		return "", false
	}
	for i := range b.c.Kassen {
		if k := &b.c.Kassen[i]; string(k.ID) == s || slices.Contains(k.OtherIK, s) {
			return k.ID, true
		}
	}
	switch ids := b.nameOf[nameKey(s)]; {
	case len(ids) == 1:
		return ids[0], true
	case len(ids) > 1:
		b.at(rec, "kasse", "%q is a name of %v: give the IK", s, ids)
		return "", false
	}
	b.unknown(rec, "kasse", "%q is no Kasse of the catalogue%s", s, b.meant(s, func() (known []string) {
		for _, k := range b.c.Kassen {
			known = append(known, k.Name, string(k.ID))
		}
		return known
	}))
	return "", false
}

// siteRef finds the site of a line by id or name.
func (b *builder) siteRef(rec record, s string) (SiteID, bool) {
	for _, x := range b.c.Sites {
		if string(x.ID) == s || nameKey(x.Name) == nameKey(s) {
			return x.ID, true
		}
	}
	b.unknown(rec, "standort", "%q is no site of the catalogue%s", s, b.meant(s, func() (known []string) {
		for _, x := range b.c.Sites {
			known = append(known, string(x.ID), x.Name)
		}
		return known
	}))
	return "", false
}

// serviceRef finds the service of a line by id or name.
func (b *builder) serviceRef(rec record) (ServiceID, bool) {
	s := b.must(rec, "dienst")
	if s == "" {
		return "", false
	}
	for _, x := range b.c.Services {
		if string(x.ID) == s || nameKey(x.Name) == nameKey(s) {
			return x.ID, true
		}
	}
	b.unknown(rec, "dienst", "%q is no service of the catalogue%s", s, b.meant(s, func() (known []string) {
		for _, x := range b.c.Services {
			known = append(known, string(x.ID), x.Name)
		}
		return known
	}))
	return "", false
}

func (b *builder) component(rec record) {
	id, ok := b.id(rec, "komponente", func(s string) bool { return plainID(s) || componentID(s) })
	if !ok {
		return
	}
	what, at, full := strings.Cut(id, "@")
	site := b.text(rec, "standort")
	switch {
	case site == "" && !full:
		b.at(rec, "standort", "is empty, and %q names no site", id)
		return
	case site == "":
		site = at
	}
	s, ok := b.siteRef(rec, site)
	if !ok {
		return
	}
	if full && at != string(s) {
		b.at(rec, "standort", "%q is not the site of %q", site, id)
		return
	}
	cid := ComponentID(what + "@" + string(s))
	d := b.comps[cid]
	if d == nil {
		d = &draft{kind: kindComponent, id: string(cid), site: s}
		b.comps[cid] = d
		b.order = append(b.order, d)
	}
	d.recs = append(d.recs, rec)
}

func (b *builder) placement(rec record) {
	k, ok1 := b.kasseRef(rec)
	d, ok2 := b.serviceRef(rec)
	var s SiteID
	site := b.must(rec, "standort")
	ok3 := site != ""
	if ok3 {
		s, ok3 = b.siteRef(rec, site)
	}
	if !ok1 || !ok2 || !ok3 {
		return
	}
	id := PlacementOf(k, d, s)
	p := b.places[id]
	if p == nil {
		p = &draft{kind: kindPlacement, id: string(id), kasse: k, dest: d, site: s}
		b.places[id] = p
		b.order = append(b.order, p)
	}
	p.recs = append(p.recs, rec)
}
