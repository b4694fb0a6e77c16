package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"leitstand/catalogue"
	"leitstand/emergency"
)

// Replayer delivers what a spool kept to the regular sides whose doors are open
// again. It delivers each placement's requests in the order in which they were
// accepted, under an Idempotency-Key, and writes down what became of each. After
// a crash it goes on; the last few requests may then arrive a second time under
// the same key.
type Replayer struct {
	Gateway *Gateway
	Spool   *Spool
	// Opener opens the bodies of a Kasse; [emergency.ErrLocked] makes its requests wait.
	Opener func(ctx context.Context, k catalogue.KasseID) (emergency.Opener, error)
	// Owner names who looks after requests that the regular side rejects.
	Owner  func(k catalogue.KasseID) string
	Client *http.Client // nil: one with a time limit of a minute, that follows no redirects
	Log    *slog.Logger
}

const (
	replayPause = 15 * time.Second
	replayMarks = 64 // deliveries that share one durable mark
	maxAnswer   = 64 << 10
)

// Due delivers what can be delivered. It returns when it wants to be called
// again; zero: nothing waits behind an open door. Only a locked room, a damaged
// file or a disk that fails is an error; a regular side that does not answer is
// asked again.
func (p *Replayer) Due(ctx context.Context, now time.Time) (next time.Time, err error) {
	var errs []error
	for _, f := range p.Spool.all() {
		again, err := p.replayFile(ctx, f)
		if again {
			next = now.Add(replayPause)
		}
		errs = append(errs, err)
	}
	return next, errors.Join(errs...)
}

// replayFile delivers what waits of one Kasse; again says that a regular side
// did not take it.
func (p *Replayer) replayFile(ctx context.Context, f *spoolFile) (again bool, err error) {
	f.mu.Lock()
	waiting := append([]*keptRequest(nil), f.open...)
	f.mu.Unlock()
	if len(waiting) == 0 {
		return false, nil
	}
	opener, err := p.Opener(ctx, f.kasse)
	if err != nil {
		return true, fmt.Errorf("delivering what waits of Kasse %s: %w", f.kasse, err)
	}
	stopped := map[catalogue.PlacementID]bool{}
	var marks []*spoolJob
	defer func() { err = errors.Join(err, settle(marks)) }()
	for _, k := range waiting {
		if stopped[k.Placement] || ctx.Err() != nil {
			continue
		}
		m, open, derr := p.deliver(ctx, f, k, opener)
		if derr != nil || m == nil {
			stopped[k.Placement] = true
			again = again || open
			err = errors.Join(err, derr)
			continue
		}
		j, merr := p.Spool.done(ctx, f, k, *m)
		if merr != nil {
			return true, merr
		}
		if marks = append(marks, j); len(marks) == replayMarks {
			serr := settle(marks)
			if marks = nil; serr != nil {
				return true, serr
			}
		}
	}
	return again, err
}

// settle waits until marks are durable.
func settle(marks []*spoolJob) error {
	var errs []error
	for _, j := range marks {
		errs = append(errs, <-j.result)
	}
	return errors.Join(errs...)
}

// done writes down what became of a request, without waiting for the disk.
func (s *Spool) done(ctx context.Context, f *spoolFile, k *keptRequest, m doneMeta) (*spoolJob, error) {
	rest, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding a mark: %w", err)
	}
	j := &spoolJob{kind: frameDone, n: k.number, rest: rest, result: make(chan error, 1)}
	j.applied = func(n, _, _ int64) { f.leave(n, m) }
	return j, s.send(ctx, f, j)
}

// deliver hands one request to the regular side. It returns nil when the request
// waits: the door is not open, or (open) the regular side did not take it.
func (p *Replayer) deliver(ctx context.Context, f *spoolFile, k *keptRequest, o emergency.Opener) (m *doneMeta, open bool, err error) {
	head, body, err := f.openKept(k, o)
	if err != nil {
		return nil, true, err
	}
	defer clear(body)
	u, err := url.ParseRequestURI(head.URI)
	if err != nil {
		return nil, true, fmt.Errorf("request %d of Kasse %s: %w", k.number, f.kasse, err)
	}
	door, pass, ok := p.Gateway.enterFor(k.Placement, head, u.Path)
	if !ok {
		return nil, false, nil
	}
	defer pass.under.Add(-1)
	resp, err := p.send(ctx, door, k, f.receiptOf(k), head, body)
	if err != nil {
		p.warn(ctx, "a kept request could not be delivered; it waits", k, slog.Any("error", err))
		return nil, true, nil
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		p.warn(ctx, "the answer to a kept request broke off; it waits", k, slog.Any("error", err))
		return nil, true, nil
	}
	m = &doneMeta{Status: resp.StatusCode, At: time.Now().UTC()}
	switch c := resp.StatusCode; {
	case c >= 200 && c < 400:
		m.Delivered = true
	case c >= 500 || c == http.StatusRequestTimeout || c == http.StatusConflict || c == http.StatusTooEarly || c == http.StatusTooManyRequests:
		p.warn(ctx, "the regular side did not take a kept request; it waits", k, slog.Int("status", c))
		return nil, true, nil
	default:
		m.Reason, m.Owner = "Regelsystem antwortete "+strconv.Itoa(c), "operator"
		if p.Owner != nil {
			m.Owner = p.Owner(f.kasse)
		}
		p.warn(ctx, "the regular side rejected a kept request", k, slog.Int("status", c))
	}
	return m, true, nil
}

func (p *Replayer) warn(ctx context.Context, text string, k *keptRequest, attr slog.Attr) {
	if p.Log != nil {
		p.Log.LogAttrs(ctx, slog.LevelWarn, "replaying kept requests", slog.String("what", text), slog.String("placement", string(k.Placement)), slog.Int64("number", k.number), attr)
	}
}

func (p *Replayer) send(ctx context.Context, d *Door, k *keptRequest, receipt string, head keptHead, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, head.Method, strings.TrimSuffix(d.Upstream, "/")+head.URI, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header, req.Host = endToEnd(head.Header), head.Host
	if req.Header.Get("Idempotency-Key") == "" {
		req.Header.Set("Idempotency-Key", k.ID)
	}
	req.Header.Set("X-Leitstand-Receipt", receipt)
	req.Header.Set("X-Leitstand-Epoch", strconv.FormatInt(d.Row.Epoch, 10))
	req.Header.Set("X-Forwarded-Host", head.Host)
	client := p.Client
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	// The answer is read whole before the time limit goes.
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	err = errors.Join(err, resp.Body.Close())
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp, err
}

// Rejected is a kept request that the regular side would not have: a person
// looks after it.
type Rejected struct {
	Receipt   string                `json:"receipt"`
	Placement catalogue.PlacementID `json:"placement"`
	Status    int                   `json:"status"`
	Reason    string                `json:"reason"`
	Owner     string                `json:"owner"`
	At        time.Time             `json:"at"`
}

// Rejections lists what regular sides rejected of a Kasse, from its file.
func (s *Spool) Rejections(k catalogue.KasseID) ([]Rejected, error) {
	f, err := s.of(k)
	if err != nil {
		return nil, err
	}
	info, err := f.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the spool of Kasse %s: %w", k, err)
	}
	kept := map[int64]keptMeta{}
	var out []Rejected
	_, _, _, err = scanFrames(f.file, info.Size(), func(fr frame) error {
		switch fr.kind {
		case frameKept:
			n, meta, _, err := splitKept(fr.payload)
			kept[n] = meta
			return err
		case frameDone:
			var m doneMeta
			n := int64(binary.BigEndian.Uint64(fr.payload))
			if err := json.Unmarshal(fr.payload[8:], &m); err != nil {
				return err
			}
			if !m.Delivered {
				out = append(out, Rejected{
					Receipt: f.receiptOf(&keptRequest{keptMeta: kept[n], number: n}), Placement: kept[n].Placement, Status: m.Status, Reason: m.Reason, Owner: m.Owner, At: m.At,
				})
			}
		case frameBegin:
		}
		return nil
	})
	return out, err
}
