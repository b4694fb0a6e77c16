package operation

import (
	"context"
	"fmt"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/forensics"
)

func readVersion(ctx context.Context, q db.Querier) (version int64, stamp string, err error) {
	err = q.QueryRow(ctx, `select version, stamp from operation_version where id = 1`).Scan(&version, &stamp)
	if err != nil {
		return 0, "", fmt.Errorf("reading the state's version: %w", err)
	}
	return version, stamp, nil
}

// loadAll reads the whole state over a catalogue.
func loadAll(ctx context.Context, q db.Querier, c *catalogue.Catalogue, settings Settings) (*State, error) {
	ch, err := loadSince(ctx, q, -1)
	if err != nil {
		return nil, err
	}
	s := newState(newTopology(c, ch.Placements, ch.Components), settings)
	if ch.Version, s.stamp, err = readVersion(ctx, q); err != nil {
		return nil, err
	}
	s.Commit(ch)
	return s, nil
}

// loadSince reads every row that was written after the given version.
func loadSince(ctx context.Context, q db.Querier, after int64) (*Change, error) {
	ch := &Change{}
	var err error
	if ch.Placements, err = db.Collect(ctx, q, scanPlacement, getPlacements, after); err != nil {
		return nil, fmt.Errorf("reading placements: %w", err)
	}
	if ch.Components, err = db.Collect(ctx, q, scanComponent, getComponents, after); err != nil {
		return nil, fmt.Errorf("reading components: %w", err)
	}
	if ch.Doors, err = db.Collect(ctx, q, scanDoor, getDoors, after); err != nil {
		return nil, fmt.Errorf("reading doors: %w", err)
	}
	if ch.Trails, err = db.Collect(ctx, q, scanTrail, getTrails, after); err != nil {
		return nil, fmt.Errorf("reading trails: %w", err)
	}
	if ch.Gateways, err = db.Collect(ctx, q, scanGateway, getGateways, after); err != nil {
		return nil, fmt.Errorf("reading gateways: %w", err)
	}
	if ch.Clearances, err = forensics.Clearances(ctx, q, after); err != nil {
		return nil, err
	}
	if ch.Rotations, err = forensics.Rotations(ctx, q, after); err != nil {
		return nil, err
	}
	if ch.Indicators, err = forensics.Indicators(ctx, q, after); err != nil {
		return nil, err
	}
	return ch, nil
}
