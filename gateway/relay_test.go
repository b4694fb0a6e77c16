package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"leitstand/catalogue"
	"leitstand/gateway"
	"leitstand/operation"
)

// TestAGatewayAloneLetsTheRoomAnswerAtEmergencyDoors and keeps what is written while
// the room cannot be reached, or breaks off and nobody knows what it did.
func TestAGatewayAloneLetsTheRoomAnswerAtEmergencyDoors(t *testing.T) {
	var keys []string
	breakOff := false
	room := &gateway.Gateway{Emergency: map[catalogue.ServiceID]http.Handler{
		"app": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			if breakOff {
				panic(http.ErrAbortHandler)
			}
			b, _ := io.ReadAll(r.Body) // a broken body is seen below
			_, _ = io.WriteString(w, r.Method+" "+r.Host+r.URL.RequestURI()+" "+string(b)+" "+r.Header.Get(gateway.EpochHeader))
		}),
	}}
	room.Set(table(t, "http://127.0.0.1:1", operation.ModeEmergency, 1))
	up := httptest.NewServer(room)
	defer up.Close()
	relay, err := gateway.NewRelay(up.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	k := newKey(t)
	spool := openSpool(t, t.TempDir(), k)
	alone := &gateway.Gateway{Relay: relay, Keeper: spool}
	alone.Set(table(t, "http://127.0.0.1:1", operation.ModeEmergency, 1))
	for _, method := range []string{"GET", "POST"} {
		resp, body := ask(t, alone, method, "/app/x?y=1", "application/json")
		want := map[string]string{"GET": "GET bmw.test:8080/app/x?y=1  0", "POST": "POST bmw.test:8080/app/x?y=1 body 0"}[method]
		if resp.StatusCode != 200 || body != want || resp.Header.Get("X-Leitstand-Door") != "emergency" {
			t.Errorf("%s: %d %q %v, want %q", method, resp.StatusCode, body, resp.Header, want)
		}
	}
	keys, breakOff = nil, true
	if resp, _ := ask(t, alone, "POST", "/app/x", "application/json"); resp.StatusCode != 202 {
		t.Errorf("the room broke off: %d", resp.StatusCode)
	}
	if resp, _ := ask(t, alone, "GET", "/app/x", "application/json"); resp.StatusCode != 503 {
		t.Errorf("reading, the room broke off: %d", resp.StatusCode)
	}
	up.Close()
	if resp, _ := ask(t, alone, "POST", "/app/x", "application/json"); resp.StatusCode != 202 {
		t.Errorf("the room is gone: %d", resp.StatusCode)
	}
	var kept []string
	err = spool.HandIn(t.Context(), "109034270", k.private, func(_ context.Context, w gateway.Waiting) error {
		if !w.Emergency || string(w.Body) != "body" {
			t.Errorf("%+v", w)
		}
		kept = append(kept, w.Request.Header.Get("Idempotency-Key"))
		return nil
	})
	if err != nil || len(kept) != 2 || kept[0] == "" || kept[0] == kept[1] || keys[0] != kept[0] {
		t.Errorf("kept under %q, the room saw %q (%v)", kept, keys, err)
	}
	if c := spool.Counts()[placement]; c.Open != 0 || c.Check() != nil {
		t.Errorf("books %+v", c)
	}
}

func TestARelayDoesNotRelayToItself(t *testing.T) {
	g := &gateway.Gateway{Keeper: &shelf{}}
	up := httptest.NewServer(g)
	defer up.Close()
	var err error
	if g.Relay, err = gateway.NewRelay(up.URL, nil); err != nil {
		t.Fatal(err)
	}
	g.Set(table(t, "http://127.0.0.1:1", operation.ModeEmergency, 1))
	if resp, body := ask(t, g, "POST", "/app/x", "application/json"); resp.StatusCode != 202 || !strings.Contains(body, "R-1") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestTheRoomsGatewayIsReachedEncryptedOrOnThisMachine(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://tor.example": true, "http://127.0.0.1:8470": true, "http://localhost:1/": true,
		"http://10.0.0.1": false, "http://tor.example": false, "tor.example": false, "https://tor.example/x": false, "ftp://localhost": false,
	} {
		if _, err := gateway.NewRelay(address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestWhatIsNotTakenInStaysInTheSpool(t *testing.T) {
	k := newKey(t)
	s := openSpool(t, t.TempDir(), k)
	stop := errors.New("stop")
	g := &gateway.Gateway{Keeper: s}
	g.Set(table(t, "http://127.0.0.1:1", operation.ModeBuffer, 1))
	ask(t, g, "POST", "/app/x", "")
	if err := s.HandIn(t.Context(), "109034270", k.private, func(context.Context, gateway.Waiting) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
	if c := s.Counts()[placement]; c.Open != 1 {
		t.Errorf("what was not taken is marked: %+v", c)
	}
}
