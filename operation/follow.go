package operation

import (
	"context"
	"fmt"

	"leitstand/base/db"
)

// ReadGateways reads the gateways that are registered, for a gateway that follows the
// store of a room without being one.
func ReadGateways(ctx context.Context, q db.Querier) ([]Gateway, error) {
	gateways, err := db.Collect(ctx, q, scanGateway, getGateways, -1)
	if err != nil {
		return nil, fmt.Errorf("reading gateways: %w", err)
	}
	return gateways, nil
}

// ReadDoors reads the doors that changed after a version, for such a gateway.
func ReadDoors(ctx context.Context, q db.Querier, after int64) ([]*DoorRow, error) {
	doors, err := db.Collect(ctx, q, scanDoor, getDoors, after)
	if err != nil {
		return nil, fmt.Errorf("reading doors: %w", err)
	}
	return doors, nil
}
