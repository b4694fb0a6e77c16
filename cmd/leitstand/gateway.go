package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"leitstand/gateway"
	"leitstand/room"
)

// gatewayFlags are how a gateway listens.
type gatewayFlags struct {
	TLSCert string `name:"gateway-cert" help:"Certificate file of the gateway. With it the gateway may listen beyond loopback; SIGHUP takes a new one without losing a connection." type:"existingfile" placeholder:"FILE"`
	TLSKey  string `name:"gateway-key" help:"Key file of the certificate." type:"existingfile" placeholder:"FILE"`
}

// listen opens the listener of a gateway: loopback only, unless there is a certificate.
func (f gatewayFlags) listen(ctx context.Context, addr string) (net.Listener, *gateway.Certificate, error) {
	var cert *gateway.Certificate
	var err error
	switch {
	case f.TLSCert != "" && f.TLSKey != "":
		if cert, err = gateway.LoadCertificate(f.TLSCert, f.TLSKey); err != nil {
			return nil, nil, err
		}
	case f.TLSCert != "" || f.TLSKey != "":
		return nil, nil, errors.New("the gateway needs both --gateway-cert and --gateway-key")
	default:
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, nil, fmt.Errorf("address %q of the gateway: %w", addr, err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, nil, fmt.Errorf("the gateway listens beyond loopback (%s) only with --gateway-cert and --gateway-key", addr)
		}
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, fmt.Errorf("listening for the gateway: %w", err)
	}
	return l, cert, nil
}

// serve serves a gateway until ctx ends.
func (f gatewayFlags) serve(ctx context.Context, a *app, g *gateway.Gateway, addr string) error {
	l, cert, err := f.listen(ctx, addr)
	if err != nil {
		return err
	}
	var conf *tls.Config
	if cert != nil {
		conf = cert.Config()
		hup := make(chan os.Signal, 1)
		signal.Notify(hup, syscall.SIGHUP)
		defer signal.Stop(hup)
		again, stop := context.WithCancel(ctx)
		defer stop()
		go func() { // ends with this function
			for {
				select {
				case <-again.Done():
					return
				case <-hup:
					if err := cert.Reload(); err != nil {
						fmt.Fprintf(a.stderr, "leitstand: %v; the old certificate stays in use\n", err)
					}
				}
			}
		}()
	}
	fmt.Fprintf(a.stderr, "Gateway: %s\n", l.Addr())
	return gateway.NewFront(g, gateway.Limits{}, conf).Serve(ctx, l, 30*time.Second)
}

// beside runs a room's gateway beside rest, until either ends.
func (f gatewayFlags) beside(a *app, r *room.Room, addr string, rest func(ctx context.Context) error) error {
	conf, err := r.LoadDoorsConfig()
	if addr == "" && (errors.Is(err, room.ErrNoDoors) || err == nil && len(conf.Nodes) == 0) {
		return rest(a.ctx)
	}
	if err != nil {
		return err
	}
	d, err := r.OpenDoors(a.ctx, conf)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(a.ctx)
	g.Go(func() error { return rest(ctx) })
	g.Go(func() error { return d.Run(ctx) })
	if addr != "" { // else its nodes stand elsewhere, and it collects their words
		g.Go(func() error { return f.serve(ctx, a, d.Gateway, addr) })
	}
	return errors.Join(g.Wait(), d.Close())
}

type gatewayCmd struct {
	Serve  gatewayServeCmd  `cmd:"" help:"Stand at the doors without a room: obey a table file, keep what doors buffer in a spool beside it."`
	Move   gatewayMoveCmd   `cmd:"" help:"Without the room: move doors of this gateway to buffer or notice, signed by two or in immediate danger."`
	Held   gatewayHeldCmd   `cmd:"" help:"Doors that were moved without the room and are not in its ledger yet."`
	HandIn gatewayHandInCmd `cmd:"" name:"hand-in" help:"Take in what a gateway without a room kept: into the journal behind emergency doors, else for the regular side; in order, each once."`
	Table  gatewayTableCmd  `cmd:"" help:"Print a table file."`
	Rescue gatewayRescueCmd `cmd:"" help:"Rebuild a damaged table file of a room from its ledger."`
}

type gatewayServeCmd struct {
	gatewayFlags
	Table  string        `help:"Table of doors, as a room writes it (DIR/doors.table). It is followed when it changes." required:"" type:"path" placeholder:"FILE"`
	Listen string        `help:"Address of the gateway." default:"127.0.0.1:8470"`
	Spool  string        `help:"Directory for what doors buffer. Default: spool beside the table." type:"path" placeholder:"DIR"`
	Node   string        `help:"Name of this gateway." default:"gateway"`
	DB     string        `name:"db" help:"postgres://… of the room: follow its doors there and give this gateway's word. Needs --place; the room lists --node under gateway.nodes." env:"LEITSTAND_DB"`
	Place  string        `help:"Prefix of the room's schemas (place in its room.json)."`
	Lease  time.Duration `help:"With --db: how long this gateway serves writes on the regular side after it last heard of the room; then it keeps them." default:"2s"`
	Keys   string        `help:"Directory with ledger.key, which signs doors.log (leitstand gateway move). Default beside the table." type:"path"`
	Room   string        `help:"Address of the room's gateway: it answers what comes to doors in emergency operation. While it cannot be reached, what is written is kept here." placeholder:"URL"`
	RoomCA string        `name:"room-ca" help:"PEM of the authority that issued its certificate. Default: the system's." type:"existingfile" placeholder:"FILE"`
}

// Run starts from the file alone; a damaged one stops the start.
func (c *gatewayServeCmd) Run(a *app) error {
	gateway.Tune()
	t, err := gateway.Load(c.Table)
	if errors.Is(err, gateway.ErrDamaged) {
		return fmt.Errorf("%w: run leitstand gateway rescue --data DIR", err)
	}
	if err != nil {
		return err
	}
	if c.Spool == "" {
		c.Spool = filepath.Join(filepath.Dir(c.Table), "spool")
	}
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	g := &gateway.Gateway{Log: log}
	g.Set(t)
	if g.Relay, err = c.relay(); err != nil {
		return err
	}
	if err := holdMoves(g, filepath.Dir(c.Table), c.Keys); err != nil { // as with the table: a gateway does not guess
		return err
	}
	s, err := gateway.OpenNodeSpool(c.Spool, c.Node, g.KeysOf, log)
	if err != nil {
		return err
	}
	g.Keeper = s
	group, ctx := errgroup.WithContext(a.ctx)
	if c.DB == "" {
		group.Go(func() error { return g.FollowFile(ctx, c.Table, 50*time.Millisecond) })
	} else {
		n, err := room.NewNode(room.NodeConfig{
			Database: c.DB, Place: c.Place, Table: c.Table, Node: c.Node, Lease: c.Lease, Log: log,
			Public: func() (string, error) { return publicOfLog(c.Keys, filepath.Dir(c.Table)) },
		}, t, g)
		if err != nil {
			return errors.Join(err, s.Close())
		}
		group.Go(func() error { return n.Run(ctx) })
	}
	group.Go(func() error { return followMoves(ctx, g, filepath.Dir(c.Table), c.Keys) })
	group.Go(func() error { return c.serve(ctx, a, g, c.Listen) })
	return errors.Join(group.Wait(), s.Close())
}

// relay is to the room's gateway, nil when none is named.
func (c *gatewayServeCmd) relay() (*gateway.Relay, error) {
	if c.Room == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	if c.RoomCA == "" {
		return gateway.NewRelay(c.Room, nil)
	}
	pem, err := os.ReadFile(c.RoomCA)
	if err != nil {
		return nil, fmt.Errorf("reading the authority of the room's gateway: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", c.RoomCA)
	}
	return gateway.NewRelay(c.Room, roots)
}

type gatewayTableCmd struct {
	File string `arg:"" help:"Table file." type:"path"`
}

// Run prints a table.
func (c *gatewayTableCmd) Run(a *app) error {
	t, err := gateway.Load(c.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "version %d, %d doors, keys of %d Kassen, %d testers\n", t.Version, len(t.Doors), len(t.Keys), len(t.Testers))
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tPREFIX\tPLACEMENT\tDOOR\tEPOCH\tVERSION\tUPSTREAM")
	for i := range t.Doors {
		d := &t.Doors[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\n", d.Host, d.Prefix, d.Placement, d.Row.Answer, d.Row.Epoch, d.Row.Version, d.Upstream)
	}
	return w.Flush()
}

type gatewayRescueCmd struct {
	roomFlags
}

// Run rebuilds the file.
func (c *gatewayRescueCmd) Run(a *app) error {
	opt, err := c.options(a)
	if err != nil {
		return err
	}
	r, err := room.Open(a.ctx, opt)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it only read
	file, err := r.RescueDoors(a.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s was rebuilt from the ledger\n", file)
	return nil
}
