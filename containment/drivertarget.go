package containment

import (
	"errors"
	"fmt"
	"slices"

	"leitstand/catalogue"
)

// step is one driver in the order of a cut, ready to run.
type step struct {
	driver    Driver
	powersOff bool
	params    map[string]string
}

// planned is a target with how it is taken off and probed.
type planned struct {
	Target
	steps []step
	probe ProbeTargets
	last  string
}

// Wiring is what drivers need of the room around them.
type Wiring struct {
	// Doors says whether every gateway has closed the doors of placements; nil: none.
	Doors func(placements []catalogue.PlacementID) (closed bool, detail string)
	// Exercise marks printed orders ÜBUNG.
	Exercise bool
}

// Drivers is a configuration with its drivers built.
type Drivers struct {
	config *DriverConfig
	byName map[string]Driver
}

// Build makes the drivers of a configuration. It dials nothing.
func (c *DriverConfig) Build(w Wiring) (*Drivers, error) {
	d := &Drivers{config: c, byName: map[string]Driver{}}
	for _, spec := range c.Drivers {
		built, err := spec.build(c, w)
		if err != nil {
			return nil, fmt.Errorf("driver %q: %w", spec.Name, err)
		}
		d.byName[spec.Name] = built
	}
	return d, nil
}

// ErrNoTarget says that the configuration has no way to take something off alone.
var ErrNoTarget = errors.New("no driver can take it off alone")

// Environments lists the environments that the configuration knows.
func (d *Drivers) Environments() []catalogue.EnvironmentID {
	out := make([]catalogue.EnvironmentID, len(d.config.Environments))
	for i, e := range d.config.Environments {
		out[i] = e.ID
	}
	return out
}

// target finds an environment, a placement or a component by its id.
func (d *Drivers) target(id string) (planned, error) {
	if p, found, err := d.component(id); found {
		return p, err
	}
	for _, e := range d.config.Environments {
		if string(e.ID) == id {
			return d.whole(e)
		}
		for _, s := range e.Systems {
			if string(s.Placement) == id {
				return d.part(e, s)
			}
		}
	}
	return planned{}, fmt.Errorf("%q: %w: it is not in %s", id, ErrNoTarget, DriversFile)
}

func (d *Drivers) whole(e EnvironmentConfig) (planned, error) {
	p, err := d.plan(e.whole())
	p.Environment = e.ID
	return p, err
}

// plan is the target of an environment or component as one.
func (d *Drivers) plan(w wholeConfig) (planned, error) {
	addresses, err := prefixes(w.addresses)
	if err != nil {
		return planned{}, err
	}
	p := planned{
		Target: Target{ID: w.id, Addresses: addresses, Always: d.config.always},
		probe:  w.probe, last: w.last,
	}
	for _, s := range w.steps {
		p.steps = append(p.steps, step{driver: d.byName[s.Driver], powersOff: s.PowersOff, params: s.Params})
	}
	return p, nil
}

// part is the target of one placement: the steps of its environment that do not
// power off, with its own addresses only.
func (d *Drivers) part(e EnvironmentConfig, s SystemConfig) (planned, error) {
	p, err := d.whole(e)
	if err != nil {
		return p, err
	}
	p.ID, p.probe, p.Placements = string(s.Placement), s.Probe, []catalogue.PlacementID{s.Placement}
	if p.Addresses, err = prefixes(s.Addresses); err != nil {
		return p, err
	}
	if s.Last != "" {
		p.last = s.Last
	}
	p.steps = slices.DeleteFunc(p.steps, func(st step) bool { return st.powersOff })
	return p, nil
}

// Cover says which targets must be off so that exactly the placements in off are
// unreachable: whole environments where all of their placements are off,
// otherwise the systems of each. What cannot be taken off alone is returned as
// left: a cut is never widened without somebody deciding it.
func (d *Drivers) Cover(all []catalogue.Placement, off map[catalogue.PlacementID]bool) (targets []string, left []catalogue.PlacementID) {
	byEnv := map[catalogue.EnvironmentID][]catalogue.PlacementID{}
	for _, p := range all {
		byEnv[p.Environment] = append(byEnv[p.Environment], p.ID)
	}
	for _, e := range d.config.Environments {
		var down []catalogue.PlacementID
		for _, p := range byEnv[e.ID] {
			if off[p] {
				down = append(down, p)
			}
		}
		if len(down) > 0 && len(down) == len(byEnv[e.ID]) {
			targets = append(targets, string(e.ID))
			continue
		}
		for _, p := range down {
			if slices.ContainsFunc(e.Systems, func(s SystemConfig) bool { return s.Placement == p }) {
				targets = append(targets, string(p))
			} else {
				left = append(left, p)
			}
		}
	}
	return targets, left
}

// classes puts targets into the order of a cut: ordinary ones, then what people
// talk over, then what evidence rests on.
func classes(all []planned) [][]planned {
	out := make([][]planned, 3)
	for _, p := range all {
		switch p.last {
		case lastCommunication:
			out[1] = append(out[1], p)
		case lastEvidence:
			out[2] = append(out[2], p)
		default:
			out[0] = append(out[0], p)
		}
	}
	return out
}
