// Package token opens KIM mail with keys in a PKCS#11 token. The token's C library
// runs in a helper process, leitstand-token, one per mailbox; this package starts it,
// talks to it, and ends it.
//
// A PIN that the token refused is never tried a second time: cards lock after three.
// Somebody has to correct it and start again. A helper that hangs is ended, one that
// ended is started again with the next mail, at most once in ten seconds. While a token
// cannot be reached mail is stored and held, and nobody is told that it was faulty.
package token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"leitstand/pure/kimmail"
)

// Config says which token, and how its helper is started.
type Config struct {
	Helper string        // path of leitstand-token
	Module string        // path of the token's PKCS#11 library
	Label  string        // of the token; empty is the first one
	PIN    string        // stays in memory, goes to the helper over its standard input
	Wait   time.Duration // longest time for log-in or one key; 0 is 20 s
	Pause  time.Duration // shortest time between two starts; 0 is 10 s
}

// Keys is a [kimmail.Decrypter]. Its zero value is not usable; see [New].
type Keys struct {
	config Config

	asking sync.Mutex // one mail at a time; taken before mu

	mu      sync.Mutex // start and end of the helper
	helper  *helper
	refused error     // the token said no to PIN or label: not tried again
	last    time.Time // when it was started last
	failed  error     // why that start did not work
	closed  bool
}

// helper is one running process.
type helper struct {
	keys  *kimmail.TokenKeys
	in    io.Closer
	stop  context.CancelFunc
	ended chan struct{}
}

// ErrClosed says that the keys were closed.
var ErrClosed = errors.New("the token was closed")

// New checks that helper and library are there. It starts nothing: a token that is
// plugged in later works then.
func New(c Config) (*Keys, error) {
	for what, path := range map[string]string{"helper": c.Helper, "PKCS#11 library": c.Module} {
		if info, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("token: its %s: %w", what, err)
		} else if info.IsDir() {
			return nil, fmt.Errorf("token: its %s %q is a folder", what, path)
		}
	}
	if c.PIN == "" {
		return nil, errors.New("token: the PIN is missing")
	}
	if c.Wait <= 0 {
		c.Wait = 20 * time.Second
	}
	if c.Pause <= 0 {
		c.Pause = 10 * time.Second
	}
	return &Keys{config: c}, nil
}

// OpenTransportKey implements [kimmail.Decrypter]. A token that fails is left and
// opened anew with a later mail: it may have been taken out and put back.
func (k *Keys) OpenTransportKey(r *kimmail.Recipient) ([]byte, error) {
	k.asking.Lock()
	defer k.asking.Unlock()
	h, err := k.running()
	if err != nil {
		return nil, err
	}
	late := time.AfterFunc(k.config.Wait, h.stop) // its pipes close with it
	key, err := h.keys.OpenTransportKey(r)
	switch {
	case !late.Stop():
		<-h.ended
		return nil, fmt.Errorf("token: no answer in %s, its helper was ended", k.config.Wait)
	case err != nil && kimmail.TokenFailed(err):
		h.stop()
		<-h.ended
	}
	return key, err
}

// Check logs in if nobody is, and says whether the token can be used.
func (k *Keys) Check() error {
	k.asking.Lock()
	defer k.asking.Unlock()
	_, err := k.running()
	return err
}

// running returns the helper, started and logged in.
func (k *Keys) running() (*helper, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed:
		return nil, ErrClosed
	case k.refused != nil:
		return nil, k.refused
	}
	if k.helper != nil {
		select {
		case <-k.helper.ended:
			k.helper = nil
		default:
			return k.helper, nil
		}
	}
	if !k.last.IsZero() && time.Since(k.last) < k.config.Pause {
		return nil, fmt.Errorf("token: tried again in a moment: %w", orEnded(k.failed))
	}
	k.last = time.Now()
	k.helper, k.failed = k.config.start()
	if errors.Is(k.failed, kimmail.ErrTokenRefused) {
		k.refused = fmt.Errorf("%w: it is not tried again, so that the card does not lock; correct label or PIN and start again", k.failed)
		return nil, k.refused
	}
	return k.helper, k.failed
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("its helper ended")
	}
	return err
}

// start runs the helper and logs in. What it writes to standard error goes into the
// error of a start that did not work.
func (c Config) start() (*helper, error) {
	ctx, stop := context.WithCancel(context.Background()) //nolint:forbidigo // outlives the mail that needed it first; Close ends it
	args := []string{"-module", c.Module}
	if c.Label != "" {
		args = append(args, "-token", c.Label)
	}
	cmd := exec.CommandContext(ctx, c.Helper, args...) //nolint:gosec // named in the configuration
	cmd.Env = environment()
	var said firstWords
	cmd.Stderr = &said
	cmd.WaitDelay = time.Second
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		stop()
		return nil, fmt.Errorf("token: starting its helper: %w", err)
	}
	if err := cmd.Start(); err != nil {
		stop()
		return nil, fmt.Errorf("token: starting its helper: %w", err)
	}
	h := &helper{in: in, stop: stop, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended does not matter: what it answered does
		stop()
		close(h.ended)
	}()
	late := time.AfterFunc(c.Wait, stop)
	defer late.Stop()
	var err error
	if h.keys, err = kimmail.NewTokenKeys(pipes{out, in}, c.PIN); err != nil {
		stop()
		<-h.ended
		return nil, fmt.Errorf("token: %w%s", err, said.words())
	}
	return h, nil
}

type pipes struct {
	io.Reader
	io.Writer
}

// environment is ours without what is meant for leitstand alone.
func environment() []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LEITSTAND_") && !strings.HasPrefix(v, "NOTIFY_SOCKET=") {
			out = append(out, v)
		}
	}
	return out
}

// firstWords keeps the beginning of what is written to it.
type firstWords struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (f *firstWords) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if room := 300 - f.buf.Len(); room > 0 {
		f.buf.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (f *firstWords) words() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := strings.TrimSpace(f.buf.String()); s != "" {
		return " (" + s + ")"
	}
	return ""
}

// Close ends the helper and waits for its end.
func (k *Keys) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.helper == nil {
		return
	}
	_ = k.helper.in.Close() // asks it to log out and end
	select {
	case <-k.helper.ended:
	case <-time.After(2 * time.Second):
		k.helper.stop()
		<-k.helper.ended
	}
	k.helper = nil
}
