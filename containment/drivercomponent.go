package containment

import (
	"fmt"
	"net/netip"
	"slices"

	"leitstand/catalogue"
)

// ComponentConfig is how shared machinery is taken off: its own hosts, whoever uses them.
type ComponentConfig struct {
	ID        catalogue.ComponentID `yaml:"id"`
	Addresses []string              `yaml:"addresses"` // of its hosts: addresses or networks
	Steps     []StepConfig          `yaml:"steps"`     // any driver but gateway: a component has no doors
	Last      string                `yaml:"last"`      // communication or evidence, as with environments
	Probe     ProbeTargets          `yaml:"probe"`
}

func (m ComponentConfig) whole() wholeConfig {
	return wholeConfig{string(m.ID), m.Addresses, m.Steps, m.Last, m.Probe}
}

// checkComponents wants each component to be taken off alone: an address range that
// takes in an environment would cut off more than was ordered. A host inside of an
// environment is a component as well as any other.
func (c *DriverConfig) checkComponents(kinds map[string]string, seen map[string]bool) error {
	for _, m := range c.Components {
		own, _, err := c.checkWhole(m.whole(), kinds, seen)
		if err == nil {
			err = c.checkComponent(m, own, kinds)
		}
		if err != nil {
			return fmt.Errorf("component %q: %w", m.ID, err)
		}
	}
	return nil
}

func (c *DriverConfig) checkComponent(m ComponentConfig, own []netip.Prefix, kinds map[string]string) error {
	for _, s := range m.Steps {
		if kinds[s.Driver] == "gateway" {
			return fmt.Errorf("driver %q closes doors, and a component has none: cut what rests on it instead", s.Driver)
		}
	}
	for _, e := range c.Environments {
		theirs, err := prefixes(e.Addresses)
		if err != nil {
			return err
		}
		for _, p := range own {
			if !p.IsSingleIP() && slices.ContainsFunc(theirs, func(o netip.Prefix) bool { return o.Overlaps(p) && p.Bits() <= o.Bits() }) {
				return fmt.Errorf("%s takes in environment %q: name the component's own hosts", p, e.ID)
			}
		}
	}
	return nil
}

// Components lists the components that the configuration knows.
func (d *Drivers) Components() []catalogue.ComponentID {
	out := make([]catalogue.ComponentID, len(d.config.Components))
	for i, m := range d.config.Components {
		out[i] = m.ID
	}
	return out
}

// component finds how a component is taken off.
func (d *Drivers) component(id string) (p planned, found bool, err error) {
	i := slices.IndexFunc(d.config.Components, func(m ComponentConfig) bool { return string(m.ID) == id })
	if i < 0 {
		return planned{}, false, nil
	}
	m := d.config.Components[i]
	p, err = d.plan(m.whole())
	p.Component = m.ID
	return p, true, err
}

// CoverComponents says which of the components that must be off can be taken off, in the
// configuration's order, and which have no driver and are left as they are.
func (d *Drivers) CoverComponents(off []catalogue.ComponentID) (targets []string, left []catalogue.ComponentID) {
	known := d.Components()
	for _, m := range known {
		if slices.Contains(off, m) {
			targets = append(targets, string(m))
		}
	}
	return targets, slices.DeleteFunc(slices.Clone(off), func(m catalogue.ComponentID) bool { return slices.Contains(known, m) })
}
