// Package containment orders measures: acts that take tenants off the network,
// as little as possible, with a preview of what it costs and a way back.
//
// Promises: what is carried out is exactly what was previewed and consented to;
// a measure bundles the cut, the behaviour of the doors and the start of
// emergency operation; it is recorded as intent before and outcome after it
// acts on the outside world.
package containment

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"leitstand/catalogue"
)

// Selection names what a measure is about. Lists narrow each other: Kassen AND
// services AND sites AND environments; an empty list means all. Placements and
// Components are taken in addition, Except is taken out at the end.
type Selection struct {
	Kassen       []catalogue.KasseID       `json:"kassen,omitempty"`
	Services     []catalogue.ServiceID     `json:"services,omitempty"`
	Sites        []catalogue.SiteID        `json:"sites,omitempty"`
	Environments []catalogue.EnvironmentID `json:"environments,omitempty"`
	Placements   []catalogue.PlacementID   `json:"placements,omitempty"`
	// Components are shared machinery: a directory, a backup server, a cluster, one host.
	Components []catalogue.ComponentID `json:"components,omitempty"`
	// Shared takes all shared components of the selected sites in addition.
	Shared bool `json:"shared,omitempty"`
	// Dependents takes the placements in addition that stop for certain without the
	// components, so that their doors buffer and do not answer with errors. What of it is
	// served by a system that a driver can take off is taken off as well.
	Dependents bool     `json:"dependents,omitempty"`
	Except     []string `json:"except,omitempty"` // Kassen, services, sites, environments, placements or components
}

// ErrEmpty says that a selection matches nothing, which is never what somebody meant.
var ErrEmpty = errors.New("the selection matches no placement and no component")

// Resolve lists the placements of a selection in the catalogue's order. A name
// that the catalogue does not know is an error: a typing mistake must not make
// a cut smaller. Placements that [Selection.Dependents] adds follow from the
// situation and are not among them.
func (s Selection) Resolve(c *catalogue.Catalogue) ([]catalogue.Placement, error) {
	if err := s.known(c); err != nil {
		return nil, err
	}
	parts, err := s.components(c)
	if err != nil {
		return nil, err
	}
	narrowed := len(s.Kassen)+len(s.Services)+len(s.Sites)+len(s.Environments) > 0
	var out []catalogue.Placement
	for _, p := range c.Placements {
		in := narrowed && has(s.Kassen, p.Kasse) && has(s.Services, p.Service) && has(s.Sites, p.Site) && has(s.Environments, p.Environment)
		in = in || slices.Contains(s.Placements, p.ID)
		if in && !s.excepted(p) {
			out = append(out, p)
		}
	}
	if len(out) == 0 && len(parts) == 0 {
		return nil, ErrEmpty
	}
	return out, nil
}

// components lists the components of a selection in the catalogue's order.
func (s Selection) components(c *catalogue.Catalogue) ([]catalogue.Component, error) {
	if s.Shared && len(s.Sites) == 0 {
		return nil, errors.New("the shared components of sites: name the sites")
	}
	var out []catalogue.Component
	for _, m := range c.Components {
		in := slices.Contains(s.Components, m.ID) || s.Shared && slices.Contains(s.Sites, m.Site)
		if in && !slices.Contains(s.Except, string(m.ID)) {
			out = append(out, m)
		}
	}
	if s.Dependents && len(out) == 0 {
		return nil, errors.New("what rests on components: name the components")
	}
	return out, nil
}

func has[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

func (s Selection) excepted(p catalogue.Placement) bool {
	for _, e := range s.Except {
		switch e {
		case string(p.Kasse), string(p.Service), string(p.Site), string(p.Environment), string(p.ID):
			return true
		}
	}
	return false
}

func (s Selection) known(c *catalogue.Catalogue) error {
	var wrong []string
	check := func(kind, name string, ok bool) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s %q", kind, name))
		}
	}
	for _, k := range s.Kassen {
		_, ok := c.Kasse(k)
		check("Kasse", string(k), ok)
	}
	for _, v := range s.Services {
		_, ok := c.Service(v)
		check("service", string(v), ok)
	}
	for _, v := range s.Sites {
		_, ok := c.Site(v)
		check("site", string(v), ok)
	}
	for _, v := range s.Environments {
		_, ok := c.Environment(v)
		check("environment", string(v), ok)
	}
	for _, v := range s.Placements {
		_, ok := c.Placement(v)
		check("placement", string(v), ok)
	}
	for _, v := range s.Components {
		_, ok := c.Component(v)
		check("component", string(v), ok)
	}
	for _, e := range s.Except {
		check("exception", e, knownAsAny(c, e))
	}
	if len(wrong) > 0 {
		return fmt.Errorf("unknown in the catalogue: %s", strings.Join(wrong, ", "))
	}
	return nil
}

func knownAsAny(c *catalogue.Catalogue, name string) bool {
	_, kasse := c.Kasse(catalogue.KasseID(name))
	_, service := c.Service(catalogue.ServiceID(name))
	_, site := c.Site(catalogue.SiteID(name))
	_, env := c.Environment(catalogue.EnvironmentID(name))
	_, placement := c.Placement(catalogue.PlacementID(name))
	_, component := c.Component(catalogue.ComponentID(name))
	return kasse || service || site || env || placement || component
}
