package containment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Reach is what a probe met.
type Reach string

// What a probe can meet.
const (
	Reachable Reach = "reachable"
	// Refused: something answered that nobody listens. Packets pass, so that it is
	// no isolation unless the configuration says that the firewall rejects.
	Refused Reach = "refused"
	Silent  Reach = "silent" // nothing came back in time, or there is no way there
	Broken  Reach = "broken" // the probe itself could not be made: it says nothing
)

// ProbeCheck is one probe from outside, before and after the act.
type ProbeCheck struct {
	What   string `json:"what"`   // tcp://10.1.1.5:443, http://… or https://…
	Down   bool   `json:"down"`   // must be unreachable after a cut; otherwise must stay reachable
	Before Reach  `json:"before"` // without one the probe alone shows little
	After  Reach  `json:"after"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// ProbeRecord is what was seen after an act.
type ProbeRecord struct {
	At     time.Time    `json:"at"`
	From   string       `json:"from"`
	Checks []ProbeCheck `json:"checks"`
	Seen   []Seen       `json:"seen,omitempty"` // by the drivers themselves
	// Proven: everything that must be unreachable is, everything that must stay
	// reachable is, there was at least one probe of each, and the drivers agree.
	Proven bool `json:"proven"`
	// Blind: what must be unreachable was so before the act already.
	Blind         bool   `json:"blind,omitempty"`
	Contradiction string `json:"contradiction,omitempty"`
}

// Prober probes from outside. It needs addresses, not names: a probe that rests
// on the DNS of what is cut proves nothing.
type Prober struct {
	Timeout  time.Duration // for one attempt
	Attempts int           // until silence is believed
	Refused  bool          // a refusal counts as unreachable: the firewall rejects
	NetNS    string        // network namespace to probe from; empty: ours
	Settle   time.Duration // how long something may still be reachable after an act
}

// check refuses a probe that cannot be made.
func checkProbe(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("probe %q: %w", text, err)
	}
	switch u.Scheme {
	case "tcp":
		if u.Port() == "" {
			return fmt.Errorf("probe %q: tcp://ADDRESS:PORT is needed", text)
		}
	case "http", "https":
	default:
		return fmt.Errorf("probe %q: want tcp://, http:// or https://", text)
	}
	if net.ParseIP(u.Hostname()) == nil {
		return fmt.Errorf("probe %q: an address is needed, not a name: a probe must not rest on DNS", text)
	}
	return nil
}

// reach makes one probe with all its attempts.
func (p Prober) reach(ctx context.Context, what string) (Reach, string) {
	var r Reach
	var detail string
	for range max(1, p.Attempts) {
		r, detail = p.once(ctx, what)
		if r == Reachable || r == Refused || ctx.Err() != nil {
			return r, detail
		}
	}
	return r, detail
}

func (p Prober) once(ctx context.Context, what string) (Reach, string) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	u, err := url.Parse(what)
	if err != nil {
		return Broken, err.Error()
	}
	if u.Scheme == "tcp" {
		conn, err := p.dial(ctx, "tcp", u.Host)
		if err != nil {
			return classify(err)
		}
		_ = conn.Close() // it was only asked for an answer
		return Reachable, ""
	}
	tr := &http.Transport{DialContext: p.dial, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, what, nil)
	if err != nil {
		return Broken, err.Error()
	}
	client := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return classify(err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096)) // an answer is an answer
	_ = resp.Body.Close()                                       // read only
	return Reachable, resp.Status
}

func (p Prober) dial(ctx context.Context, network, addr string) (conn net.Conn, err error) {
	var d net.Dialer
	err = inNetNS(p.NetNS, func() (err error) {
		conn, err = d.DialContext(ctx, network, addr)
		return err
	})
	return conn, err
}

func classify(err error) (Reach, string) {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return Refused, err.Error()
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return Silent, err.Error()
	case strings.Contains(err.Error(), "tls:"), strings.Contains(err.Error(), "x509:"), strings.Contains(err.Error(), "malformed HTTP"):
		return Reachable, err.Error() // somebody answered, if not well
	}
	return Broken, err.Error()
}

func (p Prober) good(c ProbeCheck) bool {
	if c.Down {
		return c.After == Silent || c.After == Refused && p.Refused
	}
	return c.After == Reachable
}

// list is the probes of a target before anything was met.
func (p Prober) list(down, up []string) []ProbeCheck {
	checks := make([]ProbeCheck, 0, len(down)+len(up))
	for _, what := range down {
		checks = append(checks, ProbeCheck{What: what, Down: true})
	}
	for _, what := range up {
		checks = append(checks, ProbeCheck{What: what})
	}
	return checks
}

// before makes the probes of a target before the act.
func (p Prober) before(ctx context.Context, down, up []string) []ProbeCheck {
	checks := p.list(down, up)
	var wg sync.WaitGroup
	for i := range checks {
		wg.Go(func() { checks[i].Before, checks[i].Detail = p.reach(ctx, checks[i].What) })
	}
	wg.Wait()
	return checks
}

// after makes the probes again; what does not fit yet is tried until it settles.
func (p Prober) after(ctx context.Context, checks []ProbeCheck) {
	end := time.Now().Add(p.Settle)
	var wg sync.WaitGroup
	for i := range checks {
		wg.Go(func() {
			for {
				c := &checks[i]
				c.After, c.Detail = p.reach(ctx, c.What)
				c.OK = p.good(*c)
				if c.OK || ctx.Err() != nil || !time.Now().Before(end) {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// judge says what the probes and the drivers prove together about a cut.
func judge(now time.Time, from string, checks []ProbeCheck, seen []Seen) *ProbeRecord {
	r := &ProbeRecord{At: now, From: from, Checks: checks, Seen: seen, Blind: true}
	down, up := 0, 0
	var wrong []string
	for _, c := range checks {
		if c.Down {
			down++
			r.Blind = r.Blind && c.Before != Reachable
		} else {
			up++
		}
		switch {
		case c.OK:
		case c.Down:
			wrong = append(wrong, fmt.Sprintf("%s must be unreachable and is %s", c.What, c.After))
		default:
			wrong = append(wrong, fmt.Sprintf("%s must stay reachable and is %s", c.What, c.After))
		}
	}
	held := len(seen) > 0
	for _, s := range seen {
		if !s.Held {
			held = false
			wrong = append(wrong, "the driver does not find its work in place: "+s.Detail)
		}
	}
	r.Blind = r.Blind && down > 0
	r.Contradiction = strings.Join(wrong, "; ")
	r.Proven = len(wrong) == 0 && held && down > 0 && up > 0
	return r
}
