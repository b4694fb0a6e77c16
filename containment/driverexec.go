package containment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// ExecConfig is a driver that starts programs of this machine: argument lists
// with placeholders, never a shell. They must be idempotent.
type ExecConfig struct {
	Execute []string `yaml:"execute"`
	Undo    []string `yaml:"undo"`
	// Probe ends with 0 when the cut is in place. Without one, nothing is known.
	Probe     []string      `yaml:"probe"`
	Timeout   time.Duration `yaml:"timeout"`    // default 30s
	MaxOutput int64         `yaml:"max_output"` // bytes kept of what a program says; default 64 KiB
}

type execDriver struct {
	name string
	c    ExecConfig
}

func newExecDriver(name string, c ExecConfig) (*execDriver, error) {
	if len(c.Execute) == 0 || len(c.Undo) == 0 || len(c.Probe) == 0 {
		return nil, errors.New("execute, undo and probe are needed")
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.MaxOutput <= 0 {
		c.MaxOutput = 64 << 10
	}
	return &execDriver{name, c}, nil
}

// Name is the driver's name.
func (d *execDriver) Name() string { return d.name }

// DryRun shows the arguments.
func (d *execDriver) DryRun(_ context.Context, t Target) (DryRun, error) {
	return DryRun{
		Driver: d.name, Target: t.ID,
		Words: fmt.Sprintf("Ein Programm dieses Rechners trennt %s ab.", t.ID),
		Exact: []string{quoteAll(t.expandAll(d.c.Execute))},
	}, nil
}

// Execute runs the program.
func (d *execDriver) Execute(ctx context.Context, t Target) error {
	return d.run(ctx, t.expandAll(d.c.Execute))
}

// Undo runs the program that takes it back.
func (d *execDriver) Undo(ctx context.Context, t Target) error {
	return d.run(ctx, t.expandAll(d.c.Undo))
}

// Probe runs the program that looks: 0 is held, any other code is not.
func (d *execDriver) Probe(ctx context.Context, t Target) (Seen, error) {
	err := d.run(ctx, t.expandAll(d.c.Probe))
	if _, ended := errors.AsType[*exec.ExitError](err); ended {
		return Seen{Detail: err.Error()}, nil
	}
	return Seen{Held: err == nil}, err
}

func (d *execDriver) run(ctx context.Context, argv []string) error {
	out := &limited{left: d.c.MaxOutput}
	err := runProgram(ctx, d.c.Timeout, argv, out, out)
	if err != nil {
		return fmt.Errorf("running %s: %w: %s", argv[0], err, out.String())
	}
	return nil
}

// runProgram starts a program without a shell, with nothing of our environment but
// the path, and kills it with all that it started when its time is over.
func runProgram(ctx context.Context, timeout time.Duration, argv []string, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the operator's own program, without a shell
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("after %v: %w", timeout, ctx.Err())
	}
	return err
}

// limited keeps the beginning of what is written and counts the rest.
type limited struct {
	buf  bytes.Buffer
	left int64
	lost int64
}

// Write takes everything and keeps what fits.
func (l *limited) Write(p []byte) (int, error) {
	n := min(int64(len(p)), l.left)
	l.buf.Write(p[:n])
	l.left -= n
	l.lost += int64(len(p)) - n
	return len(p), nil
}

func (l *limited) String() string {
	text := strings.TrimSpace(strings.ToValidUTF8(l.buf.String(), "?"))
	if l.lost > 0 {
		text += fmt.Sprintf(" … (%d bytes left out)", l.lost)
	}
	return text
}

// quoteAll writes arguments so that a POSIX shell reads back exactly them.
func quoteAll(argv []string) string {
	out := make([]string, len(argv))
	for i, a := range argv {
		out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return strings.Join(out, " ")
}

// counter counts what is written to it.
type counter struct{ n int64 }

// Write counts.
func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// tee writes to all, the file first.
type tee []io.Writer

// Write stops at the first that fails.
func (t tee) Write(p []byte) (int, error) {
	for _, w := range t {
		if n, err := w.Write(p); err != nil {
			return n, err
		}
	}
	return len(p), nil
}
