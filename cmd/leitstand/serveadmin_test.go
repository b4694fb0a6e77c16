package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"leitstand/room"
)

func asked(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return rec.Code, rec.Body.String()
}

func TestLoadBalancersAndMonitoringSeeHowTheRoomDoes(t *testing.T) {
	v := room.Vitals{Ready: true, DiskFree: 12345, LedgerSize: 7, Cells: map[string]int{"cut": 3}, Unlocked: true}
	looks := 0
	look := func(context.Context) room.Vitals { looks++; return v }
	h := adminHandler(t.Context(), look)
	if code, body := asked(t, h, "/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %s", code, body)
	}
	if code, body := asked(t, h, "/readyz"); code != 200 || !strings.Contains(body, `"ready":true`) {
		t.Errorf("readyz: %d %s", code, body)
	}
	code, body := asked(t, h, "/metrics")
	for _, want := range []string{"leitstand_ready 1", "leitstand_disk_free_bytes 12345", "leitstand_ledger_entries_total 7", `leitstand_placements{state="cut"} 3`, "leitstand_backup_age_seconds -1", "go_goroutines"} {
		if code != 200 || !strings.Contains(body, "\n"+want) {
			t.Errorf("metrics (%d) lack %q", code, want)
		}
	}
	if looks != 1 {
		t.Errorf("%d looks for three questions within %s", looks, vitalsFor)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	check(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "leitstand_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	v.Ready, v.Problems = false, []string{"the disk is full, and a name that nobody outside may read"}
	h = adminHandler(t.Context(), look)
	if code, body := asked(t, h, "/readyz"); code != 503 || strings.Contains(body, "disk") || !strings.Contains(body, `"problems":1`) {
		t.Errorf("a room that is not ready: %d %s", code, body)
	}
	if code, _ := asked(t, h, "/healthz"); code != 200 {
		t.Error("a process that answers lives, whatever its disk does")
	}
	if _, body := asked(t, h, "/metrics"); !strings.Contains(body, "\nleitstand_ready 0") {
		t.Error("metrics do not say that the room is not ready")
	}
}

func TestSystemdHearsWhenTheRoomIsReadyAndLives(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	check(t, err)
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	s := newSupervisor()
	for state, want := range map[string]string{"ready": "READY=1", "good": "WATCHDOG=1\nSTATUS=läuft", "bad": "WATCHDOG=1\nSTATUS=NICHT BEREIT: leitstand doctor"} {
		switch state {
		case "ready":
			s.tell(t.Context(), "READY=1")
		default:
			s.beat(t.Context(), room.Vitals{Ready: state == "good"})
		}
		b := make([]byte, 200)
		check(t, l.SetReadDeadline(time.Now().Add(5*time.Second)))
		n, err := l.Read(b)
		if check(t, err); string(b[:n]) != want {
			t.Errorf("%s: %q, want %q", state, b[:n], want)
		}
	}
	supervisor{}.tell(t.Context(), "READY=1") // without systemd: nothing
}

func TestTheWatchmanTellsASignalFromSilence(t *testing.T) {
	w := &watchman{cmd: &watchmanCmd{After: time.Hour}, app: &app{stdout: io.Discard, stderr: io.Discard}}
	at := func(room, second, entries string) error {
		return w.take(strings.NewReader(`{"room":"` + room + `","at":"2026-05-04T03:00:` + second + `Z","ledger_entries":` + entries + `}`))
	}
	check(t, at("a", "01", "5"))
	check(t, at("a", "02", "5"))
	heard := w.heard
	for name, err := range map[string]error{
		"not renewed":         at("a", "02", "5"),
		"another room":        at("b", "03", "9"),
		"become shorter":      at("a", "04", "4"),
		"no signal of a room": w.take(strings.NewReader("<html>")),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !w.heard.Equal(heard) {
		t.Error("what is no sign of life was taken for one")
	}
	var out strings.Builder
	w.app.stdout, w.cmd.File = &out, filepath.Join(t.TempDir(), "none")
	w.heard = time.Now().Add(-2 * time.Hour)
	w.round(t.Context())
	w.round(t.Context())
	if got := out.String(); strings.Count(got, "silent: no sign of life") != 1 || !strings.Contains(got, "no such file") {
		t.Errorf("the alarm: %q", got)
	}
	w.heard = time.Now()
	w.round(t.Context())
	if !strings.Contains(out.String(), "back: the room lives again") {
		t.Errorf("its end: %q", out.String())
	}
}
