package catalogue

import (
	"slices"
	"sync"
	"sync/atomic"
)

// lazyIndex holds the index once somebody asked for it.
type lazyIndex struct {
	built atomic.Pointer[index]
}

type cellKey struct {
	kasse   KasseID
	service ServiceID
}

// index answers lookups. It points into the slices of its catalogue.
type index struct {
	kassen      map[string]*Kasse // by every IK
	sites       map[SiteID]*Site
	services    map[ServiceID]*Service
	components  map[ComponentID]*Component
	envs        map[EnvironmentID]*Environment
	placements  map[PlacementID]*Placement
	ofCell      map[cellKey][]*Placement
	ofEnv       map[EnvironmentID][]*Placement
	componentAt map[SiteID][]*Component

	once  sync.Once
	graph *graph // built by once
}

func (c *Catalogue) index() *index {
	if x := c.lazy.built.Load(); x != nil {
		return x
	}
	x := c.buildIndex()
	c.lazy.built.CompareAndSwap(nil, x) // two builders made the same
	return c.lazy.built.Load()
}

func (c *Catalogue) buildIndex() *index {
	x := &index{
		kassen:      make(map[string]*Kasse, len(c.Kassen)),
		sites:       make(map[SiteID]*Site, len(c.Sites)),
		services:    make(map[ServiceID]*Service, len(c.Services)),
		components:  make(map[ComponentID]*Component, len(c.Components)),
		envs:        make(map[EnvironmentID]*Environment, len(c.Environments)),
		placements:  make(map[PlacementID]*Placement, len(c.Placements)),
		ofCell:      make(map[cellKey][]*Placement),
		ofEnv:       make(map[EnvironmentID][]*Placement),
		componentAt: make(map[SiteID][]*Component),
	}
	for i := range c.Kassen {
		k := &c.Kassen[i]
		for _, ik := range k.OtherIK {
			x.kassen[ik] = k
		}
	}
	for i := range c.Kassen { // after the others: a main IK wins over somebody's further one
		x.kassen[string(c.Kassen[i].ID)] = &c.Kassen[i]
	}
	for i := range c.Sites {
		x.sites[c.Sites[i].ID] = &c.Sites[i]
	}
	for i := range c.Services {
		x.services[c.Services[i].ID] = &c.Services[i]
	}
	for i := range c.Components {
		m := &c.Components[i]
		x.components[m.ID] = m
		x.componentAt[m.Site] = append(x.componentAt[m.Site], m)
	}
	for i := range c.Environments {
		x.envs[c.Environments[i].ID] = &c.Environments[i]
	}
	for i := range c.Placements {
		p := &c.Placements[i]
		x.placements[p.ID] = p
		key := cellKey{p.Kasse, p.Service}
		x.ofCell[key] = append(x.ofCell[key], p)
		x.ofEnv[p.Environment] = append(x.ofEnv[p.Environment], p)
	}
	return x
}

func get[K comparable, V any](m map[K]*V, k K) (V, bool) {
	if v, ok := m[k]; ok {
		return *v, true
	}
	var zero V
	return zero, false
}

func deref[V any](ps []*V) []V {
	out := make([]V, len(ps))
	for i, p := range ps {
		out[i] = *p
	}
	return out
}

// Kasse finds by main IK.
func (c *Catalogue) Kasse(id KasseID) (Kasse, bool) {
	k, ok := c.KasseByIK(string(id))
	return k, ok && k.ID == id
}

// KasseByIK finds by any IK of the Kasse.
func (c *Catalogue) KasseByIK(ik string) (Kasse, bool) { return get(c.index().kassen, ik) }

// Site finds a site.
func (c *Catalogue) Site(id SiteID) (Site, bool) { return get(c.index().sites, id) }

// Service finds a service.
func (c *Catalogue) Service(id ServiceID) (Service, bool) { return get(c.index().services, id) }

// Component finds a component.
func (c *Catalogue) Component(id ComponentID) (Component, bool) {
	return get(c.index().components, id)
}

// Environment finds an environment.
func (c *Catalogue) Environment(id EnvironmentID) (Environment, bool) {
	return get(c.index().envs, id)
}

// Placement finds a placement.
func (c *Catalogue) Placement(id PlacementID) (Placement, bool) {
	return get(c.index().placements, id)
}

// PlacementsOf lists the placements of a cell, in the catalogue's order.
func (c *Catalogue) PlacementsOf(k KasseID, d ServiceID) []Placement {
	return deref(c.index().ofCell[cellKey{k, d}])
}

// PlacementsIn lists the placements of an environment, in the catalogue's order.
func (c *Catalogue) PlacementsIn(e EnvironmentID) []Placement {
	return deref(c.index().ofEnv[e])
}

// ComponentsAt lists the components of a site, in the catalogue's order.
func (c *Catalogue) ComponentsAt(s SiteID) []Component { return deref(c.index().componentAt[s]) }

// Cell is Kasse × service, what the matrix shows.
type Cell struct {
	Kasse   KasseID
	Service ServiceID
}

// Cells lists every cell that has a placement, Kassen and services in the catalogue's order.
func (c *Catalogue) Cells() []Cell {
	x := c.index()
	out := make([]Cell, 0, len(x.ofCell))
	for i := range c.Kassen {
		for j := range c.Services {
			if len(x.ofCell[cellKey{c.Kassen[i].ID, c.Services[j].ID}]) > 0 {
				out = append(out, Cell{c.Kassen[i].ID, c.Services[j].ID})
			}
		}
	}
	return out
}

// Insured adds up the insured of the Kassen given, each once; assumed tells
// that at least one of the figures is.
func (c *Catalogue) Insured(ids ...KasseID) (n int, assumed bool) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		k, _ := c.Kasse(id)
		n += k.Insured
		assumed = assumed || k.InsuredAssumed || k.Insured == 0
	}
	return n, assumed
}
