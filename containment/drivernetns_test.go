package containment

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// world is two sites with six environments each of three hosts, behind one
// router per site, an outside from which is probed and a management network.
// Everything lies in network namespaces of its own.
type world struct {
	prefix  string
	drivers *Drivers
	x       *Executor
	store   *db.DB
}

const (
	envsPerSite  = 6
	hostsPerEnv  = 3
	servicePort  = "8080"
	markOfTest   = "lsc"
	netnsMissing = "network namespaces are not permitted here: suite of the nftables driver left out"
)

func (w *world) router(site int) string { return fmt.Sprintf("%sr%d", w.prefix, site) }
func (w *world) env(i int) string       { return fmt.Sprintf("%se%d", w.prefix, i) }

func envID(i int) string     { return fmt.Sprintf("%d@site%d", 100000001+i, i/envsPerSite) }
func netOf(i int) string     { return fmt.Sprintf("10.%d.%d", 20+i/envsPerSite, i) }
func host(i, h int) string   { return fmt.Sprintf("%s.%d", netOf(i), 11+h) }
func target(i, h int) string { return "tcp://" + host(i, h) + ":" + servicePort }

func run(t *testing.T, stdin string, argv ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// needNetNS leaves the suite out by name where it cannot run.
func needNetNS(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: suite of the nftables driver left out", tool)
		}
	}
	probe := fmt.Sprintf("%sx%d", markOfTest, os.Getpid())
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", probe).CombinedOutput(); err != nil {
		t.Skipf("%s (%s)", netnsMissing, strings.TrimSpace(string(out)))
	}
	defer run(t, "", "ip", "netns", "del", probe)
	if out, err := exec.CommandContext(t.Context(), "ip", "netns", "exec", probe, "nft", "add", "table", "inet", "x").CombinedOutput(); err != nil {
		t.Skipf("%s (nft: %s)", netnsMissing, strings.TrimSpace(string(out)))
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	needNetNS(t)
	w := &world{prefix: fmt.Sprintf("%s%d", markOfTest, os.Getpid()%100000)}
	names := []string{w.router(0), w.router(1), w.prefix + "out", w.prefix + "mg"}
	for i := range 2 * envsPerSite {
		names = append(names, w.env(i))
	}
	t.Cleanup(func() {
		var b strings.Builder
		for _, n := range names {
			fmt.Fprintf(&b, "netns del %s\n", n)
		}
		cmd := exec.Command("ip", "-force", "-batch", "-") //nolint:noctx // the test's context has ended
		cmd.Stdin = strings.NewReader(b.String())
		_ = cmd.Run() // what is gone is gone
	})
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "netns add %s\n", n)
	}
	run(t, b.String(), "ip", "-batch", "-")
	for site := range 2 {
		w.wire(t, w.router(site), w.prefix+"out", fmt.Sprintf("o%d", site), fmt.Sprintf("10.9.%d", site), 2)
		w.wire(t, w.router(site), w.prefix+"mg", fmt.Sprintf("m%d", site), fmt.Sprintf("10.8.%d", site), 2)
		for _, ns := range []string{"out", "mg"} {
			gate := map[string]string{"out": "10.9", "mg": "10.8"}[ns]
			run(t, "", "ip", "-n", w.prefix+ns, "route", "add", fmt.Sprintf("10.%d.0.0/16", 20+site), "via", fmt.Sprintf("%s.%d.1", gate, site))
		}
	}
	for i := range 2 * envsPerSite {
		w.wire(t, w.router(i/envsPerSite), w.env(i), fmt.Sprintf("e%d", i), netOf(i), 11, 12, 13)
		run(t, "", "ip", "-n", w.env(i), "route", "add", "default", "via", netOf(i)+".1")
	}
	for site := range 2 {
		w.firewall(t, site)
		w.serve(t, w.router(site))
	}
	for i := range 2 * envsPerSite {
		w.serve(t, w.env(i))
	}
	w.serve(t, w.prefix+"mg")
	return w
}

// wire connects a namespace to a router; the router gets .1 of the network.
func (w *world) wire(t *testing.T, router, ns, dev, network string, hosts ...int) {
	t.Helper()
	run(t, "", "ip", "-n", router, "link", "add", dev, "type", "veth", "peer", "name", dev, "netns", ns)
	run(t, fmt.Sprintf("addr add %s.1/24 dev %s\nlink set %s up\nlink set lo up\n", network, dev, dev), "ip", "-n", router, "-batch", "-")
	var b strings.Builder
	for _, h := range hosts {
		fmt.Fprintf(&b, "addr add %s.%d/24 dev %s\n", network, h, dev)
	}
	fmt.Fprintf(&b, "link set %s up\nlink set lo up\n", dev)
	run(t, b.String(), "ip", "-n", ns, "-batch", "-")
}

// firewall is what a router has already: it accepts what is established, and it
// counts for the test what passes of each environment after our table.
func (w *world) firewall(t *testing.T, site int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("table inet fw {\n chain forward { type filter hook forward priority 0; policy drop;\n  ct state established,related accept\n  ip saddr 10.0.0.0/8 accept\n }\n}\n")
	b.WriteString("table inet count {\n")
	for i := range envsPerSite {
		fmt.Fprintf(&b, " counter c%d {}\n", site*envsPerSite+i)
	}
	b.WriteString(" chain forward { type filter hook forward priority 100; policy accept;\n  ip saddr 10.8.0.0/16 accept\n  ip daddr 10.8.0.0/16 accept\n")
	for i := range envsPerSite {
		n := site*envsPerSite + i
		fmt.Fprintf(&b, "  ip saddr %[1]s.0/24 counter name c%[2]d\n  ip daddr %[1]s.0/24 counter name c%[2]d\n", netOf(n), n)
	}
	b.WriteString(" }\n}\n")
	// forwarding is a setting of the namespace, not of the host
	run(t, "", "ip", "netns", "exec", w.router(site), "sysctl", "-qw", "net.ipv4.ip_forward=1")
	run(t, b.String(), "ip", "netns", "exec", w.router(site), "nft", "-f", "-")
}

// passed is how many packets of an environment got through the router.
func (w *world) passed(t *testing.T, i int) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", "netns", "exec", w.router(i/envsPerSite), "nft", "list", "counter", "inet", "count", fmt.Sprintf("c%d", i)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "packets") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no counter in %q", out)
	return ""
}

// serve answers every line with the same line on the service port of a namespace.
func (w *world) serve(t *testing.T, ns string) {
	t.Helper()
	var l net.Listener
	err := inNetNS(ns, func() (err error) {
		var lc net.ListenConfig
		l, err = lc.Listen(t.Context(), "tcp4", "0.0.0.0:"+servicePort)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			wg.Go(func() {
				defer stop()
				defer conn.Close()
				in := bufio.NewScanner(conn)
				for in.Scan() {
					fmt.Fprintf(conn, "%s\n", in.Text())
				}
			})
		}
	})
}

// dial connects from a namespace.
func (w *world) dial(t *testing.T, ns, addr string) (net.Conn, error) {
	t.Helper()
	return Prober{NetNS: w.prefix + ns}.dialFor(t.Context(), addr, 2*time.Second)
}

func (p Prober) dialFor(ctx context.Context, addr string, d time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return p.dial(ctx, "tcp", addr)
}

// echo reports whether a connection is alive.
func echo(conn net.Conn, d time.Duration) error {
	if err := conn.SetDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(conn, "ping"); err != nil {
		return err
	}
	_, err := bufio.NewReader(conn).ReadString('\n')
	return err
}

func (w *world) open(t *testing.T) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "always: [10.8.0.0/16]\nprobing: {timeout: 150ms, attempts: 2, settle: 3s, netns: %sout}\ndrivers:\n", w.prefix)
	for site := range 2 {
		fmt.Fprintf(&b, "  - {name: site%d, nftables: {netns: %s}}\n", site, w.router(site))
	}
	b.WriteString("environments:\n")
	for i := range 2 * envsPerSite {
		up := fmt.Sprintf("tcp://10.9.%d.1:%s", i/envsPerSite, servicePort)
		fmt.Fprintf(&b, "  - id: %s\n    addresses: [%s.0/24]\n    steps: [{driver: site%d}]\n", envID(i), netOf(i), i/envsPerSite)
		fmt.Fprintf(&b, "    probe: {down: [\"%s\", \"%s\", \"%s\"], up: [\"%s\"]}\n", target(i, 0), target(i, 1), target(i, 2), up)
		fmt.Fprintf(&b, "    systems: [{placement: \"%d/eau/site%d\", addresses: [%s], probe: {down: [\"%s\"], up: [\"%s\"]}}]\n",
			100000001+i, i/envsPerSite, host(i, 1), target(i, 1), target(i, 0))
	}
	c, err := ParseDrivers([]byte(b.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if w.drivers, err = c.Build(Wiring{}); err != nil {
		t.Fatal(err)
	}
	w.store, w.x = newExecutor(t, w.drivers)
}

func newExecutor(t *testing.T, d *Drivers) (*db.DB, *Executor) {
	t.Helper()
	dir := t.TempDir()
	key, err := ledger.LoadKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	store, err := db.InDir(dir).Open(t.Context(), "room", ledger.Schema, Schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Attach(store, key); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	now := func() time.Time { return time.Now().UTC() }
	return store, &Executor{Drivers: d, Recorder: &StoreRecorder{Store: store, Now: now}, Now: now}
}

func (w *world) cut(t *testing.T, targets ...string) time.Duration {
	t.Helper()
	start := time.Now()
	acts, err := w.x.Cut(t.Context(), Order{Measure: "m-1", By: []string{"anna", "otto"}, Reason: "Übung"}, targets...)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	for _, id := range targets {
		if !slices.ContainsFunc(acts, func(a Act) bool { return a.Target == id && a.Proven() && !a.Probe.Blind }) {
			t.Fatalf("%s is not proven to be off: %+v", id, acts)
		}
	}
	return took
}

func (w *world) undo(t *testing.T, targets ...string) {
	t.Helper()
	acts, err := w.x.Undo(t.Context(), Order{Measure: "m-1", By: []string{"anna", "otto"}, Reason: "Übung"}, targets...)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range acts {
		for _, c := range a.Probe.Checks {
			if !c.OK {
				t.Fatalf("%s after undoing: %+v", a.Target, c)
			}
		}
	}
}

func all(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = envID(i)
	}
	return out
}

func TestEveryStageIsCutProvenAndUndoneInNamespaces(t *testing.T) {
	w := newWorld(t)
	w.open(t)
	t.Run("stage 1 takes off one system and leaves the others", func(t *testing.T) {
		id := "100000001/eau/site0"
		w.cut(t, id)
		if _, err := w.dial(t, "out", host(0, 2)+":"+servicePort); err != nil {
			t.Errorf("a system that was not ordered: %v", err)
		}
		w.undo(t, id)
	})
	t.Run("stage 2 ends established connections and keeps management", func(t *testing.T) {
		held, err := w.dial(t, "out", host(3, 0)+":"+servicePort)
		if err != nil || echo(held, time.Second) != nil {
			t.Fatalf("before: %v", err)
		}
		defer held.Close()
		w.cut(t, envID(3))
		before := w.passed(t, 3)
		if err := echo(held, 300*time.Millisecond); err == nil {
			t.Error("an established connection lives on")
		}
		if conn, err := w.dial(t, "mg", host(3, 0)+":"+servicePort); err != nil || echo(conn, time.Second) != nil {
			t.Errorf("the management path: %v", err)
		}
		w.fromInside(t, 3)
		if after := w.passed(t, 3); after != before {
			t.Errorf("packets passed after the cut: %s, before %s", after, before)
		}
		if conn, err := w.dial(t, "out", host(4, 0)+":"+servicePort); err != nil || echo(conn, time.Second) != nil {
			t.Errorf("the neighbour: %v", err)
		}
		w.undo(t, envID(3))
	})
	t.Run("stage 3 takes off a site and leaves the other", func(t *testing.T) {
		w.cut(t, all(envsPerSite)...)
		var before []string
		for i := range envsPerSite {
			before = append(before, w.passed(t, i))
		}
		for i := range envsPerSite {
			w.fromInside(t, i)
		}
		for i := range envsPerSite {
			if after := w.passed(t, i); after != before[i] {
				t.Errorf("environment %d: %s passed, before %s", i, after, before[i])
			}
		}
		for i := envsPerSite; i < 2*envsPerSite; i++ {
			if _, err := w.dial(t, "out", host(i, 1)+":"+servicePort); err != nil {
				t.Errorf("environment %d of the other site: %v", i, err)
			}
		}
		w.undo(t, all(envsPerSite)...)
	})
	t.Run("figures", w.figures)
	problems, err := ledger.VerifyState(t.Context(), w.store, Keepers()...)
	if err != nil || len(problems) > 0 {
		t.Errorf("the record: %v %v", problems, err)
	}
}

// fromInside tries to get out of a cut environment, to the outside and to a neighbour.
func (w *world) fromInside(t *testing.T, i int) {
	t.Helper()
	neighbour := (i/envsPerSite)*envsPerSite + (i+1)%envsPerSite
	for _, addr := range []string{fmt.Sprintf("10.9.%d.2:%s", i/envsPerSite, servicePort), host(neighbour, 0) + ":" + servicePort} {
		conn, err := Prober{NetNS: w.env(i)}.dialFor(t.Context(), addr, 60*time.Millisecond)
		if err == nil {
			conn.Close()
			t.Errorf("environment %d reaches %s", i, addr)
		}
	}
}

// figures measures from the order to proven isolation; it includes the look
// before, the record on disk and the silence that must be waited for.
func (w *world) figures(t *testing.T) {
	runs := 8
	if os.Getenv("LEITSTAND_LONG") != "" {
		runs = 40
	}
	if testing.Short() {
		runs = 2
	}
	var one, twelve []time.Duration
	for i := range runs {
		one = append(one, w.cut(t, envID(i%12)))
		w.undo(t, envID(i%12))
	}
	for range max(2, runs/3) {
		twelve = append(twelve, w.cut(t, all(12)...))
		w.undo(t, all(12)...)
	}
	t.Logf("order to proven isolation (two silent attempts of 150 ms included): one environment %s, twelve %s", quantiles(one), quantiles(twelve))
	var kernel []time.Duration
	d, err := newNFTDriver("border", NFTablesConfig{NetNS: w.router(0), Table: "lsload"})
	if err != nil {
		t.Fatal(err)
	}
	for range max(10, runs) {
		start := time.Now()
		if err := d.Execute(t.Context(), many(1000)); err != nil {
			t.Fatal(err)
		}
		kernel = append(kernel, time.Since(start))
	}
	t.Logf("1,000 addresses in one transaction, read back: %s", quantiles(kernel))
}

func quantiles(all []time.Duration) string {
	slices.Sort(all)
	at := func(q float64) time.Duration {
		return all[min(len(all)-1, int(q*float64(len(all))))].Round(10 * time.Microsecond)
	}
	return fmt.Sprintf("p50 %v p99 %v (n=%d)", at(0.5), at(0.99), len(all))
}

// many is a target of n single addresses that do not touch.
func many(n int) Target {
	t := Target{ID: "109034270@munich", Environment: "109034270@munich", Always: []netip.Prefix{netip.MustParsePrefix("10.8.0.0/16")}}
	a := netip.MustParseAddr("10.64.0.0")
	for range n {
		t.Addresses = append(t.Addresses, netip.PrefixFrom(a, 32))
		a = a.Next().Next()
	}
	return t
}

func TestNoAddressIsLostHoweverManyAreOrderedAndOtherTablesStay(t *testing.T) {
	needNetNS(t)
	ns := fmt.Sprintf("%sk%d", markOfTest, os.Getpid()%100000)
	run(t, "", "ip", "netns", "add", ns)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() }) //nolint:noctx // the test's context has ended
	run(t, "table inet foreign { chain forward { type filter hook forward priority 0; policy drop; tcp dport 22 accept; }; }\n", "ip", "netns", "exec", ns, "nft", "-f", "-")
	foreign := func() string {
		out, err := exec.CommandContext(t.Context(), "ip", "netns", "exec", ns, "nft", "list", "table", "inet", "foreign").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	before := foreign()
	d, err := newNFTDriver("border", NFTablesConfig{NetNS: ns})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 249, 250, 251, 1000, 10000, 3} {
		target := many(n)
		target.Addresses = append(target.Addresses, netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("255.255.255.0/24"))
		if err := errors.Join(d.Execute(t.Context(), target), d.Execute(t.Context(), target)); err != nil { // twice: it is idempotent
			t.Fatalf("%d addresses: %v", n, err)
		}
		if seen, err := d.Probe(t.Context(), target); err != nil || !seen.Held {
			t.Errorf("%d addresses: %+v, %v", n, seen, err)
		}
		other := many(n + 1)
		if seen, err := d.Probe(t.Context(), other); err != nil || seen.Held {
			t.Errorf("%d addresses of %d are taken for all: %+v, %v", n, n+1, seen, err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "ip", "netns", "exec", ns, "nft", "list", "chain", "inet", "leitstand", "forward").Output()
	if err != nil || strings.Count(string(out), " drop ") != rulesPerOwner || strings.Count(string(out), " accept ") != rulesPerOwner {
		t.Errorf("rules after repeating: %v\n%s", err, out)
	}
	first, drop := strings.LastIndex(string(out), "@"+setName(alwaysOwner, false)), strings.Index(string(out), " drop ")
	if first < 0 || drop < 0 || first > drop {
		t.Errorf("what is always accepted must come first:\n%s", out)
	}
	if err := errors.Join(d.Undo(t.Context(), many(3)), d.Undo(t.Context(), many(3))); err != nil {
		t.Fatal(err)
	}
	if seen, err := d.Probe(t.Context(), many(3)); err != nil || seen.Held {
		t.Errorf("after undoing: %+v, %v", seen, err)
	}
	if after := foreign(); after != before {
		t.Errorf("another table changed:\n%s", after)
	}
	// the exported file is what nft itself takes
	file := filepath.Join(t.TempDir(), "rules.nft")
	target := many(3)
	target.Addresses = append(target.Addresses, netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("255.255.255.0/24"))
	if err := os.WriteFile(file, []byte(nftRules("leitstand", []string{"forward"}, -150, target)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "", "ip", "netns", "exec", ns, "nft", "delete", "table", "inet", "leitstand")
	run(t, "", "ip", "netns", "exec", ns, "nft", "-f", file)
	if seen, err := d.Probe(t.Context(), target); err != nil || seen.Detail != "chain \"forward\" has 0 of 4 rules" && !seen.Held {
		t.Errorf("the exported rules read back: %+v, %v", seen, err)
	}
}
