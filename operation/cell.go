package operation

import (
	"time"

	"leitstand/catalogue"
)

// Cell is Kasse × service as the matrix shows it: the worst of its placements,
// with the count.
type Cell struct {
	Kasse      catalogue.KasseID   `json:"kasse"`
	Service    catalogue.ServiceID `json:"service"`
	Regular    Regular             `json:"regular"`   // of the worst placement
	Emergency  Emergency           `json:"emergency"` // of the same placement
	Unknown    bool                `json:"unknown"`   // some placement's last confirmation is too old
	Flagged    bool                `json:"flagged"`   // some placement must go down
	Owner      string              `json:"owner"`     // of the worst placement
	Worst      int                 `json:"worst"`     // how many placements are in that state
	Placements []CellPlacement     `json:"placements"`
}

// CellPlacement is one placement of a cell.
type CellPlacement struct {
	ID        catalogue.PlacementID `json:"id"`
	Site      catalogue.SiteID      `json:"site"`
	Regular   Regular               `json:"regular"`
	Emergency Emergency             `json:"emergency"`
	Unknown   bool                  `json:"unknown"`
	Flagged   bool                  `json:"flagged"`
	Starting  bool                  `json:"starting"` // emergency operation is ordered and waits
	Owner     string                `json:"owner"`
	Since     time.Time             `json:"since"`
	Confirmed time.Time             `json:"confirmed"`
	Door      Answer                `json:"door"`
	Epoch     int64                 `json:"epoch"`
}

// Cells are the cells of all placements that have a state, in the catalogue's
// order of their first placement.
func Cells(s *State, now time.Time) []Cell {
	type key struct {
		kasse   catalogue.KasseID
		service catalogue.ServiceID
	}
	index := make(map[key]int, len(s.placements))
	var cells []Cell
	for n, p := range s.placements {
		if p == nil {
			continue
		}
		k := key{p.Kasse, p.Service}
		i, ok := index[k]
		if !ok {
			i = len(cells)
			index[k] = i
			cells = append(cells, Cell{Kasse: p.Kasse, Service: p.Service})
		}
		cells[i].take(s, p, s.doors[n], now)
	}
	return cells
}

func (c *Cell) take(s *State, p *Placement, door *DoorRow, now time.Time) {
	one := CellPlacement{
		ID: p.ID, Site: p.Site, Regular: p.Regular, Emergency: p.Emergency, Unknown: s.Unknown(&p.Track, now),
		Flagged: p.Flag != nil, Starting: p.Starting != NotStarting, Owner: p.Owner, Since: p.Since, Confirmed: p.Confirmed,
		Epoch: p.Writing.Epoch,
	}
	if door != nil {
		one.Door = door.Answer
	}
	c.Placements = append(c.Placements, one)
	c.Unknown, c.Flagged = c.Unknown || one.Unknown, c.Flagged || one.Flagged
	switch a, b := badness(p.Regular, p.Emergency), badness(c.Regular, c.Emergency); {
	case a > b || len(c.Placements) == 1:
		c.Regular, c.Emergency, c.Owner, c.Worst = p.Regular, p.Emergency, p.Owner, 1
	case a == b:
		c.Worst++
	}
}

// badness orders pairs of states by what people get: the regular track first,
// then how little the emergency track makes up for it.
func badness(r Regular, e Emergency) int {
	var regular, emergency int
	switch r {
	case Failed:
		regular = 5
	case Cut:
		regular = 4
	case Rebuilding:
		regular = 3
	case Trial:
		regular = 2
	case Limited:
		regular = 1
	case Running:
	}
	switch e {
	case None:
		emergency = 3
	case Ready:
		emergency = 2
	case HandingOver:
		emergency = 1
	case Active, Closed:
	}
	return regular*4 + emergency
}
