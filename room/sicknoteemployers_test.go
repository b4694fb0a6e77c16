package room_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leitstand/room"
)

func TestEmployersAreServedWhereTheFileSays(t *testing.T) {
	r, _ := practice(t)
	if err := r.Connect(room.Connections{}, nil); err != nil {
		t.Fatal(err)
	}
	put := func(text string) {
		if err := os.WriteFile(filepath.Join(dataOf(t, r), "employers.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nobody := func(string) { t.Error("it listens") }
	if err := r.ServeEmployers(t.Context(), nobody); err != nil {
		t.Errorf("without a file: %v", err)
	}
	for text, want := range map[string]string{
		`{"listen":"0.0.0.0:0","employers":[]}`:                           "loopback only",
		`{"listen":"nirgends","employers":[]}`:                            "nirgends",
		`{"lisen":"127.0.0.1:0","employers":[]}`:                          "unknown field",
		`{"listen":"127.0.0.1:0","employers":[{"betriebsnummer":"1"}]}`:   "employer 1",
		`{"listen":"127.0.0.1:0","client_ca":"nix.pem","employers":[]}`:   "nix.pem",
		`{"listen":"127.0.0.1:0","certificate":"nix.pem","employers":[]}`: "certificate and key",
	} {
		put(text)
		if err := r.ServeEmployers(t.Context(), nobody); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	put(`{"listen":"127.0.0.1:0","employers":[]}`)
	ctx, stop := context.WithCancel(t.Context())
	addr, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- r.ServeEmployers(ctx, func(a string) { addr <- a }) }()
	var at string
	select {
	case at = <-addr:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(10 * time.Second):
		t.Fatal("it does not listen")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at+"/109900019/requests", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || resp.Body.Close() != nil {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
