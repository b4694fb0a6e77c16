package operation

import (
	"context"
	"fmt"

	"leitstand/base/db"
)

// ReadDoors reads the gateways that are registered, and then the doors that
// changed after a version: for a gateway that follows the store of a room without being one.
func ReadDoors(ctx context.Context, q db.Querier, after int64) (gateways []Gateway, doors []*DoorRow, err error) {
	if gateways, err = db.Collect(ctx, q, scanGateway, getGateways, -1); err != nil {
		return nil, nil, fmt.Errorf("reading gateways: %w", err)
	}
	if doors, err = db.Collect(ctx, q, scanDoor, getDoors, after); err != nil {
		return nil, nil, fmt.Errorf("reading doors: %w", err)
	}
	return gateways, doors, nil
}
