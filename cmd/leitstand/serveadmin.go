package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"leitstand/room"
)

// vitalsFor is how long one look serves: several scrapers and load balancers
// together cost the room one look in this time.
const vitalsFor = 2 * time.Second

// vitals keeps the last look at a room.
type vitals struct {
	look func(context.Context) room.Vitals
	mu   sync.Mutex
	at   time.Time
	last room.Vitals
}

func (v *vitals) get(ctx context.Context) room.Vitals {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now := time.Now(); now.Sub(v.at) > vitalsFor {
		v.last, v.at = v.look(ctx), now
	}
	return v.last
}

// serveAdmin answers monitoring and load balancers until ctx ends; without an
// address it only waits.
func serveAdmin(ctx context.Context, look func(context.Context) room.Vitals, addr string, ready func(addr string)) error {
	if addr == "" {
		<-ctx.Done()
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listening for monitoring: %w", err)
	}
	srv := &http.Server{Handler: adminHandler(ctx, look), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	ready(l.Addr().String())
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving monitoring: %w", err)
	}
	return nil
}

// watched runs rest beside what lets others see how the room does: monitoring,
// the dead-man's signal, the supervisor. rest says when the room is up.
func watched(ctx context.Context, a *app, r *room.Room, conf *config, rest func(ctx context.Context, up func()) error) error {
	super := newSupervisor()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return rest(ctx, func() { super.tell(ctx, "READY=1") }) })
	g.Go(func() error {
		return serveAdmin(ctx, r.Vitals, conf.Admin.Listen, func(addr string) { fmt.Fprintf(a.stderr, "Überwachung: http://%s/metrics\n", addr) })
	})
	g.Go(func() error {
		return r.RunHeartbeat(ctx, func(v room.Vitals) { super.beat(ctx, v) })
	})
	return g.Wait()
}

// adminHandler answers /metrics, /healthz (this process answers) and /readyz
// (the room takes acts and keeps them).
func adminHandler(ctx context.Context, look func(context.Context) room.Vitals) http.Handler {
	v := &vitals{look: look}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newRoomCollector(ctx, v))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 20 * time.Second}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		now := v.get(req.Context())
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !now.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"ready": now.Ready, "at": now.At, "problems": len(now.Problems)}) // the asker is gone
	})
	return mux
}

// roomCollector turns a look at the room into metrics.
type roomCollector struct {
	ctx     context.Context //nolint:containedctx // Collect has no context of its own
	vitals  *vitals
	single  []metric
	cells   *prometheus.Desc
	version *prometheus.Desc
}

type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(room.Vitals) float64
}

func newRoomCollector(ctx context.Context, v *vitals) *roomCollector {
	c := &roomCollector{
		ctx: ctx, vitals: v,
		cells:   prometheus.NewDesc("leitstand_placements", "Placements by regular state.", []string{"state"}, nil),
		version: prometheus.NewDesc("leitstand_build_info", "Version of the program.", []string{"version"}, nil),
	}
	add := func(name, help string, kind prometheus.ValueType, value func(room.Vitals) float64) {
		c.single = append(c.single, metric{prometheus.NewDesc("leitstand_"+name, help, nil, nil), kind, value})
	}
	gauge := func(name, help string, value func(room.Vitals) float64) {
		add(name, help, prometheus.GaugeValue, value)
	}
	gauge("ready", "1 when the room takes acts and keeps them.", func(v room.Vitals) float64 { return one(v.Ready) })
	gauge("exercise", "1 for an exercise room.", func(v room.Vitals) float64 { return one(v.Exercise) })
	gauge("unlocked", "1 when bodies can be opened.", func(v room.Vitals) float64 { return one(v.Unlocked) })
	gauge("disk_free_bytes", "Free on the disk of the data directory.", func(v room.Vitals) float64 { return float64(v.DiskFree) })
	gauge("disk_size_bytes", "Size of the disk of the data directory.", func(v room.Vitals) float64 { return float64(v.DiskSize) })
	gauge("data_bytes", "Size of the data directory.", func(v room.Vitals) float64 { return float64(v.DataSize) })
	gauge("write_seconds", "A small synced write took this long; 0 when it failed.", func(v room.Vitals) float64 { return v.WriteTook.Seconds() })
	gauge("due_age_seconds", "Since timed work last went well.", func(v room.Vitals) float64 { return v.DueAge.Seconds() })
	add("ledger_entries_total", "Entries in the room's ledger.", prometheus.CounterValue, func(v room.Vitals) float64 { return float64(v.LedgerSize) })
	gauge("ledger_age_seconds", "Since the newest entry.", func(v room.Vitals) float64 { return v.LedgerAge.Seconds() })
	gauge("signals_open", "Signals that nobody decided.", func(v room.Vitals) float64 { return float64(v.Signals) })
	gauge("signals_escalated", "Open signals past their deadline.", func(v room.Vitals) float64 { return float64(v.Escalated) })
	gauge("consents_open", "Acts that wait for a second person.", func(v room.Vitals) float64 { return float64(v.Consents) })
	gauge("placements_in_emergency", "Placements in emergency operation.", func(v room.Vitals) float64 { return float64(v.Emergency) })
	add("items_accepted_total", "Items accepted in emergency operation, as the room knows.", prometheus.CounterValue, func(v room.Vitals) float64 { return float64(v.Accepted) })
	gauge("items_open", "Items not handed over yet, as the room knows.", func(v room.Vitals) float64 { return float64(v.Open) })
	gauge("mailboxes", "Mailboxes configured.", func(v room.Vitals) float64 { return float64(v.Mailboxes) })
	gauge("mailboxes_failing", "Mailboxes whose last look failed.", func(v room.Vitals) float64 { return float64(v.MailFailing) })
	gauge("backup_age_seconds", "Since the newest backup; -1 without one.", func(v room.Vitals) float64 {
		if v.BackupAge == 0 {
			return -1
		}
		return v.BackupAge.Seconds()
	})
	gauge("clock_jumps", "Times that the clock jumped and nobody has dealt with.", func(v room.Vitals) float64 { return float64(v.ClockJumps) })
	gauge("copy_behind", "1 when the last cycle of the continuous copy failed.", func(v room.Vitals) float64 { return one(v.CopyBehind) })
	return c
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe names all metrics.
func (c *roomCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range c.single {
		ch <- m.desc
	}
	ch <- c.cells
	ch <- c.version
}

// Collect looks at the room.
func (c *roomCollector) Collect(ch chan<- prometheus.Metric) {
	v := c.vitals.get(c.ctx)
	for _, m := range c.single {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(v))
	}
	for state, n := range v.Cells {
		ch <- prometheus.MustNewConstMetric(c.cells, prometheus.GaugeValue, float64(n), state)
	}
	ch <- prometheus.MustNewConstMetric(c.version, prometheus.GaugeValue, 1, programVersion())
}

// supervisor tells systemd how the room does (sd_notify(3)); without systemd it
// does nothing.
type supervisor struct{ socket string }

func newSupervisor() supervisor { return supervisor{os.Getenv("NOTIFY_SOCKET")} }

func (s supervisor) tell(ctx context.Context, state string) {
	if s.socket == "" {
		return
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixgram", s.socket)
	if err != nil {
		return // systemd restarts us when it hears nothing: that is what it is for
	}
	defer func() { _ = conn.Close() }() // nothing is buffered
	_, _ = conn.Write([]byte(state))
}

// beat renews systemd's watchdog. A full disk or a fence is no reason to be
// restarted, so that only silence is: the status says what is wrong.
func (s supervisor) beat(ctx context.Context, v room.Vitals) {
	status := "läuft"
	if !v.Ready {
		status = "NICHT BEREIT: leitstand doctor"
	}
	s.tell(ctx, "WATCHDOG=1\nSTATUS="+status)
}
