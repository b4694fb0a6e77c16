package room

import (
	"context"

	"leitstand/warning"
)

// showSignal returns one signal with everything that is known of it.
func showSignal(ctx context.Context, r *Room, a idArgs) (warning.Signal, error) {
	return warning.Get(ctx, r.Store, a.ID)
}

// signalSources are the counts and the pressure of every source.
func signalSources(_ context.Context, r *Room, _ none) ([]warning.Figures, error) {
	return r.Warning.Figures(), nil
}
