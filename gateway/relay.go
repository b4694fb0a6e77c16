package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Relay passes what comes to doors in emergency operation on to the gateway of the
// room, behind which the emergency services stand: a gateway without a room has none.
type Relay struct {
	to        *url.URL
	transport http.RoundTripper
}

// relayMark names a relay in the header Via (RFC 9110 §7.6.3): what came by one is not
// relayed again.
const relayMark = "1.1 leitstand-relay"

// NewRelay relays to the address of the room's gateway. Beyond loopback it must be
// https; roots are the authorities that vouch for its certificate, nil for the system's.
func NewRelay(address string, roots *x509.CertPool) (*Relay, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q is no address of a gateway: want https://HOST:PORT", address)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("the gateway of the room lies beyond loopback (%s): want https", u.Host)
	}
	return &Relay{to: u, transport: &http.Transport{
		DialContext:     (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second, ResponseHeaderTimeout: answerWithin,
	}}, nil
}

// relayed says whether a request came by a relay already.
func relayed(r *http.Request) bool { return slices.Contains(r.Header["Via"], relayMark) }

// relay lets the gateway of the room answer. What is written has an Idempotency-Key
// then, the client's or ours: when the room cannot be reached, or nobody knows what it
// did, the request is kept under the same key, and handing it in later doubles nothing.
func (g *Gateway) relay(w http.ResponseWriter, r *http.Request, d *Door) {
	var body []byte
	if !reads(r) {
		var ok bool
		if body, ok = g.whole(w, r); !ok {
			return
		}
		if r.Header.Get("Idempotency-Key") == "" {
			r.Header.Set("Idempotency-Key", rand.Text())
		}
	}
	resp, err := g.Relay.send(r, body)
	if err == nil {
		_, err = answerClient(w, resp)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			panic(http.ErrAbortHandler) // the client sees by it that the answer is not whole
		}
		return
	}
	if g.Log != nil {
		g.Log.Warn("the gateway of the room does not answer", slog.String("placement", string(d.Placement)), slog.Any("error", err))
	}
	switch {
	case reads(r):
		g.askInstead(w, r, d)
	case g.Keeper == nil:
		g.notice(w, r, d)
	default:
		receipt, err := g.Keeper.Keep(context.WithoutCancel(r.Context()), *d, r, body)
		g.kept(w, r, d, receipt, err)
	}
}

func (l *Relay) send(r *http.Request, body []byte) (*http.Response, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, strings.TrimSuffix(l.to.String(), "/")+r.URL.RequestURI(), bytes.NewReader(body)) //nolint:gosec // to the configured gateway and nowhere else: that is what a relay is for
	if err != nil {
		return nil, err
	}
	out.Host, out.Header = r.Host, endToEnd(r.Header)
	out.Header.Add("Via", relayMark)
	resp, err := l.transport.RoundTrip(out)
	if err == nil && (resp.StatusCode == http.StatusBadGateway || resp.StatusCode == http.StatusGatewayTimeout) {
		return nil, errors.Join(fmt.Errorf("something before it answered %s", resp.Status), resp.Body.Close())
	}
	return resp, err
}
