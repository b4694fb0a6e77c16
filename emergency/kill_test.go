package emergency_test

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
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
	ctx := context.WithoutCancel(context.TODO())
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
	h := c.handover(j)
	for now := t0; ; now = now.Add(time.Minute) {
		if next, err := h.Due(ctx, now); err == nil && next.IsZero() {
			return js.Close()
		}
		time.Sleep(2 * time.Millisecond) // the receiver may be down
	}
}

// receive is a regular system with a durable book. It loses one answer in twenty.
func (c *child) receive(ctx context.Context) error {
	store, err := openReceiver(ctx, c.Dir)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	r := &emergency.Receiver{Name: "Regelsystem", Key: ed25519.NewKeyFromSeed(c.Seed), Receiving: store}
	handler := r.Handler()
	return (&http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if rand.IntN(20) == 0 {
			handler.ServeHTTP(&discard{}, req)
			panic(http.ErrAbortHandler)
		}
		handler.ServeHTTP(w, req)
	})}).Serve(l)
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

// TestLongKilledSenderAndReceiver kills both at random moments, with lost answers:
// nothing is lost, nothing doubled, the order stays. LEITSTAND_LONG=1 kills 120 times.
func TestLongKilledSenderAndReceiver(t *testing.T) {
	kills, items := 3, 100
	if os.Getenv("LEITSTAND_LONG") != "" {
		kills, items = 120, 12_000
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
	var want []string
	for len(want) < items {
		keys := make([]string, 100)
		for i := range keys {
			keys[i] = fmt.Sprint("k", len(want)+i)
		}
		accept(t, j, keys...)
		for _, k := range keys {
			want = append(want, "body of "+k)
		}
	}
	must(t, js.Close())

	rng := rand.New(rand.NewPCG(3, 4))
	receiver, sender := c.start(t, "receiver"), c.start(t, "sender")
	for range kills {
		time.Sleep(time.Duration(300+rng.IntN(60)) * time.Millisecond) // unlocking alone takes a quarter of a second
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
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("applied %d of %d, or in another order", len(got), len(want))
	}
	if n := counts(t, j); n.HandedOver != int64(items) || n.Open != 0 {
		t.Errorf("%+v", n)
	}
	verify(t, j)
	t.Logf("%d items, %d kills", items, kills)
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
	must(t, p.cmd.Start())
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
