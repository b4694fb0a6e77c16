package logbus

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// cluster starts three servers that keep three copies of everything.
func cluster(t *testing.T) (url string, servers map[string]*exec.Cmd) {
	t.Helper()
	program, dir := natsServer(t), t.TempDir()
	var ports [6]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert,errcheck // of a TCP listener
		defer func() { _ = l.Close() }()        // free for the servers when all are known
	}
	var urls, routes []string
	for i := range 3 {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
		routes = append(routes, fmt.Sprintf("nats-route://127.0.0.1:%d", ports[3+i]))
	}
	servers = map[string]*exec.Cmd{}
	for i := range 3 {
		name := fmt.Sprint("n", i)
		conf := filepath.Join(dir, name+".conf")
		text := fmt.Sprintf("server_name: %s\nlisten: \"127.0.0.1:%d\"\njetstream { store_dir: %q }\ncluster { name: bus, listen: \"127.0.0.1:%d\", routes: [%s] }\n",
			name, ports[i], filepath.Join(dir, name), ports[3+i], strings.Join(routes, ", "))
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		servers[name] = exec.Command(program, "-c", conf)
		servers[name].Stderr = io.Discard
	}
	t.Cleanup(func() {
		for _, s := range servers {
			if s.Process != nil {
				_ = s.Process.Kill() // it has nothing to lose
				_ = s.Wait()
			}
		}
	})
	return strings.Join(urls, ","), servers
}

// titles counts hits by their rule.
func titles(t *testing.T, hits map[string]int) map[string]int {
	t.Helper()
	out := map[string]int{}
	for text, n := range hits {
		var h hit
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			t.Fatal(err)
		}
		out[h.Title] += n
	}
	return out
}

// TestLongThreeServersGoOnWhenOneIsKilled loses the server that leads the logs
// while three workers work, and brings it back; the same is found as by one
// process alone, and what is sent afterwards is found too.
func TestLongThreeServersGoOnWhenOneIsKilled(t *testing.T) {
	natsServer(t)
	if os.Getenv("LEITSTAND_LONG") == "" {
		t.Skip("a cluster takes a minute: make bus")
	}
	inOrder, asSent := traffic(20_000)
	want := alone(t, inOrder)
	url, servers := cluster(t)
	for _, s := range servers {
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Connect(Config{URL: url}, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	until(t, "the servers have found each other", func() bool {
		return b.Make(t.Context(), Setup{Partitions: 6, Replicas: 3, Keep: 24 * time.Hour, Late: 2 * time.Second}) == nil
	})
	send := func(lines []testLine) {
		t.Helper()
		s, err := b.NewSender(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if err := s.Add(t.Context(), l.host, []byte(l.text)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	send(asSent)
	for i := range 3 {
		process(t, url, "leitstand", fmt.Sprint("w", i), "", true)
	}
	until(t, "work has begun", func() bool {
		s, err := b.Status(t.Context())
		return err == nil && len(s.Workers) == 3 && s.Groups[0].Events > 0
	})
	st, err := b.js.Stream(t.Context(), b.stream("LOG"))
	if err != nil {
		t.Fatal(err)
	}
	leader := st.CachedInfo().Cluster.Leader
	killed := time.Now()
	if err := servers[leader].Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = servers[leader].Wait() // killed
	until(t, "another one leads", func() bool {
		st, err := b.js.Stream(t.Context(), b.stream("LOG"))
		return err == nil && st.CachedInfo().Cluster != nil && st.CachedInfo().Cluster.Leader != "" && st.CachedInfo().Cluster.Leader != leader
	})
	t.Logf("%s was killed; another server led after %s", leader, time.Since(killed).Round(100*time.Millisecond))
	again := exec.Command(servers[leader].Path, servers[leader].Args[1:]...)
	again.Stderr = io.Discard
	servers[leader] = again
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	var found map[string]int
	t.Cleanup(func() {
		if s, err := b.Status(context.WithoutCancel(t.Context())); t.Failed() {
			t.Logf("%d of %d hits: %s\n%+v (%v)", sum(found), sum(want), cmp.Diff(titles(t, want), titles(t, found)), s, err)
		}
	})
	until(t, "all hits are there", func() bool {
		found, _ = got(t, url, "leitstand")
		return sum(found) >= sum(want)
	})
	until(t, "what is sent now is found too", func() bool { // two servers, or three again
		send([]testLine{{"late", time.Now().UTC().Format(time.RFC3339) + " late sshd[1]: Accepted password for root from 192.0.2.1 port 1 ssh2"}})
		again, _ := got(t, url, "leitstand")
		return sum(again) > sum(found)
	})
	until(t, "nothing waits", func() bool { return settled(t, b) })
	found, _ = got(t, url, "leitstand")
	maps.DeleteFunc(found, func(text string, _ int) bool { return strings.Contains(text, " late sshd") })
	if d := cmp.Diff(want, found); d != "" {
		t.Errorf("found %d, want %d (-one process +workers):\n%.4000s", sum(found), sum(want), d)
	}
	t.Logf("%d lines, %d hits, %s with one of three servers killed and back", len(inOrder), sum(found), time.Since(killed).Round(time.Second))
}
