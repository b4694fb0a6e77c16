package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"leitstand/catalogue"
	"leitstand/operation"
)

func TestOnlySaferPositionsAreHeldWithoutTheRoom(t *testing.T) {
	for _, from := range operation.Modes() {
		for _, to := range operation.Modes() {
			serves := from == operation.ModeRegular || from == operation.ModeLimited || from == operation.ModeReadOnly
			keeps := to == operation.ModeBuffer || to == operation.ModeNotice
			if got := Safer(from, to); got != (serves && keeps) {
				t.Errorf("from %s to %s: %v", from, to, got)
			}
		}
	}
}

func TestAHeldDoorStaysHeldWhateverTablesCome(t *testing.T) {
	const p = catalogue.PlacementID("109034270/eau/munich")
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- struct{}{}
			<-release
		}
		w.WriteHeader(http.StatusOK)
	}))
	defer up.Close()
	table := func(version int64, a operation.Answer) *Table {
		tb, err := NewTable([]Route{{Host: "k.test", Prefix: "/", Placement: p, Upstream: up.URL}},
			[]*operation.DoorRow{{Placement: p, Answer: a, Epoch: 1, Version: version, People: []string{"anna"}}})
		if err != nil {
			t.Fatal(err)
		}
		return tb
	}
	g := &Gateway{}
	g.Set(table(1, operation.Answer{Mode: operation.ModeRegular}))
	get := func(path string) int {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://k.test"+path, strings.NewReader("")))
		return w.Code
	}
	slow := make(chan int)
	go func() { slow <- get("/slow") }()
	<-entered
	g.Hold(map[catalogue.PlacementID]operation.Mode{p: operation.ModeNotice})
	if code := get("/"); code != http.StatusServiceUnavailable {
		t.Errorf("held at notice: %d", code)
	}
	if _, obeyed := g.Obeyed()[p]; obeyed {
		t.Error("obeyed while a request that began before is under way")
	}
	close(release)
	if code := <-slow; code != http.StatusOK {
		t.Errorf("a request under way must end on the side it started on: %d", code)
	}
	g.Set(table(2, operation.Answer{Mode: operation.ModeRegular}))
	if code := get("/"); code != http.StatusServiceUnavailable {
		t.Errorf("a new table opened a held door: %d", code)
	}
	g.Set(table(3, operation.Answer{Mode: operation.ModeBuffer, Testers: true}))
	if d := g.live.Load().Doors[0]; d.Row.Testers || d.Row.Mode != operation.ModeBuffer {
		t.Errorf("testers pass a held door: %+v", d.Row.Answer)
	}
	g.Set(table(4, operation.Answer{Mode: operation.ModeRegular}))
	g.Hold(nil)
	if code := get("/"); code != http.StatusOK {
		t.Errorf("let go: %d", code)
	}
}
