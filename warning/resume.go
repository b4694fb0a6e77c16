package warning

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"leitstand/base/db"
	"leitstand/pure/sigma"
)

// load reads where every source stands, and brings the detector's memory there.
func (in *Intake) load(ctx context.Context, d *db.DB) error {
	det := in.opt.Rules.NewDetector(DetectorOptions{Early: in.opt.Watched != nil, Zone: in.opt.Zone, Limits: in.opt.Limits, Except: func(r *sigma.Rule, ev *sigma.Event) (string, bool) {
		return in.except.except(in.opt.Now(), r, ev)
	}})
	if err := in.loadExceptions(ctx, d); err != nil {
		return err
	}
	for _, f := range in.feeds {
		if err := f.load(ctx, d); err != nil {
			return err
		}
	}
	var state []byte
	err := d.QueryRow(ctx, `select state from detector where name = 'room'`).Scan(&state)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return fmt.Errorf("reading the memory of the early warning: %w", err)
	default:
		left, err := det.Restore(state)
		if err != nil {
			return err
		}
		for _, name := range left {
			in.opt.Log.Warn("a correlation is gone or has changed: its memory begins anew", slog.String("rule", name))
		}
	}
	in.size = len(state)
	in.det = det
	for _, f := range in.feeds {
		if err := in.replay(ctx, f); err != nil {
			in.det = nil
			return err
		}
	}
	return nil
}

// Refresh says that exceptions have changed: they are read before the next step.
func (in *Intake) Refresh() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stale = true
}

// Rules are those that the intake matches.
func (in *Intake) Rules() *Rules { return in.opt.Rules }

func (in *Intake) loadExceptions(ctx context.Context, q db.Querier) error {
	list, err := Exceptions(ctx, q)
	if err != nil {
		return err
	}
	if in.except, err = compileExceptions(list); err == nil {
		in.stale = false
	}
	return err
}

func (f *feed) load(ctx context.Context, q db.Querier) error {
	var position, known string
	var last int64
	fig := Figures{Name: f.name, Kind: f.kind}
	err := q.QueryRow(ctx, `select position, remembered, events, bytes, undecodable, dropped, gaps, last_at from source where name = $1`, f.name).
		Scan(&position, &known, &fig.Events, &fig.Bytes, &fig.Damaged, &fig.Dropped, &fig.Gaps, &last)
	if errors.Is(err, sql.ErrNoRows) {
		f.from, f.known = nil, memory{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the position of source %q: %w", f.name, err)
	}
	fig.Last = db.Time(last)
	f.fig, f.from = fig, Position(position)
	f.known = memory{f.from, fig.Events}
	if known != "" {
		if err := json.Unmarshal([]byte(known), &f.known); err != nil {
			return fmt.Errorf("reading the position of source %q: %w", f.name, err)
		}
	}
	return nil
}

// replay lets the detector see again what came after its memory was written,
// without raising anything. What is no longer there is missing in correlations
// only, and said.
func (in *Intake) replay(ctx context.Context, f *feed) error {
	left := f.fig.Events - f.known.Events
	if left <= 0 {
		return nil
	}
	in.det.quiet = true
	defer func() { in.det.quiet = false }()
	to := f.from
	defer func() { f.from = to }()
	f.from = f.known.At
	for left > 0 {
		p, _, err := in.read(ctx, f, int(min(left, stepEvents)))
		if err != nil {
			return err
		}
		if p.Events == 0 {
			in.opt.Log.Warn("events are gone that correlations may have needed after a restart", slog.String("source", f.name), slog.Int64("events", left))
			return nil
		}
		left -= int64(p.Events)
		f.from = p.To
	}
	return nil
}

// Figures are the counts and the pressure of every source.
func (in *Intake) Figures() []Figures {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := make([]Figures, 0, len(in.feeds))
	for _, f := range in.feeds {
		fig := f.fig
		fig.Limit = f.limit
		fig.Error = cmp.Or(f.deaf, fig.Error)
		waiting, err := f.src.Waiting(f.from)
		if err != nil && fig.Error == "" {
			fig.Error = err.Error()
		}
		fig.Waiting = waiting
		if f.limit > 0 {
			fig.Pressure = 100 * float64(waiting) / float64(f.limit)
		}
		if r, ok := f.src.(interface{ Refused() uint64 }); ok {
			fig.Refused = int64(r.Refused())
		}
		if l, ok := f.src.(Listener); ok {
			fig.Dropped += int64(l.Dropped() - f.told)
		}
		out = append(out, fig)
	}
	return out
}
