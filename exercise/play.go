package exercise

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"leitstand/catalogue"
	"leitstand/operation"
	"leitstand/room"
)

// Policy is how the team acts in a scenario.
type Policy string

// The policies that are set beside each other.
const (
	WithLeitstand Policy = "leitstand"
	As2023        Policy = "as_2023"
)

// Options of an exercise.
type Options struct {
	Scenario *Scenario
	Seed     uint64
	Data     string        // directory of the room; it must not hold one yet
	Pace     time.Duration // simulated time per real second; 0 is as fast as it goes
	Notes    int           // sick notes of practices; 0 takes the scenario's
	EAUDir   string        // send these files to one test Kasse instead
	Exe      string        // this program, which plays the outside world in child processes
	Log      *slog.Logger
	// Opened is called with the room before time begins; Tell with what happens.
	Opened func(r *room.Room)
	Tell   func(n News)
}

// News is one line of what happens, for the terminal.
type News struct {
	At   time.Time // simulated
	Done float64   // 0 to 1
	Text string    // empty: only progress
}

// player plays one scenario under one policy.
type player struct {
	opt    Options
	policy Policy
	sc     *Scenario
	clock  atomic.Int64 // simulated time, Unix microseconds
	room   *room.Room
	world  *surroundings
	log    string // the watched log file

	queue      agenda
	seq        int
	incident   string
	facts      map[string]string // text → id
	violations int
	refusals   int64 // error messages of front ends that are on record already
	mailing    bool  // practices still have something to send
	nextWorld  time.Time
	protocols  map[cellKey]string // of switching back, under way
}

// item is something that happens at a time; equal times keep their order.
type item struct {
	at  time.Time
	seq int
	do  func(ctx context.Context) error
}

// agenda is a heap of items.
type agenda []item

// Len is for container/heap, as are the others.
func (a agenda) Len() int { return len(a) }

// Less orders by time, then as they were added.
func (a agenda) Less(i, j int) bool {
	return a[i].at.Before(a[j].at) || a[i].at.Equal(a[j].at) && a[i].seq < a[j].seq
}

// Swap swaps.
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push adds at the end.
func (a *agenda) Push(x any) { *a = append(*a, x.(item)) } //nolint:errcheck,forcetypeassert // only items come here

// Pop takes from the end.
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

var errNoExe = errors.New("the exercise needs the path of this program to start the outside world")

// play runs a scenario under a policy to its end. The room stays open: the
// caller closes what it returns.
func play(ctx context.Context, opt Options, policy Policy) (_ *player, err error) {
	if opt.Exe == "" {
		return nil, errNoExe
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	p := &player{opt: opt, policy: policy, sc: opt.Scenario, facts: map[string]string{}, mailing: true, protocols: map[cellKey]string{}}
	p.clock.Store(p.sc.Start.UnixMicro())
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := p.open(ctx); err != nil {
		return p, err
	}
	if opt.Opened != nil {
		opt.Opened(p.room)
	}
	for _, e := range p.sc.Events {
		p.schedule(e)
	}
	return p, p.run(ctx)
}

func (p *player) open(ctx context.Context) error {
	cat := catalogue.Case2023(p.opt.Seed)
	var ids []catalogue.KasseID
	for _, k := range cat.Kassen {
		ids = append(ids, k.ID)
	}
	var err error
	p.room, err = room.Init(ctx, room.Options{Data: p.opt.Data, Clock: p.now, Log: p.opt.Log}, room.Setup{
		Name: p.sc.Name, Exercise: true, Catalogue: cat, People: room.PracticePeople(ids...), Owner: "operator",
		Spans: operation.Settings{Unknown: 90 * 24 * time.Hour, UndoWindow: 4 * time.Hour},
	})
	if err != nil {
		return err
	}
	p.log = filepath.Join(p.opt.Data, "world", "auth.log")
	if p.world, err = startWorld(ctx, p); err != nil {
		return err
	}
	return os.WriteFile(p.log, nil, 0o600)
}

// close stops the outside world and closes the room.
func (p *player) close() error {
	var errs []error
	if p.world != nil {
		errs = append(errs, p.world.stop())
	}
	if p.room != nil {
		errs = append(errs, p.room.Close())
	}
	return errors.Join(errs...)
}

func (p *player) now() time.Time { return time.UnixMicro(p.clock.Load()).UTC() }

func (p *player) at(t time.Time, do func(ctx context.Context) error) {
	p.seq++
	heap.Push(&p.queue, item{at: t, seq: p.seq, do: do})
}

// steps of the outside world: dense while mail flows, wide otherwise.
const (
	mailStep  = 30 * time.Minute
	quietStep = 12 * time.Hour
)

func (p *player) run(ctx context.Context) error {
	p.nextWorld = p.sc.Start
	began := time.Now()
	for {
		next := p.nextWorld
		world := true
		if p.queue.Len() > 0 && !p.queue[0].at.After(next) {
			next, world = p.queue[0].at, false
		}
		if next.After(p.sc.End) {
			return p.finish(ctx)
		}
		if err := p.wait(ctx, began, next); err != nil {
			return err
		}
		var err error
		if world {
			err = p.step(ctx)
		} else if it, ok := heap.Pop(&p.queue).(item); ok {
			err = it.do(ctx)
		}
		if err != nil {
			return fmt.Errorf("at %s: %w", next.Format("02.01.2006 15:04"), err)
		}
	}
}

// wait lets simulated time pass at the pace of the exercise.
func (p *player) wait(ctx context.Context, began, next time.Time) error {
	if p.opt.Pace > 0 {
		due := began.Add(time.Duration(float64(next.Sub(p.sc.Start)) / float64(p.opt.Pace) * float64(time.Second)))
		for time.Now().Before(due) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(min(250*time.Millisecond, time.Until(due))):
				shown := time.Since(began).Seconds() * float64(p.opt.Pace)
				if t := p.sc.Start.Add(time.Duration(shown)); t.After(p.now()) && t.Before(next) {
					p.clock.Store(t.UnixMicro())
				}
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if next.After(p.now()) {
		p.clock.Store(next.UnixMicro())
	}
	p.tell("")
	return nil
}

func (p *player) tell(format string, args ...any) {
	if p.opt.Tell == nil {
		return
	}
	n := News{At: p.now().In(p.sc.Start.Location()), Done: min(1, p.now().Sub(p.sc.Start).Seconds()/p.sc.End.Sub(p.sc.Start).Seconds())}
	if format != "" {
		n.Text = fmt.Sprintf(format, args...)
	}
	p.opt.Tell(n)
}

// step lets everybody outside and inside do what is due.
func (p *player) step(ctx context.Context) error {
	now := p.now()
	if err := p.world.advance(ctx, p, now); err != nil {
		return err
	}
	if _, err := p.room.Due(ctx, now); err != nil {
		return err
	}
	p.violations += len(operation.CheckInvariants(p.room.Operation.Current(), now))
	p.nextWorld = now.Add(quietStep)
	if from := p.sc.Mail.From; now.Before(from) && p.nextWorld.After(from) {
		p.nextWorld = from
	}
	if p.mailing && !now.Before(p.sc.Mail.From) {
		p.nextWorld = now.Add(mailStep)
	}
	return nil
}

// finish ends the exercise: what is still on its way arrives.
func (p *player) finish(ctx context.Context) error {
	p.clock.Store(p.sc.End.UnixMicro())
	if err := p.world.advance(ctx, p, p.sc.End); err != nil {
		return err
	}
	p.violations += len(operation.CheckInvariants(p.room.Operation.Current(), p.sc.End))
	p.tell("Ende der Übung")
	return nil
}
