package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"leitstand/access"
	"leitstand/catalogue"
	"leitstand/room"
	"leitstand/web"
)

type initCmd struct {
	roomFlags
	Name      string `help:"Name of the room." default:"Leitstand"`
	Example   bool   `help:"A practice room with fictitious tenants and people, marked ÜBUNG for life."`
	Case      string `help:"A practice room of a public case." enum:",2023" default:""`
	Catalogue string `help:"Catalogue to import (file or directory), for a real room." type:"path"`
	People    string `help:"People as JSON list {id,name,roles,kasse}, for a real room." type:"existingfile"`
	Seed      uint64 `help:"Seed of generated values of practice rooms." default:"2023"`
}

// Run makes a room.
func (c *initCmd) Run(a *app) error {
	opt, err := c.options(a)
	if err != nil {
		return err
	}
	s, err := c.setup(opt)
	if err != nil {
		return err
	}
	r, err := room.Init(a.ctx, opt, s)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // everything is durable
	fmt.Fprintf(a.stdout, "Raum „%s“ in %s: %d Kassen, %d Dienste, %d Stellen, %d Personen.\n",
		s.Name, c.Data, len(s.Catalogue.Kassen), len(s.Catalogue.Services), len(s.Catalogue.Placements), len(s.People))
	fmt.Fprintf(a.stdout, "Öffentlicher Schlüssel des Buchs (aufschreiben oder bei Zeugen hinterlegen):\n  %s\nWeiter mit:\n  leitstand serve --data %s\n", r.Public(), c.Data)
	return nil
}

func (c *initCmd) setup(opt room.Options) (room.Setup, error) {
	s := room.Setup{Name: c.Name, Passphrase: opt.Passphrase}
	switch {
	case c.Example || c.Case != "":
		s.Exercise, s.Owner = true, "operator"
		s.Catalogue = catalogue.Example(c.Seed)
		if c.Case != "" {
			s.Catalogue = catalogue.Case2023(c.Seed)
		}
		var ids []catalogue.KasseID
		for _, k := range s.Catalogue.Kassen {
			ids = append(ids, k.ID)
		}
		s.People = room.PracticePeople(ids...)
		return s, nil
	case c.Catalogue == "" || c.People == "":
		return s, errors.New("a real room needs --catalogue and --people (or try --example)")
	}
	files, err := catalogueFiles([]string{c.Catalogue})
	if err != nil {
		return s, err
	}
	if s.Catalogue, err = catalogue.Import(files...); err != nil {
		return s, err
	}
	if s.People, err = readPeople(c.People); err != nil {
		return s, err
	}
	if len(s.People) > 0 {
		s.Owner = s.People[0].ID
	}
	return s, nil
}

type serveCmd struct {
	roomFlags
	gatewayFlags
	copyFlags
	Listen  string   `help:"Address of the control room. Only loopback until there are logins. Default: listen of the configuration, 127.0.0.1:8460." placeholder:"ADDR"`
	Log     []string `help:"Log file to watch (several times), besides those of the configuration." type:"path" placeholder:"FILE"`
	Gateway string   `help:"Address of the room's gateway, which stands before what the configuration or DIR/gateway.json names." placeholder:"ADDR"`
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
	return conf, nil
}

// Run serves a room until it is stopped.
func (c *serveCmd) Run(a *app) error {
	conf, err := c.merge()
	if err != nil {
		return err
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
	r, err := room.Open(a.ctx, opt)
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
	return c.beside(a, r, conf.Gateway.Listen, func(ctx context.Context) error {
		return serveRoom(ctx, r, conf.Listen, conf.Logs, func(link string) {
			fmt.Fprintf(a.stderr, "Leitstand: %s\nDer Link lässt ein Gerät ein. Für weitere: leitstand link --data %s\n", link, c.Data)
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

// serveRoom runs the screens, the command socket, timed work and the followers
// of log files until ctx ends or one of them fails.
func serveRoom(ctx context.Context, r *room.Room, listen string, logs []string, ready func(link string)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveScreens(ctx, r, listen, ready) })
	g.Go(func() error { return r.ServeSocket(ctx) })
	g.Go(func() error { return r.Run(ctx) })
	g.Go(func() error { return r.RunMail(ctx) })
	g.Go(func() error { return r.RunDrivers(ctx) })
	g.Go(func() error { return r.RunWarning(ctx, logs...) })
	g.Go(func() error { return r.RunCopy(ctx) })
	return g.Wait()
}

// serveScreens serves the control room until ctx ends. ready gets the link that
// admits the first device.
func serveScreens(ctx context.Context, r *room.Room, listen string, ready func(link string)) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listening for the control room: %w", err)
	}
	srv := &http.Server{Handler: web.New(r), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	ready(r.Links.First(l.Addr().String()))
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the control room: %w", err)
	}
	return nil
}

func readPeople(file string) ([]access.Person, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading people: %w", err)
	}
	return room.ParsePeople(b)
}
