package containment

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
)

// NFTablesConfig is a driver that writes rules into the kernel of this machine:
// one table of our own with one set of addresses per target. It never touches
// other tables. Run it where the traffic of the environments is forwarded.
type NFTablesConfig struct {
	Table string `yaml:"table"` // default leitstand
	// Hooks are where packets are dropped: forward, input, output. Default forward.
	Hooks []string `yaml:"hooks"`
	// Priority of the chains; the default -150 comes before the filter (0), so that
	// packets are dropped before any rule that accepts established connections.
	Priority int32  `yaml:"priority"`
	NetNS    string `yaml:"netns"` // network namespace; default ours
}

// maxElements is how many elements go into one netlink message: the kernel
// silently loses what does not fit into the attribute's 16-bit length.
const maxElements = 500

// netlinkBuffer holds some 100,000 addresses; more in one transaction is refused
// by the kernel with an error.
const netlinkBuffer = 16 << 20

// nftDriver does one thing at a time: a list that the kernel gives while another
// transaction commits can be incomplete.
type nftDriver struct {
	name string
	c    NFTablesConfig
}

func newNFTDriver(name string, c NFTablesConfig) (*nftDriver, error) {
	if c.Table == "" {
		c.Table = "leitstand"
	}
	if len(c.Hooks) == 0 {
		c.Hooks = []string{"forward"}
	}
	if c.Priority == 0 {
		c.Priority = -150
	}
	for _, h := range c.Hooks {
		if _, ok := nftHook(h); !ok {
			return nil, fmt.Errorf("hook %q: want forward, input or output", h)
		}
	}
	return &nftDriver{name: name, c: c}, nil
}

func nftHook(name string) (*nftables.ChainHook, bool) {
	switch name {
	case "forward":
		return nftables.ChainHookForward, true
	case "input":
		return nftables.ChainHookInput, true
	case "output":
		return nftables.ChainHookOutput, true
	}
	return nil, false
}

// Name is the driver's name.
func (d *nftDriver) Name() string { return d.name }

// DryRun shows the rules as nft prints them.
func (d *nftDriver) DryRun(_ context.Context, t Target) (DryRun, error) {
	return DryRun{
		Driver: d.name, Target: t.ID,
		Words: fmt.Sprintf("Pakete von und zu %d Adressen von %s werden verworfen, auch in bestehenden Verbindungen.", len(t.Addresses), t.ID),
		Exact: []string{nftRules(d.c.Table, d.c.Hooks, d.c.Priority, t)},
	}, nil
}

// Execute makes table, chains, sets and rules in one transaction, and reads them back.
func (d *nftDriver) Execute(ctx context.Context, t Target) error {
	return d.with(func(c *nftables.Conn) error {
		if err := d.write(c, t); err != nil {
			return err
		}
		seen, err := d.look(c, t)
		if err != nil {
			return err
		}
		if !seen.Held {
			return fmt.Errorf("%q: %w: %s", t.ID, errReadBack, seen.Detail)
		}
		return ctx.Err()
	})
}

// Probe reads the rules back and compares every address.
func (d *nftDriver) Probe(_ context.Context, t Target) (seen Seen, err error) {
	err = d.with(func(c *nftables.Conn) (err error) {
		seen, err = d.look(c, t)
		return err
	})
	return seen, err
}

// Undo removes the rules and sets of the target in one transaction.
func (d *nftDriver) Undo(_ context.Context, t Target) error {
	return d.with(func(c *nftables.Conn) error {
		table, err := d.find(c)
		if err != nil || table == nil {
			return err
		}
		found := false
		for _, hook := range d.c.Hooks {
			rules, err := d.rules(c, table, hook, t.ID)
			if err != nil {
				return err
			}
			for _, r := range rules {
				found = true
				if err := c.DelRule(r); err != nil {
					return fmt.Errorf("removing the rules of %q: %w", t.ID, err)
				}
			}
		}
		sets, err := c.GetSets(table)
		if err != nil {
			return fmt.Errorf("reading the sets of table %q: %w", d.c.Table, err)
		}
		for _, s := range sets {
			if s.Name == setName(t.ID, false) || s.Name == setName(t.ID, true) {
				found = true
				c.DelSet(s)
			}
		}
		if !found {
			return nil
		}
		if err := c.Flush(); err != nil {
			return fmt.Errorf("removing the rules of %q: %w", t.ID, err)
		}
		return nil
	})
}

// netlinkTurn lets one driver at a time talk to the kernel: the library numbers
// sets in a variable of its own that it does not lock.
var netlinkTurn sync.Mutex

// with runs fn on a connection of its own. What another process's transaction
// disturbed is tried again: everything here is idempotent.
func (d *nftDriver) with(fn func(c *nftables.Conn) error) error {
	netlinkTurn.Lock()
	defer netlinkTurn.Unlock()
	var err error
	for range 5 {
		if err = d.once(fn); !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.EINTR) && !errors.Is(err, errReadBack) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
	return err
}

// errReadBack says that the kernel does not hold what was written.
var errReadBack = errors.New("the kernel does not hold what was written")

func (d *nftDriver) once(fn func(c *nftables.Conn) error) error {
	opts := []nftables.ConnOption{nftables.WithSockOptions(func(conn *netlink.Conn) error {
		return errors.Join(conn.SetWriteBuffer(netlinkBuffer), conn.SetReadBuffer(netlinkBuffer)) // a transaction is one message for the kernel
	})}
	if d.c.NetNS != "" {
		ns, err := openNetNS(d.c.NetNS)
		if err != nil {
			return err
		}
		defer func() { _ = ns.Close() }() // only read
		opts = append(opts, nftables.WithNetNSFd(int(ns.Fd())))
	}
	c, err := nftables.New(opts...)
	if err != nil {
		return fmt.Errorf("reaching nftables: %w", err)
	}
	return fn(c)
}

func (d *nftDriver) table() *nftables.Table {
	return &nftables.Table{Name: d.c.Table, Family: nftables.TableFamilyINet}
}

// find returns our table, or nil when it is not there.
func (d *nftDriver) find(c *nftables.Conn) (*nftables.Table, error) {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("listing tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == d.c.Table {
			return d.table(), nil
		}
	}
	return nil, nil //nolint:nilnil // no table is an answer
}

func (d *nftDriver) chain(table *nftables.Table, hook string) *nftables.Chain {
	h, _ := nftHook(hook) // checked when the driver was made
	policy := nftables.ChainPolicyAccept
	return &nftables.Chain{
		Name: hook, Table: table, Type: nftables.ChainTypeFilter, Hooknum: h,
		Priority: new(nftables.ChainPriority(d.c.Priority)), Policy: &policy,
	}
}

// rules are the rules of an owner in one chain.
func (d *nftDriver) rules(c *nftables.Conn, table *nftables.Table, hook, owner string) ([]*nftables.Rule, error) {
	chains, err := c.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("listing chains: %w", err)
	}
	if !slices.ContainsFunc(chains, func(x *nftables.Chain) bool { return x.Table.Name == table.Name && x.Name == hook }) {
		return nil, nil
	}
	all, err := c.GetRules(table, d.chain(table, hook))
	if err != nil {
		return nil, fmt.Errorf("reading chain %q: %w", hook, err)
	}
	tag := ruleTag(owner)
	return slices.DeleteFunc(all, func(r *nftables.Rule) bool { return !bytes.Equal(r.UserData, tag) }), nil
}

// alwaysOwner owns the rules that accept; they come first in every chain.
const alwaysOwner = "always"

// write makes what is missing and fills the sets anew, in one transaction.
func (d *nftDriver) write(c *nftables.Conn, t Target) error {
	table := c.AddTable(d.table())
	for _, hook := range d.c.Hooks {
		c.AddChain(d.chain(table, hook))
	}
	for _, owner := range []struct {
		id     string
		ranges []netip.Prefix
		accept bool
	}{{alwaysOwner, t.Always, true}, {t.ID, t.Addresses, false}} {
		sets, err := d.fill(c, table, owner.id, owner.ranges)
		if err != nil {
			return err
		}
		for _, hook := range d.c.Hooks {
			have, err := d.rules(c, table, hook, owner.id)
			if err != nil {
				return err
			}
			if len(have) > 0 {
				continue
			}
			for _, r := range ownerRules(table, d.chain(table, hook), owner.id, sets, owner.accept) {
				if owner.accept {
					c.InsertRule(r)
				} else {
					c.AddRule(r)
				}
			}
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("writing the rules of %q: %w", t.ID, err)
	}
	return nil
}

// fill replaces the content of an owner's two sets; messages hold at most
// maxElements elements.
func (d *nftDriver) fill(c *nftables.Conn, table *nftables.Table, owner string, all []netip.Prefix) ([2]*nftables.Set, error) {
	var sets [2]*nftables.Set
	for i, v6 := range []bool{false, true} {
		s := &nftables.Set{Table: table, Name: setName(owner, v6), Interval: true, KeyType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian}
		if v6 {
			s.KeyType = nftables.TypeIP6Addr
		}
		if err := c.AddSet(s, nil); err != nil {
			return sets, fmt.Errorf("adding set %q: %w", s.Name, err)
		}
		c.FlushSet(s)
		for chunk := range slices.Chunk(elements(merge(all, v6)), maxElements) {
			if err := c.SetAddElements(s, chunk); err != nil {
				return sets, fmt.Errorf("filling set %q: %w", s.Name, err)
			}
		}
		sets[i] = s
	}
	return sets, nil
}

// look compares what the kernel holds with what it should hold.
func (d *nftDriver) look(c *nftables.Conn, t Target) (Seen, error) {
	table, err := d.find(c)
	if err != nil {
		return Seen{}, err
	}
	if table == nil {
		return Seen{Detail: fmt.Sprintf("there is no table %q", d.c.Table)}, nil
	}
	total := 0
	for _, v6 := range []bool{false, true} {
		want := merge(t.Addresses, v6)
		got, err := d.held(c, table, setName(t.ID, v6), v6)
		if err != nil {
			return Seen{Detail: err.Error()}, nil //nolint:nilerr // a set that cannot be read is not held
		}
		if !slices.Equal(want, got) {
			return Seen{Detail: fmt.Sprintf("set %s holds %d ranges, not the %d ordered ones", setName(t.ID, v6), len(got), len(want))}, nil
		}
		total += len(want)
	}
	for _, hook := range d.c.Hooks {
		rules, err := d.rules(c, table, hook, t.ID)
		if err != nil {
			return Seen{}, err
		}
		if len(rules) < rulesPerOwner {
			return Seen{Detail: fmt.Sprintf("chain %q has %d of %d rules", hook, len(rules), rulesPerOwner)}, nil
		}
	}
	return Seen{Held: true, Detail: fmt.Sprintf("%d ranges read back from table %s", total, d.c.Table)}, nil
}

// held reads a set back as ranges.
func (d *nftDriver) held(c *nftables.Conn, table *nftables.Table, name string, v6 bool) ([]span, error) {
	kind := nftables.TypeIPAddr
	if v6 {
		kind = nftables.TypeIP6Addr
	}
	elems, err := c.GetSetElements(&nftables.Set{Table: table, Name: name, KeyType: kind})
	if err != nil {
		return nil, fmt.Errorf("reading set %s: %w", name, err)
	}
	return spans(elems, v6), nil
}

// setName is short enough for the kernel whatever the id is.
func setName(owner string, v6 bool) string {
	h := sha256.Sum256([]byte(owner))
	version := "v4"
	if v6 {
		version = "v6"
	}
	return "t_" + hex.EncodeToString(h[:6]) + "_" + version
}

// ruleTag marks a rule as its owner's. It is written as nft writes comments.
func ruleTag(owner string) []byte {
	text := "leitstand " + owner
	if len(text) > 120 {
		text = setName(owner, false)
	}
	return append([]byte{0, byte(len(text) + 1)}, append([]byte(text), 0)...)
}

const rulesPerOwner = 4

// ownerRules are four rules: source and destination, IPv4 and IPv6, each with a counter.
func ownerRules(table *nftables.Table, chain *nftables.Chain, owner string, sets [2]*nftables.Set, accept bool) []*nftables.Rule {
	verdict := expr.VerdictDrop
	if accept {
		verdict = expr.VerdictAccept
	}
	out := make([]*nftables.Rule, 0, rulesPerOwner)
	for i, at := range []struct {
		proto    byte
		src, dst uint32
		length   uint32
	}{{unixIPv4, 12, 16, 4}, {unixIPv6, 8, 24, 16}} {
		for _, offset := range []uint32{at.src, at.dst} {
			out = append(out, &nftables.Rule{Table: table, Chain: chain, UserData: ruleTag(owner), Exprs: []expr.Any{
				&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{at.proto}},
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: at.length},
				&expr.Lookup{SourceRegister: 1, SetName: sets[i].Name, SetID: sets[i].ID},
				&expr.Counter{},
				&expr.Verdict{Kind: verdict},
			}})
		}
	}
	return out
}

// NFPROTO_IPV4 and NFPROTO_IPV6.
const (
	unixIPv4 = 2
	unixIPv6 = 10
)
