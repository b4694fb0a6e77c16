package room_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"leitstand/access"
	"leitstand/base/db/dbtest"
	"leitstand/catalogue"
	"leitstand/gateway"
	"leitstand/operation"
	"leitstand/room"
)

const (
	nodeEnv   = "LEITSTAND_TEST_NODE" // JSON of nodeJob, for the process of a node
	nodeLease = 600 * time.Millisecond
)

type nodeJob struct {
	Database, Place, Table, Node, Listen string
	Lease                                time.Duration
}

// TestNodeProcess is no test: it is a node, in a process and a network namespace
// of its own.
func TestNodeProcess(t *testing.T) {
	text := os.Getenv(nodeEnv)
	if text == "" {
		t.Skip("runs only as a node of TestTwoNodes")
	}
	var job nodeJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		t.Fatal(err)
	}
	table, err := gateway.Load(job.Table)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() { // the test closes it to end the node
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	var n *room.Node
	emergency := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		epoch, err := strconv.ParseInt(r.Header.Get(gateway.EpochHeader), 10, 64)
		if store := n.Store(); err == nil && store != nil {
			// one statement: a node that is cut off in the middle of it holds no lock
			err = store.QueryRow(r.Context(), `update placement set epoch = epoch where id = $1 and writer = 'emergency' and epoch = $2 returning epoch`,
				r.Header.Get(gateway.PlacementHeader), epoch).Scan(&epoch)
		}
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Written-By", "emergency")
	})
	_, service, _, _ := table.Doors[0].Placement.Split()
	g := &gateway.Gateway{Log: log, Emergency: map[catalogue.ServiceID]http.Handler{service: emergency}}
	if n, err = room.NewNode(room.NodeConfig{
		Database: job.Database, Place: job.Place, Table: job.Table, Node: job.Node, Lease: job.Lease, Log: log,
	}, table, g); err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", job.Listen)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = gateway.NewFront(g, gateway.Limits{}, nil).Serve(ctx, l, 0) }() // ends with the process
	fmt.Println("ready")
	if err := n.Run(ctx); err != nil {
		t.Error(err)
	}
}

// twoNodes is a room on PostgreSQL and two gateways in network namespaces, each
// with its own way to the database, which can be cut.
type twoNodes struct {
	t      *testing.T
	room   *room.Room
	place  catalogue.Placement
	lease  time.Duration
	spaces [2]string
	urls   [2]string

	regular, emergency, wrong atomic.Int64
	other                     sync.Map // status → *atomic.Int64
	by                        [2]atomic.Int64
	ended                     int // changes proven by the end of a lease
}

// newTwoNodes opens the room, both nodes and the regular system, which looks at every write
// whether the regular side may write.
func newTwoNodes(t *testing.T, lease time.Duration) (w *twoNodes, doors *room.Doors) {
	t.Helper()
	needNamespaces(t)
	dsn := dbtest.URL(t)
	at, err := url.Parse(dsn)
	if err != nil || at.Host == "" {
		t.Skip("PGDSN is no postgres:// address with a host: suite of two gateway nodes left out")
	}
	cat := small()
	kasse := cat.Kassen[0].ID
	w = &twoNodes{t: t, lease: lease, place: cat.PlacementsOf(kasse, "eau")[0]}
	opt := room.Options{Data: filepath.Join(t.TempDir(), "room"), Database: dsn}
	w.room, err = room.Init(t.Context(), opt, room.Setup{Name: "Zwei", Exercise: true, Catalogue: cat, People: room.PracticePeople(kasse), Owner: "operator"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.room.Close(); err != nil {
			t.Error(err)
		}
		dbtest.Drop(t, dsn, w.room.Settings.Place)
	})
	conf := room.DoorsConfig{Node: "room", Nodes: []string{"tor-1", "tor-2"}}
	for i := range w.spaces {
		conf.Routes = []gateway.Route{{Host: "kasse.test", Prefix: "/", Placement: w.place.ID, Kasse: "K", Service: "D", Upstream: w.space(i, at.Host)}}
		doors = w.node(i, conf, opt, *at, doors)
	}
	return w, doors
}

// space makes the namespace of a node and gives the address of the regular system there.
func (w *twoNodes) space(i int, database string) (regular string) {
	t := w.t
	name := fmt.Sprintf("lsg%d%c", os.Getpid()%100000, 'a'+i)
	w.spaces[i] = name
	ours, theirs := fmt.Sprintf("10.251.%d.1", 20+i), fmt.Sprintf("10.251.%d.2", 20+i)
	shell(t, "ip", "netns", "add", name)
	t.Cleanup(func() { shell(t, "ip", "netns", "del", name) })
	shell(t, "ip", "link", "add", name+"0", "type", "veth", "peer", "name", name+"1")
	shell(t, "ip", "link", "set", name+"1", "netns", name)
	shell(t, "ip", "addr", "add", ours+"/24", "dev", name+"0")
	shell(t, "ip", "link", "set", name+"0", "up")
	shell(t, "ip", "netns", "exec", name, "ip", "addr", "add", theirs+"/24", "dev", name+"1")
	shell(t, "ip", "netns", "exec", name, "ip", "link", "set", name+"1", "up")
	shell(t, "ip", "netns", "exec", name, "ip", "link", "set", "lo", "up")
	shell(t, "ip", "netns", "exec", name, "nft", "add table inet cut; add chain inet cut o { type filter hook output priority 0; }")
	w.relay(ours+":6432", database)
	w.urls[i] = "http://" + theirs + ":8470/"
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.by[i].Add(1)
		w.serveRegular(rw, r)
	}))
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", ours+":0")
	if err != nil {
		t.Fatal(err)
	}
	_ = up.Listener.Close() // replaced
	up.Listener = l
	up.Start()
	t.Cleanup(up.Close)
	return up.URL
}

// relay stands for the network between a node and the database.
func (w *twoNodes) relay(listen, to string) {
	var lc net.ListenConfig
	l, err := lc.Listen(w.t.Context(), "tcp", listen)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = l.Close() }) // nothing is in it
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = in.Close() }() // a relay loses nothing of its own
				var d net.Dialer
				out, err := d.DialContext(context.WithoutCancel(w.t.Context()), "tcp", to)
				if err != nil {
					return
				}
				go func() {
					_, _ = io.Copy(out, in) // ends when either side is gone
					_ = out.Close()         // likewise
				}()
				_, _ = io.Copy(in, out) // likewise
			}()
		}
	}()
}

// node starts the process of a node. The room's own doors, opened with the first,
// write the table that a node starts from.
func (w *twoNodes) node(i int, conf room.DoorsConfig, opt room.Options, at url.URL, doors *room.Doors) *room.Doors {
	t := w.t
	var err error
	if doors == nil {
		if doors, err = w.room.OpenDoors(t.Context(), conf); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = doors.Close() }) // its spool is empty
	}
	table, err := gateway.Load(filepath.Join(opt.Data, "doors.table"))
	if err != nil {
		t.Fatal(err)
	}
	for k := range table.Doors {
		table.Doors[k].Upstream = conf.Routes[0].Upstream
	}
	at.Host = fmt.Sprintf("10.251.%d.1:6432", 20+i)
	job := nodeJob{
		Database: at.String(), Place: w.room.Settings.Place, Table: filepath.Join(t.TempDir(), "doors.table"),
		Lease: w.lease, Node: conf.Nodes[i], Listen: fmt.Sprintf("10.251.%d.2:8470", 20+i),
	}
	if err := table.Save(job.Table); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "ip", "netns", "exec", w.spaces[i], os.Args[0], "-test.run=^TestNodeProcess$")
	cmd.Env = append(os.Environ(), nodeEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // ends the node
		_ = cmd.Wait() // its errors are on standard error
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "ready" {
			go func() { _, _ = io.Copy(io.Discard, out) }() // the rest is for nobody
			return doors
		}
	}
	t.Fatalf("node %d did not start", i)
	return nil
}

// serveRegular is the regular system. It asks the room's store at every write who
// may write; a write that it takes while the regular side may not is wrong.
func (w *twoNodes) serveRegular(rw http.ResponseWriter, r *http.Request) {
	var writer string
	err := w.room.Store.QueryRow(r.Context(), `select writer from placement where id = $1`, w.place.ID).Scan(&writer)
	switch {
	case err != nil: // the request was cut off
	case operation.Writer(writer) != operation.RegularSide:
		w.wrong.Add(1)
	default:
		w.regular.Add(1)
	}
	rw.Header().Set("Written-By", "regular")
}

// load sends writes to both nodes until ctx ends.
func (w *twoNodes) load(ctx context.Context, wg *sync.WaitGroup) {
	client := &http.Client{Timeout: 3 * time.Second}
	for i := range 6 {
		wg.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.urls[i%2], strings.NewReader("Antrag"))
				if err != nil {
					w.t.Error(err)
					return
				}
				req.Host = "kasse.test"
				resp, err := client.Do(req)
				if err == nil {
					_ = resp.Body.Close() // nothing in it
					if resp.Header.Get("Written-By") == "emergency" && resp.StatusCode == http.StatusOK {
						w.emergency.Add(1)
					}
					n, _ := w.other.LoadOrStore(resp.StatusCode, new(atomic.Int64))
					if c, ok := n.(*atomic.Int64); ok {
						c.Add(1)
					}
				}
				time.Sleep(3 * time.Millisecond)
			}
		})
	}
}

func (w *twoNodes) do(c operation.Command, people ...string) {
	w.t.Helper()
	by := make([]access.Person, len(people))
	for i, id := range people {
		p, err := access.Get(w.t.Context(), w.room.Store, id)
		if err != nil {
			w.t.Fatal(err)
		}
		by[i] = p
	}
	for try := 0; ; try++ {
		if err := w.room.Operation.Prepare(w.t.Context(), c); err != nil {
			w.t.Fatalf("%s: %v", c.Kind(), err)
		}
		c.Sign(w.room.Now(), by...)
		_, err := w.room.Operation.Do(w.t.Context(), c)
		if err == nil {
			return
		}
		if try > 50 {
			w.t.Fatalf("%s: %v", c.Kind(), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// until waits for the writing side.
func (w *twoNodes) until(side operation.Writer) time.Duration {
	w.t.Helper()
	began := time.Now()
	for {
		if p, _ := w.room.Operation.Current().Placement(w.place.ID); p.Writing.Writer == side && !p.Writing.Closing {
			return time.Since(began)
		}
		if time.Since(began) > 60*time.Second {
			w.t.Fatalf("the %s side did not get the right to write within a minute", side)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// cut drops everything between a node and the database, or lets it pass again.
func (w *twoNodes) cut(i int, off bool) {
	rule := "flush chain inet cut o"
	if off {
		rule = "add rule inet cut o tcp dport 6432 drop"
	}
	shell(w.t, "ip", "netns", "exec", w.spaces[i], "nft", rule)
}

// change moves the right to write to the emergency side and back: two changes.
// A node is cut off at random meanwhile.
func (w *twoNodes) change(rng *rand.Rand, k int, always bool) (slowest time.Duration) {
	var wg sync.WaitGroup
	if always || rng.IntN(2) == 0 {
		i, before, long := rng.IntN(2), time.Duration(rng.IntN(250))*time.Millisecond, time.Duration(300+rng.IntN(2200))*time.Millisecond
		if always {
			before = 0
		}
		cut := make(chan struct{})
		wg.Go(func() {
			time.Sleep(before)
			w.cut(i, true)
			close(cut)
			time.Sleep(long)
			w.cut(i, false)
		})
		if rng.IntN(2) == 0 || always { // sometimes the order comes first, sometimes the cut
			<-cut
		}
	}
	p := []catalogue.PlacementID{w.place.ID}
	nodes := []string{string(w.place.ID)}
	cutOff := &operation.OrderCut{Measure: fmt.Sprintf("m%d", k), Nodes: nodes}
	cutOff.Reason = "Wechsel"
	w.do(cutOff, "lead", "operator")
	if row, _ := w.room.Operation.Current().Placement(w.place.ID); row.Emergency == operation.None { // its observation ended with the cut
		prepare := &operation.PrepareEmergency{Placements: p}
		prepare.Reason = "Wechsel"
		w.do(prepare, "operator")
	}
	start := &operation.StartEmergency{Placements: p}
	start.Reason = "Wechsel"
	w.do(start, "lead", "operator")
	slowest = w.until(operation.EmergencySide)
	if row, _ := w.room.Operation.Current().Placement(w.place.ID); row.Writing.Proof != nil &&
		slices.ContainsFunc(row.Writing.Proof.Nodes, func(a operation.Ack) bool { return !a.LeaseEnded.IsZero() }) {
		w.ended++
	}
	time.Sleep(time.Duration(50+rng.IntN(100)) * time.Millisecond)
	undo := &operation.UndoCut{Nodes: nodes}
	undo.Reason = "Wechsel"
	w.do(undo, "lead", "operator")
	hand := &operation.BeginHandover{Placements: p}
	hand.Reason = "Wechsel"
	w.do(hand, "operator")
	take := &operation.Accept{Nodes: nodes, To: operation.Running}
	take.Reason = "Wechsel"
	w.do(take, "kasse-"+string(w.place.Kasse), "lead")
	slowest = max(slowest, w.until(operation.RegularSide))
	wg.Wait()
	time.Sleep(time.Duration(50+rng.IntN(100)) * time.Millisecond)
	return slowest
}

func (w *twoNodes) report(changes int, slowest time.Duration) {
	answers := map[any]int64{}
	w.other.Range(func(k, v any) bool {
		if c, ok := v.(*atomic.Int64); ok {
			answers[k] = c.Load()
		}
		return true
	})
	w.t.Logf("%d changes of the writing side: %d regular writes, %d emergency writes, %d regular writes without the right; answers %v; %d proven by the end of a lease; slowest change %v",
		changes, w.regular.Load(), w.emergency.Load(), w.wrong.Load(), answers, w.ended, slowest)
}

func (w *twoNodes) run(doors *room.Doors, cycles int, seed uint64, always bool) {
	ctx, stop := context.WithCancel(w.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = doors.Run(ctx) }) // ends with ctx
	w.load(ctx, &wg)
	defer wg.Wait()
	defer stop()
	began := time.Now()
	before := [2]int64{w.by[0].Load(), w.by[1].Load()}
	for w.by[0].Load() == before[0] || w.by[1].Load() == before[1] { // both nodes have a lease then
		if time.Since(began) > 30*time.Second {
			w.t.Fatal("the nodes do not serve the regular side")
		}
		time.Sleep(5 * time.Millisecond)
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	var slowest time.Duration
	for k := range cycles {
		slowest = max(slowest, w.change(rng, k, always))
	}
	w.report(2*cycles, slowest)
}

func TestLongTwoNodesNeverLetBothSidesWriteWhenOneIsCutOff(t *testing.T) {
	cycles := 2
	if os.Getenv("LEITSTAND_LONG") != "" {
		cycles = 100
	} else if testing.Short() {
		t.Skip("needs some seconds")
	}
	w, doors := newTwoNodes(t, nodeLease)
	w.run(doors, cycles, 7, false)
	if n := w.wrong.Load(); n != 0 {
		t.Errorf("%d writes reached the regular system while it had no right to write", n)
	}
	if w.emergency.Load() == 0 {
		t.Error("the emergency side never wrote: the test shows nothing")
	}
}

// TestTwoNodesControl shows that the test can see two writers: the room takes a silent
// gateway for one that has stopped, without waiting for its lease.
func TestTwoNodesControl(t *testing.T) {
	if testing.Short() {
		t.Skip("needs some seconds")
	}
	w, doors := newTwoNodes(t, 3*time.Second)
	doors.TrustSilence()
	for seed := uint64(1); w.wrong.Load() == 0; seed++ {
		if seed > 5 {
			t.Fatal("no second writer was seen although silence was taken for proof")
		}
		w.run(doors, 1, seed, true)
	}
}

// door is what a node does at the door just now.
func (w *twoNodes) door(i int) string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.urls[i], http.NoBody)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = "kasse.test"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close() // nothing in it is of interest
	return resp.Header.Get("X-Leitstand-Door")
}

// TestLongTwoNodesObeyAnOrder measures how long after its commit an order is obeyed at both nodes.
func TestLongTwoNodesObeyAnOrder(t *testing.T) {
	if os.Getenv("LEITSTAND_LONG") == "" {
		t.Skip("a measurement: LEITSTAND_LONG=1")
	}
	w, doors := newTwoNodes(t, nodeLease)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = doors.Run(ctx) }) // ends with ctx
	defer wg.Wait()
	defer stop()
	nodes := []string{string(w.place.ID)}
	var took []time.Duration
	obeyed := func(want string) {
		committed := time.Now()
		for i := range w.urls {
			for w.door(i) != want {
				if time.Since(committed) > 30*time.Second {
					t.Fatalf("node %d does not obey", i)
				}
				time.Sleep(time.Millisecond)
			}
		}
		took = append(took, time.Since(committed))
		time.Sleep(30 * time.Millisecond)
	}
	obeyed("regular")
	took = nil
	for k := range 100 {
		cut := &operation.OrderCut{Measure: fmt.Sprintf("s%d", k), Nodes: nodes}
		cut.Reason = "Messung"
		w.do(cut, "lead", "operator")
		obeyed("buffer")
		undo := &operation.UndoCut{Nodes: nodes}
		undo.Reason = "Messung"
		w.do(undo, "lead", "operator")
		obeyed("regular")
	}
	slices.Sort(took)
	t.Logf("from the commit of an order to both nodes obeying it: p50 %v, p99 %v, slowest %v (n=%d)", took[len(took)/2], took[len(took)*99/100], took[len(took)-1], len(took))
}
