package logbus

import (
	"bytes"
	"compress/gzip"
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// memory is what one partition of groups remembers.
type memory struct {
	Version  int             `json:"v"`
	Seq      uint64          `json:"seq"` // in OBS: what came up to it is in here
	Marks    []int64         `json:"marks"`
	Last     []place         `json:"last"`
	Told     int64           `json:"told"`
	Waiting  []item          `json:"waiting,omitempty"`
	Detector json.RawMessage `json:"detector"`
}

const (
	memoryVersion = 1
	chunkSize     = 512 << 10
	maxMemory     = 1 << 30 // unpacked
)

// save writes the memory to STATE, then the record that names it. A worker that
// lost the partition meanwhile writes in vain: its record is refused.
func (c *correlating) save(ctx context.Context) error {
	start := time.Now()
	det, err := c.det.Snapshot()
	if err != nil {
		return err
	}
	packed, hash, err := pack(memory{memoryVersion, c.upTo, c.merge.marks, c.merge.last, c.told, c.merge.heap, det})
	if err != nil {
		return err
	}
	subject := c.w.bus.subject("state", c.q)
	var seqs []uint64
	for len(packed) > 0 {
		n := min(len(packed), chunkSize)
		ack, err := c.w.bus.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: packed[:n]})
		if err != nil {
			return fmt.Errorf("writing the memory of correlations: %w", err)
		}
		seqs, packed = append(seqs, ack.Sequence), packed[n:]
	}
	c.w.opt.step("memory written")
	stats := c.det.Stats().Correlator
	c.counts.Forgotten = stats.Evicted + stats.Dropped
	sum := c.base.plus(c.counts)
	if err := c.lease.update(ctx, func(r *record) { r.Seq, r.State, r.Hash, r.Count = c.upTo, seqs, hash, sum }); err != nil {
		return err
	}
	c.w.opt.step("memory counts")
	c.saved, c.dirty, c.took = time.Now(), false, time.Since(start)
	return c.clear(ctx, subject, seqs[0])
}

// clear removes memories before the one that counts.
func (c *correlating) clear(ctx context.Context, subject string, before uint64) error {
	if before <= 1 {
		return nil // to the server, before message 1 means all
	}
	s, err := c.w.bus.js.Stream(ctx, c.w.bus.stream("STATE"))
	if err != nil {
		return fmt.Errorf("clearing old memories: %w", err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(before)); err != nil {
		return fmt.Errorf("clearing old memories: %w", err)
	}
	return nil
}

// load goes on from the memory that the record names. When the bus has lost it,
// the partition is read from its beginning: hits come again and are known.
func (c *correlating) load(ctx context.Context, rec record) error {
	if len(rec.State) == 0 {
		c.upTo = 0
		return nil
	}
	s, err := c.w.bus.js.Stream(ctx, c.w.bus.stream("STATE"))
	if err != nil {
		return fmt.Errorf("reading the memory of correlations: %w", err)
	}
	var packed bytes.Buffer
	for _, seq := range rec.State {
		m, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			c.lost(fmt.Sprintf("message %d of %v is not there (%+v)", seq, rec.State, s.CachedInfo().State))
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the memory of correlations: %w", err)
		}
		packed.Write(m.Data)
	}
	m, err := unpack(packed.Bytes(), rec.Hash)
	if err != nil || len(m.Marks) != c.w.setup.Partitions || len(m.Last) != c.w.setup.Partitions {
		c.lost(fmt.Sprint("it is damaged: ", err))
		return nil
	}
	left, err := c.det.Restore(m.Detector)
	if err != nil {
		c.lost(err.Error())
		return nil
	}
	for _, name := range left {
		c.w.opt.Log.Warn("a correlation is gone or has changed: its memory begins anew", slog.String("rule", name))
	}
	c.upTo, c.told, c.merge.marks, c.merge.last, c.merge.heap = m.Seq, m.Told, m.Marks, m.Last, m.Waiting
	heap.Init(&c.merge.heap)
	return nil
}

func (c *correlating) lost(why string) {
	c.upTo = 0
	c.counts.Gaps++
	c.w.opt.Log.Error("the memory of correlations is lost: the partition is read from its beginning", slog.Int("partition", c.q), slog.String("why", why))
}

func pack(m memory) (packed []byte, hash string, err error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(json.NewEncoder(z).Encode(m), z.Close()); err != nil {
		return nil, "", fmt.Errorf("encoding the memory of correlations: %w", err)
	}
	sum := sha256.Sum256(b.Bytes())
	return b.Bytes(), hex.EncodeToString(sum[:]), nil
}

func unpack(packed []byte, hash string) (m memory, err error) {
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != hash {
		return m, errors.New("its hash is another one")
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return m, fmt.Errorf("unpacking: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxMemory))
	if err != nil {
		return m, fmt.Errorf("unpacking: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("reading: %w", err)
	}
	if m.Version != memoryVersion {
		return m, fmt.Errorf("version %d, not %d", m.Version, memoryVersion)
	}
	return m, nil
}
