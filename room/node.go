package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"leitstand/base/db"
	"leitstand/catalogue"
	"leitstand/containment"
	"leitstand/gateway"
	"leitstand/operation"
)

// NodeConfig is a gateway that stands elsewhere and follows the store of a room,
// without being one: it has no key of the room and writes nothing but signs of life.
type NodeConfig struct {
	Database string        // postgres://… of the room
	Place    string        // prefix of the room's schemas, from its room.json
	Table    string        // table of doors to start from, made for this node; it is kept up to date
	Node     string        // its name, which the room's configuration lists under gateway.nodes
	Lease    time.Duration // how long it may serve writes on the regular side after it last heard of the room
	Public   func() (string, error)
	Log      *slog.Logger
}

// DefaultLease of a node that follows a room's store.
const DefaultLease = 2 * time.Second

// Node is such a gateway.
type Node struct {
	config  NodeConfig
	gateway *gateway.Gateway

	following sync.Mutex     // one at a time reads the doors and makes the gateway obey
	table     *gateway.Table // obeyed

	mu    sync.Mutex // of what follows; nobody holds it who waits for a disk or a database
	store *db.DB     // nil until it could be reached
	newer *gateway.Table

	// Of Step alone.
	saved  *gateway.Table // in the file
	beaten time.Time
	said   gateway.Beat
	listed error // why the room does not count on this node
}

// NewNode prepares a node whose gateway starts without the right to serve writes on
// the regular side: it gets it from the room's store.
func NewNode(c NodeConfig, t *gateway.Table, g *gateway.Gateway) (*Node, error) {
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Database == "" || c.Place == "" || c.Node == "" || c.Lease < 200*time.Millisecond {
		return nil, errors.New("a node needs the room's database, the prefix of its schemas (place in room.json), a name and a lease of 200 ms or more")
	}
	g.LeaseUntil(time.Now())
	g.Set(t)
	return &Node{config: c, gateway: g, table: t, newer: t, saved: t}, nil
}

// Store is the room's store, nil while it has not been reached yet.
func (n *Node) Store() *db.DB {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.store
}

// Run follows the room's store until ctx ends. Whatever the store does, writes on
// the regular side end with the lease. Doors are read every 20 ms, and nothing that is
// written, such as the file and the signs of life, holds that up.
func (n *Node) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { n.guard(ctx) })
	wg.Go(func() { n.repeat(ctx, n.read) })
	n.repeat(ctx, n.Step)
	wg.Wait()
	return n.close()
}

// repeat does a thing again and again, and says once what fails.
func (n *Node) repeat(ctx context.Context, do func(context.Context) error) {
	last := ""
	for ctx.Err() == nil {
		text := ""
		if err := do(ctx); err != nil {
			text = err.Error()
			if text != last && ctx.Err() == nil {
				n.config.Log.Error("following the room", slog.Any("error", err))
			}
		}
		last = text
		pause(ctx, nil, 20*time.Millisecond)
	}
}

func (n *Node) close() error {
	if s := n.Store(); s != nil {
		return s.Close()
	}
	return nil
}

// guard ends with the lease what the lease allowed, whatever the store does.
func (n *Node) guard(ctx context.Context) {
	for {
		if cut := n.gateway.CutLapsed(); len(cut) > 0 {
			n.config.Log.Warn("the room was not heard of in time: writes under way were cut off", slog.Int("requests", len(cut)))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Step keeps the doors that the gateway obeys in the file, and when it is time leaves a
// sign of life, reads the doors after it, and counts its lease from before the sign of life.
func (n *Node) Step(ctx context.Context) error {
	began := time.Now()
	within, cancel := context.WithTimeout(ctx, n.config.Lease)
	defer cancel()
	store, err := n.reach(within)
	if err != nil {
		return err
	}
	if err := n.keep(); err != nil {
		return err
	}
	if err := n.taken(within, store); err != nil {
		n.config.Log.Error("doors stay as people moved them at this gateway", slog.Any("error", err))
	}
	beat := n.word()
	if began.Sub(n.beaten) < n.config.Lease/4 && beat.Seen == n.said.Seen && maps.Equal(beat.Behind, n.said.Behind) {
		return n.listed
	}
	if err := beat.Write(within, store); err != nil {
		return err
	}
	n.beaten, n.said = began, beat
	gateways, err := operation.ReadGateways(within, store)
	if err != nil {
		return err
	}
	// After the gateways: a door that was closed before this one was registered, without
	// its word, is read now.
	if err := n.read(within); err != nil {
		return err
	}
	if !slices.ContainsFunc(gateways, func(g operation.Gateway) bool { return g.Node == n.config.Node && !g.Retired }) {
		n.listed = fmt.Errorf("the room does not know a gateway %q: list it under gateway.nodes in its leitstand.yaml", n.config.Node)
		return n.listed
	}
	n.listed = nil
	n.gateway.LeaseUntil(began.Add(n.config.Lease))
	return nil
}

// read makes the gateway obey doors that are newer than those it obeys.
func (n *Node) read(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, n.config.Lease)
	defer cancel()
	store := n.Store()
	if store == nil {
		return nil // Step tells why
	}
	n.following.Lock()
	defer n.following.Unlock()
	doors, err := operation.ReadDoors(within, store, n.table.Version)
	if err != nil {
		return err
	}
	n.obey(doors)
	return nil
}

// reach opens the store when it is first there. It never migrates it: which program
// upgrades a room is decided by who leads it. A node of another version waits,
// without a lease, until the room's doors have the form that it knows.
func (n *Node) reach(ctx context.Context) (*db.DB, error) {
	if s := n.Store(); s != nil {
		return s, nil
	}
	s, err := db.InPostgres(n.config.Database, n.config.Place).AsIs(ctx, "room", operation.Schema, gateway.Schema)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.store = s
	return s, nil
}

// word is what the node can promise now: of what is in the file, that of which nothing
// older is under way. After a crash it starts from there.
func (n *Node) word() gateway.Beat {
	obeyed := n.gateway.Obeyed()
	b := gateway.Beat{Node: n.config.Node, Lease: n.config.Lease, Seen: n.saved.Version, Behind: map[catalogue.PlacementID]int64{}}
	for _, d := range n.saved.Doors {
		if v, ok := obeyed[d.Placement]; !ok || v < d.Row.Version {
			b.Behind[d.Placement] = v // 0 while something older is under way
		}
	}
	return b
}

// obey takes newer doors into the table and makes the gateway obey.
func (n *Node) obey(doors []*operation.DoorRow) {
	if len(doors) == 0 {
		return
	}
	newer := map[catalogue.PlacementID]*operation.DoorRow{}
	t := *n.table
	for _, d := range doors {
		newer[d.Placement] = d
		t.Version = max(t.Version, d.Version)
	}
	t.Doors = slices.Clone(t.Doors)
	for i := range t.Doors {
		if d := newer[t.Doors[i].Placement]; d != nil {
			t.Doors[i].Row = *d
		}
	}
	n.gateway.Set(&t)
	n.table = &t
	n.mu.Lock()
	defer n.mu.Unlock()
	n.newer = &t
}

// keep writes the table that the gateway obeys into the file.
func (n *Node) keep() error {
	n.mu.Lock()
	t := n.newer
	n.mu.Unlock()
	if t == n.saved {
		return nil
	}
	if err := t.Save(n.config.Table); err != nil {
		return err
	}
	n.saved = t
	return nil
}

// taken lets go of doors that people moved here without the room, once its ledger
// has them: its own doors are closed then, and read already.
func (n *Node) taken(ctx context.Context, store *db.DB) error {
	if n.config.Public == nil {
		return nil
	}
	dir := filepath.Dir(n.config.Table)
	public, err := n.config.Public()
	if err != nil || public == "" {
		return err
	}
	_, records, err := LocalMoves(dir, public, n.gateway.People())
	if err != nil || len(records) == 0 {
		return err
	}
	acts, err := containment.Acts(ctx, store)
	if err != nil {
		return err
	}
	last := 0
	for _, rec := range records {
		if !slices.ContainsFunc(acts, func(a containment.Act) bool { return a.ID == rec.Act.ID }) {
			break
		}
		last = rec.Seq
	}
	if last == 0 {
		return nil
	}
	return gateway.WriteDurably(filepath.Join(dir, takenFile), []byte(strconv.Itoa(last)+"\n"))
}
