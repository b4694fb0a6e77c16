package logbus

import (
	"context"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"leitstand/warning"
)

const (
	saveEvery   = 2 * time.Second // the memory; less often when that takes long
	saveShare   = 20              // at most one part in so many of the time
	tellEvery   = int64(10 * time.Second / time.Microsecond)
	settleItems = 5000 // observations counted before hits are passed on
	// maxWaiting bounds what waits for a log partition that is far behind: then
	// the oldest is counted without it, and that is counted.
	maxWaiting = 500_000
)

// correlating is the work on one partition of groups.
type correlating struct {
	w     *Worker
	q     int
	lease *lease
	det   *warning.Detector
	merge *merge

	upTo   uint64
	told   int64 // the time that correlations know
	hits   []hit
	counts counts
	base   counts
	saved  time.Time
	took   time.Duration // to write the memory
	dirty  bool
}

func (w *Worker) correlate(ctx context.Context, q int, l *lease) error {
	rec := l.get()
	c := &correlating{
		w: w, q: q, lease: l, upTo: rec.Seq, base: rec.Count, merge: newMerge(w.setup.Partitions), saved: time.Now(),
		det: w.opt.Rules.NewDetector(warning.DetectorOptions{Early: true, Zone: w.opt.Zone, Limits: w.opt.Limits}),
	}
	if err := c.load(ctx, rec); err != nil {
		return err
	}
	it, gap, err := w.reader(ctx, w.bus.stream("OBS"), w.bus.subject("obs", q), c.upTo)
	if err != nil {
		return err
	}
	defer it.Stop()
	if gap {
		c.counts.Gaps++
	}
	if err := c.loop(ctx, it); err != nil {
		return err
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer stop()
	return c.save(last) // so that whoever goes on has nothing to read again
}

func (c *correlating) loop(ctx context.Context, it jetstream.MessagesContext) error {
	for ctx.Err() == nil {
		msg, meta, err := next(it, time.Second/4)
		if err != nil {
			return err
		}
		if msg != nil {
			c.upTo, c.dirty = meta.Sequence.Stream, true
			b, err := parseBatch(msg.Data(), c.w.setup.Partitions)
			if err != nil {
				// Not ours, or of another version: it would stand in the way for ever.
				c.counts.Unknown++
				c.w.opt.Log.Error("observations cannot be read", slog.Int("partition", c.q), slog.Uint64("at", c.upTo), slog.Any("error", err))
			} else {
				c.counts.Again += uint64(c.merge.add(b))
			}
		}
		if err := c.settle(ctx); err != nil {
			return err
		}
		if err := c.saveNow(ctx); err != nil {
			return err
		}
	}
	return nil
}

// saveNow writes the memory when it is time to.
func (c *correlating) saveNow(ctx context.Context) error {
	if !c.dirty || time.Since(c.saved) < max(saveEvery, saveShare*c.took) {
		return nil
	}
	return c.save(ctx)
}

// settle counts what has its turn, and passes hits on.
func (c *correlating) settle(ctx context.Context) error {
	for range settleItems {
		it, ok := c.merge.pop(len(c.merge.heap) > maxWaiting)
		if !ok {
			break
		}
		if it.Observed.Key >= c.merge.safe() {
			c.counts.Forced++
		}
		c.dirty = true
		o, known := it.Observed.Observation.of(c.w.opt.Rules.Engine, it.Name)
		if !known {
			c.counts.Unknown++
			continue
		}
		c.counts.Events++
		c.found(c.det.Observation(o))
	}
	if safe := c.merge.safe(); safe >= c.told+tellEvery && !c.waiting(safe) {
		c.told = safe
		c.found(c.det.Advance(time.UnixMicro(safe)))
	}
	found, err := c.w.send(c.hits)
	if err != nil {
		return err
	}
	if err := acknowledged(ctx, found); err != nil {
		return err
	}
	if len(found) > 0 {
		c.w.opt.step("hits passed on")
	}
	c.counts.Hits += uint64(len(c.hits))
	c.hits = c.hits[:0]
	return nil
}

// waiting: something before t is not counted yet.
func (c *correlating) waiting(t int64) bool {
	return len(c.merge.heap) > 0 && c.merge.heap[0].Observed.Key < t
}

func (c *correlating) found(hits []warning.Hit) {
	for _, h := range hits {
		c.hits = append(c.hits, correlationHit(h))
	}
}
