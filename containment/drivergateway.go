package containment

import (
	"context"
	"fmt"
)

// GatewayConfig is a driver for services that are reached through our gateways
// only. operation has closed their doors with the order already; the driver looks
// whether every gateway has said so.
type GatewayConfig struct{}

type gatewayDriver struct {
	name string
	w    Wiring
}

func newGatewayDriver(name string, w Wiring) *gatewayDriver { return &gatewayDriver{name, w} }

// Name is the driver's name.
func (d *gatewayDriver) Name() string { return d.name }

// DryRun says that the doors close with the order.
func (d *gatewayDriver) DryRun(_ context.Context, t Target) (DryRun, error) {
	return DryRun{
		Driver: d.name, Target: t.ID, Words: fmt.Sprintf("Die Türen vor %s schließen mit der Anordnung; jeder Zugang bestätigt es.", t.ID),
		Exact: []string{},
	}, nil
}

// Execute does nothing: the order itself closed the doors.
func (d *gatewayDriver) Execute(context.Context, Target) error { return nil }

// Undo does nothing: the doors open with the rules of operation only.
func (d *gatewayDriver) Undo(context.Context, Target) error { return nil }

// Probe asks whether all gateways have closed the doors.
func (d *gatewayDriver) Probe(_ context.Context, t Target) (Seen, error) {
	if d.w.Doors == nil {
		return Seen{Detail: "no gateways are known here"}, nil
	}
	held, detail := d.w.Doors(t.Placements)
	return Seen{Held: held, Detail: detail}, nil
}
