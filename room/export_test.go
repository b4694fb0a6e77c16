package room

import (
	"context"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/warning"
)

// Named is the note that new signals point at environments and components, or nil.
func Named(now time.Time, c *catalogue.Catalogue, raised []warning.Signal) operation.Command {
	return named(now, c, raised)
}

// TrustSilence makes the room take every silent gateway for one that has stopped:
// what the lease is there to prevent. For the control of the test with two nodes.
func (d *Doors) TrustSilence() { d.watch.Margin = -time.Hour }

// AllMigrations are those of the room's store and of every Kasse's.
func AllMigrations() []db.Migrations { return append(migrations(), journalMigrations()[1:]...) }

// MoveToPostgres puts the stores of a data directory into PostgreSQL as they are.
func MoveToPostgres(ctx context.Context, opt Options) error { return settle(ctx, opt) }

// Watching lets the early warning count as running since then.
func (r *Room) Watching(since time.Time) { r.alarm.watched.Store(since.UnixMicro()) }

// SetDesks names the typed emergency services, as the configuration does.
func (r *Room) SetDesks(c DesksConfig) { r.opt.Desks = &c }

// EscalateDesks raises what waits at desks past its deadline.
func EscalateDesks(ctx context.Context, r *Room, now time.Time) error {
	return r.escalateDesks(ctx, now)
}

// KeptBy says what the kernel would say about the machine's time source.
func (r *Room) KeptBy(synced bool, off time.Duration, err error) {
	r.timeSource = func() (bool, time.Duration, error) { return synced, off, err }
}
