package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"leitstand/catalogue"
	"leitstand/gateway"
	"leitstand/operation"
)

const placement catalogue.PlacementID = "109034270/app/munich"

func table(t *testing.T, upstream string, mode operation.Mode, version int64) *gateway.Table {
	t.Helper()
	tab, err := gateway.NewTable(
		[]gateway.Route{{Host: "bmw.test", Prefix: "/app", Placement: placement, Kasse: "BMW BKK", Service: "App", Upstream: upstream, Advice: "Telefon"}},
		[]*operation.DoorRow{{Placement: placement, Answer: operation.Answer{Mode: mode}, Paths: []string{"/app/open"}, Version: version}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

type shelf struct {
	mu   sync.Mutex
	kept [][]byte
	err  error
}

func (s *shelf) Keep(_ context.Context, _ gateway.Door, _ *http.Request, body []byte) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return "", s.err
	}
	s.kept = append(s.kept, body)
	return "R-1", nil
}

func ask(t *testing.T, g http.Handler, method, path, accept string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://bmw.test:8080"+path, strings.NewReader("body"))
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	resp := w.Result()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestEachDoorDoesWhatItSays(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "regular "+r.Host+r.URL.Path+" "+r.Header.Get("X-Forwarded-Host"))
	}))
	defer up.Close()
	tests := []struct {
		mode         operation.Mode
		method, path string
		status       int
		body         string
		kept         int
	}{
		{operation.ModeRegular, "GET", "/app/x", 200, "regular bmw.test:8080/app/x bmw.test:8080", 0},
		{operation.ModeLimited, "GET", "/app/open/x", 200, "regular", 0},
		{operation.ModeLimited, "GET", "/app/opened", 503, "nicht erreichbar", 0},
		{operation.ModeReadOnly, "GET", "/app", 200, "regular", 0},
		{operation.ModeReadOnly, "POST", "/app", 503, "nicht erreichbar", 0},
		{operation.ModeBuffer, "POST", "/app", 202, "R-1", 1},
		{operation.ModeBuffer, "GET", "/app", 503, "Telefon", 0},
		{operation.ModeNotice, "POST", "/app", 503, "BMW BKK", 0},
		{operation.ModeRefuse, "POST", "/app", 503, "nicht erreichbar", 0},
		{operation.ModeEmergency, "POST", "/app", 200, "emergency", 0},
		{operation.ModeRegular, "GET", "/apple", 404, "kennen wir nicht", 0},
	}
	for _, tt := range tests {
		s := &shelf{}
		g := &gateway.Gateway{Keeper: s, Banner: "ÜBUNG", Emergency: map[catalogue.ServiceID]http.Handler{
			"app": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "emergency") }),
		}}
		g.Set(table(t, up.URL, tt.mode, 1))
		resp, body := ask(t, g, tt.method, tt.path, "text/html")
		if resp.StatusCode != tt.status || !strings.Contains(body, tt.body) || len(s.kept) != tt.kept {
			t.Errorf("%s %s at door %s: %d %q, kept %d; want %d %q, kept %d",
				tt.method, tt.path, tt.mode, resp.StatusCode, body, len(s.kept), tt.status, tt.body, tt.kept)
		}
		if tt.status == 503 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s at door %s: no Retry-After", tt.method, tt.mode)
		}
		if tt.status >= 400 && !strings.Contains(body, "ÜBUNG") {
			t.Errorf("%s at door %s: page is not marked as exercise", tt.method, tt.mode)
		}
	}
}

func TestWhatCannotBeStoredIsNotAcknowledged(t *testing.T) {
	g := &gateway.Gateway{Keeper: &shelf{err: errors.New("disk full")}}
	g.Set(table(t, "http://127.0.0.1:1", operation.ModeBuffer, 1))
	for _, accept := range []string{"text/html", "application/json", "application/fhir+json"} {
		resp, body := ask(t, g, "POST", "/app", accept)
		if resp.StatusCode != 503 || strings.Contains(body, "disk full") {
			t.Errorf("%s: %d %q, want 503 without inner detail", accept, resp.StatusCode, body)
		}
		if want := strings.Split(accept, "/")[1]; !strings.Contains(resp.Header.Get("Content-Type"), want) {
			t.Errorf("asked for %s, got %s", accept, resp.Header.Get("Content-Type"))
		}
	}
}

func TestADeadRegularSystemIsOurFaultNotTheClients(t *testing.T) {
	g := &gateway.Gateway{}
	g.Set(table(t, "http://127.0.0.1:1", operation.ModeRegular, 1))
	if resp, _ := ask(t, g, "GET", "/app", "text/html"); resp.StatusCode != 503 {
		t.Errorf("status %d, want 503", resp.StatusCode)
	}
}

func TestADoorCountsAsObeyedOnlyWhenOlderRequestsHaveEnded(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(inside)
		<-release
		_, _ = io.WriteString(w, "regular to the end")
	}))
	defer up.Close()
	g := &gateway.Gateway{Keeper: &shelf{}}
	g.Set(table(t, up.URL, operation.ModeRegular, 1))
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, body := ask(t, g, "GET", "/app", ""); body != "regular to the end" {
			t.Errorf("a request was switched half-way: %q", body)
		}
	})
	<-inside
	g.Set(table(t, up.URL, operation.ModeBuffer, 2))
	if got := g.Obeyed()[placement]; got != 0 {
		t.Errorf("door version %d counts as obeyed while a request of version 1 is under way", got)
	}
	if resp, _ := ask(t, g, "POST", "/app", ""); resp.StatusCode != 202 {
		t.Errorf("a new request met the old door: %d", resp.StatusCode)
	}
	close(release)
	wg.Wait()
	if got := g.Obeyed()[placement]; got != 2 {
		t.Errorf("obeyed version %d, want 2", got)
	}
}

func TestTheTableSurvivesInItsFileAndADamagedOneIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doors")
	if err := table(t, "http://127.0.0.1:1", operation.ModeBuffer, 7).Save(file); err != nil {
		t.Fatal(err)
	}
	got, err := gateway.Load(file)
	if err != nil || got.Version != 7 || got.Doors[0].Row.Mode != operation.ModeBuffer {
		t.Fatalf("loaded %+v, %v", got, err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"altered": []byte(strings.Replace(string(content), "buffer", "regular", 1)), "cut": content[:len(content)-5], "empty": nil,
	} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := gateway.Load(file); !errors.Is(err, gateway.ErrDamaged) {
			t.Errorf("%s file: %v, want %v", name, err, gateway.ErrDamaged)
		}
	}
}

func TestATableThatCouldSendARequestAstrayIsRefused(t *testing.T) {
	door := &operation.DoorRow{Placement: placement, Answer: operation.Answer{Mode: operation.ModeRegular}}
	good := gateway.Route{Host: "a.test", Prefix: "/", Placement: placement, Upstream: "http://127.0.0.1:1"}
	for name, change := range map[string]func(r *gateway.Route){
		"no host": func(r *gateway.Route) { r.Host = "" }, "upper case": func(r *gateway.Route) { r.Host = "A.test" },
		"no slash": func(r *gateway.Route) { r.Prefix = "app" }, "no upstream": func(r *gateway.Route) { r.Upstream = "ftp://x" },
		"no door": func(r *gateway.Route) { r.Placement = "109034270/web/munich" },
	} {
		bad := good
		change(&bad)
		if _, err := gateway.NewTable([]gateway.Route{bad}, []*operation.DoorRow{door}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := gateway.NewTable([]gateway.Route{good, good}, []*operation.DoorRow{door}); err == nil {
		t.Error("the same route twice was accepted")
	}
	if _, err := gateway.NewTable([]gateway.Route{good}, []*operation.DoorRow{{Placement: placement}}); err == nil {
		t.Error("a door without a mode was accepted")
	}
}
