package warning

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// SourceConfig says what a source is. Which fields count depends on Kind.
type SourceConfig struct {
	Name string `json:"name"` // letters, digits, dash; its position is found by it
	// Kind is file (text or JSON lines, followed across rotation), evtx (a file or
	// a directory), syslog, otlp, stdin (lines), journal (of systemd, by journalctl),
	// command (the lines that a program writes) or bus (what workers on a log bus found).
	Kind string `json:"kind"`

	Path string `json:"path,omitempty"` // file, evtx

	// Command is the program and its arguments; for a journal it replaces
	// journalctl --follow --output=json, to name units or another machine.
	Command []string `json:"command,omitempty"`

	URL    string `json:"url,omitempty"`    // bus: nats://host:4222 or tls://…, several with commas
	Prefix string `json:"prefix,omitempty"` // bus: of its streams; default leitstand
	Creds  string `json:"creds,omitempty"`  // bus: file with credentials
	CA     string `json:"ca,omitempty"`     // bus: PEM file of its CA, or its own certificate

	UDP string `json:"udp,omitempty"` // syslog: addresses to listen on
	TCP string `json:"tcp,omitempty"`
	TLS string `json:"tls,omitempty"`
	// From are networks that may send syslog; empty: all that reach the address.
	From []string `json:"from,omitempty"`

	Listen   string `json:"listen,omitempty"` // otlp
	Token    string `json:"token,omitempty"`  // otlp: bearer token of senders; bus: ours
	Cert     string `json:"cert,omitempty"`   // syslog over TLS, otlp, bus: PEM files
	Key      string `json:"key,omitempty"`
	ClientCA string `json:"client_ca,omitempty"` // syslog over TLS: senders need a certificate of it

	// QueueMB is how much may wait on disk; 0 is 512, less than 32 is refused. A full queue makes senders
	// over TCP and OTLP wait; datagrams are dropped and counted.
	QueueMB int64 `json:"queue_mb,omitempty"`
}

var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// Check says what is wrong with a source as far as that can be told without opening it.
func (c SourceConfig) Check() error {
	switch {
	case !sourceName.MatchString(c.Name):
		return fmt.Errorf("source %q: a name has small letters, digits and dashes", c.Name)
	case c.Path == "" && (c.Kind == "file" || c.Kind == "evtx"):
		return fmt.Errorf("source %q: path is missing", c.Name)
	case c.URL == "" && c.Kind == "bus":
		return fmt.Errorf("source %q: url is missing", c.Name)
	case c.QueueMB != 0 && c.QueueMB < 32:
		return fmt.Errorf("source %q: queue_mb %d is too little: 32 or more", c.Name, c.QueueMB)
	}
	return nil
}

// Open opens a source. Queues of what others send lie in dir.
func (in *Intake) Open(c SourceConfig, dir string, stdin io.Reader) error {
	if err := c.Check(); err != nil {
		return err
	}
	var src Source
	var limit int64
	var err error
	switch c.Kind {
	case "file":
		src, err = newFileSource(c.Path, in.opt.Now)
	case "evtx":
		src = &evtxSource{path: c.Path, now: in.opt.Now}
	case "syslog", "otlp", "stdin", "command", "journal":
		src, limit, err = in.queued(c, dir, stdin)
	case "bus":
		if in.opt.Bus == nil {
			return fmt.Errorf("source %q: there is no log bus here", c.Name)
		}
		src = in.opt.Bus(c)
	default:
		return fmt.Errorf("source %q: kind %q is not known: file, evtx, syslog, otlp, stdin, journal, command or bus", c.Name, c.Kind)
	}
	if err != nil {
		return err
	}
	return in.Add(c.Name, c.Kind, limit, src)
}

// queued opens a source that others send to.
func (in *Intake) queued(c SourceConfig, dir string, stdin io.Reader) (Source, int64, error) {
	q, err := openSpool(filepath.Join(dir, c.Name), c.QueueMB<<20, in.opt.Now)
	if err != nil {
		return nil, 0, fmt.Errorf("source %q: %w", c.Name, err)
	}
	var src Source
	switch {
	case c.Kind == "syslog":
		src, err = newSyslogSource(c, q, in.opt.Log)
	case c.Kind == "otlp":
		src, err = newOTLPSource(c, q)
	case c.Kind == "command" || c.Kind == "journal":
		src, err = newCommandSource(c, q, filepath.Join(dir, c.Name))
	case stdin == nil:
		err = fmt.Errorf("source %q: there is no standard input here", c.Name)
	default:
		src = &streamSource{spool: q, r: stdin}
	}
	if err != nil {
		return nil, 0, errors.Join(err, q.Close())
	}
	return src, q.limit, nil
}

// Listen lets all sources that others send to take in until ctx ends. One that
// cannot, because its address is taken say, is tried again; its figures say why.
func (in *Intake) Listen(ctx context.Context) {
	in.mu.Lock()
	feeds := in.feeds
	in.mu.Unlock()
	var wg sync.WaitGroup
	for _, f := range feeds {
		l, ok := f.src.(Listener)
		if !ok {
			continue
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				err := l.Listen(ctx)
				if err == nil || ctx.Err() != nil {
					return
				}
				in.opt.Log.Error("a source of the early warning takes nothing in", slog.String("source", f.name), slog.Any("error", err))
				in.mu.Lock()
				f.deaf = err.Error()
				in.mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Second):
				}
				in.mu.Lock()
				f.deaf = ""
				in.mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// streamSource takes lines of a stream in, such as standard input.
type streamSource struct {
	*spool
	r     io.Reader
	after func(batch [][]byte) error // the lines are in the queue; may be nil
}

// Dropped is always 0: a full queue makes the writer wait.
func (s *streamSource) Dropped() uint64 { return 0 }

// Listen takes lines in until the stream ends, or ctx: then what the stream
// gives next is not read.
func (s *streamSource) Listen(ctx context.Context) error {
	r := bufio.NewReaderSize(s.r, maxLine)
	var batch [][]byte
	size := 0
	for {
		line, err := readLineFrame(r)
		if len(line) > 0 {
			batch, size = append(batch, line), size+len(line)
		}
		if len(batch) > 0 && (err != nil || len(batch) >= maxBatch || size >= maxBatchBytes || r.Buffered() == 0) {
			if err := appendWaiting(ctx, s.spool, batch); err != nil {
				return err
			}
			if s.after != nil {
				if err := s.after(batch); err != nil {
					return err
				}
			}
			batch, size = batch[:0], 0
		}
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil //nolint:nilerr // the source ends
		}
		if err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
	}
}
