package catalogue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ParseSelection understands names as people write them: an IK (any of a
// Kasse) or a Kasse's name, the id or name of a site or service, a component
// (what@site), an environment (IK@site), a placement (IK/service/site).
// Names that lead nowhere, or to several things, are all reported at once.
func ParseSelection(c *Catalogue, names ...string) (Selection, error) {
	var s Selection
	var errs []error
	for _, n := range names {
		if err := s.add(c, strings.TrimSpace(n)); err != nil {
			errs = append(errs, err)
		}
	}
	return s, errors.Join(errs...)
}

func (s *Selection) add(c *Catalogue, name string) error {
	x := c.index()
	switch {
	case x.placements[PlacementID(name)] != nil:
		s.Placements = append(s.Placements, PlacementID(name))
		return nil
	case x.envs[EnvironmentID(name)] != nil:
		s.Environments = append(s.Environments, EnvironmentID(name))
		return nil
	case x.components[ComponentID(name)] != nil:
		s.Components = append(s.Components, ComponentID(name))
		return nil
	}
	var kassen []KasseID
	if k := x.kassen[name]; k != nil {
		kassen = append(kassen, k.ID)
	}
	for _, k := range c.Kassen {
		for _, n := range slices.Concat([]string{k.Name}, k.Former) {
			if nameKey(n) == nameKey(name) && !slices.Contains(kassen, k.ID) {
				kassen = append(kassen, k.ID)
			}
		}
	}
	sites := matching(c.Sites, name, func(v Site) (SiteID, string) { return v.ID, v.Name })
	services := matching(c.Services, name, func(v Service) (ServiceID, string) { return v.ID, v.Name })
	switch n := len(kassen) + len(sites) + len(services); {
	case n == 1:
		s.Kassen, s.Sites, s.Services = append(s.Kassen, kassen...), append(s.Sites, sites...), append(s.Services, services...)
		return nil
	case n > 1:
		return fmt.Errorf("%q means several things: Kassen %v, sites %v, services %v", name, kassen, sites, services)
	}
	return fmt.Errorf("%q is nothing in the catalogue%s", name, meant(name, c.allNames()))
}

func matching[V any, T ~string](in []V, name string, of func(V) (T, string)) []T {
	var out []T
	for _, v := range in {
		if id, title := of(v); string(id) == name || nameKey(title) == nameKey(name) {
			out = append(out, id)
		}
	}
	return out
}

// allNames is what could have been meant; placements are left out, their parts are enough.
func (c *Catalogue) allNames() []string {
	var out []string
	for _, k := range c.Kassen {
		out = append(out, string(k.ID), k.Name)
	}
	for _, s := range c.Sites {
		out = append(out, string(s.ID), s.Name)
	}
	for _, s := range c.Services {
		out = append(out, string(s.ID), s.Name)
	}
	for _, m := range c.Components {
		out = append(out, string(m.ID))
	}
	for _, e := range c.Environments {
		out = append(out, string(e.ID))
	}
	return out
}
