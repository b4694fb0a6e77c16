package room_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"leitstand/room"
	"leitstand/warning"
)

// letterbox is a mail server that keeps what it gets.
type letterbox struct {
	mu    sync.Mutex
	mails []string
}

func (b *letterbox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (b *letterbox) Mail(string, *smtp.MailOptions) error        { return nil }
func (b *letterbox) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (b *letterbox) Reset()                                      {}
func (b *letterbox) Logout() error                               { return nil }
func (b *letterbox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, string(text))
	return err
}

func (b *letterbox) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mails)
}

// mailServer starts a letterbox on loopback.
func mailServer(t *testing.T) (*letterbox, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := &letterbox{}
	srv := smtp.NewServer(box)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close() // the test is over
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	return box, l.Addr().String()
}

// until waits for a condition, at most half a minute.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 3000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s does not come about", what)
}

// beating runs a room's heartbeat with a clock that the test moves, and counts beats.
func beating(t *testing.T, h room.Heartbeat) (r *room.Room, clock *atomic.Int64, beats *atomic.Int64, log *bytes.Buffer) {
	t.Helper()
	h.Every = time.Second
	clock, beats, log = new(atomic.Int64), new(atomic.Int64), new(bytes.Buffer)
	clock.Store(time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC).Unix())
	r, err := room.Init(t.Context(), room.Options{
		Data: filepath.Join(t.TempDir(), "room"), Log: slog.New(slog.NewTextHandler(log, nil)),
		Clock: func() time.Time { return time.Unix(clock.Load(), 0) }, Heartbeat: h,
	}, room.Setup{Name: "Ü", Exercise: true, Catalogue: small(), People: room.PracticePeople(), Owner: "operator"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.RunHeartbeat(ctx, func(room.Vitals) { beats.Add(1) }) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, r.Close()); err != nil {
			t.Error(err)
		}
	})
	return r, clock, beats, log
}

func TestASignOfLifeByMailComesInItsOwnTime(t *testing.T) {
	t.Parallel()
	box, addr := mailServer(t)
	way := &warning.MailWay{Addr: addr, Security: "plain", From: "raum@example.org"}
	_, clock, beats, _ := beating(t, room.Heartbeat{MailTo: "wache@example.org", MailEvery: time.Minute, Mail: way})
	until(t, "three beats", func() bool { return beats.Load() >= 3 })
	if n := box.count(); n != 1 {
		t.Errorf("%d mails with three beats in the same minute, want 1", n)
	}
	clock.Add(61)
	until(t, "the next mail", func() bool { return box.count() == 2 })
	if !strings.Contains(box.mails[0], "To: <wache@example.org>") || !strings.Contains(box.mails[0], "Subject: Lebenszeichen leitstand-") {
		t.Error(box.mails[0])
	}
}

func TestAnExerciseRoomSendsNoMailOutside(t *testing.T) {
	t.Parallel()
	way := &warning.MailWay{Addr: "192.0.2.1:465", Security: "tls", From: "raum@example.org"}
	file := filepath.Join(t.TempDir(), "beat")
	_, _, beats, log := beating(t, room.Heartbeat{File: file, MailTo: "wache@example.org", MailEvery: time.Minute, Mail: way})
	until(t, "a beat", func() bool { return beats.Load() >= 1 })
	if !strings.Contains(log.String(), "an exercise room tells nobody outside this machine") {
		t.Error(log.String())
	}
	if _, err := os.Stat(file); err != nil {
		t.Error("one way that fails keeps the signal from the other")
	}
}

func TestASignOfLifeIsTheRoomsOwn(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "beat")
	r, _, beats, _ := beating(t, room.Heartbeat{File: file})
	until(t, "a beat", func() bool { return beats.Load() >= 1 })
	raw, err := os.ReadFile(file)
	var b room.Beat
	if err != nil || json.Unmarshal(raw, &b) != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if err := b.Check(r.Public()); err != nil {
		t.Error(err)
	}
	for name, forged := range map[string]room.Beat{
		"later": func() room.Beat { f := b; f.At = f.At.Add(time.Hour); return f }(),
		"more":  func() room.Beat { f := b; f.Entries++; return f }(),
		"rarer": func() room.Beat { f := b; f.Every *= 100; return f }(),
		"bare":  func() room.Beat { f := b; f.Signed = ""; return f }(),
	} {
		if err := forged.Check(r.Public()); !errors.Is(err, room.ErrForged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestARoomWhoseEarlyWarningStandsStillDoesNotBeat lets the early warning read,
// and then the clock run away from it.
func TestARoomWhoseEarlyWarningStandsStillDoesNotBeat(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "beat")
	r, clock, beats, log := beating(t, room.Heartbeat{File: file})
	until(t, "a beat", func() bool { return beats.Load() >= 1 })
	r.Watching(time.Unix(clock.Load(), 0))
	if _, err := r.Due(t.Context(), time.Unix(clock.Load(), 0)); err != nil {
		t.Fatal(err)
	}
	clock.Add(150)
	at := beats.Load()
	until(t, "two more", func() bool { return beats.Load() >= at+2 })
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at = beats.Load()
	until(t, "two more", func() bool { return beats.Load() >= at+2 })
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) || !strings.Contains(log.String(), "the early warning has not read its sources for 2m30s") {
		t.Errorf("it beats on: %s (%v)\n%s", after, err, log)
	}
	if _, err := r.Follow(t.Context(), time.Unix(clock.Load(), 0)); err != nil {
		t.Fatal(err)
	}
	until(t, "the signal again", func() bool { b, err := os.ReadFile(file); return err == nil && !bytes.Equal(b, before) })
}
