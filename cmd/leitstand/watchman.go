package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"leitstand/room"
)

// watchmanCmd stands outside of the room, best on another machine, and raises the
// alarm when the dead-man's signal stops. It holds no data and needs no room.
type watchmanCmd struct {
	File   string `help:"Signal file that the room rewrites (heartbeat.file)." type:"path" placeholder:"FILE"`
	Listen string `help:"Address that takes the room's pings (heartbeat.url: http://ADDR/)." placeholder:"ADDR"`
	URL    string `name:"url" help:"The room's /readyz to ask instead of waiting for a signal." placeholder:"URL"`
	watchmanMail
	Key   string        `help:"Public key of the room (ledger.pub): signals that it did not sign do not count. Anybody can send mail." type:"existingfile" placeholder:"FILE"`
	After time.Duration `help:"Silence that is an alarm. Default: three times what the last signal promised, 5m at least."`
	Every time.Duration `help:"How often to look. Default: 10s, a mailbox 1m."`
	Alarm []string      `help:"Program to run on alarm and on its end, followed by its arguments (one flag each); LEITSTAND_ALARM is silent or back, LEITSTAND_TEXT says why." placeholder:"PROGRAM" sep:"none"`
	Once  bool          `help:"Look once, for cron and monitoring. Exit 0: it lives, 1: silent."`
}

// maxBeat is far more than a signal has.
const maxBeat = 64 << 10

// Run watches until it is stopped.
func (c *watchmanCmd) Run(a *app) error {
	sources := 0
	for _, s := range []string{c.File, c.Listen, c.URL, c.POP3} {
		if s != "" {
			sources++
		}
	}
	if sources != 1 || c.Listen != "" && c.Once {
		return errors.New("name one of --file, --pop3, --url and --listen (--listen does not go with --once)")
	}
	w := &watchman{cmd: c, app: a, heard: time.Now(), client: &http.Client{Timeout: 10 * time.Second}}
	if c.Key != "" {
		b, err := os.ReadFile(c.Key)
		if err != nil {
			return fmt.Errorf("reading the room's key: %w", err)
		}
		w.public = strings.TrimSpace(string(b))
	}
	if c.Once {
		err := w.look(a.ctx)
		if err == nil && !w.seen.At.IsZero() && time.Since(w.seen.At) > w.limit() {
			err = fmt.Errorf("the newest signal is of %s", w.seen.At.Format(time.RFC3339))
		}
		if err != nil {
			fmt.Fprintf(a.stdout, "SILENT: %v\n", err)
			return &exitError{code: 1}
		}
		fmt.Fprintln(a.stdout, "the room lives")
		return nil
	}
	if c.Listen != "" {
		stop, err := w.listen(a.ctx)
		if err != nil {
			return err
		}
		defer stop()
	}
	for {
		w.round(a.ctx)
		select {
		case <-a.ctx.Done():
			return nil
		case <-time.After(w.every()):
		}
	}
}

// watchman counts silence by its own clock: that of the room may be wrong.
type watchman struct {
	cmd    *watchmanCmd
	app    *app
	client *http.Client
	public string // of the room; empty: signals are believed

	mu     sync.Mutex
	heard  time.Time // newest sign of life
	seen   room.Beat
	silent bool
}

// round looks and tells what has changed.
func (w *watchman) round(ctx context.Context) {
	err := w.look(ctx)
	w.mu.Lock()
	quiet := time.Since(w.heard)
	was := w.silent
	w.silent = quiet > w.limit()
	is := w.silent
	w.mu.Unlock()
	switch {
	case ctx.Err() != nil || is == was:
	case is:
		text := fmt.Sprintf("no sign of life from the room for %s", quiet.Round(time.Second))
		if err != nil {
			text += ": " + err.Error()
		}
		w.tell(ctx, "silent", text)
	default:
		w.tell(ctx, "back", "the room lives again")
	}
}

// look takes notice of a signal. An error says why there is none.
func (w *watchman) look(ctx context.Context) error {
	switch {
	case w.cmd.File != "":
		f, err := os.Open(w.cmd.File)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // only read
		return w.take(f)
	case w.cmd.POP3 != "":
		return w.lookIntoMailbox(ctx)
	case w.cmd.URL != "":
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.cmd.URL, nil)
		if err != nil {
			return err
		}
		resp, err := w.client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }() // nothing in it is wanted
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the room answers %s", resp.Status)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.heard = time.Now()
	}
	return nil
}

// take reads a signal.
func (w *watchman) take(r io.Reader) error {
	var b room.Beat
	if err := json.NewDecoder(io.LimitReader(r, maxBeat)).Decode(&b); err != nil {
		return fmt.Errorf("this is no signal of a room: %w", err)
	}
	if err := w.genuine(b); err != nil {
		return err
	}
	return w.notice(b)
}

// notice counts a signal. The same one again is no sign of life, and a room whose
// ledger has become shorter is not the room that was there before. Where the
// room's key is known, an older one does not count either: somebody may repeat it.
func (w *watchman) notice(b room.Beat) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.seen.Room != "" && b.Room != w.seen.Room:
		return fmt.Errorf("the signal is of another room (%s, not %s)", b.Room, w.seen.Room)
	case b.Entries < w.seen.Entries:
		return fmt.Errorf("the room's ledger has become shorter: %d entries, there were %d. An old backup, or somebody rewrote it", b.Entries, w.seen.Entries)
	case w.public != "" && b.At.Before(w.seen.At):
		return fmt.Errorf("the signal is older (%s) than one seen before: the room's clock was set back, or somebody repeats old signals", b.At.Format(time.RFC3339))
	case b.At.Equal(w.seen.At):
		return errors.New("the signal is not renewed")
	}
	w.seen, w.heard = b, time.Now()
	return nil
}

// listen takes pings until stop.
func (w *watchman) listen(ctx context.Context) (stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", w.cmd.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for pings: %w", err)
	}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10}
	srv.Handler = http.HandlerFunc(func(out http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			http.Error(out, "a ping is a POST", http.StatusMethodNotAllowed)
			return
		}
		if err := w.take(req.Body); err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ends by stop
	}()
	fmt.Fprintf(w.app.stderr, "watchman: http://%s/\n", l.Addr())
	return func() { _ = srv.Close(); <-done }, nil
}

// tell prints and runs the alarm. A program that fails is named and tried again
// with the next change; the watch goes on.
func (w *watchman) tell(ctx context.Context, what, text string) {
	fmt.Fprintf(w.app.stdout, "%s %s: %s\n", time.Now().Format(time.RFC3339), what, text)
	if len(w.cmd.Alarm) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.cmd.Alarm[0], w.cmd.Alarm[1:]...) //nolint:gosec // that is what the operator asked for
	cmd.Env = append(os.Environ(), "LEITSTAND_ALARM="+what, "LEITSTAND_TEXT="+text)
	cmd.Stdout, cmd.Stderr = w.app.stderr, w.app.stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(w.app.stderr, "leitstand: running the alarm: %v\n", err)
	}
}
