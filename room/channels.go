package room

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"leitstand/emergency"
)

// channelOf is the way to a regular system.
func (r *Room) channelOf(t RegularConfig) (emergency.Channel, error) {
	return &emergency.HTTPS{URL: t.URL, Token: t.Token, Client: r.client()}, nil
}

// client is for calls to regular systems. That of an exercise room cannot leave
// this machine, not even by a redirect or a proxy from the environment.
func (r *Room) client() *http.Client {
	c := &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if r.Settings.Exercise {
		c.Transport = &http.Transport{DialContext: r.dial}
	}
	return c
}

// dial connects to a regular system; an exercise room connects to an IP of the
// loopback network only. Names are refused: their meaning is decided elsewhere.
func (r *Room) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if r.Settings.Exercise {
		ap, err := netip.ParseAddrPort(addr)
		if err != nil || !ap.Addr().IsLoopback() {
			return nil, fmt.Errorf("address %q is not an IP of the loopback network: %w", addr, ErrExercise)
		}
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	return d.DialContext(ctx, network, addr)
}
