package containment

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// WebhookConfig is a driver that asks another system. Each request is a POST of
// JSON with the headers
//
//	Leitstand-Timestamp: seconds since 1970
//	Leitstand-Signature: sha256=hex of HMAC-SHA-256(secret, timestamp + "." + body)
//	Idempotency-Key: the id of the act and what is asked (not with probes)
//
// An answer of 2xx is done; a probe answers with {"held": true|false}.
type WebhookConfig struct {
	URL        string        `yaml:"url"`         // https, or http to loopback
	SecretFile string        `yaml:"secret_file"` // at least 32 bytes
	Timeout    time.Duration `yaml:"timeout"`     // of one attempt; default 10s
	Attempts   int           `yaml:"attempts"`    // of one request; default 4
	Pause      time.Duration `yaml:"pause"`       // before the second attempt, doubled each time; default 500ms
}

type webhookDriver struct {
	name   string
	c      WebhookConfig
	secret []byte
	client *http.Client
	now    func() time.Time
}

func newWebhookDriver(name string, c WebhookConfig, path func(string) string) (*webhookDriver, error) {
	if err := httpsOrLoopback(c.URL); err != nil {
		return nil, err
	}
	secret, err := os.ReadFile(path(c.SecretFile))
	if err != nil {
		return nil, fmt.Errorf("reading the secret: %w", err)
	}
	if secret = bytes.TrimSpace(secret); len(secret) < 32 {
		return nil, fmt.Errorf("the secret in %q has %d bytes, at least 32 are needed", c.SecretFile, len(secret))
	}
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Attempts <= 0 {
		c.Attempts = 4
	}
	if c.Pause <= 0 {
		c.Pause = 500 * time.Millisecond
	}
	return &webhookDriver{name: name, c: c, secret: secret, now: time.Now, client: noRedirects(&http.Client{Timeout: c.Timeout})}, nil
}

// noRedirects keeps orders and tokens from being sent on to somebody else.
func noRedirects(c *http.Client) *http.Client {
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// httpsOrLoopback refuses to send orders over the network in clear.
func httpsOrLoopback(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("address %q: %w", text, err)
	}
	if u.Scheme == "https" && u.Host != "" {
		return nil
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("address %q: want https://, or http:// to a loopback address", text)
}

// webhookOrder is the body of a request.
type webhookOrder struct {
	ID          string   `json:"id"`
	Do          string   `json:"do"` // execute, undo or probe
	Target      string   `json:"target"`
	Environment string   `json:"environment"` // empty for a component
	Component   string   `json:"component,omitempty"`
	Measure     string   `json:"measure,omitempty"`
	Addresses   []string `json:"addresses"`
	Always      []string `json:"always,omitempty"`
}

func (d *webhookDriver) order(do string, t Target) ([]byte, error) {
	o := webhookOrder{ID: t.Act, Do: do, Target: t.ID, Environment: string(t.Environment), Component: string(t.Component), Measure: t.Measure, Addresses: []string{}}
	for _, p := range t.Addresses {
		o.Addresses = append(o.Addresses, addressText(p))
	}
	for _, p := range t.Always {
		o.Always = append(o.Always, addressText(p))
	}
	b, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encoding the order: %w", err)
	}
	return b, nil
}

// Name is the driver's name.
func (d *webhookDriver) Name() string { return d.name }

// DryRun shows the body.
func (d *webhookDriver) DryRun(_ context.Context, t Target) (DryRun, error) {
	body, err := d.order("execute", t)
	return DryRun{
		Driver: d.name, Target: t.ID,
		Words: fmt.Sprintf("Ein anderes System wird beauftragt, %s abzutrennen.", t.ID),
		Exact: []string{"POST " + d.c.URL, string(body)},
	}, err
}

// Execute sends the order until it is taken or refused.
func (d *webhookDriver) Execute(ctx context.Context, t Target) error {
	_, err := d.send(ctx, "execute", t)
	return err
}

// Undo sends the order to take it back.
func (d *webhookDriver) Undo(ctx context.Context, t Target) error {
	_, err := d.send(ctx, "undo", t)
	return err
}

// Probe asks the other system whether the cut is in place.
func (d *webhookDriver) Probe(ctx context.Context, t Target) (Seen, error) {
	body, err := d.send(ctx, "probe", t)
	if err != nil {
		return Seen{}, err
	}
	var seen Seen
	if err := json.Unmarshal(body, &seen); err != nil {
		return Seen{}, fmt.Errorf("reading the answer about %q: %w", t.ID, err)
	}
	return seen, nil
}

// errFinal marks an answer that repeating does not change.
var errFinal = errors.New("refused")

func (d *webhookDriver) send(ctx context.Context, do string, t Target) ([]byte, error) {
	body, err := d.order(do, t)
	if err != nil {
		return nil, err
	}
	key := t.Act + "-" + do
	if do == "probe" {
		key = "" // an answer of before says nothing about now
	}
	pause := d.c.Pause
	for attempt := 1; ; attempt++ {
		answer, err := d.post(ctx, key, body)
		if err == nil || errors.Is(err, errFinal) || attempt >= d.c.Attempts || ctx.Err() != nil {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting to repeat the order: %w", ctx.Err())
		case <-time.After(pause):
		}
		pause *= 2
	}
}

func (d *webhookDriver) post(ctx context.Context, key string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.c.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the order: %w", err)
	}
	stamp := strconv.FormatInt(d.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Leitstand-Timestamp", stamp)
	req.Header.Set("Leitstand-Signature", "sha256="+signHook(d.secret, stamp, body))
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("sending the order: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read below
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	switch {
	case resp.StatusCode/100 == 2:
		return answer, nil
	case resp.StatusCode/100 == 5 || resp.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("the other system answers %s", resp.Status)
	}
	return nil, fmt.Errorf("the other system answers %s: %w", resp.Status, errFinal)
}

func signHook(secret []byte, stamp string, body []byte) string {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(stamp + "."))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}
