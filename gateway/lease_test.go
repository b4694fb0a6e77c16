package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"leitstand/base/db/dbtest"
	"leitstand/catalogue"
	"leitstand/operation"
)

func TestWithoutALeaseWritesAreNotServedAndThoseUnderWayEnd(t *testing.T) {
	const p = catalogue.PlacementID("109034270/eau/munich")
	entered, release := make(chan struct{}), make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-release
		}
		w.WriteHeader(http.StatusOK)
	}))
	defer up.Close()
	defer close(release)
	tb, err := NewTable([]Route{{Host: "k.test", Prefix: "/", Placement: p, Upstream: up.URL}},
		[]*operation.DoorRow{{Placement: p, Answer: operation.Answer{Mode: operation.ModeRegular}, Epoch: 1, Version: 1}})
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{}
	g.Set(tb)
	front := httptest.NewServer(g)
	defer front.Close()
	send := func(method, path string, h ...string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, front.URL+path, strings.NewReader(""))
		if err != nil {
			t.Error(err)
			return 0
		}
		req.Host = "k.test"
		if len(h) == 2 {
			req.Header.Set(h[0], h[1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close() // nothing in it
		return resp.StatusCode
	}
	if g.Lapsed() || send(http.MethodPost, "/") != http.StatusOK {
		t.Error("a gateway that needs no lease does not serve")
	}
	g.LeaseUntil(time.Now().Add(time.Minute))
	if len(g.CutLapsed()) != 0 || send(http.MethodPost, "/") != http.StatusOK {
		t.Error("a gateway with a lease does not serve")
	}
	slow := make(chan int, 1)
	go func() { slow <- send(http.MethodPost, "/slow") }()
	<-entered
	g.LeaseUntil(time.Now())
	if cut := g.CutLapsed(); len(cut) != 1 || cut[0].Method != http.MethodPost {
		t.Errorf("cut off: %+v", cut)
	}
	select {
	case code := <-slow:
		if code == http.StatusOK {
			t.Error("a write that was cut off was answered as done")
		}
	case <-time.After(5 * time.Second):
		t.Error("a write under way went on after the lease")
	}
	if len(g.CutLapsed()) != 0 {
		t.Error("cut off twice")
	}
	for _, x := range []struct {
		method string
		header []string
		want   int
	}{
		{http.MethodPost, nil, http.StatusServiceUnavailable},
		{http.MethodDelete, nil, http.StatusServiceUnavailable},
		{http.MethodGet, []string{"Upgrade", "websocket"}, http.StatusServiceUnavailable},
		{http.MethodGet, nil, http.StatusOK},
	} {
		if got := send(x.method, "/", x.header...); got != x.want {
			t.Errorf("%s %v without a lease: %d, want %d", x.method, x.header, got, x.want)
		}
	}
	g.LeaseUntil(time.Now().Add(time.Minute))
	if send(http.MethodPost, "/") != http.StatusOK {
		t.Error("with a new lease it does not serve")
	}
}

func TestASilentNodeCountsAsStoppedOnlyAfterItsLeaseAndTheMargin(t *testing.T) {
	const p = catalogue.PlacementID("1/eau/munich")
	start := time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	w := Watch{Margin: time.Second}
	b := Beat{Node: "a", Count: 4, Lease: 2 * time.Second, Seen: 7}
	w.Note(at(0), []Beat{b})
	closed := w.Closes(at(5*time.Second), p, 8)
	if again := w.Closes(at(6*time.Second), p, 8); !again.Equal(closed) {
		t.Error("looking again starts the time again")
	}
	if w.Ended(at(7900*time.Millisecond), b, closed) {
		t.Error("ended before lease and margin, counted from when the door was seen closed")
	}
	if !w.Ended(at(8*time.Second), b, closed) {
		t.Error("not ended after lease and margin")
	}
	b.Count++ // it lives, and drains: its word is needed, or silence from now on
	w.Note(at(8*time.Second), []Beat{b})
	if w.Ended(at(10*time.Second), b, closed) || !w.Ended(at(11*time.Second), b, closed) {
		t.Error("a beat after the door closed must start the time again")
	}
	if next := w.Closes(at(20*time.Second), p, 9); !next.Equal(at(20 * time.Second)) {
		t.Error("another version of the door is another closing")
	}
	b.Behind = map[catalogue.PlacementID]int64{p: 3}
	if b.Obeys(p) != 3 || b.Obeys("other") != 7 {
		t.Errorf("obeys %d and %d", b.Obeys(p), b.Obeys("other"))
	}
}

func TestBeatsAreCounted(t *testing.T) {
	place := dbtest.Postgres(t) // nodes follow a store on PostgreSQL only
	d, err := place.Open(t.Context(), "room", Schema)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }() // read below
	b := Beat{Node: "tor-1", Lease: 2 * time.Second, Seen: 5, Behind: map[catalogue.PlacementID]int64{"1/a/b": 4}}
	for want := int64(1); want <= 2; want++ {
		if err := b.Write(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		got, err := Beats(t.Context(), d)
		if err != nil || len(got) != 1 || got[0].Count != want || got[0].Lease != b.Lease || got[0].Obeys("1/a/b") != 4 || got[0].Obeys("x") != 5 {
			t.Errorf("%+v, %v", got, err)
		}
	}
}
