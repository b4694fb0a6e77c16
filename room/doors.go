package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"leitstand/access"
	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/catalogue"
	"leitstand/emergency"
	"leitstand/gateway"
	"leitstand/operation"
	"leitstand/pure/seal"
)

// DoorsConfig is what a room's gateway stands before.
type DoorsConfig struct {
	Node    string           `json:"node"` // name of this gateway, for life; default "gateway"
	Routes  []gateway.Route  `json:"routes"`
	Testers []gateway.Tester `json:"testers,omitempty"`
	// People may move doors at a gateway without the room (leitstand gateway move), each
	// known by a key. Without any, people are named, not proven.
	People []gateway.Orderer `json:"people,omitempty"`
	// Elsewhere are placements whose regular side can be reached past the gateway,
	// such as by a fetcher of mail: a closed door proves nothing about them.
	Elsewhere []catalogue.PlacementID `json:"elsewhere,omitempty"`
	// Nodes are the names of gateways elsewhere that follow this room's store on
	// PostgreSQL (leitstand gateway serve --db). A side counts as closed by its doors
	// only with the word of each of them, or when its lease has ended.
	Nodes []string `json:"nodes,omitempty"`
	// Drain is how long requests may stay under way behind a closed door, in
	// seconds, before they are cut off and listed in the ledger. Default 30.
	Drain int64 `json:"drain_seconds,omitempty"`
}

func (c DoorsConfig) nodeName() string {
	if c.Node == "" {
		return "gateway"
	}
	return c.Node
}

const (
	doorsFile = "doors.table"
	spoolDir  = "spool"
)

// GatewayFile says what the gateway of a room stands before whose configuration
// names nothing.
const GatewayFile = "gateway.json"

// ErrNoDoors says that a room has no gateway configured.
var ErrNoDoors = errors.New("this room's gateway stands before nothing: name its routes under gateway in " + ConfigFile)

// Doors is the gateway of a room: it obeys operation's doors, keeps them in a
// file, keeps what arrives at doors that buffer, and reports which doors are closed.
type Doors struct {
	room      *Room
	config    DoorsConfig
	keys      map[catalogue.KasseID][]byte
	elsewhere map[catalogue.PlacementID]bool

	Gateway *gateway.Gateway
	Spool   *gateway.Spool
	replay  *gateway.Replayer

	local     sync.Mutex // of the local log
	watch     gateway.Watch
	following sync.Mutex    // one at a time makes the gateway obey
	keeping   sync.Mutex    // one at a time writes the file
	booking   sync.Mutex    // one at a time enters the books of the spool in the ledger
	newer     chan struct{} // a newer table is obeyed and to be kept

	mu      sync.Mutex     // of what follows; nobody holds it who waits for a disk or a database
	version int64          // of the state that the table was made of; -1 before the first
	obeyed  *gateway.Table // newest
	saved   *gateway.Table // in the file
	books   spoolBooks     // of what the spool keeps, as the ledger has it
}

// LoadDoorsConfig takes the doors of the configuration, or reads the older file;
// ErrNoDoors without either.
func (r *Room) LoadDoorsConfig() (c DoorsConfig, err error) {
	if err := r.older(GatewayFile, r.opt.Doors != nil, &c); err != nil {
		return c, err
	}
	if r.opt.Doors != nil {
		return *r.opt.Doors, nil
	}
	if _, err := os.Stat(filepath.Join(r.opt.Data, GatewayFile)); errors.Is(err, os.ErrNotExist) {
		return c, ErrNoDoors
	}
	return c, nil
}

// OpenDoors registers the gateway with operation, opens its spool and makes it
// obey the present doors. Behind doors in emergency operation stands the room's own
// emergency path: its services that answer over HTTP, else the Kasse's journal.
// Until the gateway is retired, a side counts as closed by its
// doors only with its word.
func (r *Room) OpenDoors(ctx context.Context, c DoorsConfig) (*Doors, error) {
	c.Node = c.nodeName()
	if c.Drain == 0 {
		c.Drain = 30
	}
	d := &Doors{room: r, config: c, keys: map[catalogue.KasseID][]byte{}, elsewhere: map[catalogue.PlacementID]bool{}, version: -1, newer: make(chan struct{}, 1), watch: gateway.Watch{Margin: leaseMargin}}
	d.books.due = map[catalogue.PlacementID]int64{}
	for _, p := range c.Elsewhere {
		d.elsewhere[p] = true
	}
	served := map[catalogue.ServiceID]bool{}
	for _, route := range c.Routes {
		kasse, service, _, ok := route.Placement.Split()
		if !ok {
			return nil, fmt.Errorf("route %s%s: %q is no placement", route.Host, route.Prefix, route.Placement)
		}
		served[service] = true
		if d.keys[kasse] != nil {
			continue
		}
		j, err := r.Journals.Open(ctx, kasse)
		if err != nil {
			return nil, err
		}
		d.keys[kasse] = j.Public().Marshal()
	}
	services, err := r.emergencyServices()
	if err != nil {
		return nil, err
	}
	d.Gateway = &gateway.Gateway{Log: r.opt.Log, Emergency: services, Desk: doorDesk{r}}
	if r.Settings.Exercise {
		d.Gateway.Banner = "ÜBUNG"
	}
	if d.Spool, err = gateway.OpenSpool(filepath.Join(r.opt.Data, spoolDir), c.Node, d.key, r.opt.Log); err != nil {
		return nil, err
	}
	if _, err := signersOf(c.People); err != nil {
		return nil, errors.Join(fmt.Errorf("gateway, people: %w", err), d.Spool.Close())
	}
	d.Gateway.Keeper = d.Spool
	d.replay = &gateway.Replayer{Gateway: d.Gateway, Spool: d.Spool, Opener: d.opener, Owner: r.heldBy, Log: r.opt.Log}
	if err := d.Hold(); err != nil { // nobody may guess what people ordered
		return nil, errors.Join(err, d.Spool.Close())
	}
	if err := d.TakeLocal(ctx); err != nil {
		r.opt.Log.Error("doors stay as people moved them at this gateway", slog.Any("error", err))
	}
	if err = d.registerNodes(ctx); err == nil {
		err = d.register(ctx, c.Node, slices.Sorted(maps.Keys(served)), "Zugang in Betrieb genommen")
	}
	if err == nil {
		err = d.Step(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.Spool.Close())
	}
	r.doors.Store(d)
	return d, nil
}

func (d *Doors) key(k catalogue.KasseID) (*seal.PublicKey, error) {
	raw, ok := d.keys[k]
	if !ok {
		return nil, fmt.Errorf("no route leads to Kasse %s", k)
	}
	return seal.ParsePublicKey(raw)
}

func (d *Doors) opener(ctx context.Context, k catalogue.KasseID) (emergency.Opener, error) {
	j, err := d.room.Journals.Open(ctx, k)
	if err != nil {
		return nil, err
	}
	return j.Opener(ctx)
}

// table makes the table of a state.
func (d *Doors) table(s *operation.State) (*gateway.Table, error) {
	return doorTable(d.config, s, d.keys)
}

func doorTable(c DoorsConfig, s *operation.State, keys map[catalogue.KasseID][]byte) (*gateway.Table, error) {
	t, err := gateway.NewTable(c.Routes, s.Doors(-1))
	if err != nil {
		return nil, err
	}
	t.Testers, t.People, t.Keys = c.Testers, c.People, keys
	return t, nil
}

// Report proves to operation that regular sides are closed whose doors this
// gateway has closed, with nothing under way behind them any more. Where another
// gateway stands at the same door, operation waits for its word as well. It enters
// the books of the spool in the ledger.
func (d *Doors) Report(ctx context.Context) error {
	now := db.Trim(d.room.Now())
	if err := errors.Join(d.drain(ctx, now), d.countSpool(ctx, now)); err != nil {
		return err
	}
	obeyed := d.Gateway.Obeyed()
	s := d.room.Operation.Current()
	var closed []catalogue.PlacementID
	doors := map[catalogue.PlacementID]int64{}
	kept := d.keptVersion()
	for _, route := range d.config.Routes {
		p, ok := s.Placement(route.Placement)
		door, has := s.Door(route.Placement)
		if !ok || !has || d.elsewhere[p.ID] || p.Writing.Writer != operation.RegularSide || !p.Writing.Closing || p.Regular.Connected() {
			continue
		}
		v, free := obeyed[p.ID]
		if !free || v < door.Version || kept < door.Version || slices.Contains(closed, p.ID) {
			continue // only what is in the file is promised: after a crash this gateway starts from there
		}
		closed = append(closed, p.ID)
		doors[p.ID] = door.Version
	}
	if len(closed) == 0 {
		return nil
	}
	words, err := d.words(ctx, now, doors)
	if err != nil {
		return err
	}
	for _, p := range closed {
		words[p] = append(words[p], operation.Ack{Node: d.config.Node, Door: obeyed[p]})
	}
	return d.proveAll(ctx, now, words, closed)
}

// proveAll proves at once what all gateways say the same about, else one by one:
// the word of another gateway may be missing for some.
func (d *Doors) proveAll(ctx context.Context, now time.Time, words map[catalogue.PlacementID][]operation.Ack, closed []catalogue.PlacementID) error {
	if err := d.prove(ctx, now, words, closed...); !refused(err) {
		return err
	}
	errs := make([]error, 0, len(closed))
	for _, p := range closed {
		err := d.prove(ctx, now, words, p)
		if refused(err) {
			d.room.opt.Log.Info("a closed door is not proven yet", slog.String("placement", string(p)), slog.Any("error", err))
			continue
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func refused(err error) bool {
	_, ok := errors.AsType[*operation.Refused](err)
	return ok
}

// prove gives operation the words of gateways about closed doors: of each only
// what it says about all of them.
func (d *Doors) prove(ctx context.Context, now time.Time, words map[catalogue.PlacementID][]operation.Ack, closed ...catalogue.PlacementID) error {
	all := slices.Clone(words[closed[0]])
	for _, p := range closed[1:] {
		all = slices.DeleteFunc(all, func(a operation.Ack) bool {
			i := slices.IndexFunc(words[p], func(b operation.Ack) bool { return b.Node == a.Node })
			return i < 0 || words[p][i].LeaseEnded.IsZero() != a.LeaseEnded.IsZero()
		})
		for i := range all {
			j := slices.IndexFunc(words[p], func(b operation.Ack) bool { return b.Node == all[i].Node })
			all[i].Door = min(all[i].Door, words[p][j].Door)
		}
	}
	cmd := &operation.ReportClosed{Placements: closed, Proof: operation.Proof{Kind: operation.ByDoors, At: now, Nodes: all}}
	cmd.Reason = "Tür geschlossen, nichts mehr unterwegs"
	cmd.Sign(now, access.Person{ID: ledger.System})
	_, err := d.room.act(ctx, cmd, nil)
	return err
}

// drain cuts off what stays under way behind closed doors, and puts the list on record.
func (d *Doors) drain(ctx context.Context, now time.Time) error {
	cut := d.Gateway.Drain(time.Duration(d.config.Drain) * time.Second)
	if len(cut) == 0 {
		return nil
	}
	by := map[catalogue.PlacementID]int{}
	for _, c := range cut {
		by[c.Placement]++
	}
	return d.room.Store.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := ledger.Append(ctx, tx, ledger.Entry{
			At: now, Actor: ledger.System, Kind: "door.drained", Subject: d.config.Node,
			Reason: "Frist für laufende Anfragen hinter geschlossenen Türen abgelaufen", Data: map[string]any{"cut": by, "requests": cut},
		})
		return err
	})
}

// Close closes the spool. The table stays in its file.
func (d *Doors) Close() error {
	d.room.doors.CompareAndSwap(d, nil)
	return d.Spool.Close()
}

// RescueDoors rebuilds the file of doors of a room from its ledger: the rows are
// compared with the entries first, and a row that does not fit is an error.
func (r *Room) RescueDoors(ctx context.Context) (file string, err error) {
	c, err := r.LoadDoorsConfig()
	if err != nil {
		return "", err
	}
	verified, err := verifyLedger(ctx, r, verifyArgs{State: true})
	if err != nil {
		return "", err
	}
	for _, v := range verified {
		if v.Ledger == "room" && len(v.Problems) > 0 {
			return "", fmt.Errorf("the ledger itself has %d problems, the first: %s: nothing was rebuilt", len(v.Problems), v.Problems[0].Text)
		}
	}
	keys := map[catalogue.KasseID][]byte{}
	for _, route := range c.Routes {
		kasse, _, _, _ := route.Placement.Split()
		j, err := r.Journals.Open(ctx, kasse)
		if err != nil {
			return "", err
		}
		keys[kasse] = j.Public().Marshal()
	}
	t, err := doorTable(c, r.Operation.Current(), keys)
	if err != nil {
		return "", err
	}
	file = filepath.Join(r.opt.Data, doorsFile)
	return file, t.Save(file)
}

// Data is the room's directory.
func (r *Room) Data() string { return r.opt.Data }
