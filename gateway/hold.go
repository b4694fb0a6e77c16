package gateway

import (
	"maps"
	"slices"

	"leitstand/catalogue"
	"leitstand/operation"
)

// Hold keeps doors at a safer position than the tables say, until it is called
// without them: people moved them there without the room. Only notice and buffer
// are safer, and only than a door behind which the regular system serves; anything
// else is left as it is. Requests under way end on the side that they started on.
func (g *Gateway) Hold(doors map[catalogue.PlacementID]operation.Mode) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if maps.Equal(g.held, doors) { // two empty ones as well
		return
	}
	g.held = maps.Clone(doors)
	if g.table != nil {
		g.set(g.table)
	}
}

// Held is what Hold keeps.
func (g *Gateway) Held() map[catalogue.PlacementID]operation.Mode {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.held)
}

// People are those whose orders at the doors count, of the table in force.
func (g *Gateway) People() []Orderer {
	if live := g.live.Load(); live != nil {
		return live.People
	}
	return nil
}

// Safer says whether a door may be moved from one position to the other without
// the room: from one behind which the regular system serves to one that keeps or explains.
func Safer(from, to operation.Mode) bool {
	if to != operation.ModeBuffer && to != operation.ModeNotice {
		return false
	}
	switch from {
	case operation.ModeRegular, operation.ModeLimited, operation.ModeReadOnly:
		return true
	case operation.ModeBuffer, operation.ModeNotice, operation.ModeRefuse, operation.ModeEmergency: // the emergency path checks its right to write itself
	}
	return false
}

// holding is the table with doors held at safer positions.
func (t *Table) holding(doors map[catalogue.PlacementID]operation.Mode) *Table {
	if len(doors) == 0 {
		return t
	}
	out := *t
	out.Doors = slices.Clone(t.Doors)
	for i := range out.Doors {
		d := &out.Doors[i]
		if to, ok := doors[d.Placement]; ok && (Safer(d.Row.Mode, to) || d.Row.Testers || d.Row.Marked) {
			if Safer(d.Row.Mode, to) {
				d.Row.Mode = to
			}
			d.Row.Testers, d.Row.Marked = false, false
		}
	}
	return &out
}
