package warning

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// commandSource takes in the lines that a program writes to its standard
// output, such as journalctl. A program that ends is started again by Intake.Listen.
type commandSource struct {
	*spool
	args []string
	// cursor is the file that says what the journal gave last; "" for other
	// programs, which know themselves where they go on.
	cursor string
}

// Dropped is always 0: a full queue makes the program wait.
func (s *commandSource) Dropped() uint64 { return 0 }

// errEnded: a program that follows something does not end by itself.
var errEnded = errors.New("the program has ended; it is started again")

// newCommandSource opens a source of kind command or journal. dir is its place on disk.
func newCommandSource(c SourceConfig, q *spool, dir string) (*commandSource, error) {
	s := &commandSource{spool: q, args: c.Command}
	if c.Kind == "journal" {
		s.cursor = filepath.Join(dir, "cursor")
		if len(s.args) == 0 {
			s.args = []string{"journalctl", "--follow", "--output=json"}
		}
	}
	if len(s.args) == 0 || s.args[0] == "" {
		return nil, fmt.Errorf("source %q: command is missing", c.Name)
	}
	return s, nil
}

// Listen runs the program and takes its lines in until it ends, or ctx.
func (s *commandSource) Listen(ctx context.Context) error {
	args, err := s.from()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the operator's own settings say what is run
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	said := &tail{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting %q: %w", args[0], err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %q: %w", args[0], err)
	}
	err = (&streamSource{spool: s.spool, r: out, after: s.remember}).Listen(ctx)
	if err != nil {
		_ = cmd.Process.Kill() // nobody reads it any more
	}
	ended := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // it was stopped by us
	case err != nil:
		return err
	case ended != nil:
		return fmt.Errorf("%q: %w: %s", args[0], ended, said.text())
	}
	return fmt.Errorf("%q: %w", args[0], errEnded)
}

// from adds where the journal goes on: behind what is in the queue, at first with what comes now.
func (s *commandSource) from() ([]string, error) {
	if s.cursor == "" {
		return s.args, nil
	}
	text, err := os.ReadFile(s.cursor)
	if errors.Is(err, os.ErrNotExist) {
		return append(slices.Clip(s.args), "--lines=0"), nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading where the journal goes on: %w", err)
	}
	return append(slices.Clip(s.args), "--no-tail", "--after-cursor="+strings.TrimSpace(string(text))), nil
}

// remember notes the last line's cursor, after the lines are in the queue: after
// a crash between the two a few lines come a second time, none is missing.
func (s *commandSource) remember(batch [][]byte) error {
	if s.cursor == "" {
		return nil
	}
	for _, text := range slices.Backward(batch) {
		if !bytes.Contains(text, []byte(`"__CURSOR"`)) {
			continue
		}
		var line struct {
			Cursor string `json:"__CURSOR"`
		}
		if json.Unmarshal(text, &line) != nil || line.Cursor == "" {
			continue // cut, or none: the one before it is good enough
		}
		next := s.cursor + ".new"
		if err := errors.Join(os.WriteFile(next, []byte(line.Cursor), 0o600), os.Rename(next, s.cursor)); err != nil {
			return fmt.Errorf("noting where the journal goes on: %w", err)
		}
		return nil
	}
	return nil
}

// tail keeps the end of what a program complains.
type tail struct{ b []byte }

const maxTail = 1024

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > maxTail {
		t.b = append([]byte(nil), t.b[len(t.b)-maxTail:]...)
	}
	return len(p), nil
}

func (t *tail) text() string { return strings.ToValidUTF8(strings.TrimSpace(string(t.b)), "�") }
