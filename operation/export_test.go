package operation

// SwitchOff returns a copy of the state in which one rule is not kept.
func (s *State) SwitchOff(r Rule) *State {
	c := s.Clone()
	c.off |= 1 << r
	return c
}

// SwitchOff makes the store keep a rule no more, as if it had been forgotten.
func (s *Store) SwitchOff(r Rule) {
	c := s.current.Load().SwitchOff(r)
	s.current.Store(c)
	s.work = nil
}

// Nodes lists the names of all nodes, placements first.
func (s *State) Nodes() []string { return s.top.names }

// ActOf is who signed a command, when and why.
func ActOf(c Command) Act { return *c.act() }
