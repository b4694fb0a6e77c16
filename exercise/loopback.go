package exercise

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// MailDomain is the domain under which every address of an exercise lies. The
// top level invalid is reserved (RFC 6761): no name server on earth answers it.
const MailDomain = "uebung.invalid"

// PracticeDomain is the mail domain of the simulated practices. They share one
// maildrop of that name, as behind one mail host.
const PracticeDomain = "praxen." + MailDomain

// KasseAddress is the mailbox of a Kasse for sick notes.
func KasseAddress(ik string) string { return "eau@" + ik + "." + MailDomain }

// checkLoopback refuses every address that is not an IP literal of the loopback
// network with a port. Names are refused: their meaning is decided elsewhere.
func checkLoopback(addr string) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: an exercise needs an IP and a port: %w", addr, err)
	}
	if !ap.Addr().IsLoopback() {
		return fmt.Errorf("address %q is not loopback: an exercise never leaves this machine", addr)
	}
	return nil
}

// listenLoopback listens on addr; empty means any free port.
func listenLoopback(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if err := checkLoopback(addr); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening on %q: %w", addr, err)
	}
	return l, nil
}

// dialLoopback connects to addr, which must be loopback.
func dialLoopback(ctx context.Context, addr string) (net.Conn, error) {
	if err := checkLoopback(addr); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: 5 * time.Second}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting to %q: %w", addr, err)
	}
	return c, nil
}

// loopbackClient is an HTTP client that cannot leave this machine, not even by a
// redirect or a proxy from the environment.
func loopbackClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: 64,
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				return dialLoopback(ctx, addr)
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// inExercise reports whether a mail address belongs to an exercise.
func inExercise(addr string) bool {
	_, domain, ok := strings.Cut(strings.ToLower(addr), "@")
	return ok && (domain == MailDomain || strings.HasSuffix(domain, "."+MailDomain))
}
