package logbus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"leitstand/warning"
)

// Source gives the hits of all workers to a room. It is a warning.Source.
type Source struct {
	config Config
	rules  *warning.Rules

	mu    sync.Mutex // Waiting is called beside Read
	bus   *Bus
	state jetstream.StreamState
}

// NewSource makes a source; the bus is reached when it is read. rules are the
// room's: what a hit says of a rule that the room does not have is shown as it is.
func NewSource(c Config, rules *warning.Rules) *Source { return &Source{config: c, rules: rules} }

type sourcePosition struct {
	Seq uint64 `json:"seq"`
}

const sourceWait = 10 * time.Second

func (s *Source) stream(ctx context.Context) (jetstream.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bus == nil {
		b, err := Connect(s.config, false)
		if err != nil {
			return nil, err
		}
		s.bus = b
	}
	st, err := s.bus.js.Stream(ctx, s.bus.stream("HIT"))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, ErrNotSetUp
	}
	if err != nil {
		return nil, fmt.Errorf("reading hits of the bus: %w", err)
	}
	s.state = st.CachedInfo().State
	return st, nil
}

func position(from warning.Position) (p sourcePosition, err error) {
	if len(from) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(from, &p); err != nil {
		return p, fmt.Errorf("reading the position on the bus: %w", err)
	}
	return p, nil
}

// Read hands over hits in the order in which the bus took them.
func (s *Source) Read(ctx context.Context, from warning.Position, limit int, each func(warning.RawEvent)) (p warning.Progress, err error) {
	ctx, stop := context.WithTimeout(ctx, sourceWait)
	defer stop()
	at, err := position(from)
	if err != nil {
		return p, err
	}
	st, err := s.stream(ctx)
	if err != nil {
		return p, err
	}
	state := st.CachedInfo().State
	if at.Seq > 0 && state.FirstSeq > at.Seq+1 {
		p.Gaps++ // the bus threw away what was not read
	}
	at.Seq = max(at.Seq, state.FirstSeq-min(state.FirstSeq, 1))
	defer func() {
		if text, bad := json.Marshal(at); bad == nil && at.Seq > 0 {
			p.To = text
		}
	}()
	for at.Seq < state.LastSeq && p.Events < limit {
		m, err := st.GetMsg(ctx, at.Seq+1)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return p, fmt.Errorf("reading hits of the bus: %w", err)
		}
		at.Seq++
		if err != nil {
			continue // it was taken out
		}
		p.Bytes += int64(len(m.Data))
		p.Events++
		var h hit
		if err := json.Unmarshal(m.Data, &h); err != nil || h.ID == "" || h.Title+h.Rule == "" {
			p.Cut++
			continue
		}
		found := h.hit(s.rules)
		each(warning.RawEvent{Hit: &found, Received: m.Time})
	}
	return p, nil
}

// Waiting is about how many bytes of hits are not read yet, as the last Read saw it.
func (s *Source) Waiting(from warning.Position) (int64, error) {
	at, err := position(from)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.Msgs == 0 || s.state.LastSeq <= at.Seq {
		return 0, nil
	}
	return int64(min(s.state.LastSeq-at.Seq, s.state.Msgs) * (s.state.Bytes / s.state.Msgs)), nil
}

// Forget does nothing: the bus keeps hits for a month.
func (s *Source) Forget(warning.Position) error { return nil }

// Close gives the connection up.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bus != nil {
		s.bus.Close()
		s.bus = nil
	}
	return nil
}
