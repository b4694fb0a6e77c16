package containment

import (
	"context"
	"fmt"
	"time"
)

// GatewayConfig is a driver for services that are reached through our gateways
// only. operation has closed their doors with the order already; the driver looks
// whether every gateway has said so.
type GatewayConfig struct{}

type gatewayDriver struct {
	name   string
	w      Wiring
	settle time.Duration
}

func newGatewayDriver(name string, w Wiring, settle time.Duration) *gatewayDriver {
	return &gatewayDriver{name, w, settle}
}

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

// Probe asks whether all gateways have closed the doors, until they have or the
// time to settle is over.
func (d *gatewayDriver) Probe(ctx context.Context, t Target) (Seen, error) {
	if d.w.Doors == nil {
		return Seen{Detail: "no gateways are known here"}, nil
	}
	for end := time.Now().Add(d.settle); ; {
		held, detail := d.w.Doors(t.Placements)
		if held || !time.Now().Before(end) {
			return Seen{Held: held, Detail: detail}, nil
		}
		select {
		case <-ctx.Done():
			return Seen{Detail: detail}, nil
		case <-time.After(10 * time.Millisecond):
		}
	}
}
