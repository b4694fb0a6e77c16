package warning

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/pure/sigma"
)

// IntakeOptions of NewIntake.
type IntakeOptions struct {
	Rules *Rules
	Zone  *time.Location // night is night here; nil: UTC
	Duty  Duty
	// Place says which environment a host belongs to; empty means unknown.
	Place func(host string) catalogue.EnvironmentID
	// Watched says which environments are under observation, as the transaction
	// sees it; nil: none. It is asked only when something is found.
	Watched func(ctx context.Context, q db.Querier) (Watched, error)
	// Now is the room's clock.
	Now    func() time.Time
	Log    *slog.Logger
	Limits sigma.CorrelatorOptions
	// Bus makes sources of kind bus; nil: there are none.
	Bus func(c SourceConfig) Source
}

// Intake reads sources, matches what they give, and raises signals.
//
// Positions of sources, signals, and the memory of correlations are written in
// one transaction. That memory can be large: then it is written every few
// seconds only, and after a restart the events since are read again to restore
// it, without raising anything a second time.
type Intake struct {
	opt   IntakeOptions
	mu    sync.Mutex
	feeds []*feed
	det   *Detector // nil: to be read from the store

	saved    time.Time // when the memory was written last
	size     int       // of the memory then
	newest   time.Time // what events say
	arrived  time.Time // when the last event came
	advanced time.Time // when correlations were told the time
	stepped  time.Time // when a step last went well
	except   exceptionSet
	stale    bool // exceptions have changed
}

const (
	stepEvents  = 2000             // of one source in one step
	smallMemory = 64 << 10         // written with every step
	memoryEvery = 10 * time.Second // a larger one
	tellEvery   = 10 * time.Second
)

// feed is a source with its books.
type feed struct {
	name, kind string
	limit      int64
	src        Source
	from       Position // events before it are on record
	known      memory   // events before it are in the written memory of correlations
	fig        Figures
	deaf       string // why it takes nothing in
	told       uint64 // of what the source says it dropped: how much is on record
	lost       uint64 // and what it said last
}

// memory is a place, and how many events there were before it.
type memory struct {
	At     Position `json:"p,omitempty"`
	Events int64    `json:"n"`
}

// NewIntake makes an intake without sources.
func NewIntake(opt IntakeOptions) *Intake {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Intake{opt: opt}
}

// Add adds a source. Its name is what its position is found by after a restart.
func (in *Intake) Add(name, kind string, limit int64, src Source) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, f := range in.feeds {
		if f.name == name {
			return fmt.Errorf("two sources are called %q: give them different names", name)
		}
	}
	in.feeds = append(in.feeds, &feed{name: name, kind: kind, limit: limit, src: src, fig: Figures{Name: name, Kind: kind}})
	in.det = nil
	return nil
}

// Follow adds a text file, unless it is followed already.
func (in *Intake) Follow(path string) error {
	src, err := newFileSource(path, in.opt.Now)
	if err != nil {
		return err
	}
	in.mu.Lock()
	for _, f := range in.feeds {
		if f.name == "file:"+src.path {
			in.mu.Unlock()
			return nil
		}
	}
	in.mu.Unlock()
	return in.Add("file:"+src.path, "file", 0, src)
}

// Step reads what sources have, up to a bound, and writes what follows from it.
// also is part of that transaction. more: a source has further events now.
func (in *Intake) Step(ctx context.Context, d *db.DB, also func(ctx context.Context, tx *db.Tx, raised []Signal) error) (raised []Signal, more bool, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.det == nil {
		if err := in.load(ctx, d); err != nil {
			return nil, false, err
		}
	}
	if in.stale {
		if err := in.loadExceptions(ctx, d); err != nil {
			return nil, false, err
		}
	}
	defer func() {
		if err != nil {
			in.det = nil // what was read is not on record: it is read again
		}
	}()
	now := in.opt.Now()
	var hits []Hit
	changed := false
	for _, f := range in.feeds {
		p, found, err := in.read(ctx, f, stepEvents)
		if err != nil {
			return nil, false, err
		}
		hits = append(hits, found...)
		more = more || p.Events >= stepEvents
		changed = f.book(p, now) || changed
		if p.Events > 0 {
			in.arrived = now
		}
	}
	hits = append(hits, in.advance(now)...)
	if changed || len(hits) > 0 {
		if raised, err = in.commit(ctx, d, now, hits, also); err != nil {
			return nil, false, err
		}
	}
	in.stepped = now
	return raised, more, nil
}

// Alive is when a step last went well.
func (in *Intake) Alive() time.Time {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.stepped
}

// read lets the detector see up to limit events of a source. A source that
// cannot be read says so in its figures and keeps no other from being read.
func (in *Intake) read(ctx context.Context, f *feed, limit int) (Progress, []Hit, error) {
	var hits []Hit
	p, err := f.src.Read(ctx, f.from, limit, func(e RawEvent) {
		switch {
		case e.Hit != nil:
			hits = append(hits, in.det.foreign(*e.Hit)...)
			return // its time is not the time of what is read here
		case e.Fill != nil:
			hits = append(hits, in.det.Record(e.Fill)...)
		default:
			hits = append(hits, in.det.Line(e.Line, e.Received)...)
		}
		if at, ok := in.det.ev.When(); ok && at.After(in.newest) && at.Before(in.opt.Now().Add(time.Hour)) {
			in.newest = at
		}
	})
	if ctx.Err() != nil {
		return p, nil, ctx.Err()
	}
	f.fig.Error = ""
	if err != nil {
		f.fig.Error = err.Error()
		in.opt.Log.Error("reading a source of the early warning", slog.String("source", f.name), slog.Any("error", err))
		if p.Events == 0 {
			return Progress{}, nil, nil
		}
	}
	return p, hits, nil
}

// book adds what was read; it says whether there is anything to write.
func (f *feed) book(p Progress, now time.Time) bool {
	changed := p.Events > 0 || p.Gaps > 0 || p.Bytes > 0
	f.fig.Events += int64(p.Events)
	f.fig.Bytes += p.Bytes
	f.fig.Damaged += int64(p.Cut)
	f.fig.Gaps += int64(p.Gaps)
	if p.Events > 0 {
		f.fig.Last = now
	}
	if len(p.To) > 0 {
		f.from = p.To
	}
	if l, ok := f.src.(Listener); ok {
		f.lost = l.Dropped()
		changed = changed || f.lost != f.told
	}
	return changed
}

// advance tells correlations the time that events say it is. While nothing
// comes, it goes on with the clock: old logs that are read late are not cut off.
func (in *Intake) advance(now time.Time) []Hit {
	if in.newest.IsZero() || now.Sub(in.advanced) < tellEvery {
		return nil
	}
	in.advanced = now
	return in.det.Advance(in.newest.Add(max(0, now.Sub(in.arrived)-time.Minute)))
}

// commit writes signals, positions and memory in one transaction.
func (in *Intake) commit(ctx context.Context, d *db.DB, now time.Time, hits []Hit, also func(ctx context.Context, tx *db.Tx, raised []Signal) error) ([]Signal, error) {
	var state []byte
	if in.size < smallMemory || now.Sub(in.saved) >= memoryEvery || now.Before(in.saved) {
		var err error
		if state, err = in.det.Snapshot(); err != nil {
			return nil, err
		}
	}
	var raised []Signal
	err := d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		raised = raised[:0]
		hits, err := unseen(ctx, tx, now, hits)
		if err != nil {
			return err
		}
		var watched Watched
		if len(hits) > 0 {
			if watched, err = in.watched(ctx, tx); err != nil {
				return err
			}
		}
		hits = watched.only(hits, in.opt.Place)
		for _, g := range grouped(hits) {
			s, err := raise(ctx, tx, now, watched.tighten(in.signal(g[0])), len(g), eventsOf(g), Acknowledged)
			if err != nil {
				return err
			}
			raised = append(raised, s)
		}
		if also != nil {
			if err := also(ctx, tx, raised); err != nil {
				return err
			}
		}
		for id, n := range in.det.stats.Excepted {
			if _, err := tx.Exec(ctx, `update exception set hits = hits + $1, last_hit = $2 where id = $3`, int64(n), db.Micro(now), id); err != nil {
				return err
			}
		}
		return in.save(ctx, tx, now, state)
	})
	if err != nil {
		return nil, fmt.Errorf("writing what the early warning noticed: %w", err)
	}
	clear(in.det.stats.Excepted)
	for _, f := range in.feeds {
		f.fig.Dropped += int64(f.lost - f.told)
		f.told = f.lost
	}
	if state != nil {
		in.saved, in.size = now, len(state)
		for _, f := range in.feeds {
			f.known = memory{f.from, f.fig.Events}
			if err := f.src.Forget(f.from); err != nil {
				in.opt.Log.Error("clearing the queue of a source", slog.String("source", f.name), slog.Any("error", err))
			}
		}
	}
	return raised, nil
}

// grouped puts hits of a rule and group together, in the order of the first.
func grouped(hits []Hit) [][]Hit {
	var out [][]Hit
	at := map[[2]string]int{}
	for _, h := range hits {
		key := [2]string{ruleID(h.Rule), h.Group}
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], h)
	}
	return out
}

func ruleID(r *sigma.Rule) string { return cmp.Or(r.ID, r.Name, r.Title) }

func eventsOf(hits []Hit) []string {
	var out []string
	for _, h := range hits {
		if len(out) >= maxEvents {
			break
		}
		out = append(out, h.Events...)
	}
	return out
}

// signal is the signal that a hit raises.
func (in *Intake) signal(h Hit) Signal {
	env := in.opt.Place(h.Host)
	return Signal{
		Rule: ruleID(h.Rule), RuleVersion: h.Rule.Version(), Title: h.Rule.Title, Description: h.Rule.Description,
		Level: cmp.Or(h.Rule.Level, "medium"), Author: h.Rule.Author, License: h.License, Host: h.Host, Group: h.Group,
		Environment: env, Happened: h.At, Matched: h.Matched, Owner: in.opt.Duty.OwnerOf(env),
	}
}

// save writes positions, and the memory when there is one to write.
func (in *Intake) save(ctx context.Context, tx *db.Tx, now time.Time, state []byte) error {
	for _, f := range in.feeds {
		known := f.known
		if state != nil {
			known = memory{f.from, f.fig.Events}
		}
		text, err := json.Marshal(known)
		if err != nil {
			return fmt.Errorf("encoding the position of %q: %w", f.name, err)
		}
		if _, err := tx.Exec(ctx, `insert into source (name, position, remembered, events, bytes, undecodable, dropped, gaps, last_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (name) do update set position = excluded.position, remembered = excluded.remembered, events = excluded.events,
				bytes = excluded.bytes, undecodable = excluded.undecodable, dropped = excluded.dropped, gaps = excluded.gaps, last_at = excluded.last_at`,
			f.name, string(f.from), string(text), f.fig.Events, f.fig.Bytes, f.fig.Damaged, f.fig.Dropped+int64(f.lost-f.told), f.fig.Gaps, db.Micro(f.fig.Last)); err != nil {
			return err
		}
	}
	if state == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `insert into detector (name, state, at) values ('room', $1, $2)
		on conflict (name) do update set state = excluded.state, at = excluded.at`, state, db.Micro(now))
	return err
}

// Save writes the memory now, so that a restart has nothing to read again.
func (in *Intake) Save(ctx context.Context, d *db.DB) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.det == nil {
		return nil
	}
	in.saved = time.Time{}
	_, err := in.commit(ctx, d, in.opt.Now(), nil, nil)
	return err
}

// Close gives all sources up.
func (in *Intake) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	var errs []error
	for _, f := range in.feeds {
		errs = append(errs, f.src.Close())
	}
	return errors.Join(errs...)
}
