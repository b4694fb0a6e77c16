package emergency_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"leitstand/base/db"
	"leitstand/base/ledger"
	"leitstand/emergency"
	"leitstand/pure/seal"
)

const childEnv = "EMERGENCY_TEST_CHILD"

// child is a process that is killed: the sender or the receiver of a handover.
type child struct {
	Role, Dir, Addr string
	Seed            []byte // of the receiver's key
	Locked          []byte // master key, under the passphrase "test"
}

// TestMain lets the test binary be these processes.
func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		if err := runChild(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func runChild(spec string) error {
	var c child
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	ctx := context.Background()
	if c.Role == "receiver" {
		return c.receive(ctx)
	}
	return c.send(ctx)
}

func (c *child) journals() (*emergency.Journals, error) {
	key, err := ledger.LoadKey(c.Dir)
	if err != nil {
		return nil, err
	}
	master, err := seal.Unlock(c.Locked, []byte("test"))
	if err != nil {
		return nil, err
	}
	js := emergency.NewJournals(emergency.Config{Place: db.InDir(c.Dir), Key: key})
	js.Unlock(master)
	return js, nil
}

func (c *child) handover(j *emergency.Journal) *emergency.Handover {
	public, _ := ed25519.NewKeyFromSeed(c.Seed).Public().(ed25519.PublicKey)
	return &emergency.Handover{
		Journal: j, Placement: place, Receiver: public, Owner: "Fachteam eAU", Holder: "node1", MaxItems: 20,
		Channel: &emergency.HTTPS{URL: "http://" + c.Addr, Client: &http.Client{Timeout: 5 * time.Second}},
	}
}

// send hands over until nothing is left; failures are tried again at once.
func (c *child) send(ctx context.Context) error {
	js, err := c.journals()
	if err != nil {
		return err
	}
	j, err := js.Open(ctx, kasse)
	if err != nil {
		return err
	}
	fmt.Println("ready") // unlocking takes longer than everything that follows
	h := c.handover(j)
	for now := t0; ; now = now.Add(time.Minute) {
		if next, err := h.Due(ctx, now); err == nil && next.IsZero() {
			return js.Close()
		}
		time.Sleep(2 * time.Millisecond) // the receiver may be down
	}
}

// receive is a regular system with a durable book, behind a bad line: one answer
// in twenty gets lost, one request in twenty comes twice, and one in twenty is cut
// off and arrives after all, behind later ones.
func (c *child) receive(ctx context.Context) error {
	store, err := openReceiver(ctx, c.Dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	r := &emergency.Receiver{Name: "Regelsystem", Key: ed25519.NewKeyFromSeed(c.Seed), Receiving: store}
	return (&http.Server{ReadHeaderTimeout: time.Minute, Handler: &badLine{next: r.Handler()}}).Serve(l)
}

// badLine loses, repeats and reorders requests.
type badLine struct {
	next http.Handler
	mu   sync.Mutex
	late []lateRequest
}

type lateRequest struct {
	after int // so many more requests
	req   *http.Request
	body  []byte
}

func (b *badLine) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	b.deliverLate()
	again := func(w http.ResponseWriter) { b.pass(w, req, body) }
	switch rand.IntN(20) {
	case 0: // the answer gets lost
		again(&discard{})
		panic(http.ErrAbortHandler)
	case 1: // a middle box repeats it
		again(&discard{})
	case 2: // cut off, and it arrives later all the same
		b.mu.Lock()
		b.late = append(b.late, lateRequest{1 + rand.IntN(5), req, body})
		b.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	again(w)
}

func (b *badLine) pass(w http.ResponseWriter, req *http.Request, body []byte) {
	r := req.Clone(context.WithoutCancel(req.Context()))
	r.Body = io.NopCloser(bytes.NewReader(body))
	b.next.ServeHTTP(w, r)
}

func (b *badLine) deliverLate() {
	b.mu.Lock()
	var now []lateRequest
	for i := range b.late {
		if b.late[i].after--; b.late[i].after <= 0 {
			now = append(now, b.late[i])
		}
	}
	b.late = slices.DeleteFunc(b.late, func(l lateRequest) bool { return l.after <= 0 })
	b.mu.Unlock()
	for _, l := range now {
		b.pass(&discard{}, l.req, l.body)
	}
}

type discard struct{}

func (*discard) Header() http.Header         { return http.Header{} }
func (*discard) Write(b []byte) (int, error) { return len(b), nil }
func (*discard) WriteHeader(int)             {}

// durable is the receiver's book: what was applied, in order, each id once.
type durable struct{ *db.DB }

func openReceiver(ctx context.Context, dir string) (*durable, error) {
	d, err := db.InDir(dir).Open(ctx, "regular", db.Migrations{Package: "regular", Steps: []string{`
		create table applied (n bigint primary key, id text not null unique, kind text not null, sha256 text not null, body text not null)`}})
	return &durable{d}, err
}

func (d *durable) Receive(ctx context.Context, p emergency.Parcel) (emergency.Receipt, error) {
	var rec emergency.Receipt
	err := d.Write(ctx, func(ctx context.Context, tx *db.Tx) error {
		rec.Items = nil
		for _, it := range p.Items {
			var have string
			err := tx.QueryRow(ctx, `select sha256 from applied where id = $1`, it.ID).Scan(&have)
			switch {
			case errors.Is(err, sql.ErrNoRows):
				_, err = tx.Exec(ctx, `insert into applied (n, id, kind, sha256, body) values ((select coalesce(max(n), 0) + 1 from applied), $1, $2, $3, $4)`,
					it.ID, string(it.Kind), it.SHA256, string(it.Body))
			case err == nil && have != it.SHA256:
				return emergency.ErrConflict
			}
			if err != nil {
				return err
			}
			rec.Items = append(rec.Items, emergency.ReceiptItem{ID: it.ID, SHA256: it.SHA256, Result: emergency.Applied})
		}
		return nil
	})
	return rec, err
}

func (d *durable) List(ctx context.Context, q emergency.ListQuery) ([]emergency.ListEntry, error) {
	return db.Collect(ctx, d, func(r *sql.Rows) (emergency.ListEntry, error) {
		e := emergency.ListEntry{Result: emergency.Applied}
		err := r.Scan(&e.ID, &e.Kind, &e.SHA256)
		return e, err
	}, `select id, kind, sha256 from applied where id like $1`, q.Bucket+"%")
}

func (d *durable) Compare(ctx context.Context, _ emergency.Comparison) ([]emergency.Line, error) {
	all, err := d.List(ctx, emergency.ListQuery{})
	return emergency.Sum(all), err
}

// TestLongKilledSenderAndReceiver kills both at random moments, over a line that
// loses, repeats and reorders: nothing is lost, nothing doubled, the order of each
// person stays. It kills 110 times; -short kills four times.
func TestLongKilledSenderAndReceiver(t *testing.T) {
	kills, items := 110, 9_000
	if testing.Short() {
		kills, items = 4, 400
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	master := seal.NewMaster()
	c := child{Dir: t.TempDir(), Addr: addr, Seed: make([]byte, ed25519.SeedSize)}
	c.Locked, err = master.Lock([]byte("test"))
	must(t, err)
	js, err := c.journals()
	must(t, err)
	must(t, js.Provision(t.Context(), kasse, t0, actor, master))
	j, err := js.Open(t.Context(), kasse)
	must(t, err)
	must(t, j.OpenBook(t.Context(), place, 1, t0, actor))
	want := acceptOfPersons(t, j, items)
	must(t, js.Close())

	rng := rand.New(rand.NewPCG(3, 4))
	receiver, sender := c.start(t, "receiver"), c.start(t, "sender")
	for range kills {
		time.Sleep(time.Duration(rng.IntN(80)) * time.Millisecond) // both work
		if rng.IntN(2) == 0 {
			receiver.stop()
			receiver = c.start(t, "receiver")
		} else {
			sender.stop()
			sender = c.start(t, "sender")
		}
	}
	select {
	case <-sender.ended:
	case <-time.After(2 * time.Minute):
		t.Error("the sender does not come to an end")
	}
	sender.stop()

	js, err = c.journals()
	must(t, err)
	defer func() { must(t, js.Close()) }()
	j, err = js.Open(t.Context(), kasse)
	must(t, err)
	h := c.handover(j)
	for now := t0.AddDate(1, 0, 0); ; now = now.Add(time.Hour) { // the last answers may be lost, too
		if next, err := h.Due(t.Context(), now); err == nil && next.IsZero() {
			break
		}
	}
	out := emergency.Outcome{}
	for range 20 {
		if out, err = h.Reconcile(t.Context(), t0, actor); err == nil {
			break
		}
	}
	receiver.stop()
	if err != nil || !out.Agrees {
		t.Errorf("comparison: %v, %d differences", err, len(out.Differences))
	}
	book, err := openReceiver(t.Context(), c.Dir)
	must(t, err)
	defer func() { must(t, book.Close()) }()
	got, err := db.Collect(t.Context(), book, func(r *sql.Rows) (string, error) {
		var s string
		err := r.Scan(&s)
		return s, err
	}, `select body from applied order by n`)
	must(t, err)
	checkEffects(t, want, got)
	if n := counts(t, j); n.HandedOver != int64(items) || n.Open != 0 {
		t.Errorf("%+v", n)
	}
	verify(t, j)
	var again int
	must(t, j.Store().QueryRow(t.Context(), `select count(*) from journal_batch where attempts > 1`).Scan(&again))
	if again == 0 {
		t.Error("no batch was ever sent twice: the kills and the bad line did nothing")
	}
	t.Logf("%d items of 40 people, %d kills, %d batches sent more than once", items, kills, again)
}

// acceptOfPersons takes in items of forty people; bodies say whose and which.
func acceptOfPersons(t *testing.T, j *emergency.Journal, items int) (bodies []string) {
	t.Helper()
	for len(bodies) < items {
		drafts := make([]emergency.Draft, 100)
		for i := range drafts {
			n := len(bodies) + i
			person := fmt.Sprint("person ", n*7%40)
			drafts[i] = draft(fmt.Sprint("k", n))
			drafts[i].Person, drafts[i].Body = person, fmt.Appendf(nil, "%s/%d", person, n)
		}
		_, err := j.Accept(t.Context(), place, 1, t0, actor, drafts...)
		must(t, err)
		for _, d := range drafts {
			bodies = append(bodies, string(d.Body))
		}
	}
	return bodies
}

// checkEffects compares what was accepted with what took effect.
func checkEffects(t *testing.T, want, got []string) {
	t.Helper()
	effects := map[string]int{}
	last := map[string]int{}
	for _, body := range got {
		effects[body]++
		person, number, _ := strings.Cut(body, "/")
		n, err := strconv.Atoi(number)
		must(t, err)
		if before, ok := last[person]; ok && n < before {
			t.Errorf("%s: item %d took effect after item %d", person, n, before)
		}
		last[person] = n
	}
	lost, doubled := 0, 0
	for _, body := range want {
		switch n := effects[body]; {
		case n == 0:
			lost++
		case n > 1:
			doubled++
		}
	}
	if lost+doubled > 0 || len(got) != len(want) {
		t.Errorf("%d accepted, %d effects: %d lost, %d doubled", len(want), len(got), lost, doubled)
	}
}

type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

func (c *child) start(t *testing.T, role string) *process {
	t.Helper()
	own := *c
	own.Role = role
	spec, err := json.Marshal(own)
	must(t, err)
	exe, err := os.Executable()
	must(t, err)
	p := &process{cmd: exec.Command(exe), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(spec))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	must(t, p.cmd.Start())
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Errorf("the %s did not begin: %v", role, err)
	}
	go func() {
		_ = p.cmd.Wait() // killed, mostly
		close(p.ended)
	}()
	return p
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}
