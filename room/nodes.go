package room

import (
	"context"
	"slices"
	"time"

	"leitstand/access"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/gateway"
	"leitstand/operation"
)

// leaseMargin is added to the lease of a silent node, for a clock that runs slow and for
// what its regular system was sent in the last moment.
const leaseMargin = 500 * time.Millisecond

// registerNodes makes the word of the gateways elsewhere count before any of them
// may serve: a node waits until it is registered.
func (d *Doors) registerNodes(ctx context.Context) error {
	for _, node := range d.config.Nodes {
		if err := d.register(ctx, node, nil, "Zugang an anderem Ort, aus der Konfiguration"); err != nil {
			return err
		}
	}
	return nil
}

// register makes the word of a gateway count. One that stands there since before
// the last start is left as it is.
func (d *Doors) register(ctx context.Context, node string, services []catalogue.ServiceID, reason string) error {
	known := slices.ContainsFunc(d.room.Operation.Current().Gateways(), func(g operation.Gateway) bool {
		return g.Node == node && !g.Retired && slices.Equal(g.Services, services)
	})
	if known {
		return nil
	}
	cmd := &operation.RegisterGateway{Node: node, Services: services}
	cmd.Reason = reason
	cmd.Sign(d.room.Now(), access.Person{ID: ledger.System})
	_, err := d.room.act(ctx, cmd, nil)
	return err
}

// words is what the other gateways say about closed doors: each that obeys them,
// and each whose lease has ended since.
func (d *Doors) words(ctx context.Context, at time.Time, doors map[catalogue.PlacementID]int64) (map[catalogue.PlacementID][]operation.Ack, error) {
	out := map[catalogue.PlacementID][]operation.Ack{}
	if len(d.config.Nodes) == 0 {
		return out, nil
	}
	seen := time.Now() // before reading: what is read is at most as old
	since := map[catalogue.PlacementID]time.Time{}
	for p, version := range doors {
		since[p] = d.watch.Closes(seen, p, version)
	}
	beats, err := gateway.Beats(ctx, d.room.Store)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	d.watch.Note(now, beats)
	for _, node := range d.config.Nodes {
		b := gateway.Beat{Node: node} // without a sign of life it never had a lease
		for _, x := range beats {
			if x.Node == node {
				b = x
			}
		}
		for p, version := range doors {
			switch {
			case b.Count > 0 && b.Obeys(p) >= version:
				out[p] = append(out[p], operation.Ack{Node: node, Door: b.Obeys(p)})
			case d.watch.Ended(now, b, since[p]):
				out[p] = append(out[p], operation.Ack{Node: node, LeaseEnded: at})
			}
		}
	}
	return out, nil
}
