package logbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// record is what the bucket says about one partition: who works on it, and how
// far it is. Taking over means to go on from here.
type record struct {
	Worker string `json:"worker"` // "" when it was given back
	Seq    uint64 `json:"seq"`    // what was read and passed on whole
	Newest int64  `json:"newest"` // log: the latest time an event said, in microseconds
	// obs: where the memory lies, by sequence in STATE.
	State []uint64 `json:"state,omitempty"`
	Hash  string   `json:"hash,omitempty"`
	Beat  uint64   `json:"beat"` // changes with every renewal
	Count counts   `json:"count"`
}

// counts are figures of a partition over its life.
type counts struct {
	Events      uint64 `json:"events"`      // log: events matched; obs: observations counted
	Hits        uint64 `json:"hits"`        // passed on to the room
	Undecodable uint64 `json:"undecodable"` // log: begin like JSON and are none
	NoTime      uint64 `json:"no_time"`     // log: hits that no correlation can count, for want of a time
	NoKey       uint64 `json:"no_key"`      // log: or of a group-by field
	Gaps        uint64 `json:"gaps"`        // places where the bus no longer had what was to be read
	Again       uint64 `json:"again"`       // obs: came twice, and were dropped
	Unknown     uint64 `json:"unknown"`     // obs: of correlations that the worker does not have
	Late        uint64 `json:"late"`        // obs: later than the bus allows for
	Forced      uint64 `json:"forced"`      // obs: counted without waiting for a log partition that is far behind
	Forgotten   uint64 `json:"forgotten"`   // obs: memory given up to stay within its bounds
}

// errLost: another worker has the partition.
var errLost = errors.New("another worker has taken the partition over")

// lease is a partition that is ours until somebody else's revision stands there.
type lease struct {
	kv  jetstream.KeyValue
	key string

	mu  sync.Mutex
	rev uint64
	rec record
}

// update changes the record and writes it, if nobody else has.
func (l *lease) update(ctx context.Context, change func(*record)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.rec
	change(&next)
	next.Beat++
	text, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", l.key, err)
	}
	rev, err := l.kv.Update(ctx, l.key, text, l.rev)
	if err != nil {
		var api *jetstream.APIError
		if errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
			return errLost
		}
		return fmt.Errorf("renewing %s: %w", l.key, err)
	}
	l.rev, l.rec = rev, next
	return nil
}

// note changes the record in memory; the next renewal writes it.
func (l *lease) note(change func(*record)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.rec)
}

func (l *lease) get() record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rec
}

// seen is what the bucket said last about a key, and since when by our own watch.
type seen struct {
	rev   uint64
	value []byte
	since time.Time
}

// board follows the bucket.
type board struct {
	mu   sync.Mutex
	keys map[string]seen
}

// follow keeps the board until ctx ends.
func (b *board) follow(ctx context.Context, kv jetstream.KeyValue, ready chan<- struct{}) error {
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("following who works on what: %w", err)
	}
	defer func() { _ = w.Stop() }() // the connection ends anyhow
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("following who works on what: the bus ended it")
			}
			if e == nil { // all that was there is told
				if ready != nil {
					close(ready)
					ready = nil
				}
				continue
			}
			b.mu.Lock()
			if e.Operation() != jetstream.KeyValuePut {
				delete(b.keys, e.Key())
			} else {
				b.keys[e.Key()] = seen{e.Revision(), e.Value(), time.Now()}
			}
			b.mu.Unlock()
		}
	}
}

func (b *board) get(key string) (seen, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s, ok := b.keys[key]
	return s, ok
}

// fresh lists keys of a kind that changed within d.
func (b *board) fresh(kind string, d time.Duration) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for k, s := range b.keys {
		if len(k) > len(kind) && k[:len(kind)] == kind && time.Since(s.since) < d {
			out = append(out, k[len(kind):])
		}
	}
	return out
}
