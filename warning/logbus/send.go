package logbus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Sender gives log lines to the bus. It belongs to one goroutine. What Flush
// returned for is on the bus; what was added since is not.
type Sender struct {
	bus        *Bus
	partitions int
	buf        []bytes.Buffer // by partition
	waiting    []jetstream.PubAckFuture
	sent       int
	lines      int
}

const (
	sendBytes  = 64 << 10 // of one message: lines
	sendFlight = 64       // messages under way
)

// NewSender makes a sender.
func (b *Bus) NewSender(ctx context.Context) (*Sender, error) {
	s, _, err := b.load(ctx)
	if err != nil {
		return nil, err
	}
	return &Sender{bus: b, partitions: s.Partitions, buf: make([]bytes.Buffer, s.Partitions)}, nil
}

// ErrTooLong says that a line is larger than the bus takes.
var ErrTooLong = errors.New("the line is longer than a message may be")

// Add adds a line. Lines of one origin, such as a host, keep their order.
func (s *Sender) Add(ctx context.Context, origin string, line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	if len(line) > maxPayload {
		return fmt.Errorf("%d bytes: %w", len(line), ErrTooLong)
	}
	h := fnv.New32a()
	_, _ = io.WriteString(h, strings.ToLower(origin)) // a hash does not fail
	p := int(h.Sum32() % uint32(s.partitions))
	if s.buf[p].Len()+len(line) >= sendBytes {
		if err := s.send(ctx, p); err != nil {
			return err
		}
	}
	s.buf[p].Grow(len(line) + 1)
	_, _ = s.buf[p].Write(line)  // memory does not fail
	_ = s.buf[p].WriteByte('\n') // as above
	s.lines++
	return nil
}

func (s *Sender) send(ctx context.Context, p int) error {
	if s.buf[p].Len() == 0 {
		return nil
	}
	ack, err := s.bus.js.PublishMsgAsync(&nats.Msg{Subject: s.bus.subject("log", p), Data: bytes.Clone(s.buf[p].Bytes())})
	if err != nil {
		return fmt.Errorf("giving lines to the bus: %w", err)
	}
	s.buf[p].Reset()
	if s.waiting = append(s.waiting, ack); len(s.waiting) >= sendFlight {
		return s.settle(ctx)
	}
	return nil
}

func (s *Sender) settle(ctx context.Context) error {
	err := acknowledged(ctx, s.waiting)
	s.waiting = s.waiting[:0]
	return err
}

// Flush waits until all lines are on the bus, and returns how many that are since the beginning.
func (s *Sender) Flush(ctx context.Context) (lines int, err error) {
	for p := range s.buf {
		if err := s.send(ctx, p); err != nil {
			return s.sent, err
		}
	}
	if err := s.settle(ctx); err != nil {
		return s.sent, err
	}
	s.sent = s.lines
	return s.sent, nil
}
