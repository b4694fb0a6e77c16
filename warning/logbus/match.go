package logbus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"leitstand/pure/sigma"
	"leitstand/warning"
)

const (
	flushEvery  = 200 * time.Millisecond
	flushEvents = 2000
	flushItems  = 1000      // observations in one message
	maxPayload  = 700 << 10 // bytes of a message of ours; the bus takes 1 MiB
	markEvery   = int64(time.Second / time.Microsecond)
	// idleAfter is how long a partition is silent before the others go on without it.
	idleAfter = 2 * time.Second
	ackWait   = 30 * time.Second
)

// matching is the work on one log partition: every event is matched for itself;
// hits go to the room, and what events mean for correlations goes to the
// partition of their group.
type matching struct {
	w     *Worker
	p     int
	lease *lease
	det   *warning.Detector

	at      place // of the event that is matched
	ahead   int64 // no event is ordered after it: when its message was sent, and what may be late
	upTo    uint64
	newest  int64 // latest time an event said, in microseconds; bounded by when it was sent
	out     []batch
	told    []int64 // the mark that each partition of groups knows
	hits    []hit
	events  int
	quiet   time.Time // since when nothing came
	pending uint64    // behind the last message, as the bus said with it
	silent  time.Time // nothing was left to read then, and for so long that the others need not wait
	counts  counts
	base    counts
}

func (w *Worker) match(ctx context.Context, p int, l *lease) error {
	rec := l.get()
	m := &matching{w: w, p: p, lease: l, upTo: rec.Seq, newest: rec.Newest, base: rec.Count, out: make([]batch, w.setup.Partitions), told: make([]int64, w.setup.Partitions), quiet: time.Now()}
	m.det = w.opt.Rules.NewDetector(warning.DetectorOptions{Zone: w.opt.Zone, Observed: m.observed})
	logs, err := w.bus.js.Stream(ctx, w.bus.stream("LOG"))
	if err != nil {
		return fmt.Errorf("reading logs of the bus: %w", err)
	}
	it, gap, err := w.reader(ctx, w.bus.stream("LOG"), w.bus.subject("log", p), rec.Seq)
	if err != nil {
		return err
	}
	defer it.Stop()
	if gap {
		m.counts.Gaps++
	}
	flushed := time.Now()
	for ctx.Err() == nil {
		wait := idleAfter / 4
		if m.events > 0 {
			wait = 20 * time.Millisecond
		}
		msg, meta, err := next(it, wait)
		if err != nil {
			return err
		}
		if msg != nil {
			m.take(msg.Data(), meta)
		} else if time.Since(m.quiet) > idleAfter {
			m.silent = m.nothingLeft(ctx, logs)
		}
		if msg == nil || m.events >= flushEvents || time.Since(flushed) > flushEvery {
			if err := m.flush(ctx); err != nil {
				return err
			}
			flushed = time.Now()
		}
	}
	return nil
}

// nothingLeft is the time when the partition was read to its end, zero when it
// is not, or the bus does not say: that nothing comes may as well be because a
// server is gone, and a promise made then would make late what is still to come.
func (m *matching) nothingLeft(ctx context.Context, logs jetstream.Stream) time.Time {
	ctx, stop := context.WithTimeout(ctx, idleAfter)
	defer stop()
	asked := time.Now()
	if m.pending > 0 {
		return time.Time{} // a server that has just taken over may not know yet
	}
	last, err := logs.GetLastMsgForSubject(ctx, m.w.bus.subject("log", m.p))
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && last.Sequence <= m.upTo {
		return asked
	}
	return time.Time{}
}

// take matches the events of one message: lines.
func (m *matching) take(data []byte, meta *jetstream.MsgMetadata) {
	m.quiet, m.silent, m.upTo, m.pending = time.Now(), time.Time{}, meta.Sequence.Stream, meta.NumPending
	m.at = place{Seq: meta.Sequence.Stream}
	m.ahead = meta.Timestamp.Add(m.w.setup.Late).UnixMicro()
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		first := m.at
		for _, h := range m.det.Line(line, meta.Timestamp) {
			m.hits = append(m.hits, eventHit(m.p, first, h))
		}
		if at, ok := m.det.When(); ok {
			// A clock that is far ahead must not make all others late.
			m.newest = max(m.newest, min(at.UnixMicro(), m.ahead))
		}
		m.events++
		m.at.Part++
	}
}

// observed files an observation for the partition of its group. An event that
// is later than allowed is ordered as if it had just been in time.
func (m *matching) observed(o sigma.Observation) {
	eng := m.w.opt.Rules.Engine
	q := int(eng.Partition(&o) % uint64(m.w.setup.Partitions))
	key := min(o.Time.UnixMicro(), m.ahead) // one from the future must not wait for it
	if mark := m.mark(); key < mark {
		key = mark
		m.counts.Late++
	}
	m.out[q].add(observed{place: m.at, Key: key, Observation: wireOf(o)}, eng.CorrelationName(o.Correlation))
	m.at.Part++
}

// mark: no event after this one is ordered before it.
func (m *matching) mark() int64 {
	if m.newest == 0 {
		return 0
	}
	return m.newest - m.w.setup.Late.Microseconds()
}

// promise is mark, and for a partition that is silent the time that is now.
func (m *matching) promise() int64 {
	if !m.silent.IsZero() {
		return max(m.mark(), m.silent.Add(-m.w.setup.Late).UnixMicro())
	}
	return m.mark()
}

// flush passes on what was found, and notes the place only when all of it is
// on the bus.
func (m *matching) flush(ctx context.Context) error {
	if m.events == 0 && m.silent.IsZero() {
		return nil
	}
	promise := m.promise()
	var waiting []jetstream.PubAckFuture
	for q := range m.out {
		more, err := m.pass(ctx, q, promise)
		if err != nil {
			return err
		}
		waiting = append(waiting, more...)
	}
	m.w.opt.step("observations sent")
	found, err := m.w.send(m.hits)
	if err != nil {
		return err
	}
	if err := acknowledged(ctx, append(waiting, found...)); err != nil {
		return err
	}
	m.w.opt.step("all passed on")
	stats := m.det.Stats()
	m.counts.Hits += uint64(len(m.hits))
	m.counts.Events, m.counts.Undecodable, m.counts.NoTime, m.counts.NoKey = stats.Events, stats.Undecodable, stats.Correlator.NoTime, stats.Correlator.NoKey
	m.hits, m.events = m.hits[:0], 0
	m.lease.note(func(r *record) { r.Seq, r.Newest, r.Count = m.upTo, m.newest, m.base.plus(m.counts) })
	return nil
}

// pass sends what one partition of groups gets. Messages to it are in order of
// their places because all but the last are waited for.
func (m *matching) pass(ctx context.Context, q int, promise int64) ([]jetstream.PubAckFuture, error) {
	b := m.out[q]
	m.out[q] = batch{}
	if len(b.Items) == 0 && promise < m.told[q]+markEvery {
		return nil, nil
	}
	b.Version, b.From = batchVersion, m.p
	var waiting []jetstream.PubAckFuture
	for {
		part := b
		part.Mark = 0 // only the last of them promises
		n := len(b.Items)
		text, err := json.Marshal(part.with(n, promise))
		for ; err == nil && n > 1 && (n > flushItems || len(text) > maxPayload); text, err = json.Marshal(part.with(n, 0)) {
			n /= 2
		}
		if err != nil {
			return nil, fmt.Errorf("encoding observations: %w", err)
		}
		if err := acknowledged(ctx, waiting); err != nil {
			return nil, err
		}
		ack, err := m.w.bus.js.PublishMsgAsync(&nats.Msg{Subject: m.w.bus.subject("obs", q), Data: text})
		if err != nil {
			return nil, fmt.Errorf("passing observations on: %w", err)
		}
		waiting = []jetstream.PubAckFuture{ack}
		if b.Items = b.Items[n:]; len(b.Items) == 0 {
			m.told[q] = promise
			return waiting, nil
		}
	}
}

// with is the first n of a batch; the promise holds when these are all.
func (b batch) with(n int, promise int64) batch {
	if n == len(b.Items) {
		b.Mark = promise
	}
	b.Items = b.Items[:n]
	return b
}

// send gives hits to the bus.
func (w *Worker) send(hits []hit) ([]jetstream.PubAckFuture, error) {
	var out []jetstream.PubAckFuture
	for _, h := range hits {
		text, err := json.Marshal(h)
		if err != nil {
			return nil, fmt.Errorf("encoding hit %q: %w", h.ID, err)
		}
		ack, err := w.bus.js.PublishMsgAsync(&nats.Msg{Subject: w.bus.hits(), Data: text}, jetstream.WithMsgID(h.ID))
		if err != nil {
			return nil, fmt.Errorf("passing hit %q on: %w", h.ID, err)
		}
		out = append(out, ack)
	}
	return out, nil
}

// acknowledged waits until the bus has all.
func acknowledged(ctx context.Context, waiting []jetstream.PubAckFuture) error {
	late := time.NewTimer(ackWait)
	defer late.Stop()
	for _, a := range waiting {
		select {
		case <-a.Ok():
		case err := <-a.Err():
			return fmt.Errorf("the bus did not take %q: %w", a.Msg().Subject, err)
		case <-late.C:
			return fmt.Errorf("the bus did not acknowledge %q within %s", a.Msg().Subject, ackWait)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c counts) plus(d counts) counts {
	return counts{
		Events: c.Events + d.Events, Hits: c.Hits + d.Hits, Undecodable: c.Undecodable + d.Undecodable, NoTime: c.NoTime + d.NoTime, NoKey: c.NoKey + d.NoKey,
		Gaps: c.Gaps + d.Gaps, Again: c.Again + d.Again, Unknown: c.Unknown + d.Unknown, Late: c.Late + d.Late, Forced: c.Forced + d.Forced, Forgotten: c.Forgotten + d.Forgotten,
	}
}
