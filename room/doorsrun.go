package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"leitstand/emergency"
)

// Step makes the gateway obey the newest committed doors and keeps them in the file.
func (d *Doors) Step(ctx context.Context) error {
	if err := d.follow(ctx); err != nil {
		return err
	}
	return d.keep()
}

// follow makes the gateway obey the newest committed doors. It writes nothing and
// waits for nobody who does: an order must not wait for a disk.
func (d *Doors) follow(ctx context.Context) error {
	d.following.Lock()
	defer d.following.Unlock()
	s, err := d.room.Operation.Refresh(ctx)
	if err != nil {
		return fmt.Errorf("following the doors: %w", err)
	}
	d.mu.Lock()
	version := d.version
	d.mu.Unlock()
	if s.Version() == version {
		return nil
	}
	moved := s.Doors(version)
	if version >= 0 && len(moved) == 0 {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.version = s.Version()
		return nil
	}
	t, err := d.table(s)
	if err != nil {
		return err
	}
	d.Gateway.Set(t)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, row := range moved {
		d.books.due[row.Placement] = row.Version
	}
	d.version, d.obeyed = s.Version(), t
	select {
	case d.newer <- struct{}{}:
	default: // it will be seen already
	}
	return nil
}

// keep writes the table that the gateway obeys into the file, for the next start. What
// could not be kept is tried again.
func (d *Doors) keep() error {
	d.keeping.Lock()
	defer d.keeping.Unlock()
	d.mu.Lock()
	t, saved := d.obeyed, d.saved
	d.mu.Unlock()
	if t == saved {
		return nil
	}
	if err := t.Save(filepath.Join(d.room.opt.Data, doorsFile)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.saved = t
	return nil
}

// keptVersion is the newest version of the doors in the file.
func (d *Doors) keptVersion() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.saved == nil {
		return 0
	}
	return d.saved.Version
}

// Replay delivers what the spool kept for doors that are open again.
func (d *Doors) Replay(ctx context.Context, now time.Time) (next time.Time, err error) {
	return d.replay.Due(ctx, now)
}

// Run follows the doors until ctx ends: a commit of this process is obeyed at once,
// one of another process on the same database within 50 ms. Nothing else that is
// done here, such as keeping, proving and delivering, holds that up.
func (d *Doors) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { d.guard(ctx) })
	wg.Go(func() {
		for ctx.Err() == nil {
			changed := d.room.Store.Changed() // before reading: nothing is missed
			d.complain(ctx, d.follow(ctx))
			pause(ctx, changed, 50*time.Millisecond)
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := d.Replay(ctx, time.Now()); !errors.Is(err, emergency.ErrLocked) {
				d.complain(ctx, err)
			}
			pause(ctx, nil, time.Second)
		}
	})
	for ctx.Err() == nil {
		d.complain(ctx, errors.Join(d.TakeLocal(ctx), d.keep(), d.Report(ctx)))
		pause(ctx, d.newer, 50*time.Millisecond)
	}
	return nil
}

func (d *Doors) complain(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		d.room.opt.Log.Error("following the doors", slog.Any("error", err))
	}
}

// pause ends with ctx, when something happened, or after a while.
func pause(ctx context.Context, happened <-chan struct{}, while time.Duration) {
	select {
	case <-ctx.Done():
	case <-happened:
	case <-time.After(while):
	}
}

// guard does what must not wait for the database: it obeys the local log.
func (d *Doors) guard(ctx context.Context) {
	for ctx.Err() == nil {
		if err := d.Hold(); err != nil {
			d.room.opt.Log.Error("doors stay as they are", slog.Any("error", err))
		}
		pause(ctx, nil, 50*time.Millisecond)
	}
}
