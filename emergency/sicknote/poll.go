package sicknote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
)

// box is a mailbox and how polling it went.
type box struct {
	*Mailbox

	mu       sync.Mutex
	running  bool
	next     time.Time // when to look again
	last     time.Time // when it was last looked into with success
	failures int       // in a row
	problem  string    // of the last try, "" when it went well
	careful  bool      // the server lied about sizes: one mail at a time until a session goes well
	reread   bool      // mails whose keys were away were all tried since the start
}

// Due looks into every mailbox whose turn it is and returns, without waiting for
// them, when the next turn is. Looks go on in the background until they are done
// or ctx ends; [Intake.Close] waits for them. A mailbox is never looked into twice
// at a time.
func (in *Intake) Due(ctx context.Context, now time.Time) (next time.Time, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return time.Time{}, fmt.Errorf("polling: %w", db.ErrClosed)
	}
	for _, b := range in.boxes {
		if b.begin(now, in.config.Interval, false) {
			in.polls.Go(func() { _ = in.look(ctx, b, now) }) // the box keeps the error
		}
		if n := b.due(); next.IsZero() || n.Before(next) {
			next = n
		}
	}
	return next, nil
}

// PollAll looks into every mailbox now and waits for all of them. The error joins
// those of the mailboxes that failed; the others are done.
func (in *Intake) PollAll(ctx context.Context, now time.Time) error {
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return fmt.Errorf("polling: %w", db.ErrClosed)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(in.boxes))
	for i, b := range in.boxes {
		if b.begin(now, in.config.Interval, true) {
			in.polls.Add(1)
			wg.Go(func() {
				defer in.polls.Done()
				errs[i] = in.look(ctx, b, now)
			})
		}
	}
	in.mu.Unlock()
	wg.Wait()
	return errors.Join(errs...)
}

// Close lets looks that run come to their end (end their context to hurry them)
// and begins no more.
func (in *Intake) Close() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	in.polls.Wait()
}

func (b *box) begin(now time.Time, interval time.Duration, force bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running || !force && b.next.After(now) {
		return false
	}
	b.running = true
	b.next = now.Add(interval)
	return true
}

func (b *box) due() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

// end notes how a look went. Pauses double with every failure in a row, from the
// interval up to ten minutes, which is the longest a Kasse may wait.
func (b *box) end(now time.Time, interval time.Duration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = false
	if err == nil {
		b.failures, b.problem, b.last = 0, "", now
		return
	}
	b.failures++
	b.problem = err.Error()
	pause := interval
	for range min(b.failures-1, 10) {
		pause *= 2
	}
	b.next = now.Add(min(pause, 10*time.Minute))
}

func (b *box) trust() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.careful = false
}

func (b *box) failing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0
}

// look is one turn of one mailbox. Mailboxes that failed last time share a quarter
// of the connections, so that however many hang, the others find a free one.
func (in *Intake) look(ctx context.Context, b *box, now time.Time) error {
	slots := in.slots
	if b.failing() {
		slots = in.spare
	}
	var err error
	select {
	case slots <- struct{}{}:
		err = in.fetchAll(ctx, b, now)
		<-slots
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("mailbox %s: %w", b.Address, err)
		in.config.Log.LogAttrs(ctx, slog.LevelWarn, "looking into a mailbox failed", slog.String("mailbox", b.Address), slog.String("error", err.Error()))
	}
	b.end(now, in.config.Interval, err)
	return err
}

// fetchAll runs sessions until the mailbox is empty. Between sessions the server
// deletes what is stored, so that a cut connection costs little.
func (in *Intake) fetchAll(ctx context.Context, b *box, now time.Time) error {
	open, epoch := in.config.Door.EmergencyDoor(b.Placement)
	j, err := in.config.Journals.Open(ctx, b.Kasse)
	if err != nil && !open {
		return nil // a Kasse without a journal is no failure of its mailbox: nothing was taken for it
	}
	if err != nil {
		return err
	}
	// Whatever the door says: what was taken and not read would block the handover.
	if err := in.ReadPending(ctx, j, b.Mailbox, now); err != nil && !errors.Is(err, emergency.ErrLocked) {
		return err
	}
	if err := in.rereadByItself(ctx, j, b, Act{At: now, Actor: ledger.System}); err != nil && !errors.Is(err, emergency.ErrLocked) {
		return err
	}
	if !open {
		return nil
	}
	for {
		more, err := in.session(ctx, b, j, epoch, now)
		if err != nil || !more {
			return err
		}
		if open, epoch = in.config.Door.EmergencyDoor(b.Placement); !open {
			return nil
		}
	}
}
