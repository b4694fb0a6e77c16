package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sync/errgroup"

	"leitstand/room"
)

type serveCmd struct {
	roomFlags
	gatewayFlags
	copyFlags
	Listen  string   `help:"Address of the control room. Only loopback until there are logins. Default: listen of the configuration, 127.0.0.1:8460." placeholder:"ADDR"`
	Log     []string `help:"Log file to watch (several times), besides those of the configuration." type:"path" placeholder:"FILE"`
	Gateway string   `help:"Address of the room's gateway, which stands before what the configuration names." placeholder:"ADDR"`
	Admin   string   `help:"Address for /metrics, /healthz and /readyz. Loopback only, unless the configuration says otherwise." placeholder:"ADDR"`
}

// merge lets flags win over the configuration, and says what cannot be used.
func (c *serveCmd) merge() (*config, error) {
	conf, err := c.config()
	if err != nil {
		return nil, err
	}
	if c.Listen != "" {
		if err := onlyLoopback(c.Listen); err != nil {
			return nil, err
		}
	}
	if c.TLSCert != "" || c.TLSKey != "" {
		conf.Gateway.Certificate, conf.Gateway.Key = c.TLSCert, c.TLSKey
	}
	conf.Listen = cmp.Or(c.Listen, conf.Listen)
	conf.Gateway.Listen = cmp.Or(c.Gateway, conf.Gateway.Listen)
	conf.Admin.Listen = cmp.Or(c.Admin, conf.Admin.Listen)
	conf.Logs = append(conf.Logs, c.Log...)
	c.TLSCert, c.TLSKey = conf.Gateway.Certificate, conf.Gateway.Key
	c.CopyTo = cmp.Or(c.CopyTo, conf.CopyTo)
	return conf, nil
}

// Run serves a room until it is stopped.
func (c *serveCmd) Run(a *app) error {
	conf, err := c.merge()
	if err != nil {
		return err
	}
	if c.Admin != "" && !conf.Admin.Beyond {
		if err := loopback(c.Admin); err != nil {
			return fmt.Errorf("--admin %q: %w, unless admin.beyond_loopback is true in the configuration", c.Admin, err)
		}
	}
	if found := conf.mistakes(c.Data); len(found) > 0 {
		return errors.Join(found...)
	}
	opt, err := c.optionsOf(a, conf)
	if err != nil {
		return err
	}
	if err := c.copyFlags.set(&opt); err != nil {
		return err
	}
	lease, err := waitToLead(a, &opt)
	if err != nil || a.ctx.Err() != nil {
		return err
	}
	defer func() { _ = lease.Close() }() // whatever it says, the server gives it to the next
	front, err := openFront(a.ctx, conf.Listen)
	if err != nil {
		return err
	}
	defer front.close()
	r, err := room.Open(a.ctx, opt)
	if errors.Is(err, context.Canceled) && a.ctx.Err() != nil {
		return nil // stopped before it was open
	}
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // everything is durable
	if err := r.UseDrivers(a.ctx); err != nil {
		return err
	}
	if conf.from != "" {
		fmt.Fprintf(a.stderr, "Konfiguration: %s (leitstand config show)\n", conf.from)
	}
	sayOlder(a, c.Data)
	return c.beside(a, r, conf.Gateway.Listen, func(ctx context.Context) error {
		return watched(ctx, a, r, conf, func(ctx context.Context, up func()) error {
			return withEmployers(ctx, a, r, func(ctx context.Context) error {
				return serveRoom(ctx, r, served{front, lease, a.stdin}, conf.Logs, func(link string) {
					fmt.Fprintf(a.stderr, "Leitstand: %s\nDer Link lässt ein Gerät ein. Für weitere: leitstand link --data %s\n", link, c.Data)
					up()
				})
			})
		})
	})
}

// onlyLoopback refuses to be reached from outside as long as there are no logins.
func onlyLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--listen %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--listen %q: the room has no logins yet and listens on loopback only, such as 127.0.0.1:8460", addr)
	}
	return nil
}

// served is what a served room stands on.
type served struct {
	front *front
	lease leading
	stdin io.Reader
}

// serveRoom runs the screens, the command socket, timed work and the followers
// of log files until ctx ends or one of them fails.
func serveRoom(ctx context.Context, r *room.Room, s served, logs []string, ready func(link string)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.front.serve(ctx, r, ready) })
	g.Go(func() error { return s.lease.wait(ctx) })
	g.Go(func() error { return r.ServeSocket(ctx) })
	g.Go(func() error { return r.Run(ctx) })
	g.Go(func() error { return r.RunMail(ctx) })
	g.Go(func() error { return r.RunDrivers(ctx) })
	g.Go(func() error { return r.RunWarning(ctx, s.stdin, logs...) })
	g.Go(func() error { return r.RunCopy(ctx) })
	return g.Wait()
}
