package room

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/recovery"
)

type readinessArgs struct {
	Cell     string `json:"cell"` // IK/service
	Point    string `json:"point,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	NotDone  string `json:"not_done,omitempty"`
}

// openReadiness begins the check list of a cell's emergency environment, or gives
// the one that there is.
func openReadiness(ctx context.Context, r *Room, as access.Person, a readinessArgs) (recovery.Readiness, error) {
	kasse, service, _ := strings.Cut(a.Cell, "/")
	k, d := catalogue.KasseID(kasse), catalogue.ServiceID(service)
	if err := r.leads(as, k); err != nil {
		return recovery.Readiness{}, err
	}
	if len(r.Catalogue.PlacementsOf(k, d)) == 0 {
		return recovery.Readiness{}, fmt.Errorf("the catalogue has no cell %q", a.Cell)
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (recovery.Readiness, error) {
		have, err := recovery.ReadinessOf(ctx, tx, a.Cell)
		if !errors.Is(err, recovery.ErrNoDoc) {
			return have, err
		}
		have = recovery.NewReadiness(now, k, d, as.ID)
		return have, recovery.Put(ctx, tx, now, as.ID, "readiness.opened", "", have)
	})
}

// settleReadiness answers a point.
func settleReadiness(ctx context.Context, r *Room, as access.Person, a readinessArgs) (recovery.Readiness, error) {
	kasse, _, _ := strings.Cut(a.Cell, "/")
	if err := r.leads(as, catalogue.KasseID(kasse)); err != nil {
		return recovery.Readiness{}, err
	}
	return write(ctx, r, func(ctx context.Context, tx *db.Tx, now time.Time) (recovery.Readiness, error) {
		have, err := recovery.ReadinessOf(ctx, tx, a.Cell)
		if err != nil {
			return have, err
		}
		if have, err = have.Settle(now, as.ID, a.Point, a.Evidence, a.NotDone); err != nil {
			return have, err
		}
		return have, recovery.Put(ctx, tx, now, as.ID, "readiness.point_settled", a.NotDone, have)
	})
}

func showReadiness(ctx context.Context, r *Room, a readinessArgs) (recovery.Readiness, error) {
	return recovery.ReadinessOf(ctx, r.Store, a.Cell)
}

// listed refuses calling emergency operation ready before its check list is
// complete. A practice room may do without a list, but not with an open one.
func (r *Room) listed(ctx context.Context, places []catalogue.PlacementID) error {
	for _, id := range places {
		kasse, service, _, ok := id.Split()
		if !ok {
			continue // operation says what is wrong with it
		}
		cell := string(kasse) + "/" + string(service)
		list, err := recovery.ReadinessOf(ctx, r.Store, cell)
		switch {
		case errors.Is(err, recovery.ErrNoDoc) && r.Settings.Exercise:
			continue
		case errors.Is(err, recovery.ErrNoDoc):
			return &Failure{Rule: int(operation.RuleGate), Text: fmt.Sprintf(
				"Für %s gibt es keine Prüfliste der Notbetriebsumgebung (SGB X § 80, SGB V § 393). Erst: leitstand emergency checklist %s.", id, cell)}
		case err != nil:
			return err
		}
		if err := list.Ready(); err != nil {
			return &Failure{Rule: int(operation.RuleGate), Text: err.Error(), err: err}
		}
	}
	return nil
}
