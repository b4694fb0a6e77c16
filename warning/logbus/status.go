package logbus

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Status is how a bus stands.
type Status struct {
	Setup   Setup             `json:"setup"`
	Workers []WorkerStatus    `json:"workers"`
	Logs    []PartitionStatus `json:"logs"`
	Groups  []PartitionStatus `json:"groups"`
	Streams map[string]Stored `json:"streams"`
}

// WorkerStatus is what a worker said last.
type WorkerStatus struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
	Held int       `json:"held"`
}

// PartitionStatus is one partition.
type PartitionStatus struct {
	Partition int    `json:"partition"`
	Worker    string `json:"worker"`  // "" nobody
	Waiting   uint64 `json:"waiting"` // messages that are not worked on yet: the pressure
	counts
}

// Stored is what a stream holds.
type Stored struct {
	Messages uint64  `json:"messages"`
	Bytes    uint64  `json:"bytes"`
	Full     float64 `json:"full_percent"` // of its limit, if it has one
}

// Status reads how the bus stands.
func (b *Bus) Status(ctx context.Context) (Status, error) {
	setup, kv, err := b.load(ctx)
	if err != nil {
		return Status{}, err
	}
	out := Status{Setup: setup, Streams: map[string]Stored{}}
	for _, kind := range [...]string{"LOG", "OBS", "HIT", "STATE"} {
		s, err := b.js.Stream(ctx, b.stream(kind))
		if err != nil {
			return out, fmt.Errorf("reading stream %s: %w", b.stream(kind), err)
		}
		info := s.CachedInfo()
		st := Stored{Messages: info.State.Msgs, Bytes: info.State.Bytes}
		if info.Config.MaxBytes > 0 {
			st.Full = 100 * float64(st.Bytes) / float64(info.Config.MaxBytes)
		}
		out.Streams[b.stream(kind)] = st
	}
	if out.Workers, err = workers(ctx, kv); err != nil {
		return out, err
	}
	if out.Logs, err = b.partitions(ctx, kv, "log", "LOG", setup.Partitions); err != nil {
		return out, err
	}
	out.Groups, err = b.partitions(ctx, kv, "obs", "OBS", setup.Partitions)
	return out, err
}

func workers(ctx context.Context, kv jetstream.KeyValue) ([]WorkerStatus, error) {
	var out []WorkerStatus
	list, err := kv.ListKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing workers: %w", err)
	}
	for key := range list.Keys() {
		if len(key) <= len(kindWork) || key[:len(kindWork)] != kindWork {
			continue
		}
		e, err := kv.Get(ctx, key)
		if err != nil {
			continue // it has gone meanwhile
		}
		var p presence
		if err := json.Unmarshal(e.Value(), &p); err != nil {
			return nil, fmt.Errorf("reading worker %q: %w", key, err)
		}
		out = append(out, WorkerStatus{key[len(kindWork):], p.At, p.Held})
	}
	return out, nil
}

func (b *Bus) partitions(ctx context.Context, kv jetstream.KeyValue, kind, stream string, n int) ([]PartitionStatus, error) {
	s, err := b.js.Stream(ctx, b.stream(stream))
	if err != nil {
		return nil, fmt.Errorf("reading stream %s: %w", b.stream(stream), err)
	}
	var out []PartitionStatus
	for p := range n {
		st := PartitionStatus{Partition: p}
		var rec record
		if e, err := kv.Get(ctx, kind+"."+strconv.Itoa(p)); err == nil {
			if err := json.Unmarshal(e.Value(), &rec); err != nil {
				return nil, fmt.Errorf("reading partition %d: %w", p, err)
			}
		}
		conf := jetstream.OrderedConsumerConfig{FilterSubjects: []string{b.subject(kind, p)}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: rec.Seq + 1, HeadersOnly: true}
		c, err := s.OrderedConsumer(ctx, conf)
		if err != nil {
			return nil, fmt.Errorf("reading partition %d: %w", p, err)
		}
		info, err := c.Info(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading partition %d: %w", p, err)
		}
		st.Worker, st.Waiting, st.counts = rec.Worker, info.NumPending, rec.Count
		out = append(out, st)
	}
	return out, nil
}
