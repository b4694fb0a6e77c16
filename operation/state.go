package operation

import (
	"maps"
	"slices"
	"time"

	"leitstand/catalogue"
	"leitstand/forensics"
)

// Settings are the spans that rules use. A zero value takes the default.
type Settings struct {
	UndoWindow  time.Duration // how long a cut may be undone: 4 hours
	ConfirmCut  time.Duration // how long the second person has in immediate danger: 30 minutes
	GoDown      time.Duration // T after a revocation: 2 hours
	Observation time.Duration // after acceptance: 24 hours
	Unknown     time.Duration // a confirmation older than this is too old: 24 hours
}

func (s Settings) withDefaults() Settings {
	for _, d := range []struct {
		to *time.Duration
		is time.Duration
	}{
		{&s.UndoWindow, 4 * time.Hour},
		{&s.ConfirmCut, 30 * time.Minute},
		{&s.GoDown, 2 * time.Hour},
		{&s.Observation, 24 * time.Hour},
		{&s.Unknown, 24 * time.Hour},
	} {
		if *d.to <= 0 {
			*d.to = d.is
		}
	}
	return s
}

// State is everything that operation knows. What a [Store] hands out is never
// changed and safe for concurrent use; its parts must not be changed either.
type State struct {
	top        *topology
	settings   Settings
	version    int64
	placements []*Placement // by node number; nil: not adopted
	components []*Component // by node number less the placements
	doors      []*DoorRow   // as placements
	clearances map[string]forensics.Clearance
	granted    map[string][]string // ids of clearances by what they are about
	rotations  map[string]forensics.Rotation
	rotated    map[string][]string // ids of rotations by what they are about
	indicators map[string]forensics.Indicator
	trails     map[string]Trail
	gateways   map[string]Gateway
	stamp      string  // of the store, tells states of the same version apart
	off        ruleSet // rules switched off; tests only
}

// ruleSet is a bit for each rule. It exists so that tests can prove that each
// rule is missed when it is switched off; nothing outside tests sets it.
type ruleSet uint8

func (s *State) on(r Rule) bool { return s.off&(1<<r) == 0 }

// NewState is the state of a room that has adopted nothing yet.
func NewState(c *catalogue.Catalogue, settings Settings) *State {
	return newState(newTopology(c, nil, nil), settings)
}

func newState(t *topology, settings Settings) *State {
	return &State{
		top: t, settings: settings.withDefaults(),
		placements: make([]*Placement, len(t.places)), components: make([]*Component, len(t.parts)),
		doors:      make([]*DoorRow, len(t.places)),
		clearances: map[string]forensics.Clearance{}, granted: map[string][]string{},
		rotations: map[string]forensics.Rotation{}, rotated: map[string][]string{},
		indicators: map[string]forensics.Indicator{}, trails: map[string]Trail{}, gateways: map[string]Gateway{},
	}
}

// Clone is a state that can be committed to without changing s.
func (s *State) Clone() *State {
	c := *s
	c.placements, c.components, c.doors = slices.Clone(s.placements), slices.Clone(s.components), slices.Clone(s.doors)
	c.clearances, c.granted = maps.Clone(s.clearances), maps.Clone(s.granted)
	c.rotations, c.rotated = maps.Clone(s.rotations), maps.Clone(s.rotated)
	c.indicators, c.trails, c.gateways = maps.Clone(s.indicators), maps.Clone(s.trails), maps.Clone(s.gateways)
	return &c
}

// Version counts the changes since the room began.
func (s *State) Version() int64 { return s.version }

// Settings are the spans in force.
func (s *State) Settings() Settings { return s.settings }

// Placement finds a placement that has a state.
func (s *State) Placement(id catalogue.PlacementID) (*Placement, bool) {
	n, ok := s.top.number[string(id)]
	if !ok || n >= len(s.placements) || s.placements[n] == nil {
		return nil, false
	}
	return s.placements[n], true
}

// Component finds a component that has a state.
func (s *State) Component(id catalogue.ComponentID) (*Component, bool) {
	n, ok := s.top.number[string(id)]
	if !ok || n < len(s.placements) || s.components[n-len(s.placements)] == nil {
		return nil, false
	}
	return s.components[n-len(s.placements)], true
}

// Placements lists all placements that have a state, in the catalogue's order.
func (s *State) Placements() []*Placement { return present(s.placements) }

// Components lists all components that have a state, in the catalogue's order.
func (s *State) Components() []*Component { return present(s.components) }

// Doors lists the doors that changed after the given version (-1: all), in the
// catalogue's order.
func (s *State) Doors(after int64) []*DoorRow {
	return slices.DeleteFunc(present(s.doors), func(d *DoorRow) bool { return d.Version <= after })
}

// Door finds the door of a placement.
func (s *State) Door(id catalogue.PlacementID) (*DoorRow, bool) {
	n, ok := s.top.number[string(id)]
	if !ok || n >= len(s.doors) || s.doors[n] == nil {
		return nil, false
	}
	return s.doors[n], true
}

// Clearances lists all clearances, by id.
func (s *State) Clearances() []forensics.Clearance { return sorted(s.clearances) }

// Rotations lists all proofs of rotation, by id.
func (s *State) Rotations() []forensics.Rotation { return sorted(s.rotations) }

// Indicators lists all indicators, by id.
func (s *State) Indicators() []forensics.Indicator { return sorted(s.indicators) }

// Trails lists what is remembered of environments and components, by name.
func (s *State) Trails() []Trail { return sorted(s.trails) }

// Gateways lists all nodes that were ever registered, by name.
func (s *State) Gateways() []Gateway { return sorted(s.gateways) }

func present[T any](in []*T) []*T {
	return slices.DeleteFunc(slices.Clone(in), func(p *T) bool { return p == nil })
}

func sorted[T any](m map[string]T) []T {
	out := make([]T, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// track is the regular track of a node, nil when it has no state.
func (s *State) track(n int) *Track {
	if n < len(s.placements) {
		if p := s.placements[n]; p != nil {
			return &p.Track
		}
		return nil
	}
	if c := s.components[n-len(s.placements)]; c != nil {
		return &c.Track
	}
	return nil
}

// Unknown reports whether the last confirmation is too old to answer for the
// stored state. It covers the state and never replaces it.
func (s *State) Unknown(t *Track, now time.Time) bool {
	return now.Sub(t.Confirmed) > s.settings.Unknown
}
