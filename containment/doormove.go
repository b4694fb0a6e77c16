package containment

import (
	"context"
	"errors"
	"fmt"

	"leitstand/base/db"
	"leitstand/catalogue"
)

// DoorsDriver is the driver of acts that only moved doors at a gateway.
const DoorsDriver = "doors"

// kindMoved is the kind of entries about doors that people moved without the room.
const kindMoved = "door.moved"

// DoorMove is a door that people moved to a safer position without the room.
type DoorMove struct {
	Placement catalogue.PlacementID
	To        catalogue.Behaviour // Buffer or Notice
}

// MoveDoors writes moves into the log, signed and on disk when it returns; the
// gateway that follows the log obeys. Two different people order it, or one in immediate danger
// (Order.By).
func (l *LocalLog) MoveDoors(ctx context.Context, o Order, moves ...DoorMove) ([]Act, error) {
	if len(o.By) == 0 || len(o.By) > 1 && o.By[0] == o.By[1] || o.Reason == "" {
		return nil, errors.New("moving doors needs one or two different people and a reason")
	}
	now := db.Trim(l.Now())
	acts := make([]Act, 0, len(moves))
	for _, m := range moves {
		kasse, _, site, ok := m.Placement.Split()
		if !ok {
			return nil, fmt.Errorf("%q is no placement (IK/service/site)", m.Placement)
		}
		if m.To != catalogue.Buffer && m.To != catalogue.Notice {
			return nil, fmt.Errorf("door of %s: %s is no safer position: want buffer or notice", m.Placement, m.To)
		}
		a := Act{
			ID: newActID(), Measure: o.Measure, Driver: DoorsDriver, Target: string(m.Placement), Environment: catalogue.EnvironmentOf(kasse, site),
			Placements: []catalogue.PlacementID{m.Placement}, State: Done, By: o.By, Detail: m.To.String(),
			StartedAt: now, ExecutedAt: now, FinishedAt: now,
		}
		if err := a.sign(o); err != nil {
			return nil, err
		}
		acts = append(acts, a)
	}
	return acts, l.Record(ctx, kindMoved, o.Reason, acts...)
}

// sign lets everybody who orders it sign, where people have keys.
func (a *Act) sign(o Order) error {
	if o.Sign == nil {
		return nil
	}
	text, err := moveText(*a, o.Reason)
	if err != nil {
		return err
	}
	for _, person := range o.By {
		sig, err := o.Sign(person, text)
		if err != nil {
			return err
		}
		a.Signed = append(a.Signed, sig)
	}
	return nil
}

// Move is what an act did to a door; ok is false for acts of other drivers.
func (a Act) Move() (m DoorMove, ok bool) {
	if a.Driver != DoorsDriver || a.Back {
		return m, false
	}
	to, err := catalogue.ParseBehaviour(a.Detail)
	return DoorMove{catalogue.PlacementID(a.Target), to}, err == nil && (to == catalogue.Buffer || to == catalogue.Notice)
}
