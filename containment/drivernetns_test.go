package containment

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leitstand/base/ledger"
)

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
	t.Run("a shared component goes off and the environments that use it stay", w.cutShared)
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
	var one, twelve, component []time.Duration
	for i := range runs {
		one = append(one, w.cut(t, envID(i%12)))
		w.undo(t, envID(i%12))
		component = append(component, w.cut(t, sharedID))
		w.undo(t, sharedID)
	}
	for range max(2, runs/3) {
		twelve = append(twelve, w.cut(t, all(12)...))
		w.undo(t, all(12)...)
	}
	t.Logf("order to proven isolation (two silent attempts of 150 ms included): one environment %s, the shared directory %s, twelve %s", quantiles(one), quantiles(component), quantiles(twelve))
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
