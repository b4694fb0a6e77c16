package containment

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
)

// world is two sites with six environments each of three hosts, behind one
// router per site, a directory of three hosts that all environments use, an outside from
// which is probed and a management network. Everything lies in network namespaces of its own.
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
	sharedID     = "directory@site0"
	sharedNet    = "10.20.100"
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
	names = append(names, w.prefix+"sh")
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
	w.wire(t, w.router(0), w.prefix+"sh", "sh", sharedNet, 11, 12, 13)
	run(t, "", "ip", "-n", w.prefix+"sh", "route", "add", "default", "via", sharedNet+".1")
	w.serve(t, w.prefix+"sh")
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
	b.WriteString(" counter csh {}\n")
	b.WriteString(" chain forward { type filter hook forward priority 100; policy accept;\n  ip saddr 10.8.0.0/16 accept\n  ip daddr 10.8.0.0/16 accept\n")
	fmt.Fprintf(&b, "  ip saddr %[1]s.0/24 counter name csh\n  ip daddr %[1]s.0/24 counter name csh\n", sharedNet)
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
	return w.counted(t, w.router(i/envsPerSite), fmt.Sprintf("c%d", i))
}

// counted is what a counter behind our table says.
func (w *world) counted(t *testing.T, router, counter string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", "netns", "exec", router, "nft", "list", "counter", "inet", "count", counter).Output()
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
	shared := func(h int) string { return fmt.Sprintf("tcp://%s.%d:%s", sharedNet, h, servicePort) }
	fmt.Fprintf(&b, "components:\n  - id: %s\n    addresses: [%[2]s.11, %[2]s.12, %[2]s.13]\n    steps: [{driver: site0}]\n", sharedID, sharedNet)
	fmt.Fprintf(&b, "    probe: {down: [%q, %q, %q], up: [%q]}\n", shared(11), shared(12), shared(13), target(0, 0))
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
