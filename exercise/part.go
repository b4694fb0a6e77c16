package exercise

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long a parent waits for a part.
const (
	partStartTimeout = 30 * time.Second
	partStepTimeout  = 3 * time.Minute // one step can be hours of simulated mail
	partStopTimeout  = 10 * time.Second
)

// Part is a running child process. Its methods may be called from several
// goroutines; commands run one after another.
type Part struct {
	kind  PartKind
	addr  map[string]string
	cmd   *exec.Cmd
	lines chan reply    // answers, in order; closed when the child's output ends
	ended chan struct{} // closed when the child has been waited for
	last  *tail         // the end of its standard error

	mu      sync.Mutex // one command at a time
	in      io.WriteCloser
	broken  error // set once an answer is missing: later answers cannot be told apart
	stopped bool

	waitErr error // valid when ended is closed
}

// StartPart starts "exe exercise-part kind" and gives it its configuration, one
// of [MailConfig], [PracticesConfig], [RegularConfig] and [EmployersConfig]. The
// child has a process group of its own: Ctrl-C in a terminal reaches the
// parent alone, which stops its parts in order. The end of ctx ends the start,
// not a part that runs: that is for Stop, or for the end of this process.
func StartPart(ctx context.Context, exe string, kind PartKind, config any) (*Part, error) {
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("exercise part %q: writing its configuration: %w", kind, err)
	}
	p := &Part{kind: kind, lines: make(chan reply), ended: make(chan struct{}), last: new(tail)}
	// Not bound to ctx: it would kill the child; at the end of ctx the caller stops it.
	p.cmd = exec.Command(exe, "exercise-part", string(kind)) //nolint:gosec // our own binary, named by our own program
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = partStopTimeout
	p.cmd.Stderr = p.last
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("exercise part %q: %w", kind, err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("exercise part %q: %w", kind, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting exercise part %q: %w", kind, err)
	}
	go p.read(out)
	started, cancel := context.WithTimeout(ctx, partStartTimeout)
	defer cancel()
	r, err := p.call(started, Command{Do: "start", Config: raw})
	if err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	p.addr = r.Addr
	return p, nil
}

// read hands over the answers and waits for the child at their end. It ends
// with the child; Stop and Kill wait for it.
func (p *Part) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r reply
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			r = reply{Error: fmt.Sprintf("unreadable answer %q: %v", lines.Text(), err)}
		}
		p.lines <- r
	}
	p.waitErr = p.cmd.Wait()
	close(p.ended)
	close(p.lines)
}

// Addr is where the part listens: "smtp" and "pop3" of the mail server, "http"
// of the regular systems.
func (p *Part) Addr(name string) string { return p.addr[name] }

// PID is the process id, for tests that kill the part.
func (p *Part) PID() int { return p.cmd.Process.Pid }

// Advance lets the part do all that is due by now, simulated time, and returns
// its counts.
func (p *Part) Advance(ctx context.Context, now time.Time) (Counts, error) {
	r, err := p.call(ctx, Command{Do: "advance", Now: now})
	return r.Counts, err
}

// Stats returns the counts.
func (p *Part) Stats(ctx context.Context) (Counts, error) {
	r, err := p.call(ctx, Command{Do: "stats"})
	return r.Counts, err
}

// Do sends a command that only this kind knows, such as [FetcherCommand].
func (p *Part) Do(ctx context.Context, do string, details any) (Counts, error) {
	raw, err := json.Marshal(details)
	if err != nil {
		return nil, fmt.Errorf("exercise part %q: writing command %q: %w", p.kind, do, err)
	}
	r, err := p.call(ctx, Command{Do: do, Config: raw})
	return r.Counts, err
}

func (p *Part) call(ctx context.Context, c Command) (reply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken != nil {
		return reply{}, p.broken
	}
	line, err := json.Marshal(c)
	if err != nil {
		return reply{}, fmt.Errorf("exercise part %q: writing command %q: %w", p.kind, c.Do, err)
	}
	ctx, cancel := context.WithTimeout(ctx, partStepTimeout)
	defer cancel()
	// A part reads before it answers, and a line is at most a few pipe buffers
	// of configuration: the write ends when the child reads or dies.
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.broken = p.death(fmt.Errorf("sending %q: %w", c.Do, err))
		return reply{}, p.broken
	}
	select {
	case r, ok := <-p.lines:
		if !ok {
			p.broken = p.death(fmt.Errorf("it ended before it answered %q", c.Do))
			return reply{}, p.broken
		}
		if !r.OK {
			return reply{}, fmt.Errorf("exercise part %q: %s", p.kind, r.Error)
		}
		return r, nil
	case <-ctx.Done():
		p.broken = fmt.Errorf("exercise part %q did not answer %q in time: %w%s", p.kind, c.Do, context.Cause(ctx), p.last.words())
		return reply{}, p.broken
	}
}

// death says how the child ended and what it said last.
func (p *Part) death(why error) error {
	select {
	case <-p.ended:
	case <-time.After(time.Second): // its output ended, it has not
		return fmt.Errorf("exercise part %q: %w%s", p.kind, why, p.last.words())
	}
	how := "exit status 0"
	if p.waitErr != nil {
		how = p.waitErr.Error()
	}
	return fmt.Errorf("exercise part %q: %w (%s)%s", p.kind, why, how, p.last.words())
}

// Stop ends the part cleanly and waits for it; after ten seconds it is killed.
// Stopping twice is no error.
func (p *Part) Stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	p.stopped = true
	known := p.broken
	p.broken = fmt.Errorf("exercise part %q is stopped", p.kind)
	_, _ = io.WriteString(p.in, `{"do":"stop"}`+"\n") // a dead child is seen below
	_ = p.in.Close()                                  // likewise
	timer := time.NewTimer(partStopTimeout)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-p.lines: // the answer to stop, or one that came too late
			if ok {
				continue
			}
			switch {
			case known != nil: // reported already by the command that failed
				return nil
			case p.waitErr != nil:
				return fmt.Errorf("exercise part %q: %w%s", p.kind, p.waitErr, p.last.words())
			}
			return nil
		case <-timer.C:
			err := p.kill()
			return errors.Join(fmt.Errorf("exercise part %q did not stop in time and was killed%s", p.kind, p.last.words()), err)
		}
	}
}

// Kill ends the part at once, as a crash would (SIGKILL), and waits for it.
func (p *Part) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.broken == nil {
		p.broken = fmt.Errorf("exercise part %q was killed", p.kind)
	}
	return p.kill()
}

func (p *Part) kill() error {
	err := p.cmd.Process.Kill()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing exercise part %q: %w", p.kind, err)
	}
	for range p.lines { // drains, so that read can end; the channel closes after the wait
	}
	_ = p.in.Close() // nobody reads it any more
	return nil
}

// tail keeps the end of what a child writes on standard error.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 4 << 10

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

// words is what to append to an error.
func (t *tail) words() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if said := strings.TrimSpace(string(t.buf)); said != "" {
		return "; its last words: " + said
	}
	return ""
}
