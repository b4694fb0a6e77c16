package catalogue

import (
	"slices"
	"strings"
)

// formulas joins the dependencies of all lines of one thing. art says how:
// hart (the default) stops it, weich limits it, and all lines with alternativ
// are alternatives to each other.
func (b *builder) formulas(d *draft) (needs, wants Formula) {
	var hard, alternatives, soft []Formula
	for _, rec := range d.recs {
		f, ok := b.dependency(rec, d)
		if !ok {
			continue
		}
		switch art := b.text(rec, "art"); strings.ToLower(art) {
		case "", "hart":
			hard = append(hard, f)
		case "alternativ":
			alternatives = append(alternatives, f)
		case "weich":
			soft = append(soft, f)
		default:
			b.at(rec, "art", "%q is none of hart, weich, alternativ%s", art, meant(art, []string{"hart", "weich", "alternativ"}))
		}
	}
	return All(append(hard, Any(alternatives...))...), All(soft...)
}

// dependency reads haengt_ab_von and puts full ids for short names.
func (b *builder) dependency(rec record, d *draft) (Formula, bool) {
	const field = "haengt_ab_von"
	v, ok := rec.fields[field]
	if !ok {
		return Formula{}, false
	}
	texts := v.list
	if texts == nil {
		texts = []string{b.text(rec, field)}
	}
	var of []Formula
	for _, t := range texts {
		f, err := ParseFormula(strings.TrimSpace(t))
		if err != nil {
			b.at(rec, field, "%v", err)
			return Formula{}, false
		}
		of = append(of, f)
	}
	f := All(of...)
	if f.IsZero() {
		return f, false
	}
	good := true
	full := f.rename(func(n string) string {
		id, ok := b.resolve(rec, d, n)
		good = good && ok
		return id
	})
	if good && slices.Contains(full.Nodes(), d.id) {
		b.at(rec, field, "%q rests on itself", d.id)
		return Formula{}, false
	}
	return full, good
}

// rename is the formula with other names for its nodes.
func (f Formula) rename(to func(string) string) Formula {
	switch f.Op {
	case OpNone:
		return f
	case OpNode:
		return Node(to(f.Node))
	case OpAll, OpAny:
		of := make([]Formula, len(f.Of))
		for i, g := range f.Of {
			of[i] = g.rename(to)
		}
		return join(f.Op, of)
	}
	return f
}

// resolve finds what a name means on a line of d: a full id; a component at
// the same site; a service of the same Kasse at the same site. The IK in a
// placement may be any IK of its Kasse.
func (b *builder) resolve(rec record, d *draft, name string) (string, bool) {
	const field = "haengt_ab_von"
	if b.comps[ComponentID(name)] != nil || b.places[PlacementID(name)] != nil {
		return name, true
	}
	here := ComponentID(name + "@" + string(d.site))
	_, isComponent := b.comps[here]
	own := PlacementOf(d.kasse, ServiceID(name), d.site)
	_, isService := b.places[own]
	switch {
	case isComponent && isService:
		b.at(rec, field, "%q may be %q or %q: give one in full", name, here, own)
		return "", false
	case isComponent:
		return string(here), true
	case isService:
		return string(own), true
	}
	if k, s, site, ok := PlacementID(name).Split(); ok {
		for _, x := range b.c.Kassen {
			id := PlacementOf(x.ID, s, site)
			if slices.Contains(x.OtherIK, string(k)) && b.places[id] != nil {
				return string(id), true
			}
		}
	}
	b.unknown(rec, field, "%q is neither a component nor a placed service%s", name, b.meant(name, func() []string { return b.nodeNames(d) }))
	return "", false
}

// nodeNames is what could have been meant on a line of d.
func (b *builder) nodeNames(d *draft) []string {
	var out []string
	for id, c := range b.comps {
		out = append(out, string(id))
		if c.site == d.site {
			out = append(out, strings.TrimSuffix(string(id), "@"+string(c.site)))
		}
	}
	for id, p := range b.places {
		if p.kasse == d.kasse {
			out = append(out, string(id))
			if p.site == d.site {
				out = append(out, string(p.dest))
			}
		}
	}
	slices.Sort(out)
	return out
}

func (b *builder) finishComponent(d *draft) {
	c := Component{ID: ComponentID(d.id), Site: d.site}
	c.Needs, c.Wants = b.formulas(d)
	c.Name = orElse(b.agreed(d, "name"), d.id)
	for _, rec := range d.recs {
		c.Assumed = b.yes(rec, "angenommen") || c.Assumed
	}
	b.c.Components = append(b.c.Components, c)
}

func (b *builder) finishPlacement(d *draft) {
	p := Placement{
		ID: PlacementID(d.id), Kasse: d.kasse, Service: d.dest, Site: d.site,
		Environment: EnvironmentOf(d.kasse, d.site), Team: b.agreed(d, "team"),
	}
	p.Needs, p.Wants = b.formulas(d)
	for _, rec := range d.recs {
		p.Assumed = b.yes(rec, "angenommen") || p.Assumed
		h := b.hours(rec, "mtpd_h")
		if h > 0 && p.MTPD > 0 && h != p.MTPD {
			b.at(rec, "mtpd_h", "%s hours, but %s at %s", formatHours(h), formatHours(p.MTPD), place(d.recs[0]))
		} else if h > 0 {
			p.MTPD = h
		}
	}
	b.c.Placements = append(b.c.Placements, p)
	e := Environment{ID: p.Environment, Kasse: d.kasse, Site: d.site}
	if !slices.Contains(b.c.Environments, e) {
		b.c.Environments = append(b.c.Environments, e)
	}
}

// agreed is the one value that the lines of a thing give for a field; lines
// may leave it empty, and must not contradict.
func (b *builder) agreed(d *draft, field string) string {
	var said string
	var by record
	for _, rec := range d.recs {
		switch s := b.text(rec, field); {
		case s == "":
		case said == "":
			said, by = s, rec
		case s != said:
			b.at(rec, field, "%q, but %q at %s", s, said, place(by))
		}
	}
	return said
}
